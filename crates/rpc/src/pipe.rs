//! Pipes: parameters whose elements come and go while a call runs (`pipe` in an interface file).
//!
//! Read first: C706 section 5.1.4 (pipes and the order of their use). What goes by a pipe may be
//! larger than memory: neither end holds more than [`Limits::pipe`](crate::Limits::pipe) bytes of
//! it, and a writer waits for its reader.
//!
//! A server's method gets a [`Reader`] for each `[in]` pipe and a [`Writer`] for each `[out]` pipe.
//! They are used in the order of their declaration, readers first; each reader is read to its end
//! before the next reader or any writer is used, and before the method returns. What breaks that
//! order is answered with `nca_s_fault_pipe_order` or `nca_s_fault_pipe_discipline`. A writer that
//! is passed over has written nothing.
//!
//! A client's method takes a [`Source`] for each `[in]` pipe. If there are `[out]` pipes, the call
//! is done in two steps: it gives a [`Receiving`] as soon as the results begin, from whose
//! [`Elements`] they are read.
//!
//! Over one connection, other calls wait until the last element of an `[in]` pipe is on its way,
//! and other results wait while nobody reads an `[out]` pipe: the protocol has one stream of bytes
//! for all. For a pipe that takes long, give it a client of its own
//! ([`Client::connect_again`](crate::Client::connect_again) keeps context handles valid).
//!
//! What this file does not do: it does not know how elements lie in bytes, which is
//! [`farcall_wire::ndr`]'s, nor fragments, which are [`farcall_dce`]'s.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use farcall_dce::status;
use farcall_wire::ndr::{Inflow, Outflow, Taken};
use farcall_wire::{DecodeError, EncodeError, ndr};
use futures_util::Stream;
use futures_util::stream::{self, StreamExt as _};

use crate::call::Refuse;
use crate::conduit::Conduit;
use crate::error::{Cause, Error, Phase};

/// Reads the next elements of a pipe: what generated code gives for each.
pub type Take<T> = fn(&mut Inflow) -> Result<Taken<T>, DecodeError>;

/// Writes elements into a pipe: what generated code gives for each.
pub type Put<T> = fn(&mut Outflow, &[T]) -> Result<Bytes, EncodeError>;

/// Elements that a [`Source`] made of single ones hands on together.
const CHUNK: usize = 4096;

/// From so many bytes on, what stands beside the pipes is long.
const LONG: usize = 64 << 10;

/// Why a pipe gives no more.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It is not this pipe's turn.
    Order,
    Decode(DecodeError),
    Lost(Error),
}

impl From<Trouble> for Refuse {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Order => Self::Fault(status::PIPE_ORDER),
            Trouble::Decode(error) => error.into(),
            Trouble::Lost(_) => Self::Fault(status::PIPE_COMM_ERROR),
        }
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Order => {
                let text = "a pipe is read before the one in front of it has ended";
                Self::local(Phase::Decode, text)
            }
            Trouble::Decode(error) => Self::new(Phase::Decode, Cause::Decode(error)),
            Trouble::Lost(error) => error,
        }
    }
}

/// The half of a call that comes: its pipes one after the other, and what stands around them.
#[derive(Debug)]
pub(crate) struct Intake {
    conduit: Arc<Conduit>,
    inner: Mutex<Coming>,
}

#[derive(Debug)]
struct Coming {
    flow: Inflow,
    /// The pipe that is read.
    current: usize,
    /// With how many bytes it is worth to look again for what stands in front of the pipes.
    retry: usize,
}

impl Intake {
    pub(crate) fn new(conduit: Arc<Conduit>, flow: Inflow) -> Self {
        let inner = Mutex::new(Coming {
            flow,
            current: 0,
            retry: 0,
        });
        Self { conduit, inner }
    }

    fn inner(&self) -> MutexGuard<'_, Coming> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many pipes have ended.
    pub(crate) fn ended(&self) -> usize {
        self.inner().current
    }

