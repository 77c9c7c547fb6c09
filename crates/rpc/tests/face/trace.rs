//! The ten steps of a call: what is measured over each transport, in which order, and by whom.

use std::time::Duration;

use farcall::stub::Target;
use farcall::trace::{self, Mark, Recorder, Source, Step, Steps};
use farcall::{Endpoint, Options, Server, Transport};

use crate::common::{PROGRAM, Test, service};

const PATIENCE: Duration = Duration::from_secs(5);

fn target(procedure: u32) -> Target {
    Target {
        program: PROGRAM.number,
        version: PROGRAM.version,
        procedure,
    }
}

async fn start(test: &Test, recorder: &Recorder) -> Server {
    let path = std::env::temp_dir().join(format!("trace-{}-{recorder:p}.sock", std::process::id()));
    Server::builder()
        .serve(service(test))
        .record(recorder.clone())
        .listen("tcp://127.0.0.1:0")
        .listen("udp://127.0.0.1:0")
        .listen("udp://0.0.0.0:0")
        .listen("tcp://[::1]:0")
        .listen("udp://[::1]:0")
        .listen(format!("unix://{}", path.display()))
        .start()
        .await
        .expect("server starts")
}

/// Where a client finds what listens there.
fn reachable(endpoint: &Endpoint) -> Endpoint {
    let text = endpoint.to_string().replace("0.0.0.0", "127.0.0.1");
    text.parse().expect("endpoint")
}

/// ADD, seen from both ends.
fn add(endpoint: &Endpoint, recorder: &Recorder) -> Steps {
    let options = Options::default();
    let traced = trace::call(endpoint, target(2), &options, &(40, 2), |r| r.i32());
    let traced = traced.expect("connects");
    assert_eq!(traced.result.expect("a sum"), 42, "{endpoint}");
    both(&traced.steps, recorder)
}

fn both(client: &Steps, recorder: &Recorder) -> Steps {
    let server = recorder.wait(client.xid, PATIENCE).expect("is recorded");
    Steps::merge(client, &server).expect("one call")
}

/// The measured instants rise.
fn assert_rising(steps: &Steps) {
    let at: Vec<_> = Step::ALL
        .into_iter()
        .filter_map(|step| steps.instant(step))
        .map(|instant| instant.nanoseconds)
        .collect();
    assert!(at.is_sorted(), "{}", trace::render(steps, 100));
}

fn assert_all_measured(steps: &Steps) {
    for step in Step::ALL {
        let source = match step.is_the_kernels() {
            true => Source::Kernel,
            false => Source::Program,
        };
        let Mark::At(instant) = steps.mark(step) else {
            panic!(
                "{step}: {:?}\n{}",
                steps.mark(step),
                trace::render(steps, 100)
            );
        };
        assert_eq!(instant.source, source, "{step}");
    }
}

#[tokio::test]
async fn all_ten_instants_are_measured_over_tcp_and_udp() {
    let (test, recorder) = (Test::default(), Recorder::every(1));
    let server = start(&test, &recorder).await;
    for endpoint in server.endpoints().iter().map(reachable) {
        if endpoint.transport() == Transport::Unix {
            continue;
        }
        let steps = add(&endpoint, &recorder);
        assert_all_measured(&steps);
        assert_rising(&steps);
        assert_eq!(steps.transport, endpoint.transport());
    }
}

#[tokio::test]
async fn over_a_unix_socket_the_kernels_instants_are_marked_as_not_measured() {
    let (test, recorder) = (Test::default(), Recorder::every(1));
    let server = start(&test, &recorder).await;
    let steps = add(server.endpoint(Transport::Unix).expect("unix"), &recorder);
    assert_rising(&steps);
    for step in Step::ALL {
        let measured = matches!(steps.mark(step), Mark::At(_));
        assert_eq!(measured, !step.is_the_kernels(), "{step}");
        assert_ne!(steps.mark(step), Mark::NotSeen, "{step}");
    }
}

#[tokio::test]
async fn calls_that_run_elsewhere_and_null_calls_are_recorded_too() {
    let (test, recorder) = (Test::default(), Recorder::every(1));
    let server = start(&test, &recorder).await;
    for endpoint in server.endpoints().iter().map(reachable) {
        let options = Options::default();
        let null = trace::call(&endpoint, target(0), &options, &(), |_| Ok(())).expect("connects");
        null.result.expect("an answer");
        let steps = both(&null.steps, &recorder);
        assert_rising(&steps);
        let slow = trace::call(&endpoint, target(7), &options, &(), |r| r.u32()).expect("connects");
        assert_eq!(slow.result.expect("a result"), 7);
        let steps = both(&slow.steps, &recorder);
        assert_rising(&steps);
        assert!(steps.instant(Step::ProcedureReturns).is_some());
        if endpoint.transport() != Transport::Unix {
            assert!(steps.instant(Step::ReplyLeaves).is_some(), "{endpoint}");
        }
    }
}

