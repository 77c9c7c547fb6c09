//! Which sequence numbers of a context were seen: a window that moves with the highest.
//!
//! Read first: RFC 2203 section 5.3.3.1. A number below the window, or one seen before, is dropped without an
//! answer; anything above moves the window. So a number may only be [taken](Window::take) once its call is proved:
//! otherwise anybody could move the window away from its owner.

/// Words of the bitmap.
const WORDS: usize = 32;

/// How many numbers are told apart below the highest: twice what is advertised, so that a client that sends at the
/// edge of its window over several connections loses nothing.
pub const KEPT: u32 = 2048;

/// How far apart a client is told that its numbers may be.
pub const ADVERTISED: u32 = 1024;

/// The numbers seen, up to [`KEPT`] below the highest.
#[derive(Clone, Debug)]
pub struct Window {
    /// The highest number seen; nothing yet if `None`.
    highest: Option<u32>,
    /// Bit `n % KEPT` belongs to the number `n`.
    seen: [u64; WORDS],
}

impl Default for Window {
    fn default() -> Self {
        Self {
            highest: None,
            seen: [0; WORDS],
        }
    }
}

impl Window {
    /// Notes `seq`, whose call was proved; `false` if it is a repetition or too old, and its call must be dropped.
    // req: onc-2203-5.3.3.1-window
    pub fn take(&mut self, seq: u32) -> bool {
        let Some(highest) = self.highest else {
            self.highest = Some(seq);
            return self.mark(seq);
        };
        if seq <= highest {
            return highest.wrapping_sub(seq) < KEPT && self.mark(seq);
        }
        self.forget(highest, seq);
        self.highest = Some(seq);
        self.mark(seq)
    }

    /// Clears the places of the numbers after `highest`, up to `seq`.
    fn forget(&mut self, highest: u32, seq: u32) {
        if seq.wrapping_sub(highest) >= KEPT {
            self.seen = [0; WORDS];
            return;
        }
        for number in highest..seq {
            let (word, bit) = place(number.wrapping_add(1));
            if let Some(word) = self.seen.get_mut(word) {
                *word &= !bit;
            }
        }
    }

    /// Marks a number; `false` if it was marked before.
    fn mark(&mut self, seq: u32) -> bool {
        let (word, bit) = place(seq);
        let Some(word) = self.seen.get_mut(word) else {
            return false;
        };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

/// The word of a number and the bit in it.
fn place(seq: u32) -> (usize, u64) {
    let at = seq % KEPT;
    let word = usize::try_from(at / 64).unwrap_or(0);
    (word, 1_u64 << (at % 64))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn repetitions_and_old_numbers_are_dropped() {
        let mut window = Window::default();
        assert!(window.take(1));
        assert!(!window.take(1));
        assert!(window.take(KEPT));
        assert!(window.take(2), "still inside");
        assert!(window.take(KEPT + 2));
        assert!(!window.take(2), "seen");
        assert!(window.take(3));
        assert!(!window.take(1), "too old");
        assert!(window.take(u32::MAX));
        assert!(!window.take(KEPT + 3));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set_of_all_numbers(steps in proptest::collection::vec((any::<bool>(), 0_u32..5000), 1..400)) {
            let (mut window, mut set) = (Window::default(), BTreeSet::new());
            for (ahead, by) in steps {
                let highest = set.last().copied().unwrap_or(10_000_u32);
                let seq = if ahead { highest + by } else { highest.saturating_sub(by) };
                let old = !set.is_empty() && seq <= highest && highest - seq >= KEPT;
                let wanted = !old && set.insert(seq);
                prop_assert_eq!(window.take(seq), wanted, "{}", seq);
            }
        }
    }
}
