//! Messages: versions, programs, procedures, arguments and headers that are not what they should be.

use farcall_conformance::probe::{
    ANSWER, Answer, Call, Heard, Stream, datagram, fragment, opaque, words,
};

use super::{NUMBER, call, ignores, says, server, serves};

#[test]
fn another_version_of_rpc_is_answered_with_the_range() {
    let server = server(&[]);
    for version in [0, 1, 3, 0xffff_ffff] {
        let call = Call {
            rpc_version: version,
            ..call(0)
        };
        says(&server, &call, &Answer::RpcMismatch(2, 2));
    }
}

#[test]
fn unknown_programs_versions_and_procedures_are_told_apart() {
    let server = server(&[]);
    says(&server, &Call::new(NUMBER + 1, 1, 0), &Answer::ProgUnavail);
    for version in [0, 3, 0xffff_ffff] {
        says(
            &server,
            &Call::new(NUMBER, version, 0),
            &Answer::ProgMismatch(1, 2),
        );
    }
    for procedure in [5, 77, 0x8000_0000, 0xffff_ffff] {
        says(&server, &call(procedure), &Answer::ProcUnavail);
    }
}

#[test]
fn procedure_0_answers() {
    let server = server(&[]);
    says(&server, &call(0), &Answer::Success(Vec::new()));
}

#[test]
fn arguments_that_do_not_decode_are_garbage() {
    let server = server(&[]);
    let over_the_bound = opaque(&[b'x'; 4097]);
    let beyond_the_end = words(&[8, 0]);
    let mut with_a_tail = opaque(b"hello");
    with_a_tail.extend(words(&[0]));
    for arguments in [&[][..], &over_the_bound, &beyond_the_end, &with_a_tail] {
        says(&server, &call(1).arguments(arguments), &Answer::GarbageArgs);
    }
    says(
        &server,
        &call(2).arguments(&words(&[1])),
        &Answer::GarbageArgs,
    );
    says(
        &server,
        &call(2).arguments(&words(&[1, 2, 3])),
        &Answer::GarbageArgs,
    );
}

#[test]
fn an_enum_value_that_is_not_listed_is_garbage() {
    let server = server(&[]);
    // data<>, h, d, then the discriminant 5 and an empty list.
    let blob = words(&[0, 0, 1, 0, 0, 5, 0]);
    says(&server, &call(3).arguments(&blob), &Answer::GarbageArgs);
}

#[test]
fn a_bool_that_is_neither_is_garbage() {
    let server = server(&[]);
    // The pointer `left` is followed by its value if its bool is 1.
    says(
        &server,
        &call(4).arguments(&words(&[2, 0, 0])),
        &Answer::GarbageArgs,
    );
}

#[test]
fn counts_that_overflow_when_multiplied_are_garbage() {
    let server = server(&[]);
    for count in [
        0x3fff_ffff,
        0x4000_0000,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_fffc,
        0xffff_ffff,
    ] {
        says(
            &server,
            &call(1).arguments(&words(&[count, 0])),
            &Answer::GarbageArgs,
        );
        says(
            &server,
            &call(3).arguments(&words(&[count, 0])),
            &Answer::GarbageArgs,
        );
    }
}

#[test]
fn a_tail_of_a_mebibyte_is_garbage_in_every_procedure() {
    let server = server(&[]);
    for (procedure, arguments) in [
        (1, opaque(b"x")),
        (2, words(&[1, 2])),
        (3, words(&[0, 0, 0, 0, 0, 7, 0])),
        (4, words(&[0, 0, 0])),
    ] {
        let mut long = arguments.clone();
        long.resize(long.len() + (1 << 20), 0);
        let mut stream = Stream::connect(server.tcp).expect("connect");
        let heard = stream.ask(&call(procedure).arguments(&long)).expect("ask");
        assert_eq!(
            heard,
            Heard::Reply(0x0123_4567, Answer::GarbageArgs),
            "{procedure}"
        );
        let heard = stream
            .ask(&call(procedure).arguments(&arguments))
            .expect("ask");
        assert!(
            matches!(heard, Heard::Reply(_, Answer::Success(_))),
            "{procedure}: {heard:?}"
        );
    }
}

