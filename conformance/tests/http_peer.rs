//! Our client of RPC over HTTP against an RPC proxy with its server that was made of the specification alone, in Python: it checks every byte
//! of ours, and misbehaves as it is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use farcall::client::http::{ChannelConfig, HttpOptions};
use farcall::client::{Options, Reconnect};
use farcall::generated::rpcecho::rpcecho;
use farcall::{Cause, Error, Phase};
use farcall_conformance::case;
use farcall_conformance::dce::runtime;
use farcall_conformance::echo::source;
use farcall_conformance::peer::http::{HttpPeer, credentials, options, own};
use farcall_conformance::peer::samba::{DOMAIN, USER, USER_PASSWORD};
use farcall_conformance::peer::{Process, Scratch, available, python};

/// Who it is in the count of cases.
const WHO: &str = "RPC proxy in Python";

async fn connect(peer: &HttpPeer, options: Options) -> Result<rpcecho::Client, Error> {
    rpcecho::Client::connect_with(peer.endpoint()?, options).await
}

/// Calls whose arguments and results are small, large, and larger than every window.
async fn calls(client: &rpcecho::Client, large: u32) -> Result<(), Error> {
    assert_eq!(client.add_one(41).await?, 42);
    let data = source(large);
    assert_eq!(client.echo_data(large, &data).await?, data);
    client.sink_data(large, &data).await?;
    assert_eq!(client.source_data(large).await?, data);
    assert_eq!(client.add_one(u32::MAX).await?, 0);
    Ok(())
}

fn plain() -> Options {
    options(HttpOptions::default())
}

fn no_violation(peer: &HttpPeer, what: &str) {
    assert_eq!(peer.violations(), [""; 0], "{what}");
}

#[test]
fn the_first_pdus_are_those_of_the_specification() {
    if !python::available() {
        return;
    }
    let peer = HttpPeer::start(&[]).expect("the peer");
    runtime().block_on(async {
        let client = connect(&peer, plain()).await.expect("connects");
        calls(&client, 1000).await.expect("calls");
    });
    let hex = |what: &str| {
        let line = peer.line(what).expect("a PDU");
        line.rsplit(' ').next().unwrap_or_default().to_owned()
    };
    let (a1, b1) = (hex("conn/a1"), hex("conn/b1"));
    // MS-RPCH section 2.2.4.2: version 1, the cookies of the virtual connection and of the OUT channel, the window of 256 KiB.
    let (vc, out) = (&a1[64..96], &a1[104..136]);
    let expected = format!(
        "05001403100000004c000000000000000000040006000000010000000300 0000{vc}03000000{out}0000000000000400"
    );
    assert_eq!(a1, expected.replace(' ', ""));
    // Section 2.2.4.5: version 1, the same virtual connection, the IN channel, a lifetime of 1 GiB, keep-alive of 300 s, the association group.
    let (input, group) = (&b1[104..136], &b1[176..208]);
    let expected = format!(
        "050014031000000068000000000000000000060006000000010000000300 0000{vc}03000000{input}0400000000000040 05000000e0930400 0c000000{group}"
    );
    assert_eq!(b1, expected.replace(' ', ""));
    let cookies = [vc, out, input, group];
    for (at, cookie) in cookies.iter().enumerate() {
        assert!(!cookies[..at].contains(cookie), "a cookie twice");
    }
    no_violation(&peer, "plain");
    case::ran(WHO, "the first PDUs of our client, byte by byte");
}

#[test]
fn calls_of_every_size_pass_whatever_the_proxy_does_with_its_bytes() {
    if !python::available() {
        return;
    }
    let runtime = runtime();
    std::thread::scope(|scope| {
        for fault in [
            "",
            "pings",
            "chunked",
            "merged",
            "chunked,merged",
            "continue",
            "drip,pings",
            "unknown-ack",
            "pings,chunked,continue,unknown-ack",
        ] {
            let runtime = &runtime;
            scope.spawn(move || {
                let peer = HttpPeer::start(&[&format!("fault={fault}")]).expect("the peer");
                let large = if fault.contains("drip") {
                    6000
                } else {
                    300_000
                };
                runtime.block_on(async {
                    let client = connect(&peer, plain()).await;
                    let client = client.unwrap_or_else(|error| panic!("{fault}: {error}"));
                    let called = calls(&client, large).await;
                    called.unwrap_or_else(|error| panic!("{fault}: {error}"));
                });
                no_violation(&peer, fault);
            });
        }
    });
    case::ran(
        WHO,
        "pings anywhere, bodies in chunks, merged and dripping, interim responses, strange acknowledgements",
    );
}

