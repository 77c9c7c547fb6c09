//! A call on its way: a future that can be told when to give up, whether to repeat, and on whose
//! behalf it is made.
//!
//! The arguments are packed when the call is made, so they need not outlive it; nothing is sent
//! before the future is first polled. Dropping it cancels the call: bytes that have not left are
//! taken back, and a late reply is ignored.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_onc::auth::AuthStat;
use farcall_onc::msg::Target;
use farcall_wire::{DecodeError, Encode, EncodeError, Reader, Size, TransmitQueue, Writer, ndr};
use smallvec::SmallVec;
use tokio::time::Sleep;

use super::dce::link as dce;
use super::gss;
use super::link::{Outcome, Ticket};
use super::options::Retry;
use super::{Client, NdrDecoder};
use crate::call::Call;
use crate::conduit::Conduit;
use crate::error::{Cause, Error, Phase};
use crate::pipe::{Answer, Hold, Intake, Outlet, Received, Sources};
use crate::stub::Program;

/// Reads a result.
pub type Decoder<T> = fn(&mut Reader<'_>) -> Result<T, DecodeError>;

/// Arguments of up to this many bytes are kept without an allocation.
const INLINE: usize = 128;

/// Packed arguments, kept until the call is over so that it can be made again.
enum Arguments {
    Small(SmallVec<[u8; INLINE]>),
    Large(Box<TransmitQueue>),
}

impl Arguments {
    #[inline]
    fn pack<A: Encode + ?Sized>(arguments: &A) -> Result<Self, EncodeError> {
        let mut size = Size::contiguous();
        arguments.measure(&mut size)?;
        if size.total() > INLINE {
            let mut queue = Box::new(TransmitQueue::new());
            queue.append(arguments)?;
            return Ok(Self::Large(queue));
        }
        let mut bytes = SmallVec::from_elem(0, size.total());
        arguments.encode(&mut Writer::new(&mut bytes));
        Ok(Self::Small(bytes))
    }
}

impl Arguments {
    fn to_bytes(&self) -> Bytes {
        match self {
            Self::Small(bytes) => Bytes::copy_from_slice(bytes),
            Self::Large(queue) => queue.to_vec().into(),
        }
    }
}

impl Encode for Arguments {
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        match self {
            Self::Small(bytes) => size.add(bytes.len()),
            Self::Large(queue) => queue.measure(size)?,
        }
        Ok(())
    }

    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Small(bytes) => w.slice(bytes),
            Self::Large(queue) => queue.encode(w),
        }
    }
}

/// What is called, with what.
enum Work {
    /// A procedure of a program.
    Procedure {
        target: Target,
        program: Option<&'static Program>,
        arguments: Arguments,
    },
    /// An operation of an interface, and the values on which its out-parameters depend.
    Operation(dce::Request, SmallVec<[i64; 2]>),
}

/// How a result is read.
enum Decode<T> {
    Xdr(Decoder<T>),
    Ndr(NdrDecoder<T>),
    /// While it comes.
    Piped(fn(Received) -> T),
    /// It is known already.
    Known,
}

/// What came of a call.
enum Came {
    Xdr(Outcome),
    Ndr(dce::Outcome),
}

/// What is asked of whom.
struct Request {
    client: Client,
    work: Work,
    /// How long it may take from its first poll on.
    timeout: Duration,
    /// When it must be over in any case.
    deadline: Option<Instant>,
    retry: Retry,
    attempts: u32,
    /// How often the short form of the credential was forgotten.
    forgotten: u32,
}

/// A call under a security context, which may have to be made first.
type Guarded = Pin<Box<dyn Future<Output = Result<Outcome, Error>> + Send>>;
/// How often a call is made again because the server has forgotten the short form of its credential. Other calls may
/// learn a new one meanwhile, which it may forget as well.
const FORGOTTEN: u32 = 3;

/// How far a call has come.
enum Stage {
    /// Not begun, or to be begun again.
    New,
    /// Begun.
    Waiting(Ticket),
    /// Begun under a security context.
    Guarded(Guarded),
    /// Between two attempts.
    Pausing(Pin<Box<Sleep>>),
    /// Over.
    Done,
}

