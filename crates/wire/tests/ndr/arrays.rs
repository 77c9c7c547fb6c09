//! Arrays: C706 section 14.3.3, MS-RPCE section 2.2.5.3.2.

use farcall_wire::ndr::{
    ANY, Chunks, Conformant, ConformantVarying, Counted, Dimension, Dimensions, Each, Limited,
    Matrix, Pipe, Plain, Span, Unique, Varying,
};
use farcall_wire::{Bytes, DecodeErrorKind, EncodeErrorKind};

use super::{MODES, NDR, NDR64, hex, kind, lies, put, refused, take};

#[test]
fn a_fixed_array_is_its_elements() {
    lies(Plain, &[1_u16, 2, 3], "0100 0200 0300", "0100 0200 0300");
    lies(
        Counted(2, Plain),
        &vec![1_u32, 2],
        "01000000 02000000",
        "01000000 02000000",
    );
}

#[test]
fn a_conformant_array_has_its_maximum_count_in_front() {
    let items = vec![1_u16, 2, 3];
    lies(
        Conformant(3, Plain),
        &items,
        "03000000 0100 0200 0300",
        "0300000000000000 0100 0200 0300",
    );
    assert_eq!(
        put(MODES[1], Conformant(3, Plain), &items),
        hex("00000003 0001 0002 0003")
    );
}

#[test]
fn elements_are_aligned_behind_the_count() {
    lies(
        Conformant(1, Plain),
        &vec![1_u64],
        "01000000 00000000 0100000000000000",
        "0100000000000000 0100000000000000",
    );
    // Without an element there is nothing to align.
    lies(
        Conformant(0, Plain),
        &Vec::<u64>::new(),
        "00000000",
        "0000000000000000",
    );
}

#[test]
fn a_varying_array_has_offset_and_count() {
    lies(
        Varying(5, Span::len(2), Plain),
        &vec![7_u8, 8],
        "00000000 02000000 0708",
        "0000000000000000 0200000000000000 0708",
    );
    let second = Span { first: 1, len: 2 };
    lies(
        Varying(3, second, Plain),
        &vec![7_u8, 8],
        "01000000 02000000 0708",
        "0100000000000000 0200000000000000 0708",
    );
}

#[test]
fn a_conformant_varying_array_has_all_three() {
    lies(
        ConformantVarying(4, Span::len(2), Plain),
        &vec![1_u16, 2],
        "04000000 00000000 02000000 0100 0200",
        "0400000000000000 0000000000000000 0200000000000000 0100 0200",
    );
}

#[test]
fn a_count_that_disagrees_with_the_interface_is_neither_sent_nor_taken() {
    let three = vec![1_u8, 2, 3];
    assert_eq!(
        refused(Conformant(2, Plain), &three),
        EncodeErrorKind::BadCount {
            len: 3,
            expected: 2
        }
    );
    assert_eq!(
        kind::<Vec<u8>, _>(NDR, Conformant(2, Plain), &hex("03000000 010203")),
        DecodeErrorKind::BadCount {
            count: 3,
            expected: 2
        }
    );
    let span = |len| ConformantVarying(2, Span::len(len), Plain);
    assert!(matches!(
        refused(span(3), &three),
        EncodeErrorKind::BadCount { .. }
    ));
    assert_eq!(
        kind::<Vec<u8>, _>(NDR, span(1), &hex("02000000 00000000 02000000 0102")),
        DecodeErrorKind::BadCount {
            count: 2,
            expected: 1
        }
    );
    assert_eq!(
        kind::<Vec<u8>, _>(NDR, span(ANY), &hex("02000000 01000000 01000000 01")),
        DecodeErrorKind::BadCount {
            count: 1,
            expected: 0
        }
    );
    let shape = Varying(2, Span { first: 1, len: ANY }, Plain);
    assert_eq!(
        kind::<Vec<u8>, _>(NDR, shape, &hex("01000000 02000000 0102")),
        DecodeErrorKind::TooLong { len: 2, max: 2 }
    );
    assert!(matches!(
        refused(shape, &vec![1_u8, 2]),
        EncodeErrorKind::BadCount { .. }
    ));
}

#[test]
fn a_claimed_count_takes_no_memory() {
    let huge = hex("ffffffff 01");
    assert!(matches!(
        kind::<Vec<u64>, _>(NDR, Conformant(ANY, Plain), &huge),
        DecodeErrorKind::Truncated { .. }
    ));
    assert!(matches!(
        kind::<Vec<Vec<u8>>, _>(NDR, Conformant(ANY, Counted(0, Plain)), &huge),
        DecodeErrorKind::FuelExceeded { .. }
    ));
    assert!(matches!(
        kind::<Vec<()>, _>(NDR, Conformant(ANY, Plain), &huge),
        DecodeErrorKind::FuelExceeded { .. }
    ));
    let huge = hex("ffffffffffffffff 01");
    assert!(matches!(
        kind::<Vec<u8>, _>(NDR64, Conformant(ANY, Plain), &huge),
        DecodeErrorKind::TooLong { .. }
    ));
}

