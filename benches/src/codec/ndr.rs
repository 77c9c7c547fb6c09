//! Ours in NDR and NDR64: the types that `farcall-idl` generates from `idl/bench_dce.idl`.
//!
//! Little-endian, as peers of this machine would have it: numbers need not be turned round. The
//! same codecs are timed in both syntaxes. Encoding writes into memory that is used again, as a
//! server's does.

use anyhow::{Result, ensure};
use farcall_wire::ndr::{Order, Plain, Reader, Shape as _, Syntax, Value, Writer};

use super::{Clock, ENTRIES, NUMBERS, SAMPLES, entry_name, handle, has_attributes, number, tag};
use crate::ours_dce::stubs::{Attributes, Blob, Entry, Listing, Numbers, Sample, Samples};
use crate::shape::{MEBIBYTE, pattern};

pub(super) fn run(clock: &Clock, syntax: Syntax) -> Result<()> {
    let listing = Listing {
        verifier: [0, 1, 2, 3, 4, 5, 6, 7],
        count: ENTRIES,
        entries: (0..ENTRIES).map(entry).collect(),
        end: 1,
    };
    shape(clock, syntax, "listing", &listing)?;
    let numbers = Numbers {
        count: NUMBERS,
        all: (0..NUMBERS).map(number).collect(),
    };
    shape(clock, syntax, "numbers", &numbers)?;
    let samples = Samples {
        count: SAMPLES,
        all: (0..SAMPLES).map(sample).collect(),
    };
    shape(clock, syntax, "samples", &samples)?;
    let blob = Blob {
        count: MEBIBYTE as u32,
        data: pattern(MEBIBYTE),
    };
    shape(clock, syntax, "blob", &blob)
}

fn shape<T: Value + PartialEq>(clock: &Clock, syntax: Syntax, name: &str, it: &T) -> Result<()> {
    let put = |bytes: Vec<u8>| {
        let mut writer = Writer::append_to(bytes, syntax, Order::Little);
        Plain.put_whole(it, &mut writer)?;
        Ok::<_, anyhow::Error>(writer.into_bytes())
    };
    let take = |bytes: &[u8]| -> Result<T, _> {
        let mut reader = Reader::new(bytes, syntax, Order::Little);
        Plain.read(&mut reader)
    };
    let wire = put(Vec::new())?;
    ensure!(take(&wire)? == *it, "{name} did not come back");
    let mut memory = wire.clone();
    clock.time(name, "encode", &wire, || {
        let mut again = std::mem::take(&mut memory);
        again.clear();
        memory = put(again)?;
        Ok::<_, anyhow::Error>(memory.len())
    })?;
    ensure!(memory == wire, "{name} was encoded in another way");
    clock.time(name, "decode", &wire, || take(&wire))
}

fn entry(i: u32) -> Entry {
    let handle = handle(i);
    Entry {
        number: u64::from(i) * 7919 + 1,
        name: entry_name(i).into(),
        cookie: u64::from(i) + 3,
        about: has_attributes(i).then(|| attributes(i)),
        handle_len: handle.len() as u32,
        handle,
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
