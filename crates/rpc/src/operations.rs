//! What generated code of an interface (`.idl`) stands on at the server: the operations that it
//! dispatches to, and the reply into which a result is packed.
//!
//! Application code meets none of it. The asynchronous code of a service exists once, in `work`;
//! a stub is a `match` over synchronous codecs. What this file does not do: it knows neither
//! PDUs nor associations, which [`farcall_dce`] does.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use farcall_dce::co::server::Floor;
use farcall_dce::security::AuthLevel;
use farcall_dce::status;
use farcall_wire::{EncodeError, Limits as WireLimits, ndr};
use futures_util::future::BoxFuture;
use tokio_util::sync::ReusableBoxFuture;
use tracing::Instrument;

use crate::association;
use crate::call::{Call, Refuse};
use crate::interface::{Interface, Operation};
use crate::steps::step::Step;

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
    sink: Sink<'a>,
    written: bool,
}

#[derive(Debug)]
enum Sink<'a> {
    /// The turn of the association that is being polled.
    Turn,
    /// The stub alone, for whoever carries it on.
    Own(&'a mut Vec<u8>),
}

impl NdrReply<'_> {
    /// Packs the result. It is called once.
    ///
    /// # Errors
    /// [`Refuse::SystemErr`] if the result breaks a bound of the interface; nothing is packed
    /// then.
    #[inline]
    pub fn encode(
        &mut self,
        encode: impl FnOnce(&mut ndr::Writer) -> Result<(), EncodeError>,
    ) -> Result<(), Refuse> {
        self.call.mark(Step::ProcedureReturns);
        let invoked = self.call.invoked()?;
        match &mut self.sink {
            Sink::Turn => association::with(|turn| turn.pack(invoked, encode))?,
            Sink::Own(stub) => {
                let order = invoked.to.order;
                let mut writer =
                    ndr::Writer::append_to(std::mem::take(stub), invoked.syntax, order);
                encode(&mut writer)?;
                **stub = writer.into_bytes();
            }
        }
        self.written = true;
        Ok(())
    }

    /// Gives a result that is packed already.
    pub(crate) fn put(&mut self, packed: &[u8]) -> Result<(), Refuse> {
        self.call.mark(Step::ProcedureReturns);
        let invoked = self.call.invoked()?;
        match &mut self.sink {
            Sink::Turn => association::with(|turn| match invoked.maybe {
                true => turn.end(&invoked.to),
                false => turn.reply(&invoked.to, packed),
            }),
            Sink::Own(stub) => stub.extend_from_slice(packed),
        }
        self.written = true;
        Ok(())
    }
}

/// Ends a call: what its reply lacks is said now.
fn finish(call: &Call, written: bool, result: Result<(), Refuse>) {
    let Ok(invoked) = call.invoked() else { return };
    let why = match result {
        Ok(()) if written => return packed(call),
        Ok(()) => {
            tracing::error!(
                operation = call.procedure_name(),
                "service returned no result"
            );
            status::UNSPEC
        }
        Err(_) if invoked.maybe => return unanswered(call),
        Err(Refuse::NoReply) => return unanswered(call),
        Err(refuse) => {
            note(call, &refuse);
            refuse.status()
        }
    };
    let executed = why != status::OP_RNG_ERROR;
    association::with(|turn| turn.fault(&invoked.to, why, executed));
    packed(call);
}

/// Refuses a call whose operation has not begun.
fn refuse(call: &Call, refuse: &Refuse) {
    tracing::debug!(operation = call.procedure_name(), peer = %call.peer(), %refuse, "call refused");
    let Ok(invoked) = call.invoked() else { return };
    association::with(|turn| match invoked.maybe {
        true => turn.end(&invoked.to),
        false => turn.fault(&invoked.to, refuse.status(), false),
    });
    packed(call);
}

/// Tells a sample that its reply is the last thing in the current turn.
#[inline]
fn packed(call: &Call) {
    if let Some(sample) = &call.sample {
        association::with(|turn| sample.packed(turn.out.len()));
    }
}

/// Ends a call that gets no reply.
fn unanswered(call: &Call) {
    if let Ok(invoked) = call.invoked() {
        association::with(|turn| turn.end(&invoked.to));
    }
    if let Some(sample) = &call.sample {
        sample.unanswered();
    }
}

/// Tells the log what the caller is not told.
fn note(call: &Call, refuse: &Refuse) {
    if let Refuse::SystemErr(why) = refuse {
        let operation = call.procedure_name();
        tracing::warn!(operation, peer = %call.peer(), why, "call failed");
    }
}

/// A worker of a service, at rest or in an operation; its memory is used again.
pub(crate) type Slot = ReusableBoxFuture<'static, ()>;

