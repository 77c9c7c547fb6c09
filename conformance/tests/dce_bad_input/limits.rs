//! What one client can cost: connections, contexts, authentications, calls, handles, replies that it does not read (CVE-2023-42669).

use std::time::Duration;

use farcall_conformance::peer::{Farcall, Scratch, farcall as command};
use farcall_conformance::raw::{
    ANSWER, CONC_MPX, EPMAPPER, FIRST, Heard, LAST, LSARPC, Line, MGMT, NETLOGON, Pdu, RPCECHO,
    number, ptype, words,
};

use super::pdus::{NEGOTIATE, NTLM};
use super::{
    ADD_ONE, PROTO_ERROR, SOURCE_DATA, TEST_SLEEP, TOO_BUSY, binder, echo, eventually, faults,
    serves, tries,
};

/// A connection over which calls may be in flight together.
fn multiplexed(echo: &Farcall) -> Line {
    Line::bound_with(
        echo.address(),
        &Pdu::bind(RPCECHO).flags(FIRST | LAST | CONC_MPX),
    )
    .0
}

fn grown(daemon: &Farcall, before: u64) -> u64 {
    daemon
        .process
        .memory()
        .expect("memory")
        .saturating_sub(before)
}

#[test]
fn presentation_contexts_have_a_limit() {
    let Some(mut echo) = echo(&[]) else { return };
    let mut line = Line::bound(echo.address(), RPCECHO);
    let mut accepted = 1;
    for each in 0..300_u16 {
        let contexts = [RPCECHO, MGMT, LSARPC, NETLOGON];
        let contexts: Vec<_> = (each * 4 + 1..).zip(contexts).collect();
        let heard = line.ask(&Pdu::contexts(ptype::ALTER_CONTEXT, 0, &contexts));
        let results = heard.results().unwrap_or_else(|| panic!("{heard:x?}"));
        accepted += results.iter().filter(|result| **result == 0).count();
    }
    assert_eq!(accepted, 1024);
    super::is_open(&mut line);
    serves(&mut echo);
}

#[test]
fn authentications_have_limits() {
    if !command::available() {
        return;
    }
    let scratch = Scratch::new("limits").expect("a folder");
    let users = command::users(&scratch).expect("a file of users");
    let Some(mut echo) = echo(&["--users", &users]) else {
        return;
    };
    let mut line = Line::bound(echo.address(), RPCECHO);
    let mut begun = 0;
    let refused = loop {
        let alter = Pdu::contexts(ptype::ALTER_CONTEXT, 0, &[(0, RPCECHO)])
            .auth(NTLM, 5, begun, &NEGOTIATE);
        match line.ask(&alter) {
            Heard::Pdu(ptype::ALTER_CONTEXT_RESP, ..) => begun += 1,
            other => break other,
        }
        assert!(begun < 1000, "unfinished authentications have no limit");
    };
    // A client has one exchange going on, or a few.
    assert_eq!(begun, 16);
    faults(&refused, PROTO_ERROR);
    assert_eq!(line.hear(ANSWER), Heard::Closed);
    serves(&mut echo);
}

#[test]
fn calls_in_flight_have_a_limit_and_do_not_hold_up_others() {
    let Some(mut echo) = echo(&[]) else { return };
    let before = echo.process.memory().expect("memory");
    let sleep = |id: u32| Pdu::request(id, TEST_SLEEP, &words(&[600])).bytes();
    let mut line = multiplexed(&echo);
    line.send(&(1..=1024).flat_map(sleep).collect::<Vec<u8>>());
    // One more is refused, and the connection stays.
    line.send(&sleep(5000));
    let heard = line.hear(ANSWER);
    faults(&heard, TOO_BUSY);
    assert!(matches!(heard, Heard::Pdu(_, 5000, _)), "{heard:x?}");
    // A call that is given up makes room.
    line.send(&Pdu::new(ptype::ORPHANED, 7, &[]).bytes());
    let heard = line.ask(&Pdu::request(6000, ADD_ONE, &words(&[1])));
    assert_eq!(heard.stub(), Some(&words(&[2])[..]), "{heard:x?}");
    // Ten thousand sleepers, and everybody else is served.
    let mut more: Vec<Line> = (0..9).map(|_| multiplexed(&echo)).collect();
    for line in &mut more {
        line.send(&(1..=1024).flat_map(sleep).collect::<Vec<u8>>());
        faults(
            &line.ask(&Pdu::request(5000, ADD_ONE, &words(&[1]))),
            TOO_BUSY,
        );
    }
    serves(&mut echo);
    let held = grown(&echo, before);
    assert!(held < 64 << 20, "{held} bytes for 10 240 calls");
    let descriptors = echo.process.descriptors().expect("descriptors");
    drop((line, more));
    eventually("the calls of clients that are gone stay", || {
        echo.process.descriptors().expect("descriptors") + 10 <= descriptors
    });
    serves(&mut echo);
}

