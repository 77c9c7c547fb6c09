//! Flow control of one hop: a receiver with a window, and a sender that stays within it.
//!
//! Read first: MS-RPCH sections 3.2.1.1.4, 3.2.1.1.5, 3.2.1.4.1 and 3.2.1.5.1, and the example of section 4.2. Only RPC
//! PDUs count. Numbers of bytes go round after 4 GiB, so that a leg may outlive the channels that it serves.
//!
//! An acknowledgement is worth sending when half of the window is free again, and also when a whole fragment no longer
//! fits what the sender may send: otherwise both wait, if fragments are larger than half of the window.

use crate::rts::{Cookie, FlowControlAck};
use std::time::{Duration, Instant};

/// The smallest fragment that a receiver makes room for, in bytes: what Windows sends unless it is asked not to.
const FRAGMENT: u32 = 5840;

/// The receiving side of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    window: u32,
    /// Bytes that arrived and are not consumed.
    held: u32,
    /// `BytesReceived`.
    received: u32,
    /// `AvailableWindowAdvertised`: what the sender may send, as far as we told it.
    advertised: u32,
    /// The largest PDU.
    largest: u32,
    overrun: bool,
}

impl Receiver {
    /// A receiver with this window, in bytes.
    #[must_use]
    pub fn new(window: u32) -> Self {
        Self {
            window,
            held: 0,
            received: 0,
            advertised: window,
            largest: 0,
            overrun: false,
        }
    }

    /// A PDU arrived.
    // req: rpch-3.2.1.5.1.1-receive
    pub fn arrived(&mut self, len: u32) {
        // A PDU that is larger than the window may come alone.
        let alone = self.held == 0 && self.advertised == self.window;
        self.overrun |= len > self.advertised && !alone;
        self.held = self.held.saturating_add(len);
        self.received = self.received.wrapping_add(len);
        self.advertised = self.advertised.saturating_sub(len);
        self.largest = self.largest.max(len);
    }

    /// A PDU was consumed: a higher layer, or the next hop, has it.
    pub fn consumed(&mut self, len: u32) {
        self.held = self.held.saturating_sub(len);
    }

    /// Whether an acknowledgement is worth sending.
    #[must_use]
    pub fn is_due(&self) -> bool {
        let free = self.available().saturating_sub(self.advertised);
        free > 0 && (free >= self.window / 2 || self.is_tight())
    }

    /// Whether the sender may be unable to send its next fragment.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.advertised < self.largest.max(FRAGMENT).min(self.window)
    }

    /// The acknowledgement of what arrived so far.
    pub fn acknowledge(&mut self, channel: Cookie) -> FlowControlAck {
        self.advertised = self.available();
        FlowControlAck {
            bytes_received: self.received,
            available_window: self.advertised,
            channel,
        }
    }

    /// Bytes free in the window.
    #[must_use]
    pub fn available(&self) -> u32 {
        self.window.saturating_sub(self.held)
    }

    /// Bytes that arrived and are not consumed.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Whether the sender ever sent more than it may.
    #[must_use]
    pub fn is_overrun(&self) -> bool {
        self.overrun
    }

    /// Whether more should be read: the sender is within its window. When that is full it sends no call, but what comes
    /// then may be the acknowledgement that makes room.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.held <= self.window.max(self.largest)
    }

    /// Most bytes that are to be held of all channels that one connection had after each other. One that follows begins
    /// with a whole window while its predecessor's PDUs may still wait.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.window.max(u32::from(u16::MAX)).saturating_mul(2)
    }
}

/// The sending side of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    window: u32,
    /// `BytesSent`.
    sent: u32,
    /// `BytesReceived` and `AvailableWindow` of the last acknowledgement.
    acknowledged: u32,
    granted: u32,
    /// Whether any acknowledgement came.
    heard: bool,
    /// The peer is taken for one that never acknowledges.
    relaxed: bool,
    /// `BytesSent` when a peer that was taken for one did acknowledge: up to there nobody kept to its window.
    mark: Option<u32>,
    stalled: Option<Instant>,
}

/// Why an acknowledgement cannot be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untrue(pub &'static str);

/// What becomes of a sender that has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It waits on, or for nothing.
    Waits,
    /// It sends from now on as the transport allows.
    Relaxes,
    /// It has waited long enough.
    Ends,
}

