//! Peers that say more than they must, or say it while they take nothing: what is held for them stays little.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use bytes::Bytes;
use farcall_dce::seed::Seed;
use farcall_rpch::rts::message::Succession;
use farcall_rpch::rts::{Cookie, Destination, FlowControlAck, Message};
use farcall_rpch::{
    ChannelId, First, InProxy, Opening, OutProxy, ProxyConfig, Role, Server, ServerConfig,
    in_proxy, out_proxy, server,
};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const VC: Cookie = Cookie([1; 16]);
const IN: Cookie = Cookie([2; 16]);
const OUT: Cookie = Cookie([3; 16]);
const NEXT: Cookie = Cookie([4; 16]);
const WINDOW: u32 = 64 << 10;

fn first(role: Role, now: Instant, message: Message) -> First {
    let mut opening = Opening::new(role, now, Duration::from_secs(15));
    opening.handle_bytes(&mut message.emit()).unwrap().unwrap()
}

fn pdu(len: u16) -> Bytes {
    let mut bytes = vec![5, 0, 0, 3, 0x10, 0, 0, 0];
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.resize(usize::from(len), 0);
    Bytes::from(bytes)
}

fn ack(to: Destination, channel: Cookie, bytes_received: u32) -> Bytes {
    let ack = FlowControlAck {
        bytes_received,
        available_window: WINDOW,
        channel,
    };
    Message::FlowControlAck { to: Some(to), ack }.emit()
}

fn succession(successor: Cookie) -> Succession {
    Succession {
        virtual_connection: VC,
        predecessor: IN,
        successor,
    }
}

