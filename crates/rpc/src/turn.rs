//! One turn of a connection: the calls that one read brought, and the replies that one write
//! takes away.
//!
//! While a connection (or a UDP socket) polls procedures, its turn lies in a thread-local place.
//! Workers take the next call from it and put finished replies into it, so a call costs no lock,
//! no channel, no task and no allocation. A worker whose procedure is pending keeps only the call
//! it works on; when it goes on later, it does so inside another turn of the same connection.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;

use bytes::Bytes;
use farcall_wire::TransmitQueue;

use farcall_onc::msg::{self, ReplyBody};
use farcall_onc::record;

use crate::call::{Call, Peer};
use crate::endpoint::Transport;

/// Where the arguments of a call lie.
#[derive(Debug)]
pub(crate) enum Arguments {
    /// In the turn's batch.
    InBatch(Range<usize>),
    /// In memory of their own.
    Own(Bytes),
}

/// A call that has been admitted and waits for its procedure.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The service, by its place in the server's list.
    pub(crate) service: usize,
    pub(crate) call: Call,
    pub(crate) arguments: Arguments,
}

/// The calls and replies of one turn.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Replies, in the form in which the transport takes them.
    pub(crate) out: TransmitQueue,
    /// For datagrams: whom each reply in `out` is for, and where it ends.
    pub(crate) datagrams: VecDeque<Datagram>,
    /// Calls that wait for their procedure.
    pub(crate) calls: VecDeque<Incoming>,
    /// The bytes in which `calls` lie.
    pub(crate) batch: Bytes,
    /// Changes with `batch`.
    pub(crate) generation: u64,
    /// No new procedure is begun while more than this waits in `out`.
    pub(crate) write_queue: usize,
    /// The call whose procedure runs right now.
    pub(crate) current: Option<Current>,
}

/// As much of a call as it takes to say that its procedure panicked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    xid: u32,
    transport: Transport,
    peer: Peer,
    local: Option<SocketAddr>,
}

/// Whom a reply is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram {
    pub(crate) to: SocketAddr,
    /// The address the call was sent to: the reply leaves from there.
    pub(crate) from: Option<SocketAddr>,
    /// Length of `out` when the reply had been put there.
    pub(crate) end: usize,
}

thread_local! {
    static TURN: RefCell<Box<Turn>> = RefCell::default();
}

/// The batch a worker reads its arguments from.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    generation: u64,
}

impl Turn {
    /// Whether nothing waits, neither calls nor replies.
    pub(crate) fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.out.is_empty()
    }

    /// Runs `f` with this turn in the thread's place, and takes it back even if `f` panics.
    pub(crate) fn enter<T>(self: &mut Box<Self>, f: impl FnOnce() -> T) -> T {
        struct Back<'a>(&'a mut Box<Turn>);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                TURN.with_borrow_mut(|turn| std::mem::swap(turn, self.0));
            }
        }
        TURN.with_borrow_mut(|turn| std::mem::swap(turn, self));
        let _back = Back(self);
        f()
    }

    /// How much waits to be sent: bytes of a stream, or datagrams.
    pub(crate) fn queued(&self, transport: Transport) -> usize {
        match transport {
            Transport::Udp => self.datagrams.len(),
            _ => self.out.len(),
        }
    }

    /// Puts a refusal into `out`, in the transport's framing.
    pub(crate) fn refuse(&mut self, transport: Transport, xid: u32, body: ReplyBody) {
        msg::encode_refusal(&mut self.out, transport.framing(), xid, body);
    }

    /// Notes that the reply to `call` has been put into `out`.
    #[inline]
    pub(crate) fn answered(&mut self, call: &Call) {
        if call.transport == Transport::Udp {
            self.address(call.peer, call.local);
        }
    }

    /// Notes whom the bytes since the last datagram are for.
    pub(crate) fn address(&mut self, peer: Peer, from: Option<SocketAddr>) {
        if let Peer::Inet(to) = peer {
            self.datagrams.push_back(Datagram {
                to,
                from,
                end: self.out.len(),
            });
        }
    }

    /// Puts a whole message into `out`, in the transport's framing.
    pub(crate) fn put_message(
        &mut self,
        transport: Transport,
        peer: Peer,
        from: Option<SocketAddr>,
        message: &Bytes,
    ) {
        if transport == Transport::Udp {
            self.out.put_bytes(message);
            self.address(peer, from);
        } else {
            self.out.put_slice(&record::mark(message.len()));
            self.out.put_bytes(message);
        }
    }

    /// Takes note of the call that a pending procedure works on, away from this turn.
    pub(crate) fn detach(&mut self) -> Option<Current> {
        self.current.take()
    }

    /// The procedure that goes on now works on this call.
    pub(crate) fn attach(&mut self, current: Option<Current>) {
        self.current = current;
    }

    /// Answers the call whose procedure panicked.
    pub(crate) fn panicked(&mut self) {
        let Some(current) = self.current.take() else {
            return;
        };
        self.refuse(current.transport, current.xid, ReplyBody::SystemErr);
        if current.transport == Transport::Udp {
            self.address(current.peer, current.local);
        }
    }
}

/// Works on the turn of the connection that is being polled on this thread.
#[inline]
pub(crate) fn with<T>(f: impl FnOnce(&mut Turn) -> T) -> T {
    TURN.with_borrow_mut(|turn| f(turn))
}

/// The next call, if it is for `service` and replies are not piling up.
#[inline]
pub(crate) fn next(service: usize, held: &mut Held) -> Option<(Call, Range<usize>)> {
    TURN.with_borrow_mut(|turn| {
        if turn.calls.front()?.service != service || turn.out.len() > turn.write_queue {
            return None;
        }
        let incoming = turn.calls.pop_front()?;
        let range = match incoming.arguments {
            Arguments::InBatch(range) => {
                if held.generation != turn.generation {
                    *held = Held {
                        bytes: turn.batch.clone(),
                        generation: turn.generation,
                    };
                }
                range
            }
            Arguments::Own(bytes) => {
                let range = 0..bytes.len();
                *held = Held {
                    bytes,
                    generation: 0,
                };
                range
            }
        };
        let call = incoming.call;
        turn.current = Some(Current {
            xid: call.xid,
            transport: call.transport,
            peer: call.peer,
            local: call.local,
        });
        Some((call, range))
    })
}
