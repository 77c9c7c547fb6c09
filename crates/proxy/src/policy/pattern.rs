//! Users and issuers as rules name them.
//!
//! `*` stands for any text. Letters of either case are the same as far as ASCII goes. A user of a domain is `DOMAIN\user` or
//! `user@DOMAIN`; a name alone is an account of no domain, so that a rule for a local `admin` is not one for every
//! domain's.

use crate::identity::{AuthKind, Identity};

/// Text with `*` for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Box<str>);

impl Glob {
    /// The pattern that a text is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether a text is as the pattern says. Takes no memory, and time in proportion to the product of both lengths
    /// at most.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        matches(self.0.as_bytes(), text.as_bytes())
    }

    /// Whether it matches everything that `other` does, as far as that is plain to see.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self == other || &*self.0 == "*" || (!other.0.contains('*') && self.matches(&other.0))
    }
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0_usize, 0_usize);
    // Where to go on if what follows the last `*` does not fit: that star, and the text behind what it stands for.
    let mut back: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, t));
                p = p.saturating_add(1);
            }
            Some(wanted) if wanted.eq_ignore_ascii_case(&byte) => {
                p = p.saturating_add(1);
                t = t.saturating_add(1);
            }
            _ => {
                let Some((star, from)) = back else {
                    return false;
                };
                back = Some((star, from.saturating_add(1)));
                p = star.saturating_add(1);
                t = from.saturating_add(1);
            }
        }
    }
    pattern
        .get(p..)
        .is_none_or(|rest| rest.iter().all(|byte| *byte == b'*'))
}

/// A user as a rule names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    whole: Glob,
    /// Domain and name, if it names a domain.
    parts: Option<(Glob, Glob)>,
    /// Whether it was written with a backslash.
    backslash: bool,
}

impl User {
    /// The user or users that a text names.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let slashed = text.split_once('\\');
        let parts = slashed.or_else(|| text.rsplit_once('@').map(|(name, domain)| (domain, name)));
        Self {
            whole: Glob::new(text),
            parts: parts.map(|(domain, name)| (Glob::new(domain), Glob::new(name))),
            backslash: slashed.is_some(),
        }
    }

    /// Whether it names this one. Nobody, who was not authenticated, has no name.
    #[must_use]
    pub fn matches(&self, who: &Identity) -> bool {
        if who.kind == AuthKind::Anonymous || who.name.is_empty() {
            return false;
        }
        if &*self.whole.0 == "*" {
            return true;
        }
        if !who.domain.is_empty() {
            let parts = self.parts.as_ref();
            return parts.is_some_and(|(domain, name)| {
                domain.matches(&who.domain) && name.matches(&who.name)
            });
        }
        // A token's subject may hold a backslash; it makes nobody a member of a domain.
        let plain = !self.backslash || who.kind == AuthKind::Certificate;
        plain && self.whole.matches(&who.name)
    }

    /// Whether it names everyone that `other` does, as far as that is plain to see.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self == other || &*self.whole.0 == "*"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, text, is) in [
            ("a", "A", true),
            ("a", "ab", false),
            ("", "", true),
            ("*", "", true),
            ("a*", "a", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxa", false),
            ("**", "x", true),
            ("a*", "", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), is, "{pattern} {text}");
        }
        let (pattern, text) = ("*a".repeat(50), "a".repeat(10_000) + "b");
        assert!(!Glob::new(&pattern).matches(&text));
    }

    #[test]
    fn a_domains_user_is_no_local_one() {
        let is = |pattern: &str, domain: &str, name: &str| {
            User::new(pattern).matches(&Identity::new(AuthKind::Ntlm, name.into(), domain.into()))
        };
        assert!(is("DOM\\bob", "dom", "Bob") && is("bob@dom", "DOM", "bob"));
        assert!(is("DOM\\*", "DOM", "x") && is("*\\bob", "ANY", "bob") && is("*", "DOM", "x"));
        assert!(is("bob", "", "bob") && is("bob@x", "", "bob@x"));
        assert!(
            !is("bob", "DOM", "bob")
                && !is("DOM\\bob", "", "bob")
                && !is("DOM\\bob", "EVIL", "bob")
        );
        assert!(!is("DOM\\bob", "", "DOM\\bob"));
    }

    #[test]
    fn a_subject_is_matched_as_a_whole() {
        let who = Identity::new(
            AuthKind::Certificate,
            "CN=host1,O=A\\, B".into(),
            String::new(),
        );
        assert!(User::new("CN=host1,O=A\\, B").matches(&who));
        assert!(User::new("CN=host1,*").matches(&who) && !User::new("CN=host1").matches(&who));
        assert!(!User::new("*").matches(&Identity::anonymous()));
    }
}
