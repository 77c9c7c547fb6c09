//! Arguments that lie: counts, lengths, pointers, strings, unions (CVE-2012-1182, CVE-2018-1050, CVE-2015-0240, CVE-2023-34966).
//!
//! Layouts: C706 chapter 14. Whoever sends a stub that cannot be read is told so (`RPC_X_BAD_STUB_DATA`), and stays connected.

use farcall_conformance::raw::{Heard, LSARPC, Line, NETLOGON, Pdu, RPCECHO, number, words};

use super::{
    BAD_STUB_DATA, ECHO_DATA, SINK_DATA, SOURCE_DATA, TEST_CALL, TEST_CALL2, echo, faults, is_open,
    serves,
};

const TEST_ENUM: u16 = 7;
const TEST_SURROUNDING: u16 = 8;
const TEST_DOUBLE_POINTER: u16 = 9;

/// Operations of lsarpc.
const OPEN_POLICY: u16 = 6;
const OPEN_POLICY2: u16 = 44;
const GET_USER_NAME: u16 = 45;

fn call(line: &mut Line, opnum: u16, stub: &[u8]) -> Heard {
    line.ask(&Pdu::request(5, opnum, stub))
}

fn joined(counts: &[u32], data: &[u8]) -> Vec<u8> {
    [&words(counts)[..], data].concat()
}

#[test]
fn counts_must_be_what_comes() {
    let Some(mut echo) = echo(&[]) else { return };
    let before = echo.process.memory().expect("memory");
    let mut line = Line::bound(echo.address(), RPCECHO);
    let data = [7; 100];
    let right = joined(&[100, 100], &data);
    assert_eq!(
        call(&mut line, ECHO_DATA, &right).stub(),
        Some(&joined(&[100], &data)[..])
    );
    // Length and conformance that differ, both that are too large, and everything there is.
    for (length, count) in [
        (99, 100),
        (101, 100),
        (100, 99),
        (100, 101),
        (101, 101),
        (0, 100),
        (100, 0),
        (u32::MAX, 100),
        (100, u32::MAX),
        (u32::MAX, u32::MAX),
        (1 << 31, 1 << 31),
        (0x4000_0000, 0x4000_0000),
        (4 << 20, 4 << 20),
    ] {
        for opnum in [ECHO_DATA, SINK_DATA] {
            faults(
                &call(&mut line, opnum, &joined(&[length, count], &data)),
                BAD_STUB_DATA,
            );
        }
    }
    for end in 0..right.len() {
        faults(&call(&mut line, ECHO_DATA, &right[..end]), BAD_STUB_DATA);
    }
    // Elements of two bytes, whose product would not fit 32 bits, behind a structure's hoisted count.
    for (count, length) in [
        (2, 3),
        (3, 2),
        (u32::MAX, u32::MAX),
        (1 << 31, 1 << 31),
        (0x8000_0001, 0x8000_0001),
    ] {
        faults(
            &call(
                &mut line,
                TEST_SURROUNDING,
                &joined(&[count, length], &[1, 0, 2, 0]),
            ),
            BAD_STUB_DATA,
        );
    }
    // What is asked for, but may not be had.
    let heard = call(&mut line, SOURCE_DATA, &words(&[u32::MAX]));
    assert!(heard.fault().is_some(), "{heard:x?}");
    is_open(&mut line);
    let grown = echo
        .process
        .memory()
        .expect("memory")
        .saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
    serves(&mut echo);
}

#[test]
fn strings_must_be_strings() {
    let Some(mut echo) = echo(&[]) else { return };
    let mut line = Line::bound(echo.address(), RPCECHO);
    let text = b"h\0i\0\0\0";
    let right = joined(&[3, 0, 3], text);
    assert!(call(&mut line, TEST_CALL, &right).stub().is_some());
    for end in 0..right.len() {
        faults(&call(&mut line, TEST_CALL, &right[..end]), BAD_STUB_DATA);
    }
    let wrong: [(&str, Vec<u8>); 7] = [
        ("longer than its room", joined(&[2, 0, 3], text)),
        ("an offset", joined(&[3, 1, 2], text)),
        ("an offset that wraps", joined(&[3, u32::MAX, 4], text)),
        ("no end", joined(&[2, 0, 2], b"h\0i\0")),
        ("nothing at all", joined(&[0, 0, 0], b"")),
        (
            "a length of everything",
            joined(&[u32::MAX, 0, u32::MAX], text),
        ),
        (
            "a length whose bytes wrap",
            joined(&[0x8000_0001, 0, 0x8000_0001], text),
        ),
    ];
    for (what, stub) in wrong {
        let heard = call(&mut line, TEST_CALL, &stub);
        assert_eq!(heard.fault(), Some(BAD_STUB_DATA), "{what}: {heard:x?}");
    }
    // Half a pair of surrogates is no text, and comes back as it went.
    let stub = joined(&[2, 0, 2], &[0x00, 0xd8, 0, 0]);
    let heard = call(&mut line, TEST_CALL, &stub);
    assert!(
        heard.fault() == Some(BAD_STUB_DATA) || heard.stub().is_some(),
        "{heard:x?}"
    );
    is_open(&mut line);
    serves(&mut echo);
}

