//! Clients of DCE/RPC that others wrote call our server: Samba's bindings, impacket, Scapy; and
//! Scapy's server is called by us.

use std::process::Command;
use std::sync::{Arc, Mutex};

use farcall::client::Options;
use farcall::generated::rpcecho::rpcecho;
use farcall::stub::{Interface, NdrReply, Operations, Registered};
use farcall::{Call, Client, Refuse, Server};
use farcall_conformance::dce::{self, Way, echo_server, runtime};
use farcall_conformance::peer::samba::{self, DOMAIN, USER, USER_PASSWORD};
use farcall_conformance::peer::tshark::Capture;
use farcall_conformance::peer::{Process, Scratch, available, python};
use farcall_conformance::{case, network_test, streams};
use farcall_dce::security::AuthLevel;
use farcall_wire::{Uuid, ndr};

/// What a script of ours printed, which must have said that all is well.
fn printed(name: &str, command: &mut Command) -> String {
    let (status, printed) = Process::run(name, command).expect(name);
    assert!(
        status.success() && printed.contains("all well\n"),
        "{name}: {status}\n{printed}"
    );
    printed
}

/// An interface whose one operation keeps the session key of whoever calls it.
static KEYS: Interface = Interface {
    uuid: Uuid::new(0x0777_0777, 0, 0, [7; 8]),
    major: 1,
    minor: 0,
    name: "keys",
    operations: &[],
    endpoints: &[],
};

#[derive(Clone)]
struct Keys {
    key: Arc<Mutex<Vec<u8>>>,
    interface: &'static Interface,
}

impl Keys {
    /// Under the name of this interface.
    fn of(interface: &'static Interface) -> Self {
        Self {
            key: Arc::default(),
            interface,
        }
    }

    fn key(&self) -> Vec<u8> {
        self.key.lock().expect("a key").clone()
    }
}

impl Operations for Keys {
    fn interface(&self) -> &'static Interface {
        self.interface
    }

    async fn call(
        &self,
        call: &Call,
        _: &mut ndr::Reader<'_>,
        reply: &mut NdrReply<'_>,
    ) -> Result<(), Refuse> {
        let key = call.session_key().unwrap_or_default();
        key.clone_into(&mut self.key.lock().expect("a key"));
        reply.encode(|_| Ok(()))
    }
}

#[test]
fn both_ends_have_the_same_session_key() {
    let keys = Keys::of(&KEYS);
    runtime().block_on(async {
        let server = Server::builder()
            .serve(Registered::interface(keys.clone()))
            .listen("ncacn_ip_tcp:127.0.0.1[0]")
            .authenticate_with(Arc::new(dce::ntlm()));
        let server = server.start().await.expect("our server");
        for way in [Way::Ntlm, Way::SpnegoNtlm] {
            let options = way.options(AuthLevel::INTEGRITY);
            let endpoint = &server.endpoints()[0];
            let client = Client::connect_interface_with(endpoint, &KEYS, options).await;
            let client = client.expect("connects");
            let called = client.operation(&KEYS, 0, &[], |_| Ok(()), |_| Ok(()));
            called.await.expect("called");
            let key = client.session_key().expect("a key");
            assert_eq!(key.len(), 16);
            assert_eq!(key, keys.key());
            assert_eq!(client.server().map(|it| it.mechanism), Some("ntlm"));
        }
    });
}

