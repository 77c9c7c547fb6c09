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