/// A call on its way: await it for the result.
#[must_use = "a call is made when it is awaited"]
pub struct Calling<T> {
    /// `None`: the result is known without a call.
    request: Option<Request>,
    stage: Stage,
    known: Option<Result<T, Error>>,
    decode: Decode<T>,
    /// Arguments that are still to go.
    feeding: Option<Box<(Sources, Outlet)>>,
    /// None unless somebody listens at level debug.
    span: tracing::Span,
}

/// The result is never pinned.
impl<T> Unpin for Calling<T> {}

impl<T> Calling<T> {
    pub(crate) fn new<A: Encode + ?Sized>(
        client: Client,
        target: Target,
        program: Option<&'static Program>,
        arguments: &A,
        decode: Decoder<T>,
    ) -> Self {
        let arguments = match Arguments::pack(arguments) {
            Ok(arguments) => arguments,
            Err(error) => {
                let error = Error::from(error).with_procedure(name(program, target));
                return Self::ready(Err(error));
            }
        };
        let work = Work::Procedure {
            target,
            program,
            arguments,
        };
        Self::begun(client, work, Decode::Xdr(decode))
    }

    pub(crate) fn operation(
        client: Client,
        request: dce::Request,
        known: &[i64],
        decode: NdrDecoder<T>,
    ) -> Self {
        let work = Work::Operation(request, SmallVec::from_slice(known));
        Self::begun(client, work, Decode::Ndr(decode))
    }

    pub(crate) fn piped(
        client: Client,
        request: dce::Request,
        known: &[i64],
        feeding: (Sources, Outlet),
        answer: Answer<T>,
    ) -> Self {
        let work = Work::Operation(request, SmallVec::from_slice(known));
        let decode = match answer {
            Answer::Whole(decode) => Decode::Ndr(decode),
            Answer::Piped(make) => Decode::Piped(make),
        };
        let feeding = (!feeding.0.is_empty()).then(|| Box::new(feeding));
        let mut calling = Self::begun(client, work, decode);
        calling.feeding = feeding;
        calling
    }

    #[inline]
    fn begun(client: Client, work: Work, decode: Decode<T>) -> Self {
        let (timeout, retry) = (client.options.timeout, client.options.retry);
        let span = span(&client, &work);
        let request = Request {
            client,
            work,
            timeout,
            deadline: None,
            retry,
            attempts: 0,
            forgotten: 0,
        };
        Self {
            request: Some(request),
            stage: Stage::New,
            known: None,
            decode,
            feeding: None,
            span,
        }
    }

    /// A call whose result is known: what a mock of a client returns.
    pub fn ready(result: Result<T, Error>) -> Self {
        Self {
            request: None,
            stage: Stage::Done,
            known: Some(result),
            decode: Decode::Known,
            feeding: None,
            span: tracing::Span::none(),
        }
    }

    /// The call must be over this long after it is first polled. Default
    /// [`Options::timeout`](super::Options::timeout).
    pub fn deadline(mut self, timeout: Duration) -> Self {
        if let Some(request) = &mut self.request {
            request.timeout = timeout;
        }
        self
    }

    /// Whether the call is repeated when it fails. Default
    /// [`Options::retry`](super::Options::retry).
    pub fn retry(mut self, retry: Retry) -> Self {
        if let Some(request) = &mut self.request {
            request.retry = retry;
        }
        self
    }

