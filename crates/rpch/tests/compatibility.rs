//! Clients that do not do all that the specification asks for: how proxies notice, and what they do then.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use bytes::Bytes;
use farcall_dce::seed::Seed;
use farcall_rpch::rts::{Cookie, Destination, FlowControlAck, Message};
use farcall_rpch::{
    ChannelId, Ended, Failure, First, InProxy, Opening, OutProxy, ProxyConfig, Role, in_proxy,
    out_proxy,
};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const VC: Cookie = Cookie([1; 16]);
const CHANNEL: Cookie = Cookie([2; 16]);
const WINDOW: u32 = 64 << 10;

fn first(role: Role, now: Instant, message: Message) -> First {
    let mut opening = Opening::new(role, now, Duration::from_secs(15));
    opening.handle_bytes(&mut message.emit()).unwrap().unwrap()
}

fn pdu(len: u16, flags: u8) -> Bytes {
    let mut bytes = vec![5, 0, 0, flags, 0x10, 0, 0, 0];
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.resize(usize::from(len), 0);
    Bytes::from(bytes)
}

fn config() -> ProxyConfig {
    ProxyConfig {
        window: WINDOW,
        ..ProxyConfig::default()
    }
}

/// An open inbound proxy, and its channel to the server.
fn in_proxy(now: Instant) -> (InProxy, ChannelId) {
    let b1 = Message::ConnB1 {
        virtual_connection: VC,
        in_channel: CHANNEL,
        lifetime: 1 << 30,
        keepalive: 300_000,
        group: VC,
    };
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let first = first(Role::InProxy, now, b1);
    let mut proxy = InProxy::new(config(), now, &Seed::replay(1), &first, address).unwrap();
    let Some(in_proxy::Event::Connect(server)) = proxy.poll_event() else {
        panic!("it does not connect");
    };
    proxy.handle_connected(now, server);
    assert!(
        proxy.poll_transmit(now, server).is_none(),
        "no byte before the banner"
    );
    proxy.handle_bytes(now, server, Bytes::from_static(b"ncacn_"));
    proxy.handle_bytes(now, server, Bytes::from_static(b"http/1.0"));
    let b2 = proxy.poll_transmit(now, server).unwrap();
    assert!(matches!(
        Message::parse(&b2),
        Ok(Message::ConnB2 { window: WINDOW, .. })
    ));
    proxy.handle_bytes(now, server, Message::ConnB3 { window: 1 << 20 }.emit());
    while proxy.poll_event().is_some() {}
    (proxy, server)
}

/// Sends PDUs through, and says whether an acknowledgement came out.
fn acknowledged(proxy: &mut InProxy, now: Instant, server: ChannelId) -> bool {
    while let Some(pdu) = proxy.poll_pdu() {
        proxy.forward(now, pdu);
    }
    let mut found = false;
    while let Some(bytes) = proxy.poll_transmit(now, server) {
        found |= matches!(
            Message::parse(&bytes),
            Ok(Message::FlowControlAck {
                to: Some(Destination::Client),
                ..
            })
        );
    }
    found
}

#[test]
fn a_client_is_acknowledged_only_when_it_waits_for_that() {
    let now = Instant::now();
    let (mut proxy, server) = in_proxy(now);
    // Fifteen of sixteen parts of the window, in the middle of a call: half of it would be worth an acknowledgement.
    for _ in 0..15 {
        proxy.handle_bytes(now, ChannelId::FIRST, pdu(4096, 1));
        assert!(!acknowledged(&mut proxy, now, server));
    }
    let at = proxy.poll_timeout().unwrap();
    assert_eq!(at, now + config().hold);
    proxy.handle_timeout(at);
    assert!(acknowledged(&mut proxy, at, server));
    // From then on as the specification has it.
    for count in 1..=8 {
        proxy.handle_bytes(at, ChannelId::FIRST, pdu(4096, 1));
        assert_eq!(acknowledged(&mut proxy, at, server), count == 8);
    }
}

#[test]
fn a_client_that_sends_beyond_its_window_is_never_acknowledged() {
    let now = Instant::now();
    let (mut proxy, server) = in_proxy(now);
    for _ in 0..100 {
        proxy.handle_bytes(now, ChannelId::FIRST, pdu(4096, 3));
        assert!(!acknowledged(&mut proxy, now, server));
    }
    let later = now + Duration::from_secs(60);
    proxy.handle_timeout(later);
    assert!(!acknowledged(&mut proxy, later, server));
    assert!(proxy.is_readable(ChannelId::FIRST));
}

