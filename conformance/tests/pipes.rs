//! Pipes: both directions of `idl/streams.idl` over every transport, syntax, order and level; what
//! breaks the order; and that nothing of a long pipe is kept.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use farcall::client::Options;
use farcall::pipe::{Elements, Receiving, Source};
use farcall::stub::Registered;
use farcall::{Calling, Client, Server};
use farcall_conformance::dce::{self, Way, runtime};
use farcall_conformance::interfaces::streams::{Sample, streams};
use farcall_conformance::peer::Scratch;
use farcall_conformance::streams::{Streams, byte, service, sum};
use farcall_dce::security::AuthLevel;
use farcall_wire::ndr::{Order, WideStr};

const MIB: usize = 1 << 20;

async fn serve(streams: Streams, mechanisms: bool) -> Server {
    let registered: Registered = service(streams);
    let mut builder = Server::builder()
        .serve(registered)
        .listen("ncacn_ip_tcp:127.0.0.1[0]");
    builder = match mechanisms {
        true => builder.authenticate_with(Arc::new(dce::ntlm())),
        false => builder.allow_anonymous(),
    };
    builder.start().await.expect("a server")
}

fn name(text: &str) -> WideStr {
    WideStr::from(text)
}

fn samples(count: u16) -> Vec<Sample> {
    let sample = |n| Sample {
        channel: n,
        value: f64::from(n) / 2.0,
    };
    (0..count).map(sample).collect()
}

/// Everything that the interface has, with this client.
async fn all_of_it(client: &streams::Client) {
    let data: Vec<u8> = (0..100_000).map(byte).collect();
    let chunks: Vec<Vec<u8>> = data.chunks(999).map(<[u8]>::to_vec).collect();
    let put = client
        .put(Source::chunks(chunks), &name("x"))
        .await
        .expect("put");
    assert_eq!((put.sum, put.result), (sum(&data), 100_000));
    let put = client
        .put(vec![].into(), &name("nothing"))
        .await
        .expect("put");
    assert_eq!((put.sum, put.result), (0, 0));
    let mut get = client.get(100_000).await.expect("get");
    assert_eq!(get.pipe.collect().await.expect("bytes"), data);
    assert_eq!(get.result().await.expect("result").sum, sum(&data));
    let empty = client.get(0).await.expect("get");
    assert_eq!(empty.result().await.expect("result").sum, 0);
    let mut twice = client
        .double(samples(3000).into_iter().collect())
        .await
        .expect("double");
    let got = twice.pipe.collect().await.expect("samples");
    assert_eq!(got.len(), 3000);
    assert!(
        got.iter()
            .zip(samples(3000))
            .all(|(a, b)| a.value == b.value * 2.0)
    );
    assert_eq!(twice.result().await.expect("result"), 3000);
    let merged = client.merge(Source::iter(samples(200)), 350, samples(200).into());
    let mut merged = merged.await.expect("merge");
    let channels = merged.pipe.0.collect().await.expect("channels");
    let both = merged.pipe.1.collect().await.expect("samples");
    let expected: Vec<u8> = (0..200).chain(0..150).collect();
    assert_eq!((channels, both.len()), (expected, 350));
    assert_eq!(both[200..], samples(200)[..150]);
    assert_eq!(merged.result().await.expect("result"), 350);
}

#[test]
fn pipes_go_both_ways_over_tcp_in_every_syntax_order_and_level() {
    runtime().block_on(async {
        let open = serve(Streams::default(), false).await;
        let safe = serve(Streams::default(), true).await;
        for order in [Order::Little, Order::Big] {
            for ndr64 in [false, true] {
                let levels = [None, Some(AuthLevel::INTEGRITY), Some(AuthLevel::PRIVACY)];
                for level in levels {
                    let (server, mut options) = match level {
                        None => (&open, Options::default()),
                        Some(level) => (&safe, Way::Ntlm.options(level)),
                    };
                    options.ndr64 = ndr64;
                    options.big_endian = order == Order::Big;
                    let client = streams::Client::connect_with(&server.endpoints()[0], options);
                    all_of_it(&client.await.expect("a client")).await;
                }
            }
        }
    });
}

