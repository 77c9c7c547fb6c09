//! What generated code stands on: the description of a program, the service that a server runs,
//! and the reply into which a result is packed.
//!
//! Application code meets [`Registered`] (what `service()` returns) and the constant
//! [`Program`]s; the rest is for stubs. The asynchronous code of a service exists once, in
//! `work`; a stub is a `match` over synchronous codecs.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use farcall_onc::auth::{Flavor, OpaqueAuth, ShortHandle};
use farcall_onc::msg::{self, Framing, ReplyBody, ReplyHeader};
use farcall_wire::{Encode, Limits as WireLimits, Reader, Size, TransmitQueue};
use futures_util::future::BoxFuture;
use tokio_util::sync::ReusableBoxFuture;
use tracing::Instrument;

pub use farcall_dce::security::AuthLevel;
pub use farcall_onc::msg::Target;
pub use farcall_onc::server::Accepts;

use crate::call::{Call, Refuse};
use crate::endpoint::Transport;
pub use crate::interface::{Interface, Operation};
use crate::operations::{Anonymous, Exported, Hook};
pub use crate::operations::{NdrReply, Operations};
pub use crate::pipe::{Answer, Sinks, Sources};
pub use crate::piped::Pipes;
pub use crate::program::{Procedure, Program};
use crate::steps::step::Step;
use crate::turn;

/// What generated code makes of a server trait: decode, run, encode.
pub trait Service: Send + Sync + 'static {
    /// The program and version it serves.
    fn program(&self) -> &'static Program;

    /// Decodes the arguments of `call`, runs its procedure and encodes the result into `reply`.
    ///
    /// # Errors
    /// The refusal that the caller is told instead of a result.
    fn call(
        &self,
        call: &Call,
        arguments: &mut Reader<'_>,
        reply: &mut Reply<'_>,
    ) -> impl Future<Output = Result<(), Refuse>> + Send;
}

/// Where a result is packed: straight into the connection's buffer, behind its header.
#[derive(Debug)]
pub struct Reply<'a> {
    sink: Sink<'a>,
    /// The call that is answered, if it is known.
    call: Option<&'a Call>,
    written: bool,
}

#[derive(Debug)]
enum Sink<'a> {
    /// The turn of the connection that is being polled.
    Turn(&'a Call, PhantomData<&'a mut ()>),
    /// The result alone, for whoever carries it on.
    Own(&'a mut TransmitQueue),
}

impl<'a> Reply<'a> {
    fn in_turn(call: &'a Call) -> Self {
        Self {
            sink: Sink::Turn(call, PhantomData),
            call: Some(call),
            written: false,
        }
    }

    /// A reply whose result, without any header, is put into `results`.
    pub fn into_queue(results: &'a mut TransmitQueue) -> Self {
        Self {
            sink: Sink::Own(results),
            call: None,
            written: false,
        }
    }

    /// Packs the result. It is called once.
    ///
    /// # Errors
    /// [`Refuse::SystemErr`] if the result breaks a bound of the interface or does not fit the
    /// transport; nothing is packed then.
    #[inline]
    pub fn encode<T: Encode + ?Sized>(&mut self, result: &T) -> Result<(), Refuse> {
        self.written = true;
        if let Some(call) = self.call {
            call.mark(Step::ProcedureReturns);
        }
        match &mut self.sink {
            Sink::Own(queue) => queue.append(result).map(drop).map_err(Refuse::from),
            Sink::Turn(call, _) if call.source.transport == Transport::Udp => {
                datagram(call, result)
            }
            Sink::Turn(call, _) => turn::with(|turn| {
                match &call.short {
                    None => msg::encode_success(&mut turn.out, Framing::Stream, call.xid, result)?,
                    Some(short) => with_short(&mut turn.out, Framing::Stream, call, short, result)?,
                };
                Ok(())
            }),
        }
    }
}

/// Length of the header of a successful reply, in bytes.
const SUCCESS_HEADER: usize = 24;

/// Longest UDP payload over IPv4.
const MAX_DATAGRAM: usize = 65_507;

