//! Which PDU an inbound proxy takes when, from either side, as two tables.
//!
//! Read first: MS-RPCH sections 3.2.3.5.2 to 3.2.3.5.8 and 3.2.1.5.2 (forwarding). Of what a client marks for
//! forwarding only what a client has to say is forwarded.

use crate::rts::Kind;

/// How far the proxy's half is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The connection to the server is being made, to establish a virtual connection.
    Connecting,
    /// CONN/B3 is to come.
    B3W,
    /// The same two for a channel that follows another proxy's.
    ConnectingR1,
    /// IN_R1/B2 is to come.
    WaitB2,
    /// Calls go through.
    Opened,
    /// A successor is here; IN_R2/A5 is to come.
    OpenedA5W,
    /// Another proxy goes on; what is here goes out first.
    Flushing,
    /// IN_R1/B1 is said; the server is to close.
    Leaving,
    /// It is over.
    Finished,
}

/// What to do with a client's PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FromClient {
    /// Send it to the server, for whom or through whom it goes.
    Forward,
    /// Look after the server's connection more or less often.
    KeepAlive,
    /// IN_R1/A5: another proxy goes on.
    R1A5,
    /// IN_R2/A5: the successor goes on.
    R2A5,
    /// Nothing.
    Ignore,
    /// End the connection.
    Violation,
}

/// What to do with a server's PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FromServer {
    /// CONN/B3 or IN_R1/B2: calls may go to the server.
    Unplug,
    /// Flow control.
    Ack,
    /// Nothing.
    Ignore,
    /// End the connection.
    Violation,
}

// req: rpch-3.2.3.5-in-proxy-order
pub(super) fn from_client(state: State, kind: Kind) -> FromClient {
    use State::{Finished, Flushing, Leaving, Opened, OpenedA5W};
    match (state, kind) {
        (Finished, _) | (_, Kind::Ping) => FromClient::Ignore,
        (Flushing | Leaving, _) => FromClient::Violation,
        (_, Kind::KeepAlive) => FromClient::KeepAlive,
        (State::Connecting | State::B3W, _) => FromClient::Violation,
        (_, Kind::FlowControlAck | Kind::OutA8 | Kind::OutR2A7) => FromClient::Forward,
        (Opened, Kind::Successor) => FromClient::R1A5,
        (OpenedA5W, Kind::Successor) => FromClient::R2A5,
        _ => FromClient::Violation,
    }
}

pub(super) fn from_server(state: State, kind: Kind) -> FromServer {
    use State::{B3W, Connecting, ConnectingR1, Finished, Leaving, WaitB2};
    match (state, kind) {
        (Finished | Leaving, _) | (_, Kind::Ping) => FromServer::Ignore,
        (Connecting | ConnectingR1, _) => FromServer::Violation,
        (B3W, Kind::ConnB3) | (WaitB2, Kind::InR1B2) => FromServer::Unplug,
        (_, Kind::FlowControlAck) => FromServer::Ack,
        _ => FromServer::Violation,
    }
}

/// What a state waits for, for messages.
pub(super) fn waits_for(state: State) -> &'static str {
    match state {
        State::Connecting | State::ConnectingR1 => "the connection to the server",
        State::B3W => "CONN/B3",
        State::WaitB2 => "IN_R1/B2",
        State::OpenedA5W => "IN_R2/A5",
        State::Flushing => "the server to take what is left",
        State::Leaving => "the server to close",
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
            State::B3W,
            State::ConnectingR1,
            State::WaitB2,
            State::Opened,
            State::OpenedA5W,
            State::Flushing,
            State::Leaving,
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
Connecting, client: Keep-Alive KeepAlive
Connecting, server: 
B3W, client: Keep-Alive KeepAlive
B3W, server: CONN/B3 Unplug, FlowControlAck Ack
ConnectingR1, client: OUT_R1/A7,A8,OUT_R2/A8 Forward, OUT_R2/A7 Forward, Keep-Alive KeepAlive, FlowControlAck Forward
ConnectingR1, server: 
WaitB2, client: OUT_R1/A7,A8,OUT_R2/A8 Forward, OUT_R2/A7 Forward, Keep-Alive KeepAlive, FlowControlAck Forward
WaitB2, server: IN_R1/B2 Unplug, FlowControlAck Ack
Opened, client: IN_R1/A5,A6,IN_R2/A2,A5,OUT_R2/A4 R1A5, OUT_R1/A7,A8,OUT_R2/A8 Forward, OUT_R2/A7 Forward, Keep-Alive KeepAlive, FlowControlAck Forward
Opened, server: FlowControlAck Ack
OpenedA5W, client: IN_R1/A5,A6,IN_R2/A2,A5,OUT_R2/A4 R2A5, OUT_R1/A7,A8,OUT_R2/A8 Forward, OUT_R2/A7 Forward, Keep-Alive KeepAlive, FlowControlAck Forward
OpenedA5W, server: FlowControlAck Ack
Flushing, client: 
Flushing, server: FlowControlAck Ack
Leaving, client: 
Leaving, server: 
Finished, client: 
Finished, server: 
";
        assert_eq!(table, expected);
    }
}