    /// Sends the call and waits for no reply, which a one-way procedure ([`Refuse::NoReply`](crate::Refuse::NoReply))
    /// does not give; one that comes is ignored. It returns when the connection has taken the call, before it is sent.
    ///
    /// Many such calls and then an ordinary one are a batch (RFC 5531 section 8.4): over a stream the reply to the last
    /// says that all before it have arrived. Over UDP a call that is lost is lost.
    ///
    /// # Errors
    /// The arguments cannot be packed, the connection has ended for good, or more waits for the peer already than
    /// [`Limits::write_queue`](crate::Limits::write_queue) (at least 16 MiB): make an ordinary call then. Over DCE/RPC
    /// the interface says which operations have no reply (`maybe`), so there it is refused; so it is under
    /// [`Options::gss`](super::Options::gss), where a reply proves the server.
    // req: onc-5531-8.4
    pub fn one_way(self) -> Result<(), Error> {
        let Some(request) = &self.request else {
            return self.known_error();
        };
        let sent = match &request.work {
            Work::Procedure {
                target, arguments, ..
            } => request.client.send(*target, arguments),
            Work::Operation(..) => Err(Error::local(
                Phase::Call,
                "an operation is one-way if its interface says so",
            )),
        };
        sent.map_err(|error| request.describe(error))
    }

    /// Why there is nothing to send, if that is why.
    fn known_error(mut self) -> Result<(), Error> {
        match self.known.take() {
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Makes the call on behalf of `call`, which is being served: it must be over when that one
    /// must. (It is cancelled with that one anyway, when its future is dropped.)
    pub fn within(mut self, call: &Call) -> Self {
        if let Some(request) = &mut self.request {
            request.deadline = call.deadline();
        }
        self
    }
}

/// The span of a call; nothing unless somebody listens at level debug. Asked first: where a
/// dependency has turned on tracing's `log` feature, the macro alone would format its fields.
#[inline]
fn span(client: &Client, work: &Work) -> tracing::Span {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return tracing::Span::none();
    }
    tracing::debug_span!("call", procedure = work.name(), peer = client.peer())
}

/// The procedure's name for errors.
fn name(program: Option<&'static Program>, target: Target) -> String {
    match program {
        Some(program) => program.procedure_name(target.procedure),
        None => format!("{}.{}.{}", target.program, target.version, target.procedure),
    }
}

impl Work {
    /// The procedure's name for errors.
    fn name(&self) -> String {
        match self {
            Self::Procedure {
                target, program, ..
            } => name(*program, *target),
            Self::Operation(request, _) => request.interface.operation_name(request.opnum),
        }
    }

    // req: dce-face-retry
    /// Whether running it twice is as good as running it once.
    fn is_idempotent(&self) -> bool {
        match self {
            Self::Procedure {
                target, program, ..
            } => program
                .and_then(|program| program.procedure(target.procedure))
                .is_some_and(|procedure| procedure.idempotent || procedure.number == 0),
            Self::Operation(request, _) => request
                .interface
                .operation(request.opnum)
                .is_some_and(|operation| operation.idempotent),
        }
    }
}

impl Request {
    /// How long this attempt may take from now on.
    fn given(&mut self, now: Instant) -> Duration {
        let mut given = self.timeout;
        if let Some(deadline) = self.deadline {
            given = given.min(deadline.saturating_duration_since(now));
        }
        if !matches!(self.retry, Retry::Never) {
            // Other attempts share the time of the first.
            self.deadline = now.checked_add(given);
        }
        self.attempts += 1;
        given
    }

    /// The call under the client's security context, if it has one.
    fn guarded(&mut self) -> Option<Guarded> {
        let guard = Arc::clone(self.client.guard.as_ref()?);
        let given = self.given(Instant::now());
        let Work::Procedure {
            target, arguments, ..
        } = &self.work
        else {
            return None;
        };
        let client = self.client.clone();
        let call = gss::call(guard, client, *target, arguments.to_bytes(), given);
        Some(Box::pin(call))
    }

    fn begin(&mut self, cx: &mut Context<'_>) -> Result<Ticket, Error> {
        let now = Instant::now();
        let given = self.given(now);
        match &self.work {
            Work::Procedure {
                target, arguments, ..
            } => self
                .client
                .begin(now, *target, arguments, given, cx.waker()),
            Work::Operation(request, _) => {
                self.client.begin_operation(now, request, given, cx.waker())
            }
        }
    }

    fn collect(&self, ticket: Ticket, cx: &mut Context<'_>) -> Option<Came> {
        let client = &self.client;
        match &self.work {
            Work::Procedure { .. } => client.collect(ticket, cx.waker()).map(Came::Xdr),
            Work::Operation(..) => client.collect_operation(ticket, cx.waker()).map(Came::Ndr),
        }
    }