#[test]
fn pipes_go_both_ways_within_a_process_and_when_a_thread_waits_for_them() {
    let runtime = runtime();
    let server = runtime.block_on(serve(Streams::default(), false));
    runtime.block_on(async {
        let client = streams::Client::in_process(&server).expect("a client");
        all_of_it(&client).await;
    });
    let client = streams::BlockingClient::connect(&server.endpoints()[0]).expect("a client");
    for _ in 0..2 {
        let data: Vec<u8> = (0..3 * MIB as u64).map(byte).collect();
        let put = client
            .put(Source::iter(data.clone()), &name("x"))
            .expect("put");
        assert_eq!((put.sum, put.result), (sum(&data), data.len() as i64));
        let mut got = Vec::new();
        let get = client
            .get(data.len() as i64, |bytes| got.extend(bytes))
            .expect("get");
        assert_eq!((get.sum, got == data), (sum(&data), true));
        // A fault in the middle leaves the connection as it was.
        let error = client
            .put(data.into(), &name("refuse later"))
            .expect_err("refused");
        assert!(error.to_string().contains("0x00000058"), "{error}");
    }
    let (mut channels, mut all) = (Vec::new(), Vec::new());
    let merged = client.merge(
        samples(10).into(),
        15,
        samples(10).into(),
        |bytes| channels.extend(bytes),
        |samples| all.extend(samples),
    );
    assert_eq!(merged.expect("merge"), 15);
    assert_eq!((channels.len(), all.len()), (15, 15));
}

#[test]
fn an_order_that_is_broken_is_answered_as_dce_does() {
    runtime().block_on(async {
        let server = serve(Streams::default(), false).await;
        let client = streams::Client::connect(&server.endpoints()[0])
            .await
            .expect("a client");
        let long = || Source::iter((0..500_000).map(byte));
        for (text, status) in [
            ("refuse", "0x00000057"),
            ("refuse later", "0x00000058"),
            // Not read to the end: nca_s_fault_pipe_discipline.
            ("ignore", "0x1c000017"),
        ] {
            let error = client.put(long(), &name(text)).await.expect_err(text);
            assert!(error.to_string().contains(status), "{text}: {error}");
            assert!(error.may_have_executed());
        }
        assert_eq!(
            client
                .put(long(), &name("skip"))
                .await
                .expect("skipped")
                .result,
            0
        );
        for (most, status) in [(0, "0x1c000016"), (1, "0x1c000016")] {
            let merged = client
                .merge(samples(9).into(), most, samples(9).into())
                .await;
            let error = merged.expect_err("the order is broken");
            assert!(error.to_string().contains(status), "{most}: {error}");
        }
        // A pipe that was passed over has ended: nca_s_fault_pipe_closed, behind what has gone.
        let merged = client.merge(samples(9).into(), 2, samples(9).into()).await;
        let error = match merged {
            Ok(merged) => merged.result().await.expect_err("closed"),
            Err(error) => error,
        };
        assert!(error.to_string().contains("0x1c000015"), "{error}");
        // A client that reads the second pipe first is told so.
        let mut merged = client
            .merge(samples(9).into(), 9, samples(9).into())
            .await
            .expect("merge");
        let error = merged.pipe.1.next().await.expect_err("not at turn");
        assert!(
            error.to_string().contains("before the one in front"),
            "{error}"
        );
        drop(merged);
        assert_eq!(
            client
                .put(vec![1].into(), &name("x"))
                .await
                .expect("put")
                .sum,
            1
        );
    });
}

