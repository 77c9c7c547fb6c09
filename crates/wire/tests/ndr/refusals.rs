//! Whatever the bytes are, reading ends, with little memory, and without a panic.

use farcall_wire::ndr::{
    ANY, Chunks, Conformant, ConformantString, ConformantVarying, Dimension, Dimensions,
    FullPointer, InterfacePointer, Pipe, Plain, Relative, Shape, Span, Subcontext, Unique, WideStr,
};
use farcall_wire::ndr::{Full, Header, Matrix};
use farcall_wire::{Limits, Str};
use proptest::prelude::*;

use super::{MODES, take};

fn reads<T: Default, S: Shape<T>>(shape: S, bytes: &[u8]) {
    for mode in MODES {
        let _ = take::<T, S>(mode, shape, bytes);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
        let varying = ConformantVarying(ANY, Span::len(ANY), Plain);
        reads::<Vec<u32>, _>(Conformant(ANY, Plain), &bytes);
        reads::<Vec<()>, _>(Conformant(ANY, Plain), &bytes);
        reads::<Vec<u64>, _>(varying, &bytes);
        reads::<Option<WideStr>, _>(Unique(ConformantString(ANY)), &bytes);
        reads::<Vec<Option<Str>>, _>(Conformant(ANY, Unique(ConformantString(ANY))), &bytes);
        reads::<Vec<Full<u32>>, _>(Conformant(ANY, FullPointer(Plain)), &bytes);
        reads::<Pipe<u16>, _>(Chunks(Plain), &bytes);
        reads::<Option<InterfacePointer>, _>(Unique(Plain), &bytes);
        reads::<Vec<Option<Vec<u8>>>, _>(
            Conformant(ANY, Relative(Conformant(ANY, Plain))),
            &bytes,
        );
        reads::<Vec<u8>, _>(Subcontext(Header::Pickle, ANY, Conformant(ANY, Plain)), &bytes);
        reads::<Vec<u8>, _>(Subcontext(Header::Long, ANY, Conformant(ANY, Plain)), &bytes);
        let dim = Dimension { size: ANY, span: Some(Span::len(ANY)) };
        reads::<Matrix<u16>, _>(Dimensions([dim, dim], true, Plain), &bytes);
        let _ = farcall_wire::ndr::pickle::from_bytes::<[u32; 3]>(&bytes, Limits::DEFAULT);
    }
}

#[test]
fn memory_has_a_limit() {
    let limits = Limits {
        memory: 100,
        ..Limits::DEFAULT
    };
    let bytes = [&[101, 0, 0, 0][..], &[0; 101]].concat();
    let mut r =
        farcall_wire::ndr::Reader::with_limits(&bytes, MODES[0].syntax, MODES[0].order, limits);
    let error = Shape::<Vec<u8>>::read(Conformant(ANY, Plain), &mut r).unwrap_err();
    assert!(error.to_string().contains("100 bytes of memory"), "{error}");
}

#[test]
fn length_has_a_limit() {
    let limits = Limits {
        length: 1,
        ..Limits::DEFAULT
    };
    let mut r = farcall_wire::ndr::Reader::with_limits(
        &[2, 0, 0, 0, 1, 2],
        MODES[0].syntax,
        MODES[0].order,
        limits,
    );
    let error = Shape::<Vec<u8>>::read(Conformant(ANY, Plain), &mut r).unwrap_err();
    assert!(
        error.to_string().contains("length 2 is over the maximum 1"),
        "{error}"
    );
}

#[test]
fn many_relative_pointers_at_one_place_take_fuel() {
    // 4000 pointers at one array of 16000 bytes.
    let mut bytes = 4000_u32.to_le_bytes().to_vec();
    for _ in 0..4000 {
        bytes.extend(4_u32.to_le_bytes());
    }
    bytes.splice(4..8, 8_u32.to_le_bytes());
    let shape = Conformant(ANY, Relative(farcall_wire::ndr::Remaining(Plain)));
    let error = take::<Vec<Option<Vec<u8>>>, _>(MODES[0], shape, &bytes).unwrap_err();
    assert!(error.to_string().contains("steps"), "{error}");
}
