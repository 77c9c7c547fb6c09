//! The calls of a connection that were handed out and not answered.
//!
//! Read first: C706 sections 9.3.3.3 and 12.6.4.2 (call ids, cancels, orphans). The numbers stand apart from what is
//! known of each, so that looking for one is looking through a few bytes.

/// What is known of a call in flight.
#[derive(Clone, Copy, Debug, Default)]
struct Note {
    cancels: u8,
    orphaned: bool,
}

/// The calls in flight, in no order.
#[derive(Debug, Default)]
pub(super) struct Calls {
    ids: Vec<u32>,
    notes: Vec<Note>,
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

    #[inline]
    pub(super) fn begin(&mut self, id: u32) {
        self.ids.push(id);
        self.notes.push(Note::default());
    }

    /// Ends a call. Returns how many cancels came for it, or `None` if nobody waits for its reply.
    #[inline]
    pub(super) fn end(&mut self, id: u32) -> Option<u8> {
        let at = self.ids.iter().position(|own| *own == id)?;
        self.ids.swap_remove(at);
        let note = self.notes.swap_remove(at);
        (!note.orphaned).then_some(note.cancels)
    }

    /// Counts a cancel; false if there is no such call.
    pub(super) fn cancel(&mut self, id: u32) -> bool {
        self.note(id).is_some_and(|note| {
            note.cancels = note.cancels.saturating_add(1);
            true
        })
    }

    /// Notes that nobody waits any more; false if there is no such call, or it was known.
    pub(super) fn orphan(&mut self, id: u32) -> bool {
        self.note(id)
            .is_some_and(|note| !std::mem::replace(&mut note.orphaned, true))
    }

    fn note(&mut self, id: u32) -> Option<&mut Note> {
        let at = self.ids.iter().position(|own| *own == id)?;
        self.notes.get_mut(at)
    }
}
