//! `AUTH_SYS` bodies by hand from RFC 5531 appendix A, and what is wrong with them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

fn sys(machine: usize, groups: u32) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 9];
    body.extend(u32::try_from(machine).unwrap().to_be_bytes());
    body.extend(vec![b'x'; machine.next_multiple_of(4)]);
    body.extend([0, 0, 3, 0xe8, 0, 0, 0, 100]);
    body.extend(groups.to_be_bytes());
    (0..groups).for_each(|gid| body.extend(gid.to_be_bytes()));
    body
}

#[test]
fn the_largest_credential_both_ways() {
    let wire = sys(252, 16);
    let parsed = AuthSys::parse(&wire, Padding::Strict).unwrap();
    assert_eq!(
        (parsed.stamp, parsed.machine.len(), parsed.uid, parsed.gid),
        (9, 252, 1000, 100)
    );
    assert_eq!(parsed.gids, (0..16).collect::<Vec<u32>>());
    assert_eq!(farcall_wire::xdr::to_vec(&parsed).unwrap(), wire);
}

#[test]
fn bounds_are_the_protocols() {
    let parse = |body: &[u8]| AuthSys::parse(body, Padding::Compatible);
    assert!(parse(&sys(255, 16)).is_ok());
    assert!(parse(&sys(256, 0)).is_err());
    assert_eq!(
        parse(&sys(4, 17)).unwrap_err().to_string(),
        "length 17 is over the maximum 16 at byte 24 in gids"
    );
    assert!(parse(&sys(0, 0)).is_ok());
}

#[test]
fn every_truncation_is_refused() {
    let wire = sys(6, 3);
    for cut in 0..wire.len() {
        assert!(
            SysRef::parse(&wire[..cut], Padding::Compatible).is_err(),
            "cut at {cut}"
        );
    }
}

#[test]
fn padding_and_trailing_bytes_are_judged_as_asked() {
    let mut wire = sys(5, 1); // its padding is "xxx"
    assert!(SysRef::parse(&wire, Padding::Strict).is_err());
    assert_eq!(
        SysRef::parse(&wire, Padding::Compatible).unwrap().trailing,
        0
    );
    wire = sys(4, 1);
    wire.extend([1, 2, 3, 4]);
    assert!(SysRef::parse(&wire, Padding::Strict).is_err());
    let parsed = SysRef::parse(&wire, Padding::Compatible).unwrap();
    assert_eq!(
        (parsed.trailing, parsed.gids().collect::<Vec<_>>()),
        (4, vec![0])
    );
}

#[test]
fn groups_that_do_not_fit_are_counted() {
    let mut credential = AuthSys::default();
    let gids: Vec<u32> = (0..20).collect();
    assert_eq!(credential.take_groups(&gids), 4);
    assert_eq!(credential.gids, gids[..16]);
    assert_eq!(credential.take_groups(&gids[..2]), 0);
    credential.gids = gids;
    assert!(farcall_wire::xdr::to_vec(&credential).is_err());
    credential.gids.clear();
    credential.machine = vec![b'x'; 256];
    assert!(farcall_wire::xdr::to_vec(&credential).is_err());
}
