//! Addresses: a reply comes from where the call went.

use std::net::UdpSocket;

use farcall::{Runtime, Server};
use farcall_conformance::demo;
use farcall_conformance::probe::{ANSWER, Answer, answer};

use super::call;

#[test]
fn a_datagram_is_answered_from_the_address_it_was_sent_to() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let mut builder = Server::builder()
        .listen("udp://0.0.0.0:0")
        .runtime(Runtime::Threads(1));
    for service in demo::services() {
        builder = builder.serve(service);
    }
    let server = runtime.block_on(builder.start()).expect("start the server");
    let port = server.endpoints()[0].port().expect("a port");
    for host in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
        // Not connected, so that an answer from elsewhere would be seen.
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        socket.set_read_timeout(Some(ANSWER)).expect("a limit");
        socket
            .send_to(&call(0).bytes(), (host, port))
            .expect("send");
        let mut reply = [0; 64];
        let (length, from) = socket.recv_from(&mut reply).expect("an answer");
        assert_eq!(from.to_string(), format!("{host}:{port}"));
        assert_eq!(answer(&reply[..length]).1, Answer::Success(Vec::new()));
    }
}
