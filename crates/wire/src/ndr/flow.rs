//! A stub that comes or goes piece by piece: pipes whose elements are not all there at once.
//!
//! Read first: [C706] section 14.3.9 (pipes) and MS-RPCE section 2.2.5.3.4.5 (NDR64). An [`Inflow`] is given the pieces of a
//! stub as they come, cut anywhere, and gives out the elements that are whole; an [`Outflow`] writes the parts of a stub one
//! by one. Both count alignment from where the stub begins, and neither keeps what it has passed on.
//!
//! Invariants: memory is taken for bytes that are there, whatever a chunk's count says; an element without bytes costs fuel.
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm

use bytes::{Buf as _, Bytes, BytesMut};

use crate::cursor::Limits;
use crate::error::{DecodeError, DecodeErrorKind as Kind, EncodeError};

use super::pipe::put_chunk;
use super::read::Reader;
use super::shape::Shape;
use super::syntax::{Align, Order, Syntax};
use super::value::Put;
use super::write::Writer;

/// No alignment is larger, in bytes.
const BLOCK: usize = 8;

/// Memory of the elements that are given out at once, in bytes.
const BATCH: usize = 1 << 20;

/// Most elements without bytes in a chunk.
const EMPTY: u64 = 1 << 12;

/// Most elements of a chunk (MS-RPCE section 2.2.5.3.4.5); C706 allows twice as many.
const MOST: u64 = 0x7fff_ffff;

/// What an [`Inflow`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// Elements that have come, at least one.
    Items(Vec<T>),
    /// The next element is not whole yet.
    More,
    /// The pipe has ended. What is read next lies behind it.
    End,
}

/// How far the chunk at hand is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its count comes next.
    Count,
    /// So many elements of so many come next.
    Items { left: u64, of: u64 },
}

/// A stub that is read as it comes.
#[derive(Debug)]
pub struct Inflow {
    /// What has come and was not read; begins at a multiple of [`BLOCK`] of the stub.
    bytes: BytesMut,
    /// How much of `bytes` was read, less than [`BLOCK`].
    at: usize,
    syntax: Syntax,
    order: Order,
    limits: Limits,
    phase: Phase,
    closed: bool,
    /// Bytes that an element took when elements were read one by one; 0: not known.
    stride: usize,
}

impl Inflow {
    /// A stub of which nothing has come.
    pub fn new(syntax: Syntax, order: Order, limits: Limits) -> Self {
        Self {
            bytes: BytesMut::new(),
            at: 0,
            syntax,
            order,
            limits,
            phase: Phase::Count,
            closed: false,
            stride: 0,
        }
    }

    /// The next bytes of the stub.
    pub fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    /// No more bytes come: what is not whole now is an error from here on.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether all bytes have come.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Bytes that have come and were not read.
    pub fn held(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Reads what stands in front of the pipes or behind them; `None`: it has not all come.
    /// `known` is what [`Reader::known`] answers.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn take<T>(
        &mut self,
        known: &[i64],
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        let mut reader = self.reader()?.with_known(known);
        match read(&mut reader) {
            Ok(value) => {
                let at = reader.position();
                self.pass(at);
                Ok(Some(value))
            }
            Err(error) => self.perhaps(error).map(|()| None),
        }
    }

    /// The next elements of the pipe at hand, which have this shape.
    ///
    /// # Errors
    /// What is wrong with the bytes; [`Truncated`](Kind::Truncated) if the stub was closed within the pipe.
    pub fn next<T: Default, S: Shape<T>>(&mut self, shape: S) -> Result<Taken<T>, DecodeError> {
        loop {
            let (left, of) = match self.phase {
                Phase::Count => match self.count(S::MIN)? {
                    None => return Ok(Taken::More),
                    Some(0) => return Ok(Taken::End),
                    Some(count) => (count, count),
                },
                Phase::Items { left, of } => (left, of),
            };
            if left > 0 {
                let items = self.items(shape, left)?;
                let taken = u64::try_from(items.len()).unwrap_or(u64::MAX);
                self.phase = Phase::Items {
                    left: left.saturating_sub(taken),
                    of,
                };
                return Ok(match items.is_empty() {
                    true => Taken::More,
                    false => Taken::Items(items),
                });
            }
            if !self.trailer(of)? {
                return Ok(Taken::More);
            }
            self.phase = Phase::Count;
        }
    }

    /// Reads a chunk's count, with the end of a chunk that is empty.
    fn count(&mut self, least: usize) -> Result<Option<u64>, DecodeError> {
        let is_ndr64 = self.syntax == Syntax::Ndr64;
        let count = self.take(&[], |r| {
            let count = r.wide()?;
            if is_ndr64 && count > MOST {
                let (len, max) = (count, MOST);
                return Err(r.error(Kind::TooLong { len, max }));
            }
            if least == 0 && count > EMPTY {
                let (len, max) = (count, EMPTY);
                return Err(r.error(Kind::TooLong { len, max }));
            }
            if count == 0 && is_ndr64 && r.u64()? != 0 {
                return Err(r.error(ENDS_WRONG));
            }
            Ok(count)
        })?;
        if let Some(count) = count.filter(|count| *count != 0) {
            let (left, of) = (count, count);
            self.phase = Phase::Items { left, of };
        }
        Ok(count)
    }

