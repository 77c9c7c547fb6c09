//! The two transfer syntaxes, the two byte orders, and alignment in both.
//!
//! Read first: [C706] section 14.2 (primitive types, alignment), [MS-RPCE] section 2.2.5 (NDR64).
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce/

/// A transfer syntax.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Syntax {
    /// NDR of [C706] chapter 14, version 2.0: counts and pointers take 4 bytes. The default.
    ///
    /// [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
    #[default]
    Ndr,
    /// NDR64 of MS-RPCE section 2.2.5, version 1.0: counts and pointers take 8 bytes, enums 4,
    /// and structures end at their alignment.
    Ndr64,
}

/// The byte order of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Least significant byte first. The default.
    #[default]
    Little,
    /// Most significant byte first.
    Big,
}

/// How numbers lie in the bytes at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mode {
    /// The transfer syntax.
    pub syntax: Syntax,
    /// The byte order.
    pub order: Order,
    /// Whether nothing is aligned (`flag(NDR_NOALIGN)` of pidl). Default `false`.
    pub packed: bool,
}

impl Mode {
    /// This syntax and order.
    pub const fn new(syntax: Syntax, order: Order) -> Self {
        Self {
            syntax,
            order,
            packed: false,
        }
    }

    /// Whether the syntax is NDR64.
    #[inline]
    pub fn is_ndr64(self) -> bool {
        self.syntax == Syntax::Ndr64
    }
}

/// An alignment in both syntaxes, in bytes: 1, 2, 4 or 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Align {
    ndr: u8,
    ndr64: u8,
}

impl Align {
    /// No alignment.
    pub const A1: Self = Self::new(1, 1);
    /// Of two bytes in both.
    pub const A2: Self = Self::new(2, 2);
    /// Of four bytes in both.
    pub const A4: Self = Self::new(4, 4);
    /// Of eight bytes in both.
    pub const A8: Self = Self::new(8, 8);
    /// Of a pointer, a count or an `__int3264`.
    pub const WIDE: Self = Self::new(4, 8);
    /// Of an enum that is not `v1_enum`.
    pub const ENUM: Self = Self::new(2, 4);

    /// These alignments, each a power of two.
    pub const fn new(ndr: u8, ndr64: u8) -> Self {
        Self { ndr, ndr64 }
    }

    /// The larger of the two in each syntax.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        Self {
            ndr: larger(self.ndr, other.ndr),
            ndr64: larger(self.ndr64, other.ndr64),
        }
    }

    /// The largest of all in each syntax.
    #[must_use]
    pub const fn of<const N: usize>(parts: [Self; N]) -> Self {
        let mut all = Self::A1;
        let mut rest: &[Self] = &parts;
        while let [first, tail @ ..] = rest {
            all = all.max(*first);
            rest = tail;
        }
        all
    }

    /// The alignment in `syntax`.
    #[inline]
    pub const fn bytes(self, syntax: Syntax) -> u8 {
        // req: msrpce-2.2.5-ndr64
        match syntax {
            Syntax::Ndr => self.ndr,
            Syntax::Ndr64 => self.ndr64,
        }
    }

    /// Bytes to skip at `position` so that it is aligned.
    #[inline]
    pub(crate) fn gap(self, mode: Mode, position: usize) -> usize {
        match mode.packed {
            true => 0,
            false => gap(position, self.bytes(mode.syntax)),
        }
    }
}

/// Bytes from `position` to the next multiple of `align`, a power of two.
#[inline]
pub(crate) fn gap(position: usize, align: u8) -> usize {
    position.wrapping_neg() & usize::from(align).wrapping_sub(1)
}

const fn larger(a: u8, b: u8) -> u8 {
    if a > b { a } else { b }
}
