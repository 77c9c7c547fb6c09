//! Calls in the other direction, over a connection that somebody else made.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{self, Test, add, bare, echo};
use farcall::stub::{Procedure, Program, Registered, Reply, Service};
use farcall::{Call, Cause, Client, Limits, Options, Reconnect, Refuse, Server, Transport};
use farcall_wire::{Reader, Str, xdr};

const fn procedure(number: u32, name: &'static str, blocking: bool) -> Procedure {
    Procedure {
        number,
        name,
        idempotent: true,
        blocking,
    }
}

/// A program that calls its callers.
static PROGRAM: Program = Program {
    number: 0x2000_0778,
    version: 1,
    name: "ECHO_BACK_PROG",
    version_name: "ECHO_BACK_V1",
    procedures: &[
        procedure(1, "SUBSCRIBE", false),
        procedure(2, "ASK_BACK", false),
        procedure(3, "ASK_BACK_SLOWLY", true),
    ],
};

/// Its server.
#[derive(Clone, Default)]
struct Caller {
    subscribers: Arc<Mutex<Vec<Client>>>,
}

impl Service for Caller {
    fn program(&self) -> &'static Program {
        &PROGRAM
    }

    async fn call(
        &self,
        call: &Call,
        arguments: &mut Reader<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(), Refuse> {
        let failed = |error: farcall::Error| Refuse::SystemErr(error.to_string());
        let back = call.back_channel().map_err(failed)?;
        match call.procedure() {
            1 => {
                self.subscribers.lock().expect("fine").push(back);
                reply.encode(&())
            }
            _ => {
                let text = xdr::string_var(arguments, 1000)?;
                call.unpacked(arguments)?;
                let answer = echo(&back, &format!("{text}?")).await.map_err(failed)?;
                reply.encode(&answer)
            }
        }
    }
}

fn ask_back(client: &Client, procedure: u32, text: &str) -> farcall::Calling<Str> {
    client.call(&PROGRAM, procedure, &Str::from(text), |r| {
        xdr::string_var(r, 1000)
    })
}

fn subscribe(client: &Client) -> farcall::Calling<()> {
    client.call(&PROGRAM, 1, &(), |_| Ok(()))
}

struct Both {
    caller: Caller,
    server: Server,
    test: Test,
    /// Serves the test program, over connections that it makes.
    callee: Server,
}

impl Both {
    async fn start(limits: Limits) -> Self {
        let (caller, test) = (Caller::default(), Test::default());
        let path = format!(
            "unix://{}/farcall-back-{}-{:p}",
            std::env::temp_dir().display(),
            std::process::id(),
            &test
        );
        let server = Server::builder()
            .serve(Registered::new(caller.clone()))
            .limits(limits)
            .listen("tcp://127.0.0.1:0")
            .listen(path)
            .listen("udp://127.0.0.1:0")
            .start();
        let callee = Server::builder().serve(common::service(&test)).start();
        Self {
            caller,
            server: server.await.expect("starts"),
            test,
            callee: callee.await.expect("starts"),
        }
    }

    /// A client whose connection is its only one.
    async fn connect(&self, transport: Transport) -> Client {
        let options = Options {
            reconnect: Reconnect::Never,
            ..Options::default()
        };
        self.connect_with(transport, options).await
    }

    async fn connect_with(&self, transport: Transport, options: Options) -> Client {
        let endpoint = self.server.endpoint(transport).expect("listens");
        let (program, version) = (PROGRAM.number, PROGRAM.version);
        let connecting = self.callee.connect(endpoint, program, version, options);
        connecting.await.expect("connects")
    }

    fn subscriber(&self, index: usize) -> Client {
        self.caller.subscribers.lock().expect("fine")[index].clone()
    }
}

// req: onc-5531-9-back
#[tokio::test]
async fn a_server_calls_its_caller_over_the_callers_connection() {
    let both = Both::start(Limits::default()).await;
    for transport in [Transport::Tcp, Transport::Unix] {
        let client = both.connect(transport).await;
        // While it serves the call, on the connection's core and on the pool.
        for procedure in [2, 3] {
            let answer = ask_back(&client, procedure, "ready")
                .await
                .expect("answered");
            assert_eq!(answer.as_ref(), b"ready?");
        }
        // And whenever it likes, from anywhere.
        subscribe(&client).await.expect("answered");
        let index = both.caller.subscribers.lock().expect("fine").len() - 1;
        let back = both.subscriber(index);
        assert_eq!(add(&back, 40, 2).await.expect("answered"), 42);
        let from_a_thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .expect("a runtime")
                .block_on(add(&back, 1, 2).into_future())
        });
        assert_eq!(from_a_thread.join().expect("it ends").expect("answered"), 3);
    }
}

#[tokio::test]
async fn both_directions_carry_many_calls_at_once() {
    let both = Both::start(Limits::default()).await;
    let client = both.connect(Transport::Tcp).await;
    subscribe(&client).await.expect("answered");
    let back = both.subscriber(0);
    let there = (0..500).map(|n| ask_back(&client, 2, &n.to_string()));
    let here = (0..500).map(|n| add(&back, n, 1));
    let (there, here) = tokio::join!(
        futures_util::future::join_all(there),
        futures_util::future::join_all(here)
    );
    for (n, (asked, added)) in there.into_iter().zip(here).enumerate() {
        assert_eq!(asked.expect("answered").to_string(), format!("{n}?"));
        assert_eq!(
            added.expect("answered"),
            i32::try_from(n).expect("small") + 1
        );
    }
}