/// Waits until nothing runs.
async fn quiet(streams: &Streams) {
    for _ in 0..500 {
        if streams.running.load(Ordering::SeqCst) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("an operation is still running");
}

#[test]
fn a_call_that_is_dropped_in_the_middle_is_ended_at_the_server() {
    runtime().block_on(async {
        let counted = Streams::default();
        let server = serve(counted.clone(), false).await;
        let client = streams::Client::connect(&server.endpoints()[0])
            .await
            .expect("a client");
        // While its arguments go.
        let endless = Source::chunks(std::iter::repeat_with(|| vec![1; 10_000]));
        let put = client.put(endless, &name("x"));
        let late = tokio::time::timeout(Duration::from_millis(300), put).await;
        assert!(late.is_err(), "an endless pipe has ended");
        quiet(&counted).await;
        // A source that fails.
        let failing = futures_util::stream::iter([Ok(vec![1]), Err("no more paper")]);
        let failed = client.put(Source::try_stream(failing), &name("x")).await;
        let error = failed.expect_err("it failed");
        assert!(error.to_string().contains("no more paper"), "{error}");
        quiet(&counted).await;
        // While its results come.
        let mut get = client.get(1 << 40).await.expect("get");
        assert!(get.pipe.next().await.expect("bytes").is_some());
        drop(get);
        quiet(&counted).await;
        // The client itself, with all that it has begun.
        let get = client.get(1 << 40).await.expect("get");
        drop(client);
        drop(get);
        quiet(&counted).await;
    });
}

#[test]
fn a_server_that_is_gone_is_an_error_in_the_middle() {
    runtime().block_on(async {
        let server = serve(Streams::default(), false).await;
        let client = streams::Client::connect(&server.endpoints()[0])
            .await
            .expect("a client");
        let mut get = client.get(1 << 40).await.expect("get");
        assert!(get.pipe.next().await.expect("bytes").is_some());
        server.drain(Duration::from_millis(100)).await;
        let error = loop {
            match get.pipe.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it has ended well"),
                Err(error) => break error,
            }
        };
        assert!(error.may_have_executed(), "{error}");
    });
}

#[test]
fn other_calls_wait_for_a_pipe_and_then_go_on() {
    runtime().block_on(async {
        let server = serve(Streams::default(), false).await;
        let client = streams::Client::connect(&server.endpoints()[0])
            .await
            .expect("a client");
        let first = client.put(Source::iter((0..2_000_000).map(byte)), &name("a"));
        let second = client.put(Source::iter((0..1_000_000).map(byte)), &name("b"));
        let third = async { client.get(300_000).await.expect("get").result().await };
        let (first, second, third) = tokio::join!(first, second, third);
        assert_eq!(first.expect("first").result, 2_000_000);
        assert_eq!(second.expect("second").result, 1_000_000);
        assert!(third.is_ok());
    });
}

#[test]
fn a_stand_in_for_a_client_has_pipes_too() {
    struct Mock;
    impl streams::Calls for Mock {
        fn put(&self, _: Source<u8>, _: &WideStr) -> Calling<streams::PutOut> {
            Calling::ready(Ok(streams::PutOut { sum: 1, result: 2 }))
        }
        fn get(&self, _: i64) -> Calling<Receiving<Elements<u8>, streams::GetOut>> {
            let result = streams::GetOut::default();
            Calling::ready(Ok(Receiving::of(Elements::of(vec![7]), result)))
        }
        fn double(&self, _: Source<Sample>) -> Calling<Receiving<Elements<Sample>, i32>> {
            Calling::ready(Ok(Receiving::of(Elements::of(vec![]), 0)))
        }
        fn merge(
            &self,
            _: Source<Sample>,
            _: u32,
            _: Source<Sample>,
        ) -> Calling<Receiving<(Elements<u8>, Elements<Sample>), u32>> {
            let pipes = (Elements::of(vec![]), Elements::of(vec![]));
            Calling::ready(Ok(Receiving::of(pipes, 0)))
        }
    }
    runtime().block_on(async {
        let client: &dyn streams::Calls = &Mock;
        let mut get = client.get(1).await.expect("get");
        assert_eq!(get.pipe.collect().await.expect("bytes"), [7]);
        assert_eq!(get.result().await.expect("result").sum, 0);
    });
}

/// The most memory that this process has had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.trim().parse::<usize>().ok())
        .expect("a number")
        << 10
}

