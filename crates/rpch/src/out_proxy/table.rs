//! Which PDU an outbound proxy takes when, from either side, as two tables.
//!
//! Read first: MS-RPCH sections 3.2.4.5.2 to 3.2.4.5.12 and 3.2.1.5.2 (forwarding). Of what a server marks for
//! forwarding only what goes to clients is forwarded.

use crate::rts::Kind;

/// How far the proxy's half is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The connection to the server is being made, to establish a virtual connection.
    Connecting,
    /// CONN/C1 is to come.
    C1W,
    /// The connection is being made for a channel that follows another proxy's.
    ConnectingR1,
    /// OUT_R1/A11 is to come.
    A11W,
    /// Calls go through.
    Opened,
    /// A successor is here; OUT_R2/B1 from the server and OUT_R2/C1 from the client are to come.
    B1OrC1W,
    /// OUT_R2/B1 is to come.
    B1W,
    /// OUT_R2/C1 is to come.
    R2C1W,
    /// Another proxy goes on; what is here goes out first.
    Flushing,
    /// It is over.
    Finished,
}

/// What to do with a client's PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FromClient {
    /// OUT_R1/A11: go on for another proxy.
    A11,
    /// OUT_R2/C1: the successor's request is whole.
    C1,
    /// Nothing.
    Ignore,
    /// End the connection.
    Violation,
}

/// What to do with a server's PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FromServer {
    /// CONN/C1: the virtual connection stands.
    C1,
    /// Send it to the client.
    Forward,
    /// OUT_R1/A2 or OUT_R2/A2: the default channel is worn out.
    A2,
    /// Flow control, of the client or for the client.
    Ack,
    /// OUT_R1/A9: another proxy goes on.
    A9,
    /// OUT_R2/B1: the successor goes on.
    B1,
    /// OUT_R2/B2: the successor does not.
    B2,
    /// Nothing.
    Ignore,
    /// End the connection.
    Violation,
}

// req: rpch-3.2.4.5-out-proxy-order
pub(super) fn from_client(state: State, kind: Kind) -> FromClient {
    match (state, kind) {
        (State::Finished, _) | (_, Kind::Ping) => FromClient::Ignore,
        (State::A11W, Kind::Ance) => FromClient::A11,
        (State::B1OrC1W | State::R2C1W, Kind::OutR2C1) => FromClient::C1,
        _ => FromClient::Violation,
    }
}

pub(super) fn from_server(state: State, kind: Kind) -> FromServer {
    use State::{B1OrC1W, B1W, C1W, Connecting, ConnectingR1, Finished, Flushing, Opened, R2C1W};
    match (state, kind) {
        (Finished, _) | (_, Kind::Ping) => FromServer::Ignore,
        (Connecting | ConnectingR1, _) => FromServer::Violation,
        (C1W, Kind::ConnC) => FromServer::C1,
        (C1W, _) => FromServer::Violation,
        (_, Kind::FlowControlAck) => FromServer::Ack,
        (Opened | R2C1W, Kind::OutA2) => FromServer::A2,
        (Opened, Kind::OutR1A6) => FromServer::Forward,
        (B1OrC1W | B1W, Kind::OutR2A6) => FromServer::Forward,
        (Opened, Kind::Ance) => FromServer::A9,
        (B1OrC1W | B1W, Kind::Ance) => FromServer::B1,
        (B1OrC1W | B1W, Kind::OutR2B2) => FromServer::B2,
        (Flushing, _) => FromServer::Violation,
        (_, Kind::InR1A4 | Kind::InR2A4) => FromServer::Forward,
        _ => FromServer::Violation,
    }
}

/// What a state waits for, for messages.
pub(super) fn waits_for(state: State) -> &'static str {
    match state {
        State::Connecting | State::ConnectingR1 => "the connection to the server",
        State::C1W => "CONN/C1",
        State::A11W => "OUT_R1/A11",
        State::B1OrC1W | State::B1W => "OUT_R2/B1",
        State::R2C1W => "OUT_R2/C1",
        State::Flushing => "the client to take what is left",
        State::Opened | State::Finished => "nothing",
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
            State::Connecting,
            State::C1W,
            State::ConnectingR1,
            State::A11W,
            State::Opened,
            State::B1OrC1W,
            State::B1W,
            State::R2C1W,
            State::Flushing,
            State::Finished,
        ];
        let mut table = String::new();
        for state in states {
            let client = kinds.map(|kind| (kind, from_client(state, kind)));
            let client = client
                .iter()
                .filter(|(_, r)| *r != FromClient::Violation && *r != FromClient::Ignore);
            let taken: Vec<String> = client
                .map(|(kind, rule)| format!("{kind} {rule:?}"))
                .collect();
            line(&mut table, &format!("{state:?}, client"), &taken);
            let server = kinds.map(|kind| (kind, from_server(state, kind)));
            let server = server
                .iter()
                .filter(|(_, r)| *r != FromServer::Violation && *r != FromServer::Ignore);
            let taken: Vec<String> = server
                .map(|(kind, rule)| format!("{kind} {rule:?}"))
                .collect();
            line(&mut table, &format!("{state:?}, server"), &taken);
        }
        let expected = "\
Connecting, client: 
Connecting, server: 
C1W, client: 
C1W, server: CONN/C1,C2 C1
ConnectingR1, client: 
ConnectingR1, server: 
A11W, client: OUT_R1/A9,A10,A11,OUT_R2/B1 A11
A11W, server: IN_R1/A3,A4 Forward, IN_R2/A3,A4 Forward, FlowControlAck Ack
Opened, client: 
Opened, server: IN_R1/A3,A4 Forward, IN_R2/A3,A4 Forward, OUT_R1/A1,A2,OUT_R2/A1,A2 A2, OUT_R1/A5,A6 Forward, OUT_R1/A9,A10,A11,OUT_R2/B1 A9, FlowControlAck Ack
B1OrC1W, client: OUT_R2/C1 C1
B1OrC1W, server: IN_R1/A3,A4 Forward, IN_R2/A3,A4 Forward, OUT_R1/A9,A10,A11,OUT_R2/B1 B1, OUT_R2/A5,A6 Forward, OUT_R2/B2 B2, FlowControlAck Ack
B1W, client: 
B1W, server: IN_R1/A3,A4 Forward, IN_R2/A3,A4 Forward, OUT_R1/A9,A10,A11,OUT_R2/B1 B1, OUT_R2/A5,A6 Forward, OUT_R2/B2 B2, FlowControlAck Ack
R2C1W, client: OUT_R2/C1 C1
R2C1W, server: IN_R1/A3,A4 Forward, IN_R2/A3,A4 Forward, OUT_R1/A1,A2,OUT_R2/A1,A2 A2, FlowControlAck Ack
Flushing, client: 
Flushing, server: FlowControlAck Ack
Finished, client: 
Finished, server: 
";
        assert_eq!(table, expected);
    }
}
