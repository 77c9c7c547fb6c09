//! What an inspector knows, on its way to the proxy that goes on with the client's channel.
//!
//! Calls that are under way are not in it: their answers come through whoever sends to the client. Everything that decides about a call is.

use farcall_dce::security::{AuthLevel, AuthType};
use farcall_dce::syntax::{Order, SyntaxId, Uuid};
use serde::{Deserialize, Serialize};

use super::{Fate, Inspector, MAX_CONTEXTS, MAX_SECURITY, Partial, Presented, Secured};

/// What an inspector knows of an association.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    big_endian: Option<bool>,
    bound: bool,
    presented: Vec<Context>,
    secured: Vec<Security>,
    explicit: bool,
    partial: Option<Part>,
    signs_headers: bool,
}

/// A presentation context: its number, its interface, and whether the server has taken it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Context {
    id: u16,
    uuid: [u8; 16],
    major: u16,
    minor: u16,
    accepted: bool,
}

/// A security context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Security {
    id: u32,
    kind: u8,
    level: u8,
    spent: bool,
}

/// A call of which more fragments are to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    call_id: u32,
    context_id: u16,
    opnum: u16,
    fate: Way,
}

/// Where its fragments go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    Forward,
    Swallow,
    Mask,
}

impl Inspector {
    /// What it knows.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let context = |it: &Presented| Context {
            id: it.id,
            uuid: it.interface.uuid.to_bytes_be(),
            major: it.interface.major,
            minor: it.interface.minor,
            accepted: it.accepted,
        };
        let security = |it: &Secured| Security {
            id: it.id,
            kind: it.auth_type.0,
            level: it.level.0,
            spent: it.spent,
        };
        let part = |it: Partial| Part {
            call_id: it.call_id,
            context_id: it.context_id,
            opnum: it.opnum,
            fate: match it.fate {
                Fate::Forward => Way::Forward,
                Fate::Swallow => Way::Swallow,
                Fate::Mask => Way::Mask,
            },
        };
        Snapshot {
            big_endian: self.order.map(|order| order == Order::Big),
            bound: self.bound,
            presented: self.presented.iter().map(context).collect(),
            secured: self.secured.iter().map(security).collect(),
            explicit: self.explicit,
            partial: self.partial.map(part),
            signs_headers: self.signs_headers,
        }
    }

    /// Goes on where another has stopped. What the server answers may come by another way.
    ///
    /// `None`: more than any inspector knows.
    #[must_use]
    pub fn resume(snapshot: &Snapshot) -> Option<Self> {
        if snapshot.presented.len() > MAX_CONTEXTS || snapshot.secured.len() > MAX_SECURITY {
            return None;
        }
        let context = |it: &Context| Presented {
            id: it.id,
            interface: SyntaxId {
                uuid: Uuid::from_bytes_be(it.uuid),
                major: it.major,
                minor: it.minor,
            },
            accepted: it.accepted,
        };
        let security = |it: &Security| Secured {
            id: it.id,
            auth_type: AuthType(it.kind),
            level: AuthLevel(it.level),
            spent: it.spent,
        };
        let partial = |it: &Part| Partial {
            call_id: it.call_id,
            context_id: it.context_id,
            opnum: it.opnum,
            fate: match it.fate {
                Way::Forward => Fate::Forward,
                Way::Swallow => Fate::Swallow,
                Way::Mask => Fate::Mask,
            },
        };
        let order = |big| if big { Order::Big } else { Order::Little };
        Some(Self {
            order: snapshot.big_endian.map(order),
            bound: snapshot.bound,
            presented: snapshot.presented.iter().map(context).collect(),
            secured: snapshot.secured.iter().map(security).collect(),
            explicit: snapshot.explicit,
            partial: snapshot.partial.as_ref().map(partial),
            signs_headers: snapshot.signs_headers,
            alone: true,
            ..Self::default()
        })
    }
}
