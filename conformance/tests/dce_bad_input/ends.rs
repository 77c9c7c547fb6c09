//! How a server ends: it tells its clients, and answers what it has taken.

use farcall_conformance::raw::{
    ANSWER, CONC_MPX, FIRST, Heard, LAST, Line, Pdu, RPCECHO, ptype, words,
};
use nix::sys::signal::Signal;

use super::{TEST_SLEEP, echo};

#[test]
fn a_server_that_is_asked_to_end_says_so_and_answers_what_it_has_taken() {
    let Some(echo) = echo(&[]) else { return };
    let mut idle = Line::bound(echo.address(), RPCECHO);
    let multiplexed = Pdu::bind(RPCECHO).flags(FIRST | LAST | CONC_MPX);
    let (mut busy, _) = Line::bound_with(echo.address(), &multiplexed);
    let mut unbound = Line::connect(echo.address()).expect("connect");
    busy.send(&Pdu::request(2, TEST_SLEEP, &words(&[1])).bytes());
    // An answer to what was sent behind it: it has been taken.
    super::is_open(&mut busy);
    echo.process.signal(Signal::SIGTERM).expect("a signal");
    assert!(matches!(idle.hear(ANSWER), Heard::Pdu(ptype::SHUTDOWN, ..)));
    assert_eq!(idle.hear(ANSWER), Heard::Closed);
    assert_eq!(unbound.hear(ANSWER), Heard::Closed);
    assert!(matches!(busy.hear(ANSWER), Heard::Pdu(ptype::SHUTDOWN, ..)));
    let heard = busy.hear(ANSWER);
    assert_eq!(heard.stub(), Some(&words(&[1])[..]), "{heard:x?}");
    assert_eq!(busy.hear(ANSWER), Heard::Closed);
    let mut process = echo.process;
    let status = process.ended().expect("it ends");
    assert!(status.success(), "{status}: {}", process.output());
}
