//! Serialization: values in bytes of their own, outside any call.
//!
//! Read first: MS-RPCE sections 2.2.6 (version 1: NDR in either byte order) and 2.2.7 (version 2:
//! NDR or NDR64, little-endian). A stream has one common header; each value has a private header
//! that says its length, which [`Unpickler`] takes as the bounds of the value.
//!
//! The parameters of an operation are serialized as a whole: a [`Procedure`] stands in front of them.
//! No specification has its form; it is what MIDL's encoding services write, in little-endian NDR, the only one that is
//! known of them.

use bytes::Bytes;

use crate::cursor::Limits;
use crate::error::{DecodeError, DecodeErrorKind as Kind, EncodeError, EncodeErrorKind};
use crate::uuid::Uuid;

use super::read::Reader;
use super::shape::{Plain, Shape};
use super::syntax::{Align, Order, Syntax};
use super::value::{Put, Value};
use super::write::Writer;

/// NDR's identifier and version, as version 2 writes it.
pub const NDR: (Uuid, u16, u16) = (
    Uuid::new(
        0x8a88_5d04,
        0x1ceb,
        0x11c9,
        [0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60],
    ),
    2,
    0,
);

/// NDR64's identifier and version.
pub const NDR64: (Uuid, u16, u16) = (
    Uuid::new(
        0x7171_0533,
        0xbeba,
        0x4937,
        [0x83, 0x19, 0xb5, 0xdb, 0xef, 0x9c, 0xcc, 0x36],
    ),
    1,
    0,
);

/// What fills reserved fields.
const FILLER: u8 = 0xcc;

/// The endianness byte of little-endian streams; big-endian ones have 0.
const LITTLE: u8 = 0x10;

/// How a stream is serialized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Version 1: NDR.
    One(Order),
    /// Version 2: either syntax, little-endian, for the interface with this identifier and
    /// version.
    Two(Syntax, (Uuid, u16, u16)),
}

impl Version {
    fn mode(self) -> (Syntax, Order) {
        match self {
            Self::One(order) => (Syntax::Ndr, order),
            Self::Two(syntax, _) => (syntax, Order::Little),
        }
    }

    /// What headers and values are aligned to.
    fn unit(self) -> usize {
        match self {
            Self::One(_) => 8,
            Self::Two(..) => 16,
        }
    }
}

/// Writes a stream of values.
#[derive(Debug)]
pub struct Pickler {
    version: Version,
    bytes: Vec<u8>,
}

impl Pickler {
    /// A stream with its common header.
    pub fn new(version: Version) -> Self {
        let mut bytes = Vec::new();
        match version {
            Version::One(order) => {
                let endianness = if order == Order::Little { LITTLE } else { 0 };
                bytes.extend([1, endianness, 8, 0, FILLER, FILLER, FILLER, FILLER]);
            }
            Version::Two(syntax, interface) => {
                // req: msrpce-2.2.7
                bytes.extend([2, LITTLE, 0x40, 0]);
                bytes.extend([FILLER; 20]);
                let transfer = match syntax {
                    Syntax::Ndr => NDR,
                    Syntax::Ndr64 => NDR64,
                };
                for (uuid, major, minor) in [transfer, interface] {
                    bytes.extend(uuid.to_bytes_le());
                    bytes.extend(major.to_le_bytes());
                    bytes.extend(minor.to_le_bytes());
                }
            }
        }
        Self { version, bytes }
    }

    /// Appends a constructed value, behind a private header.
    ///
    /// # Errors
    /// What the interface does not allow.
    pub fn put<T: Default, S: Shape<T>>(&mut self, shape: S, value: &T) -> Put {
        // req: msrpce-2.2.6.2
        let (syntax, order) = self.version.mode();
        let mut w = Writer::new(syntax, order);
        shape.put_whole(value, &mut w)?;
        let body = w.into_bytes();
        let len = body.len().next_multiple_of(self.version.unit());
        let len = u32::try_from(len).map_err(|_| EncodeError::new(EncodeErrorKind::TooLarge))?;
        self.bytes.extend(match order {
            Order::Little => len.to_le_bytes(),
            Order::Big => len.to_be_bytes(),
        });
        self.fill();
        self.bytes.extend(body);
        self.fill();
        Ok(())
    }