/// Whether a successful reply with `results` bytes of results fits a datagram.
pub(crate) fn fits_datagram(results: usize) -> bool {
    results <= MAX_DATAGRAM - SUCCESS_HEADER
}

fn datagram<T: Encode + ?Sized>(call: &Call, result: &T) -> Result<(), Refuse> {
    let mut size = Size::new();
    result.measure(&mut size)?;
    let len = size.total();
    if !fits_datagram(len) {
        return Err(Refuse::SystemErr(format!(
            "result of {len} bytes does not fit a datagram"
        )));
    }
    turn::with(|turn| {
        match &call.short {
            None => msg::encode_success(&mut turn.out, Framing::Datagram, call.xid, result)?,
            Some(short) => with_short(&mut turn.out, Framing::Datagram, call, short, result)?,
        };
        turn.answered(call);
        Ok(())
    })
}

/// Packs a result behind a verifier with a shorter credential.
#[cold]
fn with_short<T: Encode + ?Sized>(
    out: &mut TransmitQueue,
    framing: Framing,
    call: &Call,
    short: &ShortHandle,
    result: &T,
) -> Result<usize, farcall_wire::EncodeError> {
    let header = ReplyHeader {
        xid: call.xid,
        verifier: OpaqueAuth {
            flavor: Flavor::SHORT,
            body: short,
        },
        body: ReplyBody::Success,
    };
    msg::encode_reply(out, framing, &header, result)
}

/// Ends a call: what `reply` lacks is said now.
#[inline]
fn finish(call: &Call, written: bool, result: Result<(), Refuse>) {
    match result {
        Ok(()) if written => packed(call),
        result => finish_without(call, result),
    }
}

/// Ends a call that has no result.
#[cold]
fn finish_without(call: &Call, result: Result<(), Refuse>) {
    let body = match result {
        Ok(()) => {
            tracing::error!(
                procedure = call.procedure_name(),
                "service returned no result"
            );
            ReplyBody::SystemErr
        }
        Err(Refuse::NoReply) => return unanswered(call),
        Err(refuse) => {
            note(call, &refuse);
            refuse.body()
        }
    };
    turn::with(|turn| {
        turn.refuse(call.source.transport, call.xid, body);
        turn.answered(call);
    });
    packed(call);
}

/// Tells a sample that its reply is the last thing in the current turn.
#[inline]
fn packed(call: &Call) {
    if let Some(sample) = &call.sample {
        turn::with(|turn| sample.packed(turn.queued(call.source.transport)));
    }
}

/// Tells a sample that there will be no reply.
fn unanswered(call: &Call) {
    if let Some(sample) = &call.sample {
        sample.unanswered();
    }
}

/// Tells the log what the caller is not told.
fn note(call: &Call, refuse: &Refuse) {
    if let Refuse::SystemErr(why) = refuse {
        let procedure = call.procedure_name();
        tracing::warn!(procedure, peer = %call.source.peer, why, "call failed");
    }
}

/// A worker of a service, at rest or in a procedure; its memory is used again.
pub(crate) type Slot = ReusableBoxFuture<'static, ()>;

/// A service as a server keeps it.
trait Erased: Send + Sync {
    /// Sets `slot` to work on the calls for `index` in the current turn.
    fn work(self: Arc<Self>, plan: Plan, slot: &mut Slot);
    /// Runs one call away from any turn and returns its result's bytes.
    fn alone(
        self: Arc<Self>,
        call: Call,
        arguments: bytes::Bytes,
        limits: WireLimits,
    ) -> BoxFuture<'static, Result<TransmitQueue, Refuse>>;
}

struct Kept<S>(S);

/// How a service's calls are run in one server.
#[derive(Clone)]
pub(crate) struct Plan {
    /// The service's place in the server's list.
    pub(crate) index: u32,
    /// What decoding may cost.
    pub(crate) limits: WireLimits,
    /// Procedures that run on the pool, by number; most services have none.
    pub(crate) blocking: Option<Arc<[u32]>>,
    /// Asked before each call.
    pub(crate) authorize: Option<Hook>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("index", &self.index)
            .field("authorizes", &self.authorize.is_some())
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// Whether the caller may.
    // req: onc-face-authorize
    #[inline]
    pub(crate) fn authorize(&self, call: &Call) -> Result<(), Refuse> {
        self.authorize.as_ref().map_or(Ok(()), |ask| ask(call))
    }

