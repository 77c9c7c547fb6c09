//! RPCSEC_GSS with an MIT centre: our client and libtirpc's, our server and libtirpc's, each service, over TCP and UDP.

use std::process::Command;
use std::time::{Duration, Instant};

use ::farcall::Registrar;
use ::farcall::stub::Registered;
use farcall_conformance::certificates::Authority;
use farcall_conformance::demo;
use farcall_conformance::peer::farcall;
use farcall_conformance::peer::kdc::{Kdc, KeyKind};
use farcall_conformance::peer::tirpc::{self, Pair};
use farcall_conformance::peer::{Process, Scratch, available, python, rpcbind};
use farcall_conformance::{case, network_test};

/// The service in the form that clients of ONC RPC name it.
const PRINCIPAL: &str = "host@farcall.test";

const CENTRE: [&str; 4] = ["krb5kdc", "kadmin.local", "kdb5_util", "kinit"];

/// The services by libtirpc's names and by ours.
const SERVICES: [(&str, &str); 3] = [
    ("none", "krb5"),
    ("integrity", "krb5i"),
    ("privacy", "krb5p"),
];

fn ready() -> bool {
    available(&CENTRE) && available(tirpc::NEEDS) && farcall::available()
}

/// A centre whose user has a ticket.
fn centre() -> Kdc {
    let kdc = Kdc::start(KeyKind::AES256).expect("a centre");
    kdc.kinit().expect("a ticket");
    kdc
}

fn our_server(kdc: &Kdc, more: &[&str]) -> Process {
    let server = our_server_at(kdc, &["tcp://127.0.0.1:0", "udp://127.0.0.1:0"], more);
    server.line("ready udp://").expect("ready");
    server
}

fn our_server_at(kdc: &Kdc, endpoints: &[&str], more: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo-server"));
    command.args(endpoints).arg("gss");
    command.args(more).envs(kdc.environment());
    Process::start("demo server", &mut command).expect("our server")
}

/// What our client says to a call of the demo program.
fn our_call(
    kdc: &Kdc,
    endpoint: &str,
    auth: &[&str],
    procedure: &str,
    json: &str,
) -> Result<String, String> {
    let idl = concat!(env!("CARGO_MANIFEST_DIR"), "/idl/demo.x");
    let mut command =
        farcall::command(&["call", endpoint, procedure, json, "--idl", idl, "--json"]);
    if !auth.contains(&"--principal") {
        command.args(["--principal", PRINCIPAL]);
    }
    command.args(auth);
    let done = command
        .envs(kdc.environment())
        .output()
        .expect("run our client");
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    }
}

/// Calls what version 1 has, and what it has not.
fn call_all(kdc: &Kdc, endpoint: &str, auth: &str) {
    let auth = ["--auth", auth];
    let text = "x".repeat(3001);
    let echo = our_call(kdc, endpoint, &auth, "DEMO_V1.ECHO", &format!("{text:?}"));
    assert_eq!(echo.expect("echo"), format!("{text:?}"));
    let sum = our_call(kdc, endpoint, &auth, "DEMO_V1.ADD", "[40, 2]");
    assert_eq!(sum.expect("add"), "42");
}

network_test! {
    fn our_client_calls_a_libtirpc_server() {
        if !ready() {
            return;
        }
        let kdc = centre();
        let (_binder, pair) = (rpcbind::start().expect("rpcbind"), Pair::build().expect("the pair"));
        let _server = pair.server_of(PRINCIPAL, &kdc.environment()).expect("its server");
        for transport in ["tcp", "udp"] {
            let endpoint = format!("{transport}://127.0.0.1");
            for (name, auth) in SERVICES {
                call_all(&kdc, &endpoint, auth);
                case::ran("libtirpc", &format!("our client, RPCSEC_GSS {name}, {transport}"));
            }
        }
    }
}

