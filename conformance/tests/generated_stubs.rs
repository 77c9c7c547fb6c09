//! The stubs of an interface with several programs, versions and kinds of arguments, compiled
//! and called: what `crates/idl/fixtures/programs.rs` prints does what `programs.x` says.

use farcall::{Call, Client, Refuse, Server};
use farcall_wire::Str;

#[rustfmt::skip]
#[allow(unreachable_pub)]
mod programs {
    include!("../../crates/idl/fixtures/programs.rs");
}

use programs::first_prog::{v1, v2};
use programs::second_prog::v7;
use programs::{Name, Node, Pair};

struct Peer;

impl v1::Server for Peer {
    async fn swap(&self, _: &Call, pair: Pair) -> Result<Pair, Refuse> {
        Ok(Pair {
            a: pair.b,
            b: pair.a,
        })
    }

    async fn name(&self, call: &Call, one: Name, other: Name, n: i32) -> Result<Name, Refuse> {
        assert_eq!(call.procedure(), 2);
        Ok(Str::from(
            [one.as_bytes(), other.as_bytes(), n.to_string().as_bytes()].concat(),
        ))
    }

    async fn list(
        &self,
        _: &Call,
        mut nodes: Vec<Node>,
        more: Vec<i32>,
    ) -> Result<Vec<Node>, Refuse> {
        nodes.extend(more.into_iter().map(|value| Node { value }));
        Ok(nodes)
    }

    async fn bytes(&self, _: &Call, bytes: Vec<u8>) -> Result<u32, Refuse> {
        Ok(bytes.iter().map(|byte| u32::from(*byte)).sum())
    }

    async fn r#type(&self, _: &Call, _: Str) -> Result<(), Refuse> {
        Ok(())
    }
}

impl v2::Server for Peer {
    async fn connect_(&self, _: &Call, number: i32) -> Result<i32, Refuse> {
        Ok(-number)
    }

    async fn clone_(&self, _: &Call) -> Result<(), Refuse> {
        Ok(())
    }

    async fn connect_with_(&self, _: &Call) -> Result<(), Refuse> {
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    async fn many(
        &self,
        _: &Call,
        a: i32,
        b: i32,
        c: i32,
        d: i32,
        e: i32,
        f: i32,
        g: i32,
        h: i32,
        i: i32,
    ) -> Result<Pair, Refuse> {
        Ok(Pair {
            a: a + b + c + d,
            b: e + f + g + h + i,
        })
    }
}

impl v7::Server for Peer {}

async fn server() -> Server {
    let builder = Server::builder()
        .serve(v1::service(Peer))
        .serve(v2::service(Peer));
    let server = builder
        .serve(v7::service(Peer))
        .listen("tcp://127.0.0.1:0")
        .start()
        .await;
    server.expect("start")
}

/// What code that takes a client or a stand-in for it looks like.
async fn swapped(calls: &dyn v1::Calls) -> Pair {
    calls.swap(Pair { a: 1, b: 2 }).await.expect("swap")
}

#[tokio::test]
async fn every_procedure_in_process() {
    let server = server().await;
    let first = v1::Client::in_process(&server).expect("a pair");
    first.null().await.expect("null");
    assert_eq!(swapped(&first).await, Pair { a: 2, b: 1 });
    let joined = first
        .name(&"ab".into(), &"cd".into(), -7)
        .await
        .expect("name");
    assert_eq!(joined, "abcd-7");
    let nodes = [Node { value: 1 }, Node { value: 2 }];
    let list = first.list(&nodes, &[3]).await.expect("list");
    assert_eq!(
        list.iter().map(|node| node.value).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(first.bytes(&[1, 2, 3]).await.expect("bytes"), 6);
    first.r#type(&"any".into()).await.expect("type");

    let client = Client::in_process(&server).expect("a pair");
    let second = v2::Client::from(client);
    assert_eq!(second.connect_(5).await.expect("connect"), -5);
    second.clone_().await.expect("clone");
    let sums = second.many(1, 2, 3, 4, 5, 6, 7, 8, 9).await.expect("many");
    assert_eq!(sums, Pair { a: 10, b: 35 });
    v7::Client::in_process(&server)
        .expect("a pair")
        .null()
        .await
        .expect("null");
}

#[tokio::test]
async fn a_bound_is_kept_before_anything_is_sent_and_when_it_came() {
    let server = server().await;
    let first = v1::Client::in_process(&server).expect("a pair");
    let error = first.name(&"more than nine".into(), &"".into(), 0).await;
    assert!(!error.expect_err("over its bound").may_have_executed());
    let error = first.list(&[], &[1, 2, 3, 4]).await;
    assert!(!error.expect_err("over its bound").may_have_executed());
    let result = first.name(&"12345".into(), &"12345".into(), 0).await;
    result.expect_err("the result is over its bound");
}

#[test]
fn the_blocking_client_does_the_same() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(server());
    let endpoint = server.endpoints()[0].to_string();
    let first = v1::BlockingClient::connect(endpoint.as_str()).expect("connect");
    first.null().expect("null");
    assert_eq!(
        first.swap(Pair { a: 1, b: 2 }).expect("swap"),
        Pair { a: 2, b: 1 }
    );
    assert_eq!(first.bytes(&[4]).expect("bytes"), 4);
}

#[test]
fn what_the_interface_says_of_itself() {
    assert_eq!((v1::PROGRAM.number, v1::PROGRAM.version), (0x2000_0001, 1));
    assert_eq!(
        (v7::PROGRAM.name, v7::PROGRAM.version_name),
        ("SECOND_PROG", "SECOND_ONLY")
    );
    let swap = v1::PROGRAM.procedure(1).expect("it is there");
    assert!(swap.idempotent && !swap.blocking);
    assert_eq!(
        v1::PROGRAM.procedure_name(0xffff_fffe),
        "FIRST_V1.FIRST_TYPE"
    );
}