    /// How long to wait before another attempt, if there may be one.
    fn again(&self, error: &Error) -> Option<Duration> {
        let Retry::Safe(most) = self.retry else {
            return None;
        };
        // What has gone into a pipe is not there any more.
        if self.flow().is_some() {
            return None;
        }
        let safe = !error.may_have_executed() || self.work.is_idempotent();
        let pause = Duration::from_millis(50 << self.attempts.saturating_sub(1).min(8));
        let late = matches!(error.cause(), Cause::Deadline(_)) || self.is_late(pause);
        (safe && !late && error.is_retryable() && self.attempts <= most).then_some(pause)
    }

    /// Whether it must be over before this pause is.
    fn is_late(&self, pause: Duration) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline <= Instant::now() + pause)
    }

    fn describe(&self, error: Error) -> Error {
        let error = error.with_procedure(self.work.name());
        let target = match &self.work {
            Work::Procedure { target, .. } => Some(*target),
            Work::Operation(..) => None,
        };
        self.client.describe(error, target)
    }

    fn flow(&self) -> Option<&dce::Flow> {
        match &self.work {
            Work::Procedure { .. } => None,
            Work::Operation(request, _) => request.flow.as_ref(),
        }
    }

    /// A call whose results have begun to come.
    fn received(&self, ticket: Ticket, syntax: ndr::Syntax, order: ndr::Order) -> Option<Received> {
        let conduit = Arc::clone(&self.flow()?.conduit);
        let limits = &self.client.options.limits;
        let flow = ndr::Inflow::new(syntax, order, limits.wire());
        let receipt = Receipt {
            client: self.client.clone(),
            name: self.work.name(),
            ticket,
            conduit: Arc::clone(&conduit),
        };
        Some(Received {
            intake: Arc::new(Intake::new(conduit, flow)),
            hold: Arc::new(receipt),
            known: self.known().to_vec(),
            most: limits.stub,
        })
    }

    fn decode<T>(
        &self,
        decode: &Decode<T>,
        came: Came,
        ticket: Option<Ticket>,
    ) -> Result<T, Error> {
        let limits = self.client.options.limits.wire();
        let decoded = match (decode, came) {
            (_, Came::Xdr(Outcome::Forgotten)) => {
                let refused = Cause::Authentication(AuthStat::REJECTEDCRED);
                return Err(Error::new(Phase::Call, refused));
            }
            (_, Came::Xdr(Outcome::Failed(error)) | Came::Ndr(dce::Outcome::Failed(error))) => {
                return Err(error);
            }
            (Decode::Xdr(decode), Came::Xdr(Outcome::Results(bytes, range))) => {
                let part = bytes.get(range).unwrap_or_default();
                decode(&mut Reader::shared(&bytes, part, limits))
            }
            (
                Decode::Ndr(decode),
                Came::Ndr(dce::Outcome::Results {
                    bytes,
                    syntax,
                    order,
                }),
            ) => {
                let reader = ndr::Reader::shared(&bytes, &bytes, syntax, order, limits);
                decode(&mut reader.with_known(self.known()))
            }
            (Decode::Piped(make), Came::Ndr(dce::Outcome::Begun { syntax, order })) => {
                let received = ticket.and_then(|ticket| self.received(ticket, syntax, order));
                let received = received.map(make);
                return received.ok_or_else(|| Error::local(Phase::Decode, "a call without pipes"));
            }
            _ => return Err(Error::local(Phase::Decode, "a result of another family")),
        };
        decoded.map_err(|error| Error::new(Phase::Decode, Cause::Decode(error)))
    }

    /// Values of in-parameters on which the out-parameters depend.
    fn known(&self) -> &[i64] {
        match &self.work {
            Work::Procedure { .. } => &[],
            Work::Operation(_, known) => known,
        }
    }
}

impl<T> Future for Calling<T> {
    type Output = Result<T, Error>;

