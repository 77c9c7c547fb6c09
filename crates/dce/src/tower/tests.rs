//! Tests of towers; the bytes of the first were laid out by hand.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use proptest::prelude::*;

const EPM: SyntaxId = SyntaxId {
    uuid: Uuid::new(
        0xe1af_8308,
        0x5d1f,
        0x11c9,
        [0x91, 0xa4, 0x08, 0x00, 0x2b, 0x14, 0xa0, 0xfa],
    ),
    major: 3,
    minor: 0,
};

/// By hand from C706 appendix L and MS-RPCE 2.2.1.2.2: the endpoint mapper at 127.0.0.1, TCP port 135.
const TCP_135: [u8; 75] = [
    5, 0, // floors
    19, 0, 0x0d, 0x08, 0x83, 0xaf, 0xe1, 0x1f, 0x5d, 0xc9, 0x11, 0x91, 0xa4, 0x08, 0x00, 0x2b,
    0x14, 0xa0, 0xfa, 3, 0, 2, 0, 0, 0, //
    19, 0, 0x0d, 0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b,
    0x10, 0x48, 0x60, 2, 0, 2, 0, 0, 0, //
    1, 0, 0x0b, 2, 0, 0, 0, //
    1, 0, 0x07, 2, 0, 0, 135, //
    1, 0, 0x09, 4, 0, 127, 0, 0, 1,
];

fn tower(protseq: Protseq, endpoint: &str) -> Tower {
    Tower::new(EPM, SyntaxId::NDR, protseq, endpoint, Ipv4Addr::LOCALHOST).unwrap()
}

#[test]
fn a_tower_of_tcp_both_ways() {
    let made = tower(Protseq::Tcp, "135");
    assert_eq!(made.to_bytes(), TCP_135);
    let read = Tower::parse(&TCP_135).unwrap();
    assert_eq!(read, made);
    assert_eq!(read.interface(), Some(EPM));
    assert_eq!(read.transfer(), Some(SyntaxId::NDR));
    assert_eq!(
        (read.protseq(), read.port()),
        (Some(Protseq::Tcp), Some(135))
    );
    assert_eq!(read.address(), Some(Ipv4Addr::LOCALHOST));
    let elsewhere = read.at(Ipv4Addr::new(10, 1, 2, 3));
    assert_eq!(elsewhere.address(), Some(Ipv4Addr::new(10, 1, 2, 3)));
}

#[test]
fn every_protocol_sequence_both_ways() {
    for (protseq, endpoint, floors) in [
        (Protseq::Tcp, "49664", 5),
        (Protseq::Udp, "135", 5),
        (Protseq::Http, "593", 5),
        (Protseq::Pipe, r"\PIPE\lsass", 5),
        (Protseq::Local, "epmapper", 4),
        (Protseq::Unix, "/run/x.sock", 4),
    ] {
        let made = tower(protseq, endpoint);
        assert_eq!(made.floors.len(), floors);
        let read = Tower::parse(&made.to_bytes()).unwrap();
        assert_eq!(read, made, "{protseq}");
        assert_eq!(read.protseq(), Some(protseq));
        assert_eq!(read.endpoint().as_deref(), Some(endpoint));
        assert_eq!(
            Protseq::named(&protseq.name().to_uppercase()),
            Some(protseq)
        );
    }
}

#[test]
fn an_open_endpoint_is_empty_and_a_wrong_one_is_none() {
    assert_eq!(tower(Protseq::Tcp, "").endpoint().as_deref(), Some(""));
    let wrong = Tower::new(
        EPM,
        SyntaxId::NDR,
        Protseq::Tcp,
        "70000",
        Ipv4Addr::LOCALHOST,
    );
    assert_eq!(wrong, None);
}

#[test]
fn every_truncation_is_refused_and_so_are_bytes_left_over() {
    for cut in 0..TCP_135.len() {
        assert!(Tower::parse(&TCP_135[..cut]).is_err(), "{cut}");
    }
    let mut long = TCP_135.to_vec();
    long.push(0);
    assert!(Tower::parse(&long).is_err());
}

#[test]
fn a_forged_count_of_floors_takes_no_memory() {
    let error = Tower::parse(&[0xff, 0xff]).unwrap_err();
    assert_eq!(
        *error.kind(),
        DecodeErrorKind::Invalid("tower has more than 32 floors")
    );
}

#[test]
fn a_floor_that_is_not_as_its_protocol_has_it_survives_as_bytes() {
    for floor in [
        &[1, 0, 0x07, 1, 0, 9][..],
        &[2, 0, 0x07, 0, 2, 0, 0, 135],
        &[1, 0, 0x0f, 2, 0, b'a', b'b'],
        &[0, 0, 0, 0],
        &[1, 0, 0x55, 0, 0],
        &[5, 0, 0x0d, 1, 2, 3, 4, 2, 0, 0, 0],
    ] {
        let mut bytes = vec![1, 0];
        bytes.extend(floor);
        let tower = Tower::parse(&bytes).unwrap();
        assert!(
            matches!(tower.floors[..], [Floor::Other { .. }]),
            "{floor:?}"
        );
        assert_eq!(tower.to_bytes(), bytes);
        assert_eq!(tower.protseq(), None);
    }
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_alike(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(tower) = Tower::parse(&bytes) {
            prop_assert_eq!(tower.to_bytes(), bytes);
        }
    }
}
