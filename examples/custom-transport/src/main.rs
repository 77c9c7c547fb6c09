//! A server and a client over a byte stream of our own: here a pipe in memory. A serial line, a
//! tunnel or a TLS session fit as well: anything that reads and writes bytes in order.

use std::time::Duration;

use farcall::generated::calc::{self, v1};
use farcall::{Call, Client, Error, Options, Peer, Refuse, Server};

struct Calc;

impl v1::Server for Calc {
    async fn add(&self, call: &Call, a: i32, b: i32) -> Result<i32, Refuse> {
        println!("{} asks for {a} + {b}", call.peer());
        Ok(a.wrapping_add(b))
    }

    async fn echo(&self, _: &Call, text: calc::Text) -> Result<calc::Text, Refuse> {
        Ok(text)
    }

    // The rest of the calculator is not served here.
    async fn divide(&self, _: &Call, _: calc::Division) -> Result<calc::DivisionResult, Refuse> {
        Err(Refuse::ProcUnavail)
    }
    async fn sum(&self, _: &Call, _: calc::Numbers) -> Result<i64, Refuse> {
        Err(Refuse::ProcUnavail)
    }
    async fn mean(&self, _: &Call, _: calc::Sample) -> Result<f64, Refuse> {
        Err(Refuse::ProcUnavail)
    }
    async fn describe(&self, _: &Call, _: calc::Sample) -> Result<calc::Statistics, Refuse> {
        Err(Refuse::ProcUnavail)
    }
    async fn echo_block(&self, _: &Call, _: calc::Block) -> Result<calc::Block, Refuse> {
        Err(Refuse::ProcUnavail)
    }
    async fn sleep(&self, _: &Call, _: u32) -> Result<u32, Refuse> {
        Err(Refuse::ProcUnavail)
    }
    async fn count(&self, _: &Call, _: i64) -> Result<i64, Refuse> {
        Err(Refuse::ProcUnavail)
    }
    async fn grind(&self, _: &Call, _: u32) -> Result<(), Refuse> {
        Err(Refuse::ProcUnavail)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let server = Server::builder().serve(v1::service(Calc)).start().await?;
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    server.serve_stream(theirs, Peer::InProcess)?;
    let client = v1::Client::from(Client::over(ours, "the pipe", Options::default()));
    println!("40 + 2 = {}", client.add(40, 2).await?);
    let refused = client.mean(&[1.0, 2.0]).await;
    println!("the mean: {}", refused.expect_err("it is not served"));
    drop(client);
    server.drain(Duration::from_secs(1)).await;
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the call is answered");
}
