//! A server of our own interface of pipes (`idl/streams.idl`), which keeps its order unless it is
//! asked not to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use farcall::pipe::{Reader, Writer};
use farcall::stub::Registered;
use farcall::{Call, Refuse};
use farcall_wire::ndr::WideStr;

use crate::interfaces::streams::{Sample, streams};

/// Bytes that are written at once.
const CHUNK: usize = 64 << 10;

/// From this size on, `Get` does not add up.
const LONG: u64 = 32 << 20;

/// The server; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    /// Operations that have begun and are not over.
    pub running: Arc<AtomicUsize>,
}

/// Counts an operation while it runs.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Streams {
    fn begin(&self) -> Running {
        self.running.fetch_add(1, Ordering::SeqCst);
        Running(Arc::clone(&self.running))
    }
}

/// The byte at a place of what `Get` gives.
pub fn byte(at: u64) -> u8 {
    (at % 251) as u8
}

/// The sum of bytes, as both directions count it.
pub fn sum(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |sum: u32, byte| sum.wrapping_add(u32::from(*byte)))
}

impl streams::Server for Streams {
    async fn put(
        &self,
        call: &Call,
        mut data: Reader<u8>,
        name: WideStr,
    ) -> Result<streams::PutOut, Refuse> {
        let _running = self.begin();
        let name = name.to_string();
        match name.as_str() {
            // What a server must not do, and what it may.
            "refuse" => return Err(Refuse::Fault(87)),
            "ignore" => return Ok(streams::PutOut { sum: 0, result: 0 }),
            "skip" => {
                data.skip().await?;
                return Ok(streams::PutOut { sum: 0, result: 0 });
            }
            "wait" => call.cancelled().await,
            _ => {}
        }
        let (mut all, mut count) = (0_u32, 0);
        while let Some(bytes) = data.next().await? {
            all = all.wrapping_add(sum(&bytes));
            count += bytes.len() as i64;
            if name == "refuse later" && count > 100_000 {
                return Err(Refuse::Fault(88));
            }
        }
        Ok(streams::PutOut {
            sum: all,
            result: count,
        })
    }

    async fn get(
        &self,
        _: &Call,
        size: i64,
        mut data: Writer<u8>,
    ) -> Result<streams::GetOut, Refuse> {
        let _running = self.begin();
        let size = size.unsigned_abs();
        let (mut at, mut all) = (0, 0_u32);
        let pattern: Vec<u8> = (0..251 + CHUNK as u64).map(byte).collect();
        while at < size {
            let end = size.min(at + CHUNK as u64);
            let from = usize::from(byte(at));
            let bytes = &pattern[from..from + (end - at) as usize];
            data.send(bytes).await?;
            if size < LONG {
                all = all.wrapping_add(sum(bytes));
            }
            at = end;
        }
        Ok(streams::GetOut {
            sum: all,
            result: 0,
        })
    }

    async fn double(
        &self,
        _: &Call,
        samples: Reader<Sample>,
        mut samples_out: Writer<Sample>,
    ) -> Result<i32, Refuse> {
        let _running = self.begin();
        let mut all = samples.collect().await?;
        for sample in &mut all {
            sample.value *= 2.0;
        }
        samples_out.send(&all).await?;
        Ok(all.len() as i32)
    }

    async fn merge(
        &self,
        _: &Call,
        first: Reader<Sample>,
        most: u32,
        second: Reader<Sample>,
        mut channels: Writer<u8>,
        mut all: Writer<Sample>,
    ) -> Result<u32, Refuse> {
        let _running = self.begin();
        match most {
            // The order of pipes is broken in each way.
            0 => return second.skip().await.map(|()| 0),
            1 => return channels.send(&[1]).await.map(|()| 0),
            _ => {}
        }
        let mut samples = first.collect().await?;
        samples.extend(second.collect().await?);
        samples.truncate(most as usize);
        let numbers: Vec<u8> = samples.iter().map(|it| it.channel as u8).collect();
        if most == 2 {
            all.send(&samples).await?;
            return channels.send(&numbers).await.map(|()| 0);
        }
        channels.send(&numbers).await?;
        all.send(&samples).await?;
        Ok(samples.len() as u32)
    }
}

/// The service of a server.
pub fn service(server: Streams) -> Registered {
    streams::service(server)
}