    /// What `read` makes of the bytes, once enough have come. What is long is not looked at again
    /// for every piece.
    fn poll_with<T>(
        &self,
        cx: &Context<'_>,
        mut read: impl FnMut(&mut Coming) -> Result<Option<T>, Trouble>,
    ) -> Poll<Result<T, Trouble>> {
        let mut inner = self.inner();
        loop {
            let held = inner.flow.held();
            if held < LONG || held >= inner.retry || inner.flow.is_closed() {
                if let Some(value) = read(&mut inner)? {
                    inner.retry = 0;
                    return Poll::Ready(Ok(value));
                }
                let held = inner.flow.held();
                inner.retry = held.saturating_add(held / 4);
            }
            match ready!(self.conduit.poll_piece(cx)).map_err(Trouble::Lost)? {
                Some(piece) => inner.flow.push(&piece),
                None if inner.flow.is_closed() => {
                    let text = "the bytes of a call in pieces end early";
                    let error = Error::local(Phase::Decode, text);
                    return Poll::Ready(Err(Trouble::Lost(error)));
                }
                None => inner.flow.close(),
            }
        }
    }

    /// What stands in front of the pipes or behind them; at most `most` bytes of it.
    pub(crate) async fn part<T>(
        &self,
        known: &[i64],
        most: usize,
        read: impl Fn(&mut ndr::Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, Trouble> {
        let take = |inner: &mut Coming| {
            let taken = inner.flow.take(known, &read).map_err(Trouble::Decode)?;
            match taken {
                None if inner.flow.held() > most => {
                    let text = format!("over {most} bytes beside the pipes (Limits::stub)");
                    Err(Trouble::Lost(Error::new(Phase::Decode, Cause::Limit(text))))
                }
                taken => Ok(taken),
            }
        };
        poll_fn(|cx| self.poll_with(cx, take)).await
    }

    fn poll_items<T>(
        &self,
        cx: &Context<'_>,
        index: usize,
        take: impl Fn(&mut Inflow) -> Result<Taken<T>, DecodeError>,
    ) -> Poll<Result<Option<Vec<T>>, Trouble>> {
        self.poll_with(cx, |inner| {
            if inner.current > index {
                return Ok(Some(None));
            }
            if inner.current < index {
                return Err(Trouble::Order);
            }
            match take(&mut inner.flow).map_err(Trouble::Decode)? {
                Taken::Items(items) => Ok(Some(Some(items))),
                Taken::More => Ok(None),
                Taken::End => {
                    inner.current = inner.current.saturating_add(1);
                    Ok(Some(None))
                }
            }
        })
    }
}

/// The half of a call that goes: its pipes one after the other, and what stands around them.
#[derive(Debug)]
pub(crate) struct Outlet {
    conduit: Arc<Conduit>,
    inner: Mutex<Going>,
}

#[derive(Debug)]
struct Going {
    flow: Outflow,
    /// The pipe that is written.
    current: usize,
}

impl Outlet {
    pub(crate) fn new(conduit: Arc<Conduit>, flow: Outflow) -> Self {
        let inner = Mutex::new(Going { flow, current: 0 });
        Self { conduit, inner }
    }

    fn inner(&self) -> MutexGuard<'_, Going> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the pipes in front of this one; false if it has ended itself.
    pub(crate) fn advance(&self, index: usize) -> Result<bool, EncodeError> {
        let mut inner = self.inner();
        while inner.current < index {
            let end = inner.flow.end()?;
            self.conduit.send(end);
            inner.current = inner.current.saturating_add(1);
        }
        Ok(inner.current == index)
    }

    /// Writes elements, for which there should be room.
    pub(crate) fn send<T>(
        &self,
        items: &[T],
        put: impl Fn(&mut Outflow, &[T]) -> Result<Bytes, EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut inner = self.inner();
        let piece = put(&mut inner.flow, items)?;
        self.conduit.send(piece);
        Ok(())
    }

    /// Writes what stands around the pipes.
    pub(crate) fn part(
        &self,
        write: impl FnOnce(&mut ndr::Writer) -> Result<(), EncodeError>,
    ) -> Result<Bytes, EncodeError> {
        self.inner().flow.put(write)
    }

    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.conduit.poll_room(cx)
    }

    /// Says that all pipes have ended.
    pub(crate) fn finish(&self) {
        self.conduit.finish();
    }
}

/// How the results of a call with pipes come: what generated code hands on.
pub enum Answer<T> {
    /// None of them is a pipe.
    Whole(fn(&mut ndr::Reader<'_>) -> Result<T, DecodeError>),
    /// Some are, and come first.
    Piped(fn(Received) -> T),
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Piped(_) => "Piped",
        })
    }
}

