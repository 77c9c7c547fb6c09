//! rpcecho by hand: what the stub that is generated from `idl/rpcecho.idl` does, in few lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use farcall::stub::{Interface, NdrReply, Operation, Operations, Registered};
use farcall::{Call, Calling, Client, Refuse};
use farcall_wire::ndr::{self, Align};
use farcall_wire::{Bytes, DecodeError, EncodeError, Uuid};
use tokio::sync::Notify;

const fn operation(opnum: u16, name: &'static str, idempotent: bool) -> Operation {
    Operation {
        opnum,
        name,
        idempotent,
        blocking: false,
        broadcast: false,
        maybe: false,
        in_pipes: 0,
        out_pipes: 0,
    }
}

pub(crate) const ADD_ONE: u16 = 0;
pub(crate) const ECHO_DATA: u16 = 1;
pub(crate) const SINK_DATA: u16 = 2;
pub(crate) const SOURCE_DATA: u16 = 3;
pub(crate) const TEST_CALL: u16 = 4;
pub(crate) const TEST_CALL2: u16 = 5;
pub(crate) const TEST_SLEEP: u16 = 6;
pub(crate) const TEST_ENUM: u16 = 7;
pub(crate) const TEST_SURROUNDING: u16 = 8;
pub(crate) const TEST_DOUBLE_POINTER: u16 = 9;
// Operations of the tests' own.
pub(crate) const WAIT: u16 = 20;
pub(crate) const PANIC: u16 = 21;
pub(crate) const UNTIL_CANCELLED: u16 = 22;
pub(crate) const NOTE: u16 = 23;
pub(crate) const THREAD: u16 = 24;
pub(crate) const LANE: u16 = 25;

/// The interface.
pub(crate) static ECHO: Interface = Interface {
    uuid: Uuid::new(
        0x60a1_5ec5,
        0x4de8,
        0x11d7,
        [0xa6, 0x37, 0x00, 0x50, 0x56, 0xa2, 0x01, 0x82],
    ),
    major: 1,
    minor: 0,
    name: "rpcecho",
    operations: &[
        operation(ADD_ONE, "AddOne", true),
        operation(ECHO_DATA, "EchoData", true),
        operation(SINK_DATA, "SinkData", false),
        operation(SOURCE_DATA, "SourceData", true),
        operation(TEST_CALL, "TestCall", false),
        operation(TEST_CALL2, "TestCall2", false),
        operation(TEST_SLEEP, "TestSleep", false),
        operation(TEST_ENUM, "TestEnum", false),
        operation(TEST_SURROUNDING, "TestSurrounding", false),
        operation(TEST_DOUBLE_POINTER, "TestDoublePointer", false),
        operation(WAIT, "Wait", false),
        operation(PANIC, "Panic", false),
        operation(UNTIL_CANCELLED, "UntilCancelled", false),
        Operation {
            maybe: true,
            ..operation(NOTE, "Note", false)
        },
        Operation {
            blocking: true,
            ..operation(THREAD, "Thread", false)
        },
        operation(LANE, "Lane", true),
    ],
    endpoints: &[],
};

/// What the tests look at while it serves.
#[derive(Clone, Default)]
pub(crate) struct Echo {
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

impl Echo {
    fn waits(&self) -> Waiting {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(Arc::clone(&self.waiting))
    }
}

impl Operations for Echo {
    fn interface(&self) -> &'static Interface {
        &ECHO
    }

    async fn call(
        &self,
        call: &Call,
        r: &mut ndr::Reader<'_>,
        reply: &mut NdrReply<'_>,
    ) -> Result<(), Refuse> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match call.opnum() {
            ADD_ONE => {
                let number = r.u32()?;
                call.begins();
                reply.encode(|w| number_out(w, number.wrapping_add(1)))
            }
            ECHO_DATA => {
                let data = sized_bytes(r)?;
                reply.encode(|w| bytes_out(w, &data))
            }
            SINK_DATA => {
                sized_bytes(r)?;
                reply.encode(|_| Ok(()))
            }
            SOURCE_DATA => {
                let len = r.u32()?;
                let data: Vec<u8> = (0..len).map(|at| at as u8).collect();
                reply.encode(|w| bytes_out(w, &data))
            }
            TEST_CALL => {
                let text = wide_string(r)?;
                reply.encode(|w| {
                    w.referent(true)?;
                    w.count(text.len())?;
                    w.count(0)?;
                    w.count(text.len())?;
                    text.iter().for_each(|unit| w.u16(*unit));
                    Ok(())
                })
            }
            TEST_CALL2 => {
                let level = r.u16()?;
                reply.encode(|w| info(w, level))
            }
            TEST_SLEEP => {
                let seconds = r.u32()?;
                let _waiting = self.waits();
                tokio::time::sleep(Duration::from_secs(seconds.into())).await;
                reply.encode(|w| number_out(w, seconds))
            }
            TEST_ENUM => {
                let (foo1, e1, e2, tag, arm) = enums(r)?;
                reply.encode(|w| {
                    enum_out(w, foo1);
                    w.align(Align::A4);
                    enum_out(w, e1);
                    w.u32(e2);
                    w.align(Align::ENUM);
                    w.u16(tag);
                    enum_out(w, arm);
                    Ok(())
                })
            }
            TEST_SURROUNDING => {
                r.wide()?;
                let count = r.u32()?;
                for _ in 0..count {
                    r.u16()?;
                }
                reply.encode(|w| {
                    w.count(2 * count as usize)?;
                    w.u32(2 * count);
                    w.zeros(4 * count as usize);
                    w.trailer(Align::A4);
                    Ok(())
                })
            }
            TEST_DOUBLE_POINTER => {
                let mut number = 0;
                if r.wide()? != 0 && r.wide()? != 0 {
                    number = r.u16()?;
                }
                reply.encode(|w| {
                    w.u16(number);
                    Ok(())
                })
            }
            WAIT => {
                let _waiting = self.waits();
                self.gate.notified().await;
                reply.encode(|_| Ok(()))
            }
            PANIC => panic!("as it was told"),
            UNTIL_CANCELLED => {
                let _waiting = self.waits();
                call.cancelled().await;
                Err(Refuse::Fault(0x1c00_000d))
            }
            NOTE => reply.encode(|_| Ok(())),
            THREAD => {
                let name = std::thread::current().name().map(str::to_owned);
                let ours = name.is_some_and(|name| name.starts_with("farcall-"));
                reply.encode(|w| number_out(w, ours.into()))
            }
            LANE => {
                let thread = std::thread::current();
                let lane = thread.name() == Some("farcall-lane");
                reply.encode(|w| number_out(w, lane.into()))
            }
            _ => Err(Refuse::ProcUnavail),
        }
    }
}

