//! What our client does with servers that answer wrongly, late, in pieces, at length or not at all:
//! it never hangs, never takes one call's reply for another's, and never believes a claimed length.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use farcall::{Cause, Client, Error};
use farcall_conformance::demo::{NUMBER, Str, v1};
use farcall_conformance::probe::{fragment, opaque, words};

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// A server that reads one call at a time and writes what `answer` makes of its xid; it closes
/// when that is nothing.
fn server(answer: impl Fn(u32) -> Option<Vec<u8>> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            // The client may go away at any time.
            let _ = stream.and_then(|mut stream| serve(&mut stream, &answer));
        }
    });
    address
}

fn serve(stream: &mut TcpStream, answer: &impl Fn(u32) -> Option<Vec<u8>>) -> std::io::Result<()> {
    loop {
        let mut mark = [0; 4];
        stream.read_exact(&mut mark)?;
        let length = u32::from_be_bytes(mark) & 0x7fff_ffff;
        let mut call = vec![0; usize::try_from(length).expect("a short call")];
        stream.read_exact(&mut call)?;
        let xid = u32::from_be_bytes([call[0], call[1], call[2], call[3]]);
        let Some(bytes) = answer(xid) else {
            return Ok(());
        };
        stream.write_all(&bytes)?;
    }
}

/// A successful reply with these results, as one record.
fn success(xid: u32, results: &[u8]) -> Vec<u8> {
    let mut message = words(&[xid, 1, 0, 0, 0, 0]);
    message.extend_from_slice(results);
    fragment(&message, true)
}

async fn connect(address: SocketAddr) -> v1::Client {
    let endpoint = format!("tcp://{address}");
    v1::Client::from(
        Client::connect(endpoint.as_str(), NUMBER, 1)
            .await
            .expect("connect"),
    )
}

/// What becomes of `ADD` at a server that answers like this.
fn add(answer: impl Fn(u32) -> Option<Vec<u8>> + Send + 'static) -> Result<i32, Error> {
    run(async {
        let client = connect(server(answer)).await;
        client.add(40, 2).deadline(Duration::from_secs(2)).await
    })
}

#[test]
fn replies_to_other_calls_are_ignored() {
    let sum = add(|xid| {
        let mut bytes = success(xid.wrapping_add(1), &words(&[1]));
        bytes.extend(success(!xid, &words(&[2])));
        bytes.extend(success(xid, &words(&[42])));
        bytes.extend(success(xid, &words(&[3])));
        Some(bytes)
    });
    assert_eq!(sum.expect("the right reply is among them"), 42);
}

#[test]
fn a_reply_may_be_cut_anywhere() {
    let sum = add(|xid| {
        let message = success(xid, &words(&[42]));
        let pieces = message[4..].iter().map(|&byte| fragment(&[byte], false));
        Some([pieces.collect::<Vec<_>>().concat(), fragment(b"", true)].concat())
    });
    assert_eq!(sum.expect("28 fragments and an empty one"), 42);
}

#[test]
fn a_claimed_length_is_not_believed() {
    for mark in [0x7fff_ffff, 0xffff_ffff, 0x8040_0001] {
        let error = add(move |_| Some(words(&[mark]))).expect_err("nothing follows");
        assert!(error.may_have_executed(), "{error}");
        assert!(
            !matches!(error.cause(), Cause::Deadline(_)),
            "at once, not in time: {error}"
        );
    }
}

#[test]
fn an_answer_in_another_protocol_is_named() {
    let error = add(|_| Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())).expect_err("HTTP");
    assert!(
        format!("{error} {:?}", error.hints()).contains("HTTP"),
        "{error}"
    );
}

#[test]
fn results_that_do_not_decode_fail_the_call_alone() {
    run(async {
        let address = server(|xid| Some(success(xid, &words(&[4_000_000_000]))));
        let client = connect(address).await;
        let text = Str::from("x");
        let error = client.echo(&text).await.expect_err("4 GB are claimed");
        assert!(matches!(error.cause(), Cause::Decode(_)), "{error}");
        assert!(error.may_have_executed());
        client
            .add(1, 2)
            .await
            .expect("the connection is still there");
    });
}

#[test]
fn bytes_behind_the_result_are_ignored_as_deployed_clients_do() {
    let sum = add(|xid| Some(success(xid, &words(&[42, 0]))));
    assert_eq!(sum.expect("the result is there"), 42);
}

