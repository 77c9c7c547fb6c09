//! Context handles and interface pointers.
//!
//! Read first: C706 section 4.2.16.6 (context handles), MS-RPCE section 2.2.4.3 (arrays of them),
//! MS-DCOM section 2.2.14 (`MInterfacePointer`). This file does not look into an OBJREF, and it
//! does not know what stands behind a handle.

use bytes::Bytes;

use crate::uuid::Uuid;

use super::array::{Conformant, hoist};
use super::read::Reader;
use super::shape::{Plain, Shape as _};
use super::syntax::Align;
use super::value::{Put, Take, Value};
use super::write::Writer;

/// A context handle on the wire: 20 bytes in both syntaxes.
///
/// The default is the null handle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ContextHandle {
    /// Attributes; 0 in all deployed peers.
    pub attributes: u32,
    /// What the server knows it by.
    pub uuid: Uuid,
}

impl ContextHandle {
    /// No context.
    pub const NULL: Self = Self {
        attributes: 0,
        uuid: Uuid::NIL,
    };

    /// Whether it is the null handle.
    pub const fn is_null(&self) -> bool {
        self.uuid.is_nil()
    }
}

impl Value for ContextHandle {
    const ALIGN: Align = Align::A4;
    const MIN: usize = 20;
    fn put(&self, w: &mut Writer) -> Put {
        w.u32(self.attributes);
        self.uuid.put(w)
    }
    fn take(&mut self, r: &mut Reader<'_>) -> Take {
        self.attributes = r.u32()?;
        self.uuid.take(r)
    }
}

/// What an interface pointer points at: an OBJREF, as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct InterfacePointer {
    /// The OBJREF.
    pub objref: Bytes,
}

impl Value for InterfacePointer {
    const ALIGN: Align = Align::A4;
    const MIN: usize = 4;
    fn put_counts(&self, w: &mut Writer) -> Put {
        w.align(Align::WIDE);
        w.count(self.objref.len())
    }
    fn put(&self, w: &mut Writer) -> Put {
        let len = u32::try_from(self.objref.len());
        w.u32(len.unwrap_or(u32::MAX));
        w.slice(&self.objref);
        w.trailer(Align::A4);
        Ok(())
    }
    fn take_counts(r: &mut Reader<'_>) -> Take {
        hoist(r)
    }
    fn take(&mut self, r: &mut Reader<'_>) -> Take {
        let len = r.u32()?;
        Conformant(len.into(), Plain).take(&mut self.objref, r)?;
        r.trailer(Align::A4)
    }
}
