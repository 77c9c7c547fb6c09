//! A server that forgets security contexts while a call is repeated: the first message may have been executed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use farcall::{Client, Gss, Options, Server, Transport};
use farcall_onc::gss::{GssConfig, Service};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::common::{PROGRAM, Test, add, service};
use crate::toy::{Caller, Toy};

async fn start(toy: &Toy) -> (Server, Test, SocketAddr) {
    let test = Test::default();
    let builder = Server::builder()
        .serve(service(&test))
        .gss_with(Arc::new(toy.clone()), GssConfig::default())
        .listen("udp://127.0.0.1:0");
    let server = builder.start().await.expect("starts");
    let endpoint = server.endpoint(Transport::Udp).expect("listens");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, endpoint.port().expect("a port")));
    (server, test, address)
}

/// Relays between one client and the first server; once `restart` is set, the next answer is lost, and what comes
/// after it goes to the second.
struct Road {
    address: SocketAddr,
    restart: Arc<AtomicBool>,
    _task: JoinSet<()>,
}

async fn road(first: SocketAddr, second: SocketAddr) -> Road {
    let front = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    let back = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    let address = front.local_addr().expect("bound");
    let restart = Arc::new(AtomicBool::new(false));
    let armed = Arc::clone(&restart);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let (mut server, mut client) = (first, None);
        let (mut there, mut here) = (vec![0; 65_536], vec![0; 65_536]);
        loop {
            tokio::select! {
                Ok((len, from)) = front.recv_from(&mut there) => {
                    client = Some(from);
                    back.send_to(&there[..len], server).await.expect("sends");
                }
                Ok((len, _)) = back.recv_from(&mut here) => {
                    if armed.swap(false, Ordering::SeqCst) {
                        server = second;
                    } else if let Some(client) = client {
                        front.send_to(&here[..len], client).await.expect("sends");
                    }
                }
            }
        }
    });
    Road {
        address,
        restart,
        _task: task,
    }
}

fn options() -> Options {
    Options {
        gss: Some(Gss {
            initiator: Arc::new(Caller("alice")),
            service: Service::INTEGRITY,
            target: None,
        }),
        timeout: Duration::from_secs(60),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_repeated_call_whose_context_is_lost_may_have_been_executed_and_is_not_made_again() {
    let toy = Toy::default();
    let (_one, before, first) = start(&toy).await;
    let (_two, after, second) = start(&toy).await;
    let road = road(first, second).await;
    let endpoint = format!("udp://{}", road.address);
    let client = Client::connect_with(
        endpoint.as_str(),
        PROGRAM.number,
        PROGRAM.version,
        options(),
    );
    let client = client.await.expect("connects");
    assert_eq!(add(&client, 1, 2).await.expect("answered"), 3);
    road.restart.store(true, Ordering::SeqCst);
    let error = add(&client, 3, 4).await.expect_err("not made again");
    assert!(error.may_have_executed(), "{error}");
    let calls = || [&before, &after].map(|test| test.calls.load(Ordering::SeqCst));
    assert_eq!(calls(), [2, 0]);
    assert_eq!(add(&client, 5, 6).await.expect("another context"), 11);
    assert_eq!(calls(), [2, 1]);
}

#[tokio::test]
async fn a_blocking_client_does_not_make_it_again_either() {
    let toy = Toy::default();
    let (_one, before, first) = start(&toy).await;
    let (_two, after, second) = start(&toy).await;
    let road = road(first, second).await;
    let (endpoint, restart) = (format!("udp://{}", road.address), Arc::clone(&road.restart));
    let calling = tokio::task::spawn_blocking(move || {
        let (program, version) = (PROGRAM.number, PROGRAM.version);
        let endpoint = endpoint.as_str();
        let client = farcall::blocking::Client::connect_with(endpoint, program, version, options())
            .expect("connects");
        let add = |a: i32, b: i32| client.call(&PROGRAM, 2, &(a, b), |r| r.i32());
        assert_eq!(add(1, 2).expect("answered"), 3);
        restart.store(true, Ordering::SeqCst);
        let error = add(3, 4).expect_err("not made again");
        assert!(error.may_have_executed(), "{error}");
        assert_eq!(add(5, 6).expect("another context"), 11);
    });
    calling.await.expect("as it should be");
    let calls = [&before, &after].map(|test| test.calls.load(Ordering::SeqCst));
    assert_eq!(calls, [2, 1]);
}
