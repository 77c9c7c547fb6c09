//! What rpcbind wrote is understood, and what we write is what it would.

use super::*;
use std::os::unix::fs::PermissionsExt;

/// `rpcbind.xdr` as rpcbind 1.2.6 wrote it, shortened: itself on tcp6, a program of user 1000 on tcp, one of root on
/// udp6, and one on a transport that nobody knows.
fn theirs() -> Vec<u8> {
    [
        &b"\0\0\0\x01\0\x01\x86\xa0\0\0\0\x04\0\0\0\x04tcp6\0\0\0\x08::.0.111\0\0\0\x09superuser\0\0\0"[..],
        b"\0\0\0\x01\x20\0\0\x55\0\0\0\x01\0\0\0\x03tcp\0\0\0\0\x0b0.0.0.0.8.1\0\0\0\0\x041000",
        b"\0\0\0\x01\x20\0\0\x55\0\0\0\x02\0\0\0\x04udp6\0\0\0\x06::.8.2\0\0\0\0\0\x09superuser\0\0\0",
        b"\0\0\0\x01\x20\0\0\x55\0\0\0\x03\0\0\0\x03foo\0\0\0\0\x01x\0\0\0\0\0\0\x07unknown\0",
        b"\0\0\0\0",
    ]
    .concat()
}

/// `portmap.xdr` as rpcbind 1.2.6 wrote it: itself, a program on tcp, the same on udp.
fn old_ones() -> Vec<u8> {
    let words: [u32; 16] = [
        1,
        100_000,
        2,
        6,
        111,
        1,
        0x2000_0055,
        1,
        6,
        2049,
        1,
        0x2000_0055,
        1,
        17,
        2050,
        0,
    ];
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn shown(mappings: &[Mapping]) -> Vec<String> {
    let show = |m: &Mapping| {
        format!(
            "{} {} {} {}",
            m.slot.version, m.slot.netid, m.address, m.owner
        )
    };
    mappings.iter().map(show).collect()
}

#[test]
fn what_rpcbind_wrote_is_understood() {
    let mappings = read_rpcbind(&theirs()).expect("a list");
    let want = ["1 tcp 0.0.0.0.8.1 1000", "2 udp6 ::.8.2 superuser"];
    assert_eq!(
        shown(&mappings),
        want,
        "without rpcbind itself and what nobody knows"
    );
    let old = read_portmap(&old_ones()).expect("a list");
    let want = ["1 tcp 0.0.0.0.8.1 unknown", "1 udp 0.0.0.0.8.2 unknown"];
    assert_eq!(shown(&old), want);
    for cut in 0..theirs().len() {
        assert!(read_rpcbind(&theirs()[..cut]).is_err(), "{cut}");
    }
    for cut in 0..old_ones().len() {
        assert!(read_portmap(&old_ones()[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn what_is_written_is_what_rpcbind_would_write() {
    let mappings = read_rpcbind(&theirs()).expect("a list");
    let whole = theirs();
    let (from, to) = (48, whole.len() - 4 - 40);
    let want = [&whole[from..to], &[0; 4]].concat();
    assert_eq!(write_rpcbind(&mappings), want);
    let old = read_portmap(&old_ones()).expect("a list");
    assert_eq!(write_portmap(&old), old_ones()[20..]);
    assert_eq!(write_portmap(&[]), [0; 4]);
}

#[test]
fn a_directory_goes_out_and_in() {
    let place = tempfile::tempdir().expect("a directory");
    assert_eq!(load(place.path()).expect("empty"), []);
    let mut mappings = read_rpcbind(&theirs()).expect("a list");
    save(place.path(), &mappings).expect("written");
    assert_eq!(load(place.path()).expect("read"), mappings);
    let mode = |name| {
        let about = std::fs::metadata(place.path().join(name)).expect("it is there");
        about.permissions().mode() & 0o777
    };
    assert_eq!((mode(RPCBIND_FILE), mode(PORTMAP_FILE)), (0o600, 0o600));
    // What only the port mapper's list has is there too.
    std::fs::write(place.path().join(PORTMAP_FILE), old_ones()).expect("written");
    mappings.push(read_portmap(&old_ones()).expect("a list").remove(1));
    assert_eq!(load(place.path()).expect("read"), mappings);
}

#[test]
fn what_is_no_regular_file_is_not_replaced() {
    let place = tempfile::tempdir().expect("a directory");
    let socket = place.path().join(RPCBIND_FILE);
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
    let error = save(place.path(), &[]).expect_err("a socket");
    assert!(error.to_string().contains("no regular file"), "{error}");
    assert!(
        !std::fs::symlink_metadata(&socket)
            .expect("it is there")
            .is_file()
    );
}

#[test]
fn a_file_that_somebody_else_could_have_written_is_not_believed() {
    let place = tempfile::tempdir().expect("a directory");
    let (file, elsewhere) = (
        place.path().join(RPCBIND_FILE),
        place.path().join("elsewhere"),
    );
    std::fs::write(&elsewhere, theirs()).expect("written");
    std::os::unix::fs::symlink(&elsewhere, &file).expect("linked");
    assert!(load(place.path()).is_err(), "a link");
    std::fs::remove_file(&file).expect("removed");
    std::fs::write(&file, theirs()).expect("written");
    let writable = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(&file, writable).expect("changed");
    assert!(load(place.path()).is_err(), "anybody may write it");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("changed");
    assert!(load(place.path()).is_ok());
    std::fs::write(&file, b"\0\0\0\x01garbage").expect("written");
    assert!(load(place.path()).is_err(), "no list");
    // Nor does writing follow a link that lies in wait.
    let new = place.path().join("rpcbind.new");
    std::os::unix::fs::symlink(&elsewhere, &new).expect("linked");
    save(place.path(), &[]).expect("written");
    assert_eq!(std::fs::read(&elsewhere).expect("it is there"), theirs());
}
