//! A procedure that blocks its core for ever does not keep the server from ending.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use farcall::stub::{Program, Registered, Reply, Service};
use farcall::{Call, Client, Refuse, Runtime, Server};
use farcall_wire::Reader;

use crate::common::PROGRAM;

/// Says that it was begun, then blocks its thread until the other end is dropped.
struct Stuck(mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>);

impl Service for Stuck {
    fn program(&self) -> &'static Program {
        &PROGRAM
    }

    async fn call(
        &self,
        _: &Call,
        _: &mut Reader<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(), Refuse> {
        let _ = self.0.send(());
        let _ = self.1.lock().expect("alone").recv();
        reply.encode(&())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_ends_though_a_procedure_never_does() {
    let (begun, has_begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let service = Registered::new(Stuck(begun, Mutex::new(released)));
    let server = Server::builder()
        .serve(service)
        .runtime(Runtime::Threads(1));
    let server = server.start().await.expect("starts");
    let client = Client::in_process(&server).expect("pair");
    let stuck = tokio::spawn(async move { client.call(&PROGRAM, 1, &(), |_| Ok(())).await });
    tokio::task::spawn_blocking(move || has_begun.recv())
        .await
        .expect("task")
        .expect("begun");
    let draining = server.drain(Duration::from_millis(10));
    let drained = tokio::time::timeout(Duration::from_secs(20), tokio::spawn(draining)).await;
    drop(release);
    drained.expect("draining ended").expect("task");
    stuck.abort();
}
