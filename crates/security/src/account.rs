//! Who may be proved: accounts, and where mechanisms look them up.
//!
//! NTLM needs the hash of a password to check it; Kerberos needs nothing of an account but its name. Where accounts come from is
//! another matter: [`users`](crate::users) keeps them in a file.

use farcall_dce::security::Principal;

use crate::secret::Key;

/// One account.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Its name, as principals show it.
    pub name: String,
    /// Its domain; empty for an account of this machine.
    pub domain: String,
    /// The hash of its password; `None` if nobody can log in with a password.
    pub nt_hash: Option<Key>,
    /// The groups that it is in; principals carry them.
    pub groups: Vec<String>,
}

impl Account {
    /// Who is proved when this account's password is. The names are the account's, not the ones that a client wrote.
    pub(crate) fn principal(&self, mechanism: &'static str) -> Principal {
        Principal {
            name: self.name.clone(),
            domain: self.domain.clone(),
            mechanism,
            groups: self.groups.clone(),
            ..Principal::default()
        }
    }
}

/// Where accounts are looked up.
pub trait Accounts: Send + Sync {
    /// The account that a client means by these names, both as it wrote them: the user may be `name`, `DOMAIN\name` or
    /// `name@domain`. May block.
    fn find(&self, user: &str, domain: &str) -> Option<Account>;
}

/// A user name taken apart: `DOMAIN\name` and, where no domain is given beside it, `name@domain`.
#[must_use]
pub fn split<'a>(user: &'a str, domain: &'a str) -> (&'a str, &'a str) {
    if let Some((domain, name)) = user.split_once('\\') {
        return (name, domain);
    }
    match user.rsplit_once('@') {
        Some((name, domain_of_name)) if domain.is_empty() => (name, domain_of_name),
        _ => (user, domain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_come_in_three_forms() {
        assert_eq!(split("bob", "DOM"), ("bob", "DOM"));
        assert_eq!(split("DOM\\bob", ""), ("bob", "DOM"));
        assert_eq!(split("bob@dom.test", ""), ("bob", "dom.test"));
        assert_eq!(split("bob@dom.test", "OTHER"), ("bob@dom.test", "OTHER"));
        assert_eq!(split("", ""), ("", ""));
    }
}
