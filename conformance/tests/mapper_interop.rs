//! Others' suites and clients against our endpoint mapper, at its port, with a server that is registered there.

use std::sync::Arc;

use farcall::{Registrar, Server};
use farcall_binder::Binder;
use farcall_conformance::dce::{self, runtime};
use farcall_conformance::peer::samba::{self, DOMAIN, USER, USER_PASSWORD};
use farcall_conformance::peer::{Process, Scratch, available, python, torture};
use farcall_conformance::{case, echo, network_test};
use farcall_dce::security::AuthLevel;
use tokio::runtime::Runtime;

/// A mapper at port 135 and a server that it knows, as whoever embeds both has them.
struct Host {
    binder: Binder,
    server: Server,
}

fn start(runtime: &Runtime) -> Host {
    let binder = Binder::builder()
        .listen("ncacn_ip_tcp:127.0.0.1[135]")
        .listen("ncalrpc:[epmapper]")
        .configure(|server| {
            Ok::<_, farcall::Error>(server.authenticate_with(Arc::new(dce::ntlm())))
        })
        .expect("mechanisms");
    let binder = runtime.block_on(binder.start()).expect("the mapper");
    let local = binder.endpoints().last().expect("its local endpoint");
    let registrar = Registrar::at(local).expect("the mapper's endpoint");
    let server = Server::builder()
        .serve(echo::service())
        .listen("ncacn_ip_tcp:127.0.0.1[0]")
        .auth_floor(AuthLevel::CONNECT)
        .allow_anonymous()
        .authenticate_with(Arc::new(dce::ntlm()))
        .register_with(registrar)
        .start();
    let server = runtime
        .block_on(server)
        .expect("a server that is registered");
    Host { binder, server }
}

impl Host {
    fn end(self, runtime: &Runtime) {
        runtime.block_on(async {
            self.server.drain(std::time::Duration::ZERO).await;
            self.binder.drain(std::time::Duration::ZERO).await;
        });
    }
}

network_test! {
    fn smbtorture_tests_our_mapper_and_management() {
        if !available(&["smbtorture"]) {
            return;
        }
        let scratch = Scratch::new("mapper").expect("a folder");
        let configuration = samba::client_configuration(&scratch).expect("a configuration");
        let runtime = runtime();
        let host = start(&runtime);
        let user = format!("-U{DOMAIN}/{USER}%{USER_PASSWORD}");
        for (suite, tests) in [("rpc.epmapper", 5), ("rpc.mgmt", 1)] {
            let found = torture::run(&configuration, "ncacn_ip_tcp:127.0.0.1[sign]", suite, &[&user])
                .expect("run smbtorture");
            assert!(found.failed.is_empty(), "{suite}: {:?}\n{}", found.failed, found.printed);
            assert_eq!(found.passed.len(), tests, "{suite}\n{}", found.printed);
        }
        host.end(&runtime);
        case::ran("smbtorture", "rpc.epmapper and rpc.mgmt with our mapper, as a user of NTLM");
    }

    fn impacket_lists_our_mapper() {
        if !python::available() {
            return;
        }
        let runtime = runtime();
        let host = start(&runtime);
        let mut command = python::program("rpcdump.py");
        let (_, said) = Process::run("rpcdump", command.args(["-port", "135", "127.0.0.1"]))
            .expect("run rpcdump");
        for interface in [
            "E1AF8308-5D1F-11C9-91A4-08002B14A0FA v3.0",
            "60A15EC5-4DE8-11D7-A637-005056A20182 v1.0",
        ] {
            assert!(said.contains(interface), "{interface}:\n{said}");
        }
        host.end(&runtime);
        case::ran("impacket", "rpcdump of our mapper");
    }
}
