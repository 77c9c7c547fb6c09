//! Names of well-known programs, as `/etc/rpc` has them, and what a user may write for one.
//!
//! Program numbers below `0x20000000` are given out by IANA; only those that are met in practice
//! stand here.

use crate::output::Failure;

/// Numbers and names, by rising number; the first name is the one that is shown.
const KNOWN: &[(u32, &[&str])] = &[
    (100_000, &["rpcbind", "portmapper", "portmap", "sunrpc"]),
    (100_001, &["rstatd", "rstat", "rup"]),
    (100_002, &["rusersd", "rusers"]),
    (100_003, &["nfs", "nfsprog"]),
    (100_004, &["ypserv", "ypprog"]),
    (100_005, &["mountd", "mount", "showmount"]),
    (100_007, &["ypbind"]),
    (100_008, &["walld", "rwall"]),
    (100_009, &["yppasswdd", "yppasswd"]),
    (100_010, &["etherstatd"]),
    (100_011, &["rquotad", "rquota", "quota"]),
    (100_012, &["sprayd", "spray"]),
    (100_020, &["llockmgr"]),
    (100_021, &["nlockmgr", "nlm"]),
    (100_023, &["statmon"]),
    (100_024, &["status"]),
    (100_026, &["bootparam"]),
    (100_029, &["keyserv"]),
    (100_037, &["autofs"]),
    (100_069, &["ypxfrd"]),
    (100_227, &["nfs_acl", "nfsacl"]),
    (150_001, &["pcnfsd"]),
    (395_183, &["vxi11_core", "vxi11"]),
    (395_184, &["vxi11_async"]),
    (395_185, &["vxi11_intr"]),
    (400_122, &["nfs_cb"]),
];

/// The name that is shown for a program, if it has one.
pub(crate) fn name(number: u32) -> Option<&'static str> {
    let at = KNOWN.binary_search_by_key(&number, |known| known.0).ok()?;
    KNOWN.get(at)?.1.first().copied()
}

/// All that have a name.
pub(crate) fn all() -> impl Iterator<Item = u32> {
    KNOWN.iter().map(|known| known.0)
}

/// `100003 (nfs)`, or the number alone.
pub(crate) fn shown(number: u32) -> String {
    match name(number) {
        Some(name) => format!("{number} ({name})"),
        None => number.to_string(),
    }
}

/// A program as a user writes it: a number (decimal or `0x…`) or a well-known name.
pub(crate) fn parse(text: &str) -> Result<u32, Failure> {
    if let Some(number) = number(text) {
        return Ok(number);
    }
    let named = KNOWN.iter().find(|known| known.1.contains(&text));
    named.map(|known| known.0).ok_or_else(|| {
        Failure::new(format!(
            "'{text}' is no program: expected a number or a well-known name such as nfs"
        ))
    })
}

/// A 32-bit number, decimal or `0x…`.
pub(crate) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_one_program_each() {
        assert!(KNOWN.is_sorted_by(|a, b| a.0 < b.0));
        let names: Vec<&str> = KNOWN.iter().flat_map(|known| known.1).copied().collect();
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn programs_are_read_as_users_write_them() {
        assert_eq!(parse("nfs").unwrap(), 100_003);
        assert_eq!(parse("portmapper").unwrap(), 100_000);
        assert_eq!(parse("0x20000c41").unwrap(), 0x2000_0c41);
        assert_eq!(shown(100_005), "100005 (mountd)");
        assert_eq!(shown(7), "7");
        assert!(parse("nosuch").is_err());
    }
}
