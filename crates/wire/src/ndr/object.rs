//! What stands in front of the arguments and the results of an object's methods.
//!
//! Read first: MS-DCOM sections 2.2.13.1 to 2.2.13.4 (`ORPC_EXTENT`, `ORPC_EXTENT_ARRAY`, `ORPCTHIS`,
//! `ORPCTHAT`). Generated code of interfaces with `object` writes and skips them. This file knows nothing of OBJREFs, and
//! does not make causality identifiers: it has no random numbers.

use bytes::Bytes;

use crate::error::{At as _, DecodeError, DecodeErrorKind};
use crate::uuid::Uuid;

use super::read::Reader;
use super::syntax::Align;
use super::value::{Put, Value as _};
use super::write::Writer;

/// The version of the object protocol that we speak: 5.7.
const VERSION: (u16, u16) = (5, 7);

/// `ORPCTHIS`, in front of a method's arguments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrpcThis {
    /// Major and minor version; 5.7 by default.
    pub version: (u16, u16),
    /// 0 for a remote client.
    pub flags: u32,
    /// Which causality the call belongs to: what a client makes for a call, and its server passes on in the calls it makes.
    pub cid: Uuid,
    /// Extensions; none is a null pointer.
    pub extensions: Vec<OrpcExtent>,
}

impl Default for OrpcThis {
    fn default() -> Self {
        Self {
            version: VERSION,
            flags: 0,
            cid: Uuid::NIL,
            extensions: Vec::new(),
        }
    }
}

/// `ORPCTHAT`, in front of a method's results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OrpcThat {
    /// 0 from a remote server.
    pub flags: u32,
    /// Extensions; none is a null pointer.
    pub extensions: Vec<OrpcExtent>,
}

/// `ORPC_EXTENT`: an extension.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OrpcExtent {
    /// What it is.
    pub id: Uuid,
    /// What it says; on the wire it is filled up to a multiple of 8 bytes.
    pub data: Bytes,
}

impl OrpcThis {
    /// Writes it with all that belongs to it.
    ///
    /// # Errors
    /// An extension over 4 GiB.
    pub fn put(&self, w: &mut Writer) -> Put {
        // req: msdcom-2.2.13.3
        w.align(Align::WIDE);
        w.u16(self.version.0);
        w.u16(self.version.1);
        w.u32(self.flags);
        w.u32(0);
        self.cid.put(w)?;
        put_extents(&self.extensions, w).at("extensions")
    }

    /// Reads it with all that belongs to it.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn take(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.align(Align::WIDE)?;
        let version = (r.u16()?, r.u16()?);
        let flags = r.u32()?;
        r.u32()?;
        let mut cid = Uuid::NIL;
        cid.take(r)?;
        let extensions = take_extents(r).at("extensions")?;
        Ok(Self {
            version,
            flags,
            cid,
            extensions,
        })
    }
}

impl OrpcThat {
    /// Writes it with all that belongs to it.
    ///
    /// # Errors
    /// An extension over 4 GiB.
    pub fn put(&self, w: &mut Writer) -> Put {
        w.align(Align::WIDE);
        w.u32(self.flags);
        put_extents(&self.extensions, w).at("extensions")
    }

    /// Reads it with all that belongs to it.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn take(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.align(Align::WIDE)?;
        let flags = r.u32()?;
        let extensions = take_extents(r).at("extensions")?;
        Ok(Self { flags, extensions })
    }
}

/// The pointer to an `ORPC_EXTENT_ARRAY`, and that.
fn put_extents(extents: &[OrpcExtent], w: &mut Writer) -> Put {
    w.referent(!extents.is_empty())?;
    if extents.is_empty() {
        return Ok(());
    }
    w.align(Align::WIDE);
    w.u32(u32::try_from(extents.len()).unwrap_or(u32::MAX));
    w.u32(0);
    w.referent(true)?;
    // There are as many pointers as the next even number.
    let room = extents.len().next_multiple_of(2);
    w.align(Align::WIDE);
    w.count(room)?;
    for at in 0..room {
        w.referent(at < extents.len())?;
    }
    let mut each = extents.iter().enumerate();
    each.try_for_each(|(at, extent)| put_extent(extent, w).at_index(at))
}

fn put_extent(extent: &OrpcExtent, w: &mut Writer) -> Put {
    let room = extent.data.len().next_multiple_of(8);
    w.align(Align::WIDE);
    w.count(room)?;
    extent.id.put(w)?;
    w.u32(u32::try_from(extent.data.len()).unwrap_or(u32::MAX));
    w.slice(&extent.data);
    w.zeros(room.saturating_sub(extent.data.len()));
    Ok(())
}

fn take_extents(r: &mut Reader<'_>) -> Result<Vec<OrpcExtent>, DecodeError> {
    if !r.referent()? {
        return Ok(Vec::new());
    }
    r.align(Align::WIDE)?;
    let size = u64::from(r.u32()?);
    r.u32()?;
    if !r.referent()? {
        return Ok(Vec::new());
    }
    let room = r.wide()?;
    r.agree(room, even(size))?;
    let room = r.length(room)?;
    r.expect(room, 4, size_of::<OrpcExtent>())?;
    let mut present = 0_usize;
    for _ in 0..room {
        present = present.saturating_add(usize::from(r.referent()?));
    }
    let mut extents = Vec::new();
    for at in 0..present {
        extents.push(take_extent(r).at_index(at)?);
    }
    Ok(extents)
}

/// The next even number.
fn even(size: u64) -> i64 {
    i64::try_from(size.next_multiple_of(2)).unwrap_or(i64::MAX)
}

fn take_extent(r: &mut Reader<'_>) -> Result<OrpcExtent, DecodeError> {
    let room = r.wide()?;
    let mut id = Uuid::NIL;
    id.take(r)?;
    let size = r.u32()?;
    if u64::from(size).next_multiple_of(8) != room {
        return Err(r.error(DecodeErrorKind::BadCount {
            count: room,
            expected: i64::from(size),
        }));
    }
    let data = r.bytes(r.length(room)?)?;
    let data = data.slice(..data.len().min(usize::try_from(size).unwrap_or(usize::MAX)));
    Ok(OrpcExtent { id, data })
}
