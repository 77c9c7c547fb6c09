//! Random messages of generated code: our own reader makes them.
//!
//! It is given random bytes, and wherever it says that a number is not what it must be, that
//! number is put right. So every shape that an interface allows is met, and no value is written
//! by hand.

use farcall_wire::ndr::{Order, Reader, Syntax, Writer};
use farcall_wire::{DecodeError, DecodeErrorKind as Kind, EncodeError};

/// Reads a message of an operation, a request or a reply, and writes it again: what the compiler
/// generates under `Config::transcoders`.
pub(crate) type Transcode = fn(
    u16,
    bool,
    &mut Reader<'_>,
    &mut Writer,
) -> Result<Result<Vec<i64>, EncodeError>, DecodeError>;

/// Syntax and order of each mode, in the order of the oracle's answers.
pub(crate) const MODES: [(Syntax, Order); 4] = [
    (Syntax::Ndr, Order::Little),
    (Syntax::Ndr, Order::Big),
    (Syntax::Ndr64, Order::Little),
    (Syntax::Ndr64, Order::Big),
];

/// Tries to make one.
const TRIES: usize = 400;

/// A message, and what its reply needs to know of it.
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) known: Vec<i64>,
}

/// Random numbers that are the same in each run (the generator is splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 56) as u8
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % n.max(1)
    }

    fn letter(&mut self) -> u8 {
        b'a' + self.byte() % 26
    }

    /// Bytes where a number or an array begins. Arrays and strings are letters, which are text in
    /// UTF-16 too; counts avoid the lengths of numbers, so that they are known from them.
    fn fresh(&mut self, len: usize) -> Vec<u8> {
        const SMALL: [u8; 8] = [0, 0, 1, 1, 3, 5, 6, 10];
        let letters = (0..len).map(|_| self.letter()).collect();
        if ![1, 2, 4, 8].contains(&len) || self.byte() < 64 {
            return letters;
        }
        let mut number = vec![0; len];
        number[0] = SMALL[self.below(SMALL.len())];
        number
    }
}

/// Puts the number `old` that stands somewhere in front of `end` right: one of its places, by
/// chance.
fn replace(bytes: &mut [u8], end: usize, old: i128, new: i64, dice: &mut Dice) -> bool {
    let end = end.min(bytes.len());
    let mut places = Vec::new();
    for at in 0..end {
        for width in [4, 2, 1] {
            let Some(part) = bytes.get(at..at + width).filter(|_| at % width == 0) else {
                continue;
            };
            let mut wide = [0; 8];
            wide[..width].copy_from_slice(part);
            if i128::from(u64::from_le_bytes(wide)) == old && (width == 4 || places.is_empty()) {
                places.push((at, width));
            }
        }
    }
    // The nearest ones are the likeliest.
    places.reverse();
    let near = places.len().min(3);
    let Some((at, width)) = places.get(dice.below(near)).copied() else {
        return false;
    };
    bytes[at..at + width].copy_from_slice(&new.to_le_bytes()[..width]);
    true
}

/// Makes some large number in front of `end` small.
fn shrink(bytes: &mut [u8], end: usize, dice: &mut Dice) {
    let end = end.min(bytes.len()) / 4 * 4;
    for at in (0..end).step_by(4).rev() {
        if bytes[at..at + 4]
            .iter()
            .any(|byte| byte.is_ascii_lowercase())
        {
            let small = dice.fresh(4);
            bytes[at..at + 4].copy_from_slice(&small);
            if dice.byte() < 128 {
                return;
            }
        }
    }
}

/// Puts right what our reader does not like.
fn mend(bytes: &mut Vec<u8>, error: &DecodeError, dice: &mut Dice) {
    let end = error.offset();
    match *error.kind() {
        Kind::Truncated { needed, available } if needed < 4096 => {
            bytes.extend(dice.fresh(needed - available));
        }
        Kind::BadCount { count, expected } if (0..64).contains(&expected) => {
            if !replace(bytes, end, count.into(), expected, dice) {
                shrink(bytes, end, dice);
            }
        }
        Kind::BadSwitch { value, expected } => {
            replace(bytes, end, value.into(), expected, dice);
        }
        Kind::BadDiscriminant { value, .. } => {
            let other = dice.below(34) as i64;
            replace(bytes, end, value.into(), other, dice);
        }
        Kind::OutOfRange { value, min, max } => {
            let room = (max - min).clamp(0, 9) as usize;
            let other = min as i64 + dice.below(room + 1) as i64;
            replace(bytes, end, value, other, dice);
        }
        Kind::TooLong { len, max } if max < 64 => {
            replace(bytes, end, len.into(), max as i64, dice);
        }
        Kind::Invalid("string does not end with zero") => {
            let start = end.saturating_sub(2);
            bytes[start..end].fill(0);
        }
        _ => shrink(bytes, end, dice),
    }
}

/// A random message of an operation; `None` if no such message is found.
pub(crate) fn make(
    transcode: Transcode,
    opnum: u16,
    reply: bool,
    known: &[i64],
    dice: &mut Dice,
) -> Option<Message> {
    let mut bytes = Vec::new();
    for _ in 0..TRIES {
        let (syntax, order) = MODES[0];
        let mut r = Reader::new(&bytes, syntax, order).with_known(known);
        let mut w = Writer::new(syntax, order);
        match transcode(opnum, reply, &mut r, &mut w) {
            Ok(Ok(known)) => {
                let bytes = w.into_bytes();
                return Some(Message { bytes, known });
            }
            Ok(Err(_)) => return None,
            Err(error) => mend(&mut bytes, &error, dice),
        }
        if bytes.len() > 20_000 {
            return None;
        }
    }
    None
}

/// The same message in another mode.
pub(crate) fn again(
    transcode: Transcode,
    opnum: u16,
    reply: bool,
    known: &[i64],
    bytes: &[u8],
    (from, to): ((Syntax, Order), (Syntax, Order)),
) -> Result<Vec<u8>, String> {
    let mut r = Reader::new(bytes, from.0, from.1).with_known(known);
    let mut w = Writer::new(to.0, to.1);
    let done = transcode(opnum, reply, &mut r, &mut w).map_err(|e| e.to_string())?;
    done.map_err(|e| e.to_string())?;
    Ok(w.into_bytes())
}
