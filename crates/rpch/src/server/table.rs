//! Which PDU a server takes when, on IN and on OUT connections, as two tables.
//!
//! Read first: MS-RPCH sections 3.2.5.5.3 to 3.2.5.5.14 and 3.2.1.5.2 (forwarding). What attaches a connection (CONN/A2,
//! CONN/B2, IN_R1/A2, OUT_R1/A4) is first on it and not in these tables.

use crate::rts::Kind;

/// How far the virtual connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// The IN half is here; CONN/A2 is to come.
    A2W,
    /// The OUT half is here; CONN/B2 is to come.
    B2W,
    /// It stands.
    Opened,
    /// It is over.
    Closed,
}

/// The IN channel of a connection that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum In {
    /// Nothing is to come.
    Opened,
    /// A successor is here; IN_R1/A6 is to come.
    A6W,
    /// IN_R1/B1 is to come.
    OpenedB1W,
}

/// The OUT channel of a connection that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Out {
    /// Nothing is to come.
    Opened,
    /// A successor is asked for; OUT_R1/A4 or OUT_R2/A4 is to come.
    OpenedA4W,
    /// OUT_R1/A8 is to come.
    OpenedA8W,
    /// OUT_R2/A8 is to come.
    OpenedR2A8W,
}

/// What to do with a PDU on the default IN connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnIn {
    /// Flow control: of the client's OUT channel, or to the client.
    Ack,
    /// OUT_R1/A8.
    OutR1A8,
    /// OUT_R2/A8.
    OutR2A8,
    /// IN_R1/A6.
    R1A6,
    /// IN_R1/B1.
    R1B1,
    /// IN_R2/A2.
    R2A2,
    /// Nothing.
    Ignore,
    /// End the connection.
    Violation,
}

/// What to do with a PDU on the default OUT connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnOut {
    /// Flow control.
    Ack,
    /// The outbound proxy sent bytes of its own.
    PingTrafficSent,
    /// OUT_R2/A4.
    R2A4,
    /// Nothing.
    Ignore,
    /// End the connection.
    Violation,
}

// req: rpch-3.2.5.5-server-order
pub(super) fn on_in(open: Open, input: In, output: Out, kind: Kind) -> OnIn {
    match (open, kind) {
        (Open::Closed, _) | (_, Kind::Ping) => return OnIn::Ignore,
        (Open::A2W | Open::B2W, _) => return OnIn::Violation,
        (Open::Opened, _) => {}
    }
    match (input, output, kind) {
        (_, _, Kind::FlowControlAck) => OnIn::Ack,
        (_, Out::OpenedA8W, Kind::OutA8) => OnIn::OutR1A8,
        (_, Out::OpenedR2A8W, Kind::OutA8 | Kind::OutR2A7) => OnIn::OutR2A8,
        (In::Opened, _, Kind::Successor) => OnIn::R2A2,
        (In::A6W, _, Kind::Successor) => OnIn::R1A6,
        (In::OpenedB1W, _, Kind::InR1B1) => OnIn::R1B1,
        _ => OnIn::Violation,
    }
}

pub(super) fn on_out(open: Open, output: Out, kind: Kind) -> OnOut {
    match (open, output, kind) {
        (Open::Closed, ..) | (_, _, Kind::Ping) => OnOut::Ignore,
        (_, _, Kind::PingTrafficSent) => OnOut::PingTrafficSent,
        (Open::Opened, _, Kind::FlowControlAck) => OnOut::Ack,
        (Open::Opened, Out::OpenedA4W, Kind::Successor) => OnOut::R2A4,
        _ => OnOut::Violation,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::enum_glob_use)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// Only what is neither ignored nor a violation.
    fn line(table: &mut String, place: &str, taken: &[String]) {
        writeln!(table, "{place}: {}", taken.join(", ")).unwrap();
    }

    #[test]
    fn the_table_of_pdus() {
        use Kind::*;
        let kinds = [
            ConnA1,
            ConnA2,
            ConnA3,
            ConnB1,
            ConnB2,
            ConnB3,
            ConnC,
            InA1,
            InR1A2,
            InR1A4,
            Successor,
            InR1B1,
            InR1B2,
            InR2A4,
            OutA2,
            OutA3,
            OutR1A4,
            OutR1A6,
            OutA8,
            Ance,
            OutR2A6,
            OutR2A7,
            OutR2B2,
            OutR2B3,
            OutR2C1,
            KeepAlive,
            PingTrafficSent,
            Echo,
            Ping,
            FlowControlAck,
        ];
        let ins = [In::Opened, In::A6W, In::OpenedB1W];
        let outs = [
            Out::Opened,
            Out::OpenedA4W,
            Out::OpenedA8W,
            Out::OpenedR2A8W,
        ];
        let mut table = String::new();
        for input in ins {
            let taken = kinds.map(|kind| (kind, on_in(Open::Opened, input, Out::Opened, kind)));
            let taken = taken
                .iter()
                .filter(|(_, r)| *r != OnIn::Violation && *r != OnIn::Ignore);
            let taken: Vec<String> = taken
                .map(|(kind, rule)| format!("{kind} {rule:?}"))
                .collect();
            line(&mut table, &format!("IN {input:?}"), &taken);
        }
        for output in outs {
            let taken = kinds.map(|kind| (kind, on_in(Open::Opened, In::OpenedB1W, output, kind)));
            let taken = taken
                .iter()
                .filter(|(_, r)| matches!(r, OnIn::OutR1A8 | OnIn::OutR2A8));
            let mut all: Vec<String> = taken
                .map(|(kind, rule)| format!("{kind} {rule:?}"))
                .collect();
            let taken = kinds.map(|kind| (kind, on_out(Open::Opened, output, kind)));
            let taken = taken
                .iter()
                .filter(|(_, r)| *r != OnOut::Violation && *r != OnOut::Ignore);
            all.extend(taken.map(|(kind, rule)| format!("{kind} {rule:?}")));
            line(&mut table, &format!("OUT {output:?}"), &all);
        }
        for open in [Open::A2W, Open::B2W] {
            assert!(kinds.iter().all(|kind| *kind == Ping
                || on_in(open, In::Opened, Out::Opened, *kind) == OnIn::Violation));
        }
        let expected = "\
IN Opened: IN_R1/A5,A6,IN_R2/A2,A5,OUT_R2/A4 R2A2, FlowControlAck Ack
IN A6W: IN_R1/A5,A6,IN_R2/A2,A5,OUT_R2/A4 R1A6, FlowControlAck Ack
IN OpenedB1W: IN_R1/B1 R1B1, FlowControlAck Ack
OUT Opened: PingTrafficSentNotify PingTrafficSent, FlowControlAck Ack
OUT OpenedA4W: IN_R1/A5,A6,IN_R2/A2,A5,OUT_R2/A4 R2A4, PingTrafficSentNotify PingTrafficSent, FlowControlAck Ack
OUT OpenedA8W: OUT_R1/A7,A8,OUT_R2/A8 OutR1A8, PingTrafficSentNotify PingTrafficSent, FlowControlAck Ack
OUT OpenedR2A8W: OUT_R1/A7,A8,OUT_R2/A8 OutR2A8, OUT_R2/A7 OutR2A8, PingTrafficSentNotify PingTrafficSent, FlowControlAck Ack
";
        assert_eq!(table, expected);
    }
}