#[test]
fn whoever_does_not_read_is_not_read() {
    let Some(mut echo) = echo(&[]) else { return };
    let before = echo.process.memory().expect("memory");
    let lines: Vec<Line> = (0..4)
        .map(|_| {
            let mut line = multiplexed(&echo);
            line.0
                .set_write_timeout(Some(Duration::from_secs(2)))
                .expect("a limit");
            // A thousand million bytes, were they all made.
            line.send(
                &(1..=1000)
                    .flat_map(|id| Pdu::request(id, SOURCE_DATA, &words(&[1_000_000])).bytes())
                    .collect::<Vec<u8>>(),
            );
            line
        })
        .collect();
    serves(&mut echo);
    std::thread::sleep(Duration::from_millis(500));
    let held = grown(&echo, before);
    assert!(
        held < 96 << 20,
        "{held} bytes for {} clients that do not read",
        lines.len()
    );
    serves(&mut echo);
}

#[test]
fn context_handles_have_a_limit() {
    let Some(mut echo) = echo(&[]) else { return };
    let before = echo.process.memory().expect("memory");
    let mut line = Line::bound(echo.address(), LSARPC);
    let open = Pdu::request(2, 6, &words(&[0, 24, 0, 0, 0, 0, 0, 0x0200_0000]));
    let mut opened = 0;
    let refused = loop {
        let heard = line.ask(&open);
        match heard.stub() {
            Some(_) => opened += 1,
            None => break heard,
        }
        assert!(opened < 100_000, "handles have no limit");
    };
    assert_eq!(opened, 4096, "{refused:x?}");
    assert!(refused.fault().is_some(), "{refused:x?}");
    let held = grown(&echo, before);
    assert!(held < 16 << 20, "{held} bytes for {opened} handles");
    drop(line);
    serves(&mut echo);
}

#[test]
fn listings_of_the_mapper_that_are_not_gone_on_with_cost_little() {
    let Some(mut binder) = binder(&["-l", "tcp://127.0.0.1:0"]) else {
        return;
    };
    let before = binder.process.memory().expect("memory");
    let mut line = Line::bound(binder.address(), EPMAPPER);
    let lookup = [words(&[0, 0, 0, 1]), vec![0; 20], words(&[1])].concat();
    for _ in 0..10_000 {
        let heard = line.ask(&Pdu::request(2, 2, &lookup));
        let told = heard.stub().and_then(|stub| number(stub, stub.len() - 4));
        assert!(told.is_some() || heard.fault().is_some(), "{heard:x?}");
    }
    let held = grown(&binder, before);
    assert!(
        held < 16 << 20,
        "{held} bytes for listings that nobody goes on with"
    );
    let mut other = Line::bound(binder.address(), EPMAPPER);
    assert!(
        other.ask(&Pdu::request(2, 2, &lookup)).stub().is_some(),
        "another client's listing"
    );
    assert!(binder.process.is_running().expect("look"));
}

#[test]
fn running_out_of_descriptors_ends_nothing() {
    if !command::available() {
        return;
    }
    let arguments = [
        "echo",
        "-l",
        "ncacn_ip_tcp:127.0.0.1[0]",
        "--register",
        "none",
    ];
    let mut echo = Farcall::with_descriptors(64, &arguments, 1).expect("farcall echo");
    let mut first = Line::bound(echo.address(), RPCECHO);
    let open: Vec<Line> = (0..500)
        .filter_map(|_| Line::connect(echo.address()).ok())
        .collect();
    assert!(open.len() > 64, "{} connections", open.len());
    super::is_open(&mut first);
    let before = echo.process.ticks().expect("its processor time");
    std::thread::sleep(Duration::from_millis(500));
    let used = echo.process.ticks().expect("its processor time") - before;
    assert!(
        used <= 10,
        "{used} ticks in 0.5 s without a descriptor left"
    );
    drop(open);
    eventually("no new client is served", || tries(echo.address()));
    serves(&mut echo);
}

#[test]
fn one_source_has_so_many_connections_and_no_more() {
    let Some(mut echo) = echo(&[]) else { return };
    let mut first = Line::bound(echo.address(), RPCECHO);
    let mut open: Vec<Line> = (0..1050)
        .filter_map(|_| Line::connect(echo.address()).ok())
        .collect();
    // Those beyond a thousand are closed without a word.
    let mut last = open.pop().expect("a connection");
    assert_eq!(last.hear(ANSWER), Heard::Closed);
    super::is_open(&mut first);
    drop(open);
    eventually("no new client is served", || tries(echo.address()));
    serves(&mut echo);
}