    #[inline]
    pub(crate) fn is_blocking(&self, procedure: u32) -> bool {
        self.blocking
            .as_ref()
            .is_some_and(|list| list.contains(&procedure))
    }
}

impl<S: Service> Erased for Kept<S> {
    fn work(self: Arc<Self>, plan: Plan, slot: &mut Slot) {
        slot.set(work(self, plan));
    }

    fn alone(
        self: Arc<Self>,
        call: Call,
        arguments: bytes::Bytes,
        limits: WireLimits,
    ) -> BoxFuture<'static, Result<TransmitQueue, Refuse>> {
        Box::pin(async move { run_alone(&self.0, &call, &arguments, limits).await })
    }
}

/// Runs the calls that the current turn holds for this service, until there is none left.
async fn work<S: Service>(kept: Arc<Kept<S>>, plan: Plan) {
    let Some(mut held) = turn::hold(kept.0.program()) else {
        return;
    };
    while let Some(range) = turn::next(plan.index, &mut held) {
        if let Err(refuse) = plan.authorize(&held.call) {
            finish(&held.call, false, Err(refuse));
            continue;
        }
        if plan.is_blocking(held.call.procedure) {
            elsewhere(&kept, &held.call, held.bytes.slice(range), plan.limits).await;
            continue;
        }
        let (written, result) = {
            let part = held.bytes.get(range).unwrap_or_default();
            let mut arguments = Reader::shared(&held.bytes, part, plan.limits);
            let mut reply = Reply::in_turn(&held.call);
            let result = match is_heard() {
                false => kept.0.call(&held.call, &mut arguments, &mut reply).await,
                true => heard(&kept.0, &held.call, &mut arguments, &mut reply).await,
            };
            (reply.written, result)
        };
        finish(&held.call, written, result);
    }
}

/// Whether somebody listens at level debug. Asked for each call, so that a call that nobody
/// listens to has no span at all: even a disabled one costs a fifth of a small call.
#[inline]
fn is_heard() -> bool {
    tracing::enabled!(tracing::Level::DEBUG)
}

/// Serves a call within a span.
#[cold]
fn heard<'a, S: Service>(
    service: &'a S,
    call: &'a Call,
    arguments: &'a mut Reader<'_>,
    reply: &'a mut Reply<'_>,
) -> BoxFuture<'a, Result<(), Refuse>> {
    let span = tracing::debug_span!(
        "serve",
        procedure = call.procedure_name(),
        xid = call.xid,
        peer = %call.source.peer
    );
    let serving = async move { service.call(call, arguments, reply).await };
    Box::pin(serving.instrument(span))
}

/// Runs one call to its end with its own reply.
async fn run_alone<S: Service>(
    service: &S,
    call: &Call,
    arguments: &bytes::Bytes,
    limits: WireLimits,
) -> Result<TransmitQueue, Refuse> {
    let mut queue = TransmitQueue::new();
    let mut reader = Reader::shared(arguments, arguments, limits);
    let mut reply = Reply::into_queue(&mut queue);
    reply.call = Some(call);
    match is_heard() {
        false => service.call(call, &mut reader, &mut reply).await?,
        true => heard(service, call, &mut reader, &mut reply).await?,
    }
    Ok(queue)
}

/// Runs one call on the pool for blocking work and answers it when it is done.
async fn elsewhere<S: Service>(
    kept: &Arc<Kept<S>>,
    call: &Call,
    arguments: bytes::Bytes,
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
    answer(call, result);
}

