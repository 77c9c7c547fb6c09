//! Ending the sleep of a thread that reads a socket.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Wake, Waker};

use rustix::net::Shutdown;

/// Wakes a thread that sleeps in a read, by ending all reading of its socket.
pub(crate) struct Nudge<S>(Arc<S>);

impl<S: AsFd + Send + Sync + 'static> Nudge<S> {
    /// A waker for whoever sleeps in reading `socket`.
    pub(crate) fn waker(socket: Arc<S>) -> Waker {
        Waker::from(Arc::new(Self(socket)))
    }
}

impl<S: AsFd + Send + Sync + 'static> Wake for Nudge<S> {
    fn wake(self: Arc<Self>) {
        // A stream's peer that is gone has ended it already; a datagram socket that is connected
        // to nobody says so, and wakes its readers all the same.
        let _ = rustix::net::shutdown(&*self.0, Shutdown::Read);
    }
}
