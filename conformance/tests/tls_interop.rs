//! RPC-with-TLS (RFC 9289) with an independent peer, `openssl s_client` and tshark, and what somebody in between can do.
//!
//! The peer is `conformance/peers/rpc_tls.py`: Python and OpenSSL. Where a relay stands between our ends, its bytes are
//! written by hand.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use farcall::tls::{Policy, Tls};
use farcall::{Cause, Client, Options, Server, TlsFault};
use farcall_conformance::certificates::Authority;
use farcall_conformance::demo::{self, NUMBER, Str, v1};
use farcall_conformance::peer::tshark::Capture;
use farcall_conformance::peer::{Ours, Process, Scratch, available, python};
use farcall_conformance::{case, network_test};

/// The peer, as cases name it.
const PEER: &str = "python-tls";

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

async fn start(authority: &Authority, policy: Policy) -> Server {
    let mutual = policy == Policy::RequireMutual;
    let with = authority.server(mutual).expect("certificates");
    let mut builder = Server::builder()
        .tls(policy, with)
        .listen("tcp://127.0.0.1:0");
    for service in demo::services() {
        builder = builder.serve(service);
    }
    builder.start().await.expect("start the server")
}

fn port(server: &Server) -> u16 {
    server.endpoints()[0].port().expect("a port")
}

async fn connect(port: u16, tls: Tls) -> Result<v1::Client, farcall::Error> {
    let endpoint = format!("tcp://localhost:{port}");
    let options = Options {
        tls: Some(tls),
        ..Options::default()
    };
    let client = Client::connect_with(endpoint, NUMBER, 1, options).await?;
    Ok(v1::Client::from(client))
}

fn scratch() -> (Scratch, Authority) {
    let scratch = Scratch::new("tls").expect("a folder");
    let authority = Authority::new(scratch.path()).expect("an authority");
    (scratch, authority)
}

fn fault(error: &farcall::Error) -> TlsFault {
    match error.cause() {
        Cause::Tls(fault, _) => *fault,
        _ => panic!("{error}"),
    }
}

#[test]
fn the_independent_client_speaks_with_our_server() {
    if !available(&["python3"]) {
        return;
    }
    let (_scratch, authority) = scratch();
    let alice = authority
        .issue("alice", &["alice.example"])
        .expect("issued");
    for mutual in [false, true] {
        let policy = match mutual {
            true => Policy::RequireMutual,
            false => Policy::Opportunistic,
        };
        for alpn in ["sunrpc", ""] {
            let said = run(async {
                let server = start(&authority, policy).await;
                let mut client = python::plain_script("rpc_tls.py");
                client
                    .args([
                        "client",
                        "--port",
                        &port(&server).to_string(),
                        "--alpn",
                        alpn,
                    ])
                    .arg("--ca")
                    .arg(authority.file());
                if mutual {
                    client
                        .arg("--cert")
                        .arg(&alice.certificate)
                        .arg("--key")
                        .arg(&alice.key);
                }
                let output = tokio::task::spawn_blocking(move || client.output());
                let output = output.await.expect("joined").expect("run");
                assert!(output.status.success(), "{output:?}");
                String::from_utf8(output.stdout).expect("text")
            });
            let agreed = if alpn.is_empty() { "None" } else { alpn };
            // Accepted with success and no results; with 42; denied by AUTH_ERROR, AUTH_BADCRED.
            for line in [
                "version TLSv1.3".to_owned(),
                format!("alpn {agreed}"),
                "null 000000020000000100000000000000000000000000000000".to_owned(),
                "sum 0000000300000001000000000000000000000000000000000000002a".to_owned(),
                "echoes 100".to_owned(),
                "again 0000000400000001000000010000000100000001".to_owned(),
            ] {
                assert!(said.lines().any(|said| said == line), "{line} in {said}");
            }
            let who = if mutual { "mutual" } else { "server alone" };
            let how = if alpn.is_empty() { "no ALPN" } else { "ALPN" };
            case::ran(PEER, &format!("its client, our server, {who}, {how}"));
        }
    }
}