#[test]
fn unions_and_operations_that_do_not_exist_are_refused() {
    let Some(mut echo) = echo(&[]) else { return };
    let mut line = Line::bound(echo.address(), RPCECHO);
    for level in [0_u16, 8, 99, u16::MAX] {
        let heard = call(&mut line, TEST_CALL2, &level.to_le_bytes());
        assert!(heard.fault().is_some(), "level {level}: {heard:x?}");
    }
    // foo1 says 1, the union's own tag says 2 (enums of 16 bits, then foo2's two numbers).
    let stub = [
        &[1, 0, 0, 0][..],
        &[1, 0, 0, 0],
        &words(&[1]),
        &[2, 0, 0, 0],
        &[1, 0, 0, 0],
        &words(&[1]),
    ]
    .concat();
    faults(&call(&mut line, TEST_ENUM, &stub), BAD_STUB_DATA);
    for opnum in [10, 99, u16::MAX] {
        // nca_s_op_rng_error.
        faults(&call(&mut line, opnum, &[]), 0x1c01_0002);
    }
    is_open(&mut line);
    serves(&mut echo);
}

#[test]
fn every_pointer_may_be_null() {
    let Some(mut echo) = echo(&[]) else { return };
    let mut line = Line::bound(echo.address(), RPCECHO);
    for stub in [
        words(&[0]),
        words(&[0x20000, 0]),
        joined(&[0x20000, 0x20004], &[9, 0]),
    ] {
        let heard = call(&mut line, TEST_DOUBLE_POINTER, &stub);
        assert!(heard.stub().is_some(), "{heard:x?}");
    }
    let mut line = Line::bound(echo.address(), LSARPC);
    let attributes = [24, 0, 0, 0, 0, 0];
    for opnum in [OPEN_POLICY, OPEN_POLICY2] {
        let stub = words(&[&[0][..], &attributes, &[0x0200_0000]].concat());
        let heard = call(&mut line, opnum, &stub);
        assert_eq!(
            heard.stub().and_then(|stub| number(stub, 20)),
            Some(0),
            "{heard:x?}"
        );
        // Pointers that point at nothing, one after the other.
        for at in [0, 2, 3, 5, 6] {
            let mut lying = stub.clone();
            lying[at * 4..at * 4 + 4].copy_from_slice(&0x20000_u32.to_le_bytes());
            let heard = call(&mut line, opnum, &lying);
            assert!(
                heard.fault().is_some() || heard.stub().is_some(),
                "{at}: {heard:x?}"
            );
        }
    }
    let heard = call(&mut line, GET_USER_NAME, &words(&[0, 0, 0]));
    assert!(heard.stub().is_some(), "{heard:x?}");
    serves(&mut echo);
}

/// CVE-2020-1472 begins with a challenge whose first five bytes are alike.
#[test]
fn a_weak_challenge_is_refused() {
    let Some(mut echo) = echo(&[]) else { return };
    let mut line = Line::bound(echo.address(), NETLOGON);
    let challenge = |bytes: &[u8; 8]| [&words(&[0, 2, 0, 2])[..], &[b'X', 0, 0, 0], bytes].concat();
    let mut status = |bytes| {
        let heard = call(&mut line, 4, &challenge(bytes));
        heard
            .stub()
            .and_then(|stub| number(stub, 8))
            .unwrap_or_else(|| panic!("{heard:x?}"))
    };
    assert_eq!(status(&[1, 2, 3, 4, 5, 6, 7, 8]), 0);
    assert_eq!(status(&[0; 8]), 0xc000_000d);
    assert_eq!(status(&[7, 7, 7, 7, 7, 1, 2, 3]), 0xc000_000d);
    serves(&mut echo);
}
