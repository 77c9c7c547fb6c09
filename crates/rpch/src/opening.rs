//! The first PDU of a channel: what it begins, and which virtual connection it belongs to.
//!
//! Read first: MS-RPCH sections 3.2.3.5.3, 3.2.3.5.5, 3.2.4.5.3, 3.2.4.5.6 and 3.2.5.5.3 to 3.2.5.5.5: the state
//! Open_Start. A proxy or a server reads the first PDU of each connection with an [`Opening`], looks in its table of
//! virtual connections whether it has the one that [`First::virtual_connection`] names, and either makes a machine
//! from the [`First`] or attaches it to the one that is there.

use crate::failure::Failure;
use crate::frame::{Frame, Splitter};
use crate::rts::{Cookie, Message};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// Who reads the first PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The proxy that got an `RPC_IN_DATA` request.
    InProxy,
    /// The proxy that got an `RPC_OUT_DATA` request.
    OutProxy,
    /// The server.
    Server,
}

/// The first PDU of a channel, one that this role may get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    pub(crate) message: Message,
    virtual_connection: Cookie,
    establishes: bool,
}

impl First {
    /// The virtual connection that it names.
    ///
    /// Whoever knows this cookie can join the connection: before a channel is attached, make sure that it is the same
    /// client that asks (the same principal on the same listener), and refuse the newcomer otherwise.
    #[must_use]
    pub fn virtual_connection(&self) -> Cookie {
        self.virtual_connection
    }

    /// Whether it establishes a virtual connection; otherwise it recycles a channel of one.
    #[must_use]
    pub fn is_establishing(&self) -> bool {
        self.establishes
    }

    /// The PDU.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    fn of(role: Role, message: Message) -> Option<Self> {
        let (virtual_connection, establishes) = match (role, message) {
            (
                Role::InProxy,
                Message::ConnB1 {
                    virtual_connection, ..
                },
            )
            | (
                Role::OutProxy,
                Message::ConnA1 {
                    virtual_connection, ..
                },
            )
            | (
                Role::Server,
                Message::ConnA2 {
                    virtual_connection, ..
                }
                | Message::ConnB2 {
                    virtual_connection, ..
                },
            ) => (virtual_connection, true),
            (Role::InProxy, Message::InA1(succession))
            | (Role::OutProxy, Message::OutA3 { succession, .. })
            | (
                Role::Server,
                Message::InR1A2 { succession, .. } | Message::OutR1A4 { succession, .. },
            ) => (succession.virtual_connection, false),
            _ => return None,
        };
        Some(Self {
            message,
            virtual_connection,
            establishes,
        })
    }
}

/// A channel whose first PDU has not come.
#[derive(Debug)]
pub struct Opening {
    role: Role,
    splitter: Splitter,
    until: Option<Instant>,
}

impl Opening {
    /// A channel on which nothing was read; its first PDU must come within `limit`.
    #[must_use]
    pub fn new(role: Role, now: Instant, limit: Duration) -> Self {
        Self {
            role,
            splitter: Splitter::new(),
            until: now.checked_add(limit),
        }
    }

    /// Reads on. With the first PDU, what is left in `input` is for the machine.
    ///
    /// # Errors
    /// [`Failure`]: answer it if the role can, and close.
    pub fn handle_bytes(&mut self, input: &mut Bytes) -> Result<Option<First>, Failure> {
        match self.splitter.next(input)? {
            None => Ok(None),
            Some(Frame::Rts(pdu)) => {
                let message = Message::parse(&pdu)?;
                let kind = message.kind();
                First::of(self.role, message)
                    .map(Some)
                    .ok_or(Failure::Unexpected {
                        message: kind,
                        at: "first on a channel",
                    })
            }
            Some(_) => Err(Failure::Violation(
                "a channel does not begin with an RTS PDU",
            )),
        }
    }

    /// When the first PDU will have taken too long.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }
}
