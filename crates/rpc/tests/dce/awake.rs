//! What hostile and slow peers cannot do: delay others, take memory, or outstay their time.

use std::time::Duration;

use farcall::testkit::{Faults, interface_link};
use farcall::{Limits, Options, Server};
use tokio::io::AsyncWriteExt;

use crate::calls::{TCP, connect, serve, until_waiting};
use crate::echo::{self, ADD_ONE, ECHO, Echo, SINK_DATA, WAIT};
use crate::raw::{bind, bound, call_id, fragment, read, request};

fn port(server: &Server) -> u16 {
    server.endpoints()[0].port().expect("a port")
}

async fn limited(echo: &Echo, limits: Limits) -> Server {
    let server = Server::builder()
        .serve(echo::service(echo))
        .limits(limits)
        .listen(TCP);
    server.start().await.expect("server starts")
}

#[tokio::test]
async fn half_a_pdu_delays_nobody_else_and_is_cut_off_in_time() {
    let limits = Limits {
        partial: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = limited(&Echo::default(), limits).await;
    let mut half = bound(port(&server)).await;
    let bytes = request(2, ADD_ONE, &[0; 4]);
    half.write_all(&bytes[..20]).await.expect("sent");
    let client = connect(&server, Options::default()).await;
    for number in 0..10 {
        echo::add_one(&client, number).await.expect("added");
    }
    while read(&mut half).await.is_some() {}
}

#[tokio::test]
async fn a_pdu_that_comes_in_single_bytes_is_a_pdu() {
    let server = serve(&Echo::default(), TCP).await;
    let mut slow = bound(port(&server)).await;
    slow.set_nodelay(true).expect("set");
    for byte in request(7, ADD_ONE, &41_u32.to_le_bytes()) {
        slow.write_all(&[byte]).await.expect("sent");
        tokio::task::yield_now().await;
    }
    let response = read(&mut slow).await.expect("answered");
    assert_eq!((response[2], call_id(&response)), (2, 7));
    assert_eq!(response[24..28], 42_u32.to_le_bytes());
}

#[tokio::test]
async fn calls_of_one_read_are_answered_in_one_write() {
    let server = serve(&Echo::default(), TCP).await;
    let mut stream = bound(port(&server)).await;
    let calls: Vec<u8> = (2..66)
        .flat_map(|call| request(call, ADD_ONE, &call.to_le_bytes()))
        .collect();
    stream.write_all(&calls).await.expect("sent");
    for call in 2..66_u32 {
        let response = read(&mut stream).await.expect("answered");
        assert_eq!(call_id(&response), call);
        assert_eq!(response[24..28], (call + 1).to_le_bytes());
    }
}

#[tokio::test]
async fn fragments_without_end_are_refused_at_the_limit() {
    let limits = Limits {
        stub: 64 << 10,
        ..Limits::default()
    };
    let server = limited(&Echo::default(), limits).await;
    let mut bomb = bound(port(&server)).await;
    let part = vec![0; 5000];
    let mut flags = 0x01;
    for _ in 0..20 {
        if bomb
            .write_all(&fragment(2, SINK_DATA, flags, &part))
            .await
            .is_err()
        {
            break;
        }
        flags = 0;
    }
    let fault = read(&mut bomb).await.expect("refused");
    assert_eq!(fault[2], 3, "fault");
    assert_eq!(fault[24..28], 5_u32.to_le_bytes());
    assert!(read(&mut bomb).await.is_none(), "and disconnected");
}

#[tokio::test]
async fn what_is_no_pdu_ends_its_connection_alone() {
    let limits = Limits {
        partial: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = limited(&Echo::default(), limits).await;
    let client = connect(&server, Options::default()).await;
    let mut records = tokio::net::TcpStream::connect(("127.0.0.1", port(&server))).await;
    let records = records.as_mut().expect("connects");
    // A record of ONC RPC, and what a web browser says.
    for strange in [
        &[0x80, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2][..],
        b"GET / HTTP/1.1\r\n",
    ] {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port(&server))).await;
        let stream = stream.as_mut().expect("connects");
        stream.write_all(strange).await.expect("sent");
        while read(stream).await.is_some() {}
    }
    records.write_all(&bind()[..10]).await.expect("sent");
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
}

#[tokio::test]
async fn sleeping_calls_block_nobody() {
    let echo = Echo::default();
    let server = serve(&echo, TCP).await;
    let client = connect(&server, Options::default()).await;
    let calls: Vec<_> = (0..1000)
        .map(|_| tokio::spawn(echo::bare(&client, WAIT)))
        .collect();
    until_waiting(&echo, 1000).await;
    let other = connect(&server, Options::default()).await;
    for number in 0..10 {
        echo::add_one(&other, number).await.expect("added");
    }
    calls.iter().for_each(|call| call.abort());
    until_waiting(&echo, 0).await;
}

#[tokio::test]
async fn more_calls_than_the_limit_are_told_that_the_server_is_busy_or_wait() {
    let limits = Limits {
        calls: 4,
        ..Limits::default()
    };
    let echo = Echo::default();
    let server = limited(&echo, limits).await;
    let mut stream = bound(port(&server)).await;
    for call in 2..12 {
        stream
            .write_all(&request(call, WAIT, &[]))
            .await
            .expect("sent");
    }
    until_waiting(&echo, 4).await;
    let busy = read(&mut stream).await.expect("refused");
    assert_eq!(
        (busy[2], busy[24..28].to_vec()),
        (3, 0x1c01_0014_u32.to_le_bytes().to_vec())
    );
    assert_eq!(busy[3] & 0x20, 0x20, "did not execute");
    until_waiting(&echo, 4).await;
}

#[tokio::test]
async fn a_stream_that_comes_in_pieces_carries_the_same_calls() {
    let server = serve(&Echo::default(), TCP).await;
    for chunk in [1, 3, 17] {
        let faults = Faults {
            chunk: Some(chunk),
            ..Faults::default()
        };
        let client = interface_link(&server, &ECHO, faults).expect("a runtime");
        let data = vec![9; 10_000];
        assert_eq!(echo::echo_data(&client, &data).await.expect("echoed"), data);
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_or_corrupted_fails_its_calls_and_nothing_else() {
    let server = serve(&Echo::default(), TCP).await;
    for at in 0..160 {
        for faults in [
            Faults {
                cut_after: Some(at),
                ..Faults::default()
            },
            Faults {
                corrupt_at: Some(at),
                ..Faults::default()
            },
        ] {
            let client = interface_link(&server, &ECHO, faults).expect("a runtime");
            let call = echo::add_one(&client, 1).deadline(Duration::from_millis(100));
            // Some bits may be anything: then there is a result, of which one may be wrong.
            let _ = call.await;
        }
    }
    let client = connect(&server, Options::default()).await;
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
}
