//! Windows, by the example of the specification and at their edges.

use super::*;

const CHANNEL: Cookie = Cookie([7; 16]);

fn ack(bytes_received: u32, available_window: u32) -> FlowControlAck {
    FlowControlAck {
        bytes_received,
        available_window,
        channel: CHANNEL,
    }
}

// MS-RPCH section 4.2, line by line.
#[test]
fn the_example_of_the_specification() {
    let mut sender = Sender::new(1000);
    let mut receiver = Receiver::new(1000);
    sender.sent(250);
    assert_eq!((sender.available(), sender.in_flight()), (750, 250));
    receiver.arrived(250);
    assert_eq!(receiver.available(), 750);
    receiver.consumed(100);
    let first = receiver.acknowledge(CHANNEL);
    assert_eq!(first, ack(250, 850));
    sender.sent(500);
    assert_eq!(sender.available(), 250);
    sender.acknowledged(&first).unwrap();
    assert_eq!(sender.available(), 350);
    receiver.arrived(500);
    receiver.consumed(200);
    let second = receiver.acknowledge(CHANNEL);
    assert_eq!(second, ack(750, 550));
    sender.acknowledged(&second).unwrap();
    assert_eq!(sender.available(), 550);
    receiver.consumed(450);
    let third = receiver.acknowledge(CHANNEL);
    assert_eq!(third, ack(750, 1000));
    sender.acknowledged(&third).unwrap();
    assert_eq!(sender.available(), 1000);
}

#[test]
fn half_a_window_is_worth_an_acknowledgement() {
    let mut receiver = Receiver::new(64 << 10);
    for _ in 0..8 {
        assert!(!receiver.is_due());
        receiver.arrived(4 << 10);
        receiver.consumed(4 << 10);
    }
    // Exactly half: with less, a sender and a receiver may wait for each other.
    assert!(receiver.is_due());
    receiver.acknowledge(CHANNEL);
    assert!(!receiver.is_due());
}

#[test]
fn a_fragment_that_does_not_fit_is_worth_one_too() {
    let mut receiver = Receiver::new(8 << 10);
    receiver.arrived(4000);
    assert!(!receiver.is_due(), "nothing was consumed");
    receiver.consumed(4000);
    assert!(receiver.is_due());
}

#[test]
fn a_pdu_larger_than_the_window_goes_alone() {
    let mut sender = Sender::new(8192);
    assert!(sender.fits(10_000));
    sender.sent(10_000);
    assert!(!sender.fits(1));
    let mut receiver = Receiver::new(8192);
    receiver.arrived(10_000);
    assert!(!receiver.is_overrun());
    receiver.consumed(10_000);
    sender.acknowledged(&receiver.acknowledge(CHANNEL)).unwrap();
    assert!(sender.fits(8192));
}

#[test]
fn an_overrun_is_noticed() {
    let mut receiver = Receiver::new(8192);
    receiver.arrived(8000);
    assert!(!receiver.is_overrun() && receiver.has_room());
    receiver.arrived(8000);
    assert!(receiver.is_overrun() && !receiver.has_room());
}

#[test]
fn acknowledgements_that_cannot_be_true() {
    let mut sender = Sender::new(8192);
    sender.sent(1000);
    assert!(sender.acknowledged(&ack(1001, 8192)).is_err());
    assert!(sender.acknowledged(&ack(1000, 8193)).is_err());
    // FreeRDP does not count all PDUs.
    assert!(sender.acknowledged(&ack(900, 50)).is_ok());
    assert_eq!(sender.available(), 0);
    assert!(sender.acknowledged(&ack(1000, 8192)).is_ok());
    assert_eq!(sender.available(), 8192);
    // An old one changes nothing.
    assert!(sender.acknowledged(&ack(900, 8192)).is_ok());
    assert_eq!(sender.available(), 8192);
}

#[test]
fn counts_go_round_after_four_gigabytes() {
    let mut sender = Sender::new(1 << 30);
    let mut receiver = Receiver::new(1 << 30);
    for _ in 0..10 {
        sender.sent(1 << 30);
        receiver.arrived(1 << 30);
        receiver.consumed(1 << 30);
        sender.acknowledged(&receiver.acknowledge(CHANNEL)).unwrap();
        assert_eq!(sender.available(), 1 << 30);
    }
}

#[test]
fn who_never_acknowledged_is_given_a_grace_and_who_did_a_limit() {
    let (grace, limit) = (Some(Duration::from_millis(500)), Duration::from_secs(300));
    let now = Instant::now();
    let mut sender = Sender::new(8192);
    sender.sent(8192);
    assert_eq!(sender.patience(now, grace, limit), Patience::Waits);
    sender.stall(now);
    let later = now + Duration::from_millis(500);
    assert_eq!(sender.patience(later, None, limit), Patience::Waits);
    assert_eq!(sender.patience(later, grace, limit), Patience::Relaxes);
    sender.relax();
    assert!(sender.fits(u32::MAX));
    // It did acknowledge after all: its window counts again.
    sender.acknowledged(&ack(4096, 0)).unwrap();
    assert!(!sender.fits(1));
    sender.stall(now);
    assert_eq!(sender.patience(later, grace, limit), Patience::Waits);
    assert_eq!(sender.patience(now + limit, grace, limit), Patience::Ends);
}

#[test]
fn a_full_window_is_no_reason_not_to_read() {
    let mut receiver = Receiver::new(8192);
    receiver.arrived(4096);
    receiver.arrived(4096);
    assert!(receiver.has_room(), "only an acknowledgement can come now");
    receiver.arrived(24);
    assert!(!receiver.has_room());
    // Nor is a PDU that is larger than the window and came alone.
    let mut receiver = Receiver::new(8192);
    receiver.arrived(10_000);
    assert!(receiver.has_room());
}

#[test]
fn who_acknowledges_late_may_catch_up() {
    let mut sender = Sender::new(8192);
    sender.sent(8192);
    sender.stall(Instant::now());
    sender.relax();
    sender.sent(32_768);
    sender.acknowledged(&ack(4096, 8192)).unwrap();
    sender.acknowledged(&ack(8192, 8192)).unwrap();
    assert!(!sender.fits(1));
    sender.acknowledged(&ack(40_960, 8192)).unwrap();
    assert_eq!(sender.available(), 8192);
    // From there on it counts again.
    sender.sent(8192);
    sender.sent(8192);
    sender.sent(8192);
    assert!(sender.acknowledged(&ack(40_960, 8192)).is_err());
}

#[test]
fn the_channel_that_follows_has_the_same_receiver() {
    let mut sender = Sender::new(8192);
    sender.acknowledged(&ack(0, 8192)).unwrap();
    let mut successor = Sender::new(8192);
    successor.follow(&sender);
    assert!(successor.is_heard() && !successor.is_relaxed());
}