network_test! {
    fn a_libtirpc_client_calls_our_server() {
        if !ready() {
            return;
        }
        let kdc = centre();
        let (_binder, pair) = (rpcbind::start().expect("rpcbind"), Pair::build().expect("the pair"));
        let _server = our_server(&kdc, &["register"]);
        for transport in ["tcp", "udp"] {
            for (name, _) in SERVICES {
                let environment = kdc.environment();
                let said = pair.client_of("127.0.0.1", transport, name, PRINCIPAL, &environment);
                let said = said.expect("its client");
                let good = ["echo: RPC: Success hello", "add: RPC: Success 42", "sum: RPC: Success 42",
                    "unknown procedure: RPC: Procedure unavailable", "low version = 1, high version = 2"];
                for line in good {
                    assert!(said.contains(line), "{name} over {transport}, no {line:?} in: {said}");
                }
                case::ran("libtirpc", &format!("its client, RPCSEC_GSS {name}, {transport}"));
            }
        }
    }
}

network_test! {
    fn our_client_calls_our_server_and_errors_say_what_is_wrong() {
        if !ready() {
            return;
        }
        let kdc = centre();
        let server = our_server(&kdc, &[]);
        let tcp = server.line("ready tcp://").expect("ready");
        let udp = server.line("ready udp://").expect("ready");
        for line in [tcp.as_str(), udp.as_str()] {
            let endpoint = line.trim_start_matches("ready ");
            for (_, auth) in SERVICES {
                call_all(&kdc, endpoint, auth);
            }
        }
        let endpoint = tcp.trim_start_matches("ready ");
        let stranger = our_call(&kdc, endpoint, &["--auth", "krb5", "--principal", "nfs@farcall.test"], "DEMO_V1.ADD", "[1, 2]");
        let said = stranger.expect_err("no such service");
        assert!(said.contains("not found in Kerberos database"), "{said}");
        let missing = our_call(&kdc, endpoint, &["--auth", "krb5p"], "DEMO_V2.ECHO2", "\"two\"");
        assert_eq!(missing.expect("the other version"), "\"two\"");
        expired_and_skewed(&kdc, endpoint);
        let poor = Kdc::start(KeyKind::AES256).expect("another centre, without a ticket");
        let said = our_call(&poor, endpoint, &["--auth", "krb5"], "DEMO_V1.ADD", "[1, 2]");
        let said = said.expect_err("no ticket");
        assert!(said.contains("hint: get a ticket: kinit"), "{said}");
    }
}