#[test]
fn channels_are_recycled_in_every_way_and_no_byte_is_lost() {
    if !python::available() {
        return;
    }
    let runtime = runtime();
    std::thread::scope(|scope| {
        for (input, output, window) in [
            ("r1", "r1", 65536),
            ("r2", "r2", 65536),
            ("r1", "r2", 16384),
            ("r2", "r1", 262_144),
        ] {
            let runtime = &runtime;
            scope.spawn(move || {
                let window = format!("window={window}");
                let (input, output) = (format!("in={input}"), format!("recycle={output}"));
                let peer =
                    HttpPeer::start(&["out=100000", &window, &input, &output, "fault=pings"])
                        .expect("the peer");
                let http = HttpOptions {
                    channels: ChannelConfig {
                        window: 16 << 10,
                        lifetime: 128 << 10,
                        ..ChannelConfig::default()
                    },
                    ..HttpOptions::default()
                };
                runtime.block_on(async {
                    let client = connect(&peer, options(http)).await.expect("connects");
                    let client = Arc::new(client);
                    let several = (0..4_u32).map(|_| {
                        let client = Arc::clone(&client);
                        tokio::spawn(async move {
                            for _ in 0..3 {
                                calls(&client, 60_000).await?;
                            }
                            Ok::<_, Error>(())
                        })
                    });
                    for calling in several.collect::<Vec<_>>() {
                        calling.await.expect("no panic").expect("calls");
                    }
                });
                no_violation(&peer, &format!("{input} {output}"));
                assert!(peer.count("recycled in") >= 8, "{:?}", peer.printed());
                assert!(peer.count("recycled out") >= 8, "{:?}", peer.printed());
            });
        }
    });
    case::ran(
        WHO,
        "IN_R1, IN_R2, OUT_R1 and OUT_R2 with lifetimes of 128 KiB, small windows and pings",
    );
}

/// Where a connection is lost, and whether a call was under way then.
const LOSSES: [(&str, bool); 9] = [
    ("close-in-request", false),
    ("close-out-request", false),
    ("close-200", false),
    ("close-a3", false),
    ("close-c2", false),
    ("close-bind", false),
    ("close-request", true),
    ("cut", true),
    ("close-request,reset", true),
];

#[test]
fn a_loss_at_any_moment_says_whether_the_call_may_have_run() {
    if !python::available() {
        return;
    }
    let runtime = runtime();
    std::thread::scope(|scope| {
        for (fault, called) in LOSSES {
            let runtime = &runtime;
            scope.spawn(move || {
                let peer = HttpPeer::start(&[&format!("fault={fault}")]).expect("the peer");
                let error = runtime.block_on(async {
                    let client = connect(&peer, plain()).await?;
                    calls(&client, 40_000).await
                });
                let error = error.expect_err(fault);
                assert_eq!(error.may_have_executed(), called, "{fault}: {error}");
                assert!(
                    error.is_retryable(),
                    "{fault}: {error:?} {:?}",
                    error.cause()
                );
                let peer_named = error.peer().unwrap_or_default();
                assert!(
                    peer_named.contains(&format!("{}", peer.port)),
                    "{fault}: {error}"
                );
                no_violation(&peer, fault);
            });
        }
    });
    case::ran(WHO, "a connection lost at nine moments");
}

#[test]
fn a_client_whose_connection_was_lost_makes_another_at_the_next_call() {
    if !python::available() {
        return;
    }
    let peer = HttpPeer::start(&["fault=cut"]).expect("the peer");
    runtime().block_on(async {
        let options = Options {
            reconnect: Reconnect::OnCall,
            ..plain()
        };
        let client = connect(&peer, options).await.expect("connects");
        for _ in 0..2 {
            // The peer ends a connection in the middle of a response that is this long.
            let error = client.source_data(40_000).await.expect_err("cut");
            assert!(error.may_have_executed(), "{error}");
            assert_eq!(client.add_one(1).await.expect("another connection"), 2);
        }
    });
    no_violation(&peer, "cut");
    case::ran(WHO, "another connection after a loss");
}

/// What makes no sense, or never comes, and what our error says of it.
const TROUBLE: [(&str, &str); 9] = [
    (
        "no-200",
        "waited too long for the virtual connection to open",
    ),
    (
        "no-c2",
        "waited too long for the virtual connection to open",
    ),
    ("garbage-a3", "RTS command 99"),
    ("early-call", "before CONN/C2"),
    ("garbage", "is no PDU"),
    ("lie", "more than its receive window"),
    ("refuse-late", "RPC error 0x6be"),
    ("refuse-in", "RPC_S_SERVER_UNAVAILABLE"),
    ("silent", "no reply within"),
];

