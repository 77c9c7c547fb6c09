//! The transmit queue: what is shared is not copied, what is measured is written, and whatever
//! is taken away in whatever pieces, the stream is the same.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "a test may fail loudly"
)]

use std::io::IoSlice;

use farcall_wire::{Bytes, Encode, EncodeError, Size, TransmitQueue, Writer};
use proptest::prelude::*;

/// A number, shared data and a number behind it.
struct Message(u32, Bytes);

impl Encode for Message {
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(8);
        size.bytes_var(&self.1, 1 << 20)
    }
    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.0);
        w.bytes_var(&self.1);
        w.u32(!self.0);
    }
}

fn expected(Message(number, data): &Message) -> Vec<u8> {
    let mut wire = number.to_be_bytes().to_vec();
    wire.extend((data.len() as u32).to_be_bytes());
    wire.extend(data);
    wire.resize(wire.len().next_multiple_of(4), 0);
    wire.extend((!number).to_be_bytes());
    wire
}

#[test]
fn large_shared_data_is_not_copied() {
    let data = Bytes::from(vec![7; 5001]);
    let mut queue = TransmitQueue::new();
    let message = Message(1, data.clone());
    let len = queue.append(&message).expect("appends");
    assert_eq!((len, queue.len()), (5016, 5016));
    assert_eq!(queue.to_vec(), expected(&message));
    assert!(
        queue.parts().any(|part| part.as_ptr() == data.as_ptr()),
        "it lies where it lay"
    );
}

#[test]
fn what_breaks_a_bound_leaves_the_queue_as_it_was() {
    let mut queue = TransmitQueue::new();
    queue.append(&1_u32).expect("appends");
    let too_long = Message(2, Bytes::from(vec![0; (1 << 20) + 1]));
    assert!(queue.append(&too_long).is_err());
    assert_eq!(queue.to_vec(), 1_u32.to_be_bytes());
}

#[test]
fn an_encoded_queue_is_a_value_itself() {
    let message = Message(3, Bytes::from(vec![9; 9000]));
    let mut inner = TransmitQueue::new();
    inner.append(&message).expect("appends");
    let mut outer = TransmitQueue::new();
    outer.put_slice(b"head");
    outer.append(&inner).expect("appends");
    assert_eq!(
        outer.to_vec(),
        [b"head".to_vec(), expected(&message)].concat()
    );
    assert!(
        outer
            .parts()
            .any(|part| part.as_ptr() == message.1.as_ptr())
    );
}

proptest! {
    #[test]
    fn any_appending_and_taking_gives_the_same_stream(
        sizes in prop::collection::vec(prop_oneof![0_usize..40, 4000_usize..9000], 1..12),
        steps in prop::collection::vec(1_usize..7000, 1..60),
        merge in any::<bool>(),
    ) {
        let messages: Vec<_> = sizes.iter().zip(1..)
            .map(|(size, n)| Message(n, Bytes::from(vec![n as u8; *size]))).collect();
        let want: Vec<u8> = messages.iter().flat_map(expected).collect();
        let (mut queue, mut sent) = (TransmitQueue::new(), Vec::new());
        let mut steps = steps.iter().cycle();
        for message in &messages {
            if merge {
                let mut other = TransmitQueue::new();
                other.append(message).expect("appends");
                queue.append_queue(&mut other);
                prop_assert!(other.is_empty());
            } else {
                queue.append(message).expect("appends");
            }
            take(&mut queue, &mut sent, *steps.next().expect("endless"));
        }
        while !queue.is_empty() {
            take(&mut queue, &mut sent, *steps.next().expect("endless"));
        }
        prop_assert_eq!(queue.len(), 0);
        prop_assert_eq!(sent, want);
    }
}

/// Transmits up to `most` bytes, as a vectored write would.
fn take(queue: &mut TransmitQueue, sent: &mut Vec<u8>, most: usize) {
    let mut slices = [IoSlice::new(&[]); 3];
    let filled = queue.io_slices(&mut slices);
    let offered: Vec<u8> = slices[..filled]
        .iter()
        .flat_map(|part| part.to_vec())
        .collect();
    let taken = most.min(offered.len());
    sent.extend(&offered[..taken]);
    queue.advance(taken);
}
