//! An interface with context handles: counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use farcall::stub::{Interface, NdrReply, Operation, Operations, Registered};
use farcall::{Call, Calling, Client, Refuse};
use farcall_wire::ndr::{self, ContextHandle};
use farcall_wire::{DecodeError, EncodeError, Uuid};

const fn operation(opnum: u16, name: &'static str) -> Operation {
    Operation {
        opnum,
        name,
        idempotent: false,
        blocking: false,
        broadcast: false,
        maybe: false,
        in_pipes: 0,
        out_pipes: 0,
    }
}

/// The interface.
pub(crate) static COUNTER: Interface = Interface {
    uuid: Uuid::new(0x0c0f_fee1, 0, 0, [1; 8]),
    major: 1,
    minor: 2,
    name: "counter",
    operations: &[
        operation(0, "Open"),
        operation(1, "Add"),
        operation(2, "Close"),
        operation(3, "OpenOther"),
    ],
    endpoints: &[],
};

/// The management interface, as far as the tests call it.
pub(crate) static MGMT: Interface = Interface {
    uuid: Uuid::new(
        0xafa8_bd80,
        0x7d8a,
        0x11c9,
        [0xbe, 0xf4, 0x08, 0x00, 0x2b, 0x10, 0x29, 0x89],
    ),
    major: 1,
    minor: 0,
    name: "mgmt",
    operations: &[],
    endpoints: &[],
};

/// What the tests look at while it serves: counters that are open.
#[derive(Clone, Default)]
pub(crate) struct Counters {
    pub(crate) open: Arc<AtomicUsize>,
}

/// State behind a handle.
struct Counter {
    value: u32,
    open: Arc<AtomicUsize>,
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Operations for Counters {
    fn interface(&self) -> &'static Interface {
        &COUNTER
    }

    async fn call(
        &self,
        call: &Call,
        r: &mut ndr::Reader<'_>,
        reply: &mut NdrReply<'_>,
    ) -> Result<(), Refuse> {
        match call.opnum() {
            0 => {
                self.open.fetch_add(1, Ordering::SeqCst);
                let open = Arc::clone(&self.open);
                let handle = call.open(Counter { value: 0, open })?;
                reply.encode(|w| put(w, handle))
            }
            1 => {
                let handle = take(r)?;
                let mut counter = call.held::<Counter>(&handle).await?;
                let before = counter.value;
                // Others would come between here if the handle were not held.
                tokio::task::yield_now().await;
                counter.value = before + 1;
                let value = counter.value;
                reply.encode(|w| {
                    w.u32(value);
                    Ok(())
                })
            }
            2 => {
                let handle = call.close(&take(r)?)?;
                reply.encode(|w| put(w, handle))
            }
            3 => {
                let handle = call.open(String::from("no counter"))?;
                reply.encode(|w| put(w, handle))
            }
            _ => Err(Refuse::ProcUnavail),
        }
    }
}

fn put(w: &mut ndr::Writer, handle: ContextHandle) -> Result<(), EncodeError> {
    w.u32(handle.attributes);
    w.slice(&handle.uuid.to_bytes_le());
    Ok(())
}

fn take(r: &mut ndr::Reader<'_>) -> Result<ContextHandle, DecodeError> {
    Ok(ContextHandle {
        attributes: r.u32()?,
        uuid: Uuid::from_bytes_le(*r.array()?),
    })
}

/// The service, open to anybody.
pub(crate) fn service(counters: &Counters) -> Registered {
    Registered::interface(counters.clone()).allow_anonymous()
}

/// Open.
pub(crate) fn open(client: &Client) -> Calling<ContextHandle> {
    client.operation(&COUNTER, 0, &[], |_| Ok(()), take)
}

/// OpenOther.
pub(crate) fn open_other(client: &Client) -> Calling<ContextHandle> {
    client.operation(&COUNTER, 3, &[], |_| Ok(()), take)
}

/// Add.
pub(crate) fn add(client: &Client, handle: ContextHandle) -> Calling<u32> {
    client.operation(&COUNTER, 1, &[], |w| put(w, handle), |r| r.u32())
}

/// Close.
pub(crate) fn close(client: &Client, handle: ContextHandle) -> Calling<ContextHandle> {
    client.operation(&COUNTER, 2, &[], |w| put(w, handle), take)
}
