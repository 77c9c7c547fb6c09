//! Calls under `RPCSEC_GSS`: a context is made with the first of them, serves all, and is made anew when the server
//! has lost it.
//!
//! Read first: RFC 2203 sections 5.2 and 5.3.3, `farcall_onc::gss`. Such a call is not on the hot path: its message
//! is made by a mechanism, and so is the proof of its reply. As many are in flight as the server's window allows;
//! others wait for their turn. What blocks in a mechanism (a ticket from a key server) runs on the pool.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_onc::client::Maker;
use farcall_onc::gss::client::Next;
use farcall_onc::gss::{Broken, Established, Initiation, Progress, ReplyFault};
use farcall_onc::msg::{ReplyBody, Target, parse_reply};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use super::link::{Outcome, Ticket, failure};
use super::options::{Gss, Options};
use super::{Client, ClientHandle};
use crate::endpoint::Endpoint;
use crate::error::{Cause, Error, Phase};

/// How long a server is waited for that is told to forget a context.
const FAREWELL: Duration = Duration::from_secs(2);

/// The context that a client's calls share.
pub(crate) struct Guard {
    gss: Gss,
    handle: Arc<ClientHandle>,
    session: AsyncMutex<Option<Arc<Session>>>,
}

/// A context that stands.
struct Session {
    established: Mutex<Established>,
    /// The server's window: who is in flight holds a place.
    room: Semaphore,
    /// Whose null procedure made it.
    target: Target,
}

impl Session {
    fn established(&self) -> MutexGuard<'_, Established> {
        self.established
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guard {
    /// A guard for these options; the same if they ask for the same.
    pub(super) fn of(
        options: &Options,
        handle: &Arc<ClientHandle>,
        known: Option<&Arc<Self>>,
    ) -> Option<Arc<Self>> {
        let gss = options.gss.as_ref()?;
        if let Some(known) = known.filter(|known| known.gss.is(gss)) {
            return Some(Arc::clone(known));
        }
        Some(Arc::new(Self {
            gss: gss.clone(),
            handle: Arc::clone(handle),
            session: AsyncMutex::default(),
        }))
    }

    /// The context, made now if there is none.
    async fn session(
        &self,
        client: &Client,
        target: Target,
        deadline: Instant,
    ) -> Result<Arc<Session>, Error> {
        let mut session = self.session.lock().await;
        if let Some(session) = &*session {
            return Ok(Arc::clone(session));
        }
        let established = establish(&self.gss, client, target, deadline).await?;
        // req: onc-2203-5.2.3-window
        let room = usize::try_from(established.window()).unwrap_or(usize::MAX);
        let made = Arc::new(Session {
            established: Mutex::new(established),
            room: Semaphore::new(room.min(Semaphore::MAX_PERMITS)),
            target,
        });
        *session = Some(Arc::clone(&made));
        Ok(made)
    }

    /// A context is of no use any more; another one that was made meanwhile stays.
    async fn forget(&self, gone: &Arc<Session>) {
        let mut session = self.session.lock().await;
        if session
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, gone))
        {
            *session = None;
        }
    }
}

/// The server is told, if there still is a runtime to tell it.
impl Drop for Guard {
    fn drop(&mut self) {
        let Some(session) = self.session.get_mut().take() else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let handle = Arc::clone(&self.handle);
        runtime.spawn(farewell(handle, session));
    }
}

impl Guard {
    /// Tells the server to forget the context, and waits until it has; the next call makes another one.
    pub(super) async fn close(&self) {
        let session = self.session.lock().await.take();
        if let Some(session) = session {
            farewell(Arc::clone(&self.handle), session).await;
        }
    }
}

/// Tells the server to forget a context. A server that does not hear it forgets the context by itself.
async fn farewell(handle: Arc<ClientHandle>, session: Arc<Session>) {
    let client = Client::unguarded(handle);
    let target = session.target;
    let make = move |xid| {
        let message = session.established().destroy(xid, target);
        message.ok().map(Bytes::from)
    };
    let _ = RawCall::new(&client, Box::new(make), FAREWELL).await;
}

/// Makes a context: tokens go to and fro in calls of the null procedure.
async fn establish(
    gss: &Gss,
    client: &Client,
    target: Target,
    deadline: Instant,
) -> Result<Established, Error> {
    let handshake = gss.initiator.initiate(&name(gss, client.peer()));
    let handshake = handshake.map_err(denied)?;
    let mut initiation = Initiation::new(handshake, gss.service);
    let mut next = Next::Step(Vec::new());
    loop {
        next = match next {
            Next::Step(token) => {
                let progress = step(&mut initiation, &token).await?;
                initiation.call(0, target, progress).map_err(denied)?
            }
            Next::Call(message) => exchange(&mut initiation, client, message, deadline).await?,
            Next::Established(established) => return Ok(*established),
        };
    }
}

