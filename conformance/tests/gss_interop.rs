//! RPCSEC_GSS with an MIT centre: our client and libtirpc's, our server and libtirpc's, each service, over TCP and UDP.

use std::process::Command;

use farcall_conformance::peer::farcall;
use farcall_conformance::peer::kdc::{Kdc, KeyKind};
use farcall_conformance::peer::tirpc::{self, Pair};
use farcall_conformance::peer::{Process, available, rpcbind};
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
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo-server"));
    command.args(["tcp://127.0.0.1:0", "udp://127.0.0.1:0", "gss"]);
    command.args(more).envs(kdc.environment());
    let server = Process::start("demo server", &mut command).expect("our server");
    server.line("ready udp://").expect("ready");
    server
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
        let poor = Kdc::start(KeyKind::AES256).expect("another centre, without a ticket");
        let said = our_call(&poor, endpoint, &["--auth", "krb5"], "DEMO_V1.ADD", "[1, 2]");
        let said = said.expect_err("no ticket");
        assert!(said.contains("hint: get a ticket: kinit"), "{said}");
    }
}
