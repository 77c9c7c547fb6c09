//! Stubs that come and go piece by piece.

use farcall_wire::ndr::{Align, Take, Value, Writer};
use farcall_wire::ndr::{Chunks, Inflow, Mode, Outflow, Pipe, Plain, Put, Reader, Shape, Taken};
use farcall_wire::{DecodeError, DecodeErrorKind, Limits};
use proptest::prelude::*;

use super::{MODES, NDR, NDR64, hex, put};

fn inflow(mode: Mode) -> Inflow {
    Inflow::new(mode.syntax, mode.order, Limits::DEFAULT)
}

/// A structure that is aligned within: four to eight bytes.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pair(u8, i32);

impl Value for Pair {
    const ALIGN: Align = Align::A4;
    const MIN: usize = 5;
    fn put(&self, w: &mut Writer) -> Put {
        w.align(Align::A4);
        w.u8(self.0);
        w.i32(self.1);
        Ok(())
    }
    fn take(&mut self, r: &mut Reader<'_>) -> Take {
        r.align(Align::A4)?;
        self.0 = r.u8()?;
        self.1 = r.i32()?;
        Ok(())
    }
}

/// Everything that is whole by now.
fn drain<T: Default, S: Shape<T>>(
    flow: &mut Inflow,
    shape: S,
) -> Result<(Vec<T>, bool), DecodeError> {
    let mut all = Vec::new();
    loop {
        match flow.next(shape)? {
            Taken::Items(items) => all.extend(items),
            Taken::More => return Ok((all, false)),
            Taken::End => return Ok((all, true)),
        }
    }
}

#[test]
fn elements_come_out_as_soon_as_they_are_whole() {
    // C706 14.3.9: a long in front, then chunks of two longs and of one, and the end.
    let bytes = hex("07000000 02000000 01000000 02000000 01000000 03000000 00000000");
    let mut flow = inflow(NDR);
    let mut said = Vec::new();
    let mut front = None;
    for byte in &bytes {
        flow.push(&[*byte]);
        if front.is_none() {
            front = flow.take(&[], |r| r.u32()).unwrap();
            said.push(u8::from(front.is_some()));
            continue;
        }
        said.push(match flow.next::<u32, _>(Plain).unwrap() {
            Taken::Items(items) => u8::try_from(items.len()).unwrap() * 10,
            Taken::More => 0,
            Taken::End => 99,
        });
        assert!(flow.held() < 8);
    }
    assert_eq!(front, Some(7));
    let none = [0; 3];
    let expected: Vec<u8> = [1, 0, 10, 10, 0, 10, 99]
        .into_iter()
        .flat_map(|last| none.into_iter().chain([last]))
        .collect();
    assert_eq!(said, expected);
}

#[test]
fn what_is_behind_a_pipe_is_aligned_from_the_beginning_of_the_stub() {
    // A byte, the end, and behind it a hyper: aligned to eight from where the stub begins.
    let ndr = hex("01000000 ff 000000 00000000 00000000 2a00000000000000");
    let ndr64 = hex(
        "0100000000000000 ff 00000000000000 ffffffffffffffff 0000000000000000 0000000000000000 2a00000000000000",
    );
    for (mode, bytes) in [(NDR, ndr), (NDR64, ndr64)] {
        let mut flow = inflow(mode);
        for piece in bytes.chunks(3) {
            flow.push(piece);
        }
        assert_eq!(
            drain::<u8, _>(&mut flow, Plain).unwrap(),
            (vec![0xff], true)
        );
        assert_eq!(flow.take(&[], |r| r.u64()).unwrap(), Some(42));
        let mut out = Outflow::new(mode.syntax, mode.order);
        let parts = [
            out.items(Plain, &[0xff_u8]).unwrap(),
            out.items(Plain, &[0_u8; 0]).unwrap(),
            out.end().unwrap(),
            out.put(|w| {
                w.u64(42);
                Ok(())
            })
            .unwrap(),
        ];
        assert_eq!(parts.concat(), bytes);
    }
}