#[tokio::test]
async fn a_large_result_is_recorded_and_whole() {
    let (test, recorder) = (Test::default(), Recorder::every(1));
    let server = start(&test, &recorder).await;
    let endpoint = server.endpoint(Transport::Tcp).expect("tcp");
    let (len, options) = (3_000_000_u32, Options::default());
    let traced = trace::call(endpoint, target(6), &options, &len, |r| {
        r.opaque_var(u32::MAX).map(<[u8]>::len)
    });
    let traced = traced.expect("connects");
    assert_eq!(traced.result.expect("bytes"), len as usize);
    let steps = both(&traced.steps, &recorder);
    // The kernel may have put segments together, and then has no timestamp of the last one.
    assert_rising(&steps);
    assert!(steps.instant(Step::ProcedureReturns).is_some());
}

#[tokio::test]
async fn a_refused_call_shows_how_far_it_came() {
    let (test, recorder) = (Test::default(), Recorder::every(1));
    let server = start(&test, &recorder).await;
    let endpoint = server.endpoint(Transport::Tcp).expect("tcp");
    let traced = trace::call(endpoint, target(2), &Options::default(), &(), |r| r.i32());
    let traced = traced.expect("connects");
    traced.result.expect_err("garbage arguments");
    let steps = both(&traced.steps, &recorder);
    assert_eq!(steps.mark(Step::ProcedureBegins), Mark::NotMeasured);
    assert!(steps.instant(Step::ReplyLeaves).is_some());
    assert!(steps.instant(Step::CallerHasResult).is_some());
}

#[tokio::test]
async fn without_the_servers_record_its_steps_are_not_seen() {
    let test = Test::default();
    let server = Server::builder().serve(service(&test));
    let server = server.listen("tcp://127.0.0.1:0").start().await;
    let server = server.expect("server starts");
    let endpoint = &server.endpoints()[0];
    let traced = trace::call(endpoint, target(0), &Options::default(), &(), |_| Ok(()));
    let steps = traced.expect("connects").steps;
    assert_rising(&steps);
    for step in Step::ALL {
        let seen = steps.mark(step) != Mark::NotSeen;
        assert_eq!(seen, !step.is_at_server(), "{step}");
    }
    assert_eq!(trace::render(&steps, 80).matches("not seen").count(), 5);
}

#[tokio::test]
async fn a_recorder_samples_what_it_was_asked_for_and_keeps_no_more() {
    let test = Test::default();
    let recorder = Recorder::every(3).capacity(2);
    let server = start(&test, &recorder).await;
    let endpoint = server.endpoint(Transport::Unix).expect("unix");
    let client = farcall::blocking::Client::connect(endpoint, PROGRAM.number, PROGRAM.version);
    let client = client.expect("connects");
    for i in 0..9 {
        let sum = client.call(&PROGRAM, 2, &(i, 1), |r| r.i32());
        assert_eq!(sum.expect("a sum"), i + 1);
    }
    assert_eq!(recorder.records().len(), 2);

    let only = Recorder::only(|subject| subject.procedure == 1);
    let server = start(&test, &only).await;
    let endpoint = server.endpoint(Transport::Tcp).expect("tcp");
    let client = farcall::blocking::Client::connect(endpoint, PROGRAM.number, PROGRAM.version);
    let client = client.expect("connects");
    for procedure in [0, 2, 0, 2] {
        client
            .call(&PROGRAM, procedure, &(1, 1), |_| Ok(()))
            .expect("an answer");
    }
    assert!(only.records().is_empty());
}

#[tokio::test]
async fn of_many_calls_in_flight_each_has_instants_of_its_own() {
    const CALLS: i32 = 100;
    let test = Test::default();
    let recorder = Recorder::every(1).capacity(1000);
    let server = start(&test, &recorder).await;
    for (round, endpoint) in server.endpoints().iter().map(reachable).enumerate() {
        let (program, version) = (PROGRAM.number, PROGRAM.version);
        let client = farcall::Client::connect(&endpoint, program, version).await;
        let client = client.expect("connects");
        let calls = (0..CALLS).map(|i| crate::common::add(&client, i, round as i32));
        for sum in futures_util::future::join_all(calls).await {
            sum.expect("a sum");
        }
        // The server notes the last ones while the client has its results already.
        let mut records = recorder.records();
        while records.len() < CALLS as usize {
            tokio::task::yield_now().await;
            records = recorder.records();
        }
        for steps in &records {
            assert_rising(steps);
            if endpoint.transport() != Transport::Unix {
                assert!(steps.instant(Step::CallArrives).is_some(), "{steps:?}");
            }
            assert!(steps.instant(Step::ProcedureReturns).is_some(), "{steps:?}");
        }
        let left = records
            .iter()
            .filter(|s| s.instant(Step::ReplyLeaves).is_some());
        let (left, unix) = (left.count(), endpoint.transport() == Transport::Unix);
        assert_eq!(left, if unix { 0 } else { records.len() }, "{endpoint}");
        recorder.clear();
    }
}
