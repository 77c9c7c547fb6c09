//! Which PDU a client takes when, as a table.
//!
//! Read first: MS-RPCH sections 3.2.2.5.2 to 3.2.2.5.10. The state of opening comes first; once the connection is open,
//! the IN and the OUT channel have states of their own. A Ping may come at any time (real farms send it before CONN/C2),
//! and CONN/C2 is taken where CONN/A3 is waited for: some proxies leave that out.

use crate::rts::Kind;

/// How far the virtual connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// The OUT request is not answered.
    OutChannelWait,
    /// It is; CONN/A3 is to come.
    WaitA3,
    /// CONN/C2 is to come.
    WaitC2,
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
    /// A successor is asked for; IN_R1/A4 or IN_R2/A4 is to come.
    OpenedA4W,
}

/// The OUT channel of a connection that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Out {
    /// Nothing is to come.
    Opened,
    /// A successor is asked for; OUT_R1/A6 or OUT_R2/A6 is to come.
    OpenedA6W,
    /// OUT_R1/A10 is to come.
    OpenedA10W,
    /// OUT_R2/B3 is to come.
    B3W,
}

/// All three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) open: Open,
    pub(super) input: In,
    pub(super) output: Out,
}

/// What to do with a PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// CONN/A3.
    A3,
    /// CONN/C2: the connection stands.
    C2,
    /// A successor of the IN channel stands.
    InA4,
    /// The OUT channel is to be recycled.
    OutA2,
    /// OUT_R1/A6.
    OutR1A6,
    /// OUT_R2/A6.
    OutR2A6,
    /// OUT_R1/A10.
    OutR1A10,
    /// OUT_R2/B3.
    OutR2B3,
    /// Flow control of an IN channel.
    Ack,
    /// Nothing.
    Ignore,
    /// End the connection.
    Violation,
}

/// What a client does with a PDU on its OUT channel.
// req: rpch-3.2.2.5-client-order
pub(super) fn rule(state: State, kind: Kind) -> Rule {
    match (state.open, kind) {
        (Open::Closed, _) | (_, Kind::Ping) => Rule::Ignore,
        (Open::WaitA3, Kind::ConnA3) => Rule::A3,
        (Open::WaitA3 | Open::WaitC2, Kind::ConnC) => Rule::C2,
        (Open::Opened, Kind::FlowControlAck) => Rule::Ack,
        (Open::Opened, Kind::InR1A4 | Kind::InR2A4) if state.input == In::OpenedA4W => Rule::InA4,
        (Open::Opened, _) => out_rule(state.output, kind),
        _ => Rule::Violation,
    }
}

fn out_rule(state: Out, kind: Kind) -> Rule {
    match (state, kind) {
        (Out::Opened, Kind::OutA2) => Rule::OutA2,
        (Out::OpenedA6W, Kind::OutR1A6) => Rule::OutR1A6,
        (Out::OpenedA6W, Kind::OutR2A6) => Rule::OutR2A6,
        (Out::OpenedA10W, Kind::Ance) => Rule::OutR1A10,
        (Out::B3W, Kind::OutR2B3) => Rule::OutR2B3,
        _ => Rule::Violation,
    }
}

/// What a state waits for, for messages.
pub(super) fn waits_for(state: State) -> &'static str {
    match (state.open, state.input, state.output) {
        (Open::OutChannelWait, ..) => "before the answer to the OUT request",
        (Open::WaitA3, ..) => "where CONN/A3 was expected",
        (Open::WaitC2, ..) => "where CONN/C2 was expected",
        (_, _, Out::OpenedA6W) => "where OUT_R1/A6 or OUT_R2/A6 was expected",
        (_, _, Out::OpenedA10W) => "where OUT_R1/A10 was expected",
        (_, _, Out::B3W) => "where OUT_R2/B3 was expected",
        _ => "on an open connection",
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
        let states = [
            (Open::OutChannelWait, In::Opened, Out::Opened),
            (Open::WaitA3, In::Opened, Out::Opened),
            (Open::WaitC2, In::Opened, Out::Opened),
            (Open::Opened, In::Opened, Out::Opened),
            (Open::Opened, In::OpenedA4W, Out::Opened),
            (Open::Opened, In::Opened, Out::OpenedA6W),
            (Open::Opened, In::Opened, Out::OpenedA10W),
            (Open::Opened, In::Opened, Out::B3W),
        ];
        let mut table = String::new();
        for (open, input, output) in states {
            let state = State {
                open,
                input,
                output,
            };
            let taken = kinds.map(|kind| (kind, rule(state, kind)));
            let taken = taken
                .iter()
                .filter(|(_, r)| *r != Rule::Violation && *r != Rule::Ignore);
            let taken: Vec<String> = taken
                .map(|(kind, rule)| format!("{kind} {rule:?}"))
                .collect();
            line(
                &mut table,
                &format!("{open:?} {input:?} {output:?}"),
                &taken,
            );
            assert_eq!(rule(state, Ping), Rule::Ignore);
        }
        let expected = "\
OutChannelWait Opened Opened: 
WaitA3 Opened Opened: CONN/A3 A3, CONN/C1,C2 C2
WaitC2 Opened Opened: CONN/C1,C2 C2
Opened Opened Opened: OUT_R1/A1,A2,OUT_R2/A1,A2 OutA2, FlowControlAck Ack
Opened OpenedA4W Opened: IN_R1/A3,A4 InA4, IN_R2/A3,A4 InA4, OUT_R1/A1,A2,OUT_R2/A1,A2 OutA2, FlowControlAck Ack
Opened Opened OpenedA6W: OUT_R1/A5,A6 OutR1A6, OUT_R2/A5,A6 OutR2A6, FlowControlAck Ack
Opened Opened OpenedA10W: OUT_R1/A9,A10,A11,OUT_R2/B1 OutR1A10, FlowControlAck Ack
Opened Opened B3W: OUT_R2/B3 OutR2B3, FlowControlAck Ack
";
        assert_eq!(table, expected);
    }
}