network_test! {
    fn samba_s_bindings_have_the_session_key_of_our_server() {
        if !python::samba_available() {
            return;
        }
        let scratch = Scratch::new("keys").expect("a folder");
        let configuration = samba::client_configuration(&scratch).expect("a configuration");
        let runtime = runtime();
        let keys = Keys::of(&rpcecho::INTERFACE);
        let builder = Server::builder()
            .serve(Registered::interface(keys.clone()))
            .listen("ncacn_ip_tcp:127.0.0.1[0]")
            .auth_floor(AuthLevel::CONNECT)
            .authenticate_with(Arc::new(dce::ntlm()));
        let server = runtime.block_on(builder.start()).expect("our server");
        let port = server.endpoints()[0].port().expect("a port");
        let user = format!("{DOMAIN}\\{USER}%{USER_PASSWORD}");
        for mechanism in ["ntlm", "spnego"] {
            for level in ["connect", "packet", "sign", "seal"] {
                let mut command = python::samba_script("samba_client.py");
                let binding = format!("ncacn_ip_tcp:127.0.0.1[{port},{mechanism},{level}]");
                command.args(["key", &binding]).arg(&configuration).arg(&user);
                let said = printed("Samba's bindings", &mut command);
                let ours: String = keys.key().iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(ours.len(), 32, "{binding}");
                assert!(said.contains(&format!("key {ours}\n")), "{binding}: {ours} is not in {said}");
            }
        }
        case::ran("Samba's Python", "the session key of our server under NTLM and SPNEGO at every level");
    }

    fn a_server_that_requires_signed_headers_serves_those_who_sign_them() {
        let runtime = runtime();
        let builder = Server::builder()
            .serve(farcall_conformance::echo::service())
            .listen("ncacn_ip_tcp:127.0.0.1[0]")
            .require_header_signing(true)
            .authenticate_with(Arc::new(dce::ntlm()));
        let server = runtime.block_on(builder.start()).expect("our server");
        let port = server.endpoints()[0].port().expect("a port");
        for way in [Way::Ntlm, Way::SpnegoNtlm] {
            let mut options = way.options(AuthLevel::INTEGRITY);
            options.credentials.as_mut().expect("credentials").require_header_signing = true;
            runtime.block_on(async {
                let client = rpcecho::Client::connect_with(&server.endpoints()[0], options).await;
                assert_eq!(client.expect("connects").add_one(41).await.expect("a sum"), 42);
            });
        }
        if python::samba_available() {
            let scratch = Scratch::new("headers").expect("a folder");
            let configuration = samba::client_configuration(&scratch).expect("a configuration");
            let user = format!("{DOMAIN}\\{USER}%{USER_PASSWORD}");
            let mut command = python::samba_script("samba_client.py");
            let binding = format!("ncacn_ip_tcp:127.0.0.1[{port},sign,ntlm]");
            command.args(["echo", &binding]).arg(&configuration).arg(&user);
            printed("Samba's bindings", &mut command);
            case::ran("Samba's Python", "rpcecho of our server that requires signed headers");
        }
        if python::available() {
            // It offers no signed headers: its bind is refused.
            let who = format!("{DOMAIN}/{USER}%{USER_PASSWORD}");
            let mut command = python::script("impacket_client.py");
            command.args(["echo", &port.to_string(), "integrity", &who]);
            let (status, said) = Process::run("impacket", &mut command).expect("run impacket");
            assert!(!status.success() && !said.contains("AddOne"), "{said}");
            case::ran("impacket", "refused by our server that requires signed headers");
        }
    }

    fn others_call_our_server_at_level_connect() {
        let runtime = runtime();
        let (_server, port) =
            echo_server(&runtime, Some(dce::ntlm()), AuthLevel::CONNECT).expect("our server");
        if python::samba_available() {
            let scratch = Scratch::new("connect").expect("a folder");
            let configuration = samba::client_configuration(&scratch).expect("a configuration");
            let user = format!("{DOMAIN}\\{USER}%{USER_PASSWORD}");
            for mechanism in ["ntlm", "spnego"] {
                for form in ["", ",bigendian", ",ndr64"] {
                    let mut command = python::samba_script("samba_client.py");
                    let binding = format!("ncacn_ip_tcp:127.0.0.1[{port},connect,{mechanism}{form}]");
                    command.args(["echo", &binding]).arg(&configuration).arg(&user);
                    printed("Samba's bindings", &mut command);
                }
            }
            case::ran("Samba's Python", "rpcecho of our server at level connect, NTLM and SPNEGO");
        }
        if python::available() {
            let who = format!("{DOMAIN}/{USER}%{USER_PASSWORD}");
            let mut command = python::script("impacket_client.py");
            let said = printed("impacket", command.args(["echo", &port.to_string(), "connect", &who]));
            assert!(said.contains("AddOne 42"), "{said}");
            case::ran("impacket", "rpcecho of our server at level connect");
        }
    }

    fn samba_s_bindings_call_our_server() {
        if !python::samba_available() {
            return;
        }
        let scratch = Scratch::new("bindings").expect("a folder");
        let configuration = samba::client_configuration(&scratch).expect("a configuration");
        let runtime = runtime();
        let (_open, port) = echo_server(&runtime, None, AuthLevel::INTEGRITY).expect("our server");
        let (_closed, safe) =
            echo_server(&runtime, Some(dce::ntlm()), AuthLevel::INTEGRITY).expect("our server");
        let user = format!("{DOMAIN}\\{USER}%{USER_PASSWORD}");
        for form in ["", ",bigendian", ",ndr64"] {
            let mut command = python::samba_script("samba_client.py");
            let binding = format!("ncacn_ip_tcp:127.0.0.1[{port}{form}]");
            printed("Samba's bindings", command.args(["echo", &binding]).arg(&configuration));
            let mut command = python::samba_script("samba_client.py");
            let binding = format!("ncacn_ip_tcp:127.0.0.1[{safe},seal{form}]");
            command.args(["echo", &binding]).arg(&configuration).arg(&user);
            printed("Samba's bindings", &mut command);
        }
        let mut command = python::samba_script("samba_client.py");
        let binding = format!("ncacn_ip_tcp:127.0.0.1[{port}]");
        let said = printed("Samba's bindings", command.args(["interfaces", &binding]).arg(&configuration));
        assert!(said.contains("interface 60a15ec5-4de8-11d7-a637-005056a20182 1"), "{said}");
        case::ran("Samba's Python", "rpcecho and mgmt of our server");
    }

    fn impacket_calls_our_server() {
        if !python::available() {
            return;
        }
        let runtime = runtime();
        let (_open, port) = echo_server(&runtime, None, AuthLevel::INTEGRITY).expect("our server");
        let (_closed, safe) =
            echo_server(&runtime, Some(dce::ntlm()), AuthLevel::INTEGRITY).expect("our server");
        let who = format!("{DOMAIN}/{USER}%{USER_PASSWORD}");
        for level in ["none", "integrity", "privacy"] {
            let mut command = python::script("impacket_client.py");
            let said = match level {
                "none" => printed("impacket", command.args(["echo", &port.to_string(), level])),
                _ => printed("impacket", command.args(["echo", &safe.to_string(), level, &who])),
            };
            assert!(said.contains("AddOne 42"), "{said}");
        }
        let mut command = python::script("impacket_client.py");
        let said = printed("impacket", command.args(["interfaces", &port.to_string(), "none"]));
        assert!(said.contains("interface 60a15ec5-4de8-11d7-a637-005056a20182 1.0"), "{said}");
        let mut command = python::program("rpcmap.py");
        let binding = format!("ncacn_ip_tcp:127.0.0.1[{port}]");
        let (_, said) = Process::run("rpcmap", command.args(["-auth-level", "1", "-no-pass", &binding]))
            .expect("run rpcmap");
        assert!(said.contains("60A15EC5-4DE8-11D7-A637-005056A20182 v1.0"), "{said}");
        case::ran("impacket", "rpcecho, mgmt and rpcmap with our server: none, integrity, privacy");
    }

    fn impacket_sends_and_receives_pipes() {
        if !python::available() {
            return;
        }
        let runtime = runtime();
        let serve = |mechanisms: Option<farcall_security::Mechanisms>| {
            let builder = Server::builder()
                .serve(streams::service(streams::Streams::default()))
                .listen("ncacn_ip_tcp:127.0.0.1[0]");
            let builder = match mechanisms {
                Some(mechanisms) => builder.authenticate_with(Arc::new(mechanisms)),
                None => builder.allow_anonymous(),
            };
            let server = runtime.block_on(builder.start()).expect("our server");
            let port = server.endpoints()[0].port().expect("a port");
            (server, port)
        };
        let (_open, port) = serve(None);
        let (_closed, safe) = serve(Some(dce::ntlm()));
        let who = format!("{DOMAIN}/{USER}%{USER_PASSWORD}");
        for syntax in ["ndr", "ndr64"] {
            for level in ["none", "integrity", "privacy"] {
                let mut command = python::script("impacket_pipes.py");
                let said = match level {
                    "none" => printed("impacket", command.args([&port.to_string(), syntax, level])),
                    _ => printed("impacket", command.args([&safe.to_string(), syntax, level, &who])),
                };
                assert!(said.contains("Put 8003") && said.contains("Get 30001"), "{said}");
            }
        }
        case::ran("impacket", "pipes of NDR and NDR64, both ways, in small fragments: none, integrity, privacy");
    }

    fn scapy_calls_our_server() {
        if !python::available() {
            return;
        }
        let runtime = runtime();
        let (_open, port) = echo_server(&runtime, None, AuthLevel::INTEGRITY).expect("our server");
        let (_closed, safe) =
            echo_server(&runtime, Some(dce::ntlm()), AuthLevel::INTEGRITY).expect("our server");
        let who = format!("{USER}@{DOMAIN}%{USER_PASSWORD}");
        for (syntax, level) in [("ndr", "none"), ("ndr64", "none"), ("ndr", "integrity"), ("ndr64", "privacy")] {
            let mut command = python::script("scapy_echo.py");
            let said = match level {
                "none" => printed("Scapy", command.args(["client", &port.to_string(), syntax, level])),
                _ => printed("Scapy", command.args(["client", &safe.to_string(), syntax, level, &who])),
            };
            assert!(said.contains("AddOne 42"), "{said}");
        }
        case::ran("scapy", "its client, our server: NDR and NDR64, none, integrity, privacy");
    }

    fn we_call_scapy_s_server() {
        if !python::available() {
            return;
        }
        let runtime = runtime();
        for (syntax, level) in [("ndr", "none"), ("ndr64", "none"), ("ndr", "integrity"), ("ndr64", "privacy")] {
            let mut command = python::script("scapy_echo.py");
            command.args(["server", "4135", syntax, level]);
            let mut options = match level {
                "none" => Options::default(),
                "integrity" => Way::Ntlm.options(AuthLevel::INTEGRITY),
                _ => Way::Ntlm.options(AuthLevel::PRIVACY),
            };
            options.ndr64 = syntax == "ndr64";
            if level != "none" {
                command.arg(format!("{USER}%{USER_PASSWORD}"));
            }
            let server = Process::start("Scapy", &mut command).expect("start Scapy");
            server.line("ready").expect("ready");
            runtime.block_on(async {
                let client = rpcecho::Client::connect_with("ncacn_ip_tcp:127.0.0.1[4135]", options);
                let client = client.await.unwrap_or_else(|error| panic!("{error}\n{}", server.output()));
                let sum = client.add_one(41).await;
                let sum = sum.unwrap_or_else(|error| panic!("{error}\n{}", server.output()));
                assert_eq!(sum, 42);
                let data: Vec<u8> = (0..250).collect();
                assert_eq!(client.echo_data(250, &data).await.expect("echo"), data);
            });
        }
        case::ran("scapy", "our client, its server: NDR and NDR64, none, integrity, privacy");
    }

    fn our_traffic_of_interfaces_is_well_formed() {
        if !available(&["tshark"]) {
            return;
        }
        let runtime = runtime();
        let (_closed, port) =
            echo_server(&runtime, Some(dce::ntlm()), AuthLevel::CONNECT).expect("our server");
        let capture = Capture::start(&format!("tcp port {port}")).expect("start tshark");
        let endpoint = format!("ncacn_ip_tcp:127.0.0.1[{port}]");
        for level in [AuthLevel::CONNECT, AuthLevel::PKT, AuthLevel::INTEGRITY, AuthLevel::PRIVACY] {
            for way in [Way::Ntlm, Way::SpnegoNtlm] {
                for (ndr64, big_endian) in [(false, false), (true, false), (false, true)] {
                    let options = Options { ndr64, big_endian, ..way.options(level) };
                    runtime.block_on(async {
                        let client = rpcecho::Client::connect_with(endpoint.as_str(), options)
                            .await
                            .expect("connect");
                        assert_eq!(client.add_one(41).await.expect("add"), 42);
                        let data = vec![7; 20_001];
                        assert_eq!(client.echo_data(20_001, &data).await.expect("echo"), data);
                    });
                }
            }
        }
        let captured = capture.stop().expect("stop tshark");
        let as_dce = [format!("tcp.port=={port},dcerpc")];
        let faults = captured
            .decoded(&as_dce, "_ws.malformed || _ws.expert.severity==error || dcerpc.pkt_type==3", &["frame.number"])
            .expect("read");
        assert_eq!(faults, Vec::<String>::new(), "malformed packets");
        let kinds = captured.decoded(&as_dce, "dcerpc", &["dcerpc.pkt_type"]).expect("read");
        for kind in ["0", "2", "11", "12", "16"] {
            let has = kinds.iter().any(|row| row.split(',').any(|one| one == kind));
            assert!(has, "no packet of type {kind} in {kinds:?}");
        }
        case::ran("tshark", "our traffic of DCE/RPC");
    }
}
