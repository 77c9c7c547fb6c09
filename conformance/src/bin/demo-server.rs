//! The demo program as a daemon, for tests that look at a server from outside: its memory, its
//! descriptors, whether it still runs.
//!
//! Arguments: endpoints to listen at, limits as `NAME=NUMBER` (times in milliseconds), `register` to be found through
//! rpcbind, and `gss` to let callers prove themselves by the keys of the environment's keytab.

use std::sync::Arc;
use std::time::Duration;

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
