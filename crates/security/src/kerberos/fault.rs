//! The library's errors in words, with what can be done about them.
//!
//! Read first: RFC 4120 section 7.5.9 (error codes). The library's text of the minor status names what is meant, if there is a text; it must be
//! asked for on the thread that got the error.

use libgssapi::error::{Error, MajorFlags};

/// What the library says where it has no words of its own.
const UNSPECIFIED: &str = "Unspecified GSS failure.  Minor code may provide more information";

/// Where the library's codes begin: those of RFC 4120 follow in their order.
const FIRST: u32 = (-1_765_328_384_i32).cast_unsigned();

/// The bits of a major status that hold the error of a routine.
const ROUTINE: u32 = 0xff_0000;

/// Whose error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Initiator,
    Acceptor,
}

/// The error, and what can be done about it.
pub(super) fn told(error: &Error, by: By) -> String {
    let text = error.to_string();
    match (advice(error, by), short(&text)) {
        (Some(advice), "") => advice.to_owned(),
        (Some(advice), words) => format!("{advice} ({words})"),
        (None, "") => text.trim().to_owned(),
        (None, words) => words.to_owned(),
    }
}

/// The text without what says nothing: nothing is left where the library has not loaded its words.
fn short(text: &str) -> &str {
    let Some(minor) = text.strip_prefix(UNSPECIFIED) else {
        return text;
    };
    let minor = minor.trim().strip_prefix('(');
    minor
        .and_then(|minor| minor.strip_suffix(')'))
        .unwrap_or_default()
}

fn advice(error: &Error, by: By) -> Option<&'static str> {
    let code = error.minor.wrapping_sub(FIRST);
    Some(match (code, by) {
        (24, _) | (31, By::Initiator) => "the password is wrong",
        (31 | 41, By::Acceptor) => "the ticket is for another key than the keytab has",
        (32, _) => "the ticket has expired: kinit gets a new one",
        (34, _) => "the request has come before",
        (37, _) => "the clocks of client, server and centre differ by more than Kerberos allows",
        _ if is(error, MajorFlags::GSS_S_CREDENTIALS_EXPIRED) => {
            "the ticket has expired: kinit gets a new one"
        }
        (_, By::Initiator) if is(error, MajorFlags::GSS_S_NO_CRED) => {
            "there is no Kerberos ticket: kinit gets one"
        }
        _ => return None,
    })
}

/// Whether that is the error of the routine: they are numbers, not flags (RFC 2744 section 3.9.1).
fn is(error: &Error, routine: MajorFlags) -> bool {
    error.major.bits() & ROUTINE == routine.bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_words() {
        let error = |code: u32| Error {
            major: MajorFlags::GSS_S_FAILURE,
            minor: FIRST.wrapping_add(code),
        };
        for (code, by, part) in [
            (24, By::Initiator, "the password is wrong"),
            (31, By::Initiator, "the password is wrong"),
            (31, By::Acceptor, "another key"),
            (32, By::Initiator, "kinit"),
            (37, By::Acceptor, "clocks"),
            (34, By::Acceptor, "come before"),
        ] {
            let told = told(&error(code), by);
            assert!(told.starts_with(part) || told.contains(part), "{told}");
            assert!(!told.contains("Unspecified"), "{told}");
        }
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let long = format!("{UNSPECIFIED} (Clock skew too great)");
        assert_eq!(short(&long), "Clock skew too great");
        assert_eq!(short("No credentials (none)"), "No credentials (none)");
    }
}
