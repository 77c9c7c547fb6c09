//! Ours: the types that `farcall-idl` generates from `idl/bench.x`, owned and borrowed.
//!
//! Encoding goes through the queue that connections transmit from, which is what a call pays.

use anyhow::{Result, ensure};
use farcall_wire::{Decode, Encode, TransmitQueue, xdr};

use super::{Clock, ENTRIES, NUMBERS, SAMPLES, entry_name, handle, has_attributes, number, tag};
use crate::ours::bench::{
    Attributes, Blob, BlobRef, Entry, Listing, ListingRef, Numbers, Sample, Samples, SamplesRef,
};
use crate::shape::{MEBIBYTE, pattern};

pub(super) fn run(clock: &Clock, borrowed: &Clock) -> Result<()> {
    let listing = Listing {
        verifier: [0, 1, 2, 3, 4, 5, 6, 7],
        entries: (0..ENTRIES).map(entry).collect(),
        end: true,
    };
    let wire = encode(clock, "listing", &listing)?;
    decode(clock, "listing", &wire, &listing)?;
    borrowed.time("listing", "decode", &wire, || {
        xdr::from_slice::<ListingRef<'_>>(&wire)
    })?;

    let numbers = Numbers {
        all: (0..NUMBERS).map(number).collect(),
    };
    let wire = encode(clock, "numbers", &numbers)?;
    decode(clock, "numbers", &wire, &numbers)?;

    let samples = Samples {
        all: (0..SAMPLES).map(sample).collect(),
    };
    let wire = encode(clock, "samples", &samples)?;
    decode(clock, "samples", &wire, &samples)?;
    borrowed.time("samples", "decode", &wire, || {
        xdr::from_slice::<SamplesRef<'_>>(&wire)
    })?;

    let blob = Blob {
        data: pattern(MEBIBYTE),
    };
    let wire = encode(clock, "blob", &blob)?;
    decode(clock, "blob", &wire, &blob)?;
    borrowed.time("blob", "decode", &wire, || {
        xdr::from_slice::<BlobRef<'_>>(&wire)
    })
}

/// Times encoding into a queue whose memory is used again; returns the bytes.
fn encode<T: Encode>(clock: &Clock, shape: &str, value: &T) -> Result<Vec<u8>> {
    let wire = xdr::to_vec(value)?;
    let mut queue = TransmitQueue::new();
    queue.append(value)?;
    ensure!(
        queue.to_vec() == wire,
        "{shape}: the queue holds other bytes"
    );
    clock.time(shape, "encode", &wire, || {
        queue.clear();
        queue.append(value)
    })?;
    Ok(wire)
}

/// Times decoding into a value that owns everything, and checks that it is `value`.
fn decode<T>(clock: &Clock, shape: &str, wire: &[u8], value: &T) -> Result<()>
where
    T: for<'a> Decode<'a> + PartialEq,
{
    ensure!(
        xdr::from_slice::<T>(wire)? == *value,
        "{shape} did not come back"
    );
    clock.time(shape, "decode", wire, || xdr::from_slice::<T>(wire))
}

fn entry(i: u32) -> Entry {
    Entry {
        number: u64::from(i) * 7919 + 1,
        name: entry_name(i).into(),
        cookie: u64::from(i) + 3,
        about: has_attributes(i).then(|| attributes(i)),
        handle: handle(i),
    }
}

fn attributes(i: u32) -> Attributes {
    let seconds = 1_700_000_000 + i;
    Attributes {
        kind: 1 + i % 2,
        mode: 0o644,
        links: 1,
        owner: 1000,
        group: 1000,
        size: u64::from(i) * 1000,
        used: u64::from(i) * 1024,
        device_major: 0,
        device_minor: 0,
        filesystem: 77,
        number: u64::from(i) * 7919 + 1,
        accessed_seconds: seconds,
        accessed_nanoseconds: i,
        modified_seconds: seconds,
        modified_nanoseconds: i,
        changed_seconds: seconds,
        changed_nanoseconds: i,
    }
}

fn sample(i: u32) -> Sample {
    Sample {
        id: i,
        time: u64::from(i) * 1_000_003,
        value: -(i as i32),
        tag: tag(i).into(),
    }
}
