//! smbtorture, Samba's test suite, tests our server of its own test interface.

use std::path::Path;
use std::thread;

use farcall_conformance::dce::{self, echo_server, runtime};
use farcall_conformance::peer::samba::{self, Domain};
use farcall_conformance::peer::{Scratch, available, torture};
use farcall_conformance::{case, network_test};
use farcall_dce::security::AuthLevel;

/// How many runs go on at once: most of a run is waiting.
const AT_ONCE: usize = 12;

/// The ten tests of rpc.echo.
const ECHO: usize = 10;

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
        let (_server, port) = echo_server(&runtime, None, AuthLevel::INTEGRITY).expect("our server");
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
        let (_server, port) = echo_server(&runtime, Some(dce::ntlm()), AuthLevel::CONNECT).expect("our server");
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
        let runtime = runtime();
        let (_server, port) = echo_server(&runtime, Some(dce::keys()), AuthLevel::CONNECT).expect("our server");
        let user = format!("{}@{}%{}", samba::USER, samba::REALM, samba::USER_PASSWORD);
        let credentials = ["-U", &user, "--use-kerberos=required"];
        let ways = ["krb5,connect", "krb5,packet", "krb5,sign", "krb5,seal", "spnego,connect", "spnego,packet", "spnego,sign", "spnego,seal"];
        torture(&sweep(samba::OUR_HOST, port, &ways), &credentials);
        torture(&sweep(samba::OUR_OLD_HOST, port, &["krb5,sign", "krb5,seal"]), &credentials);
        case::ran("smbtorture", "rpc.echo under Kerberos at every level");
    }
}
