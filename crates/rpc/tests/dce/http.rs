//! The endpoint `ncacn_http`: virtual connections as proxies bring them, their RTS PDUs written by hand (MS-RPCH section 2.2.4).

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use farcall::{Client, Limits, Options, Runtime, Server, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::calls::until_waiting;
use crate::echo::{self, ECHO, Echo, WAIT};

const HTTP: &str = "ncacn_http:127.0.0.1[0]";
const BANNER: &[u8] = b"ncacn_http/1.0";
/// Any two cookies.
const IN: [u8; 16] = [0x11; 16];
const OUT: [u8; 16] = [0x22; 16];

/// An RTS PDU: header, flags, number of commands, commands.
fn rts(flags: u16, count: u16, commands: &[&[u8]]) -> Vec<u8> {
    let body = commands.concat();
    let len = u16::try_from(20 + body.len()).expect("short");
    let mut pdu = vec![5, 0, 20, 3, 0x10, 0, 0, 0];
    pdu.extend(len.to_le_bytes());
    pdu.extend([0; 6]);
    pdu.extend(flags.to_le_bytes());
    pdu.extend(count.to_le_bytes());
    pdu.extend(body);
    pdu
}

/// A command with a number in it.
fn number(id: u8, value: u32) -> Vec<u8> {
    let mut command = vec![id, 0, 0, 0];
    command.extend(value.to_le_bytes());
    command
}

/// A command with a cookie in it.
fn cookie(id: u8, value: [u8; 16]) -> Vec<u8> {
    [&[id, 0, 0, 0], &value[..]].concat()
}

/// CONN/A2 (section 2.2.4.3): Version, the virtual connection, the OUT channel, ChannelLifetime, ReceiveWindowSize.
fn a2(connection: [u8; 16], window: u32) -> Vec<u8> {
    let commands = [
        number(6, 1),
        cookie(3, connection),
        cookie(3, OUT),
        number(4, 1 << 30),
        number(0, window),
    ];
    rts(0x10, 5, &commands.each_ref().map(Vec::as_slice))
}

/// CONN/B2 (section 2.2.4.6): Version, the virtual connection, the IN channel, ReceiveWindowSize, ConnectionTimeout, AssociationGroupId,
/// ClientAddress.
fn b2(connection: [u8; 16]) -> Vec<u8> {
    let commands = [
        number(6, 1),
        cookie(3, connection),
        cookie(3, IN),
        number(0, 0x1_0000),
        number(2, 120_000),
        cookie(12, [0x33; 16]),
        [&[11, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 7], &[0; 12][..]].concat(),
    ];
    rts(8, 7, &commands.each_ref().map(Vec::as_slice))
}

async fn start(echo: &Echo, limits: Limits) -> (Server, SocketAddr) {
    let server = Server::builder()
        .serve(echo::service(echo))
        .listen(HTTP)
        .limits(limits)
        .runtime(Runtime::Threads(3));
    let server = server.start().await.expect("server starts");
    let endpoint = server
        .endpoint(Transport::NcacnHttp)
        .expect("listens")
        .clone();
    let port = endpoint.port().expect("a port");
    assert_eq!(
        endpoint.to_string(),
        format!("ncacn_http:127.0.0.1[{port}]")
    );
    (server, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Connects, takes the banner, and says these bytes.
async fn leg(at: SocketAddr, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.expect("connects");
    let mut banner = [0; BANNER.len()];
    stream.read_exact(&mut banner).await.expect("a banner");
    assert_eq!(banner, BANNER);
    stream.write_all(first).await.expect("written");
    stream
}

async fn pdu(stream: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut pdu = vec![0; 16];
    stream.read_exact(&mut pdu).await?;
    let len = u16::from_le_bytes([pdu[8], pdu[9]]).into();
    pdu.resize(len, 0);
    stream.read_exact(&mut pdu[16..]).await?;
    Ok(pdu)
}

/// Nothing more comes on a stream.
async fn ended(stream: &mut TcpStream) {
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut byte));
    match read.await.expect("it ends") {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("it goes on: {other:?}"),
    }
}

/// C1 (section 2.2.4.9): what B2 said, for the client. B3 (section 2.2.4.7): the server's window.
async fn opened(input: &mut TcpStream, output: &mut TcpStream, window: u32) {
    let c1 = [number(6, 1), number(0, 0x1_0000), number(2, 120_000)].concat();
    assert_eq!(pdu(output).await.expect("CONN/C1"), rts(0, 3, &[&c1]));
    let b3 = [number(0, window), number(6, 1)].concat();
    assert_eq!(pdu(input).await.expect("CONN/B3"), rts(0, 2, &[&b3]));
}

/// Both legs of a virtual connection that stands.
async fn legs(at: SocketAddr, connection: [u8; 16]) -> (TcpStream, TcpStream) {
    let mut output = leg(at, &a2(connection, 1 << 30)).await;
    let mut input = leg(at, &b2(connection)).await;
    opened(&mut input, &mut output, 256 << 10).await;
    (input, output)
}

/// A client behind two legs, as proxies would have it.
fn behind(input: TcpStream, output: TcpStream) -> Client {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (from, to) = tokio::io::split(far);
    let (acknowledgements, input) = input.into_split();
    let (output, rest) = output.into_split();
    tokio::spawn(upward(from, input, rest));
    tokio::spawn(downward(output, to));
    tokio::spawn(swallow(acknowledgements));
    Client::interface_over(near, &ECHO, "by hand", Options::default())
}

async fn upward(
    mut from: tokio::io::ReadHalf<DuplexStream>,
    mut to: OwnedWriteHalf,
    _rest: OwnedWriteHalf,
) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

async fn downward(mut from: OwnedReadHalf, mut to: tokio::io::WriteHalf<DuplexStream>) {
    while let Ok(pdu) = pdu(&mut from).await {
        if pdu[2] != 20 && to.write_all(&pdu).await.is_err() {
            return;
        }
    }
}

async fn swallow(mut from: OwnedReadHalf) {
    let mut chunk = [0; 1024];
    while matches!(from.read(&mut chunk).await, Ok(len) if len > 0) {}
}

#[tokio::test]
async fn the_two_legs_of_a_virtual_connection_find_each_other_in_either_order() {
    let (server, at) = start(&Echo::default(), Limits::default()).await;
    // Enough for every core to have some.
    for number in 0..16 {
        let connection = [number; 16];
        let out_first = number % 2 == 0;
        let (first, second) = match out_first {
            true => (a2(connection, 1 << 20), b2(connection)),
            false => (b2(connection), a2(connection, 1 << 20)),
        };
        let mut first = leg(at, &first).await;
        let mut second = leg(at, &second).await;
        match out_first {
            true => opened(&mut second, &mut first, 256 << 10).await,
            false => opened(&mut first, &mut second, 256 << 10).await,
        }
    }
    server.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn calls_are_answered_through_a_virtual_connection_of_any_size_and_side_by_side() {
    let (server, at) = start(&Echo::default(), Limits::default()).await;
    let (input, output) = legs(at, [1; 16]).await;
    let client = behind(input, output);
    assert_eq!(echo::add_one(&client, 41).await.expect("added"), 42);
    for len in [0, 1, 5000, 900_000] {
        let data: Vec<u8> = (0..len).map(|at: u32| (at / 7) as u8).collect();
        assert_eq!(echo::echo_data(&client, &data).await.expect("echoed"), data);
    }
    let calls: Vec<_> = (0..200)
        .map(|n| tokio::spawn(echo::add_one(&client, n)))
        .collect();
    for (n, call) in (0..).zip(calls) {
        assert_eq!(call.await.expect("no panic").expect("added"), n + 1);
    }
    drop(client);
    server.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_the_outbound_proxy_has_no_window_for_waits_for_its_acknowledgement() {
    let (_server, at) = start(&Echo::default(), Limits::default()).await;
    let mut output = leg(at, &a2([1; 16], 8 << 10)).await;
    let mut input = leg(at, &b2([1; 16])).await;
    opened(&mut input, &mut output, 256 << 10).await;
    let (near, mut far) = tokio::io::duplex(64 << 10);
    let client = Client::interface_over(near, &ECHO, "by hand", Options::default());
    let call = tokio::spawn(async move { echo::echo_data(&client, &[7; 20_000]).await });
    let (mut received, mut stalls) = (0_u32, 0);
    let mut chunk = [0; 4096];
    while !call.is_finished() {
        tokio::select! {
            read = far.read(&mut chunk) => {
                let len = read.expect("the client speaks");
                input.write_all(&chunk[..len]).await.expect("written");
            }
            answer = tokio::time::timeout(Duration::from_millis(300), pdu(&mut output)) => match answer {
                Ok(pdu) => {
                    let pdu = pdu.expect("the server speaks");
                    received += u32::try_from(pdu.len()).expect("short");
                    far.write_all(&pdu).await.expect("written");
                }
                // Nothing more comes: the window is used up.
                Err(_) => {
                    stalls += 1;
                    let ack = [number(1, received), (8_u32 << 10).to_le_bytes().to_vec(), OUT.to_vec()].concat();
                    output.write_all(&rts(2, 1, &[&ack])).await.expect("written");
                }
            },
        }
    }
    assert!(call.await.expect("no panic").is_ok());
    assert!(stalls >= 2, "{stalls}");
}

#[tokio::test]
async fn a_leg_that_is_lost_ends_the_other_and_what_runs_for_it() {
    let echo = Echo::default();
    let (_server, at) = start(&echo, Limits::default()).await;
    for lost in ["IN", "OUT"] {
        let (input, output) = legs(at, [1; 16]).await;
        let (ours, mut left) = match lost {
            "IN" => (input, output),
            _ => (output, input),
        };
        drop(ours);
        ended(&mut left).await;
    }
    let (input, output) = legs(at, [2; 16]).await;
    let client = behind(input, output);
    let wait = tokio::spawn(echo::bare(&client, WAIT));
    until_waiting(&echo, 1).await;
    drop(client);
    wait.abort();
    until_waiting(&echo, 0).await;
}

#[tokio::test]
async fn legs_that_belong_nowhere_are_few_and_do_not_stay() {
    let limits = Limits {
        pairing: Duration::from_millis(400),
        unpaired: 3,
        ..Limits::default()
    };
    let (_server, at) = start(&Echo::default(), limits).await;
    let mut silent = leg(at, b"").await;
    let mut input = leg(at, &b2([1; 16])).await;
    let mut output = leg(at, &a2([2; 16], 1 << 20)).await;
    let mut refused = TcpStream::connect(at).await.expect("connects");
    ended(&mut refused).await;
    for alone in [&mut silent, &mut input, &mut output] {
        ended(alone).await;
    }
    // There is room again, and those that belong together do not count.
    let pairs = [legs(at, [3; 16]).await, legs(at, [4; 16]).await];
    let more = legs(at, [5; 16]).await;
    drop((pairs, more));
}

#[tokio::test]
async fn what_no_connection_begins_with_ends_it() {
    let (_server, at) = start(&Echo::default(), Limits::default()).await;
    let ping = rts(1, 0, &[]);
    let empty = number(7, 0)[..4].to_vec();
    let b1 = rts(0, 1, &[&empty]);
    // IN_R1/A2 (section 2.2.4.11) of a virtual connection that is not there.
    let recycled = [
        number(6, 1),
        cookie(3, [9; 16]),
        cookie(3, IN),
        cookie(3, [0x44; 16]),
        number(0, 0x1_0000),
        number(2, 120_000),
    ];
    let recycled = rts(0x0c, 6, &recycled.each_ref().map(Vec::as_slice));
    let mut truncated = b2([1; 16]);
    truncated[8] = 0x30;
    for first in [ping, b1, recycled, truncated] {
        ended(&mut leg(at, &first).await).await;
    }
    // A second IN leg is not the other half; the first lives.
    let mut input = leg(at, &b2([1; 16])).await;
    ended(&mut leg(at, &b2([1; 16])).await).await;
    let mut output = leg(at, &a2([1; 16], 1 << 20)).await;
    opened(&mut input, &mut output, 256 << 10).await;
}

#[tokio::test]
async fn a_client_that_needs_no_proxy_calls_over_one_connection() {
    let (server, at) = start(&Echo::default(), Limits::default()).await;
    let stream = leg(at, b"").await;
    let client = Client::interface_over(stream, &ECHO, "direct", Options::default());
    assert_eq!(echo::add_one(&client, 41).await.expect("added"), 42);
    let data = vec![7; 200_000];
    assert_eq!(echo::echo_data(&client, &data).await.expect("echoed"), data);
    server.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_server_that_drains_answers_what_runs_and_ends_all_legs() {
    let echo = Echo::default();
    let (server, at) = start(&echo, Limits::default()).await;
    let (mut idle_in, mut idle_out) = legs(at, [1; 16]).await;
    let mut alone = leg(at, &b2([2; 16])).await;
    let mut silent = leg(at, b"").await;
    let (input, output) = legs(at, [3; 16]).await;
    let client = behind(input, output);
    let wait = tokio::spawn(echo::bare(&client, WAIT));
    until_waiting(&echo, 1).await;
    let drain = tokio::spawn(server.drain(Duration::from_secs(20)));
    ended(&mut silent).await;
    ended(&mut alone).await;
    // The client is told that nothing more is taken (section 3.2.2 of C706 part 4: the shutdown PDU).
    while pdu(&mut idle_out).await.is_ok() {}
    ended(&mut idle_in).await;
    echo.gate.notify_waiters();
    wait.await.expect("no panic").expect("answered");
    drain.await.expect("no panic");
}
