//! Pointers: C706 sections 14.3.10 to 14.3.12.

use farcall_wire::ndr::{self, Value};
use farcall_wire::ndr::{Each, Full, FullPointer, Ignored, Plain, Ref, Shape, Unique};
use farcall_wire::{DecodeErrorKind, EncodeErrorKind, Limits};

use super::{NDR, hex, lies, refused, take, truncations};

#[test]
fn a_unique_pointer_is_null_or_an_identifier_and_a_value() {
    lies(
        Unique(Plain),
        &Some(5_u16),
        "00000200 0500",
        "0000020000000000 0500",
    );
    lies(Unique(Plain), &None::<u16>, "00000000", "0000000000000000");
    lies(
        Unique(Unique(Plain)),
        &Some(Some(5_u16)),
        "00000200 04000200 0500",
        "0000020000000000 0400020000000000 0500",
    );
}

#[test]
fn the_identifier_of_an_embedded_reference_says_nothing() {
    lies(Ref(Plain), &5_u16, "00000200 0500", "0000020000000000 0500");
    assert_eq!(
        take::<u16, _>(NDR, Ref(Plain), &hex("00000000 0500")).unwrap(),
        5
    );
}

#[test]
fn an_ignored_pointer_points_at_nothing() {
    lies(Ignored, &(), "00000000", "0000000000000000");
    take::<(), _>(NDR, Ignored, &hex("01000000")).unwrap();
}

#[test]
fn full_pointers_with_one_label_are_aliases() {
    let pair = [Full::Value(1, Box::new(7_u16)), Full::Alias(1)];
    let shape = Each(FullPointer(Plain));
    let mut w = ndr::Writer::new(NDR.syntax, NDR.order);
    shape.put_whole(&pair, &mut w).unwrap();
    assert_eq!(w.stub(), hex("00000200 00000200 0700"));
    let read: [Full<u16>; 2] = take(NDR, shape, w.stub()).unwrap();
    assert_eq!(
        read,
        [Full::Value(0x20000, Box::new(7)), Full::Alias(0x20000)]
    );
    // Whoever reads it can send it on.
    truncations(shape, &[Full::<u16>::Null, Full::Null]);
    let mut again = ndr::Writer::new(NDR.syntax, NDR.order);
    shape.put_whole(&read, &mut again).unwrap();
    assert_eq!(again.stub(), w.stub());
}

#[test]
fn an_alias_comes_after_its_value_and_a_label_has_one_value() {
    let shape = Each(FullPointer(Plain));
    assert_eq!(
        refused(shape, &[Full::Alias(1), Full::Value(1, Box::new(7_u16))]),
        EncodeErrorKind::BadAlias(1)
    );
    let twice = [Full::Value(1, Box::new(7_u16)), Full::Value(1, Box::new(8))];
    assert_eq!(refused(shape, &twice), EncodeErrorKind::BadAlias(1));
    assert_eq!(
        refused(shape, &[Full::<u16>::Alias(0), Full::Null]),
        EncodeErrorKind::BadAlias(0)
    );
}

/// `struct node { long value; [ptr] struct node *next; }`
#[derive(Clone, Debug, Default, PartialEq)]
struct Node {
    value: u32,
    next: Full<Node>,
}

impl Value for Node {
    const ALIGN: ndr::Align = ndr::Align::WIDE;
    const MIN: usize = 8;
    fn put(&self, w: &mut ndr::Writer) -> ndr::Put {
        w.align(Self::ALIGN);
        self.value.put(w)?;
        FullPointer(Plain).put(&self.next, w)
    }
    fn put_referents(&self, w: &mut ndr::Writer) -> ndr::Put {
        FullPointer(Plain).put_referents(&self.next, w)
    }
    fn take(&mut self, r: &mut ndr::Reader<'_>) -> ndr::Take {
        r.align(Self::ALIGN)?;
        self.value.take(r)?;
        FullPointer(Plain).take(&mut self.next, r)
    }
    fn take_referents(&mut self, r: &mut ndr::Reader<'_>) -> ndr::Take {
        FullPointer(Plain).take_referents(&mut self.next, r)
    }
}

#[test]
fn a_ring_of_full_pointers_is_a_value_and_an_alias() {
    // A pointer at a node of value 5, whose next of value 6 has the first one as its next.
    let bytes = hex("01000000 05000000 02000000 06000000 01000000");
    let ring: Full<Node> = take(NDR, FullPointer(Plain), &bytes).unwrap();
    let Full::Value(1, first) = &ring else {
        panic!("{ring:?}")
    };
    let Full::Value(2, second) = &first.next else {
        panic!("{first:?}")
    };
    assert_eq!(second.next, Full::Alias(1));
}

/// `struct list { [unique] struct list *next; }`
#[derive(Clone, Debug, Default, PartialEq)]
struct List(Option<Box<List>>);

impl Value for List {
    const ALIGN: ndr::Align = ndr::Align::WIDE;
    const MIN: usize = 4;
    fn put(&self, w: &mut ndr::Writer) -> ndr::Put {
        Unique(Plain).put(&self.0, w)
    }
    fn put_referents(&self, w: &mut ndr::Writer) -> ndr::Put {
        Unique(Plain).put_referents(&self.0, w)
    }
    fn take(&mut self, r: &mut ndr::Reader<'_>) -> ndr::Take {
        Unique(Plain).take(&mut self.0, r)
    }
    fn take_referents(&mut self, r: &mut ndr::Reader<'_>) -> ndr::Take {
        Unique(Plain).take_referents(&mut self.0, r)
    }
}

#[test]
fn nesting_has_a_limit_both_ways() {
    let deep = hex(&"00000200".repeat(100_000));
    let error = take::<List, _>(NDR, Plain, &deep).unwrap_err();
    assert_eq!(
        error.kind(),
        &DecodeErrorKind::DepthExceeded {
            limit: Limits::DEFAULT.depth
        }
    );
    let mut list = List::default();
    for _ in 0..5000 {
        list = List(Some(Box::new(list)));
    }
    assert!(matches!(
        refused(Plain, &list),
        EncodeErrorKind::DepthExceeded { .. }
    ));
    // What was built in a loop is taken apart in one.
    while let Some(next) = list.0.take() {
        list = *next;
    }
}

#[test]
fn a_level_that_was_left_is_free_again() {
    let two = vec![Some(1_u8); 200];
    truncations(ndr::Conformant(200, Unique(Plain)), &two);
}
