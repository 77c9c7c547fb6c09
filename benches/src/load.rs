//! The raw client, and at the same time the load generator for any server of either family.
//!
//! It writes all calls it owes in one write, reads as much as there is, checks every reply and
//! owes a new call for each. Replies may come in any order: a call's xid names its slot.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::line::Opener;
use crate::options::Options;
use crate::pace::{Pace, Report};
use crate::shape::{Frame, MARK, REPLY_HEADER, Transport, Work, dce_bind, pattern, read_pdu};

const BUFFER: usize = 256 << 10;
/// A datagram that has not come by then was lost, and the sample with it.
const PATIENCE: Duration = Duration::from_secs(5);

/// `client load`.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let work: Work = options.required("work")?;
    let flight: usize = options.required("flight")?;
    let address: String = options.required("address")?;
    let pace = Pace::new(options.timing()?, work, flight);
    match (options.required("transport")?, work) {
        (Transport::Udp, _) => datagrams(&address, work, flight, &pace),
        (Transport::Tcp, Work::Read(_)) => bulk(&address, work, flight, &pace),
        (transport, _) => {
            let calls = Calls::new(work, transport, flight);
            let line = Opener::new(options)?.open(0)?;
            small(bound(line, work, transport)?, calls, flight, &pace)
        }
    }
}

/// What a call of one shape looks like and how its reply is checked.
struct Calls {
    work: Work,
    frame: Frame,
    /// The xid outstanding in each slot; slot `i` only ever holds xids that are `i` modulo the
    /// number of slots.
    slots: Vec<u32>,
}

impl Calls {
    fn new(work: Work, transport: Transport, flight: usize) -> Self {
        let slots = (0..flight as u32)
            .map(|slot| slot.wrapping_sub(flight as u32))
            .collect();
        Self {
            work,
            frame: Frame::of(work, transport),
            slots,
        }
    }

    /// Appends the next call of `slot`, framing included.
    fn next(&mut self, slot: usize, out: &mut Vec<u8>) {
        let xid = self.slots[slot].wrapping_add(self.slots.len() as u32);
        self.slots[slot] = xid;
        let (at, frame) = (out.len(), &self.frame);
        let id = frame.id_bytes(xid);
        out.extend_from_slice(&frame.call);
        out[at + frame.id..at + frame.id + 4].copy_from_slice(&id);
        if let Work::Echo(_) = self.work {
            let stamp = at + frame.call_data;
            out[stamp..stamp + 4].copy_from_slice(&id);
        }
    }

    /// Checks a whole reply, from its framing on; returns its slot.
    fn check(&self, reply: &[u8]) -> Result<usize> {
        let (frame, expected) = (&self.frame, &self.frame.reply);
        let head = match self.work {
            Work::Echo(_) => frame.reply_data,
            _ => expected.len(),
        };
        let id = frame.id..frame.id + 4;
        let right = reply[..id.start] == expected[..id.start]
            && reply[id.end..head] == expected[id.end..head];
        ensure!(right, "not a successful reply: {:02x?}", &reply[..head]);
        if let Work::Echo(n) = self.work {
            let stamped = reply[head..head + 4] == reply[id];
            let right = reply[head + 4..head + n] == expected[head + 4..head + n];
            ensure!(stamped && right, "the echo is not what was sent");
        }
        self.slot(frame.id_of(reply)?)
    }

    /// The slot of a number, which must be outstanding.
    fn slot(&self, id: u32) -> Result<usize> {
        let slot = id as usize % self.slots.len();
        ensure!(
            self.slots[slot] == id,
            "a reply to number {id}, which is not outstanding"
        );
        Ok(slot)
    }

    /// The header and the length of a payload that is checked elsewhere.
    fn check_body_head(&self, head: &[u8]) -> Result<usize> {
        let length = MARK + REPLY_HEADER..MARK + REPLY_HEADER + 4;
        ensure!(
            head[REPLY_HEADER..] == self.frame.reply[length],
            "another length of payload"
        );
        self.check_head(&head[..REPLY_HEADER])
    }

    fn check_head(&self, head: &[u8]) -> Result<usize> {
        let successful = head[4..] == self.frame.reply[MARK + 4..MARK + REPLY_HEADER];
        ensure!(successful, "not a successful reply: {head:02x?}");
        self.slot(u32::from_be_bytes(head[..4].try_into()?))
    }
}

fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Binds first, where that is to be done.
pub(crate) fn bound<L: Read + Write>(mut stream: L, work: Work, transport: Transport) -> Result<L> {
    if transport == Transport::Dce {
        stream.write_all(&dce_bind(work))?;
        let ack = read_pdu(&mut stream)?;
        // The one context's result and reason stand before its transfer syntax.
        let accepted = ack[2] == 12 && ack[ack.len() - 24..ack.len() - 20] == [0; 4];
        ensure!(accepted, "the bind was answered by {ack:02x?}");
    }
    Ok(stream)
}

/// One pass over what was read: checks replies, queues the calls that follow them.
fn turn(calls: &mut Calls, replies: &[u8], out: &mut Vec<u8>) -> Result<u64> {
    let mut count = 0;
    for reply in replies.chunks_exact(calls.frame.reply.len()) {
        let slot = calls.check(reply)?;
        calls.next(slot, out);
        count += 1;
    }
    Ok(count)
}