/// Puts a result that was made elsewhere into the current turn.
fn answer(call: &Call, result: Result<TransmitQueue, Refuse>) {
    match result {
        Err(refuse) => finish(call, false, Err(refuse)),
        Ok(results) if call.source.transport == Transport::Udp => {
            let sent = datagram(call, &Raw(&results.to_vec()));
            finish(call, sent.is_ok(), sent);
        }
        Ok(mut results) => turn::with(|turn| {
            let len = results.len();
            turn.out.put_slice(&msg::success_record(call.xid, len));
            turn.out.append_queue(&mut results);
            if let Some(sample) = &call.sample {
                sample.packed(turn.queued(call.source.transport));
            }
        }),
    }
}

/// Bytes that are XDR already.
#[derive(Debug)]
pub struct Raw<'a>(pub &'a [u8]);

impl Encode for Raw<'_> {
    fn measure(&self, size: &mut Size) -> Result<(), farcall_wire::EncodeError> {
        size.add(self.0.len());
        Ok(())
    }
    fn encode(&self, w: &mut farcall_wire::Writer<'_>) {
        w.slice(self.0);
    }
}

/// A service of a program, as a server keeps it.
#[derive(Clone)]
pub(crate) struct Hosted {
    service: Arc<dyn Erased>,
    program: &'static Program,
    idempotent: Vec<u32>,
    blocking: Vec<u32>,
    accepts: Accepts,
    /// Counts calls of procedure 0, which the server answers itself.
    nulls: Option<Arc<AtomicU64>>,
}

impl Hosted {
    fn new<S: Service>(service: S) -> Self {
        let program = service.program();
        let numbers = |of: fn(&Procedure) -> bool| {
            program
                .procedures
                .iter()
                .filter(|p| of(p))
                .map(|p| p.number)
                .collect::<Vec<_>>()
        };
        Self {
            service: Arc::new(Kept(service)),
            program,
            idempotent: numbers(|p| p.idempotent),
            blocking: numbers(|p| p.blocking),
            accepts: Accepts::ANY,
            nulls: None,
        }
    }

    /// Puts another service in place of this one, with the same properties.
    pub(crate) fn serve<S: Service>(&mut self, service: S) {
        self.service = Arc::new(Kept(service));
    }

    /// The program and version it serves.
    pub(crate) fn program(&self) -> &'static Program {
        self.program
    }

    /// Counts a call of procedure 0, if somebody wants to know.
    #[inline]
    pub(crate) fn count_null(&self) {
        if let Some(nulls) = &self.nulls {
            nulls.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn accepts(&self) -> Accepts {
        self.accepts
    }

    /// Whether running this procedure twice is as good as running it once.
    pub(crate) fn is_idempotent(&self, procedure: u32) -> bool {
        procedure == 0 || self.idempotent.contains(&procedure)
    }

    /// How this service, at `index` in a server's list, runs its calls.
    pub(crate) fn plan(&self, index: u32, limits: WireLimits, authorize: Option<Hook>) -> Plan {
        let blocking = (!self.blocking.is_empty()).then(|| Arc::from(&self.blocking[..]));
        Plan {
            index,
            limits,
            blocking,
            authorize,
        }
    }

    /// Sets `slot` to work on the current turn's calls.
    pub(crate) fn work(&self, plan: &Plan, slot: &mut Slot) {
        Arc::clone(&self.service).work(plan.clone(), slot);
    }

    /// Runs one call away from any connection and returns the bytes of its result.
    ///
    /// # Errors
    /// What the procedure refused with.
    pub(crate) async fn run(
        &self,
        call: Call,
        arguments: bytes::Bytes,
        limits: WireLimits,
    ) -> Result<TransmitQueue, Refuse> {
        Arc::clone(&self.service)
            .alone(call, arguments, limits)
            .await
    }
}

impl fmt::Debug for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Registered({} {})",
            self.program.name, self.program.version
        )
    }
}

/// A service ready to be put into a server: what a stub's `service()` returns.
#[derive(Clone)]
pub struct Registered(Kind);

/// Of which family it is.
#[derive(Clone)]
pub(crate) enum Kind {
    /// A program's version, over ONC RPC.
    Program(Hosted),
    /// An interface, over DCE/RPC.
    Interface(Exported),
}

