//! A small program of the tests' own: echo, add, wait, panic, refuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use farcall::stub::{Procedure, Program, Registered, Reply, Service};
use farcall::{Call, Client, Refuse};
use farcall_wire::{Bytes, Reader, Str, xdr};
use tokio::sync::Notify;

const fn procedure(number: u32, name: &'static str) -> Procedure {
    Procedure {
        number,
        name,
        idempotent: false,
        blocking: false,
    }
}

/// The program.
pub(crate) static PROGRAM: Program = Program {
    number: 0x2000_0777,
    version: 1,
    name: "TEST_PROG",
    version_name: "TEST_V1",
    procedures: &[
        procedure(1, "ECHO"),
        procedure(2, "ADD"),
        procedure(3, "WAIT"),
        procedure(4, "PANIC"),
        procedure(5, "SILENT"),
        procedure(6, "BULK"),
        Procedure {
            number: 7,
            name: "SLOW",
            idempotent: true,
            blocking: true,
        },
        procedure(8, "WHO"),
    ],
};

/// What the tests look at while it serves.
#[derive(Clone, Default)]
pub(crate) struct Test {
    pub(crate) gate: Arc<Notify>,
    pub(crate) waiting: Arc<AtomicUsize>,
    pub(crate) calls: Arc<AtomicUsize>,
}

/// Counts a waiting call, also when it is dropped.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Service for Test {
    fn program(&self) -> &'static Program {
        &PROGRAM
    }

    async fn call(
        &self,
        call: &Call,
        arguments: &mut Reader<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(), Refuse> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match call.procedure() {
            1 => {
                let text = xdr::string_var(arguments, 1 << 20)?;
                call.unpacked(arguments)?;
                reply.encode(&text)
            }
            2 => {
                let (a, b) = (arguments.i32()?, arguments.i32()?);
                call.unpacked(arguments)?;
                reply.encode(&a.wrapping_add(b))
            }
            3 => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                let _waiting = Waiting(Arc::clone(&self.waiting));
                self.gate.notified().await;
                reply.encode(&())
            }
            4 => panic!("as it was told"),
            5 => Err(Refuse::NoReply),
            6 => {
                let len = arguments.u32()?;
                reply.encode(&Bulk(Bytes::from(vec![7; len as usize])))
            }
            7 => {
                call.unpacked(arguments)?;
                assert!(
                    std::thread::current().name() != Some("farcall-0"),
                    "runs on the pool"
                );
                reply.encode(&7_u32)
            }
            8 => {
                let uid = call.credential().sys().map_or(u32::MAX, |sys| sys.uid);
                reply.encode(&(uid, Str::from(call.peer().to_string())))
            }
            _ => Err(Refuse::ProcUnavail),
        }
    }
}

/// Opaque data that is shared.
pub(crate) struct Bulk(pub Bytes);

impl farcall_wire::Encode for Bulk {
    fn measure(&self, size: &mut farcall_wire::Size) -> Result<(), farcall_wire::EncodeError> {
        size.bytes_var(&self.0, u32::MAX)
    }
    fn encode(&self, w: &mut farcall_wire::Writer<'_>) {
        w.bytes_var(&self.0);
    }
}

/// The service.
pub(crate) fn service(test: &Test) -> Registered {
    Registered::new(test.clone())
}

/// ECHO.
pub(crate) fn echo(client: &Client, text: &str) -> farcall::Calling<Str> {
    client.call(&PROGRAM, 1, &Str::from(text), |r| {
        xdr::string_var(r, 1 << 20)
    })
}

/// ADD.
pub(crate) fn add(client: &Client, a: i32, b: i32) -> farcall::Calling<i32> {
    client.call(&PROGRAM, 2, &(a, b), |r| r.i32())
}

/// Any procedure without arguments and results.
pub(crate) fn bare(client: &Client, procedure: u32) -> farcall::Calling<()> {
    client.call(&PROGRAM, procedure, &(), |_| Ok(()))
}

/// BULK.
pub(crate) fn bulk(client: &Client, len: u32) -> farcall::Calling<Bytes> {
    client.call(&PROGRAM, 6, &len, |r| r.bytes_var(u32::MAX))
}