#[test]
fn padding_that_is_not_zero_is_accepted_as_deployed_peers_do() {
    let server = server(&[]);
    let mut arguments = opaque(b"hello");
    arguments[9] = 0xff;
    says(
        &server,
        &call(1).arguments(&arguments),
        &Answer::Success(opaque(b"hello")),
    );
}

#[test]
fn strings_are_bytes() {
    let server = server(&[]);
    let text = [0xff, 0x00, 0xc3, 0x28];
    says(
        &server,
        &call(1).arguments(&opaque(&text)),
        &Answer::Success(opaque(&text)),
    );
}

#[test]
fn replies_and_unknown_directions_close_a_stream_and_are_ignored_as_datagrams() {
    let server = server(&[]);
    for kind in [1, 2, 0xffff_ffff] {
        let message = Call { kind, ..call(0) };
        assert_eq!(
            super::over_tcp(&server, &message),
            Heard::Closed,
            "kind {kind}"
        );
        ignores(&server, &message.bytes());
    }
    serves(&server);
}

#[test]
fn a_header_cut_anywhere_is_never_met_with_silence_on_a_stream() {
    let server = server(&[]);
    let whole = call(1).credential(1, &[7; 20]).bytes();
    for cut in 1..whole.len() {
        let mut stream = Stream::connect(server.tcp).expect("connect");
        stream.send(&fragment(&whole[..cut], true)).expect("send");
        match stream.hear(ANSWER).expect("hear") {
            Heard::Closed | Heard::Reply(_, Answer::GarbageArgs | Answer::AuthError(1)) => {}
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
    serves(&server);
}

#[test]
fn a_datagram_cut_within_its_header_is_never_answered() {
    let server = server(&[]);
    let whole = call(0).bytes();
    for cut in 0..whole.len() {
        ignores(&server, &whole[..cut]);
    }
    // Not even when the datagram before it left a whole header in some buffer.
    says(&server, &call(0), &Answer::Success(Vec::new()));
    ignores(&server, &whole[..16]);
}

#[test]
fn a_large_datagram_of_junk_is_ignored() {
    let server = server(&[]);
    ignores(&server, &vec![0xa5; 60_000]);
    serves(&server);
}

#[test]
fn a_procedure_that_does_not_answer_leaves_the_next_call_alone() {
    let server = server(&[]);
    let mut stream = Stream::connect(server.tcp).expect("connect");
    let one_way = Call::new(NUMBER, 2, 9)
        .arguments(&opaque(b"no answer"))
        .xid(1);
    stream.send(&one_way.record()).expect("send");
    let heard = stream.ask(&call(0).xid(2)).expect("ask");
    assert_eq!(heard, Heard::Reply(2, Answer::Success(Vec::new())));
    ignores(&server, &one_way.bytes());
}

#[test]
fn the_same_xid_twice_is_two_calls_on_a_stream() {
    let server = server(&[]);
    let mut stream = Stream::connect(server.tcp).expect("connect");
    let mut twice = call(0).record();
    twice.extend(call(1).arguments(&opaque(b"hi")).record());
    stream.send(&twice).expect("send");
    let mut heard = [
        stream.hear(ANSWER).expect("hear"),
        stream.hear(ANSWER).expect("hear"),
    ];
    heard.sort_by_key(
        |heard| matches!(heard, Heard::Reply(_, Answer::Success(results)) if !results.is_empty()),
    );
    let reply = |results| Heard::Reply(0x0123_4567, Answer::Success(results));
    assert_eq!(heard, [reply(Vec::new()), reply(opaque(b"hi"))]);
}

#[test]
fn a_repeated_datagram_is_answered_again() {
    let server = server(&[]);
    let message = call(2).arguments(&words(&[40, 2])).bytes();
    for _ in 0..3 {
        let heard = datagram(server.udp, &message, ANSWER).expect("ask");
        assert_eq!(
            heard,
            Heard::Reply(0x0123_4567, Answer::Success(words(&[42])))
        );
    }
}