#[tokio::test]
async fn a_call_back_has_its_deadline() {
    let both = Both::start(Limits::default()).await;
    let client = both.connect(Transport::Tcp).await;
    subscribe(&client).await.expect("answered");
    let back = both.subscriber(0);
    let error = bare(&back, 3).deadline(Duration::from_millis(50)).await;
    let error = error.expect_err("nobody opens the gate");
    assert!(matches!(error.cause(), Cause::Deadline(_)), "{error}");
    assert_eq!(add(&back, 1, 1).await.expect("the connection goes on"), 2);
}

#[tokio::test]
async fn a_back_channel_ends_with_its_connection() {
    let both = Both::start(Limits::default()).await;
    let client = both.connect(Transport::Tcp).await;
    subscribe(&client).await.expect("answered");
    let back = both.subscriber(0);
    let waiting = tokio::spawn(bare(&back, 3).into_future());
    while both.test.waiting.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // The client goes away while it is being called; what it serves is let finish.
    drop(client);
    both.test.gate.notify_one();
    waiting.await.expect("it ran").expect("it was answered");
    // With the last answer the connection ends, since nobody over there needs it.
    let error = loop {
        match add(&back, 1, 1).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error.cause(), Cause::Disconnected(_) | Cause::Io(..)),
        "{error}"
    );
}

#[tokio::test]
async fn a_client_that_serves_nothing_refuses_and_goes_on() {
    let both = Both::start(Limits::default()).await;
    let endpoint = both.server.endpoint(Transport::Tcp).expect("listens");
    let nothing = Server::builder().start().await.expect("starts");
    let connecting = nothing.connect(endpoint, PROGRAM.number, 1, Options::default());
    let client = connecting.await.expect("connects");
    subscribe(&client).await.expect("answered");
    let error = add(&both.subscriber(0), 1, 1)
        .await
        .expect_err("not served");
    assert!(
        matches!(error.cause(), Cause::ProgramUnavailable),
        "{error}"
    );
    // An ordinary client does not serve at all: whoever calls it waits in vain.
    let plain = Client::connect(endpoint, PROGRAM.number, 1)
        .await
        .expect("connects");
    subscribe(&plain).await.expect("answered");
    let calling = add(&both.subscriber(1), 1, 1).deadline(Duration::from_millis(50));
    assert!(calling.await.is_err());
    subscribe(&plain)
        .await
        .expect("nor does it harm the connection");
}

#[tokio::test]
async fn a_connection_with_a_back_channel_is_not_idle() {
    let limits = Limits {
        idle: Duration::from_millis(100),
        ..Limits::default()
    };
    let both = Both::start(limits).await;
    let (kept, dropped) = (
        both.connect(Transport::Tcp).await,
        both.connect(Transport::Tcp).await,
    );
    subscribe(&kept).await.expect("answered");
    ask_back(&dropped, 2, "once").await.expect("answered");
    let ended = tokio::time::timeout(Duration::from_secs(10), async {
        while ask_back(&dropped, 2, "again")
            .deadline(Duration::from_secs(1))
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    ended.await.expect("the one that nobody needs is idle");
    assert_eq!(add(&both.subscriber(0), 1, 1).await.expect("kept"), 2);
}

#[tokio::test]
async fn a_server_that_drains_waits_for_the_answers_to_its_own_calls() {
    let both = Both::start(Limits::default()).await;
    let client = both.connect(Transport::Tcp).await;
    subscribe(&client).await.expect("answered");
    let back = both.subscriber(0);
    let waiting = tokio::spawn(bare(&back, 3).into_future());
    while both.test.waiting.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let draining = tokio::spawn(both.server.drain(Duration::from_secs(30)));
    tokio::task::yield_now().await;
    both.test.gate.notify_one();
    waiting.await.expect("it ran").expect("it was answered");
    draining.await.expect("it ends");
}

#[tokio::test]
async fn datagrams_have_no_way_back() {
    let both = Both::start(Limits::default()).await;
    let endpoint = both.server.endpoint(Transport::Udp).expect("listens");
    let client = Client::connect(endpoint, PROGRAM.number, 1)
        .await
        .expect("connects");
    let error = subscribe(&client).await.expect_err("no way back");
    assert!(matches!(error.cause(), Cause::SystemError), "{error}");
    let connecting = both
        .callee
        .connect(endpoint, PROGRAM.number, 1, Options::default());
    assert!(connecting.await.is_err());
}

#[tokio::test]
async fn a_client_that_serves_connects_again_and_is_called_again() {
    let limits = Limits {
        idle: Duration::from_millis(50),
        ..Limits::default()
    };
    let both = Both::start(limits).await;
    for transport in [Transport::Tcp, Transport::Unix] {
        let client = both.connect_with(transport, Options::default()).await;
        for _ in 0..3 {
            // The server may close it just now.
            while let Err(error) = ask_back(&client, 2, "in turn").await {
                assert!(matches!(error.cause(), Cause::Disconnected(_)), "{error}");
            }
            // Nobody needs it meanwhile, and the server closes it.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        subscribe(&client).await.expect("answered");
        let index = both.caller.subscribers.lock().expect("fine").len() - 1;
        assert_eq!(
            add(&both.subscriber(index), 1, 1)
                .await
                .expect("called back"),
            2
        );
    }
}

#[tokio::test]
async fn a_client_whose_own_server_has_ended_does_not_connect_again() {
    let mut both = Both::start(Limits::default()).await;
    let client = both.connect_with(Transport::Tcp, Options::default()).await;
    ask_back(&client, 2, "before").await.expect("answered");
    let other = Server::builder().start().await.expect("starts");
    drop(std::mem::replace(&mut both.callee, other));
    let error = loop {
        match ask_back(&client, 2, "after").await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(matches!(error.cause(), Cause::Disconnected(_)), "{error}");
    let error = ask_back(&client, 2, "again").await.expect_err("for good");
    assert!(error.to_string().contains("has ended"), "{error}");
}