/// A server's virtual connection that stands: its OUT connection is the first, this its IN connection.
fn server(now: Instant) -> (Server, ChannelId) {
    let a2 = Message::ConnA2 {
        virtual_connection: VC,
        out_channel: OUT,
        lifetime: 1 << 30,
        window: WINDOW,
    };
    let b2 = Message::ConnB2 {
        virtual_connection: VC,
        in_channel: IN,
        window: WINDOW,
        timeout: 120_000,
        group: VC,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let a2 = first(Role::Server, now, a2);
    let mut server = Server::new(ServerConfig::default(), now, &Seed::replay(1), &a2).unwrap();
    let input = server.attach(now, &first(Role::Server, now, b2)).unwrap();
    let out = ChannelId::FIRST;
    while server.poll_transmit(now, out).is_some() {}
    while server.poll_transmit(now, input).is_some() {}
    while server.poll_event().is_some() {}
    (server, input)
}

#[test]
fn a_server_keeps_one_acknowledgement_of_a_channel_and_none_of_an_unknown_one() {
    let now = Instant::now();
    let (mut server, input) = server(now);
    for received in 0..10_000 {
        for channel in [OUT, NEXT] {
            let ack = ack(Destination::OutProxy, channel, received);
            server.handle_bytes(now, input, ack);
        }
    }
    let newest = ack(Destination::OutProxy, OUT, 9_999);
    assert!(!server.is_drained());
    assert_eq!(server.poll_transmit(now, ChannelId::FIRST), Some(newest));
    assert_eq!(server.poll_transmit(now, ChannelId::FIRST), None);
    assert!(server.is_drained());
    // For the client, whatever the channel is called.
    for number in 0..10_000_u32 {
        let mut cookie = [0; 16];
        cookie[..4].copy_from_slice(&number.to_le_bytes());
        let ack = ack(Destination::Client, Cookie(cookie), 0);
        server.handle_bytes(now, input, ack);
    }
    let said = std::iter::from_fn(|| server.poll_transmit(now, ChannelId::FIRST));
    assert!(said.count() <= 4);
}

#[test]
fn a_server_that_is_made_to_say_more_than_anybody_takes_ends() {
    let now = Instant::now();
    let (mut server, input) = server(now);
    let mut said = 0;
    while server.poll_event().is_none() {
        server.handle_bytes(now, input, Message::Successor(IN).emit());
        said += 1;
        assert!(said < 100_000);
    }
}

#[test]
fn a_server_says_that_a_successor_is_another_before_it_closes() {
    let now = Instant::now();
    let a2 = Message::ConnA2 {
        virtual_connection: VC,
        out_channel: OUT,
        lifetime: 128 << 10,
        window: 1 << 20,
    };
    let b2 = Message::ConnB2 {
        virtual_connection: VC,
        in_channel: IN,
        window: WINDOW,
        timeout: 120_000,
        group: VC,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let out = ChannelId::FIRST;
    let a2 = first(Role::Server, now, a2);
    let mut server = Server::new(ServerConfig::default(), now, &Seed::replay(1), &a2).unwrap();
    let input = server.attach(now, &first(Role::Server, now, b2)).unwrap();
    let mut recycles = false;
    for _ in 0..40 {
        server.send(now, pdu(4096)).unwrap();
        while let Some(bytes) = server.poll_transmit(now, out) {
            recycles |= Message::parse(&bytes) == Ok(Message::OutA2);
        }
    }
    assert!(recycles);
    server.handle_bytes(now, out, Message::Successor(NEXT).emit());
    server.handle_bytes(now, input, Message::OutR2A7(VC).emit());
    let said = std::iter::from_fn(|| server.poll_transmit(now, out)).last();
    assert_eq!(said, Some(Message::OutR2B2.emit()));
    let events = std::iter::from_fn(|| server.poll_event());
    assert!(
        events
            .into_iter()
            .any(|it| matches!(it, server::Event::Failed(_)))
    );
}

/// An inbound proxy that follows another's channel, whose server does not answer.
fn successor(now: Instant) -> (InProxy, ChannelId) {
    let a1 = first(Role::InProxy, now, Message::InA1(succession(NEXT)));
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let config = ProxyConfig::default();
    let mut proxy = InProxy::new(config, now, &Seed::replay(1), &a1, address).unwrap();
    let Some(in_proxy::Event::Connect(server)) = proxy.poll_event() else {
        panic!("it does not connect");
    };
    (proxy, server)
}

#[test]
fn an_inbound_proxy_whose_server_does_not_answer_keeps_the_newest_acknowledgement() {
    let now = Instant::now();
    let (mut proxy, server) = successor(now);
    for received in 0..10_000 {
        let ack = ack(Destination::OutProxy, OUT, received);
        proxy.handle_bytes(now, ChannelId::FIRST, ack);
    }
    proxy.handle_connected(now, server);
    proxy.handle_bytes(now, server, Bytes::from_static(b"ncacn_http/1.0"));
    let said: Vec<Bytes> = std::iter::from_fn(|| proxy.poll_transmit(now, server)).collect();
    assert_eq!(said.len(), 2, "IN_R1/A2 and one acknowledgement");
    assert_eq!(said[1], ack(Destination::OutProxy, OUT, 9_999));
}

#[test]
fn an_inbound_proxy_takes_no_second_successor_of_an_out_channel_before_the_first_is_sent() {
    for message in [Message::OutA8(OUT), Message::OutR2A7(OUT)] {
        let now = Instant::now();
        let (mut proxy, _) = successor(now);
        proxy.handle_bytes(now, ChannelId::FIRST, message.emit());
        while let Some(event) = proxy.poll_event() {
            assert!(!matches!(event, in_proxy::Event::Ended(_)));
        }
        proxy.handle_bytes(now, ChannelId::FIRST, message.emit());
        let mut events = std::iter::from_fn(|| proxy.poll_event());
        assert!(events.any(|event| matches!(event, in_proxy::Event::Ended(_))));
    }
}

#[test]
fn recycling_does_not_make_a_proxy_hold_more() {
    let now = Instant::now();
    let b1 = Message::ConnB1 {
        virtual_connection: VC,
        in_channel: IN,
        lifetime: 1 << 30,
        keepalive: 300_000,
        group: VC,
    };
    let b1 = first(Role::InProxy, now, b1);
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let config = ProxyConfig {
        window: WINDOW,
        ..ProxyConfig::default()
    };
    let mut proxy = InProxy::new(config, now, &Seed::replay(1), &b1, address).unwrap();
    let Some(in_proxy::Event::Connect(server)) = proxy.poll_event() else {
        panic!("it does not connect");
    };
    proxy.handle_connected(now, server);
    proxy.handle_bytes(now, server, Bytes::from_static(b"ncacn_http/1.0"));
    proxy.handle_bytes(now, server, Message::ConnB3 { window: 8192 }.emit());
    let (mut channel, mut cookie, mut held) = (ChannelId::FIRST, IN, 0);
    for round in 0..20 {
        for _ in 0..16 {
            if proxy.is_readable(channel) {
                proxy.handle_bytes(now, channel, pdu(4096));
                held += 4096;
            }
        }
        if !proxy.is_readable(channel) {
            break;
        }
        let successor = Cookie([100 + round; 16]);
        let a1 = Message::InA1(Succession {
            virtual_connection: VC,
            predecessor: cookie,
            successor,
        });
        let next = proxy.attach(now, &first(Role::InProxy, now, a1)).unwrap();
        proxy.handle_bytes(now, channel, Message::Successor(successor).emit());
        (channel, cookie) = (next, successor);
    }
    assert!(held <= 2 * WINDOW + 4096, "{held}");
}

#[test]
fn a_channel_that_is_worn_out_before_it_goes_on_says_so_itself() {
    let now = Instant::now();
    let a1 = Message::ConnA1 {
        virtual_connection: VC,
        out_channel: IN,
        window: 8192,
    };
    let a1 = first(Role::OutProxy, now, a1);
    let config = ProxyConfig::default();
    let mut proxy = OutProxy::new(config, now, &Seed::replay(1), &a1).unwrap();
    let Some(out_proxy::Event::Connect(server)) = proxy.poll_event() else {
        panic!("it does not connect");
    };
    proxy.handle_connected(now, server);
    let c = Message::ConnC {
        window: WINDOW,
        timeout: 120_000,
    };
    proxy.handle_bytes(now, server, Bytes::from_static(b"ncacn_http/1.0"));
    proxy.handle_bytes(now, server, c.emit());
    // The client's window is full, one answer waits, and the successor goes on behind it.
    for _ in 0..3 {
        proxy.handle_bytes(now, server, pdu(4096));
        let judged = proxy.poll_pdu().unwrap();
        proxy.forward(now, judged);
    }
    proxy.handle_bytes(now, server, Message::OutA2.emit());
    let a3 = Message::OutA3 {
        succession: succession(NEXT),
        window: 8192,
    };
    let next = proxy.attach(now, &first(Role::OutProxy, now, a3)).unwrap();
    proxy.handle_bytes(now, server, Message::OutR2A6.emit());
    proxy.handle_bytes(now, server, Message::Ance.emit());
    while proxy.poll_transmit(now, ChannelId::FIRST).is_some() {}
    // Worn out again, before the successor's request is whole.
    proxy.handle_bytes(now, server, Message::OutA2.emit());
    proxy.handle_bytes(now, next, Message::OutR2C1(None).emit());
    assert_eq!(proxy.poll_transmit(now, ChannelId::FIRST), None);
    let room = FlowControlAck {
        bytes_received: 8192,
        available_window: 8192,
        channel: IN,
    };
    let to = Some(Destination::OutProxy);
    let room = Message::FlowControlAck { to, ack: room };
    proxy.handle_bytes(now, server, room.emit());
    let said: Vec<Bytes> =
        std::iter::from_fn(|| proxy.poll_transmit(now, ChannelId::FIRST)).collect();
    assert_eq!(said, [pdu(4096), Message::OutR2B3.emit()]);
    assert_eq!(proxy.poll_transmit(now, next), Some(Message::OutA2.emit()));
}
