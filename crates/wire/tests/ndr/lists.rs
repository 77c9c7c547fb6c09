//! Lists of structures with a pointer to the next one: bytes worked out by hand from C706 section 14.3.12.3.

use farcall_wire::ndr::{
    Align, Chain, Link, List, Plain, Put, Reader, Shape as _, Take, Unique, Value as _, Writer,
};
use farcall_wire::{DecodeError, DecodeErrorKind, Limits};

use super::{MODES, NDR, NDR64, hex, kind, lies, put, refused, take};

/// `struct node { long *before; struct node *next; long *behind; short end; }`
#[derive(Clone, Debug, Default, PartialEq)]
struct Node {
    before: Option<u32>,
    behind: Option<u32>,
    end: u16,
}

impl Link for Node {
    const ALIGN: Align = Align::WIDE;
    const MIN: usize = 14;

    fn put(&self, more: bool, w: &mut Writer) -> Put {
        w.align(Self::ALIGN);
        Unique(Plain).put(&self.before, w)?;
        w.referent(more)?;
        Unique(Plain).put(&self.behind, w)?;
        self.end.put(w)?;
        w.trailer(Self::ALIGN);
        Ok(())
    }
    fn put_before(&self, w: &mut Writer) -> Put {
        Unique(Plain).put_referents(&self.before, w)
    }
    fn put_behind(&self, w: &mut Writer) -> Put {
        Unique(Plain).put_referents(&self.behind, w)
    }
    fn take(&mut self, r: &mut Reader<'_>) -> Result<bool, DecodeError> {
        r.align(Self::ALIGN)?;
        Unique(Plain).take(&mut self.before, r)?;
        let more = r.referent()?;
        Unique(Plain).take(&mut self.behind, r)?;
        self.end.take(r)?;
        r.trailer(Self::ALIGN)?;
        Ok(more)
    }
    fn take_before(&mut self, r: &mut Reader<'_>) -> Take {
        Unique(Plain).take_referents(&mut self.before, r)
    }
    fn take_behind(&mut self, r: &mut Reader<'_>) -> Take {
        Unique(Plain).take_referents(&mut self.behind, r)
    }
}

fn node(before: u32, behind: u32, end: u16) -> Node {
    Node {
        before: Some(before),
        behind: Some(behind),
        end,
    }
}

#[test]
fn what_is_behind_a_link_comes_when_the_rest_of_the_list_has_come() {
    let list = vec![node(1, 9, 0xa), node(2, 8, 0xb)];
    // The first in place; what its first pointer points at; the second, with all that it points
    // at; what the first one's last pointer points at.
    let ndr = "00000200 04000200 08000200 0a00 0000  01000000
        0c000200 00000000 10000200 0b00 0000  02000000 08000000  09000000";
    let ndr64 = "0000020000000000 0400020000000000 0800020000000000 0a00 000000000000  01000000 00000000
        0c00020000000000 0000000000000000 1000020000000000 0b00 000000000000  02000000 08000000  09000000";
    lies(Chain, &list, ndr, ndr64);
}

#[test]
fn a_pointer_to_a_list_is_null_for_none() {
    lies(List, &Vec::<Node>::new(), "00000000", "0000000000000000");
    let one = vec![Node {
        end: 7,
        ..Node::default()
    }];
    lies(
        List,
        &one,
        "00000200 00000000 00000000 00000000 0700",
        "0000020000000000 0000000000000000 0000000000000000 0000000000000000 0700 000000000000",
    );
}

#[test]
fn a_list_in_place_has_an_element() {
    let error = refused(Chain, &Vec::<Node>::new());
    assert!(error.to_string().contains("at least one"), "{error}");
}

#[test]
fn a_list_is_longer_than_pointers_may_be_nested() {
    let list: Vec<Node> = (0..100_000).map(|n| node(n, n, 1)).collect();
    for mode in MODES {
        let bytes = put(mode, List, &list);
        assert_eq!(take::<Vec<Node>, _>(mode, List, &bytes).unwrap(), list);
    }
}

#[test]
fn a_list_takes_no_more_memory_than_is_allowed() {
    let list: Vec<Node> = (0..1000).map(|n| node(n, n, 1)).collect();
    let bytes = put(NDR64, List, &list);
    let limits = Limits {
        memory: 4096,
        ..Limits::default()
    };
    let mut r = Reader::with_limits(&bytes, NDR64.syntax, NDR64.order, limits);
    let error = Shaped::read(&mut r).unwrap_err();
    assert!(matches!(
        error.kind(),
        DecodeErrorKind::BudgetExceeded { .. }
    ));
    // A link to what is not there.
    let cut = hex("00000200 00000000 04000200 00000000 0700");
    assert!(matches!(
        kind::<Vec<Node>, _>(NDR, List, &cut),
        DecodeErrorKind::Truncated { .. }
    ));
}

/// Names the type that is read.
struct Shaped;

impl Shaped {
    fn read(r: &mut Reader<'_>) -> Result<Vec<Node>, DecodeError> {
        List.read(r)
    }
}
