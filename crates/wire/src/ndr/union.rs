//! Unions: a discriminant and the arm that it chooses.
//!
//! Read first: [C706] section 14.3.8 (unions), MS-RPCE sections 2.2.4.5 (`ms_union`) and
//! 2.2.5.3.4.4 (NDR64). In NDR an arm is aligned by itself; in NDR64, and with `ms_union`, every
//! arm is aligned as the strictest of them.
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm

use crate::error::{DecodeErrorKind, EncodeError, EncodeErrorKind};

use super::array::ANY;
use super::read::Reader;
use super::shape::Shape;
use super::syntax::Align;
use super::value::{Int, Put, Tag, Take, Value};
use super::write::Writer;

/// A union: generated code implements it.
pub trait Union: Default {
    /// The discriminant's type.
    type Tag: Tag;
    /// Its name in the interface.
    const NAME: &'static str;
    /// The strictest alignment of its arms.
    const ARMS: Align;
    /// Whether it is an `ms_union`.
    const MS: bool = false;

    /// The discriminant of the arm that is chosen.
    fn tag(&self) -> Self::Tag;

    /// The arm for `tag`, empty; `None` if there is none.
    fn choose(tag: Self::Tag) -> Option<Self>;

    /// Writes what lies in place of the arm.
    ///
    /// # Errors
    /// What the interface does not allow.
    fn put_arm(&self, w: &mut Writer) -> Put;

    /// Writes what the arm's pointers point at.
    ///
    /// # Errors
    /// What the interface does not allow.
    fn put_arm_referents(&self, _: &mut Writer) -> Put {
        Ok(())
    }

    /// Reads what lies in place of the arm.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn take_arm(&mut self, r: &mut Reader<'_>) -> Take;

    /// Reads what the arm's pointers point at.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn take_arm_referents(&mut self, _: &mut Reader<'_>) -> Take {
        Ok(())
    }
}

/// A union whose discriminant is sent with it; `switch_is` is the number it is made with,
/// [`ANY`] for an encapsulated union.
#[derive(Clone, Copy, Debug)]
pub struct Switch(pub i64);

/// A union of pidl's `nodiscriminant`: what `switch_is` says is all there is.
#[derive(Clone, Copy, Debug)]
pub struct Untagged(pub i64);

impl<U: Union> Shape<U> for Switch {
    const ALIGN: Align = <U::Tag as Value>::ALIGN.max(U::ARMS);
    const MIN: usize = <U::Tag as Value>::MIN;

    fn put(self, it: &U, w: &mut Writer) -> Put {
        // req: c706-14.3.8
        let tag = it.tag();
        check(tag, self.0)?;
        chosen(it, tag)?;
        if w.mode().is_ndr64() {
            w.align(<Self as Shape<U>>::ALIGN);
        }
        tag.put(w)?;
        put_arm(it, w)
    }

    fn put_referents(self, it: &U, w: &mut Writer) -> Put {
        it.put_arm_referents(w)
    }

    fn take(self, it: &mut U, r: &mut Reader<'_>) -> Take {
        if r.mode().is_ndr64() {
            r.align(<Self as Shape<U>>::ALIGN)?;
        }
        let mut tag = U::Tag::default();
        tag.take(r)?;
        let value = tag.int();
        if self.0 != ANY && value != self.0 {
            return Err(r.error(DecodeErrorKind::BadSwitch {
                value,
                expected: self.0,
            }));
        }
        take_arm(it, tag, r)
    }

    fn take_referents(self, it: &mut U, r: &mut Reader<'_>) -> Take {
        it.take_arm_referents(r)
    }

    fn check(self, it: &U) -> Result<(), DecodeErrorKind> {
        let value = it.tag().int();
        match self.0 == ANY || value == self.0 {
            true => Ok(()),
            false => Err(DecodeErrorKind::BadSwitch {
                value,
                expected: self.0,
            }),
        }
    }
}

impl<U: Union> Shape<U> for Untagged {
    const ALIGN: Align = U::ARMS;
    const MIN: usize = 0;

    fn put(self, it: &U, w: &mut Writer) -> Put {
        check(it.tag(), self.0)?;
        chosen(it, it.tag())?;
        put_arm(it, w)
    }

    fn put_referents(self, it: &U, w: &mut Writer) -> Put {
        it.put_arm_referents(w)
    }

    fn take(self, it: &mut U, r: &mut Reader<'_>) -> Take {
        match U::Tag::from_int(self.0) {
            Some(tag) => take_arm(it, tag, r),
            None => Err(no_arm::<U>(self.0, r)),
        }
    }

    fn take_referents(self, it: &mut U, r: &mut Reader<'_>) -> Take {
        it.take_arm_referents(r)
    }
}

fn check(tag: impl Int, expected: i64) -> Put {
    let value = tag.int();
    match expected == ANY || value == expected {
        true => Ok(()),
        false => Err(EncodeError::new(EncodeErrorKind::BadSwitch {
            value,
            expected,
        })),
    }
}

/// Checks that the discriminant that an arm keeps is one that chooses it.
fn chosen<U: Union>(it: &U, tag: U::Tag) -> Put {
    let arm = U::choose(tag).as_ref().map(std::mem::discriminant);
    match arm == Some(std::mem::discriminant(it)) {
        true => Ok(()),
        false => Err(EncodeError::new(EncodeErrorKind::BadDiscriminant {
            name: U::NAME,
            value: tag.int(),
        })),
    }
}

fn put_arm<U: Union>(it: &U, w: &mut Writer) -> Put {
    if U::MS || w.mode().is_ndr64() {
        w.align(U::ARMS);
    }
    it.put_arm(w)
}

fn take_arm<U: Union>(it: &mut U, tag: U::Tag, r: &mut Reader<'_>) -> Take {
    if U::MS || r.mode().is_ndr64() {
        r.align(U::ARMS)?;
    }
    match U::choose(tag) {
        Some(arm) => *it = arm,
        None => return Err(no_arm::<U>(tag.int(), r)),
    }
    it.take_arm(r)
}

#[cold]
fn no_arm<U: Union>(value: i64, r: &Reader<'_>) -> crate::error::DecodeError {
    r.error(DecodeErrorKind::BadDiscriminant {
        name: U::NAME,
        value,
    })
}
