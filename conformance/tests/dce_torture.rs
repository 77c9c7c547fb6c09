//! smbtorture, Samba's test suite, tests our server of its own test interface.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use farcall::Server;
use farcall_conformance::peer::samba::{self, Domain};
use farcall_conformance::peer::{Scratch, available, torture};
use farcall_conformance::{case, echo, network_test};
use farcall_dce::security::AuthLevel;
use farcall_security::ntlm::ServerConfig;
use farcall_security::{Mechanisms, Password, Users, kerberos};
use tokio::runtime::Runtime;

/// How many runs go on at once: most of a run is waiting.
const AT_ONCE: usize = 12;

/// The ten tests of rpc.echo.
const ECHO: usize = 10;

fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

/// The accounts that a server knows by itself.
fn accounts() -> Users {
    let mut users = Users::default();
    let password = Password::new(samba::USER_PASSWORD.to_owned());
    users
        .add(samba::USER, samba::DOMAIN, &password, &[])
        .expect("add a user");
    users
}

/// NTLM alone.
fn ntlm() -> Mechanisms {
    let config = ServerConfig::new("OURS", samba::DOMAIN, Arc::new(accounts()));
    Mechanisms::new().with_ntlm(config)
}

/// Our server, and its port.
fn start(runtime: &Runtime, mechanisms: Option<Mechanisms>, floor: AuthLevel) -> (Server, u16) {
    let mut builder = Server::builder()
        .serve(echo::service())
        .listen("ncacn_ip_tcp:127.0.0.1[0]")
        .auth_floor(floor);
    builder = match mechanisms {
        Some(mechanisms) => builder.authenticate_with(Arc::new(mechanisms)),
        None => builder.allow_anonymous(),
    };
    let server = runtime.block_on(builder.start()).expect("start our server");
    let port = server.endpoints()[0].port().expect("a port");
    (server, port)
}

/// Runs rpc.echo once for each of these bindings, several at a time; all of it must pass.
fn torture(bindings: &[String], credentials: &[&str]) {
    let scratch = Scratch::new("torture").expect("a folder");
    let configuration = samba::client_configuration(&scratch).expect("a configuration");
    let mut faults = Vec::new();
    for some in bindings.chunks(AT_ONCE) {
        faults.extend(thread::scope(|scope| {
            let mut runs = Vec::new();
            for binding in some {
                let configuration = &configuration;
                runs.push(scope.spawn(move || fault(configuration, binding, credentials)));
            }
            let found = runs
                .into_iter()
                .filter_map(|run| run.join().expect("a run"));
            found.collect::<Vec<String>>()
        }));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What is wrong with rpc.echo over one binding: nothing, or a line for each test that failed.
fn fault(configuration: &Path, binding: &str, credentials: &[&str]) -> Option<String> {
    let found = torture::run(configuration, binding, "rpc.echo", credentials);
    let found = found.unwrap_or_else(|error| torture::Found {
        printed: error.to_string(),
        ..torture::Found::default()
    });
    if found.failed.is_empty() && found.passed.len() == ECHO {
        return None;
    }
    let telling = |line: &&str| line.contains("torture/rpc") || line.contains("Failed to");
    let lines: Vec<&str> = found.printed.lines().filter(telling).collect();
    let failed = found.failed.join(" ");
    Some(format!(
        "{binding}: not passed: {failed}\n{}",
        lines.join("\n")
    ))
}

/// Each way of authentication with each form of the data.
fn sweep(host: &str, port: u16, ways: &[&str]) -> Vec<String> {
    let forms = ["", ",bigendian", ",ndr64", ",padcheck"];
    let each = ways
        .iter()
        .flat_map(|way| forms.map(|form| format!("ncacn_ip_tcp:{host}[{port},{way}{form}]")));
    each.collect()
}

network_test! {
    fn rpc_echo_passes_in_every_form_of_the_data() {
        if !available(&["smbtorture"]) {
            return;
        }
        let runtime = runtime();
        let (_server, port) = start(&runtime, None, AuthLevel::INTEGRITY);
        let forms = ["", ",bigendian", ",ndr64", ",validate", ",bigendian,validate"];
        let bindings = forms.map(|form| format!("ncacn_ip_tcp:127.0.0.1[{port}{form}]"));
        torture(&bindings, &["-U%"]);
        case::ran("smbtorture", "rpc.echo in every form of the data");
    }

    fn rpc_echo_passes_under_ntlm_and_spnego_at_every_level() {
        if !available(&["smbtorture"]) {
            return;
        }
        let runtime = runtime();
        let (_server, port) = start(&runtime, Some(ntlm()), AuthLevel::CONNECT);
        let ways = [
            "ntlm,connect", "ntlm,packet", "ntlm,sign", "ntlm,seal", "spnego,connect",
            "spnego,packet", "spnego,sign", "spnego,seal",
        ];
        let user = format!("{}/{}%{}", samba::DOMAIN, samba::USER, samba::USER_PASSWORD);
        let credentials = ["-U", &user, "--use-kerberos=disabled"];
        torture(&sweep("127.0.0.1", port, &ways), &credentials);
        case::ran("smbtorture", "rpc.echo under NTLM and SPNEGO at every level");
    }

    fn rpc_echo_passes_under_kerberos_at_every_level() {
        if !available(&["smbtorture"]) || !available(samba::NEEDS) {
            return;
        }
        let _domain = Domain::start().expect("start the domain controller");
        let service = kerberos::Service::open(Some(samba::KEYTAB.as_ref()), None);
        let mechanisms = Mechanisms::new().with_kerberos(service.expect("our keys"));
        let runtime = runtime();
        let (_server, port) = start(&runtime, Some(mechanisms), AuthLevel::CONNECT);
        let user = format!("{}@{}%{}", samba::USER, samba::REALM, samba::USER_PASSWORD);
        let credentials = ["-U", &user, "--use-kerberos=required"];
        let ways = ["krb5,connect", "krb5,packet", "krb5,sign", "krb5,seal", "spnego,sign", "spnego,seal"];
        torture(&sweep(samba::OUR_HOST, port, &ways), &credentials);
        torture(&sweep(samba::OUR_OLD_HOST, port, &["krb5,sign", "krb5,seal"]), &credentials);
        case::ran("smbtorture", "rpc.echo under Kerberos at every level");
    }
}