fn small(
    mut stream: impl Read + Write,
    mut calls: Calls,
    flight: usize,
    pace: &Pace,
) -> Result<Report> {
    let size = calls.frame.reply.len();
    let mut buffer = vec![0; BUFFER];
    let mut out = Vec::with_capacity(BUFFER);
    let mut latencies = Vec::new();
    (0..flight).for_each(|slot| calls.next(slot, &mut out));
    let mut have = 0;
    let mut last = Instant::now();
    loop {
        if !out.is_empty() {
            stream.write_all(&out)?;
            stream.flush()?;
            out.clear();
        }
        let n = stream.read(&mut buffer[have..])?;
        ensure!(n > 0, "the server closed the connection");
        have += n;
        let whole = have / size * size;
        let count = turn(&mut calls, &buffer[..whole], &mut out)?;
        buffer.copy_within(whole..have, 0);
        have -= whole;
        let more = match flight {
            1 if count == 1 => stamp(pace, &mut last, &mut latencies)?,
            _ => pace.completed(count)?,
        };
        if !more {
            return pace.report(latencies);
        }
    }
}

/// One call in flight has come back: its latency ends now, the next one's begins.
pub(crate) fn stamp(pace: &Pace, last: &mut Instant, latencies: &mut Vec<u32>) -> Result<bool> {
    let now = Instant::now();
    if !pace.warming() {
        latencies.push((now - *last).as_nanos().min(u32::MAX.into()) as u32);
    }
    *last = now;
    pace.completed_at(now)
}

/// One large reply on its way in, in whatever fragments the server cut it.
#[derive(Default)]
struct Incoming {
    /// The record mark's bytes so far.
    mark: Vec<u8>,
    /// What the current fragment still lacks.
    lacks: usize,
    /// Reply header and payload length, as far as they have come.
    head: Vec<u8>,
    body: usize,
}

impl Incoming {
    const HEAD: usize = REPLY_HEADER + 4;

    /// Takes bytes off the front of `rest`; whether the record is complete.
    fn take(&mut self, rest: &mut &[u8], expected: &[u8], thorough: bool) -> Result<bool> {
        if self.lacks == 0 {
            self.mark
                .extend_from_slice(split(rest, MARK - self.mark.len()));
            let Ok(mark) = <[u8; MARK]>::try_from(self.mark.as_slice()) else {
                return Ok(false);
            };
            self.lacks = (u32::from_be_bytes(mark) & 0x7fff_ffff) as usize;
        }
        let mut part = split(rest, self.lacks);
        self.lacks -= part.len();
        let wanted = Self::HEAD - self.head.len();
        self.head.extend_from_slice(split(&mut part, wanted));
        ensure!(
            self.body + part.len() <= expected.len(),
            "more payload than was asked for"
        );
        compare(part, &expected[self.body..], thorough)?;
        self.body += part.len();
        let last = self.mark.first().is_some_and(|first| first & 0x80 != 0);
        if self.lacks == 0 && !last {
            self.mark.clear();
        }
        Ok(self.lacks == 0 && last)
    }
}

fn split<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (front, back) = rest.split_at(length.min(rest.len()));
    *rest = back;
    front
}

/// Large reads: the body is checked as it streams through a buffer smaller than itself.
fn bulk(address: &str, work: Work, flight: usize, pace: &Pace) -> Result<Report> {
    let mut stream = connect(address)?;
    let mut calls = Calls::new(work, Transport::Tcp, flight);
    let expected = pattern(work.payload());
    let mut buffer = vec![0; BUFFER];
    let mut out = Vec::new();
    let mut latencies = Vec::new();
    (0..flight).for_each(|slot| calls.next(slot, &mut out));
    let (mut reply, mut last) = (Incoming::default(), Instant::now());
    loop {
        if !out.is_empty() {
            stream.write_all(&out)?;
            out.clear();
        }
        let n = stream.read(&mut buffer)?;
        ensure!(n > 0, "the server closed the connection");
        let mut rest = &buffer[..n];
        while !rest.is_empty() {
            if !reply.take(&mut rest, &expected, pace.warming())? {
                continue;
            }
            let whole = std::mem::take(&mut reply);
            ensure!(
                whole.body == expected.len(),
                "{} bytes of payload",
                whole.body
            );
            let slot = calls.check_body_head(&whole.head)?;
            calls.next(slot, &mut out);
            let more = match flight {
                1 => stamp(pace, &mut last, &mut latencies)?,
                _ => pace.completed(1)?,
            };
            if !more {
                return pace.report(latencies);
            }
        }
    }
}

fn compare(part: &[u8], expected: &[u8], thorough: bool) -> Result<()> {
    let expected = &expected[..part.len()];
    let right = match thorough {
        true => part == expected,
        false => part.first() == expected.first() && part.last() == expected.last(),
    };
    ensure!(right, "a read's payload is not the pattern");
    Ok(())
}

fn datagrams(address: &str, work: Work, flight: usize, pace: &Pace) -> Result<Report> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut calls = Calls::new(work, Transport::Udp, flight);
    let mut out = Vec::new();
    // A reply's mark is kept in front of the buffer, so that one check serves both transports.
    let mut buffer = vec![0; 65_536];
    buffer[..MARK].copy_from_slice(&calls.frame.reply[..MARK]);
    for slot in 0..flight {
        calls.next(slot, &mut out);
        socket.send(&out[MARK..])?;
        out.clear();
    }
    let mut latencies = Vec::new();
    let mut last = Instant::now();
    loop {
        let n = socket
            .recv(&mut buffer[MARK..])
            .context("waiting for a reply")?;
        ensure!(MARK + n == calls.frame.reply.len(), "a reply of {n} bytes");
        let slot = calls.check(&buffer[..MARK + n])?;
        calls.next(slot, &mut out);
        let more = match flight {
            1 => stamp(pace, &mut last, &mut latencies)?,
            _ => pace.completed(1)?,
        };
        if !more {
            return pace.report(latencies);
        }
        socket.send(&out[MARK..])?;
        out.clear();
    }
}