/// An `[in]` pipe, as a server's method reads it.
pub struct Reader<T> {
    intake: Arc<Intake>,
    index: usize,
    take: Take<T>,
}

impl<T> Reader<T> {
    pub(crate) fn new(intake: Arc<Intake>, index: usize, take: Take<T>) -> Self {
        Self {
            intake,
            index,
            take,
        }
    }

    /// The next elements, as many as have come; nothing at the end. How many come at once means
    /// nothing.
    ///
    /// # Errors
    /// Elements that the interface does not allow, a pipe that is not at turn, a connection that is
    /// gone: to be handed on.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, Refuse> {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// All elements that are left: for pipes that are known to be short.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn collect(mut self) -> Result<Vec<T>, Refuse> {
        let mut all = Vec::new();
        while let Some(items) = self.next().await? {
            all.extend(items);
        }
        Ok(all)
    }

    /// Passes over what is left.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn skip(mut self) -> Result<(), Refuse> {
        while self.next().await?.is_some() {}
        Ok(())
    }

    fn poll_read(&mut self, cx: &Context<'_>) -> Poll<Result<Option<Vec<T>>, Refuse>> {
        self.intake
            .poll_items(cx, self.index, self.take)
            .map_err(Refuse::from)
    }
}

impl<T> Stream for Reader<T> {
    type Item = Result<Vec<T>, Refuse>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_read(cx).map(Result::transpose)
    }
}

impl<T> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pipe::Reader({})", self.index)
    }
}

/// An `[out]` pipe, as a server's method writes it.
pub struct Writer<T> {
    outlet: Arc<Outlet>,
    /// What must have been read before, and how many pipes that is.
    before: Option<(Arc<Intake>, usize)>,
    index: usize,
    put: Put<T>,
}

impl<T> Writer<T> {
    pub(crate) fn new(
        outlet: Arc<Outlet>,
        before: Option<(Arc<Intake>, usize)>,
        index: usize,
        put: Put<T>,
    ) -> Self {
        Self {
            outlet,
            before,
            index,
            put,
        }
    }

    /// Writes elements, once there is room for them. The pipes in front of this one end.
    ///
    /// # Errors
    /// Elements that the interface does not allow, a pipe that is not at turn, a caller that is
    /// gone: to be handed on.
    // req: dce-706-5.1.4-order
    pub async fn send(&mut self, items: &[T]) -> Result<(), Refuse> {
        if let Some((intake, all)) = &self.before
            && intake.ended() < *all
        {
            return Err(Refuse::Fault(status::PIPE_ORDER));
        }
        if !self.outlet.advance(self.index)? {
            return Err(Refuse::Fault(status::PIPE_CLOSED));
        }
        let room = poll_fn(|cx| self.outlet.poll_room(cx)).await;
        room.map_err(Trouble::Lost)?;
        Ok(self.outlet.send(items, self.put)?)
    }
}

impl<T> fmt::Debug for Writer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pipe::Writer({})", self.index)
    }
}

