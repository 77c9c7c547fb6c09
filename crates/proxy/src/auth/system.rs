//! Groups of the operating system: what this machine's database of users (files, LDAP, winbind) says about an account.
//!
//! Asked once when somebody is proved, aside, since the database may be far away. An account of a domain is asked for as winbind writes it, `DOMAIN\\name`.
//! Names of tokens and of certificates are their issuers', not this machine's, and are not looked up.

use std::ffi::CString;
use std::sync::Arc;

use nix::unistd::{Group, User, getgrouplist};

use crate::identity::{AuthKind, Identity};

/// Most groups that are taken.
const MAX_GROUPS: usize = 1024;

/// Whether accounts that were proved like this are this machine's.
pub(super) const fn is_asked(kind: AuthKind) -> bool {
    matches!(kind, AuthKind::Basic | AuthKind::Ntlm | AuthKind::Kerberos)
}

/// The same with the groups that the system knows of. If it knows nothing, nothing is added.
pub(super) async fn with_groups(identity: Arc<Identity>) -> Identity {
    let account = account(&identity);
    let found = tokio::task::spawn_blocking(move || groups(&account)).await;
    let mut identity = Identity::clone(&identity);
    for group in found.unwrap_or_default() {
        if !identity.groups.contains(&group) {
            identity.groups.push(group);
        }
    }
    identity
}

/// What the system calls an account.
fn account(identity: &Identity) -> String {
    match identity.domain.as_str() {
        "" => identity.name.clone(),
        domain => format!("{domain}\\{}", identity.name),
    }
}

/// The names of an account's groups.
fn groups(account: &str) -> Vec<String> {
    let Ok(Some(user)) = User::from_name(account) else {
        return Vec::new();
    };
    let Ok(name) = CString::new(account) else {
        return Vec::new();
    };
    let numbers = getgrouplist(&name, user.gid).unwrap_or_default();
    let names = numbers.into_iter().take(MAX_GROUPS).filter_map(|number| {
        let group = Group::from_gid(number).ok().flatten();
        group.map(|group| group.name)
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_accounts_have_their_groups_and_others_none() {
        assert!(groups("root").contains(&"root".to_owned()));
        assert!(groups("nobody-of-this-name").is_empty());
        assert!(groups("a\0b").is_empty());
    }

    #[test]
    fn an_account_of_a_domain_is_asked_for_with_it() {
        let named = |domain: &str| {
            account(&Identity::new(
                AuthKind::Ntlm,
                "bob".to_owned(),
                domain.to_owned(),
            ))
        };
        assert_eq!(named(""), "bob");
        assert_eq!(named("DOM"), "DOM\\bob");
    }

    #[tokio::test]
    async fn what_is_known_already_stays() {
        let mut identity = Identity::new(AuthKind::Basic, "root".to_owned(), String::new());
        identity.groups = vec!["staff".to_owned(), "root".to_owned()];
        let identity = with_groups(Arc::new(identity)).await;
        assert_eq!(identity.groups.first().map(String::as_str), Some("staff"));
        let roots = identity.groups.iter().filter(|group| *group == "root");
        assert_eq!(roots.count(), 1);
    }
}