/// One call of an exchange, and its reply.
async fn exchange(
    initiation: &mut Initiation,
    client: &Client,
    call: Vec<u8>,
    deadline: Instant,
) -> Result<Next, Error> {
    let (bytes, range) = RawCall::new(client, numbered(call), left(deadline)).await?;
    answered(initiation, bytes.get(range).unwrap_or_default())
}

/// Makes the message of an exchange, which nothing proves yet.
pub(crate) fn numbered(mut call: Vec<u8>) -> Maker {
    Box::new(move |xid: u32| {
        call.get_mut(..4)?.copy_from_slice(&xid.to_be_bytes());
        Some(Bytes::copy_from_slice(&call))
    })
}

/// Takes the reply to a message of an exchange.
pub(crate) fn answered(initiation: &mut Initiation, message: &[u8]) -> Result<Next, Error> {
    let (header, results) = parse_reply(message).map_err(undecodable)?;
    if let Some(cause) = failure(header.body) {
        return Err(Error::new(Phase::Authenticate, cause).executed(false));
    }
    let results = message.get(results..).unwrap_or_default();
    initiation.handle_reply(&header, results).map_err(denied)
}

/// The name under which the mechanism knows the server at `peer`.
pub(crate) fn name(gss: &Gss, peer: &str) -> String {
    let endpoint: Option<Endpoint> = peer.parse().ok();
    let host = endpoint.as_ref().and_then(Endpoint::host);
    let default = || format!("host@{}", host.unwrap_or("localhost"));
    gss.target.clone().unwrap_or_else(default)
}

/// One step of the mechanism, its questions answered on the pool.
async fn step(initiation: &mut Initiation, token: &[u8]) -> Result<Progress, Error> {
    let mut progress = initiation.handshake().step(token).map_err(denied)?;
    while let Progress::Need(query) = progress {
        let answer = tokio::task::spawn_blocking(query.0).await;
        let answer = answer.map_err(|_| denied("the mechanism panicked"))?;
        progress = initiation.handshake().answer(answer).map_err(denied)?;
    }
    Ok(progress)
}

/// Makes a call of a guarded client; a context that the server has lost is made anew once.
// req: onc-2203-5.3.3.3-again
pub(crate) async fn call(
    guard: Arc<Guard>,
    client: Client,
    target: Target,
    arguments: Bytes,
    given: Duration,
) -> Result<Outcome, Error> {
    let deadline = Instant::now() + given;
    let attempt = || attempt(&guard, &client, target, &arguments, deadline);
    let all = async {
        match attempt().await? {
            Ok(outcome) => Ok(outcome),
            Err(_) => attempt().await?.map_err(Error::from),
        }
    };
    match tokio::time::timeout_at(deadline.into(), all).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(Phase::Call, Cause::Deadline(given))),
    }
}

/// The messages that were made for one call.
#[derive(Default)]
pub(crate) struct Attempts {
    /// The numbers that they have.
    seqs: Vec<u32>,
    /// One could not be made: the context has come to its end. A call may fail for other reasons before its message is
    /// made; they say nothing about the context.
    pub(crate) exhausted: bool,
}

impl Attempts {
    pub(crate) fn note(&mut self, made: Result<(Vec<u8>, u32), Broken>) -> Option<Bytes> {
        match made {
            Ok((message, seq)) => {
                self.seqs.push(seq);
                Some(Bytes::from(message))
            }
            Err(_) => {
                self.exhausted = true;
                None
            }
        }
    }

    /// More than one message may have arrived: that a later one was refused says nothing of an earlier one.
    pub(crate) fn is_repeated(&self) -> bool {
        self.seqs.len() > 1
    }

    /// The results in the reply to these messages; the inner error says that another context is needed.
    pub(crate) fn open(
        &self,
        established: &mut Established,
        message: &[u8],
    ) -> Result<Result<Bytes, ReplyFault>, Error> {
        let (header, at) = parse_reply(message).map_err(undecodable)?;
        let results = message.get(at..).unwrap_or_default();
        let opened = established.open(&self.seqs, &header, results);
        match (opened, failure(header.body)) {
            (Err(fault @ ReplyFault::Context(_)), _) => Ok(Err(fault)),
            (Err(fault), _) => Err(fault.into()),
            (Ok(_), Some(cause)) => {
                let denied = matches!(header.body, ReplyBody::AuthError(_));
                Err(Error::new(Phase::Call, cause).executed(!denied))
            }
            (Ok(results), None) => Ok(Ok(Bytes::from(results.into_owned()))),
        }
    }
}

fn lock(attempts: &Mutex<Attempts>) -> MutexGuard<'_, Attempts> {
    attempts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One attempt; the inner error says that another context is needed.
