//! `RPCSEC_GSS` version 1: calls whose caller is proved, and that nobody else can change or read.
//!
//! Read first: RFC 2203, all of it, and its erratum 4067. A client and a server exchange the tokens of a GSS-API
//! mechanism in calls of the null procedure; then each call names the context by a handle, carries a sequence
//! number, and a message integrity code over its header. Arguments and results travel as they are, with such a
//! code, or encrypted ([`Service`]).
//!
//! - [`message`]: credentials, bodies, the results of context creation;
//! - [`mechanism`]: the traits that this core asks for and `farcall-security` implements;
//! - [`window`]: which sequence numbers were seen;
//! - [`minor`]: what Kerberos' minor status says;
//! - [`server`]: the contexts that a server keeps, and what it does with a call of theirs;
//! - [`client`]: one context of a client.
//!
//! Not here: versions 2 and 3 (RFC 5403, RFC 7861), of which no peer is known; a server that lacks them answers
//! `AUTH_REJECTEDCRED`.

pub mod message;
pub mod mechanism;
pub mod window;
pub mod minor;
pub mod server;
pub mod client;

pub use client::{Established, Initiation, ReplyFault};
pub use mechanism::{
    Acceptor, Answer, Broken, Context, Denied, Handshake, Initiator, Principal, Progress, Query,
};
pub use message::{Credential, Handle, InitResult, MAX_SEQ, Procedure, Service};
pub use server::{
    Arrived, Contexts, Created, Establishing, GssConfig, Held, Looked, Unproved, Verdict,
};
pub use window::Window;

#[cfg(test)]
mod toy;