    /// Appends a primitive value: version 1 has no private header for it.
    ///
    /// # Errors
    /// What the interface does not allow.
    pub fn put_primitive<T: Value>(&mut self, value: &T) -> Put {
        self.put_bare(Plain, value)
    }

    /// As [`put_primitive`](Self::put_primitive), for a primitive value that has a shape.
    ///
    /// # Errors
    /// What the interface does not allow.
    pub fn put_bare<T: Default, S: Shape<T>>(&mut self, shape: S, value: &T) -> Put {
        // req: msrpce-2.2.6.3
        if let Version::Two(..) = self.version {
            return self.put(shape, value);
        }
        let (syntax, order) = self.version.mode();
        let mut w = Writer::new(syntax, order);
        shape.put(value, &mut w)?;
        self.bytes.extend(w.into_bytes());
        self.fill();
        Ok(())
    }

    /// Zeros up to the unit.
    fn fill(&mut self) {
        let len = self.bytes.len().next_multiple_of(self.version.unit());
        self.bytes.resize(len, 0);
    }

    /// The stream.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads a stream of values.
#[derive(Debug)]
pub struct Unpickler<'a> {
    version: Version,
    bytes: &'a [u8],
    position: usize,
    limits: Limits,
}

impl<'a> Unpickler<'a> {
    /// A stream, its common header read.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated), [`Invalid`](Kind::Invalid) for a header that is not of
    /// version 1 or 2.
    pub fn new(bytes: &'a [u8], limits: Limits) -> Result<Self, DecodeError> {
        let mut r = Reader::with_limits(bytes, Syntax::Ndr, Order::Little, limits);
        let [version, endianness] = *r.array()?;
        let len = r.u16()?;
        let version = match (version, endianness, len) {
            (1, LITTLE, 8) => Version::One(Order::Little),
            (1, 0, 8) => Version::One(Order::Big),
            (2, LITTLE, 0x40) => {
                r.slice(20)?;
                let syntax = match identifier(&mut r)? {
                    NDR => Syntax::Ndr,
                    NDR64 => Syntax::Ndr64,
                    _ => return Err(r.error(Kind::Invalid("unknown transfer syntax"))),
                };
                Version::Two(syntax, identifier(&mut r)?)
            }
            _ => return Err(r.error(Kind::Invalid("not a type serialization header"))),
        };
        let position = usize::from(len);
        r.slice(position.saturating_sub(r.position()))?;
        Ok(Self {
            version,
            bytes,
            position,
            limits,
        })
    }

    /// How the stream is serialized.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether all values were read.
    pub fn is_at_end(&self) -> bool {
        self.position >= self.bytes.len()
    }

    /// The next constructed value.
    ///
    /// # Errors
    /// What is wrong with the bytes; offsets count from the value's first byte.
    pub fn take<T: Default, S: Shape<T>>(&mut self, shape: S) -> Result<T, DecodeError> {
        let (syntax, order) = self.version.mode();
        let header = self.run(self.version.unit())?;
        let mut r = Reader::new(header, Syntax::Ndr, order);
        let len = u64::from(r.u32()?);
        let body = self.run(r.length(len)?)?;
        let mut r = Reader::with_limits(body, syntax, order, self.limits);
        shape.read(&mut r)
    }

    /// The next primitive value.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn take_primitive<T: Value>(&mut self) -> Result<T, DecodeError> {
        self.take_bare(Plain)
    }

    /// The next primitive value, which has a shape.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn take_bare<T: Default, S: Shape<T>>(&mut self, shape: S) -> Result<T, DecodeError> {
        if let Version::Two(..) = self.version {
            return self.take(shape);
        }
        let (syntax, order) = self.version.mode();
        let body = self.run(self.version.unit())?;
        let mut r = Reader::with_limits(body, syntax, order, self.limits);
        shape.read(&mut r)
    }

    /// Says that the stream ends here.
    ///
    /// # Errors
    /// [`TrailingBytes`](Kind::TrailingBytes) if there is another value.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.bytes.len().saturating_sub(self.position) {
            0 => Ok(()),
            left => Err(DecodeError::new(Kind::TrailingBytes(left), self.position)),
        }
    }

    fn run(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        match rest.get(..len) {
            Some(run) => {
                self.position = self.position.saturating_add(len);
                Ok(run)
            }
            None => Err(DecodeError::new(
                Kind::Truncated {
                    needed: len,
                    available: rest.len(),
                },
                self.position,
            )),
        }
    }
}

