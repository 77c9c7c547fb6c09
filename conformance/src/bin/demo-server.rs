//! The demo program as a daemon, for tests that look at a server from outside: its memory, its
//! descriptors, whether it still runs.
//!
//! Arguments: endpoints to listen at, limits as `NAME=NUMBER` (times in milliseconds), `register` to be found through
//! rpcbind, `tls=FOLDER` to offer TLS with its `server.pem` and `server.key`, and `gss` to let callers prove themselves by the keys of the environment's keytab.

use std::sync::Arc;
use std::time::Duration;

use farcall::tls::{Policy, ServerSettings, ServerTls};
use farcall::{Limits, Registrar, Server};
use farcall_conformance::demo;
use farcall_security::Mechanisms;
use farcall_security::kerberos::Service;

fn main() {
    let mut limits = Limits::default();
    let mut builder = Server::builder();
    for argument in std::env::args().skip(1) {
        builder = match (argument.as_str(), argument.split_once('=')) {
            ("gss", _) => builder.gss(Arc::new(keys())),
            ("register", _) => builder.register_with(Registrar::local()),
            (_, Some(("tls", folder))) => builder.tls(Policy::Opportunistic, certificate(folder)),
            (_, Some((name, value))) => {
                set(&mut limits, name, value.parse().expect("a number"));
                builder
            }
            (endpoint, None) => builder.listen(endpoint),
        };
    }
    for service in demo::services() {
        builder = builder.serve(service);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let server = builder
            .limits(limits)
            .start()
            .await
            .expect("start the server");
        for endpoint in server.endpoints() {
            println!("ready {endpoint}");
        }
        std::future::pending::<()>().await;
    });
}

fn certificate(folder: &str) -> ServerTls {
    let file = |name| std::path::Path::new(folder).join(name);
    let settings = ServerSettings::new(file("server.pem"), file("server.key"));
    ServerTls::new(settings).expect("a certificate")
}

/// The service whose keys the environment names.
fn keys() -> Mechanisms {
    Mechanisms::new().with_kerberos(Service::open(None, None).expect("keys"))
}

fn set(limits: &mut Limits, name: &str, value: u32) {
    let time = Duration::from_millis(value.into());
    let count = usize::try_from(value).expect("a count");
    match name {
        "calls" => limits.calls = count,
        "write_queue" => limits.write_queue = count,
        "write_stall" => limits.write_stall = time,
        "idle" => limits.idle = time,
        "partial" => limits.partial = time,
        "connections" => limits.connections = count,
        "connections_per_source" => limits.connections_per_source = count,
        _ => panic!("no limit {name}"),
    }
}