    /// Reads what ends a chunk of NDR64; false if it has not come.
    // req: msrpce-2.2.5.3.4.5
    fn trailer(&mut self, of: u64) -> Result<bool, DecodeError> {
        if self.syntax == Syntax::Ndr {
            return Ok(true);
        }
        let ends = self.take(&[], |r| match r.u64()? == of.wrapping_neg() {
            true => Ok(()),
            false => Err(r.error(ENDS_WRONG)),
        })?;
        Ok(ends.is_some())
    }

    /// The elements that are whole, of `left`, as many as are given out at once.
    fn items<T: Default, S: Shape<T>>(
        &mut self,
        shape: S,
        left: u64,
    ) -> Result<Vec<T>, DecodeError> {
        let most = BATCH.checked_div(size_of::<T>().max(1)).unwrap_or(1).max(1);
        let most = most.min(usize::try_from(left).unwrap_or(usize::MAX));
        let each = self.stride.max(S::MIN).max(1);
        let likely = most.min(self.held().checked_div(each).unwrap_or(0));
        if likely > 0 {
            let mut reader = self.reader()?;
            if let Ok(items) = shape.take_items(&mut reader, likely) {
                let at = reader.position();
                self.pass(at);
                return Ok(items);
            }
        }
        self.one_by_one(shape, most)
    }

    /// The same, where they are larger than they might be, or the next is not whole.
    fn one_by_one<T: Default, S: Shape<T>>(
        &mut self,
        shape: S,
        most: usize,
    ) -> Result<Vec<T>, DecodeError> {
        let mut reader = self.reader()?;
        let (mut items, mut at) = (Vec::new(), reader.position());
        let begin = at;
        let mut stopped = None;
        while items.len() < most {
            let mut item = T::default();
            let taken = reader
                .burn(usize::from(S::MIN == 0))
                .and_then(|()| shape.take(&mut item, &mut reader));
            if let Err(error) = taken {
                stopped = Some(error);
                break;
            }
            items.push(item);
            at = reader.position();
        }
        self.stride = at
            .saturating_sub(begin)
            .checked_div(items.len())
            .map_or(self.stride, |each| each.saturating_add(1));
        match stopped {
            // What is wrong with an element is said when it is the next.
            Some(error) if items.is_empty() => self.perhaps(error)?,
            _ => self.pass(at),
        }
        Ok(items)
    }

    fn reader(&self) -> Result<Reader<'_>, DecodeError> {
        let mut reader = Reader::with_limits(&self.bytes, self.syntax, self.order, self.limits);
        reader.slice(self.at)?;
        Ok(reader)
    }

    /// Lets go of what was read, up to `at` in `bytes`.
    fn pass(&mut self, at: usize) {
        let whole = at.min(self.bytes.len()) & !BLOCK.wrapping_sub(1);
        self.bytes.advance(whole);
        self.at = at.saturating_sub(whole);
    }

    /// Nothing, if more bytes can mend it.
    fn perhaps(&self, error: DecodeError) -> Result<(), DecodeError> {
        match error.kind() {
            Kind::Truncated { .. } if !self.closed => Ok(()),
            _ => Err(error),
        }
    }
}

const ENDS_WRONG: Kind = Kind::Invalid("pipe chunk does not end with its count negated");

/// A stub that is written part by part.
#[derive(Debug)]
pub struct Outflow {
    /// How much was written, modulo [`BLOCK`].
    at: usize,
    syntax: Syntax,
    order: Order,
}

impl Outflow {
    /// A stub of which nothing was written.
    pub fn new(syntax: Syntax, order: Order) -> Self {
        Self {
            at: 0,
            syntax,
            order,
        }
    }

    /// What `write` writes: parameters in front of the pipes or behind them.
    ///
    /// # Errors
    /// What the interface does not allow; the stub cannot go on then.
    pub fn put(&mut self, write: impl FnOnce(&mut Writer) -> Put) -> Result<Bytes, EncodeError> {
        let mut writer = Writer::new(self.syntax, self.order);
        writer.zeros(self.at);
        write(&mut writer)?;
        let mut bytes = Bytes::from(writer.into_bytes());
        bytes.advance(self.at.min(bytes.len()));
        let at = self.at.wrapping_add(bytes.len());
        self.at = at & BLOCK.wrapping_sub(1);
        Ok(bytes)
    }

    /// Elements of the pipe at hand, as a chunk; nothing if there are none, which would end it.
    ///
    /// # Errors
    /// As [`put`](Self::put), and more than 2^31 - 1 elements.
    pub fn items<T: Default, S: Shape<T>>(
        &mut self,
        shape: S,
        items: &[T],
    ) -> Result<Bytes, EncodeError> {
        match items.is_empty() {
            true => Ok(Bytes::new()),
            false => self.put(|w| put_chunk(shape, items, w)),
        }
    }

    /// The end of the pipe at hand.
    ///
    /// # Errors
    /// None: see [`put`](Self::put).
    pub fn end(&mut self) -> Result<Bytes, EncodeError> {
        self.put(|w| {
            w.align(Align::WIDE);
            w.count(0)?;
            if w.mode().is_ndr64() {
                w.u64(0);
            }
            Ok(())
        })
    }
}
