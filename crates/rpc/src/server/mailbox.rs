//! Where replies that are made away from their connection come back to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::armor::Armor;
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
    /// A call that runs elsewhere keeps so many bytes of arguments.
    pub(super) fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::AcqRel);
    }

    /// It keeps them no longer; the connection may read on.
    pub(super) fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::AcqRel);
        self.nudge();
    }

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

/// Where the reply to a call goes. As long as it exists, its connection knows that a reply is to
/// come and does not end, though it may be draining.
#[derive(Debug)]
pub(crate) struct Target {
    mailbox: Mailbox,
    peer: Peer,
    local: Option<std::net::SocketAddr>,
    /// What protects the reply.
    armor: Option<Armor>,
}

impl Target {
    pub(super) fn new(mailbox: Mailbox, peer: Peer, local: Option<std::net::SocketAddr>) -> Self {
        mailbox.running.fetch_add(1, Ordering::AcqRel);
        Self {
            mailbox,
            peer,
            local,
            armor: None,
        }
    }

    /// The reply is to be protected by this.
    pub(super) fn armored(mut self, armor: Option<Armor>) -> Self {
        self.armor = armor;
        self
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer
    }

    /// Sends a reply there; `None` only says that the call is over.
    pub(super) fn deliver(&self, message: Option<Bytes>, sample: Option<Arc<Sample>>) {
        let (peer, local) = (self.peer, self.local);
        let message = match &self.armor {
            Some(armor) => message.and_then(|message| armor.dress(&message)),
            None => message,
        };
        // A connection that is gone wants no reply.
        let _ = self.mailbox.sender.send(Delivery {
            message,
            peer,
            local,
            sample,
        });
    }

    pub(super) fn is_connection(&self, other: &Mailbox) -> bool {
        Arc::ptr_eq(&self.mailbox.running, &other.running)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.mailbox.running.fetch_sub(1, Ordering::AcqRel);
        self.deliver(None, None);
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
