//! Forms of calls besides the usual one: one-way and batched ones, and those that their callers may not make.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{PROGRAM, Test, add, bare, echo, service};
use farcall::{Cause, Client, DuplicateRequests, Identity, Options, Refuse, Server, Transport};
use farcall_onc::auth::{AuthStat, AuthSys};

async fn connect(server: &Server, transport: Transport, options: Options) -> Client {
    let endpoint = server.endpoint(transport).expect("listens");
    let client = Client::connect_with(endpoint, PROGRAM.number, PROGRAM.version, options);
    client.await.expect("connects")
}

async fn start(test: &Test) -> Server {
    let server = Server::builder()
        .serve(service(test))
        .listen("tcp://127.0.0.1:0")
        .listen("udp://127.0.0.1:0");
    server.start().await.expect("starts")
}

// req: onc-5531-8.4
#[tokio::test]
async fn the_reply_to_the_last_call_of_a_batch_says_that_all_arrived() {
    let test = Test::default();
    let server = start(&test).await;
    let client = connect(&server, Transport::Tcp, Options::default()).await;
    for _ in 0..1000 {
        bare(&client, 5).one_way().expect("taken");
    }
    assert_eq!(add(&client, 40, 2).await.expect("answered"), 42);
    assert_eq!(test.calls.load(Ordering::SeqCst), 1001);
    // A reply to a call that wants none is passed over.
    echo(&client, "hello").one_way().expect("taken");
    assert_eq!(add(&client, 1, 2).await.expect("answered"), 3);
    assert_eq!(test.calls.load(Ordering::SeqCst), 1003);
}

#[tokio::test]
async fn a_one_way_call_is_sent_though_its_client_is_dropped_at_once() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let test = Test::default();
        let server = start(&test).await;
        let client = connect(&server, transport, Options::default()).await;
        bare(&client, 5).one_way().expect("taken");
        drop(client);
        let arrived = async {
            while test.calls.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), arrived)
            .await
            .expect("it arrives");
    }
}

#[tokio::test]
async fn a_one_way_call_that_cannot_be_made_says_so() {
    let test = Test::default();
    let server = start(&test).await;
    let client = connect(&server, Transport::Udp, Options::default()).await;
    let long = "x".repeat(60_000);
    let error = echo(&client, &long)
        .one_way()
        .expect_err("too long for a datagram");
    assert!(matches!(error.cause(), Cause::Limit(_)), "{error}");
}

#[tokio::test]
async fn a_server_asks_whether_the_caller_may_before_each_call() {
    let test = Test::default();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let path = std::env::temp_dir().join(format!("farcall-forms-{}.sock", std::process::id()));
    let server = Server::builder()
        .serve(service(&test))
        .duplicate_requests(DuplicateRequests::default())
        .authorize({
            let seen = Arc::clone(&seen);
            move |call| {
                let who = match call.identity() {
                    Identity::Nobody => "nobody".to_owned(),
                    Identity::Claimed(sys) => format!("claims {}", sys.uid),
                    Identity::User { uid, .. } => format!("is {uid}"),
                    Identity::Process => "us".to_owned(),
                    _ => "somebody else".to_owned(),
                };
                seen.lock()
                    .expect("fine")
                    .push((who.clone(), call.procedure()));
                match (who.as_str(), call.procedure()) {
                    ("nobody", 1) => Err(Refuse::Auth(AuthStat::TOOWEAK)),
                    (_, 2) => Err(Refuse::ProcUnavail),
                    _ => Ok(()),
                }
            }
        })
        .listen("tcp://127.0.0.1:0")
        .listen("udp://127.0.0.1:0")
        .listen(format!("unix://{}", path.display()))
        .start()
        .await
        .expect("starts");
    let claim = AuthSys {
        uid: 7,
        ..AuthSys::default()
    };
    let claims = Options::default().auth_sys(&claim).expect("fits");
    let us = nix::unistd::geteuid().as_raw();
    let named = [
        (
            connect(&server, Transport::Tcp, claims.clone()).await,
            "claims 7".to_owned(),
        ),
        (
            connect(&server, Transport::Udp, claims).await,
            "claims 7".to_owned(),
        ),
        (
            connect(&server, Transport::Unix, Options::default()).await,
            format!("is {us}"),
        ),
        (
            Client::in_process(&server).expect("a pair"),
            "us".to_owned(),
        ),
    ];
    for (client, who) in &named {
        assert_eq!(echo(client, "hi").await.expect("allowed").as_ref(), b"hi");
        let error = add(client, 1, 1).await.expect_err("not for anybody");
        assert!(
            matches!(error.cause(), Cause::ProcedureUnavailable),
            "{error}"
        );
        bare(client, 0).await.expect("null is for everybody");
        let seen = std::mem::take(&mut *seen.lock().expect("fine"));
        assert_eq!(seen, [(who.clone(), 1), (who.clone(), 2)]);
    }
    for transport in [Transport::Tcp, Transport::Udp] {
        let client = connect(&server, transport, Options::default()).await;
        let before = test.calls.load(Ordering::SeqCst);
        let error = echo(&client, "hi").await.expect_err("nobody in particular");
        let too_weak = Cause::Authentication(AuthStat::TOOWEAK);
        assert_eq!(format!("{:?}", error.cause()), format!("{too_weak:?}"));
        assert_eq!(test.calls.load(Ordering::SeqCst), before, "it did not run");
    }
}