/// A service as a server keeps it.
trait Erased: Send + Sync {
    /// Sets `slot` to work on the calls for this service in the current turn.
    fn work(self: Arc<Self>, plan: Plan, slot: &mut Slot);
    /// Runs one call away from any turn and returns its result's bytes.
    fn alone(
        self: Arc<Self>,
        call: Call,
        arguments: Bytes,
        limits: WireLimits,
    ) -> BoxFuture<'static, Result<Vec<u8>, Refuse>>;
}

struct Kept<S>(S);

/// A question that is asked before each call.
pub(crate) type Hook = Arc<dyn Fn(&Call) -> Result<(), Refuse> + Send + Sync>;

/// How a service's calls are run in one server.
#[derive(Clone)]
pub(crate) struct Plan {
    /// The service's place in the server's list.
    pub(crate) index: usize,
    /// What decoding may cost.
    pub(crate) limits: WireLimits,
    /// Operations that run on the pool; most services have none.
    blocking: Option<Arc<[u16]>>,
    /// The only operations that callers who proved nothing may call, if not all are alike.
    anonymous: Option<Arc<[u16]>>,
    // req: dce-access-per-call
    /// Asked before each call.
    authorize: Option<Hook>,
}

impl Plan {
    #[inline]
    fn is_blocking(&self, opnum: u16) -> bool {
        self.blocking
            .as_ref()
            .is_some_and(|list| list.contains(&opnum))
    }

    // req: dce-access-anonymous
    /// Whether this call may be run.
    #[inline]
    fn admits(&self, call: &Call) -> Result<(), Refuse> {
        if let Some(open) = &self.anonymous
            && call.is_anonymous()
            && !open.contains(&call.opnum())
            && exists(call)
        {
            return Err(Refuse::Fault(status::ACCESS_DENIED));
        }
        self.authorize.as_ref().map_or(Ok(()), |ask| ask(call))
    }
}

/// Whether the interface has the operation that is called. What it has not is out of range for everybody.
fn exists(call: &Call) -> bool {
    let operations = call.interface().map_or(&[][..], |called| called.operations);
    operations
        .iter()
        .any(|operation| operation.opnum == call.opnum())
}

impl<S: Operations> Erased for Kept<S> {
    fn work(self: Arc<Self>, plan: Plan, slot: &mut Slot) {
        slot.set(work(self, plan));
    }

    fn alone(
        self: Arc<Self>,
        call: Call,
        arguments: Bytes,
        limits: WireLimits,
    ) -> BoxFuture<'static, Result<Vec<u8>, Refuse>> {
        Box::pin(async move { run_alone(&self.0, &call, &arguments, limits).await })
    }
}

/// Runs the calls that the current turn holds for this service, until there is none left.
async fn work<S: Operations>(kept: Arc<Kept<S>>, plan: Plan) {
    let interface = kept.0.interface();
    let mut holding = None;
    while let Some(range) = association::next(plan.index, interface, &mut holding) {
        let Some(held) = &holding else { return };
        if let Err(why) = plan.admits(&held.call) {
            refuse(&held.call, &why);
            continue;
        }
        if plan.is_blocking(held.call.opnum()) {
            elsewhere(&kept, &held.call, held.bytes.slice(range), plan.limits).await;
            continue;
        }
        let (written, result) = {
            let part = held.bytes.get(range).unwrap_or_default();
            let mut arguments = reader(&held.call, &held.bytes, part, plan.limits);
            let mut reply = NdrReply {
                call: &held.call,
                sink: Sink::Turn,
                written: false,
            };
            let result = match is_heard() {
                false => kept.0.call(&held.call, &mut arguments, &mut reply).await,
                true => heard(&kept.0, &held.call, &mut arguments, &mut reply).await,
            };
            (reply.written, result)
        };
        finish(&held.call, written, result);
    }
}

fn reader<'a>(
    call: &Call,
    bytes: &'a Bytes,
    part: &'a [u8],
    limits: WireLimits,
) -> ndr::Reader<'a> {
    let (syntax, order) = match call.invoked() {
        Ok(invoked) => (invoked.syntax, invoked.to.order),
        Err(_) => Default::default(),
    };
    ndr::Reader::shared(bytes, part, syntax, order, limits)
}

/// Whether somebody listens at level debug; asked for each call, as for programs.
#[inline]
fn is_heard() -> bool {
    tracing::enabled!(tracing::Level::DEBUG)
}

/// Serves a call within a span.
#[cold]
fn heard<'a, S: Operations>(
    service: &'a S,
    call: &'a Call,
    arguments: &'a mut ndr::Reader<'_>,
    reply: &'a mut NdrReply<'_>,
) -> BoxFuture<'a, Result<(), Refuse>> {
    let span = tracing::debug_span!(
        "serve",
        procedure = call.procedure_name(),
        xid = call.xid(),
        peer = %call.peer(),
        principal = call.principal().map(tracing::field::display),
        level = %call.auth_level(),
    );
    let serving = async move { service.call(call, arguments, reply).await };
    Box::pin(serving.instrument(span))
}

