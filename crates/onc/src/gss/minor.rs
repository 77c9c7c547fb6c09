//! What a server's minor status says, where its mechanism is Kerberos.
//!
//! Read first: RFC 2744 section 5.3 (a minor status belongs to its mechanism), RFC 4120 section 7.5.9 (error codes). The
//! libraries of MIT and Heimdal number the protocol's errors from one base of their own; a peer that has neither
//! is shown the number alone.

/// Where the libraries begin to number the protocol's errors: -1765328384.
const BASE: u32 = 0x96c7_3a00;

/// Errors that a server meets in a client's request, and the words of the libraries for them.
const ERRORS: [(u32, &str); 9] = [
    (31, "Decrypt integrity check failed"),
    (32, "Ticket expired"),
    (33, "Ticket not yet valid"),
    (34, "Request is a replay"),
    (35, "The ticket isn't for us"),
    (36, "Ticket/authenticator don't match"),
    (37, "Clock skew too great"),
    (44, "Key version is not available"),
    (45, "Service key not available"),
];

/// The words for a minor status, if it is one of these.
#[must_use]
pub fn text(minor: u32) -> Option<&'static str> {
    let code = minor.checked_sub(BASE)?;
    let found = ERRORS.iter().find(|(known, _)| *known == code);
    found.map(|(_, words)| *words)
}

/// The minor status for what a library says, or 0: its own numbers are good within one process only.
#[must_use]
pub fn of(words: &str) -> u32 {
    let found = ERRORS.iter().find(|(_, known)| words.contains(known));
    found.map_or(0, |(code, _)| BASE.wrapping_add(*code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_belong_together() {
        // MIT's krb5.h: KRB5KRB_AP_ERR_SKEW is -1765328347, KRB5KRB_AP_ERR_TKT_EXPIRED -1765328352.
        let number = |signed: i32| u32::from_be_bytes(signed.to_be_bytes());
        assert_eq!(text(number(-1_765_328_347)), Some("Clock skew too great"));
        assert_eq!(text(number(-1_765_328_352)), Some("Ticket expired"));
        for (code, words) in ERRORS {
            assert_eq!(text(of(words)), Some(words), "{code}");
        }
        assert_eq!(
            of("Unspecified GSS failure (Clock skew too great)"),
            BASE + 37
        );
        assert_eq!(
            (text(0), text(100_001), of("something else")),
            (None, None, 0)
        );
    }
}
