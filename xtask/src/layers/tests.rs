//! Each law refuses what it forbids and lets pass what it allows.

use super::*;

fn core_breaches(text: &str) -> usize {
    let mut breaches = Vec::new();
    core_law(Path::new("x.rs"), text, &mut breaches);
    breaches.len()
}

#[test]
fn law_1_sees_clocks_sockets_files_and_runtimes() {
    for bad in [
        "use tokio::net::TcpStream;",
        "let now = std::time::Instant::now();",
        "use std::{fs, io};",
        "use std::net::{IpAddr, UdpSocket};",
        "let seed = rand::random();",
        "use ::farcall_security::Key;",
    ] {
        assert_eq!(core_breaches(bad), 1, "{bad}");
    }
    for good in [
        "fn f(now: std::time::Instant) {}",
        "use std::net::{IpAddr, SocketAddr};",
        "// tokio::spawn",
        "#[cfg(test)] mod tests { use std::fs; }",
    ] {
        assert_eq!(core_breaches(good), 0, "{good}");
    }
}

#[test]
fn law_1_reads_the_table_of_floors() {
    let mut breaches = Vec::new();
    let onc = floors::floor("farcall-onc").expect("in the table");
    for used in ["bytes", "farcall-wire"] {
        use_law(onc, used, &mut breaches);
    }
    assert_eq!(breaches, Vec::<String>::new());
    for used in ["tokio", "farcall", "farcall-security", "farcall-dce"] {
        use_law(onc, used, &mut breaches);
    }
    assert_eq!(breaches.len(), 4, "{breaches:?}");
    assert!(breaches[2].starts_with("law 3"), "{breaches:?}");
}

#[test]
fn every_floor_uses_only_lower_floors() {
    for floor in FLOORS {
        for used in floor.may_use {
            let other = floors::floor(used).expect("in the table");
            assert!(other.level < floor.level, "{} uses {used}", floor.package);
        }
    }
}

#[test]
fn law_4_sees_a_later_module_by_every_way_to_name_it() {
    let face = Face::read("mod a;\nmod b;\npub use b::Thing;", "farcall-x");
    let breaches = |file: &str, text: &str| {
        let mut found = Vec::new();
        face.check(Path::new(file), Path::new(file), text, &mut found);
        found.len()
    };
    for bad in [
        "use crate::b;",
        "use super::b::c;",
        "crate::b::f()",
        "use crate::{b::c};",
        "use crate::Thing;",
    ] {
        assert_eq!(breaches("a.rs", bad), 1, "{bad}");
        assert_eq!(breaches("b.rs", bad), 0, "{bad}");
    }
    assert_eq!(breaches("a/c.rs", "use super::super::b;"), 1);
    assert_eq!(breaches("a/c.rs", "use super::b;"), 0);
    assert_eq!(breaches("a.rs", "mod inner { use super::b; }"), 0);
    assert_eq!(breaches("a.rs", "::farcall_x::b::f()"), 1);
    assert_eq!(
        breaches("a.rs", "#[cfg(test)] mod tests { use crate::b; }"),
        0
    );
}