    /// # Panics
    /// When it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        let this = &mut *self;
        if let Some(result) = this.known.take() {
            return Poll::Ready(result);
        }
        let _entered = this.span.enter();
        let Some(request) = &mut this.request else {
            panic!("a finished call was polled again")
        };
        loop {
            let error = match &mut this.stage {
                Stage::New if request.client.guard.is_some() => match request.guarded() {
                    Some(guarded) => {
                        this.stage = Stage::Guarded(guarded);
                        continue;
                    }
                    None => Error::local(Phase::Call, "operations have no guard"),
                },
                Stage::Guarded(guarded) => {
                    let came = ready!(guarded.as_mut().poll(cx));
                    this.stage = Stage::Done;
                    let came = came.map(Came::Xdr);
                    match came.and_then(|came| request.decode(&this.decode, came, None)) {
                        Ok(value) => {
                            this.request = None;
                            return Poll::Ready(Ok(value));
                        }
                        Err(error) => error,
                    }
                }
                Stage::New => match request.begin(cx) {
                    Ok(ticket) => {
                        this.stage = Stage::Waiting(ticket);
                        if this.feeding.is_some() {
                            continue;
                        }
                        return Poll::Pending;
                    }
                    Err(error) => error,
                },
                Stage::Waiting(ticket) => {
                    let ticket = *ticket;
                    let fed = match &mut this.feeding {
                        Some(feeding) => feed(cx, feeding),
                        None => Poll::Pending,
                    };
                    if fed.is_ready() {
                        this.feeding = None;
                    }
                    let came = match (request.collect(ticket, cx), fed) {
                        (Some(came), _) => came,
                        (None, Poll::Ready(Err(error))) => {
                            request.client.abandon(ticket);
                            Came::Ndr(dce::Outcome::Failed(error))
                        }
                        (None, _) => return Poll::Pending,
                    };
                    if matches!(came, Came::Xdr(Outcome::Forgotten))
                        && request.forgotten < FORGOTTEN
                    {
                        request.forgotten += 1;
                        this.stage = Stage::New;
                        continue;
                    }
                    this.stage = Stage::Done;
                    match request.decode(&this.decode, came, Some(ticket)) {
                        Ok(value) => {
                            this.request = None;
                            return Poll::Ready(Ok(value));
                        }
                        Err(error) => error,
                    }
                }
                Stage::Pausing(pause) => {
                    ready!(pause.as_mut().poll(cx));
                    this.stage = Stage::New;
                    continue;
                }
                Stage::Done => panic!("a finished call was polled again"),
            };
            let Some(pause) = request.again(&error) else {
                let error = request.describe(error);
                (this.request, this.stage) = (None, Stage::Done);
                return Poll::Ready(Err(error));
            };
            this.stage = Stage::Pausing(Box::pin(tokio::time::sleep(pause)));
        }
    }
}

/// Hands on arguments as far as there is room.
fn feed(cx: &mut Context<'_>, feeding: &mut (Sources, Outlet)) -> Poll<Result<(), Error>> {
    let (sources, outlet) = feeding;
    ready!(sources.poll_feed(cx, outlet))?;
    outlet.finish();
    Poll::Ready(Ok(()))
}

/// A call whose results are received.
struct Receipt {
    client: Client,
    name: String,
    ticket: Ticket,
    conduit: Arc<Conduit>,
}

impl Hold for Receipt {
    fn describe(&self, error: Error) -> Error {
        let error = error.with_procedure(self.name.clone());
        self.client.describe(error, None)
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.client.release(self.ticket, &self.conduit);
    }
}

impl<T> Drop for Calling<T> {
    fn drop(&mut self) {
        if let (Stage::Waiting(ticket), Some(request)) = (&self.stage, &self.request) {
            request.client.abandon(*ticket);
        }
    }
}

impl<T> fmt::Debug for Calling<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::New => "new",
            Stage::Waiting(_) | Stage::Guarded(_) => "waiting",
            Stage::Pausing(_) => "pausing",
            Stage::Done => "done",
        };
        let name = self.request.as_ref().map(|request| request.work.name());
        f.debug_struct("Calling")
            .field("procedure", &name)
            .field("stage", &stage)
            .finish()
    }
}
