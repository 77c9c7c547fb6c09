//! Universally unique identifiers.
//!
//! Read first: [C706] appendix A (fields and text form). How a
//! UUID lies in a call is said here. Its first three fields are numbers and follow the byte
//! order of the sender; the last eight bytes are bytes. This file makes no new identifiers: that
//! takes a clock or randomness, which a caller brings.
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/apdxa.htm

use std::fmt;
use std::str::FromStr;

/// A universally unique identifier, 16 bytes.
///
/// Kept in the order in which it is written as text, so that sorting is by text.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

/// A text that is not a UUID: five groups of 8, 4, 4, 4 and 12 hexadecimal digits with hyphens
/// between them, braces around it allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUuid;

impl fmt::Display for NotUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a UUID, expected the form 01234567-89ab-cdef-0123-456789abcdef")
    }
}

impl std::error::Error for NotUuid {}

impl Uuid {
    /// All bits zero: no object, no interface.
    pub const NIL: Self = Self([0; 16]);

    /// The identifier with these fields: `time_low`, `time_mid`, `time_hi_and_version`, and the
    /// clock sequence and node as bytes.
    pub const fn new(d1: u32, d2: u16, d3: u16, d4: [u8; 8]) -> Self {
        let [a, b, c, d] = d1.to_be_bytes();
        let [e, f] = d2.to_be_bytes();
        let [g, h] = d3.to_be_bytes();
        let [i, j, k, l, m, n, o, p] = d4;
        Self([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
    }

    /// The four fields, as [`new`](Self::new) takes them.
    pub const fn fields(&self) -> (u32, u16, u16, [u8; 8]) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = self.0;
        (
            u32::from_be_bytes([a, b, c, d]),
            u16::from_be_bytes([e, f]),
            u16::from_be_bytes([g, h]),
            [i, j, k, l, m, n, o, p],
        )
    }

    /// From its bytes as a big-endian sender writes them, which is also the order of the text.
    pub const fn from_bytes_be(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// From its bytes as a little-endian sender writes them.
    pub const fn from_bytes_le(bytes: [u8; 16]) -> Self {
        Self(swapped(bytes))
    }

    /// Its bytes as a big-endian sender writes them.
    pub const fn to_bytes_be(self) -> [u8; 16] {
        self.0
    }

    /// Its bytes as a little-endian sender writes them.
    pub const fn to_bytes_le(self) -> [u8; 16] {
        swapped(self.0)
    }

    /// Whether all bits are zero.
    pub const fn is_nil(&self) -> bool {
        u128::from_be_bytes(self.0) == 0
    }
}

/// The first three fields in the other byte order.
const fn swapped(bytes: [u8; 16]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d1, d2, d3, [a, b, rest @ ..]) = self.fields();
        write!(f, "{d1:08x}-{d2:04x}-{d3:04x}-{a:02x}{b:02x}-")?;
        rest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = NotUuid;

    fn from_str(text: &str) -> Result<Self, NotUuid> {
        let bare = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
        let mut groups = bare.unwrap_or(text).split('-');
        let mut value = 0_u128;
        for width in [8_usize, 4, 4, 4, 12] {
            let group = groups.next().ok_or(NotUuid)?;
            if group.len() != width || !group.bytes().all(|c| c.is_ascii_hexdigit()) {
                return Err(NotUuid);
            }
            let digits = u64::from_str_radix(group, 16).map_err(|_| NotUuid)?;
            let shift = u32::try_from(width.saturating_mul(4)).map_err(|_| NotUuid)?;
            value = value.checked_shl(shift).ok_or(NotUuid)? | u128::from(digits);
        }
        match groups.next() {
            None => Ok(Self(value.to_be_bytes())),
            Some(_) => Err(NotUuid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NDR: Uuid = Uuid::new(
        0x8a88_5d04,
        0x1ceb,
        0x11c9,
        [0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60],
    );
    const TEXT: &str = "8a885d04-1ceb-11c9-9fe8-08002b104860";

    #[test]
    fn text_is_read_and_written() {
        assert_eq!(NDR.to_string(), TEXT);
        assert_eq!(TEXT.parse(), Ok(NDR));
        assert_eq!(format!("{{{}}}", TEXT.to_uppercase()).parse(), Ok(NDR));
        assert_eq!(
            Uuid::NIL.to_string(),
            "00000000-0000-0000-0000-000000000000"
        );
        assert!(Uuid::NIL.is_nil() && !NDR.is_nil());
    }

    #[test]
    fn only_the_first_three_fields_follow_the_byte_order() {
        let little = [
            0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10,
            0x48, 0x60,
        ];
        let big = [
            0x8a, 0x88, 0x5d, 0x04, 0x1c, 0xeb, 0x11, 0xc9, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10,
            0x48, 0x60,
        ];
        assert_eq!(NDR.to_bytes_le(), little);
        assert_eq!(NDR.to_bytes_be(), big);
        assert_eq!(Uuid::from_bytes_le(little), NDR);
        assert_eq!(Uuid::from_bytes_be(big), NDR);
        let (a, b, c, d) = NDR.fields();
        assert_eq!(Uuid::new(a, b, c, d), NDR);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "8a885d04-1ceb-11c9-9fe8-08002b10486",
            "8a885d04-1ceb-11c9-9fe8-08002b1048600",
            "8a885d04-1ceb-11c9-9fe8-08002b104860-",
            "8a885d041ceb11c99fe808002b104860",
            "+a885d04-1ceb-11c9-9fe8-08002b104860",
            "{8a885d04-1ceb-11c9-9fe8-08002b104860",
            "8a885d04-1ceb-11c9-9fe8-08002b10486g",
        ] {
            assert_eq!(text.parse::<Uuid>(), Err(NotUuid), "{text}");
        }
    }
}
