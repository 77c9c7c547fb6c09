//! NDR and NDR64 as C706 chapter 14 and MS-RPCE sections 2.2.4 to 2.2.7 have them: bytes worked
//! out by hand from the rules, what is refused, and round trips.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may fail loudly"
)]

mod arrays;
mod flows;
mod lists;
mod numbers;
mod objects;
mod pickles;
mod pointers;
mod refusals;
mod round_trips;
mod strings;
mod structs;
mod unions;
mod samba;

use farcall_wire::ndr::{Mode, Order, Reader, Shape, Syntax, Writer};
use farcall_wire::{DecodeError, DecodeErrorKind, EncodeErrorKind};

/// Both syntaxes in both orders.
const MODES: [Mode; 4] = [
    Mode::new(Syntax::Ndr, Order::Little),
    Mode::new(Syntax::Ndr, Order::Big),
    Mode::new(Syntax::Ndr64, Order::Little),
    Mode::new(Syntax::Ndr64, Order::Big),
];

/// NDR, little-endian.
const NDR: Mode = MODES[0];

/// NDR64, little-endian.
const NDR64: Mode = MODES[2];

/// The bytes of hexadecimal digits; spaces are for people.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn put<T: Default, S: Shape<T>>(mode: Mode, shape: S, value: &T) -> Vec<u8> {
    let mut w = Writer::new(mode.syntax, mode.order);
    shape.put_whole(value, &mut w).unwrap();
    w.into_bytes()
}

fn refused<T: Default, S: Shape<T>>(shape: S, value: &T) -> EncodeErrorKind {
    let mut w = Writer::new(Syntax::Ndr, Order::Little);
    shape.put_whole(value, &mut w).unwrap_err().kind().clone()
}

fn take<T: Default, S: Shape<T>>(mode: Mode, shape: S, bytes: &[u8]) -> Result<T, DecodeError> {
    let mut r = Reader::new(bytes, mode.syntax, mode.order);
    let value = shape.read(&mut r)?;
    r.finish()?;
    Ok(value)
}

fn kind<T: Default + std::fmt::Debug, S: Shape<T>>(
    mode: Mode,
    shape: S,
    bytes: &[u8],
) -> DecodeErrorKind {
    take::<T, S>(mode, shape, bytes).unwrap_err().kind().clone()
}

/// The value is these bytes in NDR and those in NDR64, little-endian, both ways; and nothing
/// shorter is taken for it.
fn lies<T, S>(shape: S, value: &T, ndr: &str, ndr64: &str)
where
    T: Default + PartialEq + std::fmt::Debug,
    S: Shape<T>,
{
    for (mode, expected) in [(NDR, hex(ndr)), (NDR64, hex(ndr64))] {
        let bytes = put(mode, shape, value);
        assert_eq!(bytes, expected, "{mode:?} {value:?}");
        assert_eq!(&take(mode, shape, &expected).unwrap(), value, "{mode:?}");
    }
    truncations(shape, value);
}

/// Each value is read again from its bytes in all modes, and no part of them is a value. (The
/// last gap of a structure in NDR64 may be missing.)
fn truncations<T, S>(shape: S, value: &T)
where
    T: Default + PartialEq + std::fmt::Debug,
    S: Shape<T>,
{
    for mode in MODES {
        let bytes = put(mode, shape, value);
        assert_eq!(&take(mode, shape, &bytes).unwrap(), value, "{mode:?}");
        for len in 0..bytes.len() {
            match take::<T, S>(mode, shape, &bytes[..len]) {
                Ok(read) => {
                    assert_eq!(&read, value);
                    assert!(bytes[len..].iter().all(|byte| *byte == 0), "{mode:?} {len}");
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}