async fn attempt(
    guard: &Guard,
    client: &Client,
    target: Target,
    arguments: &Bytes,
    deadline: Instant,
) -> Result<Result<Outcome, ReplyFault>, Error> {
    let session = guard.session(client, target, deadline).await?;
    let _place = session.room.acquire().await;
    let attempts: Arc<Mutex<Attempts>> = Arc::default();
    let make = {
        let (session, attempts, arguments) = (
            Arc::clone(&session),
            Arc::clone(&attempts),
            arguments.clone(),
        );
        move |xid| {
            let made = session.established().call(xid, target, &arguments);
            lock(&attempts).note(made)
        }
    };
    let called = RawCall::new(client, Box::new(make), left(deadline)).await;
    let attempts = std::mem::take(&mut *lock(&attempts));
    if called.is_err() && attempts.exhausted {
        guard.forget(&session).await;
    }
    let (bytes, range) = called?;
    let message = bytes.get(range).unwrap_or_default();
    let opened = attempts.open(&mut session.established(), message);
    if let Ok(Err(fault @ ReplyFault::Context(_))) = &opened {
        guard.forget(&session).await;
        if attempts.is_repeated() {
            return Err(Error::from(*fault).executed(true));
        }
    }
    Ok(opened?.map(|results| {
        let len = results.len();
        Outcome::Results(results, 0..len)
    }))
}

impl From<ReplyFault> for Error {
    fn from(fault: ReplyFault) -> Self {
        let error = Self::new(Phase::Authenticate, Cause::Denied(fault.to_string()));
        match fault {
            ReplyFault::Context(_) => error.executed(false),
            ReplyFault::Verifier | ReplyFault::Results => error.executed(true),
        }
    }
}

pub(crate) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

pub(crate) fn denied(why: impl fmt::Display) -> Error {
    let why = why.to_string();
    let hint = advice(&why);
    let error = Error::new(Phase::Authenticate, Cause::Denied(why)).executed(false);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What helps against what the system's Kerberos library says most often, by its own words.
fn advice(why: &str) -> Option<&'static str> {
    let helps = [
        ("no credentials cache", "get a ticket: kinit"),
        ("No credentials cache", "get a ticket: kinit"),
        ("No Kerberos credentials", "get a ticket: kinit"),
        ("Ticket expired", "get a new ticket: kinit"),
        ("context has expired", "get a new ticket: kinit"),
        (
            "Clock skew",
            "set this machine's clock: it differs from the server's by more than Kerberos allows",
        ),
        (
            "Service key not available",
            "the server has no key for that name: is its keytab the one of this principal?",
        ),
        (
            "Key version is not available",
            "the server's keytab is older than the key in the realm: get it a new one",
        ),
        (
            "Decrypt integrity check failed",
            "the server's keytab has another key than the realm: get it a new one",
        ),
        (
            "not found in Kerberos database",
            "the realm does not know that service: name it by its principal, as nfs@HOST",
        ),
        (
            "Cannot contact any KDC",
            "is the realm's key distribution centre up, and named in krb5.conf?",
        ),
    ];
    let found = helps.iter().find(|(words, _)| why.contains(words));
    found.map(|(_, hint)| *hint)
}

fn undecodable(error: farcall_wire::DecodeError) -> Error {
    Error::new(Phase::Decode, Cause::Decode(error))
}

/// A call whose message is made elsewhere, for its whole reply.
struct RawCall<'a> {
    client: &'a Client,
    make: Option<Maker>,
    given: Duration,
    ticket: Option<Ticket>,
}

impl<'a> RawCall<'a> {
    fn new(client: &'a Client, make: Maker, given: Duration) -> Self {
        Self {
            client,
            make: Some(make),
            given,
            ticket: None,
        }
    }
}

impl Future for RawCall<'_> {
    type Output = Result<(Bytes, Range<usize>), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(make) = self.make.take() {
            let (now, given) = (Instant::now(), self.given);
            let begun = self.client.begin_message(now, make, given, cx.waker())?;
            self.ticket = Some(begun);
            return Poll::Pending;
        }
        let Some(ticket) = self.ticket else {
            return Poll::Ready(Err(Error::local(Phase::Call, "the call is over")));
        };
        match self.client.collect(ticket, cx.waker()) {
            None => Poll::Pending,
            Some(outcome) => {
                self.ticket = None;
                Poll::Ready(match outcome {
                    Outcome::Results(bytes, range) => Ok((bytes, range)),
                    Outcome::Failed(error) => Err(error),
                    // Only credentials that are no contexts have short forms.
                    Outcome::Forgotten => Err(Error::local(Phase::Call, "a short form of nothing")),
                })
            }
        }
    }
}

impl Drop for RawCall<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.client.abandon(ticket);
        }
    }
}
