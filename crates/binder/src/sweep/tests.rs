//! What is dead goes, and nothing else.

use super::*;
use crate::mapping::{Owner, Slot};
use crate::registry::Policy;
use crate::store::Memory;
use farcall_dce::syntax::SyntaxId;
use farcall_dce::tower::Tower;
use farcall_wire::Uuid;
use std::net::TcpListener;

struct Place {
    registry: Registry<Memory>,
    directory: Directory<Memory>,
    sweep: Sweep,
}

impl Place {
    fn new() -> Self {
        let store = Arc::new(Memory::new());
        Self {
            registry: Registry::new(Arc::clone(&store), Policy::default()),
            directory: Directory::new(store),
            sweep: Sweep::default(),
        }
    }

    async fn holds(&self, netid: Netid, address: &str, process: Option<Process>) {
        let mapping = Mapping {
            slot: Slot {
                program: 7,
                version: u32::try_from(self.registry.all().len()).expect("few"),
                netid,
            },
            address: Uaddr::parse(netid, address.as_bytes()).expect(address),
            owner: Owner::Unknown,
            process,
        };
        self.registry.store().insert(mapping).await.expect("room");
    }

    async fn pass(&mut self) -> usize {
        let passing = self.sweep.pass(&self.registry, &self.directory, &|| true);
        passing.await.expect("memory does not fail")
    }
}

/// The universal address of a port of loopback.
fn at(port: u16) -> String {
    format!("127.0.0.1.{}.{}", port >> 8, port & 0xff)
}

/// A port of TCP and UDP at which nobody listens: it is bound and not listened at, or bound no more.
fn dead_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    socket.local_addr().expect("bound").port()
}

fn ours() -> Option<Process> {
    Process::of(i32::try_from(std::process::id()).expect("a small number"))
}

#[tokio::test]
async fn a_living_process_or_a_living_server_is_enough() {
    let mut place = Place::new();
    let tcp = TcpListener::bind("127.0.0.1:0").expect("bind");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let (tcp_port, udp_port) = (
        tcp.local_addr().expect("bound").port(),
        udp.local_addr().expect("bound").port(),
    );
    place.holds(Netid::Tcp, &at(dead_port()), ours()).await;
    place
        .holds(Netid::Tcp, &at(tcp_port), Some(Process::GONE))
        .await;
    place.holds(Netid::Tcp, &at(tcp_port), None).await;
    // It never answers, and is there.
    place
        .holds(Netid::Udp, &at(udp_port), Some(Process::GONE))
        .await;
    // Another machine's.
    place
        .holds(Netid::Tcp, "192.0.2.77.0.9", Some(Process::GONE))
        .await;
    for _ in 0..3 {
        assert_eq!(place.pass().await, 0);
    }
}

#[tokio::test]
async fn the_dead_go_at_once_and_the_unknown_at_the_second_look() {
    let mut place = Place::new();
    let files = tempfile::tempdir().expect("a directory");
    let nowhere = files.path().join("socket").display().to_string();
    place
        .holds(Netid::Tcp, &at(dead_port()), Some(Process::GONE))
        .await;
    place
        .holds(Netid::Udp, &at(dead_port()), Some(Process::GONE))
        .await;
    place
        .holds(Netid::Local, &nowhere, Some(Process::GONE))
        .await;
    place.holds(Netid::Tcp, &at(dead_port()), None).await;
    assert_eq!(place.pass().await, 3);
    assert_eq!(place.registry.all().len(), 1);
    assert_eq!(place.pass().await, 1);
    assert!(place.registry.all().is_empty());
}

#[tokio::test]
async fn a_unix_socket_that_is_listened_at_stays() {
    let mut place = Place::new();
    let files = tempfile::tempdir().expect("a directory");
    let path = files.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("bind");
    let address = path.display().to_string();
    place
        .holds(Netid::Local, &address, Some(Process::GONE))
        .await;
    assert_eq!(place.pass().await, 0);
    drop(listener);
    assert_eq!(place.pass().await, 1);
}

#[tokio::test]
async fn elements_of_the_endpoint_mapper_go_too() {
    let mut place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("bound").port().to_string();
    let element = |protseq, endpoint: &str, process| {
        let host = Ipv4Addr::UNSPECIFIED;
        let tower = Tower::new(SyntaxId::NDR64, SyntaxId::NDR, protseq, endpoint, host);
        let element = Element::new(Uuid::NIL, tower.expect(endpoint), b"", Owner::Superuser);
        element.expect("a way").by(process)
    };
    let gone = Some(Process::GONE);
    let all = vec![
        element(Protseq::Tcp, &port, gone),
        element(Protseq::Tcp, &dead_port().to_string(), gone),
        element(Protseq::Local, "nobody", gone),
        element(Protseq::Local, "somebody", None),
    ];
    place
        .directory
        .insert(all.clone(), false)
        .await
        .expect("new");
    assert_eq!(place.pass().await, 2);
    assert_eq!(place.directory.all(), [all[0].clone(), all[3].clone()]);
}

#[tokio::test]
async fn many_are_looked_at_a_few_at_a_time_and_all_in_the_end() {
    let mut place = Place::new();
    let port = dead_port();
    for _ in 0..AT_A_TIME * 2 {
        place
            .holds(Netid::Tcp, &at(port), Some(Process::GONE))
            .await;
    }
    assert_eq!(place.pass().await, AT_A_TIME);
    assert_eq!(place.pass().await, AT_A_TIME);
    assert!(place.registry.all().is_empty());
}
