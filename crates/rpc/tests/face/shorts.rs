//! `AUTH_SHORT`: a handle instead of the whole credential, and back to the whole one when it is forgotten.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{PROGRAM, Test, add, echo, service};
use farcall::{Client, Options, Server, Transport};
use farcall_onc::auth::{AuthSys, ShortConfig};
use farcall_onc::record::{Assembler, RecordLimits};
use farcall_wire::{Bytes, Str};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GROUPS: [u32; 16] = [7; 16];

fn claim(uid: u32) -> AuthSys {
    AuthSys {
        uid,
        machine: b"a machine with quite a long name".to_vec(),
        gids: GROUPS.to_vec(),
        ..AuthSys::default()
    }
}

fn options(uid: u32) -> Options {
    let options = Options {
        short: true,
        ..Options::default()
    };
    options.auth_sys(&claim(uid)).expect("fits")
}

async fn start(test: &Test, config: ShortConfig) -> Server {
    let server = Server::builder()
        .serve(service(test))
        .short_credentials(config)
        .listen("tcp://127.0.0.1:0")
        .listen("udp://127.0.0.1:0");
    server.start().await.expect("starts")
}

fn who(client: &Client) -> farcall::Calling<u32> {
    client.call(&PROGRAM, 8, &(), |r| {
        let uid = r.u32()?;
        r.opaque_var(1000)?;
        Ok(uid)
    })
}

/// Calls as they went over the wire, by the flavor of their credentials and its length.
type Seen = Arc<Mutex<Vec<(u32, u32)>>>;

/// A client of the server whose calls are seen on the way.
async fn tapped(server: &Server, options: Options) -> (Client, Seen) {
    let endpoint = server.endpoint(Transport::Tcp).expect("listens");
    let address = ("127.0.0.1", endpoint.port().expect("a port"));
    let there = tokio::net::TcpStream::connect(address)
        .await
        .expect("connects");
    let (ours, here) = tokio::io::duplex(1 << 16);
    let (mut from_client, mut to_client) = tokio::io::split(here);
    let (mut from_server, mut to_server) = there.into_split();
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        let mut assembler = Assembler::new(RecordLimits::default());
        let mut buffer = vec![0; 1 << 16];
        loop {
            let Ok(read @ 1..) = from_client.read(&mut buffer).await else {
                return;
            };
            let (batch, mut at) = (Bytes::copy_from_slice(&buffer[..read]), 0);
            while let Some(record) = assembler.next(&batch, &mut at).expect("records") {
                let bytes = record.bytes(&batch);
                let word =
                    |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("a word"));
                noted.lock().expect("fine").push((word(24), word(28)));
            }
            to_server.write_all(&buffer[..read]).await.expect("written");
        }
    });
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
    });
    (Client::over(ours, "tapped", options), seen)
}

const SYS: u32 = 1;
const SHORT: u32 = 2;

// req: onc-5531-a-short
#[tokio::test]
async fn a_client_sends_the_handle_it_was_given_and_is_who_it_was() {
    let test = Test::default();
    let server = start(&test, ShortConfig::default()).await;
    let (client, seen) = tapped(&server, options(7)).await;
    for _ in 0..3 {
        assert_eq!(who(&client).await.expect("answered"), 7);
    }
    let seen = seen.lock().expect("fine").clone();
    let full = seen[0].1;
    assert_eq!(seen, [(SYS, full), (SHORT, 16), (SHORT, 16)]);
    assert!(full > 100);
}

// req: onc-5531-a-fallback
#[tokio::test]
async fn a_handle_that_is_forgotten_is_replaced_without_the_caller_noticing() {
    let test = Test::default();
    // One handle at a time: the other client's makes ours forgotten.
    let config = ShortConfig {
        capacity: 1,
        ..ShortConfig::default()
    };
    let server = start(&test, config).await;
    let (client, seen) = tapped(&server, options(7)).await;
    let (other, _) = tapped(&server, options(8)).await;
    assert_eq!(who(&client).await.expect("answered"), 7);
    assert_eq!(who(&client).await.expect("answered"), 7);
    assert_eq!(who(&other).await.expect("answered"), 8);
    assert_eq!(who(&client).await.expect("made again"), 7);
    assert_eq!(who(&client).await.expect("answered"), 7);
    let flavors: Vec<u32> = seen.lock().expect("fine").iter().map(|it| it.0).collect();
    assert_eq!(flavors, [SYS, SHORT, SHORT, SYS, SHORT]);
}

#[tokio::test]
async fn many_calls_at_once_get_over_forgotten_handles() {
    let test = Test::default();
    let config = ShortConfig {
        capacity: 1,
        ttl: Duration::from_secs(60),
    };
    let server = start(&test, config).await;
    let endpoint = server.endpoint(Transport::Tcp).expect("listens");
    let mut clients = Vec::new();
    for uid in 0..4 {
        let client = Client::connect_with(endpoint, PROGRAM.number, PROGRAM.version, options(uid));
        clients.push(client.await.expect("connects"));
    }
    for _ in 0..20 {
        let all = clients.iter().map(who);
        let uids = futures_util::future::join_all(all).await;
        for (uid, told) in (0..).zip(uids) {
            assert_eq!(told.expect("answered"), uid);
        }
    }
}

#[tokio::test]
async fn other_callers_and_other_transports_are_not_confused() {
    let test = Test::default();
    let server = start(&test, ShortConfig::default()).await;
    let (client, _) = tapped(&server, options(7)).await;
    let other = farcall_onc::auth::AuthBlock::sys(&claim(9)).expect("fits");
    let other = client.with_auth(other);
    for _ in 0..3 {
        assert_eq!(who(&client).await.expect("answered"), 7);
        assert_eq!(who(&other).await.expect("answered"), 9);
    }
    let endpoint = server.endpoint(Transport::Udp).expect("listens");
    let datagrams = Client::connect_with(endpoint, PROGRAM.number, PROGRAM.version, options(5));
    let datagrams = datagrams.await.expect("connects");
    for _ in 0..3 {
        assert_eq!(who(&datagrams).await.expect("answered"), 5);
        assert_eq!(add(&datagrams, 1, 2).await.expect("answered"), 3);
    }
    // A server that gives no handles takes none.
    let plain = Server::builder()
        .serve(service(&test))
        .listen("tcp://127.0.0.1:0")
        .start();
    let plain = plain.await.expect("starts");
    let (client, seen) = tapped(&plain, options(7)).await;
    for _ in 0..2 {
        assert_eq!(
            echo(&client, "hi").await.expect("answered"),
            Str::from("hi")
        );
    }
    assert!(seen.lock().expect("fine").iter().all(|it| it.0 == SYS));
}
