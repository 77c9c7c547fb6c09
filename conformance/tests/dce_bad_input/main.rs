//! What `farcall echo` and `farcall binder` do with input that is wrong, hostile or too much.
//!
//! Each test is a failure that some server of DCE/RPC has had, or a limit that a server must have. The daemons run as a user runs
//! them, the bytes are written by hand, and after each test other clients must be served as before.

mod ends;
mod first_bytes;
mod limits;
mod pdus;
mod rights;
mod stubs;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use farcall_conformance::peer::farcall::{self, Farcall};
use farcall_conformance::raw::{Heard, Line, Pdu, RPCECHO, words};

/// Operations of rpcecho.
const ADD_ONE: u16 = 0;
const ECHO_DATA: u16 = 1;
const SINK_DATA: u16 = 2;
const SOURCE_DATA: u16 = 3;
const TEST_CALL: u16 = 4;
const TEST_CALL2: u16 = 5;
const TEST_SLEEP: u16 = 6;

/// `nca_s_fault_access_denied`, as Windows and Samba say it.
const ACCESS_DENIED: u32 = 5;
/// `RPC_X_BAD_STUB_DATA`.
const BAD_STUB_DATA: u32 = 0x6f7;
/// `nca_s_fault_context_mismatch`.
const CONTEXT_MISMATCH: u32 = 0x1c00_001a;
/// `nca_s_proto_error`.
const PROTO_ERROR: u32 = 0x1c01_000b;
/// `nca_s_server_too_busy`.
const TOO_BUSY: u32 = 0x1c01_0014;

/// `farcall echo` with these options, if the program is there.
fn echo(more: &[&str]) -> Option<Farcall> {
    let mut arguments = vec![
        "echo",
        "-l",
        "ncacn_ip_tcp:127.0.0.1[0]",
        "--register",
        "none",
    ];
    arguments.extend(more);
    farcall::available().then(|| Farcall::start(&arguments, 1).expect("farcall echo"))
}

/// `farcall binder` with these options, if the program is there: no more than an endpoint mapper, at a port of its own.
fn binder(more: &[&str]) -> Option<Farcall> {
    let mut arguments = vec!["binder", "-l", "ncacn_ip_tcp:127.0.0.1[0]"];
    arguments.extend(more);
    farcall::available().then(|| Farcall::start(&arguments, 1).expect("farcall binder"))
}

/// Whether a new client's call is answered.
fn tries(address: SocketAddr) -> bool {
    let Ok(mut line) = Line::connect(address) else {
        return false;
    };
    let bound = line.ask(&Pdu::bind(RPCECHO)).bound();
    bound.is_some() && adds(&mut line)
}

/// Whether a call over a connection that is bound to rpcecho is answered.
fn adds(line: &mut Line) -> bool {
    let heard = line.ask(&Pdu::request(7, ADD_ONE, &words(&[41])));
    heard.stub() == Some(&words(&[42])[..])
}

/// The server still serves a new client, at once.
fn serves(echo: &mut Farcall) {
    assert!(
        tries(echo.address()),
        "a new client is not served: {}",
        echo.process.output()
    );
    assert!(
        echo.process.is_running().expect("look"),
        "{}",
        echo.process.output()
    );
}

/// Waits until this is so: for what a server does of itself, and tells nobody.
fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        if is() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}");
}

/// That nothing more is said, and the connection stays open: a call is answered.
fn is_open(line: &mut Line) {
    assert!(adds(line), "the connection is not usable any more");
}

/// A fault of this status.
#[track_caller]
fn faults(heard: &Heard, status: u32) {
    assert_eq!(heard.fault(), Some(status), "{heard:x?}");
}
