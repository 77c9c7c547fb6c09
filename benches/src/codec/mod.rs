//! The codecs in process: four values, encoded and decoded, timed one by one.
//!
//! Each codec is a process of its own that prints one line for each shape and direction; the
//! bytes' hash lets the orchestrator see that libtirpc's and ours are the same bytes.

mod farcall;
mod ndr;
mod prost;

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use farcall_wire::ndr::Syntax;
use serde::{Deserialize, Serialize};

use crate::options::Options;
use crate::plan::{Effort, Programs};
use crate::process::Running;
use crate::results::{Results, Unit};

pub(crate) const ENTRIES: u32 = 500;
pub(crate) const NUMBERS: u32 = 100_000;
pub(crate) const SAMPLES: u32 = 10_000;

const CODECS: &[&str] = &["libtirpc", "farcall", "ndr", "prost"];

/// One timed direction of one shape; what `c/codec.c` prints too.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    codec: String,
    shape: String,
    direction: String,
    ns: u64,
    bytes: usize,
    hash: String,
}

/// `codec NAME`.
pub(crate) fn run(name: &str, options: &Options) -> Result<()> {
    let measure = Duration::from_millis(options.required("measure")?);
    match name {
        "farcall" => farcall::run(
            &Clock {
                codec: "farcall",
                measure,
            },
            &Clock {
                codec: "farcall borrowed",
                measure,
            },
        ),
        "ndr" => {
            ndr::run(
                &Clock {
                    codec: "ndr",
                    measure,
                },
                Syntax::Ndr,
            )?;
            ndr::run(
                &Clock {
                    codec: "ndr64",
                    measure,
                },
                Syntax::Ndr64,
            )
        }
        "prost" => prost::run(&Clock {
            codec: "prost",
            measure,
        }),
        _ => bail!("no codec {name}"),
    }
}

/// One round: every codec's process in turn, backwards in every other round.
pub(crate) fn round(
    programs: &Programs,
    effort: &Effort,
    (number, results): (usize, &mut Results),
) -> Result<()> {
    let mut codecs = CODECS.to_vec();
    codecs.retain(|codec| *codec != "libtirpc" || programs.libtirpc.is_ok());
    if number % 2 == 1 {
        codecs.reverse();
    }
    let mut seen: Vec<Line> = Vec::new();
    for codec in codecs {
        let words = format!("--measure {}", effort.codec.as_millis());
        let program = programs.program("codec", codec)?.words(&words);
        let text = Running::start(&program, 0)?.output()?;
        for line in text.lines() {
            let line: Line = serde_json::from_str(line).with_context(|| line.to_owned())?;
            let shape = format!("{} {}", line.shape, line.direction);
            results.add(&shape, &line.codec, Unit::Nanoseconds, line.ns as f64);
            if line.direction == "decode" {
                seen.push(line);
            }
        }
    }
    same_bytes(&seen)
}

/// XDR is XDR: whatever libtirpc encodes, the others that claim XDR must encode.
fn same_bytes(lines: &[Line]) -> Result<()> {
    for line in lines.iter().filter(|line| line.codec == "farcall") {
        let theirs = lines
            .iter()
            .find(|l| l.codec == "libtirpc" && l.shape == line.shape);
        let Some(theirs) = theirs else { continue };
        ensure!(
            theirs.hash == line.hash,
            "{}: libtirpc encodes {} bytes, farcall {} other ones",
            line.shape,
            theirs.bytes,
            line.bytes
        );
    }
    Ok(())
}

/// Times and prints.
struct Clock {
    codec: &'static str,
    measure: Duration,
}

impl Clock {
    /// Times `work`, whose value in this direction has the encoding `bytes`.
    fn time<T>(
        &self,
        shape: &str,
        direction: &str,
        bytes: &[u8],
        mut work: impl FnMut() -> T,
    ) -> Result<()> {
        let repeat = repeats(&mut work);
        let mut took = Vec::new();
        let started = Instant::now();
        let mut last = started;
        while last - started < self.measure {
            (0..repeat).for_each(|_| drop(black_box(work())));
            let now = Instant::now();
            took.push((now - last).as_nanos() as u64);
            last = now;
        }
        took.sort_unstable();
        let line = Line {
            codec: self.codec.to_owned(),
            shape: shape.to_owned(),
            direction: direction.to_owned(),
            ns: took[took.len() / 2] / repeat,
            bytes: bytes.len(),
            hash: format!("{:016x}", fnv(bytes)),
        };
        println!("{}", serde_json::to_string(&line)?);
        Ok(())
    }
}

/// How many repetitions fill a microsecond, so that reading the clock weighs nothing; also the
/// warm-up.
fn repeats<T>(work: &mut impl FnMut() -> T) -> u64 {
    let mut repeat = 1;
    loop {
        let started = Instant::now();
        (0..repeat).for_each(|_| drop(black_box(work())));
        if started.elapsed() >= Duration::from_micros(20) {
            return repeat;
        }
        repeat *= 2;
    }
}

fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The name of entry `i`; `c/codec.c` says the same.
fn entry_name(i: u32) -> String {
    format!("file-{i}{}", &"abcdefghijklm"[..(i % 13) as usize])
}

/// The handle of entry `i`.
fn handle(i: u32) -> Vec<u8> {
    (0..32).map(|j| (i + j) as u8).collect()
}

/// Every sixteenth entry has no attributes.
fn has_attributes(i: u32) -> bool {
    i % 16 != 15
}

fn number(i: u32) -> u32 {
    i.wrapping_mul(2_654_435_761)
}

fn tag(i: u32) -> String {
    format!("t{}", i % 1000)
}
