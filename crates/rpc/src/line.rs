//! A connection of a server as calls in the other direction see it.
//!
//! A server's connection can carry calls both ways: its peer's to us, and ours to its peer. What makes ours is set up
//! when somebody first asks for it, and belongs to [`client::back`](crate::client::back); the connection only needs to
//! know that it is there, and whom to wake.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;

/// What calls in the other direction share with the connection that carries them.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// What makes the calls, once there are any.
    back: OnceLock<Arc<dyn Any + Send + Sync>>,
    /// The connection's task.
    waker: Mutex<Option<Waker>>,
    /// The connection is over.
    ended: AtomicBool,
    /// Who is at its other end, by a certificate.
    #[cfg(feature = "tls")]
    certified: Option<crate::tls::Certified>,
}

impl Line {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A connection at whose other end a certificate proves who it is, if it does.
    #[cfg(feature = "tls")]
    pub(crate) fn of(certified: Option<crate::tls::Certified>) -> Arc<Self> {
        Arc::new(Self {
            certified,
            ..Self::default()
        })
    }

    /// Who is at its other end, by a certificate.
    #[cfg(feature = "tls")]
    pub(crate) fn certified(&self) -> Option<&crate::tls::Certified> {
        self.certified.as_ref()
    }

    /// What makes calls in the other direction, if there is such a thing.
    #[inline]
    pub(crate) fn back(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.back.get()
    }

    /// As [`back`](Self::back); made now if there is none yet, of which the connection's task is told.
    pub(crate) fn back_or(
        &self,
        make: impl FnOnce() -> Arc<dyn Any + Send + Sync>,
    ) -> &Arc<dyn Any + Send + Sync> {
        let mut new = false;
        let back = self.back.get_or_init(|| {
            new = true;
            make()
        });
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = waker.as_ref().filter(|_| new) {
            waker.wake_by_ref();
        }
        back
    }

    /// The connection's task is this now.
    pub(crate) fn watch(&self, waker: &Waker) {
        let mut known = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(waker.clone());
    }

    /// The connection is over: nothing will be carried any more. `false`: that was known.
    pub(crate) fn end(&self) -> bool {
        let known = self.ended.swap(true, Ordering::AcqRel);
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        *waker = None;
        !known
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}
