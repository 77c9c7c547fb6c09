//! Where replies that are made away from their connection come back to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::call::Peer;
use crate::steps::tap::Sample;

/// A reply made away from its connection's turn.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// The message without framing; `None` only says that a call is over.
    pub(crate) message: Option<Bytes>,
    pub(crate) peer: Peer,
    pub(crate) local: Option<std::net::SocketAddr>,
    /// The call's sample, if it came over this connection.
    pub(crate) sample: Option<Arc<Sample>>,
}

/// Where replies that are made elsewhere come back to a connection.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    pub(super) sender: mpsc::UnboundedSender<Delivery>,
    pub(super) running: Arc<AtomicUsize>,
    /// Bytes of the arguments of calls that run elsewhere.
    pub(super) held: Arc<AtomicUsize>,
}

impl Mailbox {
    /// Has the connection look at what has changed.
    pub(super) fn nudge(&self) {
        // A connection that is gone has nothing to look at.
        let _ = self.sender.send(Delivery {
            message: None,
            peer: Peer::InProcess,
            local: None,
            sample: None,
        });
    }
}

/// The connection's end of its mailbox.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) receiver: mpsc::UnboundedReceiver<Delivery>,
    running: Arc<AtomicUsize>,
    held: Arc<AtomicUsize>,
}

impl Inbox {
    /// A mailbox and its end. What lies in it is bounded by the calls that may run.
    pub(crate) fn new() -> (Mailbox, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (running, held) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        (
            Mailbox {
                sender,
                running: Arc::clone(&running),
                held: Arc::clone(&held),
            },
            Self {
                receiver,
                running,
                held,
            },
        )
    }

    /// Calls that run elsewhere for this connection.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// Bytes of their arguments.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }
}