/// A service that is changed, of either family.
pub(crate) enum Either<'a> {
    Program(&'a mut Hosted),
    Interface(&'a mut Exported),
}

impl Registered {
    /// Wraps a stub's service, with the procedure properties that the interface file declares.
    pub fn new<S: Service>(service: S) -> Self {
        Self(Kind::Program(Hosted::new(service)))
    }

    /// Wraps a stub's service of a DCE/RPC interface, with the operation properties that the
    /// interface file declares.
    pub fn interface<S: Operations>(service: S) -> Self {
        Self(Kind::Interface(Exported::new(service)))
    }

    pub(crate) fn into_kind(self) -> Kind {
        self.0
    }

    /// Changes whichever it is.
    pub(crate) fn with_either(mut self, change: impl FnOnce(Either<'_>)) -> Self {
        change(match &mut self.0 {
            Kind::Program(hosted) => Either::Program(hosted),
            Kind::Interface(exported) => Either::Interface(exported),
        });
        self
    }

    /// Changes what concerns a program; an interface stays as it is.
    fn program_too(self, change: impl FnOnce(&mut Hosted)) -> Self {
        self.with_either(|either| {
            if let Either::Program(hosted) = either {
                change(hosted);
            }
        })
    }

    /// Changes what concerns an interface; a program stays as it is.
    fn interface_too(self, change: impl FnOnce(&mut Exported)) -> Self {
        self.with_either(|either| {
            if let Either::Interface(exported) = either {
                change(exported);
            }
        })
    }

    /// Runs these procedures or operations on the pool for blocking work, besides those that the
    /// interface file declares blocking.
    #[must_use]
    pub fn blocking(self, procedures: &[u32]) -> Self {
        self.program_too(|hosted| hosted.blocking.extend_from_slice(procedures))
            .interface_too(|exported| exported.blocking(procedures))
    }

    /// The program and version it serves, if it is one of ONC RPC.
    pub fn program(&self) -> Option<&'static Program> {
        match &self.0 {
            Kind::Program(hosted) => Some(hosted.program),
            Kind::Interface(_) => None,
        }
    }

    /// The interface it serves, if it is one of DCE/RPC.
    pub fn exported(&self) -> Option<&'static Interface> {
        match &self.0 {
            Kind::Program(_) => None,
            Kind::Interface(exported) => Some(exported.interface()),
        }
    }

    /// Declares procedures idempotent besides those that the interface file declares so: the
    /// duplicate request cache leaves them alone.
    #[must_use]
    pub fn idempotent(self, procedures: &[u32]) -> Self {
        self.program_too(|hosted| hosted.idempotent.extend_from_slice(procedures))
    }

    /// Counts calls of procedure 0, which the server answers by itself, in `counter`. For services
    /// that tell what they have done.
    #[must_use]
    pub fn count_null_calls(self, counter: Arc<AtomicU64>) -> Self {
        self.program_too(|hosted| hosted.nulls = Some(counter))
    }

    /// DCE/RPC: clients may call all operations without proving who they are. Default: what the
    /// server says, which is by default that they may not.
    #[must_use]
    pub fn allow_anonymous(self) -> Self {
        self.interface_too(|exported| exported.allow(Anonymous::All))
    }

    /// DCE/RPC: clients may call these operations, and no others, without proving who they are.
    #[must_use]
    pub fn allow_anonymous_for(self, operations: &[u16]) -> Self {
        self.interface_too(|exported| exported.allow(Anonymous::Some(operations.to_vec())))
    }

    /// DCE/RPC: clients that prove who they are must protect their calls at least so. Default:
    /// what the server says, which is by default [`AuthLevel::INTEGRITY`].
    #[must_use]
    pub fn auth_floor(self, level: AuthLevel) -> Self {
        self.interface_too(|exported| exported.floor(level))
    }

    /// Which callers over ONC RPC are taken; others get `AUTH_ERROR` with `AUTH_TOOWEAK`.
    /// Default: any. Procedure 0 answers everybody.
    #[must_use]
    pub fn accept(self, accepts: Accepts) -> Self {
        self.program_too(|hosted| hosted.accepts = accepts)
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Program(hosted) => hosted.fmt(f),
            Kind::Interface(exported) => exported.fmt(f),
        }
    }
}
