//! Which PDU a client takes when, as a table.
//!
//! Read first: C706 section 9.3 (the client's state tables). A PDU that is not in the table ends the association: a
//! request among them, since this protocol has no callbacks over an association (MS-RPCE section 3.3.2.5).

use crate::pdu::PacketType;

/// How far an association is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing was sent.
    Idle,
    /// A bind, or a leg of its authentication, is unanswered.
    Binding,
    /// It stands, and nothing but calls is unanswered.
    Bound,
    /// It stands; an alter_context is unanswered.
    Altering,
    /// It is over; only the driver has not closed it yet.
    Closed,
}

/// What to do with a PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The server's consent to a bind.
    Ack,
    /// Its refusal.
    Nak,
    /// The answer to an alter_context.
    AlterAck,
    /// A fragment of a call's results.
    Response,
    /// A status: for a call, or for what is unanswered.
    Fault,
    /// The server would like to close.
    Shutdown,
    /// End the association.
    Violation,
    /// Do nothing.
    Ignore,
}

/// What a client does with a PDU.
// req: dce-rpce-client-order
pub(super) fn rule(state: State, ptype: PacketType) -> Rule {
    use State::{Altering, Binding, Bound, Closed};
    match (state, ptype) {
        (Closed, _) => Rule::Ignore,
        (Binding, PacketType::BIND_ACK) => Rule::Ack,
        (Binding, PacketType::BIND_NAK) => Rule::Nak,
        (Binding | Altering, PacketType::ALTER_CONTEXT_RESP) => Rule::AlterAck,
        (Bound | Altering, PacketType::RESPONSE) => Rule::Response,
        (Binding | Bound | Altering, PacketType::FAULT) => Rule::Fault,
        (Bound | Altering, PacketType::SHUTDOWN) => Rule::Shutdown,
        _ => Rule::Violation,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn the_table_of_pdus() {
        let states = [
            State::Idle,
            State::Binding,
            State::Bound,
            State::Altering,
            State::Closed,
        ];
        let mut table = String::new();
        for ptype in [0, 2, 3, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20].map(PacketType) {
            let row = states.map(|state| format!("{:?}", rule(state, ptype)));
            writeln!(table, "{ptype}: {}", row.join(" ")).unwrap();
        }
        let expected = "\
request: Violation Violation Violation Violation Ignore
response: Violation Violation Response Response Ignore
fault: Violation Fault Fault Fault Ignore
bind: Violation Violation Violation Violation Ignore
bind_ack: Violation Ack Violation Violation Ignore
bind_nak: Violation Nak Violation Violation Ignore
alter_context: Violation Violation Violation Violation Ignore
alter_context_resp: Violation AlterAck Violation AlterAck Ignore
auth3: Violation Violation Violation Violation Ignore
shutdown: Violation Violation Shutdown Shutdown Ignore
co_cancel: Violation Violation Violation Violation Ignore
orphaned: Violation Violation Violation Violation Ignore
rts: Violation Violation Violation Violation Ignore
";
        assert_eq!(table, expected);
    }
}