#[test]
fn long_pipes_take_no_memory() {
    const SIZE: usize = 256 * MIB;
    runtime().block_on(async {
        let server = serve(Streams::default(), false).await;
        let mut options = Options::default();
        options.limits.fragment = 65_528;
        let client = streams::Client::connect_with(&server.endpoints()[0], options);
        let client = client.await.expect("a client");
        all_of_it(&client).await;
        let before = peak();
        let chunks = std::iter::repeat_with(|| vec![1_u8; MIB / 4]).take(SIZE / (MIB / 4));
        let put = client
            .put(Source::chunks(chunks), &name("skip"))
            .await
            .expect("put");
        assert_eq!(put.result, 0);
        let mut get = client.get(SIZE as i64).await.expect("get");
        let mut count = 0;
        while let Some(bytes) = get.pipe.next().await.expect("bytes") {
            count += bytes.len();
        }
        assert_eq!(count, SIZE);
        get.result().await.expect("result");
        // Both ends are in this process: two windows each, and what the sockets' buffers take.
        let grown = peak().saturating_sub(before);
        assert!(grown < 16 * MIB, "{grown} bytes more than before");
    });
}

#[test]
fn a_slow_reader_holds_its_writer_back() {
    runtime().block_on(async {
        let server = serve(Streams::default(), false).await;
        let client = Client::connect_interface(&server.endpoints()[0], &streams::INTERFACE).await;
        let client = streams::Client::from(client.expect("a client"));
        let mut get = client.get(24 * MIB as i64).await.expect("get");
        assert!(get.pipe.next().await.expect("bytes").is_some());
        let before = peak();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(peak().saturating_sub(before) < 16 * MIB);
        let mut count = 0;
        while let Some(bytes) = get.pipe.next().await.expect("bytes") {
            count += bytes.len();
        }
        assert!(count > 23 * MIB);
    });
}

/// Runs the command against a server of this process.
async fn command(arguments: Vec<String>) -> serde_json::Value {
    let run = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        farcall_conformance::peer::farcall::run(&arguments).expect("a call")
    });
    serde_json::from_str(&run.await.expect("it runs")).expect("JSON")
}

#[test]
fn pipes_of_the_command_are_files() {
    if !farcall_conformance::peer::farcall::available() {
        return;
    }
    let folder = Scratch::new("pipes").expect("a folder");
    let path = |name: &str| folder.file(name).display().to_string();
    let idl = concat!(env!("CARGO_MANIFEST_DIR"), "/../idl/streams.idl");
    runtime().block_on(async {
        let server = serve(Streams::default(), false).await;
        let endpoint = server.endpoints()[0].to_string();
        let call = |operation: &str, json: serde_json::Value| {
            let words = [
                "call",
                &endpoint,
                "--idl",
                idl,
                operation,
                &json.to_string(),
                "--json",
            ];
            command(words.map(str::to_owned).to_vec())
        };
        let data: Vec<u8> = (0..3_000_000).map(byte).collect();
        std::fs::write(path("in"), &data).expect("a file");
        let file = format!("@{}", path("in"));
        let put = call("Put", serde_json::json!({"data": file, "name": "x"})).await;
        assert_eq!(
            put,
            serde_json::json!({"sum": sum(&data), "result": "3000000"})
        );

        let file = format!("@{}", path("out"));
        let get = call("Get", serde_json::json!({"size": 3_000_000, "data": file})).await;
        assert_eq!(
            (&get["data"], &get["sum"]),
            (&file.into(), &sum(&data).into())
        );
        assert!(std::fs::read(path("out")).expect("a file") == data);

        // Elements that are no bytes are a line each; a pipe that goes and comes has two files.
        let lines = "{\"channel\": 1, \"value\": 0.5}\n{\"channel\": 2, \"value\": 4}\n";
        std::fs::write(path("samples"), lines).expect("a file");
        let both = serde_json::json!({
            "in": format!("@{}", path("samples")),
            "out": format!("@{}", path("doubled")),
        });
        call("Double", serde_json::json!({"samples": both})).await;
        let doubled = std::fs::read_to_string(path("doubled")).expect("a file");
        assert_eq!(
            doubled,
            "{\"channel\":1,\"value\":1.0}\n{\"channel\":2,\"value\":8.0}\n"
        );
    });
}
