//! Any bytes and any commands at a server's machine: it ends once, and then says nothing more.
#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_dce::seed::Seed;
use farcall_rpch::server::Event;
use farcall_rpch::{ChannelId, First, Opening, Role, Server, ServerConfig};
use libfuzzer_sys::fuzz_target;

/// The first PDU of a channel, and what is behind it.
fn first(role: Role, now: Instant, input: &mut Bytes) -> Option<First> {
    let mut opening = Opening::new(role, now, Duration::from_secs(15));
    opening.handle_bytes(input).ok().flatten()
}

fuzz_target!(|input: &[u8]| {
    let mut now = Instant::now();
    let mut script = Bytes::copy_from_slice(input);
    let Some(begin) = first(Role::Server, now, &mut script) else {
        return;
    };
    let Ok(mut machine) = Server::new(ServerConfig::default(), now, &Seed::replay(1), &begin)
    else {
        return;
    };
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
            4 | 5 => {
                let mut bytes = bytes;
                let attached = first(Role::Server, now, &mut bytes);
                channels.extend(attached.and_then(|first| machine.attach(now, &first).ok()));
            }
            6 => while machine.poll_pdu().is_some() {},
            _ => drop(machine.send(now, bytes)),
        }
        while let Some(event) = machine.poll_event() {
            assert!(!ended, "{event:?} after the end");
            match event {
                Event::Failed(_) => ended = true,
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
