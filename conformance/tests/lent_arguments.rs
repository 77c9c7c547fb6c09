//! Servers whose arguments borrow from the message: what `crates/idl/fixtures/lending.rs` prints,
//! served and called over a socket.

use farcall::stub::Target;
use farcall::{Call, Client, Refuse, Server};
use farcall_wire::{Decode, Encode, Str, xdr};

#[rustfmt::skip]
#[allow(unreachable_pub, clippy::needless_lifetimes)]
mod lending {
    include!("../../crates/idl/fixtures/lending.rs");
}

use lending::{Name, NodeRef, Record, RecordRef, v1};

struct Peer;

impl v1::Server for Peer {
    async fn name(&self, _: &Call, name: &[u8], times: i32) -> Result<Name, Refuse> {
        // What is lent lives as long as the call, also while it waits.
        tokio::task::yield_now().await;
        Ok(Str::from(name.repeat(times as usize)))
    }

    async fn list(&self, _: &Call, nodes: Vec<NodeRef<'_>>) -> Result<u32, Refuse> {
        let value = |node: &NodeRef<'_>| node.it.len() as u32 + node.value as u32;
        Ok(nodes.iter().map(value).sum())
    }

    async fn bytes(&self, _: &Call, bytes: &[u8]) -> Result<u32, Refuse> {
        Ok(bytes.iter().map(|byte| u32::from(*byte)).sum())
    }

    async fn record(&self, _: &Call, record: RecordRef<'_>) -> Result<Record, Refuse> {
        Ok(record.to_owned())
    }

    async fn owned(&self, _: &Call, record: Record) -> Result<Record, Refuse> {
        Ok(record)
    }

    async fn plain(&self, _: &Call, number: i32) -> Result<i32, Refuse> {
        Ok(-number)
    }
}

async fn call<T: for<'a> Decode<'a>>(
    client: &Client,
    procedure: u32,
    arguments: &impl Encode,
) -> Result<T, farcall::Error> {
    let target = Target {
        program: v1::PROGRAM.number,
        version: v1::PROGRAM.version,
        procedure,
    };
    client
        .call_target(target, arguments, |r| T::decode(r))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_reads_its_arguments_where_they_lie() {
    let server = Server::builder()
        .serve(v1::service(Peer))
        .listen("tcp://127.0.0.1:0")
        .start();
    let server = server.await.expect("starts");
    let client = Client::connect(&server.endpoints()[0], v1::PROGRAM.number, 1).await;
    let client = client.expect("connects");
    let name: Str = call(&client, 1, &(Str::from("abc"), 3_i32))
        .await
        .expect("a name");
    assert_eq!(name, "abcabcabc");
    // A linked list of two: 1, "x", 5, 1, "", 6, 0.
    let list = (
        true,
        Str::from("x"),
        5_i32,
        true,
        Str::from(""),
        6_i32,
        false,
    );
    assert_eq!(call::<u32>(&client, 2, &list).await.expect("a sum"), 12);
    let bytes = xdr::to_vec(&Str::from(vec![3; 1000])).expect("encodes");
    let lent = call::<u32>(&client, 3, &farcall::stub::Raw(&bytes)).await;
    assert_eq!(lent.expect("a sum"), 3000);
    let record = Record {
        title: "title".into(),
        body: vec![1, 2, 3],
        numbers: vec![7, 8],
    };
    for procedure in [4, 5] {
        let back: Record = call(&client, procedure, &record).await.expect("a record");
        assert_eq!(back, record);
    }
    assert_eq!(call::<i32>(&client, 6, &7_i32).await.expect("a number"), -7);
    // Arguments that are none are refused before the server sees them.
    let refused = call::<u32>(&client, 3, &u32::MAX).await;
    assert!(refused.is_err());
}
