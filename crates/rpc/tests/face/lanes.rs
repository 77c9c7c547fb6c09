//! Busy connections and sockets get a thread of their own, and leave it when something waits.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::task::Poll;
use std::time::{Duration, Instant};

use farcall::server::{Builder, DuplicateRequests};
use farcall::stub::{Program, Registered, Reply, Service};
use farcall::{Call, Limits, Refuse, Runtime, Server, Transport, blocking};
use farcall_wire::{Reader, Str, xdr};

use crate::common::PROGRAM;

const LANE: &str = "farcall-lane";
const CORE: &str = "farcall-0";

/// Which thread it runs on. 1: at once. 2: after it has waited. 3: at once, of a task of its own.
/// 6: 40,000 bytes instead.
struct Where;

fn here() -> Str {
    Str::from(std::thread::current().name().unwrap_or_default())
}

/// Is pending once.
async fn wait() {
    let mut waited = false;
    let once = poll_fn(|cx| match std::mem::replace(&mut waited, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    });
    once.await;
}

impl Service for Where {
    fn program(&self) -> &'static Program {
        &PROGRAM
    }

    async fn call(
        &self,
        call: &Call,
        arguments: &mut Reader<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(), Refuse> {
        call.unpacked(arguments)?;
        match call.procedure() {
            1 => reply.encode(&here()),
            2 => {
                wait().await;
                reply.encode(&here())
            }
            3 => {
                let there = tokio::spawn(async { here() }).await;
                reply.encode(&there.map_err(|_| Refuse::SystemErr("no task".into()))?)
            }
            6 => reply.encode(&Str::from("7".repeat(40_000))),
            _ => Err(Refuse::ProcUnavail),
        }
    }
}

fn builder(endpoint: &str) -> Builder {
    let builder = Server::builder().serve(Registered::new(Where));
    // The cache would run every call in a task of its own.
    let builder = builder.duplicate_requests(DuplicateRequests::Off);
    builder.runtime(Runtime::Threads(1)).listen(endpoint)
}

async fn start(builder: Builder) -> Server {
    builder.start().await.expect("starts")
}

fn client(server: &Server) -> blocking::Client {
    blocking::Client::connect(&server.endpoints()[0], PROGRAM.number, 1).expect("connects")
}

fn ask(client: &blocking::Client, procedure: u32) -> String {
    let name = client.call(&PROGRAM, procedure, &(), |r| xdr::string_var(r, 100));
    name.expect("answered").to_string()
}

/// Calls until a lane answers.
fn get_lane(mut ask: impl FnMut() -> String) {
    let begun = Instant::now();
    while ask() != LANE {
        assert!(begun.elapsed() < Duration::from_secs(100), "no lane");
    }
}

async fn waits_and_spawns(endpoint: &str) {
    let server = start(builder(endpoint)).await;
    let client = client(&server);
    assert_eq!(ask(&client, 1), CORE);
    get_lane(|| ask(&client, 1));
    assert_eq!(ask(&client, 2), CORE, "what waits is on the runtime");
    assert_eq!(ask(&client, 1), CORE);
    get_lane(|| ask(&client, 1));
    assert_eq!(ask(&client, 3), CORE, "what it spawns is on the runtime");
    get_lane(|| ask(&client, 1));
    let begun = Instant::now();
    server.drain(Duration::from_secs(60)).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "draining ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_connection_has_a_thread_until_something_waits() {
    waits_and_spawns("tcp://127.0.0.1:0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_udp_socket_has_a_thread_until_something_waits() {
    waits_and_spawns("udp://127.0.0.1:0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_udp_socket_of_no_address_answers_from_where_it_was_asked() {
    let server = start(builder("udp://0.0.0.0:0")).await;
    let port = server.endpoints()[0].port().expect("port");
    let there = format!("udp://127.0.0.2:{port}");
    // Connected to that address, so replies from another one do not arrive.
    let client = blocking::Client::connect(there.as_str(), PROGRAM.number, 1).expect("connects");
    get_lane(|| ask(&client, 1));
    assert_eq!(ask(&client, 1), LANE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_lanes_stays_on_its_runtime() {
    let server = start(builder("tcp://127.0.0.1:0").lanes(0)).await;
    let client = client(&server);
    (0..500).for_each(|_| assert_eq!(ask(&client, 1), CORE));
}

/// WHERE is procedure 1, BULK 6.
fn record(xid: u32, procedure: u32) -> Vec<u8> {
    let words = [
        0x8000_0028,
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
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn connect(server: &Server) -> TcpStream {
    let port = server.endpoint(Transport::Tcp).and_then(|e| e.port());
    let stream = TcpStream::connect(("127.0.0.1", port.expect("port"))).expect("connects");
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).expect("time-out");
    stream
}

/// Calls procedure 1 until a lane answers.
fn get_lane_by_hand(stream: &mut TcpStream) {
    get_lane(|| {
        stream.write_all(&record(1, 1)).expect("sent");
        let mut mark = [0; 4];
        stream.read_exact(&mut mark).expect("a mark");
        let mut reply = vec![0; (u32::from_be_bytes(mark) & 0xffff) as usize];
        stream.read_exact(&mut reply).expect("a reply");
        let name = String::from_utf8_lossy(&reply[28..]);
        name.trim_end_matches('\0').to_owned()
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_falls_silent_on_a_lane_keeps_to_the_limits() {
    let limits = Limits {
        idle: Duration::from_millis(100),
        partial: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = start(builder("tcp://127.0.0.1:0").limits(limits)).await;
    let mut silent = connect(&server);
    get_lane_by_hand(&mut silent);
    assert_eq!(silent.read(&mut [0]).expect("closed"), 0);
    let mut half = connect(&server);
    get_lane_by_hand(&mut half);
    half.write_all(&[0x80, 0]).expect("half a mark");
    assert_eq!(half.read(&mut [0]).expect("closed"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_is_dropped_from_a_lane_too() {
    let limits = Limits {
        write_stall: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = start(builder("tcp://127.0.0.1:0").limits(limits)).await;
    let mut stream = connect(&server);
    get_lane_by_hand(&mut stream);
    let begun = Instant::now();
    let calls = record(2, 6).repeat(100);
    while stream.write_all(&calls).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30), "not dropped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_server_ends_its_lanes() {
    let server = start(builder("tcp://127.0.0.1:0")).await;
    let mut stream = connect(&server);
    get_lane_by_hand(&mut stream);
    drop(server);
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_is_free_again_goes_to_the_next() {
    let server = start(builder("tcp://127.0.0.1:0").lanes(1)).await;
    let mut first = connect(&server);
    get_lane_by_hand(&mut first);
    drop(first);
    get_lane_by_hand(&mut connect(&server));
}