/// What a client sends into an `[in]` pipe.
///
/// Made of a `Vec`, of anything that yields elements ([`from_iter`](FromIterator::from_iter) or
/// [`iter`](Self::iter)), or of a [`Stream`] of chunks. Elements are asked for as they can be sent,
/// while the call is polled.
pub struct Source<T>(Pin<Box<dyn Stream<Item = Result<Vec<T>, Error>> + Send>>);

impl<T: Send + 'static> Source<T> {
    /// The elements that an iterator yields, thousands at a time.
    pub fn iter<I>(items: I) -> Self
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: Send + 'static,
    {
        let mut items = items.into_iter();
        Self::chunks(std::iter::from_fn(move || {
            let chunk: Vec<T> = items.by_ref().take(CHUNK).collect();
            (!chunk.is_empty()).then_some(chunk)
        }))
    }

    /// Chunks of elements, as they are.
    pub fn chunks<I>(chunks: I) -> Self
    where
        I: IntoIterator<Item = Vec<T>>,
        I::IntoIter: Send + 'static,
    {
        Self(Box::pin(stream::iter(chunks).map(Ok)))
    }

    /// Chunks of which one may fail; the call is given up then, with this error.
    pub fn try_chunks<I, E>(chunks: I) -> Self
    where
        I: IntoIterator<Item = Result<Vec<T>, E>>,
        I::IntoIter: Send + 'static,
        E: fmt::Display,
    {
        Self::try_stream(stream::iter(chunks))
    }

    /// Chunks that come by and by.
    pub fn stream(chunks: impl Stream<Item = Vec<T>> + Send + 'static) -> Self {
        Self(Box::pin(chunks.map(Ok)))
    }

    /// Chunks of which one may fail; the call is given up then, with this error.
    pub fn try_stream<E: fmt::Display>(
        chunks: impl Stream<Item = Result<Vec<T>, E>> + Send + 'static,
    ) -> Self {
        let failed = |error: E| Error::local(Phase::Encode, error.to_string());
        Self(Box::pin(chunks.map(move |chunk| chunk.map_err(failed))))
    }
}

impl<T> Source<T> {
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Vec<T>, Error>>> {
        self.0.poll_next_unpin(cx)
    }
}

impl<T: Send + 'static> From<Vec<T>> for Source<T> {
    fn from(items: Vec<T>) -> Self {
        Self::chunks([items])
    }
}

impl<T: Send + 'static> FromIterator<T> for Source<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Vec::from_iter(items).into()
    }
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pipe::Source")
    }
}

/// A call that is being received: it ends when its last owner is gone.
pub(crate) trait Hold: Send + Sync {
    /// Adds to an error what is known of the call.
    fn describe(&self, error: Error) -> Error;
}

/// An `[out]` pipe, as a client reads it.
pub struct Elements<T>(Origin<T>);

/// How elements are read, by whatever knows it.
type Takes<T> = Box<dyn Fn(&mut Inflow) -> Result<Taken<T>, DecodeError> + Send + Sync>;

enum Origin<T> {
    /// A call.
    Call {
        intake: Arc<Intake>,
        index: usize,
        take: Takes<T>,
        hold: Arc<dyn Hold>,
    },
    /// Nothing but these.
    Given(Vec<T>),
}

impl<T> Elements<T> {
    pub(crate) fn new(
        intake: Arc<Intake>,
        index: usize,
        take: Takes<T>,
        hold: Arc<dyn Hold>,
    ) -> Self {
        Self(Origin::Call {
            intake,
            index,
            take,
            hold,
        })
    }

    /// A pipe with these elements: what a stand-in for a client gives.
    pub fn of(items: Vec<T>) -> Self {
        Self(Origin::Given(items))
    }

