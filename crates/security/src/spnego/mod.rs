//! SPNEGO: two sides agree on a mechanism, and prove afterwards that nobody changed what they offered.
//!
//! Read first: RFC 4178 sections 4.2 (tokens) and 5 (the integrity of the mechanism list), MS-SPNG sections 2.2.1, 3.1.5 and 3.3.5.
//! Which mechanisms are offered is the caller's choice and nothing is added to it; which one was taken stands in the
//! principal that it proved.
//!
//! - [`der`]: the little of ASN.1 that tokens are written in;
//! - [`token`]: the tokens;
//! - [`initiator`] and [`acceptor`]: the two sides.

pub mod der;
pub mod token;
pub mod initiator;
pub mod acceptor;

pub use acceptor::Acceptor;
pub use initiator::Initiator;
pub use token::{Mechanism, Oid};

use crate::context::Handshake;
use farcall_dce::security::Denied;

/// A mechanism that one side offers, and how an exchange of it begins.
pub struct Offer {
    /// Which.
    pub mechanism: Mechanism,
    /// Begins an exchange; called at most once.
    pub begin: Box<dyn FnOnce() -> Result<Box<dyn Handshake>, Denied> + Send>,
}

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Offer({:?})", self.mechanism)
    }
}
