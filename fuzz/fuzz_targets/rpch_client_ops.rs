//! Any bytes and any commands at a client's machine: it ends once, and then says nothing more.
#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_dce::seed::Seed;
use farcall_rpch::client::Event;
use farcall_rpch::{Client, ClientConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut now = Instant::now();
    let mut machine = Client::new(ClientConfig::default(), now, &Seed::replay(1));
    let mut opened = Vec::new();
    while let Some(Event::Open { channel, .. }) = machine.poll_event() {
        opened.push(channel);
    }
    let (mut channels, mut ended, mut rest) = (opened, false, input);
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
            4 | 5 => machine.handle_response(now, channel, 200, "Success"),
            6 => while machine.poll_pdu().is_some() {},
            _ => drop(machine.send(now, bytes)),
        }
        while let Some(event) = machine.poll_event() {
            assert!(!ended, "{event:?} after the end");
            match event {
                Event::Open { channel, .. } => channels.push(channel),
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