#[test]
fn an_array_is_no_longer_than_its_range() {
    // MS-RPCE 2.2.4.14.2.
    let shape = Limited(0, 2, Conformant(ANY, Plain));
    lies(shape, &vec![1_u8], "01000000 01", "0100000000000000 01");
    assert!(matches!(
        refused(shape, &vec![0_u8; 3]),
        EncodeErrorKind::OutOfRange { .. }
    ));
    assert_eq!(
        kind::<Vec<u8>, _>(NDR, shape, &hex("03000000 010203")),
        DecodeErrorKind::OutOfRange {
            value: 3,
            min: 0,
            max: 2
        }
    );
}

#[test]
fn an_array_of_pointers_has_all_pointers_before_what_they_point_at() {
    // C706 14.3.12.3.
    let items = vec![Some(1_u8), None, Some(2)];
    lies(
        Conformant(3, Unique(Plain)),
        &items,
        "03000000 00000200 00000000 04000200 01 02",
        "0300000000000000 0000020000000000 0000000000000000 0400020000000000 01 02",
    );
    lies(
        Each(Unique(Plain)),
        &[Some(1_u16), Some(2)],
        "00000200 04000200 0100 0200",
        "0000020000000000 0400020000000000 0100 0200",
    );
}

#[test]
fn counts_of_all_dimensions_stand_in_front() {
    // C706 14.3.3.7 and 14.3.3.9.
    let dim = |size| Dimension { size, span: None };
    let items = Matrix {
        dims: vec![2, 3],
        items: vec![1_u8, 2, 3, 4, 5, 6],
    };
    lies(
        Dimensions([dim(2), dim(3)], true, Plain),
        &items,
        "02000000 03000000 010203 040506",
        "0200000000000000 0300000000000000 010203 040506",
    );
    let part = |size, len| Dimension {
        size,
        span: Some(Span::len(len)),
    };
    let items = Matrix {
        dims: vec![1, 2],
        items: vec![1_u8, 2],
    };
    lies(
        Dimensions([part(2, 1), part(3, 2)], true, Plain),
        &items,
        "02000000 03000000 00000000 01000000 00000000 02000000 0102",
        "0200000000000000 0300000000000000 0000000000000000 0100000000000000 \
         0000000000000000 0200000000000000 0102",
    );
    assert!(matches!(
        refused(
            Dimensions([dim(2), dim(2)], true, Plain),
            &Matrix {
                dims: vec![2, 2],
                items: vec![1_u8]
            }
        ),
        EncodeErrorKind::Invalid(_)
    ));
}

#[test]
fn dimensions_do_not_multiply_to_memory() {
    let dim = Dimension {
        size: ANY,
        span: None,
    };
    let shape = Dimensions([dim, dim], true, Plain);
    let bytes = hex("ffff0000 ffff0000 00");
    assert!(matches!(
        kind::<Matrix<u32>, _>(NDR, shape, &bytes),
        DecodeErrorKind::Truncated { .. }
    ));
}

#[test]
fn bytes_are_borrowed_from_a_shared_buffer() {
    let whole = Bytes::from(hex("03000000 010203"));
    let mut r = farcall_wire::ndr::Reader::shared(
        &whole,
        &whole,
        NDR.syntax,
        NDR.order,
        farcall_wire::Limits::DEFAULT,
    );
    let bytes: Bytes = farcall_wire::ndr::Shape::read(Conformant(3, Plain), &mut r).unwrap();
    assert_eq!(bytes.as_ptr(), whole[4..].as_ptr());
}

#[test]
fn a_pipe_is_chunks_and_an_empty_one() {
    // C706 14.3.9; MS-RPCE 2.2.5.3.4.5.
    let pipe = Pipe(vec![1_u16, 2]);
    lies(
        Chunks(Plain),
        &pipe,
        "02000000 0100 0200 00000000",
        "0200000000000000 0100 0200 00000000 feffffffffffffff 0000000000000000 0000000000000000",
    );
    let two: Pipe<u8> = take(
        NDR,
        Chunks(Plain),
        &hex("01000000 01 000000 01000000 02 000000 00000000"),
    )
    .unwrap();
    assert_eq!(two, Pipe(vec![1, 2]));
    let wrong = hex("0100000000000000 01 00000000000000 0100000000000000");
    assert!(matches!(
        kind::<Pipe<u8>, _>(NDR64, Chunks(Plain), &wrong),
        DecodeErrorKind::Invalid(_)
    ));
}
