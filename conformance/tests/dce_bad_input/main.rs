//! What `farcall echo` and `farcall binder` do with input that is wrong, hostile or too much.
//!
//! Each test is a failure that some server of DCE/RPC has had, or a limit that a server must have. The daemons run as a user runs
//! them, the bytes are written by hand, and after each test other clients must be served as before.
//!
//! | failure | test |
//! |---|---|
//! | CVE-2022-26809, -24492, -24528, -22019: sums of fragments | `pdus::requests_end_at_four_mebibytes_whatever_they_promise` |
//! | CVE-2015-5370, panics on short PDUs: checks that are missing | `pdus::no_pdu_that_is_cut_or_changed_hurts`, `first_bytes`, `dce_command.rs` |
//! | CVE-2021-23192: fragments under other contexts | `pdus::fragments_that_do_not_belong_together_are_refused`, `dce_command.rs` |
//! | CVE-2016-2118, -0128, CVE-2021-26414: levels below integrity | `rights::below_the_floor_nothing_is_called` |
//! | PetitPotam and its kind: anonymous callers | `rights::nobody_calls_where_nobody_is_let_in` |
//! | CVE-2021-3738: handles that outlive a connection | `rights::handles_are_their_association_group_s_and_live_as_long` |
//! | CVE-2023-42670, CVE-2025-49760: others' registrations | `rights::nobody_registers_or_removes_over_the_network`, `dce_command.rs` |
//! | CVE-2012-1182, CVE-2023-34966: counts that lie | `stubs::counts_must_be_what_comes`, `stubs::strings_must_be_strings` |
//! | CVE-2015-0240, CVE-2018-1050: null pointers | `stubs::every_pointer_may_be_null` |
//! | CVE-2020-1472: weak challenges | `stubs::a_weak_challenge_is_refused` |
//! | CVE-2023-42669: calls that sleep | `limits::calls_in_flight_have_a_limit_and_do_not_hold_up_others` |
//!
//! What concerns a client (CVE-2013-4408, wrong call numbers) or a mechanism (CVE-2016-2110) is tested in `farcall-dce` and
//! `farcall-security`; a cached authorization (CVE-2022-38034) in `farcall`; pipes by name (CVE-2023-3961) do not exist here.

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