/// Runs one call to its end with its own reply.
async fn run_alone<S: Operations>(
    service: &S,
    call: &Call,
    arguments: &Bytes,
    limits: WireLimits,
) -> Result<Vec<u8>, Refuse> {
    let mut stub = Vec::new();
    let mut arguments = reader(call, arguments, arguments, limits);
    let mut reply = NdrReply {
        call,
        sink: Sink::Own(&mut stub),
        written: false,
    };
    match is_heard() {
        false => service.call(call, &mut arguments, &mut reply).await?,
        true => heard(service, call, &mut arguments, &mut reply).await?,
    }
    Ok(stub)
}

/// Runs one call on the pool for blocking work and answers it when it is done.
async fn elsewhere<S: Operations>(
    kept: &Arc<Kept<S>>,
    call: &Call,
    arguments: Bytes,
    limits: WireLimits,
) {
    let (kept, theirs) = (Arc::clone(kept), call.clone());
    let runtime = tokio::runtime::Handle::current();
    let running = tokio::task::spawn_blocking(move || {
        runtime.block_on(run_alone(&kept.0, &theirs, &arguments, limits))
    });
    let result = running
        .await
        .unwrap_or_else(|_| Err(Refuse::SystemErr("it panicked".into())));
    let result = result.and_then(|stub| {
        let invoked = call.invoked()?;
        association::with(|turn| match invoked.maybe {
            true => turn.end(&invoked.to),
            false => turn.reply(&invoked.to, &stub),
        });
        Ok(())
    });
    finish(call, result.is_ok(), result);
}

/// A service of an interface, as a server keeps it.
#[derive(Clone)]
pub(crate) struct Exported {
    service: Arc<dyn Erased>,
    interface: &'static Interface,
    blocking: Vec<u16>,
    /// Who may call without proving anything; the server's default if it is not said.
    anonymous: Option<Anonymous>,
    /// The lowest level of those who prove something; the server's default if it is not said.
    floor: Option<AuthLevel>,
}

/// What callers who prove nothing may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Anonymous {
    /// Nothing.
    #[default]
    Nothing,
    /// These operations.
    Some(Vec<u16>),
    /// All operations.
    All,
}

/// Who may call, where a service does not say.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) anonymous: Anonymous,
    pub(crate) floor: AuthLevel,
}

impl Default for Access {
    /// Nobody without proof, and with proof at integrity or better.
    fn default() -> Self {
        Self {
            anonymous: Anonymous::Nothing,
            floor: AuthLevel::INTEGRITY,
        }
    }
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
            anonymous: None,
            floor: None,
        }
    }

    /// Puts another service in place of this one, with the same properties.
    pub(crate) fn replace<S: Operations>(&mut self, service: S) {
        self.service = Arc::new(Kept(service));
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

    /// Says what callers who prove nothing may call.
    pub(crate) fn allow(&mut self, anonymous: Anonymous) {
        self.anonymous = Some(anonymous);
    }

    /// Says at which level callers must prove who they are, at least.
    pub(crate) fn floor(&mut self, level: AuthLevel) {
        self.floor = Some(level);
    }

    /// Who passes the association; which operations is for the [`Plan`] to say.
    pub(crate) fn admission(&self, access: &Access) -> Floor {
        let anonymous = self.anonymous.as_ref().unwrap_or(&access.anonymous);
        Floor {
            anonymous: *anonymous != Anonymous::Nothing,
            authenticated: self.floor.unwrap_or(access.floor),
        }
    }

    /// How this service, at `index` in a server's list, runs its calls.
    pub(crate) fn plan(
        &self,
        index: usize,
        limits: WireLimits,
        access: &Access,
        authorize: Option<&Hook>,
    ) -> Plan {
        let list = |numbers: &[u16]| Some(Arc::from(numbers));
        let anonymous = self.anonymous.as_ref().unwrap_or(&access.anonymous);
        Plan {
            index,
            limits,
            blocking: match self.blocking.is_empty() {
                true => None,
                false => list(&self.blocking),
            },
            anonymous: match anonymous {
                Anonymous::Some(numbers) => list(numbers),
                _ => None,
            },
            authorize: authorize.cloned(),
        }
    }

    /// Sets `slot` to work on the current turn's calls.
    pub(crate) fn work(&self, plan: &Plan, slot: &mut Slot) {
        Arc::clone(&self.service).work(plan.clone(), slot);
    }

    /// Runs one call away from any connection and returns the bytes of its result.
    pub(crate) async fn run(
        &self,
        call: Call,
        arguments: Bytes,
        limits: WireLimits,
    ) -> Result<Vec<u8>, Refuse> {
        Arc::clone(&self.service)
            .alone(call, arguments, limits)
            .await
    }
}

impl fmt::Debug for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registered({})", self.interface)
    }
}
