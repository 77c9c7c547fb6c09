//! The rig itself: the peers of DCE/RPC start, speak to each other and end, before we blame our
//! own code.

use std::process::Command;

use farcall_conformance::network_test;
use farcall_conformance::peer::samba::{self, Domain};
use farcall_conformance::peer::{Process, available, python, torture};

/// What a script of ours or a tool printed, which must have succeeded.
fn printed(name: &str, command: &mut Command) -> String {
    let (status, printed) = Process::run(name, command).expect(name);
    assert!(status.success(), "{name}: {status}\n{printed}");
    printed
}

network_test! {
    fn samba_answers_its_own_clients() {
        if !available(samba::NEEDS) || !available(&["smbtorture", "rpcclient"]) {
            return;
        }
        let domain = Domain::start().expect("start the domain controller");
        let configuration = domain.client_configuration();
        let found = torture::run(&configuration, "ncacn_ip_tcp:127.0.0.1[135]", "rpc.mgmt", &["-U%"])
            .expect("run smbtorture");
        assert_eq!(found.passed, ["mgmt"], "{}", found.printed);
        let mut command = Command::new("rpcclient");
        command.arg("-s").arg(&configuration);
        command.arg("-U").arg(format!("{}%{}", samba::USER, samba::USER_PASSWORD));
        command.args(["ncacn_ip_tcp:dcedc.dce.test[seal]", "-c", "enumdomusers"]);
        let users = printed("rpcclient", &mut command);
        assert!(users.contains("user:[fred]"), "{users}");
        domain.log_in(samba::USER, samba::USER_PASSWORD).expect("a ticket");
    }

    fn samba_answers_impacket_and_its_own_bindings() {
        if !available(samba::NEEDS) || !python::available() || !python::samba_available() {
            return;
        }
        let domain = Domain::start().expect("start the domain controller");
        let who = format!("{}/{}%{}", samba::DOMAIN, samba::USER, samba::USER_PASSWORD);
        for level in ["none", "integrity", "privacy"] {
            let mut command = python::script("impacket_client.py");
            command.args(["interfaces", "135", level]);
            if level != "none" {
                command.arg(&who);
            }
            let printed = printed("impacket", &mut command);
            assert!(printed.contains("e1af8308-5d1f-11c9-91a4-08002b14a0fa 3.0"), "{printed}");
        }
        for what in ["interfaces", "mapper"] {
            let mut command = python::samba_script("samba_client.py");
            command.args([what, "ncacn_ip_tcp:127.0.0.1[135]"]).arg(domain.client_configuration());
            let printed = printed("Samba's bindings", &mut command);
            assert!(printed.contains("all well\n"), "{printed}");
        }
    }

    fn scapy_speaks_to_itself() {
        if !python::available() {
            return;
        }
        for (syntax, level) in [("ndr", "none"), ("ndr64", "privacy")] {
            let arguments = ["4135", syntax, level, "fred%secret"];
            let arguments = if level == "none" { &arguments[..3] } else { &arguments };
            let mut command = python::script("scapy_echo.py");
            let server = Process::start("Scapy", command.arg("server").args(arguments));
            let server = server.expect("start Scapy");
            server.line("ready").expect("ready");
            let mut command = python::script("scapy_echo.py");
            let printed = printed("Scapy", command.arg("client").args(arguments));
            assert!(printed.contains("all well\n"), "{printed}");
            drop(server);
        }
    }
}