#[test]
fn our_client_speaks_with_the_independent_server() {
    if !available(&["python3"]) {
        return;
    }
    let (_scratch, authority) = scratch();
    let own = authority.issue("peer", &["localhost"]).expect("issued");
    let alice = authority
        .issue("alice", &["alice.example"])
        .expect("issued");
    for mutual in [false, true] {
        for alpn in ["sunrpc", "", "http/1.1"] {
            let mut server = python::plain_script("rpc_tls.py");
            server
                .args(["server", "--alpn", alpn])
                .arg("--cert")
                .arg(&own.certificate)
                .arg("--key")
                .arg(&own.key)
                .arg("--ca")
                .arg(authority.file());
            if mutual {
                server.arg("--mutual");
            }
            let process = Process::start("rpc_tls.py", &mut server).expect("start it");
            let line = process.line("ready ").expect("it is ready");
            let port = line.trim_start_matches("ready ").parse().expect("a port");
            let policy = match mutual {
                true => Policy::RequireMutual,
                false => Policy::Require,
            };
            let with = authority.client(Some(&alice)).expect("a client");
            let called = run(async {
                let client = connect(port, Tls { policy, with }).await?;
                client.add(40, 2).await
            });
            let who = if mutual { "mutual" } else { "server alone" };
            let how = match alpn {
                "" => "no ALPN",
                "sunrpc" => "ALPN",
                _ => {
                    // OpenSSL does not insist: a server that knows only others agrees on none.
                    assert!(matches!(called, Ok(42)), "{called:?}");
                    continue;
                }
            };
            assert_eq!(called.expect("answered"), 42);
            let line = process.line("client ").expect("who called");
            let agreed = if alpn.is_empty() { "None" } else { alpn };
            let shown = if mutual { "alice" } else { "" };
            assert_eq!(
                line.trim_end(),
                format!("client {agreed} {shown}").trim_end()
            );
            case::ran(PEER, &format!("our client, its server, {who}, {how}"));
        }
    }
}

/// Stands between a client and the server at `to`: what `middle` does to each connection.
fn relay(
    to: SocketAddr,
    middle: impl Fn(&mut TcpStream, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for near in listener.incoming() {
            let (Ok(mut near), Ok(mut far)) = (near, TcpStream::connect(to)) else {
                return;
            };
            if middle(&mut near, &mut far).is_err() {
                continue;
            }
            let (mut back, mut forth) = (
                far.try_clone().expect("a socket"),
                near.try_clone().expect("a socket"),
            );
            thread::spawn(move || {
                let _ = std::io::copy(&mut back, &mut forth);
                let _ = forth.shutdown(Shutdown::Write);
            });
            thread::spawn(move || {
                let _ = std::io::copy(&mut near, &mut far);
                let _ = far.shutdown(Shutdown::Write);
            });
        }
    });
    port
}

/// The probe as RFC 9289 section 4.1 has it, behind a mark; the answer of a willing server, and of one that knows of no TLS.
fn probe() -> Vec<u8> {
    words(&[0x8000_0028, 7, 0, 2, NUMBER, 1, 0, 7, 0, 0, 0])
}

const WILLING: usize = 36;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

#[test]
fn openssl_speaks_with_our_server_behind_a_probe_made_by_hand() {
    if !available(&["openssl"]) {
        return;
    }
    let (_scratch, authority) = scratch();
    let said = run(async {
        let server = start(&authority, Policy::Require).await;
        let port = relay(at(port(&server)), |_, far| {
            far.write_all(&probe())?;
            let mut answer = [0; WILLING];
            far.read_exact(&mut answer)?;
            assert_eq!(
                answer[4..],
                words(&[7, 1, 0, 0, 8, 0x5354_4152, 0x5454_4c53, 0])
            );
            Ok(())
        });
        let mut client = Command::new("openssl");
        client
            .args([
                "s_client",
                "-connect",
                &format!("127.0.0.1:{port}"),
                "-tls1_3",
                "-alpn",
                "sunrpc",
            ])
            .args([
                "-verify_return_error",
                "-verify_hostname",
                "localhost",
                "-quiet",
                "-CAfile",
            ])
            .arg(authority.file())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let asking = tokio::task::spawn_blocking(move || {
            let mut child = client.spawn()?;
            let mut input = child.stdin.take().expect("piped");
            input.write_all(&words(&[0x8000_0028, 8, 0, 2, NUMBER, 1, 0, 0, 0, 0, 0]))?;
            let mut reply = [0; 28];
            let read = child.stdout.take().expect("piped").read_exact(&mut reply);
            drop(input);
            let _ = child.kill();
            let output = child.wait_with_output()?;
            read.map_err(|error| std::io::Error::other(format!("{error}: {output:?}")))?;
            Ok::<_, std::io::Error>(reply)
        });
        asking.await.expect("joined").expect("answered")
    });
    assert_eq!(said.to_vec(), words(&[0x8000_0018, 8, 1, 0, 0, 0, 0]));
    case::ran("openssl", "s_client, our server");
}