#[test]
fn a_client_that_acknowledges_is_acknowledged_at_once() {
    let now = Instant::now();
    let (mut proxy, server) = in_proxy(now);
    let ack = FlowControlAck {
        bytes_received: 0,
        available_window: 8192,
        channel: VC,
    };
    let ack = Message::FlowControlAck {
        to: Some(Destination::OutProxy),
        ack,
    };
    proxy.handle_bytes(now, ChannelId::FIRST, ack.emit());
    for count in 1..=8 {
        proxy.handle_bytes(now, ChannelId::FIRST, pdu(4096, 3));
        assert_eq!(acknowledged(&mut proxy, now, server), count == 8);
    }
}

#[test]
fn a_client_that_does_not_wait_for_room_is_not_read() {
    let now = Instant::now();
    let (mut proxy, _) = in_proxy(now);
    // Its window is full, which is no reason not to hear what it acknowledges.
    for _ in 0..17 {
        assert!(proxy.is_readable(ChannelId::FIRST));
        proxy.handle_bytes(now, ChannelId::FIRST, pdu(4096, 3));
    }
    assert!(!proxy.is_readable(ChannelId::FIRST));
}

/// An open outbound proxy, and its channel to the server.
fn out_proxy(now: Instant) -> (OutProxy, ChannelId) {
    let a1 = Message::ConnA1 {
        virtual_connection: VC,
        out_channel: CHANNEL,
        window: WINDOW,
    };
    let first = first(Role::OutProxy, now, a1);
    let mut proxy = OutProxy::new(config(), now, &Seed::replay(1), &first).unwrap();
    let Some(out_proxy::Event::Connect(server)) = proxy.poll_event() else {
        panic!("it does not connect");
    };
    proxy.handle_connected(now, server);
    assert!(proxy.poll_event().is_none(), "no answer before the banner");
    proxy.handle_bytes(now, server, Bytes::from_static(b"ncacn_http/1.0"));
    assert_eq!(
        proxy.poll_event(),
        Some(out_proxy::Event::Respond(ChannelId::FIRST))
    );
    let c1 = Message::ConnC {
        window: WINDOW,
        timeout: 120_000,
    };
    proxy.handle_bytes(now, server, c1.emit());
    let said: Vec<Message> = std::iter::from_fn(|| proxy.poll_transmit(now, ChannelId::FIRST))
        .map(|bytes| Message::parse(&bytes).unwrap())
        .collect();
    assert_eq!(said, [Message::ConnA3 { timeout: 120_000 }, c1]);
    (proxy, server)
}

/// Sends an answer through, and says whether it came out.
fn answered(proxy: &mut OutProxy, now: Instant, server: ChannelId) -> bool {
    proxy.handle_bytes(now, server, pdu(4096, 3));
    while let Some(pdu) = proxy.poll_pdu() {
        proxy.forward(now, pdu);
    }
    proxy.poll_transmit(now, ChannelId::FIRST).is_some()
}

#[test]
fn a_client_that_never_acknowledges_is_sent_to_as_its_connection_allows() {
    let now = Instant::now();
    let (mut proxy, server) = out_proxy(now);
    for _ in 0..16 {
        assert!(answered(&mut proxy, now, server));
    }
    assert!(!answered(&mut proxy, now, server), "its window is full");
    let at = proxy.poll_timeout().unwrap();
    assert_eq!(at, now + config().grace);
    proxy.handle_timeout(at);
    assert!(proxy.poll_transmit(at, ChannelId::FIRST).is_some());
    for _ in 0..100 {
        assert!(answered(&mut proxy, at, server));
    }
    // And it gets no pings, which it would take for answers.
    let later = at + Duration::from_secs(100);
    proxy.handle_timeout(later);
    assert!(proxy.poll_transmit(later, ChannelId::FIRST).is_none());
}

