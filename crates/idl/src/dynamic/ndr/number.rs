//! Numbers, enums, UUIDs and addresses.

use farcall_wire::ndr::{Align, Order, Put, Reader, Shape, Take, Value as _, Writer};
use farcall_wire::{DecodeError, EncodeError, EncodeErrorKind};

use super::val::Val;
use super::walk::{Dyn, misfit};
use crate::model::ndr::{Base, EnumWidth, ItemKind, Type};

/// A number and its like.
#[derive(Clone, Copy)]
pub(super) struct Scalar<'a>(pub(super) Dyn<'a>);

impl Shape<Val> for Scalar<'_> {
    const ALIGN: Align = Align::A1;
    const MIN: usize = 0;

    fn put(self, it: &Val, w: &mut Writer) -> Put {
        match (self.base(), it) {
            (Number::Uuid, Val::Uuid(it)) => it.put(w),
            (Number::Address(_), Val::Address(it)) => {
                w.align(self.0.layout.align(self.0.defs, self.0.ty));
                w.slice(it);
                Ok(())
            }
            (Number::Float, Val::Float(it)) => {
                w.f32(*it as f32);
                Ok(())
            }
            (Number::Double, Val::Float(it)) => {
                w.f64(*it);
                Ok(())
            }
            (number, it) => number.put(it.number().ok_or_else(misfit)?, w),
        }
    }

    fn take(self, it: &mut Val, r: &mut Reader<'_>) -> Take {
        *it = match self.base() {
            Number::Uuid => {
                let mut uuid = farcall_wire::Uuid::NIL;
                uuid.take(r)?;
                Val::Uuid(uuid)
            }
            Number::Address(n) => {
                r.align(self.0.layout.align(self.0.defs, self.0.ty))?;
                Val::Address(r.slice(n)?.to_vec())
            }
            Number::Float => Val::Float(f64::from(r.f32()?)),
            Number::Double => Val::Float(r.f64()?),
            number => Val::Int(number.take(r)?),
        };
        Ok(())
    }
}

/// How a scalar lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    /// Of so many bytes; signed or not.
    Plain(u8, bool),
    /// Of 8 bytes, aligned to 4; signed or not, the high half first or not.
    Halves(bool, bool),
    /// 2 bytes in NDR, 4 in NDR64.
    Enum,
    /// 4 bytes in NDR, 8 in NDR64.
    Wide(bool),
    Float,
    Double,
    Uuid,
    Address(usize),
}

impl Scalar<'_> {
    fn base(self) -> Number {
        match self.0.defs.on_wire(self.0.ty) {
            Type::Base(base) => of_base(*base),
            Type::Named(id) => match &self.0.defs.item(*id).kind {
                ItemKind::Enum(it) => match it.width {
                    EnumWidth::Bits8 => Number::Plain(1, false),
                    EnumWidth::Bits16 => Number::Plain(2, false),
                    EnumWidth::Default => Number::Enum,
                    EnumWidth::Bits32 => Number::Plain(4, true),
                },
                ItemKind::Bitmap(it) => Number::Plain(it.width / 8, false),
                _ => Number::Plain(4, false),
            },
            _ => Number::Plain(4, false),
        }
    }
}

fn of_base(base: Base) -> Number {
    match base {
        Base::Float => Number::Float,
        Base::Double => Number::Double,
        Base::Uuid => Number::Uuid,
        Base::Ipv4 => Number::Address(4),
        Base::Ipv6 => Number::Address(16),
        Base::Int3264 => Number::Wide(true),
        Base::UInt3264 => Number::Wide(false),
        Base::UInt1632 => Number::Enum,
        Base::DLong => Number::Halves(true, false),
        Base::UDLong => Number::Halves(false, false),
        Base::UDLongR => Number::Halves(false, true),
        base => Number::Plain(base.size(), base.is_signed()),
    }
}

impl Number {
    /// The least and the greatest value in any syntax.
    fn bounds(self) -> (i128, i128) {
        let (bits, signed) = match self {
            Self::Plain(bytes, signed) => (u32::from(bytes) * 8, signed),
            Self::Halves(signed, _) | Self::Wide(signed) => (64, signed),
            _ => (16, false),
        };
        match signed {
            true => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
            false => (0, (1 << bits) - 1),
        }
    }

    fn put(self, value: i128, w: &mut Writer) -> Put {
        let (min, max) = self.bounds();
        // A number may be written as signed or not.
        let signed_too = match self {
            Self::Plain(bytes, true) => value < (1 << (u32::from(bytes) * 8)) && value >= min,
            _ => false,
        };
        if !(min..=max).contains(&value) && !signed_too {
            let kind = EncodeErrorKind::OutOfRange { value, min, max };
            return Err(EncodeError::new(kind));
        }
        match self {
            Self::Plain(1, _) => w.u8(value as u8),
            Self::Plain(2, _) => w.u16(value as u16),
            Self::Plain(4, _) => w.u32(value as u32),
            Self::Enum => w.enum16(value as u16),
            Self::Halves(_, swapped) => {
                w.align(Align::A4);
                let (high, low) = ((value >> 32) as u32, value as u32);
                let little = w.mode().order == Order::Little;
                let first = if little == swapped { high } else { low };
                let second = if little == swapped { low } else { high };
                w.u32(first);
                w.u32(second);
            }
            Self::Wide(_) if !w.mode().is_ndr64() => w.u32(value as u32),
            _ => w.u64(value as u64),
        }
        Ok(())
    }

    fn take(self, r: &mut Reader<'_>) -> Result<i128, DecodeError> {
        Ok(match self {
            Self::Plain(1, true) => r.i8()?.into(),
            Self::Plain(1, false) => r.u8()?.into(),
            Self::Plain(2, true) => r.i16()?.into(),
            Self::Plain(2, false) => r.u16()?.into(),
            Self::Plain(4, true) => r.i32()?.into(),
            Self::Plain(4, false) => r.u32()?.into(),
            Self::Enum => r.enum16()?.into(),
            Self::Halves(signed, swapped) => {
                r.align(Align::A4)?;
                let (first, second) = (r.u32()?, r.u32()?);
                let little = r.mode().order == Order::Little;
                let (high, low) = if little == swapped {
                    (first, second)
                } else {
                    (second, first)
                };
                let whole = u64::from(high) << 32 | u64::from(low);
                if signed {
                    whole.cast_signed().into()
                } else {
                    whole.into()
                }
            }
            Self::Wide(true) if !r.mode().is_ndr64() => r.i32()?.into(),
            Self::Wide(false) if !r.mode().is_ndr64() => r.u32()?.into(),
            Self::Wide(true) | Self::Plain(_, true) => r.i64()?.into(),
            _ => r.u64()?.into(),
        })
    }
}