#[test]
fn who_takes_the_offer_away_gets_no_calls_from_those_who_insist() {
    let (_scratch, authority) = scratch();
    run(async {
        let server = start(&authority, Policy::Opportunistic).await;
        // STRIPTLS: the answer of a server that knows of no TLS, in place of the true one.
        let port = relay(at(port(&server)), |near, _| {
            let mut asked = [0; 44];
            near.read_exact(&mut asked)?;
            let xid = u32::from_be_bytes([asked[4], asked[5], asked[6], asked[7]]);
            near.write_all(&words(&[0x8000_0018, xid, 1, 0, 0, 0, 0]))
        });
        let alice = authority.issue("alice", &["alice"]).expect("issued");
        for policy in [Policy::Require, Policy::RequireMutual] {
            let with = authority.client(Some(&alice)).expect("a client");
            let error = connect(port, Tls { policy, with })
                .await
                .map(|_| ())
                .expect_err("refused");
            assert_eq!(fault(&error), TlsFault::NotOffered, "{error}");
            assert!(!error.may_have_executed());
        }
        // Whoever does not insist has been warned in the policy's name.
        let with = authority.client(None).expect("a client");
        let client = connect(port, Tls::opportunistic(with))
            .await
            .expect("in clear");
        assert_eq!(client.add(1, 2).await.expect("answered"), 3);
    });
}

#[test]
fn what_is_put_behind_the_answer_never_counts_as_said_under_tls() {
    let (_scratch, authority) = scratch();
    run(async {
        let server = start(&authority, Policy::Require).await;
        for policy in [Policy::Opportunistic, Policy::Require] {
            let port = relay(at(port(&server)), |near, far| {
                let mut asked = [0; 44];
                near.read_exact(&mut asked)?;
                far.write_all(&asked)?;
                let mut answer = vec![0; WILLING];
                far.read_exact(&mut answer)?;
                // A reply that might answer the first call under TLS.
                answer.extend(words(&[0x8000_0018, 1, 1, 0, 0, 0, 0]));
                near.write_all(&answer)
            });
            let with = authority.client(None).expect("a client");
            let error = connect(port, Tls { policy, with })
                .await
                .map(|_| ())
                .expect_err("refused");
            assert_eq!(fault(&error), TlsFault::NotTls, "{error}");
        }
    });
}

#[test]
fn a_handshake_that_is_cut_off_or_changed_ends_in_an_error() {
    let (_scratch, authority) = scratch();
    run(async {
        let server = start(&authority, Policy::Opportunistic).await;
        for cut in [0, 5, 100] {
            for broken in [false, true] {
                let to = at(port(&server));
                let port = relay(to, move |near, far| {
                    let mut asked = [0; 44];
                    near.read_exact(&mut asked)?;
                    far.write_all(&asked)?;
                    let mut answer = vec![0; WILLING];
                    far.read_exact(&mut answer)?;
                    near.write_all(&answer)?;
                    let mut hello = vec![0; 2048];
                    let n = near.read(&mut hello)?;
                    far.write_all(&hello[..n])?;
                    let mut shake = vec![0; cut + 1];
                    far.read_exact(&mut shake)?;
                    if broken {
                        shake[cut] ^= 0x55;
                        return near.write_all(&shake);
                    }
                    near.write_all(&shake[..cut])?;
                    Err(std::io::ErrorKind::UnexpectedEof.into())
                });
                let with = authority.client(None).expect("a client");
                let error = connect(port, Tls::opportunistic(with)).await;
                let error = error.map(|_| ()).expect_err("no TLS");
                assert!(!error.may_have_executed(), "{cut} {broken}: {error}");
                assert!(
                    matches!(error.cause(), Cause::Tls(..)),
                    "{cut} {broken}: {error}"
                );
            }
        }
        let with = authority.client(None).expect("a client");
        let client = connect(port(&server), Tls::require(with))
            .await
            .expect("connects");
        let text = Str::from("still here");
        assert_eq!(client.echo(&text).await.expect("answered"), text);
    });
}