#[test]
fn statuses_that_nobody_defined_are_errors_and_not_hangs() {
    for (name, rest) in [
        ("accept_stat 9", &[1, 0, 0, 0, 9][..]),
        ("reply_stat 2", &[1, 2, 0, 0, 0]),
        ("reject_stat 5", &[1, 1, 5, 0]),
        ("auth_stat 99", &[1, 1, 1, 99]),
        ("half a PROG_MISMATCH", &[1, 0, 0, 0, 2, 1]),
        ("a verifier of 404 bytes", &[1, 0, 0, 404]),
    ] {
        let rest = rest.to_vec();
        let error = add(move |xid| {
            let message = [words(&[xid]), words(&rest)].concat();
            Some(fragment(&message, true))
        })
        .expect_err(name);
        assert!(
            !matches!(error.cause(), Cause::Deadline(_)),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_call_where_a_reply_should_be_is_ignored() {
    let sum = add(|xid| {
        let call = fragment(&words(&[xid, 0, 2, 7, 1, 0, 0, 0, 0, 0]), true);
        Some([call, success(xid, &words(&[42]))].concat())
    });
    assert_eq!(sum.expect("the reply follows"), 42);
}

#[test]
fn a_verifier_is_skipped_whatever_its_flavor() {
    let sum = add(|xid| {
        let mut message = words(&[xid, 1, 0, 6]);
        message.extend(opaque(&[7; 400]));
        message.extend(words(&[0, 42]));
        Some(fragment(&message, true))
    });
    assert_eq!(sum.expect("400 bytes are allowed"), 42);
}

#[test]
fn a_server_that_closes_fails_the_call_at_once() {
    let error = add(|_| None).expect_err("it closes");
    assert!(matches!(error.cause(), Cause::Disconnected(_)), "{error}");
    assert!(error.may_have_executed());
}

#[test]
fn a_late_reply_does_not_poison_the_next_call() {
    use std::sync::atomic::{AtomicU32, Ordering};
    // The first call is answered only when the second one came, and before it.
    let first = AtomicU32::new(0);
    let address = server(move |xid| match first.swap(xid, Ordering::SeqCst) {
        0 => Some(Vec::new()),
        late => Some([success(late, &words(&[1])), success(xid, &words(&[42]))].concat()),
    });
    run(async {
        let client = connect(address).await;
        let late = client.add(0, 1).deadline(Duration::from_millis(100)).await;
        assert!(matches!(
            late.expect_err("late").cause(),
            Cause::Deadline(_)
        ));
        assert_eq!(client.add(40, 2).await.expect("its own reply"), 42);
    });
}

#[test]
fn datagrams_from_elsewhere_and_junk_are_ignored() {
    let real = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let address = real.local_addr().expect("an address");
    thread::spawn(move || {
        let forger = UdpSocket::bind("127.0.0.2:0").expect("bind");
        let mut call = [0; 1024];
        while let Ok((_, client)) = real.recv_from(&mut call) {
            let xid = u32::from_be_bytes([call[0], call[1], call[2], call[3]]);
            let reply = |value: u32| words(&[xid, 1, 0, 0, 0, 0, value]);
            let _ = forger.send_to(&reply(1), client);
            for junk in [&b""[..], b"x", &call[..40], &reply(2)[..10]] {
                let _ = real.send_to(junk, client);
            }
            let _ = real.send_to(&words(&[!xid, 1, 0, 0, 0, 0, 3]), client);
            let _ = real.send_to(&reply(42), client);
        }
    });
    run(async {
        let endpoint = format!("udp://{address}");
        let client = Client::connect(endpoint.as_str(), NUMBER, 1)
            .await
            .expect("a socket");
        let client = v1::Client::from(client);
        for _ in 0..10 {
            assert_eq!(client.add(40, 2).await.expect("the real reply"), 42);
        }
    });
}

#[test]
fn a_lost_datagram_is_sent_again_with_the_same_xid() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let address = socket.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let mut call = [0; 1024];
        let mut xids = Vec::new();
        loop {
            let (_, client) = socket.recv_from(&mut call).expect("a call");
            let xid = u32::from_be_bytes([call[0], call[1], call[2], call[3]]);
            xids.push(xid);
            if xids.len() == 2 {
                let reply = words(&[xid, 1, 0, 0, 0, 0, 42]);
                socket.send_to(&reply, client).expect("answer");
                return xids;
            }
        }
    });
    run(async {
        let endpoint = format!("udp://{address}");
        let client = Client::connect(endpoint.as_str(), NUMBER, 1)
            .await
            .expect("a socket");
        assert_eq!(
            v1::Client::from(client)
                .add(40, 2)
                .await
                .expect("the second time"),
            42
        );
    });
    let xids = server.join().expect("the server");
    assert_eq!(xids[0], xids[1]);
}
