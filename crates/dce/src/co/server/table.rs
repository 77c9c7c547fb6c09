//! Which PDU a server takes when: the order of things as two tables.
//!
//! Read first: C706 section 9.3 (the server's state tables) and MS-RPCE section 3.3.1.5. What a row says in a word is
//! done elsewhere; what the word is, is said only here. The tests print both tables.

use crate::pdu::PacketType;

/// How far an association is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing was agreed.
    Unbound,
    /// A bind was accepted.
    Bound,
    /// It is over; only the driver has not closed it yet.
    Closed,
}

/// What to do with a PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Begin the association.
    Bind,
    /// Refuse a second beginning with a `bind_nak`, and close.
    Rebind,
    /// Change the association.
    Alter,
    /// Take a last leg of authentication.
    Auth3,
    /// Take a fragment of a call.
    Request,
    /// Take note of a cancel.
    Cancel,
    /// Give a call up.
    Orphaned,
    /// Answer with a fault that nothing was executed, and close.
    Violation,
    /// Do nothing.
    Ignore,
}

/// What a server does with a PDU.
// req: dce-rpce-order
pub(super) fn rule(state: State, ptype: PacketType) -> Rule {
    match (state, ptype) {
        (State::Closed, _) => Rule::Ignore,
        (State::Unbound, PacketType::BIND) => Rule::Bind,
        (State::Bound, PacketType::BIND) => Rule::Rebind,
        (State::Bound, PacketType::ALTER_CONTEXT) => Rule::Alter,
        (State::Bound, PacketType::AUTH3) => Rule::Auth3,
        (State::Bound, PacketType::REQUEST) => Rule::Request,
        (State::Bound, PacketType::CO_CANCEL) => Rule::Cancel,
        (State::Bound, PacketType::ORPHANED) => Rule::Orphaned,
        _ => Rule::Violation,
    }
}

/// How far a security context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The connection has none of that number.
    Unknown,
    /// Its exchange goes on.
    Exchanging,
    /// It stands.
    Established,
    /// Its exchange failed.
    Poisoned,
}

/// Where a token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leg {
    /// A bind.
    Bind,
    /// An alter_context.
    Alter,
    /// An auth3.
    Auth3,
}

/// What to do with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LegRule {
    /// Begin an exchange.
    Begin,
    /// Go on with it.
    Continue,
    /// Refuse: access denied.
    Denied,
    /// Refuse: a rule of the protocol.
    ProtoError,
}

/// What a server does with a token of an exchange.
// req: dce-rpce-legs
pub(super) fn leg_rule(stage: Stage, leg: Leg) -> LegRule {
    match (stage, leg) {
        (Stage::Unknown, Leg::Bind | Leg::Alter) => LegRule::Begin,
        (Stage::Exchanging, Leg::Alter | Leg::Auth3) => LegRule::Continue,
        (Stage::Established | Stage::Poisoned, Leg::Bind | Leg::Alter) => LegRule::Denied,
        _ => LegRule::ProtoError,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn the_table_of_pdus() {
        let states = [State::Unbound, State::Bound, State::Closed];
        let mut table = String::new();
        for ptype in (0..=21).map(PacketType) {
            let row = states.map(|state| format!("{:?}", rule(state, ptype)));
            writeln!(
                table,
                "{:<18} {:<9} {:<9} {}",
                format!("{ptype}"),
                row[0],
                row[1],
                row[2]
            )
            .unwrap();
        }
        let expected = "\
request            Violation Request   Ignore
ping               Violation Violation Ignore
response           Violation Violation Ignore
fault              Violation Violation Ignore
working            Violation Violation Ignore
nocall             Violation Violation Ignore
reject             Violation Violation Ignore
ack                Violation Violation Ignore
cl_cancel          Violation Violation Ignore
fack               Violation Violation Ignore
cancel_ack         Violation Violation Ignore
bind               Bind      Rebind    Ignore
bind_ack           Violation Violation Ignore
bind_nak           Violation Violation Ignore
alter_context      Violation Alter     Ignore
alter_context_resp Violation Violation Ignore
auth3              Violation Auth3     Ignore
shutdown           Violation Violation Ignore
co_cancel          Violation Cancel    Ignore
orphaned           Violation Orphaned  Ignore
rts                Violation Violation Ignore
PTYPE 21           Violation Violation Ignore
";
        assert_eq!(table, expected);
    }

    #[test]
    fn the_table_of_legs() {
        let stages = [
            Stage::Unknown,
            Stage::Exchanging,
            Stage::Established,
            Stage::Poisoned,
        ];
        let mut table = String::new();
        for leg in [Leg::Bind, Leg::Alter, Leg::Auth3] {
            let row = stages.map(|stage| format!("{:?}", leg_rule(stage, leg)));
            writeln!(table, "{leg:?}: {}", row.join(" ")).unwrap();
        }
        let expected = "\
Bind: Begin ProtoError Denied Denied
Alter: Begin Continue Denied Denied
Auth3: ProtoError Continue ProtoError ProtoError
";
        assert_eq!(table, expected);
    }
}
