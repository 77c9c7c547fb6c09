//! Fields of a PDU in its sender's byte order: read with bounds, written without.

use crate::syntax::{Order, SyntaxId, Uuid};
use farcall_wire::{DecodeError, DecodeErrorKind as Kind, Reader};

/// Reads fields; knows its offset from the start of what it was made over.
pub(crate) struct Input<'a> {
    reader: Reader<'a>,
    order: Order,
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8], order: Order) -> Self {
        Self {
            reader: Reader::new(bytes),
            order,
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        let [byte] = *self.reader.array::<1>()?;
        Ok(byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16_of(*self.reader.array()?, self.order))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32_of(*self.reader.array()?, self.order))
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        let bytes = *self.reader.array::<16>()?;
        Ok(uuid_of(bytes, self.order))
    }

    pub(crate) fn syntax(&mut self) -> Result<SyntaxId, DecodeError> {
        let uuid = self.uuid()?;
        Ok(SyntaxId::with_version(uuid, self.u32()?))
    }

    pub(crate) fn slice(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        self.reader.slice(n)
    }

    /// Skips to the next multiple of four from where the reader began.
    pub(crate) fn align4(&mut self) -> Result<(), DecodeError> {
        self.slice(farcall_wire::cursor::pad_len(self.reader.position()))
            .map(|_| ())
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.reader.rest()
    }

    pub(crate) fn invalid(&self, what: &'static str) -> DecodeError {
        self.reader.error(Kind::Invalid(what))
    }
}

/// Appends fields.
pub(crate) struct Output<'a> {
    pub(crate) bytes: &'a mut Vec<u8>,
    pub(crate) order: Order,
}

impl Output<'_> {
    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&u16_as(value, self.order));
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&u32_as(value, self.order));
    }

    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.bytes.extend_from_slice(&uuid_as(value, self.order));
    }

    pub(crate) fn syntax(&mut self, value: &SyntaxId) {
        self.uuid(value.uuid);
        self.u32(value.version());
    }

    pub(crate) fn zeros(&mut self, n: usize) {
        self.bytes.resize(self.bytes.len().saturating_add(n), 0);
    }

    /// Pads to a multiple of four from offset `start`.
    pub(crate) fn align4(&mut self, start: usize) {
        let len = self.bytes.len().saturating_sub(start);
        self.zeros(farcall_wire::cursor::pad_len(len));
    }
}

#[inline]
pub(crate) fn u16_of(bytes: [u8; 2], order: Order) -> u16 {
    match order {
        Order::Little => u16::from_le_bytes(bytes),
        Order::Big => u16::from_be_bytes(bytes),
    }
}

#[inline]
pub(crate) fn u32_of(bytes: [u8; 4], order: Order) -> u32 {
    match order {
        Order::Little => u32::from_le_bytes(bytes),
        Order::Big => u32::from_be_bytes(bytes),
    }
}

#[inline]
pub(crate) fn u16_as(value: u16, order: Order) -> [u8; 2] {
    match order {
        Order::Little => value.to_le_bytes(),
        Order::Big => value.to_be_bytes(),
    }
}

#[inline]
pub(crate) fn u32_as(value: u32, order: Order) -> [u8; 4] {
    match order {
        Order::Little => value.to_le_bytes(),
        Order::Big => value.to_be_bytes(),
    }
}

pub(crate) fn uuid_of(bytes: [u8; 16], order: Order) -> Uuid {
    match order {
        Order::Little => Uuid::from_bytes_le(bytes),
        Order::Big => Uuid::from_bytes_be(bytes),
    }
}

pub(crate) fn uuid_as(value: Uuid, order: Order) -> [u8; 16] {
    match order {
        Order::Little => value.to_bytes_le(),
        Order::Big => value.to_bytes_be(),
    }
}

/// A 16-bit length of the wire in memory.
#[inline]
pub(crate) fn widen(len: u16) -> usize {
    usize::from(len)
}

/// A length as an `alloc_hint`, which is only a hint.
#[inline]
pub(crate) fn hint(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
