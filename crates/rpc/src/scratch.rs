//! Memory that belongs to a thread and is lent to whichever connection works there.

use std::cell::RefCell;

use bytes::BytesMut;

use crate::turn::Turn;

/// Room for one read, in bytes.
const ROOM: usize = 80 << 10;

/// A new buffer is begun when less than this is left in the old one, in bytes.
const LEAST: usize = 32 << 10;

/// A stub's memory is kept for the next one up to this size, in bytes.
const STUB: usize = 64 << 10;

thread_local! {
    static STUBS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static INPUT: RefCell<BytesMut> = RefCell::new(BytesMut::new());
    static TURNS: RefCell<[Option<Box<Turn>>; 2]> = const { RefCell::new([None, None]) };
}

/// Lends the thread's input buffer, with room to read into. It is empty, and the borrower leaves
/// it empty: what it read it splits off.
pub(crate) fn with_input<T>(f: impl FnOnce(&mut BytesMut) -> T) -> T {
    INPUT.with_borrow_mut(|input| {
        // When nobody holds on to what was read, the same memory serves again: it is in the cache.
        if !input.try_reclaim(ROOM) && input.capacity() < LEAST {
            input.reserve(ROOM);
        }
        f(input)
    })
}

/// As [`with_input`], with room for one datagram of `len` bytes.
pub(crate) fn with_datagram<T>(len: usize, f: impl FnOnce(&mut BytesMut) -> T) -> T {
    INPUT.with_borrow_mut(|input| {
        if !input.try_reclaim(ROOM.max(len)) && input.capacity() < len {
            input.reserve(ROOM.max(len));
        }
        f(input)
    })
}

/// Empty memory to pack arguments into.
pub(crate) fn take_stub() -> Vec<u8> {
    STUBS.take()
}

/// Gives such memory back.
pub(crate) fn give_stub(mut stub: Vec<u8>) {
    if stub.capacity() <= STUB {
        stub.clear();
        STUBS.replace(stub);
    }
}

/// An idle turn.
pub(crate) fn take_turn() -> Box<Turn> {
    TURNS
        .with_borrow_mut(|turns| turns.iter_mut().find_map(Option::take))
        .unwrap_or_default()
}

/// Gives an idle turn back.
pub(crate) fn give_turn(turn: Box<Turn>) {
    TURNS.with_borrow_mut(|turns| {
        if let Some(place) = turns.iter_mut().find(|place| place.is_none()) {
            *place = Some(turn);
        }
    });
}
