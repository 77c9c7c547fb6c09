//! Us and the real rpcbind: our servers register and unregister there, rpcinfo sees them, our
//! clients find servers through each of its versions.

use std::future::Future;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use farcall::client::resolve::find_port;
use farcall::generated::rpcbind::{CallArgs, CallResult, Mapping, Pmaplist, v2 as rpcbind_v2};
use farcall::server::Builder;
use farcall::stub::Registered;
use farcall::tls::{Policy, Tls};
use farcall::{Call, Client, Options, Refuse, Registrar, Server, Transport, blocking};
use farcall_conformance::certificates::Authority;
use farcall_conformance::demo::{self, NUMBER, v1};
use farcall_conformance::peer::rpcbind::{self, rpcinfo};
use farcall_conformance::peer::{Process, Scratch, available};
use farcall_conformance::{case, network_test};

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// rpcbind, if it is installed.
fn peer() -> Option<Process> {
    available(&["rpcbind", "rpcinfo"]).then(|| rpcbind::start().expect("start rpcbind"))
}

/// Our server at these endpoints, registered.
async fn server(registrar: Registrar, endpoints: &[&str]) -> Server {
    server_of(Server::builder().register_with(registrar), endpoints).await
}

/// Our server at these endpoints.
async fn server_of(mut builder: Builder, endpoints: &[&str]) -> Server {
    for endpoint in endpoints {
        builder = builder.listen(*endpoint);
    }
    for service in demo::services() {
        builder = builder.serve(service);
    }
    builder
        .start()
        .await
        .expect("start and register our server")
}

fn at(endpoint: &str) -> Registrar {
    Registrar::at(endpoint).expect("an endpoint")
}

const EVERYWHERE: [&str; 2] = ["tcp://[::]:0", "udp://[::]:0"];

/// What rpcinfo prints, which must succeed.
fn asked(arguments: &[&str]) -> String {
    let (success, printed) = rpcinfo(arguments).expect("run rpcinfo");
    assert!(success, "rpcinfo {arguments:?}: {printed}");
    printed
}

/// The netids under which rpcbind has a version of the demo program.
fn registered(version: u32) -> Vec<String> {
    let rows = asked(&[]);
    let mut netids: Vec<String> = rows
        .lines()
        .map(|row| row.split_whitespace().collect::<Vec<&str>>())
        .filter(|row| {
            row.len() > 3 && row[0] == NUMBER.to_string() && row[1] == version.to_string()
        })
        .map(|row| row[2].to_owned())
        .collect();
    netids.sort();
    netids
}

/// The mappings of a port mapper.
#[derive(Default)]
struct Old(Mutex<Vec<Mapping>>);

impl Old {
    fn same(a: &Mapping, b: &Mapping) -> bool {
        (a.prog, a.vers, a.prot) == (b.prog, b.vers, b.prot)
    }

    fn all(&self) -> MutexGuard<'_, Vec<Mapping>> {
        self.0.lock().expect("nobody panicked")
    }
}

impl rpcbind_v2::Server for Old {
    async fn set(&self, _: &Call, args: Mapping) -> Result<bool, Refuse> {
        let mut all = self.all();
        let is_free = !all.iter().any(|there| Self::same(there, &args));
        if is_free {
            all.push(args);
        }
        Ok(is_free)
    }

    async fn unset(&self, _: &Call, args: Mapping) -> Result<bool, Refuse> {
        let mut all = self.all();
        let before = all.len();
        all.retain(|there| (there.prog, there.vers) != (args.prog, args.vers));
        Ok(all.len() < before)
    }

    async fn getport(&self, _: &Call, args: Mapping) -> Result<u32, Refuse> {
        let all = self.all();
        let there = all.iter().find(|there| Self::same(there, &args));
        Ok(there.map_or(0, |there| there.port))
    }

    async fn dump(&self, _: &Call) -> Result<Vec<Pmaplist>, Refuse> {
        Ok(self
            .all()
            .iter()
            .map(|map| Pmaplist { map: *map })
            .collect())
    }

    async fn callit(&self, _: &Call, _: CallArgs) -> Result<CallResult, Refuse> {
        Err(Refuse::NoReply)
    }
}

