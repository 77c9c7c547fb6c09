//! State behind context handles, as operations hold it.
//!
//! Read first: C706 section 5.1.6 (context handles and rundown). The table of handles belongs to
//! the association group, in [`farcall_dce::co::group`]; what lies in it is a lock of whatever an
//! operation opened. Calls that want the same state wait for each other here.

use std::any::{Any, type_name};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use farcall_dce::co::group::Group;
use farcall_dce::co::handle::{Kind, Strictness};
use farcall_dce::status;
use farcall_wire::ndr::ContextHandle;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::interface::Interface;

fn kind<T>(interface: &Interface) -> Kind {
    Kind {
        interface: interface.syntax_id(),
        name: type_name::<T>(),
    }
}

// req: dce-handle-rundown
/// Gives `state` a handle that operations of `interface` may use; an error is a fault's status.
pub(crate) fn open<T: Send + Sync + 'static>(
    group: &Group,
    interface: &Interface,
    state: T,
) -> Result<ContextHandle, u32> {
    let state = Arc::new(RwLock::new(state));
    // req: dce-handle-limit
    group.open(kind::<T>(interface), state).map_err(|error| {
        tracing::warn!(%error, "no further context handle (Limits::handles)");
        status::REMOTE_NO_MEMORY
    })
}

/// What a handle of `interface` stands for; an error is a fault's status.
pub(crate) fn find<T: Send + Sync + 'static>(
    group: &Group,
    interface: &Interface,
    handle: &ContextHandle,
) -> Result<Arc<RwLock<T>>, u32> {
    let found = group.find(handle, kind::<T>(interface), Strictness::Type);
    let state: Arc<dyn Any + Send + Sync> = found.map_err(|_| status::CONTEXT_MISMATCH)?;
    state.downcast().map_err(|_| status::CONTEXT_MISMATCH)
}

/// Forgets a handle of `interface`; an error is a fault's status.
pub(crate) fn close(
    group: &Group,
    interface: &Interface,
    handle: &ContextHandle,
) -> Result<(), u32> {
    let closed = group.close(handle, kind::<()>(interface), Strictness::Interface);
    closed.map(drop).map_err(|_| status::CONTEXT_MISMATCH)
}

// req: dce-handle-serialized
/// State behind a context handle, held by one call alone until this is dropped.
#[derive(Debug)]
pub struct Held<T>(OwnedRwLockWriteGuard<T>);

impl<T> Held<T> {
    /// Waits until no other call holds it.
    pub(crate) async fn of(state: Arc<RwLock<T>>) -> Self {
        Self(state.write_owned().await)
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// State behind a context handle, held together with other calls that only look at it.
#[derive(Debug)]
pub struct Shared<T>(OwnedRwLockReadGuard<T>);

impl<T> Shared<T> {
    /// Waits until no call holds it alone.
    pub(crate) async fn of(state: Arc<RwLock<T>>) -> Self {
        Self(state.read_owned().await)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
