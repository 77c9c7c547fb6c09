//! Ours: the types that `farcall-idl` generates from `idl/bench.x`, owned and borrowed.
//!
//! Encoding goes through the queue that connections transmit from, which is what a call pays.

use anyhow::{Result, ensure};
use farcall_wire::{
    Decode, DecodeError, Encode, EncodeError, Reader, Size, TransmitQueue, Writer, xdr,
};

use super::hand::{Attributes, Entry, Listing, ListingRef, Sample, SampleRef};
use super::{Clock, ENTRIES, NUMBERS, SAMPLES, entry_name, handle, has_attributes, number, tag};
use crate::shape::{MEBIBYTE, pattern};

/// A counted array or opaque as a whole value: what a typedef's argument is.
struct Array<T>(Vec<T>);
struct Opaque(Vec<u8>);

impl<T: Encode> Encode for Array<T> {
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        xdr::measure_array_var(&self.0, size, u32::MAX)
    }
    fn encode(&self, w: &mut Writer<'_>) {
        xdr::encode_array_var(&self.0, w);
    }
}

impl Encode for Opaque {
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.opaque_var(self.0.len(), u32::MAX)
    }
    fn encode(&self, w: &mut Writer<'_>) {
        w.opaque_var(&self.0);
    }
}

pub(super) fn run(clock: &Clock, borrowed: &Clock) -> Result<()> {
    let listing = Listing {
        verifier: [0, 1, 2, 3, 4, 5, 6, 7],
        entries: (0..ENTRIES).map(entry).collect(),
        end: true,
    };
    let wire = encode(clock, "listing", &listing)?;
    let back: Listing = xdr::from_slice(&wire)?;
    ensure!(back == listing, "the listing did not come back");
    clock.time("listing", "decode", &wire, || {
        xdr::from_slice::<Listing>(&wire)
    })?;
    borrowed.time("listing", "decode", &wire, || {
        xdr::from_slice::<ListingRef>(&wire)
    })?;

    let numbers = Array((0..NUMBERS).map(number).collect());
    let wire = encode(clock, "numbers", &numbers)?;
    ensure!(
        array::<u32>(&wire)? == numbers.0,
        "the numbers did not come back"
    );
    clock.time("numbers", "decode", &wire, || array::<u32>(&wire))?;

    let samples = Array((0..SAMPLES).map(sample).collect());
    let wire = encode(clock, "samples", &samples)?;
    ensure!(
        array::<Sample>(&wire)? == samples.0,
        "the samples did not come back"
    );
    clock.time("samples", "decode", &wire, || array::<Sample>(&wire))?;
    borrowed.time("samples", "decode", &wire, || array::<SampleRef>(&wire))?;

    let payload = Opaque(pattern(MEBIBYTE));
    let wire = encode(clock, "payload", &payload)?;
    ensure!(
        Reader::new(&wire).opaque_vec(u32::MAX)? == payload.0,
        "the bytes did not come back"
    );
    clock.time("payload", "decode", &wire, || {
        Reader::new(&wire).opaque_vec(u32::MAX)
    })?;
    borrowed.time("payload", "decode", &wire, || {
        Reader::new(std::hint::black_box(&wire))
            .opaque_var(u32::MAX)
            .map(<[u8]>::len)
    })
}

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

fn array<'a, T: Decode<'a>>(wire: &'a [u8]) -> Result<Vec<T>, DecodeError> {
    let mut r = Reader::new(wire);
    let all = xdr::array_var(&mut r, u32::MAX)?;
    r.finish()?;
    Ok(all)
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