network_test! {
    fn registration_over_tcp_is_seen_and_ends_with_the_server() {
        let Some(_rpcbind) = peer() else { return };
        run(async {
            let server = server(at("tcp://127.0.0.1:111"), &EVERYWHERE).await;
            for version in [1, 2] {
                assert_eq!(registered(version), ["tcp", "tcp6", "udp", "udp6"]);
            }
            server.drain(Duration::from_secs(1)).await;
            assert_eq!(registered(1), Vec::<String>::new());
            assert_eq!(registered(2), Vec::<String>::new());
        });
        case::ran("rpcbind", "registration over tcp, removed on drain");
    }

    fn registration_over_udp_and_the_unix_socket() {
        let Some(_rpcbind) = peer() else { return };
        for (registrar, way) in [
            (at("udp://127.0.0.1:111"), "udp"),
            (at("tcp://[::1]:111"), "tcp6"),
            (at("unix:///run/rpcbind.sock"), "the Unix socket"),
            (Registrar::local(), "the local way"),
        ] {
            run(async {
                let server = server(registrar, &EVERYWHERE).await;
                assert_eq!(registered(1), ["tcp", "tcp6", "udp", "udp6"], "{way}");
                server.drain(Duration::from_secs(1)).await;
                assert_eq!(registered(1), Vec::<String>::new(), "{way}");
            });
            case::ran("rpcbind", &format!("registration over {way}, removed on drain"));
        }
    }

    fn rpcinfo_sees_and_calls_our_server() {
        let Some(_rpcbind) = peer() else { return };
        run(async {
            let server = server(at("tcp://127.0.0.1:111"), &EVERYWHERE).await;
            let number = NUMBER.to_string();
            // Every way in which rpcinfo lists and calls. `-b` needs a broadcast netid, which
            // Debian's netconfig has not.
            assert!(asked(&["-p", "127.0.0.1"]).contains(&number));
            assert!(asked(&["-s", "127.0.0.1"]).contains(&number));
            let listed = asked(&["-l", "127.0.0.1", &number, "1"]);
            assert!(listed.contains("tcp"), "{listed}");
            for arguments in [
                &["-t", "127.0.0.1", &number, "1"][..],
                &["-u", "127.0.0.1", &number, "1"],
                &["-T", "tcp", "127.0.0.1", &number, "2"],
                &["-T", "tcp6", "::1", &number, "1"],
                &["-T", "udp6", "::1", &number],
            ] {
                assert!(asked(arguments).contains("ready and waiting"), "{arguments:?}");
            }
            let (success, printed) =
                rpcinfo(&["-t", "127.0.0.1", &number, "9"]).expect("run rpcinfo");
            assert!(!success && printed.contains("high version = 2"), "{printed}");
            let port = server.endpoints()[0].port().expect("a port");
            let address = format!("127.0.0.1.{}.{}", port >> 8, port & 255);
            let direct = asked(&["-a", &address, "-T", "tcp", &number, "1"]);
            assert!(direct.contains("ready and waiting"), "{direct}");
        });
        for way in ["-p", "-s", "-l", "-t", "-u", "-T", "-a"] {
            case::ran("rpcinfo", &format!("our server, {way}"));
        }
    }

    fn our_client_finds_a_server_over_every_transport() {
        let Some(_rpcbind) = peer() else { return };
        run(async {
            let server = server(at("tcp://127.0.0.1:111"), &EVERYWHERE).await;
            for (endpoint, way) in [
                ("tcp://127.0.0.1", "tcp"),
                ("udp://127.0.0.1", "udp"),
                ("tcp://[::1]", "tcp6"),
                ("udp://[::1]", "udp6"),
                ("tcp://localhost", "tcp by name"),
            ] {
                let client = v1::Client::connect(endpoint).await.expect("connect");
                assert_eq!(client.add(40, 2).await.expect("call"), 42, "{way}");
                case::ran("rpcbind", &format!("our client finds a server, {way}"));
            }
            drop(server);
        });
    }

    /// rpcbind knows no TLS: such a server is one of TCP to it, and whoever asks for `tls://` makes TLS of that.
    fn a_server_under_tls_is_found_through_rpcbind() {
        let Some(_rpcbind) = peer() else { return };
        let scratch = Scratch::new("tls").expect("a folder");
        let authority = Authority::new(scratch.path()).expect("an authority");
        let with = authority.server(false).expect("a server");
        let options = Options {
            tls: Some(Tls::require(authority.client(None).expect("a client"))),
            ..Options::default()
        };
        run(async {
            let builder = Server::builder().tls(Policy::Require, with);
            let builder = builder.register_with(at("tcp://127.0.0.1:111"));
            let server = server_of(builder, &["tls://[::]:0"]).await;
            assert_eq!(registered(1), ["tcp", "tcp6"]);
            for endpoint in ["tls://127.0.0.1", "tls://localhost", "tls://[::1]"] {
                let client = Client::connect_with(endpoint, NUMBER, 1, options.clone()).await;
                let client = v1::Client::from(client.expect(endpoint));
                assert_eq!(client.add(40, 2).await.expect("call"), 42, "{endpoint}");
                let options = options.clone();
                let blocking = tokio::task::spawn_blocking(move || {
                    let client = blocking::Client::connect_with(endpoint, NUMBER, 1, options);
                    v1::BlockingClient::from(client.expect(endpoint)).add(40, 2)
                });
                assert_eq!(blocking.await.expect("joined").expect("call"), 42, "{endpoint}");
            }
            let clear = v1::Client::connect("tcp://127.0.0.1").await.expect("connect");
            let refused = clear.add(1, 2).await.expect_err("in clear");
            assert!(refused.to_string().contains("AUTH_TOOWEAK"), "{refused}");
            server.drain(Duration::from_secs(1)).await;
            let gone = Client::connect_with("tls://127.0.0.1", NUMBER, 1, options).await.expect_err("it is gone");
            assert!(gone.to_string().contains("not registered for tcp"), "{gone}");
        });
        case::ran("rpcbind", "our client finds a server under TLS");
    }

    fn a_program_that_is_not_registered_is_said_so() {
        let Some(_rpcbind) = peer() else { return };
        run(async {
            for transport in [Transport::Tcp, Transport::Udp] {
                let found = find_port("127.0.0.1", 111, transport, 0x2000_0001, 1).await;
                let error = found.expect_err("nobody registered it");
                assert!(!error.hints().is_empty(), "{error}");
            }
        });
        case::ran("rpcbind", "our client asks for what is not registered");
    }

    /// rpcbind itself, found through itself, in each of its versions.
    fn our_client_asks_in_versions_4_3_and_2() {
        let Some(_rpcbind) = peer() else { return };
        run(async {
            for version in [2, 3, 4] {
                for transport in [Transport::Tcp, Transport::Udp] {
                    let found = find_port("127.0.0.1", 111, transport, 100_000, version).await;
                    assert_eq!(found.expect("registered"), 111);
                }
            }
        });
        case::ran("rpcbind", "rpcbind's own versions 2, 3, 4");
    }

    /// A server that died left its registration behind; the next one takes its place.
    fn what_a_dead_server_left_is_replaced() {
        let Some(_rpcbind) = peer() else { return };
        run(async {
            let first = server_of(Server::builder(), &["tcp://0.0.0.0:0"]).await;
            let programs = demo::services().iter().filter_map(Registered::program).collect();
            let registrar = at("tcp://127.0.0.1:111");
            let registration = registrar.register(programs, first.endpoints());
            // As if it had been killed: without unregistering.
            std::mem::forget(registration.await.expect("registered"));
            drop(first);
            assert_eq!(registered(1), ["tcp"]);
            let second = server(at("tcp://127.0.0.1:111"), &["tcp://0.0.0.0:0"]).await;
            let client = v1::Client::connect("tcp://127.0.0.1").await.expect("connect");
            assert_eq!(client.add(1, 2).await.expect("call"), 3);
            second.drain(Duration::from_secs(1)).await;
            assert_eq!(registered(1), Vec::<String>::new());
        });
        case::ran("rpcbind", "what a dead server left is replaced");
    }

    /// A new rpcbind knows nothing; our server says its registrations again.
    fn what_a_new_rpcbind_does_not_know_is_registered_again() {
        let Some(first) = peer() else { return };
        run(async {
            let registrar = at("tcp://127.0.0.1:111").every(Duration::from_millis(20));
            let server = server(registrar, &EVERYWHERE).await;
            assert_eq!(registered(1), ["tcp", "tcp6", "udp", "udp6"]);
            drop(first);
            let _second = peer().expect("rpcbind");
            // What it was told before it ended it may have kept; then this shows nothing.
            for version in ["1", "2"] {
                rpcinfo(&["-d", &NUMBER.to_string(), version]).expect("run rpcinfo");
            }
            let limit = Duration::from_secs(10);
            let again = async {
                while registered(2) != ["tcp", "tcp6", "udp", "udp6"] {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(limit, again).await.expect("registered again");
            server.drain(Duration::from_secs(1)).await;
            assert_eq!(registered(1), Vec::<String>::new());
        });
        case::ran("rpcbind", "what a new rpcbind does not know is registered again");
    }

    fn a_server_that_is_dropped_unregisters() {
        let Some(_rpcbind) = peer() else { return };
        run(async {
            drop(server(at("tcp://127.0.0.1:111"), &EVERYWHERE).await);
            assert_eq!(registered(1), Vec::<String>::new());
        });
        case::ran("rpcbind", "a server that is dropped unregisters");
    }

    fn a_living_server_is_not_replaced() {
        let Some(_rpcbind) = peer() else { return };
        run(async {
            let first = server(at("tcp://127.0.0.1:111"), &["tcp://0.0.0.0:0"]).await;
            let mut builder = Server::builder().register_with(at("tcp://127.0.0.1:111"));
            builder = builder.listen("tcp://0.0.0.0:0");
            for service in demo::services() {
                builder = builder.serve(service);
            }
            let error = builder.start().await.expect_err("the first one is there");
            assert!(!error.hints().is_empty(), "{error}");
            let client = v1::Client::connect("tcp://127.0.0.1").await.expect("connect");
            assert_eq!(client.add(1, 2).await.expect("call"), 3);
            drop(first);
        });
        case::ran("rpcbind", "a living server is not replaced");
    }

    /// A port mapper of old: it has version 2 and nothing else.
    fn a_binder_that_speaks_only_version_2_is_enough() {
        run(async {
            let old = Server::builder().serve(rpcbind_v2::service(Old::default()));
            let old = old.listen("tcp://127.0.0.1:111").listen("udp://127.0.0.1:111");
            let _old = old.start().await.expect("a port mapper");
            let registrar = at("tcp://127.0.0.1:111");
            let server = server(registrar, &["tcp://0.0.0.0:0", "udp://0.0.0.0:0"]).await;
            for endpoint in ["tcp://127.0.0.1", "udp://127.0.0.1"] {
                let client = v1::Client::connect(endpoint).await.expect("found");
                assert_eq!(client.add(40, 2).await.expect("call"), 42, "{endpoint}");
            }
            server.drain(Duration::from_secs(1)).await;
            let error = v1::Client::connect("tcp://127.0.0.1").await.expect_err("it is gone");
            assert!(error.to_string().contains("not registered"), "{error}");
        });
    }

    fn without_rpcbind_the_error_says_what_to_do() {
        run(async {
            let error = v1::Client::connect("tcp://127.0.0.1").await.expect_err("no rpcbind");
            assert!(error.hints().iter().any(|hint| hint.contains("rpcbind")), "{error}");
            let error = v1::Client::connect("tls://127.0.0.1").await.expect_err("no rpcbind");
            assert!(error.hints().iter().any(|hint| hint.contains("tls://127.0.0.1:PORT")), "{error}");
            let builder = Server::builder().register_with(at("tcp://127.0.0.1:111"));
            let builder = demo::services().into_iter().fold(builder, Builder::serve);
            let started = builder.listen("tcp://127.0.0.1:0").start().await;
            let error = started.expect_err("no rpcbind");
            assert!(error.hints().iter().any(|hint| hint.contains("binder")), "{error}");
        });
    }
}
