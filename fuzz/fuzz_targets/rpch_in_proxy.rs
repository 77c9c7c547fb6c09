//! Any bytes and any commands at an inbound proxy's machine: it ends once, and then says nothing more.
#![no_main]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_dce::seed::Seed;
use farcall_rpch::in_proxy::Event;
use farcall_rpch::{ChannelId, First, InProxy, Opening, ProxyConfig, Role};
use libfuzzer_sys::fuzz_target;

/// The first PDU of a channel, and what is behind it.
fn first(role: Role, now: Instant, input: &mut Bytes) -> Option<First> {
    let mut opening = Opening::new(role, now, Duration::from_secs(15));
    opening.handle_bytes(input).ok().flatten()
}

fuzz_target!(|input: &[u8]| {
    let mut now = Instant::now();
    let mut script = Bytes::copy_from_slice(input);
    let Some(begin) = first(Role::InProxy, now, &mut script) else {
        return;
    };
    let config = ProxyConfig {
        banner: false,
        ..ProxyConfig::default()
    };
    let made = InProxy::new(
        config,
        now,
        &Seed::replay(1),
        &begin,
        IpAddr::from([192, 0, 2, 1]),
    );
    let mut machine = made.expect("the role's own first PDU");
    let (mut channels, mut ended, mut rest) = (vec![ChannelId::FIRST], false, &script[..]);
    // A command, a channel, a length, and that many bytes.
    while let [command, channel, len, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        let bytes = Bytes::copy_from_slice(bytes);
        let Some(channel) = channels
            .get(usize::from(*channel) % channels.len().max(1))
            .copied()
        else {
            return;
        };
        match command % 8 {
            0 | 1 => machine.handle_bytes(now, channel, bytes),
            2 => machine.handle_closed(now, channel),
            3 => {
                now += Duration::from_secs(u64::from(*len));
                machine.handle_timeout(now);
            }
            4 => machine.handle_connected(now, channel),
            5 => {
                let mut bytes = bytes;
                let attached = first(Role::InProxy, now, &mut bytes);
                channels.extend(attached.and_then(|first| machine.attach(now, &first).ok()));
            }
            6 => {
                while let Some(pdu) = machine.poll_pdu() {
                    machine.forward(now, pdu);
                }
            }
            _ => {
                if let Some(pdu) = machine.poll_pdu() {
                    machine.refuse(now, pdu);
                }
            }
        }
        while let Some(event) = machine.poll_event() {
            assert!(!ended, "{event:?} after the end");
            match event {
                Event::Connect(channel) => channels.push(channel),
                Event::Ended(_) => ended = true,
                _ => {}
            }
        }
        for channel in &channels {
            while machine.poll_transmit(now, *channel).is_some() {}
        }
        if ended {
            assert!(machine.poll_timeout().is_none());
        }
    }
});