#[test]
fn a_silent_channel_is_pinged_after_half_of_the_connection_timeout() {
    let now = Instant::now();
    let (mut proxy, _) = out_proxy(now);
    let at = proxy.poll_timeout().unwrap();
    assert_eq!(at, now + Duration::from_secs(60));
    proxy.handle_timeout(at);
    let ping = proxy.poll_transmit(at, ChannelId::FIRST).unwrap();
    assert_eq!(Message::parse(&ping), Ok(Message::Ping));
}

#[test]
fn a_client_of_which_nothing_is_known_is_not_pinged_until_it_speaks() {
    let now = Instant::now();
    let (mut proxy, _) = out_proxy(now);
    let ping = Some(now + Duration::from_secs(60));
    proxy.hold_pings();
    assert_ne!(proxy.poll_timeout(), ping);
    proxy.may_ping();
    assert_eq!(proxy.poll_timeout(), ping);
    // Its inbound proxy says so, once.
    let (mut proxy, _) = in_proxy(now);
    proxy.handle_bytes(now, ChannelId::FIRST, pdu(24, 3));
    assert_eq!(proxy.poll_event(), None);
    for _ in 0..2 {
        proxy.handle_bytes(now, ChannelId::FIRST, Message::Ping.emit());
    }
    assert_eq!(proxy.poll_event(), Some(in_proxy::Event::Speaks));
    assert_eq!(proxy.poll_event(), None);
}

#[test]
fn a_server_without_a_banner_gets_nothing_and_the_client_an_error() {
    let now = Instant::now();
    let a1 = Message::ConnA1 {
        virtual_connection: VC,
        out_channel: CHANNEL,
        window: WINDOW,
    };
    let first = first(Role::OutProxy, now, a1);
    let mut proxy = OutProxy::new(config(), now, &Seed::replay(1), &first).unwrap();
    let Some(out_proxy::Event::Connect(server)) = proxy.poll_event() else {
        panic!("it does not connect");
    };
    proxy.handle_connected(now, server);
    proxy.handle_bytes(now, server, Bytes::from_static(b"SSH-2.0-OpenSSH_9\r\n"));
    assert!(proxy.poll_transmit(now, server).is_none());
    assert!(matches!(
        proxy.poll_event(),
        Some(out_proxy::Event::Refuse { .. })
    ));
    assert_eq!(proxy.poll_event(), Some(out_proxy::Event::Close(server)));
    let Some(out_proxy::Event::Ended(Ended::Failed(failure))) = proxy.poll_event() else {
        panic!("it lives on");
    };
    assert!(!matches!(failure, Failure::Closed));
}

#[test]
fn a_refused_request_is_answered_by_a_fault_of_the_proxy() {
    let now = Instant::now();
    let (mut input, to_server) = in_proxy(now);
    let (mut output, _) = out_proxy(now);
    input.handle_bytes(now, ChannelId::FIRST, pdu(100, 3));
    let refused = input.poll_pdu().unwrap();
    input.refuse(now, refused);
    assert!(input.poll_transmit(now, to_server).is_none());
    let fault = pdu(32, 3);
    output.inject(now, fault.clone());
    assert_eq!(output.poll_transmit(now, ChannelId::FIRST), Some(fault));
}

#[test]
fn a_client_whose_channel_is_open_is_told_why_it_ends_where_a_pdu_would_begin() {
    let now = Instant::now();
    let (mut proxy, server) = out_proxy(now);
    while proxy.poll_event().is_some() {}
    proxy.handle_closed(now, server);
    assert_eq!(
        proxy.poll_event(),
        Some(out_proxy::Event::Close(ChannelId::FIRST))
    );
    let said = proxy.poll_transmit(now, ChannelId::FIRST).unwrap();
    // impacket compares with this, byte by byte.
    assert!(
        said.starts_with(b"HTTP/1.0 503 RPC Error: 6be\r\n"),
        "{said:?}"
    );
    assert!(said.ends_with(b"\r\n\r\n"), "{said:?}");
    assert_eq!(proxy.poll_transmit(now, ChannelId::FIRST), None);
    // What it is told is the code it is ended with.
    let (mut proxy, _) = out_proxy(now);
    proxy.close(now, 5);
    let said = proxy.poll_transmit(now, ChannelId::FIRST).unwrap();
    assert!(
        said.starts_with(b"HTTP/1.0 503 RPC Error: 5\r\n"),
        "{said:?}"
    );
}
