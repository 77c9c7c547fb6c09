//! The calls of a client that are pending, found by their number in one step.
//!
//! Read first: C706 section 12.6.3.1 (`call_id`). Numbers are a full 32-bit counter from a random start; a call's slot is
//! its number modulo a power of two, at most half of them busy. A number is not used while its slot is. This file does
//! not know what a call is.

/// Slots at the beginning.
const FIRST: usize = 16;

/// Something under a number.
#[derive(Debug)]
struct Slot<P> {
    id: u32,
    pending: P,
}

/// Pending calls.
#[derive(Debug)]
pub(super) struct Slots<P> {
    next: u32,
    slots: Vec<Option<Slot<P>>>,
    busy: usize,
}

impl<P> Slots<P> {
    /// None; numbers begin with `first`.
    pub(super) fn new(first: u32) -> Self {
        Self {
            next: first,
            slots: Vec::new(),
            busy: 0,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.busy
    }

    /// A number that nothing pending has, and that was not used for long.
    #[inline]
    pub(super) fn draw(&mut self) -> u32 {
        if self.busy.saturating_mul(2) >= self.slots.len() {
            self.grow();
        }
        let mut id = self.next;
        while matches!(self.slots.get(self.place(id)), Some(Some(_))) {
            id = id.wrapping_add(1);
        }
        self.next = id.wrapping_add(1);
        id
    }

    /// Puts something under a number that was just drawn.
    #[inline]
    pub(super) fn put(&mut self, id: u32, pending: P) {
        let place = self.place(id);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Some(Slot { id, pending });
            self.busy = self.busy.saturating_add(1);
        }
    }

    #[inline]
    pub(super) fn get(&mut self, id: u32) -> Option<&mut P> {
        let place = self.place(id);
        let slot = self.slots.get_mut(place)?.as_mut()?;
        (slot.id == id).then_some(&mut slot.pending)
    }

    #[inline]
    pub(super) fn take(&mut self, id: u32) -> Option<P> {
        let place = self.place(id);
        let slot = self.slots.get_mut(place)?.take_if(|slot| slot.id == id)?;
        self.busy = self.busy.saturating_sub(1);
        Some(slot.pending)
    }

    /// The numbers of what is pending.
    pub(super) fn ids(&self) -> Vec<u32> {
        self.slots.iter().flatten().map(|slot| slot.id).collect()
    }

    #[inline]
    fn place(&self, id: u32) -> usize {
        usize::try_from(id).unwrap_or(usize::MAX) & self.slots.len().wrapping_sub(1)
    }

    /// Twice as many slots. What is in different slots stays in different slots.
    #[cold]
    fn grow(&mut self) {
        let len = self.slots.len().saturating_mul(2).max(FIRST);
        let old = std::mem::take(&mut self.slots);
        self.slots.resize_with(len, || None);
        for slot in old.into_iter().flatten() {
            let place = self.place(slot.id);
            if let Some(to) = self.slots.get_mut(place) {
                *to = Some(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn slots_are_a_map_whose_numbers_do_not_come_back_soon() {
        let (mut slots, mut model) = (Slots::new(u32::MAX - 20), HashMap::new());
        let mut last = None;
        for round in 0..2_000_u32 {
            let id = slots.draw();
            assert_ne!(Some(id), last);
            last = Some(id);
            slots.put(id, round);
            assert_eq!(model.insert(id, round), None);
            if round % 3 != 0 {
                let some = model.keys().min().copied();
                let expected = some.and_then(|id| model.remove(&id));
                assert_eq!(some.and_then(|id| slots.take(id)), expected);
            }
            assert_eq!(slots.len(), model.len());
        }
        let mut ids = slots.ids();
        ids.sort_unstable();
        for id in ids {
            assert_eq!(slots.get(id).copied(), model.remove(&id));
        }
        assert!(model.is_empty());
    }
}
