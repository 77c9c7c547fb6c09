//! A server and two clients of an interface of our own.

mod echo {
    include!(concat!(env!("OUT_DIR"), "/echo.rs"));
}

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use farcall::{Call, Error, Refuse, Server};
use farcall_wire::Str;

/// The server: how many texts it has had.
#[derive(Default)]
struct Echo(AtomicU32);

impl echo::v1::Server for Echo {
    async fn echo(&self, call: &Call, text: Str) -> Result<echo::Echoed, Refuse> {
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        println!(
            "{} sends {text:?} over {}",
            call.peer(),
            call.transport().scheme()
        );
        Ok(echo::Echoed { text, count })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let server = Server::builder()
        .serve(echo::v1::service(Echo::default()))
        .listen("tcp://127.0.0.1:0")
        .listen("udp://127.0.0.1:0")
        .start()
        .await?;
    for endpoint in server.endpoints() {
        let client = echo::v1::Client::connect(endpoint).await?;
        let text = Str::from("hello");
        let back = client.echo(&text).deadline(Duration::from_secs(2)).await?;
        println!(
            "{endpoint} gives {:?} back, number {}",
            back.text, back.count
        );
    }
    server.drain(Duration::from_secs(1)).await;
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("both calls are answered");
}