/// A ticket whose time is over, and a server to which every clock is wrong.
fn expired_and_skewed(kdc: &Kdc, endpoint: &str) {
    let add =
        |endpoint: &str| our_call(kdc, endpoint, &["--auth", "krb5i"], "DEMO_V1.ADD", "[1, 2]");
    let configuration = kdc
        .environment()
        .into_iter()
        .find(|(name, _)| *name == "KRB5_CONFIG");
    let path = configuration.expect("a configuration").1;
    let text = std::fs::read_to_string(&path).expect("its text");
    let strict = text.replace("[libdefaults]\n", "[libdefaults]\nclockskew = -1\n");
    let other = format!("{path}.strict");
    std::fs::write(&other, strict).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo-server"));
    command
        .args(["tcp://127.0.0.1:0", "gss"])
        .envs(kdc.environment());
    let server =
        Process::start("demo server", command.env("KRB5_CONFIG", &other)).expect("our server");
    let ready = server.line("ready tcp://").expect("ready");
    // A ticket that is not a second old begins too late for such a server, and it says that first.
    let end = Instant::now() + Duration::from_secs(30);
    let said = loop {
        let said = add(ready.trim_start_matches("ready ")).expect_err("its clock is another");
        if !said.contains("Ticket not yet valid") || Instant::now() > end {
            break said;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    for words in [
        "the server says: Clock skew too great",
        "hint: set this machine's clock",
    ] {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    kdc.kinit_for("2s").expect("a ticket for a moment");
    let end = Instant::now() + Duration::from_secs(30);
    let said = loop {
        if let Err(said) = add(endpoint) {
            break said;
        }
        assert!(Instant::now() < end, "the ticket is still good");
        std::thread::sleep(Duration::from_millis(200));
    };
    for words in ["expired", "hint: get a new ticket: kinit"] {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    kdc.kinit().expect("a ticket");
}

network_test! {
    /// libtirpc knows no TLS: its client speaks through the independent peer, which carries it.
    fn security_contexts_go_under_tls_from_our_client_and_from_libtirpcs() {
        if !ready() || !available(&["python3"]) {
            return;
        }
        let kdc = centre();
        let (_binder, pair) = (rpcbind::start().expect("rpcbind"), Pair::build().expect("the pair"));
        let scratch = Scratch::new("tls").expect("a folder");
        let authority = Authority::new(scratch.path()).expect("an authority");
        authority.issue("server", &["localhost", "127.0.0.1"]).expect("issued");
        let folder = format!("tls={}", scratch.path().display());
        let server = our_server_at(&kdc, &["tls://127.0.0.1:0"], &[&folder]);
        let line = server.line("ready tls://").expect("ready");
        let endpoint = line.trim_start_matches("ready ");
        let ca = authority.file().display().to_string();
        for (_, auth) in SERVICES {
            let sum = our_call(&kdc, endpoint, &["--auth", auth, "--ca", &ca], "DEMO_V1.ADD", "[40, 2]");
            assert_eq!(sum.expect("add"), "42", "{auth}");
        }
        let port = endpoint.rsplit_once(':').expect("a port").1;
        let mut tunnel = python::plain_script("rpc_tls.py");
        tunnel.args(["tunnel", "--port", port, "--alpn", "sunrpc", "--ca", &ca]);
        let tunnel = Process::start("rpc_tls.py", &mut tunnel).expect("start it");
        let line = tunnel.line("ready ").expect("it is ready");
        let near = format!("tcp://127.0.0.1:{}", line.trim_start_matches("ready "));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let programs = demo::services().iter().filter_map(Registered::program).collect();
        let binder = Registrar::at("tcp://127.0.0.1:111").expect("an endpoint");
        let near = [near.parse().expect("an endpoint")];
        let _registered = runtime.block_on(binder.register(programs, &near)).expect("registered");
        for (name, _) in SERVICES {
            let said = pair.client_of("127.0.0.1", "tcp", name, PRINCIPAL, &kdc.environment());
            let said = said.expect("its client");
            for line in ["echo: RPC: Success hello", "add: RPC: Success 42", "low version = 1, high version = 2"] {
                assert!(said.contains(line), "{name}, no {line:?} in: {said}");
            }
            case::ran("libtirpc", &format!("its client under TLS through a tunnel, RPCSEC_GSS {name}"));
        }
    }
}

network_test! {
    fn every_calling_command_takes_kerberos() {
        if !ready() {
            return;
        }
        let kdc = centre();
        let server = our_server(&kdc, &[]);
        let number = farcall_conformance::demo::NUMBER.to_string();
        for line in ["ready tcp://", "ready udp://"] {
            let ready = server.line(line).expect("ready");
            let endpoint = ready.trim_start_matches("ready ");
            for (_, auth) in SERVICES {
                let run = |arguments: &[&str]| {
                    let mut command = farcall::command(arguments);
                    command.args(["--auth", auth, "--principal", PRINCIPAL]).envs(kdc.environment());
                    let done = command.output().expect("run our client");
                    let text = [done.stdout, done.stderr].concat();
                    let text = String::from_utf8_lossy(&text).into_owned();
                    assert!(done.status.success(), "{arguments:?} {auth}: {text}");
                    text
                };
                run(&["ping", endpoint, &number, "1", "-c", "2", "-i", "0.01"]);
                run(&["bench", endpoint, &number, "1", "--duration", "0.2", "--json"]);
            }
        }
    }
}