#[test]
fn a_pipe_that_ends_early_or_wrongly_is_refused() {
    let bytes = hex("02000000 01000000 02000000 00000000");
    for cut in 0..bytes.len() {
        let mut flow = inflow(NDR);
        flow.push(&bytes[..cut]);
        let before = drain::<u32, _>(&mut flow, Plain).unwrap();
        assert!(!before.1);
        flow.close();
        let error = flow.next::<u32, _>(Plain).unwrap_err();
        assert!(matches!(error.kind(), DecodeErrorKind::Truncated { .. }));
    }
    for wrong in [
        // Not the count negated.
        "0100000000000000 01 00000000000000 0100000000000000",
        // The last chunk neither.
        "0000000000000000 0100000000000000",
        // More than 2^31 - 1 elements.
        "0000008000000000 01",
    ] {
        let mut flow = inflow(NDR64);
        flow.push(&hex(wrong));
        drain::<u8, _>(&mut flow, Plain).unwrap_err();
    }
    // Elements without bytes.
    let mut flow = inflow(NDR);
    flow.push(&hex("ffffff7f"));
    drain::<[u8; 0], _>(&mut flow, Plain).unwrap_err();
}

#[test]
fn a_chunk_that_promises_much_costs_what_came() {
    let mut flow = inflow(NDR);
    flow.push(&hex("ffffffff"));
    assert_eq!(drain::<u64, _>(&mut flow, Plain).unwrap(), (vec![], false));
    for _ in 0..1000 {
        flow.push(&[1; 1000]);
        let (items, _) = drain::<u64, _>(&mut flow, Plain).unwrap();
        assert!((124..=126).contains(&items.len()));
        assert!(flow.held() < 16);
    }
}

proptest! {
    #[test]
    fn however_a_stub_is_cut_its_elements_are_the_same(
        front: u16,
        first: Vec<i16>,
        second in proptest::collection::vec((any::<u8>(), any::<i32>()), 0..200),
        behind: u64,
        cuts in proptest::collection::vec(1_usize..40, 1..20),
        at_once in 1_usize..60,
    ) {
        let second: Vec<Pair> = second.into_iter().map(|(a, b)| Pair(a, b)).collect();
        for mode in MODES {
            let mut out = Outflow::new(mode.syntax, mode.order);
            let mut stub = out.put(|w| front.put(w)).unwrap().to_vec();
            for items in first.chunks(at_once) {
                stub.extend(out.items(Plain, items).unwrap());
            }
            stub.extend(out.end().unwrap());
            for items in second.chunks(at_once) {
                stub.extend(out.items(Plain, items).unwrap());
            }
            stub.extend(out.end().unwrap());
            stub.extend(out.put(|w| behind.put(w)).unwrap());
            let (mut rest, mut cuts) = (stub.as_slice(), cuts.iter().cycle());
            let mut flow = inflow(mode);
            let (mut a, mut b, mut ends) = (Vec::new(), Vec::new(), 0);
            let (mut before, mut after) = (None, None);
            while after.is_none() {
                let cut = rest.len().min(*cuts.next().unwrap());
                flow.push(&rest[..cut]);
                rest = &rest[cut..];
                if rest.is_empty() {
                    flow.close();
                }
                if before.is_none() {
                    before = flow.take(&[], |r| r.u16()).unwrap();
                }
                if before.is_some() && ends == 0 {
                    let (items, end) = drain::<i16, _>(&mut flow, Plain).unwrap();
                    a.extend(items);
                    ends += u8::from(end);
                }
                if ends == 1 {
                    let (items, end) = drain::<Pair, _>(&mut flow, Plain).unwrap();
                    b.extend(items);
                    ends += u8::from(end);
                }
                if ends == 2 {
                    after = flow.take(&[], |r| r.u64()).unwrap();
                }
            }
            prop_assert_eq!((before, &a, &b, after), (Some(front), &first, &second, Some(behind)));
            prop_assert_eq!(flow.held(), 0);
        }
    }

    #[test]
    fn a_stream_has_the_bytes_of_a_whole_pipe(items in proptest::collection::vec(any::<u32>(), 1..100)) {
        for mode in MODES {
            let mut out = Outflow::new(mode.syntax, mode.order);
            let streamed = [out.items(Plain, &items).unwrap(), out.end().unwrap()].concat();
            prop_assert_eq!(streamed, put(mode, Chunks(Plain), &Pipe(items.clone())));
        }
    }
}