fn identifier(r: &mut Reader<'_>) -> Result<(Uuid, u16, u16), DecodeError> {
    r.align(Align::A4)?;
    Ok((Plain.read(r)?, r.u16()?, r.u16()?))
}

/// One value as a stream of version 1 in little-endian: what most formats embed.
///
/// # Errors
/// What the interface does not allow.
pub fn to_bytes<T: Value>(value: &T) -> Result<Bytes, EncodeError> {
    let mut pickler = Pickler::new(Version::One(Order::Little));
    pickler.put(Plain, value)?;
    Ok(pickler.into_bytes().into())
}

/// The one value of a stream of either version.
///
/// # Errors
/// What is wrong with the bytes, another value behind it included.
pub fn from_bytes<T: Value>(bytes: &[u8], limits: Limits) -> Result<T, DecodeError> {
    let mut unpickler = Unpickler::new(bytes, limits)?;
    let value = unpickler.take(Plain)?;
    unpickler.finish()?;
    Ok(value)
}

/// Which operation's parameters are serialized: what stands in front of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Procedure {
    /// The interface's identifier and version.
    pub interface: (Uuid, u16, u16),
    /// The operation's number.
    pub number: u32,
}

/// Bytes of a procedure's header: version and order, filler, two identifiers, the number, what is always
/// 1, the length.
const PROCEDURE: usize = 2 + 2 + 20 + 20 + 4 + 4 + 4;

/// The first two bytes of a procedure's header: the version, and that integers are little-endian.
const PROCEDURE_VERSION: [u8; 2] = [1, 1];

impl Procedure {
    /// Serializes the parameters that `put` writes.
    ///
    /// # Errors
    /// What the interface does not allow.
    pub fn to_bytes(self, put: impl FnOnce(&mut Writer) -> Put) -> Result<Vec<u8>, EncodeError> {
        // req: idl-encode-procedure
        let mut w = Writer::new(Syntax::Ndr, Order::Little);
        put(&mut w)?;
        let mut body = w.into_bytes();
        body.resize(body.len().next_multiple_of(8), 0);
        let len = u32::try_from(body.len());
        let len = len.map_err(|_| EncodeError::new(EncodeErrorKind::TooLarge))?;
        let mut bytes = Vec::with_capacity(PROCEDURE.saturating_add(body.len()));
        bytes.extend(PROCEDURE_VERSION);
        bytes.extend([FILLER; 2]);
        for (uuid, major, minor) in [NDR, self.interface] {
            bytes.extend(uuid.to_bytes_le());
            bytes.extend(major.to_le_bytes());
            bytes.extend(minor.to_le_bytes());
        }
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(len.to_le_bytes());
        bytes.extend(body);
        Ok(bytes)
    }

    /// Reads the parameters with `take`. Fewer than eight bytes may be left behind them.
    ///
    /// # Errors
    /// What is wrong with the bytes; [`Invalid`](Kind::Invalid) for another procedure.
    pub fn from_bytes<T>(
        self,
        bytes: &[u8],
        limits: Limits,
        take: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let mut r = Reader::with_limits(bytes, Syntax::Ndr, Order::Little, limits);
        let version = r.array()?;
        if *version != PROCEDURE_VERSION {
            return Err(r.error(Kind::Invalid("not a procedure serialization header")));
        }
        r.slice(2)?;
        if identifier(&mut r)? != NDR {
            return Err(r.error(Kind::Invalid("unknown transfer syntax")));
        }
        if identifier(&mut r)? != self.interface || r.u32()? != self.number {
            return Err(r.error(Kind::Invalid("parameters of another procedure")));
        }
        r.u32()?;
        let len = u64::from(r.u32()?);
        let len = r.length(len)?;
        let body = r.slice(len)?;
        r.finish()?;
        let mut r = Reader::with_limits(body, Syntax::Ndr, Order::Little, limits);
        let value = take(&mut r)?;
        match body.len().saturating_sub(r.position()) {
            0..8 => Ok(value),
            left => Err(r.error(Kind::TrailingBytes(left))),
        }
    }
}
