//! The calls of a connection that were handed out and not answered.
//!
//! Read first: C706 sections 9.3.3.3 and 12.6.4.2 (call ids, cancels, orphans). The numbers stand apart from what is
//! known of each, so that looking for one is looking through a few bytes.

/// What is known of a call in flight.
#[derive(Debug)]
pub(super) struct Note {
    /// Tells this call from one that had its number before.
    serial: u32,
    /// How many cancels came for it.
    pub(super) cancels: u8,
    /// What became of a response that goes in parts.
    pub(super) response: Option<Box<Begun>>,
}

/// A response that goes in parts.
#[derive(Debug, Default)]
pub(super) struct Begun {
    /// A fragment of it has gone.
    pub(super) begun: bool,
    /// What did not fill a fragment yet.
    pub(super) rest: Vec<u8>,
}

/// The calls in flight, in no order.
#[derive(Debug, Default)]
pub(super) struct Calls {
    ids: Vec<u32>,
    notes: Vec<Note>,
    serial: u32,
}

impl Calls {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    #[inline]
    pub(super) fn contains(&self, id: u32) -> bool {
        self.ids.contains(&id)
    }

    /// Begins a call and returns its serial number.
    #[inline]
    pub(super) fn begin(&mut self, id: u32) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        self.ids.push(id);
        self.notes.push(Note {
            serial,
            cancels: 0,
            response: None,
        });
        serial
    }

    /// Ends a call. Returns what is known of it, or `None` if nobody waits for its reply.
    #[inline]
    pub(super) fn end(&mut self, id: u32, serial: u32) -> Option<Note> {
        let at = self.ids.iter().position(|own| *own == id)?;
        if self.notes.get(at)?.serial != serial {
            return None;
        }
        self.ids.swap_remove(at);
        Some(self.notes.swap_remove(at))
    }

    /// What is known of a call that somebody waits for.
    pub(super) fn note(&mut self, id: u32, serial: u32) -> Option<&mut Note> {
        let at = self.ids.iter().position(|own| *own == id)?;
        let note = self.notes.get_mut(at)?;
        (note.serial == serial).then_some(note)
    }

    /// Counts a cancel; false if there is no such call.
    pub(super) fn cancel(&mut self, id: u32) -> bool {
        let place = self.ids.iter().position(|own| *own == id);
        let note = place.and_then(|at| self.notes.get_mut(at));
        note.is_some_and(|note| {
            note.cancels = note.cancels.saturating_add(1);
            true
        })
    }

    /// Forgets a call that nobody waits for any more; false if there is no such call.
    pub(super) fn orphan(&mut self, id: u32) -> bool {
        let place = self.ids.iter().position(|own| *own == id);
        place.is_some_and(|at| {
            self.remove(at);
            true
        })
    }

    #[inline]
    fn remove(&mut self, at: usize) {
        self.ids.swap_remove(at);
        self.notes.swap_remove(at);
    }
}