fn number_out(w: &mut ndr::Writer, number: u32) -> Result<(), EncodeError> {
    w.u32(number);
    Ok(())
}

/// `[size_is(len)] byte data[]`.
fn bytes_out(w: &mut ndr::Writer, data: &[u8]) -> Result<(), EncodeError> {
    w.count(data.len())?;
    w.slice(data);
    Ok(())
}

/// A length and as many bytes.
fn sized_bytes(r: &mut ndr::Reader<'_>) -> Result<Bytes, DecodeError> {
    let len = r.u32()?;
    let count = r.wide()?;
    if count != u64::from(len) {
        return Err(r.error(farcall_wire::DecodeErrorKind::Invalid("size_is")));
    }
    r.bytes(len as usize)
}

fn wide_string(r: &mut ndr::Reader<'_>) -> Result<Vec<u16>, DecodeError> {
    let (_most, _first, actual) = (r.wide()?, r.wide()?, r.wide()?);
    (0..actual).map(|_| r.u16()).collect()
}

fn enums(r: &mut ndr::Reader<'_>) -> Result<(u32, u32, u32, u16, u32), DecodeError> {
    let foo1 = enum_in(r)?;
    r.align(Align::A4)?;
    let (e1, e2) = (enum_in(r)?, r.u32()?);
    r.align(Align::ENUM)?;
    Ok((foo1, e1, e2, r.u16()?, enum_in(r)?))
}

fn enum_in(r: &mut ndr::Reader<'_>) -> Result<u32, DecodeError> {
    match r.mode().is_ndr64() {
        true => r.u32(),
        false => r.u16().map(u32::from),
    }
}

fn enum_out(w: &mut ndr::Writer, value: u32) {
    match w.mode().is_ndr64() {
        true => w.u32(value),
        false => w.u16(value as u16),
    }
}

/// The union of seven arms, with Samba's values, and an NTSTATUS.
fn info(w: &mut ndr::Writer, level: u16) -> Result<(), EncodeError> {
    let union = Align::new(2, 8);
    w.align(union);
    w.u16(level);
    w.trailer(Align::A8);
    match level {
        1 => w.u8(10),
        2 => w.u16(20),
        3 => w.u32(30),
        4 => w.u64(40),
        5 => {
            w.align(Align::A8);
            w.u8(50);
            w.u64(60);
        }
        6 => {
            w.u8(70);
            w.u8(80);
        }
        7 => {
            w.align(Align::A8);
            w.u8(80);
            w.u64(90);
        }
        _ => return number_out(w, 0xc000_0148),
    }
    w.trailer(Align::A8);
    number_out(w, 0)
}

/// The service, open to anybody at any level.
pub(crate) fn service(echo: &Echo) -> Registered {
    guarded(echo)
        .allow_anonymous()
        .auth_floor(farcall::stub::AuthLevel::CONNECT)
}

/// The service as it comes.
pub(crate) fn guarded(echo: &Echo) -> Registered {
    Registered::interface(echo.clone())
}

/// AddOne.
pub(crate) fn add_one(client: &Client, number: u32) -> Calling<u32> {
    client.operation(&ECHO, ADD_ONE, &[], |w| number_out(w, number), |r| r.u32())
}

/// EchoData.
pub(crate) fn echo_data(client: &Client, data: &[u8]) -> Calling<Bytes> {
    let known = [data.len() as i64];
    let encode = |w: &mut ndr::Writer| {
        w.u32(data.len() as u32);
        bytes_out(w, data)
    };
    client.operation(&ECHO, ECHO_DATA, &known, encode, |r| {
        let count = r.wide()?;
        r.bytes(count as usize)
    })
}

/// Any operation without arguments and results.
pub(crate) fn bare(client: &Client, opnum: u16) -> Calling<()> {
    client.operation(&ECHO, opnum, &[], |_| Ok(()), |_| Ok(()))
}