    /// The next elements, as many as have come; nothing at the end. How many come at once means
    /// nothing.
    ///
    /// # Errors
    /// Why no more come.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, Error> {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// All elements that are left: for pipes that are known to be short.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn collect(&mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while let Some(items) = self.next().await? {
            all.extend(items);
        }
        Ok(all)
    }

    fn poll_read(&mut self, cx: &Context<'_>) -> Poll<Result<Option<Vec<T>>, Error>> {
        match &mut self.0 {
            Origin::Call {
                intake,
                index,
                take,
                hold,
            } => intake
                .poll_items(cx, *index, &*take)
                .map_err(|trouble| hold.describe(trouble.into())),
            Origin::Given(items) if items.is_empty() => Poll::Ready(Ok(None)),
            Origin::Given(items) => Poll::Ready(Ok(Some(std::mem::take(items)))),
        }
    }
}

/// Nothing in it is pinned.
impl<T> Unpin for Elements<T> {}

impl<T> Stream for Elements<T> {
    type Item = Result<Vec<T>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_read(cx).map(Result::transpose)
    }
}

impl<T> fmt::Debug for Elements<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pipe::Elements")
    }
}

/// One or several pipes: [`Elements`], or a pair of pipes and more pipes.
pub trait Pipes: Send {
    /// Passes over what is left in them.
    fn poll_skip(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>>;
}

impl<T: Send> Pipes for Elements<T> {
    fn poll_skip(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while ready!(self.poll_read(cx))?.is_some() {}
        Poll::Ready(Ok(()))
    }
}

impl<A: Pipes, B: Pipes> Pipes for (A, B) {
    fn poll_skip(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.0.poll_skip(cx))?;
        self.1.poll_skip(cx)
    }
}

/// A call whose results have begun to come: pipes first, then the other results.
///
/// Dropping it gives the call up.
pub struct Receiving<P, R> {
    /// The `[out]` pipe, or a pair of the first pipe and the others. They are read in their order.
    pub pipe: P,
    rest: Rest<R>,
}

/// The results behind the pipes.
#[allow(clippy::type_complexity, reason = "it is written once")]
enum Rest<R> {
    Call {
        intake: Arc<Intake>,
        known: Vec<i64>,
        most: usize,
        take: Box<dyn Fn(&mut ndr::Reader<'_>) -> Result<R, DecodeError> + Send + Sync>,
        hold: Arc<dyn Hold>,
    },
    Given(R),
}

impl<P: Pipes, R> Receiving<P, R> {
    /// A call with these pipes and results: what a stand-in for a client gives.
    pub fn of(pipe: P, result: R) -> Self {
        Self {
            pipe,
            rest: Rest::Given(result),
        }
    }

    /// The other results, once they have come; what is left in the pipes is passed over.
    ///
    /// # Errors
    /// Why the call has no result.
    pub async fn result(mut self) -> Result<R, Error> {
        poll_fn(|cx| self.pipe.poll_skip(cx)).await?;
        match &self.rest {
            Rest::Given(_) => {}
            Rest::Call {
                intake,
                known,
                most,
                take,
                hold,
            } => {
                let part = intake.part(known, *most, take).await;
                return part.map_err(|trouble| hold.describe(trouble.into()));
            }
        }
        match self.rest {
            Rest::Given(result) => Ok(result),
            Rest::Call { .. } => unreachable!("looked at above"),
        }
    }
}

impl<P: fmt::Debug, R> fmt::Debug for Receiving<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving")
            .field("pipe", &self.pipe)
            .finish_non_exhaustive()
    }
}

/// A call whose results have begun to come, for generated code to make a [`Receiving`] of.
pub struct Received {
    pub(crate) intake: Arc<Intake>,
    pub(crate) hold: Arc<dyn Hold>,
    pub(crate) known: Vec<i64>,
    pub(crate) most: usize,
}

impl Received {
    /// The pipe at this place among the `[out]` pipes.
    pub fn pipe<T>(
        &self,
        index: usize,
        take: impl Fn(&mut Inflow) -> Result<Taken<T>, DecodeError> + Send + Sync + 'static,
    ) -> Elements<T> {
        let (intake, hold) = (Arc::clone(&self.intake), Arc::clone(&self.hold));
        Elements::new(intake, index, Box::new(take), hold)
    }