#[test]
fn what_makes_no_sense_or_never_comes_ends_with_an_error_that_names_it() {
    if !python::available() {
        return;
    }
    let runtime = runtime();
    std::thread::scope(|scope| {
        for (fault, expected) in TROUBLE {
            let runtime = &runtime;
            scope.spawn(move || {
                let peer = HttpPeer::start(&[&format!("fault={fault}")]).expect("the peer");
                let options = Options {
                    connect_timeout: Duration::from_secs(3),
                    timeout: Duration::from_secs(3),
                    ..plain()
                };
                let began = Instant::now();
                let error = runtime.block_on(async {
                    let client = connect(&peer, options).await?;
                    calls(&client, 40_000).await
                });
                let error = error.expect_err(fault);
                assert!(error.to_string().contains(expected), "{fault}: {error}");
                assert!(began.elapsed() < Duration::from_secs(15), "{fault}");
                if fault == "no-c2" {
                    assert!(
                        error.hints().iter().any(|hint| hint.contains("balancer")),
                        "{:?}",
                        error.hints()
                    );
                }
                no_violation(&peer, fault);
            });
        }
    });
    case::ran(WHO, "garbage, lies, refusals and silence");
}

#[test]
fn refusals_have_their_codes_and_their_hints() {
    if !python::available() {
        return;
    }
    let runtime = runtime();
    let refused = |arguments: &[&str], options: Options| {
        let peer = HttpPeer::start(arguments).expect("the peer");
        let error = runtime.block_on(async { connect(&peer, options).await.map(|_| ()) });
        no_violation(&peer, &format!("{arguments:?}"));
        error.expect_err("refused")
    };
    for code in [5_u32, 0x6ba, 0x6bb, 0x6be, 0x6c0] {
        let error = refused(&["fault=refuse-in", &format!("code={code:x}")], plain());
        assert!(
            matches!(error.cause(), Cause::Fault(found) if *found == code),
            "{error}"
        );
        assert_eq!(
            (error.phase(), error.hints().len()),
            (Phase::Connect, 1),
            "{error}"
        );
    }
    for way in ["none", "basic", "ntlm", "negotiate"] {
        let http = HttpOptions {
            credentials: own(way),
            ..HttpOptions::default()
        };
        let error = refused(&["auth=loop"], options(http));
        assert_eq!(error.phase(), Phase::Authenticate, "{way}: {error}");
        assert!(
            !error.may_have_executed() && !error.is_retryable(),
            "{way}: {error}"
        );
    }
    // A challenge that is none.
    let http = HttpOptions {
        credentials: own("ntlm"),
        ..HttpOptions::default()
    };
    let error = refused(&["auth=loop", "token=TlRMTVNTUAACAAAA"], options(http));
    assert_eq!(error.phase(), Phase::Authenticate, "{error}");
    case::ran(WHO, "401 for ever, and each code of RPC Error");
}

