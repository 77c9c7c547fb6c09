//! What generated code of an interface (`.idl`) stands on at the server: the operations that it
//! dispatches to, and the reply into which a result is packed.
//!
//! Application code meets none of it. The asynchronous code of a service exists once, in `work`;
//! a stub is a `match` over synchronous codecs. What this file does not do: it knows neither
//! PDUs nor associations, which [`farcall_dce`] does.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use farcall_wire::{EncodeError, ndr};

use crate::call::{Call, Refuse};
use crate::interface::{Interface, Operation};

/// What generated code makes of a server trait of an interface: decode, run, encode.
pub trait Operations: Send + Sync + 'static {
    /// The interface it serves.
    fn interface(&self) -> &'static Interface;

    /// Decodes the arguments of `call`, runs its operation and encodes the result into `reply`.
    ///
    /// # Errors
    /// The refusal that the caller is told instead of a result.
    fn call(
        &self,
        call: &Call,
        arguments: &mut ndr::Reader<'_>,
        reply: &mut NdrReply<'_>,
    ) -> impl Future<Output = Result<(), Refuse>> + Send;
}

/// Where a result is packed, in the syntax and byte order of the call.
#[derive(Debug)]
pub struct NdrReply<'a> {
    call: &'a Call,
    written: bool,
}

impl NdrReply<'_> {
    /// Packs the result. It is called once.
    ///
    /// # Errors
    /// [`Refuse::SystemErr`] if the result breaks a bound of the interface; nothing is packed
    /// then.
    pub fn encode(
        &mut self,
        encode: impl FnOnce(&mut ndr::Writer) -> Result<(), EncodeError>,
    ) -> Result<(), Refuse> {
        self.written = true;
        let mut writer = ndr::Writer::new(ndr::Syntax::Ndr, ndr::Order::Little);
        encode(&mut writer)?;
        Ok(())
    }
}

/// A service as a server keeps it.
trait Erased: Send + Sync {}

struct Kept<S>(#[allow(dead_code)] S);

impl<S: Operations> Erased for Kept<S> {}

/// A service of an interface, as a server keeps it.
#[derive(Clone)]
pub(crate) struct Exported {
    #[allow(dead_code)]
    service: Arc<dyn Erased>,
    interface: &'static Interface,
    blocking: Vec<u16>,
}

impl Exported {
    /// Wraps a stub's service, with the operation properties that the interface file declares.
    pub(crate) fn new<S: Operations>(service: S) -> Self {
        let interface = service.interface();
        let blocking = |operation: &&Operation| operation.blocking;
        let numbers = interface.operations.iter().filter(blocking);
        Self {
            blocking: numbers.map(|operation| operation.opnum).collect(),
            service: Arc::new(Kept(service)),
            interface,
        }
    }

    /// The interface it serves.
    pub(crate) fn interface(&self) -> &'static Interface {
        self.interface
    }

    /// Runs these operations on the pool too.
    pub(crate) fn blocking(&mut self, operations: &[u32]) {
        let numbers = operations.iter().filter_map(|n| u16::try_from(*n).ok());
        self.blocking.extend(numbers);
    }
}

impl fmt::Debug for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registered({})", self.interface)
    }
}
