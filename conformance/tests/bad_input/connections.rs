//! Connections: slow, idle, too many, and what they cost everyone else.

use std::time::{Duration, Instant};

use farcall_conformance::peer::Ours;
use farcall_conformance::probe::{ANSWER, Answer, Heard, Stream, opaque};

use super::{call, server, serves};

#[test]
fn half_a_mark_delays_nobody_and_is_not_waited_for_for_ever() {
    let server = server(&["partial=400"]);
    serves(&server);
    let begun = Instant::now();
    let mut slow = Stream::connect(server.tcp).expect("connect");
    slow.send(&call(0).record()[..2]).expect("send");
    for _ in 0..20 {
        let asked = Instant::now();
        serves(&server);
        // Ten milliseconds are what it takes on a machine at rest; this one may be busy.
        assert!(
            asked.elapsed() < Duration::from_millis(200),
            "{:?}",
            asked.elapsed()
        );
    }
    assert_eq!(slow.hear(ANSWER).expect("hear"), Heard::Closed);
    assert!(
        begun.elapsed() >= Duration::from_millis(400),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn half_a_record_is_not_waited_for_for_ever() {
    let server = server(&["partial=400"]);
    let mut slow = Stream::connect(server.tcp).expect("connect");
    let record = call(1).arguments(&opaque(&[b'x'; 4000])).record();
    slow.send(&record[..2000]).expect("send");
    assert_eq!(slow.hear(ANSWER).expect("hear"), Heard::Closed);
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let server = server(&["idle=600"]);
    let mut idle = Stream::connect(server.tcp).expect("connect");
    let mut busy = Stream::connect(server.tcp).expect("connect");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        let heard = busy.ask(&call(0)).expect("ask");
        assert_eq!(
            heard,
            Heard::Reply(0x0123_4567, Answer::Success(Vec::new()))
        );
        // Paces the calls; nothing is waited for.
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(idle.hear(ANSWER).expect("hear"), Heard::Closed);
}

#[test]
fn idle_connections_cost_no_processor_time() {
    let server = server(&[]);
    let open: Vec<Stream> = (0..500)
        .map(|_| Stream::connect(server.tcp).expect("connect"))
        .collect();
    serves(&server);
    let before = server.process.ticks().expect("its processor time");
    std::thread::sleep(Duration::from_millis(1500));
    let used = server.process.ticks().expect("its processor time") - before;
    assert!(
        used <= 3,
        "{used} ticks in 1.5 s for {} idle connections",
        open.len()
    );
    serves(&server);
}

#[test]
fn one_source_has_so_many_connections_and_no_more() {
    let server = server(&["connections_per_source=8"]);
    let mut open: Vec<Stream> = Vec::new();
    for _ in 0..8 {
        let mut stream = Stream::connect(server.tcp).expect("connect");
        assert!(matches!(
            stream.ask(&call(0)).expect("ask"),
            Heard::Reply(..)
        ));
        open.push(stream);
    }
    let mut ninth = Stream::connect(server.tcp).expect("connect");
    assert_eq!(ninth.hear(ANSWER).expect("hear"), Heard::Closed);
    for stream in &mut open {
        assert!(matches!(
            stream.ask(&call(0)).expect("ask"),
            Heard::Reply(..)
        ));
    }
    drop(open.pop());
    eventually_serves(&server);
}

#[test]
fn all_together_have_so_many_connections_and_no_more() {
    let server = server(&["connections=8"]);
    let mut open: Vec<Stream> = Vec::new();
    for _ in 0..8 {
        let mut stream = Stream::connect(server.tcp).expect("connect");
        assert!(matches!(
            stream.ask(&call(0)).expect("ask"),
            Heard::Reply(..)
        ));
        open.push(stream);
    }
    let mut ninth = Stream::connect(server.tcp).expect("connect");
    // It is closed, or it waits until there is room; it is not served.
    let heard = ninth
        .ask(&call(0))
        .map(|heard| matches!(heard, Heard::Reply(..)));
    assert!(!matches!(heard, Ok(true)), "a ninth connection was served");
    drop(ninth);
    drop(open);
    eventually_serves(&server);
}

#[test]
fn running_out_of_descriptors_ends_nothing() {
    let program = env!("CARGO_BIN_EXE_demo-server");
    let mut server = Ours::with_descriptors(program, 64, &[]).expect("start the demo server");
    let mut first = Stream::connect(server.tcp).expect("connect");
    assert!(matches!(
        first.ask(&call(0)).expect("ask"),
        Heard::Reply(..)
    ));
    let open: Vec<_> = (0..1000)
        .filter_map(|_| Stream::connect(server.tcp).ok())
        .collect();
    assert!(open.len() > 64, "{} connections", open.len());
    assert!(
        matches!(first.ask(&call(0)).expect("ask"), Heard::Reply(..)),
        "the first one"
    );
    let before = server.process.ticks().expect("its processor time");
    std::thread::sleep(Duration::from_millis(500));
    let used = server.process.ticks().expect("its processor time") - before;
    assert!(
        used <= 10,
        "{used} ticks in 0.5 s without a descriptor left"
    );
    drop(open);
    eventually_serves(&server);
    assert!(server.process.is_running().expect("look"));
}

#[test]
fn a_stalled_reader_is_dropped() {
    let server = server(&["write_queue=65536", "write_stall=500"]);
    let mut stream = Stream::connect(server.tcp).expect("connect");
    let calls = call(1)
        .arguments(&opaque(&[b'x'; 4096]))
        .record()
        .repeat(64);
    stream.0.set_write_timeout(Some(ANSWER)).expect("a limit");
    let begun = Instant::now();
    let mut sent = 0;
    while stream.send(&calls).is_ok() {
        sent += calls.len();
        assert!(sent < 1 << 30, "the server reads for ever");
    }
    assert!(
        begun.elapsed() < ANSWER,
        "it was not dropped within {ANSWER:?}"
    );
    serves(&server);
}

/// The server serves a new client as soon as it has noticed that others are gone.
fn eventually_serves(server: &Ours) {
    let begun = Instant::now();
    while begun.elapsed() < ANSWER {
        let heard = Stream::connect(server.tcp).and_then(|mut stream| stream.ask(&call(0)));
        if matches!(heard, Ok(Heard::Reply(..))) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no new client is served");
}