#[test]
fn handshakes_that_never_end_cost_little_memory_and_nobody_else() {
    let (scratch, authority) = scratch();
    authority
        .issue("server", &["localhost", "127.0.0.1"])
        .expect("issued");
    let folder = format!("tls={}", scratch.path().display());
    let program = env!("CARGO_BIN_EXE_demo-server");
    let server = Ours::start(program, &[&folder, "partial=3000"]).expect("start it");
    let with = authority.client(None).expect("a client");
    let called = || {
        let with = with.clone();
        run(async {
            connect(server.tcp.port(), Tls::require(with))
                .await?
                .add(1, 2)
                .await
        })
    };
    assert_eq!(called().expect("answered"), 3);
    let before = server.process.memory().expect("its memory");
    let mut open = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(server.tcp).expect("connects");
        stream.write_all(&probe()).expect("written");
        let mut answer = [0; WILLING];
        stream.read_exact(&mut answer).expect("willing");
        // The largest record of a handshake is announced, and a third of it sent.
        stream.write_all(&[22, 3, 1, 0x40, 0]).expect("written");
        stream.write_all(&[1, 0, 0x3f, 0xfc]).expect("written");
        stream.write_all(&[0; 5000]).expect("written");
        open.push(stream);
    }
    assert_eq!(called().expect("answered meanwhile"), 3);
    let grown = server
        .process
        .memory()
        .expect("its memory")
        .saturating_sub(before);
    assert!(
        grown < 200 * (48 << 10),
        "{grown} bytes for 200 connections"
    );
    for mut stream in open {
        let mut rest = Vec::new();
        // It is closed when its time is over.
        let _ = stream.read_to_end(&mut rest);
    }
}

network_test! {
    fn tshark_reads_the_probe_and_nothing_of_the_calls() {
        if !available(&["tshark"]) {
            return;
        }
        let (_scratch, authority) = scratch();
        let captured = run(async {
            let server = start(&authority, Policy::Require).await;
            let port = port(&server);
            let capture = Capture::of_onc("tcp", port).expect("start tshark");
            let with = authority.client(None).expect("a client");
            let client = connect(port, Tls::require(with)).await.expect("connects");
            for n in 0..10 {
                client.add(n, 1).await.expect("answered");
            }
            capture.stop().expect("stop tshark")
        });
        let calls = captured.fields("rpc.msgtyp == 0", &["rpc.program", "rpc.procedure", "rpc.auth.flavor"]);
        let calls = calls.expect("read");
        assert_eq!(calls.len(), 1, "{calls:?}");
        // The credential's flavour, and the verifier's.
        let columns: Vec<&str> = calls[0].split('\t').collect();
        assert_eq!(columns[0], NUMBER.to_string());
        assert!(columns[1].split(',').all(|procedure| procedure == "0"), "{calls:?}");
        assert_eq!(columns[2], "7,0");
        let replies = captured.fields("rpc.msgtyp == 1", &["rpc.replystat", "rpc.state_accept", "rpc.auth.flavor"]);
        let replies = replies.expect("read");
        assert_eq!(replies.len(), 1, "{replies:?}");
        assert!(replies[0].starts_with("0\t0\t0"), "{replies:?}");
        let clear = captured.fields("frame contains \"STARTTLS\"", &["frame.number"]);
        assert_eq!(clear.expect("read").len(), 1);
        case::ran("tshark", "the probe for TLS");
    }
}