    /// The whole, with how the other results are read.
    pub fn with<P, R>(
        self,
        pipe: P,
        take: impl Fn(&mut ndr::Reader<'_>) -> Result<R, DecodeError> + Send + Sync + 'static,
    ) -> Receiving<P, R> {
        Receiving {
            pipe,
            rest: Rest::Call {
                intake: self.intake,
                known: self.known,
                most: self.most,
                take: Box::new(take),
                hold: self.hold,
            },
        }
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pipe::Received")
    }
}

/// The [`Source`]s of a call, in their order, each with how its elements are written: what
/// generated code hands on.
#[derive(Default)]
pub struct Sources(Vec<Box<dyn Feed>>);

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pipe::Sources({})", self.0.len())
    }
}

impl Sources {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with one more.
    #[must_use]
    pub fn with<T: Send + 'static>(
        mut self,
        source: Source<T>,
        put: impl Fn(&mut Outflow, &[T]) -> Result<Bytes, EncodeError> + Send + 'static,
    ) -> Self {
        self.0.push(Box::new(Feeding { source, put }));
        self
    }

    /// Whether there are none: the arguments are whole from the beginning.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes what the sources give as far as there is room; ready when all have ended.
    pub(crate) fn poll_feed(
        &mut self,
        cx: &mut Context<'_>,
        outlet: &Outlet,
    ) -> Poll<Result<(), Error>> {
        for (index, source) in self.0.iter_mut().enumerate() {
            if !outlet.advance(index)? {
                continue;
            }
            while !outlet.conduit.is_over() && ready!(source.poll_feed(cx, outlet))? {}
            outlet.advance(index.saturating_add(1))?;
        }
        Poll::Ready(Ok(()))
    }
}

/// What takes the elements of the `[out]` pipes of a call that blocks its thread, in their order:
/// what generated code hands on.
#[derive(Default)]
pub struct Sinks<'s>(Vec<Box<Sink<'s>>>);

/// Takes what has come of the pipe at this place; ready at its end.
type Sink<'s> = dyn FnMut(&Context<'_>, &Intake, usize) -> Poll<Result<(), Trouble>> + 's;

impl fmt::Debug for Sinks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pipe::Sinks({})", self.0.len())
    }
}

impl<'s> Sinks<'s> {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with one more.
    #[must_use]
    pub fn with<T: 's>(mut self, mut sink: impl FnMut(Vec<T>) + 's, take: Take<T>) -> Self {
        self.0.push(Box::new(move |cx, intake, index| {
            while let Some(items) = ready!(intake.poll_items(cx, index, take))? {
                sink(items);
            }
            Poll::Ready(Ok(()))
        }));
        self
    }

    /// Hands over what has come; ready when all pipes have ended.
    pub(crate) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        intake: &Intake,
    ) -> Poll<Result<(), Error>> {
        for (index, sink) in self.0.iter_mut().enumerate() {
            ready!(sink(cx, intake, index))?;
        }
        Poll::Ready(Ok(()))
    }
}

/// A source whose elements' type is forgotten.
trait Feed: Send {
    /// Writes a chunk, once there is room and a chunk; false at the end.
    fn poll_feed(&mut self, cx: &mut Context<'_>, outlet: &Outlet) -> Poll<Result<bool, Error>>;
}

struct Feeding<T, P> {
    source: Source<T>,
    put: P,
}

impl<T, P> Feed for Feeding<T, P>
where
    T: Send,
    P: Fn(&mut Outflow, &[T]) -> Result<Bytes, EncodeError> + Send,
{
    fn poll_feed(&mut self, cx: &mut Context<'_>, outlet: &Outlet) -> Poll<Result<bool, Error>> {
        ready!(outlet.poll_room(cx))?;
        Poll::Ready(Ok(match ready!(self.source.poll_chunk(cx)) {
            Some(chunk) => {
                outlet.send(&chunk?, &self.put)?;
                true
            }
            None => false,
        }))
    }
}
