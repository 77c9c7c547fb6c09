//! The connection of one channel: made, proved, its request sent, its response read.
//!
//! Read first: MS-RPCH sections 2.1.2.1.1 to 2.1.2.1.4. An IN channel is answered only if it fails; the body of an OUT channel's response is
//! handed on piece by piece. Nothing here waits; nothing is read that nobody asks for.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use farcall_rpch::{ChannelId, Direction};
use tokio::io::AsyncWrite;
use tokio_util::io::poll_read_buf;

use super::head::{Bad, Body, Head, Piece};
use super::proof::Ready;
use super::trouble;
use crate::client::connect::ByteStream;
use crate::error::Error;
use crate::scratch;

/// A connection that is being made.
pub(super) type Opening = Pin<Box<dyn Future<Output = Result<(Ready, String), Error>> + Send>>;

/// What happened on a connection.
pub(super) enum Happened {
    /// It stands, and its request is to be written.
    Connected,
    /// The head of the response came.
    Head(Head),
    /// This came of the response's body.
    Bytes(Bytes),
    /// It is gone, or could not be made, or what comes makes no sense.
    Closed(Error),
}

/// The connection of one channel.
pub(super) struct Wire {
    pub(super) id: ChannelId,
    direction: Direction,
    state: State,
    /// Given, and not yet written.
    waiting: VecDeque<Bytes>,
    unflushed: bool,
    /// When all is written it ends.
    closing: bool,
}

enum State {
    Opening(Opening),
    Open(Open),
    Gone,
}

struct Open {
    io: Box<dyn ByteStream>,
    received: BytesMut,
    /// The body of the response, once its head has come.
    body: Option<Body>,
    /// What came of the body and was not handed on.
    rest: Bytes,
    /// Nothing more comes.
    ended: bool,
}

impl Wire {
    pub(super) fn new(id: ChannelId, direction: Direction, opening: Opening) -> Self {
        Self {
            id,
            direction,
            state: State::Opening(opening),
            waiting: VecDeque::new(),
            unflushed: false,
            closing: false,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Whether it takes more to be written.
    pub(super) fn has_room(&self) -> bool {
        matches!(self.state, State::Open(_)) && self.waiting.len() < 16
    }

    /// Whether all that was given is written, as far as it is going to be.
    pub(super) fn is_drained(&self) -> bool {
        matches!(self.state, State::Gone) || (self.waiting.is_empty() && !self.unflushed)
    }

    pub(super) fn write(&mut self, bytes: Bytes) {
        self.waiting.push_back(bytes);
    }

    /// Ends it when everything is written.
    pub(super) fn close(&mut self) {
        self.closing = true;
        if matches!(self.state, State::Opening(_)) {
            self.state = State::Gone;
        }
    }

    /// Writes what can be written. True if something was.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while let Poll::Ready(written) = self.write_some(cx) {
            match written {
                Ok(true) => progress = true,
                Ok(false) => break,
                Err(_) => {
                    // Reading says why: the proxy may have answered before it closed.
                    self.waiting.clear();
                    self.unflushed = false;
                    break;
                }
            }
        }
        if self.closing && self.is_drained() && !self.is_gone() {
            progress |= self.poll_end(cx);
        }
        progress
    }

    fn write_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let State::Open(open) = &mut self.state else {
            return Poll::Pending;
        };
        let io = Pin::new(&mut open.io);
        let Some(first) = self.waiting.front_mut() else {
            if !self.unflushed {
                return Poll::Ready(Ok(false));
            }
            ready!(io.poll_flush(cx))?;
            self.unflushed = false;
            return Poll::Ready(Ok(true));
        };
        let len = ready!(io.poll_write(cx, first))?;
        if len == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.unflushed = true;
        first.advance(len);
        if first.is_empty() {
            self.waiting.pop_front();
        }
        Poll::Ready(Ok(true))
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> bool {
        if let State::Open(open) = &mut self.state
            && Pin::new(&mut open.io).poll_shutdown(cx).is_pending()
        {
            return false;
        }
        self.state = State::Gone;
        true
    }

    /// What happened. `readable`: the body of the response is wanted.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, readable: bool) -> Poll<Happened> {
        if self.closing {
            return Poll::Pending;
        }
        let happened = match &mut self.state {
            State::Gone => return Poll::Pending,
            State::Opening(opening) => match ready!(opening.as_mut().poll(cx)) {
                Ok((ready, request)) => {
                    self.waiting.push_front(request.into());
                    self.state = State::Open(Open {
                        io: ready.connection.io,
                        received: ready.connection.received,
                        body: None,
                        rest: Bytes::new(),
                        ended: false,
                    });
                    Happened::Connected
                }
                Err(error) => Happened::Closed(error),
            },
            State::Open(open) if open.body.is_none() => ready!(open.poll_head(cx)),
            // The body of a refusal says nothing that its head does not say.
            State::Open(_) if self.direction == Direction::In => return Poll::Pending,
            State::Open(_) if !readable => return Poll::Pending,
            State::Open(open) => ready!(open.poll_body(cx)),
        };
        if matches!(happened, Happened::Closed(_)) {
            self.state = State::Gone;
        }
        Poll::Ready(happened)
    }
}

impl Open {
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        loop {
            match Head::take(&mut self.received) {
                Ok(Some(head)) if head.is_interim() => continue,
                Ok(Some(head)) => {
                    return Poll::Ready(match head.framing() {
                        Ok(framing) => {
                            self.body = Some(Body::new(framing));
                            self.rest = self.received.split().freeze();
                            Happened::Head(head)
                        }
                        Err(bad) => garbled(bad),
                    });
                }
                Ok(None) => {}
                Err(bad) => return Poll::Ready(garbled(bad)),
            }
            let read = poll_read_buf(Pin::new(&mut self.io), cx, &mut self.received);
            match ready!(read) {
                Ok(0) => {
                    let ended = io::ErrorKind::UnexpectedEof.into();
                    return Poll::Ready(Happened::Closed(trouble::lost(&ended)));
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Happened::Closed(trouble::lost(&error))),
            }
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        loop {
            let Some(body) = &mut self.body else {
                return Poll::Pending;
            };
            match body.next(&mut self.rest) {
                Ok(Piece::Bytes(bytes)) => return Poll::Ready(Happened::Bytes(bytes)),
                Ok(Piece::More) if !self.ended => {}
                Ok(Piece::More | Piece::End) => {
                    return Poll::Ready(Happened::Closed(ended()));
                }
                Err(bad) => return Poll::Ready(garbled(bad)),
            }
            let io = &mut self.io;
            let read = scratch::with_input(|input| match poll_read_buf(Pin::new(io), cx, input) {
                Poll::Ready(Ok(_)) => Poll::Ready(Ok(input.split().freeze())),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            });
            match ready!(read) {
                Ok(bytes) => {
                    self.ended = bytes.is_empty();
                    self.rest = bytes;
                }
                Err(error) => return Poll::Ready(Happened::Closed(trouble::lost(&error))),
            }
        }
    }
}

fn garbled(bad: Bad) -> Happened {
    Happened::Closed(trouble::garbled(bad))
}

fn ended() -> Error {
    let why = "the RPC proxy ended the OUT channel".to_owned();
    Error::new(
        crate::error::Phase::Connect,
        crate::error::Cause::Disconnected(why),
    )
}
