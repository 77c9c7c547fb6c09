//! What a server's refusals mean: binds, faults, and the end of an association.

use farcall_dce::co::client::{Close, Fault, Refused};
use farcall_dce::status;

use crate::client::options::Options;
use crate::error::{Cause, Error, Phase};
use crate::interface::Interface;

/// What `abstract_syntax_not_supported` means.
const NO_INTERFACE: &str = "the server does not have the interface in this version";

/// Why a call was answered with a fault.
pub(crate) fn error(fault: &Fault) -> Error {
    Error::new(Phase::Call, Cause::Fault(fault.status)).executed(!fault.did_not_execute)
}

/// The same error with what a caller with these options can do about it.
pub(crate) fn advised(error: Error, options: &Options) -> Error {
    match (error.cause(), &options.credentials) {
        (Cause::Fault(status::ACCESS_DENIED), None) => {
            error.hint("authenticate: Options::credentials")
        }
        (Cause::Fault(status::ACCESS_DENIED | status::SEC_PKG_ERROR), Some(_)) => error.hint(
            "are user name, password and domain right, the level high enough, and may this user call it?",
        ),
        (Cause::Fault(status::OP_RNG_ERROR), _) => {
            error.hint("the server's version of the interface does not have the operation")
        }
        _ => error,
    }
}

/// Why an interface was not bound (C706 section 12.6.3.1, `p_provider_reason_t`).
pub(crate) fn refused(refused: Refused) -> Error {
    let why = match (refused.result, refused.reason) {
        (_, 1) => NO_INTERFACE,
        (_, 2) => "the server speaks neither of the transfer syntaxes",
        (_, 3) => "the server has no room for another presentation context",
        _ => "the server did not accept the interface",
    };
    Error::new(Phase::Bind, Cause::BindRefused(why.to_owned()))
}

/// The same error with the interface that was refused, if that is what it is about.
pub(crate) fn asked_for(error: Error, interface: &Interface) -> Error {
    match error.cause() {
        Cause::BindRefused(why) if why == NO_INTERFACE => {
            error.hint(format!("the server was asked for {interface}"))
        }
        _ => error,
    }
}

/// Why an association is over.
pub(crate) fn closed(close: &Close) -> Error {
    match close {
        Close::BindNak { reason } => bind_nak(*reason),
        Close::Fault(fault) => {
            let error = Error::new(Phase::Authenticate, Cause::Fault(fault.status));
            error.hint("are user name, password and domain right?")
        }
        Close::Denied(denied) => {
            Error::new(Phase::Authenticate, Cause::Denied(denied.reason.clone()))
        }
        Close::Violation(why) => disconnected(format!("the server broke the protocol: {why}")),
        Close::Protect(error) => disconnected(format!("a response does not verify: {error}")),
        Close::Shutdown => disconnected("the server shuts down".to_owned()),
        other => disconnected(format!("{other:?}")),
    }
}

fn disconnected(why: String) -> Error {
    Error::new(Phase::Call, Cause::Disconnected(why))
}

/// Why a server refused to bind at all (C706 section 12.6.4.5 and MS-RPCE section 2.2.2.5).
fn bind_nak(reason: u16) -> Error {
    let (phase, why) = match reason {
        1 => (Phase::Bind, "the server is too busy (temporary congestion)"),
        2 => (Phase::Bind, "a limit of the server was exceeded"),
        4 => (
            Phase::Bind,
            "the server speaks another version of the protocol",
        ),
        8 => (
            Phase::Authenticate,
            "the server does not know the mechanism",
        ),
        9 => (Phase::Authenticate, "the server did not accept the token"),
        _ => (Phase::Bind, "the server gives no reason"),
    };
    Error::new(phase, Cause::BindRefused(why.to_owned()))
}
