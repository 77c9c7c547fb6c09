//! Who a client was proved to be, and by what.
//!
//! An identity is made by authentication alone and read by the policy, the audit log and the relay. It holds no secret.

use std::fmt;

/// How a client was authenticated at the proxy, as the policy names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuthKind {
    /// Not at all: a listener that says so, with its reason.
    Anonymous,
    /// Name and password in clear text (RFC 7617), inside TLS.
    Basic,
    /// NTLM, bare or inside Negotiate.
    Ntlm,
    /// Kerberos, inside Negotiate.
    Kerberos,
    /// A certificate of the client's in TLS.
    Certificate,
    /// A signed token (RFC 6750, RFC 7519).
    Bearer,
}

impl AuthKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Anonymous,
        Self::Basic,
        Self::Ntlm,
        Self::Kerberos,
        Self::Certificate,
        Self::Bearer,
    ];

    /// Its word in configurations and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Basic => "basic",
            Self::Ntlm => "ntlm",
            Self::Kerberos => "kerberos",
            Self::Certificate => "certificate",
            Self::Bearer => "bearer",
        }
    }

    /// The kind that a word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for AuthKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Who a client was proved to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// By what.
    pub kind: AuthKind,
    /// The account's name, spelled as the store of accounts has it; a certificate's or token's subject; empty for nobody.
    pub name: String,
    /// The account's domain; empty for an account of this proxy, and for certificates and tokens.
    pub domain: String,
    /// The groups it is in: of the groups file, the store of accounts, a claim of the token, a field of the certificate.
    pub groups: Vec<String>,
    /// Who vouches: a certificate's issuer as a distinguished name (RFC 4514), a token's `iss`; otherwise empty.
    pub issuer: String,
}

impl Identity {
    /// Nobody, at a listener that lets nobody in.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self::new(AuthKind::Anonymous, String::new(), String::new())
    }

    /// Somebody without groups.
    #[must_use]
    pub const fn new(kind: AuthKind, name: String, domain: String) -> Self {
        Self {
            kind,
            name,
            domain,
            groups: Vec::new(),
            issuer: String::new(),
        }
    }

    /// Whether another virtual connection's channel may be of the same client: name, domain and issuer are the same,
    /// and so is the way they were proved.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.name == other.name
            && self.domain == other.domain
            && self.issuer == other.issuer
    }
}

impl fmt::Display for Identity {
    /// `DOMAIN\name`, the name alone, or `anonymous`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.domain.as_str(), self.name.as_str()) {
            (_, "") => f.write_str("anonymous"),
            ("", name) => f.write_str(name),
            (domain, name) => write!(f, "{domain}\\{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        for kind in AuthKind::ALL {
            assert_eq!(AuthKind::from_word(kind.word()), Some(kind));
        }
        assert_eq!(AuthKind::from_word("digest"), None);
    }

    #[test]
    fn an_identity_is_shown_as_people_write_it() {
        let of = |domain: &str, name: &str| {
            Identity::new(AuthKind::Ntlm, name.to_owned(), domain.to_owned()).to_string()
        };
        assert_eq!(of("DOM", "bob"), "DOM\\bob");
        assert_eq!(of("", "bob"), "bob");
        assert_eq!(Identity::anonymous().to_string(), "anonymous");
    }

    #[test]
    fn the_same_name_proved_in_another_way_is_another_client() {
        let ntlm = Identity::new(AuthKind::Ntlm, "bob".to_owned(), String::new());
        let mut grouped = ntlm.clone();
        grouped.groups.push("staff".to_owned());
        assert!(ntlm.same(&grouped));
        let basic = Identity::new(AuthKind::Basic, "bob".to_owned(), String::new());
        assert!(!ntlm.same(&basic));
    }
}
