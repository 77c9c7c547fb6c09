//! Protocol Buffers by prost: the same values with the field types a `.proto` author would take.

use anyhow::{Result, ensure};
use prost::Message;

use super::{Clock, ENTRIES, NUMBERS, SAMPLES, entry_name, handle, has_attributes, number, tag};
use crate::shape::{MEBIBYTE, pattern};

#[derive(Clone, PartialEq, Message)]
struct Attributes {
    #[prost(uint32, repeated, tag = "1")]
    words: Vec<u32>,
    #[prost(uint64, tag = "2")]
    size: u64,
    #[prost(uint64, tag = "3")]
    used: u64,
    #[prost(uint64, tag = "4")]
    filesystem: u64,
    #[prost(uint64, tag = "5")]
    number: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint64, tag = "3")]
    cookie: u64,
    #[prost(message, optional, tag = "4")]
    about: Option<Attributes>,
    #[prost(bytes = "vec", tag = "5")]
    handle: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Listing {
    #[prost(bytes = "vec", tag = "1")]
    verifier: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
    #[prost(bool, tag = "3")]
    end: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Numbers {
    #[prost(fixed32, repeated, tag = "1")]
    all: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(uint64, tag = "2")]
    time: u64,
    #[prost(sint32, tag = "3")]
    value: i32,
    #[prost(string, tag = "4")]
    tag: String,
}

#[derive(Clone, PartialEq, Message)]
struct Samples {
    #[prost(message, repeated, tag = "1")]
    all: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(bytes = "vec", tag = "1")]
    data: Vec<u8>,
}

pub(super) fn run(clock: &Clock) -> Result<()> {
    let entries = (0..ENTRIES).map(entry).collect();
    let verifier = (0..8).collect();
    shape(
        clock,
        "listing",
        &Listing {
            verifier,
            entries,
            end: true,
        },
    )?;
    shape(
        clock,
        "numbers",
        &Numbers {
            all: (0..NUMBERS).map(number).collect(),
        },
    )?;
    shape(
        clock,
        "samples",
        &Samples {
            all: (0..SAMPLES).map(sample).collect(),
        },
    )?;
    shape(
        clock,
        "blob",
        &Payload {
            data: pattern(MEBIBYTE),
        },
    )
}

fn shape<T: Message + Default + PartialEq>(clock: &Clock, name: &str, value: &T) -> Result<()> {
    let mut buffer = Vec::new();
    value.encode(&mut buffer)?;
    let wire = buffer.clone();
    ensure!(
        T::decode(wire.as_slice())? == *value,
        "{name} did not come back"
    );
    clock.time(name, "encode", &wire, || {
        buffer.clear();
        value.encode(&mut buffer)
    })?;
    clock.time(name, "decode", &wire, || T::decode(wire.as_slice()))
}

fn entry(i: u32) -> Entry {
    let about = has_attributes(i).then(|| {
        let seconds = 1_700_000_000 + i;
        Attributes {
            words: vec![
                1 + i % 2,
                0o644,
                1,
                1000,
                1000,
                0,
                0,
                seconds,
                i,
                seconds,
                i,
                seconds,
                i,
            ],
            size: u64::from(i) * 1000,
            used: u64::from(i) * 1024,
            filesystem: 77,
            number: u64::from(i) * 7919 + 1,
        }
    });
    Entry {
        number: u64::from(i) * 7919 + 1,
        name: entry_name(i),
        cookie: u64::from(i) + 3,
        about,
        handle: handle(i),
    }
}

fn sample(i: u32) -> Sample {
    Sample {
        id: i,
        time: u64::from(i) * 1_000_003,
        value: -(i as i32),
        tag: tag(i),
    }
}
