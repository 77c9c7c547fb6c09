//! What a peer cannot cost: every limit of the server, reached from outside.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use farcall::{Client, Limits, Server, Transport};

use crate::common::{PROGRAM, Test, add, service};

async fn start(test: &Test, limits: Limits) -> Server {
    let server = Server::builder().serve(service(test)).limits(limits);
    server
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .expect("starts")
}

fn connect(server: &Server) -> TcpStream {
    let port = server
        .endpoint(Transport::Tcp)
        .and_then(|e| e.port())
        .expect("port");
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("time-out");
    stream
}

fn record(xid: u32, procedure: u32, arguments: &[u32]) -> Vec<u8> {
    let len = 40 + 4 * arguments.len() as u32;
    let head = [
        0x8000_0000 | len,
        xid,
        0,
        2,
        PROGRAM.number,
        1,
        procedure,
        0,
        0,
        0,
        0,
    ];
    head.iter()
        .chain(arguments)
        .flat_map(|word| word.to_be_bytes())
        .collect()
}

/// Whether the server closes this connection within its patience.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    !matches!(stream.read_to_end(&mut rest), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_record_does_not_stay_for_ever() {
    let limits = Limits {
        partial: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = start(&Test::default(), limits).await;
    let mut stream = connect(&server);
    stream.write_all(&[0x80, 0]).expect("half a mark");
    assert!(is_closed(&mut stream));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let test = Test::default();
    let limits = Limits {
        idle: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = start(&test, limits).await;
    let (mut idle, mut busy) = (connect(&server), connect(&server));
    busy.write_all(&record(1, 3, &[])).expect("waits");
    assert!(is_closed(&mut idle));
    test.gate.notify_one();
    let mut reply = [0; 28];
    busy.read_exact(&mut reply).expect("answered long after");
    assert!(is_closed(&mut busy));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_capped_overall_and_per_source() {
    for limits in [
        Limits {
            connections: 2,
            ..Limits::default()
        },
        Limits {
            connections_per_source: 2,
            ..Limits::default()
        },
    ] {
        let server = start(&Test::default(), limits).await;
        let mut first = connect(&server);
        let mut second = connect(&server);
        for stream in [&mut first, &mut second] {
            stream.write_all(&record(1, 0, &[])).expect("null");
            stream.read_exact(&mut [0; 28]).expect("answered");
        }
        assert!(is_closed(&mut connect(&server)), "the third is turned away");
        drop(first);
        // The place is free as soon as the server has seen the close.
        let begun = Instant::now();
        loop {
            let mut again = connect(&server);
            let sent = again.write_all(&record(2, 0, &[]));
            if sent.and_then(|()| again.read_exact(&mut [0; 28])).is_ok() {
                break;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "the place never came free"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_stops_at_the_cap_on_calls_in_flight() {
    let test = Test::default();
    let server = start(
        &test,
        Limits {
            calls: 4,
            ..Limits::default()
        },
    )
    .await;
    let mut stream = connect(&server);
    for xid in 0..100 {
        stream.write_all(&record(xid, 3, &[])).expect("sent");
    }
    while test.waiting.load(Ordering::SeqCst) < 4 {
        tokio::task::yield_now().await;
    }
    // Another connection is served meanwhile, and no fifth call was begun.
    let client = Client::connect(server.endpoints().first().expect("tcp"), PROGRAM.number, 1);
    assert_eq!(
        add(&client.await.expect("connects"), 1, 1)
            .await
            .expect("add"),
        2
    );
    assert_eq!(test.waiting.load(Ordering::SeqCst), 4);
    for _ in 0..100 {
        while test.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        test.gate.notify_one();
        stream
            .read_exact(&mut [0; 28])
            .expect("each is answered in the end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_reads_nothing_is_dropped() {
    let test = Test::default();
    let limits = Limits {
        write_queue: 64 << 10,
        write_stall: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = start(&test, limits).await;
    let mut stream = connect(&server);
    stream
        .set_write_timeout(Some(Duration::from_secs(20)))
        .expect("time-out");
    // Each call asks for a megabyte: what the server begins is bounded by what it may queue.
    let calls = record(1, 6, &[1 << 20]).repeat(500);
    let sent = stream.write_all(&calls);
    let begun = test.calls.load(Ordering::SeqCst);
    let mut stages = 0;
    while sent.is_ok() && stages < 400 && stream.write_all(&[0; 64]).is_ok() {
        stages += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(stages < 400, "the connection was not dropped");
    assert!(
        begun < 100,
        "{begun} calls were begun for a peer that reads nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_over_the_limit_ends_the_connection_at_its_mark() {
    let server = start(
        &Test::default(),
        Limits {
            record: 1000,
            ..Limits::default()
        },
    )
    .await;
    let mut stream = connect(&server);
    stream
        .write_all(&0x8000_03e9_u32.to_be_bytes())
        .expect("a mark of 1001 bytes");
    assert!(is_closed(&mut stream));
}

/// Memory of this process that lies in the machine's, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages = text.split(' ').nth(1).and_then(|n| n.parse().ok());
    pages.unwrap_or(0_usize) * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_keep_no_more_than_their_own_arguments() {
    let test = Test::default();
    let server = start(&test, Limits::default()).await;
    let mut stream = connect(&server);
    // ECHO of 60,000 bytes: most of what a thread reads at once.
    let mut filler = vec![60_000];
    filler.resize(1 + 15_000, 0x6161_6161);
    let mut reply = vec![0; 28 + 60_004];
    let mut step = |xid: u32| {
        let parts = [
            record(xid, 3, &[]),
            record(0, 1, &filler),
            record(0, 1, &filler),
        ];
        stream.write_all(&parts.concat()).expect("sent");
        for _ in 0..2 {
            stream.read_exact(&mut reply).expect("an echo");
        }
    };
    (0..20).for_each(&mut step);
    let before = resident();
    (20..420).for_each(&mut step);
    let grown = resident().saturating_sub(before);
    assert_eq!(test.waiting.load(Ordering::SeqCst), 420);
    assert!(grown < 10 << 20, "{grown} bytes for 400 calls of 44 bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_of_calls_in_flight_have_a_budget() {
    let test = Test::default();
    let limits = Limits {
        arguments: 1 << 20,
        ..Limits::default()
    };
    let server = start(&test, limits).await;
    let mut stream = connect(&server);
    let large = vec![0; 75_000];
    for xid in 0..4 {
        stream.write_all(&record(xid, 3, &large)).expect("sent");
    }
    while test.waiting.load(Ordering::SeqCst) < 4 {
        tokio::task::yield_now().await;
    }
    // 1.2 MB are kept: a null call behind them is not even read.
    stream.write_all(&record(9, 0, &[])).expect("sent");
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .expect("time-out");
    stream.read_exact(&mut [0]).expect_err("nothing comes");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("time-out");
    test.gate.notify_one();
    let mut replies = [0; 56];
    stream
        .read_exact(&mut replies)
        .expect("a reply, and the null call's");
    assert_eq!(replies[32..36], 9_u32.to_be_bytes());
}