impl Sender {
    /// A sender toward a receiver that advertised this window, in bytes.
    #[must_use]
    pub fn new(window: u32) -> Self {
        Self {
            window,
            sent: 0,
            acknowledged: 0,
            granted: window,
            heard: false,
            relaxed: false,
            mark: None,
            stalled: None,
        }
    }

    /// What is known of the receiver's manners is also true of this sender, for the channel that follows.
    pub fn follow(&mut self, predecessor: &Self) {
        self.heard |= predecessor.heard;
        self.relaxed = predecessor.relaxed;
    }

    /// `AvailableWindow`: bytes that may be sent.
    #[must_use]
    pub fn available(&self) -> u32 {
        self.granted.saturating_sub(self.in_flight())
    }

    /// Bytes sent that are not acknowledged.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.sent.wrapping_sub(self.acknowledged)
    }

    /// Whether a PDU may be sent. One that is larger than the window goes alone.
    // req: rpch-3.2.1.4.1.3-dequeue
    #[must_use]
    pub fn fits(&self, len: u32) -> bool {
        self.relaxed || self.available() >= len || self.available() >= self.window
    }

    /// A PDU was sent.
    pub fn sent(&mut self, len: u32) {
        self.sent = self.sent.wrapping_add(len);
        self.stalled = None;
    }

    /// Whether a PDU waits that does not fit.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// A PDU waits that does not fit.
    pub fn stall(&mut self, now: Instant) {
        self.stalled.get_or_insert(now);
    }

    /// An acknowledgement came.
    ///
    /// # Errors
    /// [`Untrue`]: it is an invalid PDU. Some peers do not count all PDUs, so that by the formula their window may be a
    /// little below nothing; that is taken as nothing.
    // req: rpch-3.2.1.5.1.2-acknowledge
    pub fn acknowledged(&mut self, ack: &FlowControlAck) -> Result<(), Untrue> {
        let in_flight = self.sent.wrapping_sub(ack.bytes_received);
        if in_flight > u32::MAX / 2 {
            return Err(Untrue("acknowledges bytes that were not sent"));
        }
        if ack.available_window > self.window {
            return Err(Untrue("advertises more than its receive window"));
        }
        let below = in_flight.saturating_sub(ack.available_window);
        if std::mem::take(&mut self.relaxed) {
            self.mark = Some(self.sent);
        }
        let received = ack.bytes_received;
        if self.mark.is_some_and(|mark| !precedes(received, mark)) {
            self.mark = None;
        }
        if below > self.window && self.mark.is_none() && !self.is_behind(ack) {
            return Err(Untrue("takes more of its receive window than there is"));
        }
        self.heard = true;
        if !self.is_behind(ack) {
            self.acknowledged = ack.bytes_received;
            self.granted = ack.available_window;
            self.stalled = None;
        }
        Ok(())
    }

    /// Whether an acknowledgement is older than one that came.
    fn is_behind(&self, ack: &FlowControlAck) -> bool {
        precedes(ack.bytes_received, self.acknowledged)
    }

    /// Whether the peer ever acknowledged.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.heard
    }

    /// Whether the peer is taken for one that never acknowledges.
    #[must_use]
    pub fn is_relaxed(&self) -> bool {
        self.relaxed
    }

    /// Sends as the transport allows: the peer never acknowledges.
    pub fn relax(&mut self) {
        self.relaxed = true;
        self.stalled = None;
    }

    /// When patience ends next. `grace`: how long a peer that never acknowledged is given.
    #[must_use]
    pub fn deadline(&self, grace: Option<Duration>, limit: Duration) -> Option<Instant> {
        let wait = match grace {
            Some(grace) if !self.heard => grace.min(limit),
            _ => limit,
        };
        self.stalled?.checked_add(wait)
    }

    /// What is to become of the sender now.
    #[must_use]
    pub fn patience(&self, now: Instant, grace: Option<Duration>, limit: Duration) -> Patience {
        match self.deadline(grace, limit) {
            Some(at) if at <= now && grace.is_some() && !self.heard => Patience::Relaxes,
            Some(at) if at <= now => Patience::Ends,
            _ => Patience::Waits,
        }
    }
}

/// Whether one number of bytes is before another; they go round.
fn precedes(one: u32, other: u32) -> bool {
    other.wrapping_sub(one).wrapping_sub(1) < u32::MAX / 2
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
mod tests;
