//! What an interface file (`.idl`) says of an interface, as constants in generated code.
//!
//! Read first: C706 chapter 6 (interface and operation attributes) and section 3.1 (UUIDs and
//! versions of interfaces). What a program is to ONC RPC, an interface is to DCE/RPC; its
//! operations are known by their place in it, the operation number.

use std::fmt;

use farcall_dce::syntax::SyntaxId;
use farcall_wire::Uuid;

/// An interface as the interface file describes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Interface {
    /// The interface's identity.
    pub uuid: Uuid,
    /// Major version: a server must have this one.
    pub major: u16,
    /// Minor version: a server must have this one or a higher one.
    pub minor: u16,
    /// The interface's name in the interface file.
    pub name: &'static str,
    /// The operations, by rising number.
    pub operations: &'static [Operation],
    /// The string bindings of its `endpoint` attribute: where servers are expected that are not
    /// found otherwise. Often empty.
    pub endpoints: &'static [&'static str],
}

/// An operation as the interface file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The operation's number.
    pub opnum: u16,
    /// The operation's name in the interface file.
    pub name: &'static str,
    /// Running it twice is as good as running it once. Default false.
    pub idempotent: bool,
    /// It may block its thread, so it runs on a pool. Default false.
    pub blocking: bool,
    /// It may be sent to all servers of a network at once. Default false.
    pub broadcast: bool,
    /// The caller wants no answer, and does not learn whether it ran. Default false.
    pub maybe: bool,
    /// How many of its arguments are pipes. Default 0.
    pub in_pipes: u8,
    /// How many of its results are pipes. Default 0.
    pub out_pipes: u8,
}

impl Interface {
    /// The operation with this number, if the interface has it.
    pub fn operation(&self, opnum: u16) -> Option<&Operation> {
        let at = self
            .operations
            .binary_search_by_key(&opnum, |operation| operation.opnum)
            .ok()?;
        self.operations.get(at)
    }

    /// Its name as a bind has it.
    pub(crate) fn syntax_id(&self) -> SyntaxId {
        SyntaxId {
            uuid: self.uuid,
            major: self.major,
            minor: self.minor,
        }
    }

    /// `rpcecho.echo_AddOne`, or the number if the interface does not name it.
    pub fn operation_name(&self, opnum: u16) -> String {
        match self.operation(opnum) {
            Some(operation) => format!("{}.{}", self.name, operation.name),
            None => format!("{}.{opnum}", self.name),
        }
    }
}

impl Operation {
    /// An operation without any property.
    pub const fn new(opnum: u16, name: &'static str) -> Self {
        Self {
            opnum,
            name,
            idempotent: false,
            blocking: false,
            broadcast: false,
            maybe: false,
            in_pipes: 0,
            out_pipes: 0,
        }
    }

    /// The same, [`idempotent`](Self::idempotent).
    #[must_use]
    pub const fn idempotent(self) -> Self {
        Self {
            idempotent: true,
            ..self
        }
    }

    /// The same, [`broadcast`](Self::broadcast).
    #[must_use]
    pub const fn broadcast(self) -> Self {
        Self {
            broadcast: true,
            ..self
        }
    }

    /// The same, with so many [pipes](crate::pipe) that go and come.
    #[must_use]
    pub const fn pipes(self, in_pipes: u8, out_pipes: u8) -> Self {
        Self {
            in_pipes,
            out_pipes,
            ..self
        }
    }

    /// The same, [`maybe`](Self::maybe).
    #[must_use]
    pub const fn maybe(self) -> Self {
        Self {
            maybe: true,
            ..self
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            uuid,
            major,
            minor,
            ..
        } = self;
        write!(f, "{name} {uuid} version {major}.{minor}")
    }
}