/// A certificate for the peer, and who signed it: files.
fn certificate(scratch: &Scratch) -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let names = vec!["127.0.0.1".to_owned(), "rpc.example".to_owned()];
    let certificate = rcgen::CertificateParams::new(names)
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    let at = |name: &str, text: String| {
        let path = scratch.file(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    (
        at("cert.pem", certificate.pem()),
        at("key.pem", key.serialize_pem()),
    )
}

#[test]
fn a_user_is_proved_by_basic_ntlm_and_negotiate_and_bound_to_tls() {
    if !python::available() {
        return;
    }
    let scratch = Scratch::new("http-peer").expect("a folder");
    let (cert, key) = certificate(&scratch);
    let trust = farcall::tls::ClientTls::new(farcall::tls::ClientSettings {
        trust: farcall::tls::Trust::Authorities(std::path::PathBuf::from(&cert).into()),
        versions: farcall::tls::Versions::Tls12,
        ..farcall::tls::ClientSettings::default()
    })
    .expect("an authority");
    let runtime = runtime();
    let account = [
        format!("user={USER}"),
        format!("password={USER_PASSWORD}"),
        format!("domain={DOMAIN}"),
    ];
    let tls = [format!("cert={cert}"), format!("key={key}")];
    std::thread::scope(|scope| {
        for way in ["basic", "ntlm", "negotiate"] {
            for secure in [false, true] {
                let (runtime, trust, account, tls) = (&runtime, &trust, &account, &tls);
                scope.spawn(move || {
                    let mut arguments: Vec<&str> = account.iter().map(String::as_str).collect();
                    let auth = format!("auth={way}");
                    arguments.push(&auth);
                    if secure {
                        arguments.extend(tls.iter().map(String::as_str));
                    }
                    let peer = HttpPeer::start(&arguments).expect("the peer");
                    let with = |credentials| {
                        let http = HttpOptions {
                            credentials,
                            tls: Some(trust.clone()),
                            ..HttpOptions::default()
                        };
                        let binding = format!("ncacn_http:server1[593,RpcProxy=127.0.0.1:{},HttpUseTls={secure},HttpAuthOption={way}]", peer.port);
                        rpcecho::Client::connect_with(binding, options(http))
                    };
                    runtime.block_on(async {
                        let client = with(own(way)).await;
                        let client = client.unwrap_or_else(|error| panic!("{way} {secure}: {error} {:?}\n{:?}", error.hints(), peer.printed()));
                        calls(&client, 100_000).await.expect("calls");
                        let error = with(credentials(way, "wrong")).await.map(|_| ()).expect_err("a wrong password");
                        assert_eq!(error.phase(), Phase::Authenticate, "{way} {secure}: {error}");
                    });
                    if way != "basic" {
                        assert!(peer.count(&format!("proved {DOMAIN}\\{USER}")) >= 2, "{:?}", peer.printed());
                    }
                    no_violation(&peer, way);
                });
            }
        }
    });
    case::ran(
        WHO,
        "Basic, NTLM and Negotiate (pyspnego), plain and bound to TLS; wrong passwords",
    );
}

#[test]
fn tshark_reads_every_rts_pdu_of_our_client() {
    if !python::available() || !available(&["tshark", "text2pcap"]) {
        return;
    }
    let mut pdus = Vec::new();
    for way in ["r1", "r2"] {
        let (input, output) = (format!("in={way}"), format!("recycle={way}"));
        let peer = HttpPeer::start(&["out=60000", &input, &output]).expect("the peer");
        let http = HttpOptions {
            channels: ChannelConfig {
                window: 16 << 10,
                lifetime: 128 << 10,
                ..ChannelConfig::default()
            },
            ..HttpOptions::default()
        };
        runtime().block_on(async {
            let client = connect(&peer, options(http)).await.expect("connects");
            calls(&client, 150_000).await.expect("calls");
        });
        pdus.extend(peer.printed().iter().filter_map(|line| {
            let (what, hex) = line.split_once(' ')?;
            ["rts", "conn/a1", "conn/b1"]
                .contains(&what)
                .then(|| hex.to_owned())
        }));
    }
    let scratch = Scratch::new("http-tshark").expect("a folder");
    let mut dump = String::new();
    for pdu in &pdus {
        let bytes: Vec<String> = pdu
            .as_bytes()
            .chunks(2)
            .map(|it| String::from_utf8_lossy(it).into_owned())
            .collect();
        dump.push_str(&format!("000000 {}\n\n", bytes.join(" ")));
    }
    let (text, capture) = (scratch.file("pdus.txt"), scratch.file("pdus.pcap"));
    std::fs::write(&text, dump).expect("written");
    let mut command = std::process::Command::new("text2pcap");
    command
        .args(["-q", "-T", "50000,7135"])
        .args([&text, &capture]);
    let (status, printed) = Process::run("text2pcap", &mut command).expect("text2pcap");
    assert!(status.success(), "{printed}");
    let mut command = std::process::Command::new("tshark");
    command.env("HOME", scratch.path()).arg("-r").arg(&capture);
    command.args([
        "-d",
        "tcp.port==7135,dcerpc",
        "-T",
        "fields",
        "-e",
        "_ws.col.Info",
        "-e",
        "_ws.malformed",
        "-e",
        "dcerpc.cn_rts_command",
    ]);
    let (status, printed) = Process::run("tshark", &mut command).expect("tshark");
    assert!(status.success(), "{printed}");
    let read: Vec<&str> = printed
        .lines()
        .filter(|line| !line.starts_with("Running"))
        .collect();
    assert_eq!(read.len(), pdus.len(), "{printed}");
    for line in &read {
        assert!(!line.to_lowercase().contains("malformed"), "{line}");
    }
    for name in [
        "CONN/A1",
        "CONN/B1",
        "IN_R1/A1",
        "OUT_R1/A3",
        "OUT_R1/A7",
        "OUT_R2/A7",
        "OUT_R2/C1",
        "FlowControlAck",
    ] {
        assert!(
            read.iter().any(|line| line.contains(name)),
            "no {name}:\n{printed}"
        );
    }
    case::ran("tshark", "every RTS PDU of our client of RPC over HTTP");
}
