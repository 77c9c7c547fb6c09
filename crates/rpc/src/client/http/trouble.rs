//! What goes wrong on the way through an RPC proxy, in words that say what to do about it.
//!
//! Read first: MS-RPCH section 2.1.2.1.3 (`RPC Error:` and its codes).

use std::io;

use farcall_rpch::Failure;
use farcall_rpch::failure::code;
use farcall_rpch::http::RpcError;

use super::head::{Bad, Head};
use crate::error::{Cause, Error, Phase};

/// A response that refuses what was asked for.
pub(super) fn refused(head: &Head) -> Error {
    let offers: Vec<&str> = head
        .all("www-authenticate")
        .map(|offer| offer.split(' ').next().unwrap_or(offer))
        .collect();
    match RpcError::parse(&head.reason) {
        Some(error) => by_code(error.code),
        None => by_status(head.status, &head.reason, &offers),
    }
}

/// A code that the RPC proxy gave.
fn by_code(code: u32) -> Error {
    let error = Error::new(Phase::Connect, Cause::Fault(code));
    error.hint(match code {
        code::ACCESS_DENIED => {
            "the RPC proxy does not let this user through to this server and port; its administrator and its audit log know why"
        }
        code::SERVER_UNAVAILABLE => {
            "the RPC proxy cannot reach the server: is its name right, does it run, and does it serve ncacn_http at that port (its banner is awaited)?"
        }
        code::SERVER_TOO_BUSY => "the RPC proxy has no room for another connection; try later",
        code::CALL_FAILED => {
            "the RPC proxy lost the server, or the other half of the connection, while it was being made"
        }
        code::PROTOCOL_ERROR => "the RPC proxy understands the client otherwise than it means",
        _ => "the RPC proxy says so",
    })
}

fn by_status(status: u16, reason: &str, offers: &[&str]) -> Error {
    let offered = match offers {
        [] => "it names no way".to_owned(),
        some => format!("it takes {}", some.join(", ")),
    };
    match status {
        401 => Error::new(
            Phase::Authenticate,
            Cause::Denied(format!("the RPC proxy answered 401: {offered}")),
        )
        .hint("are the user, the domain and the password for the proxy right (they may be others than those for the server)?"),
        403 => Error::new(
            Phase::Authenticate,
            Cause::Denied("the RPC proxy answered 403".to_owned()),
        )
        .hint("the proxy knows this user and does not let it in, or insists on TLS or a certificate"),
        404 => answered(status, reason).hint(
            "there is a web server, but no RPC proxy at /rpc/rpcproxy.dll: is it the right host and port?",
        ),
        407 => Error::new(
            Phase::Authenticate,
            Cause::Denied("the HTTP proxy on the way answered 407".to_owned()),
        )
        .hint("it wants a name and a password of its own"),
        405 | 501 => answered(status, reason)
            .hint("what answers does not know the methods of RPC over HTTP; a proxy or balancer in front may not let them through"),
        502..=504 => answered(status, reason).hint(
            "something in front of the RPC proxy cannot reach it, or does not let its long requests through",
        ),
        _ => answered(status, reason),
    }
}

fn answered(status: u16, reason: &str) -> Error {
    let reason: String = reason.chars().filter(|c| !c.is_control()).collect();
    Error::local(
        Phase::Connect,
        format!("the RPC proxy answered {status} {reason}"),
    )
}

/// What came is not what HTTP has.
pub(super) fn garbled(bad: Bad) -> Error {
    Error::new(Phase::Connect, Cause::Disconnected(bad.0.to_owned()))
        .hint("is it an RPC proxy that listens there, and does it speak TLS or not (HttpUseTls)?")
}

/// The connection to the proxy failed.
pub(super) fn lost(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::new(
            Phase::Connect,
            Cause::Disconnected("the RPC proxy closed the connection without an answer".to_owned()),
        )
        .hint("does it speak TLS or not (HttpUseTls)?"),
        _ => Error::io(Phase::Connect, error),
    }
}

/// Why a virtual connection is over. `opened`: it stood before.
pub(super) fn failed(failure: &Failure, opened: bool) -> Error {
    let phase = match opened {
        true => Phase::Call,
        false => Phase::Connect,
    };
    match failure {
        Failure::Refused {
            error: Some(code), ..
        } if !opened => by_code(*code),
        Failure::Refused { status, error: None } if !opened => by_status(*status, "", &[]),
        Failure::TimedOut("the virtual connection to open") => {
            Error::new(phase, Cause::Disconnected(failure.to_string())).hint(
                "the proxy took both requests and never joined them to the server: the IN and the OUT request may have come to different \
                 proxies behind a balancer, which need one server to meet at",
            )
        }
        Failure::TimedOut(_) => Error::new(phase, Cause::Disconnected(failure.to_string()))
            .hint("something on the way may drop idle connections: ask for pings more often (connection_timeout)"),
        _ => Error::new(phase, Cause::Disconnected(failure.to_string())),
    }
}
