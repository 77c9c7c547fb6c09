//! The ten steps of a call of an interface.

use std::time::Duration;

use farcall::trace::{self, Mark, Recorder, Source, Step, Steps};
use farcall::{Options, Server};

use crate::calls::{TCP, status};
use crate::echo::{self, ADD_ONE, ECHO, Echo};

async fn start(recorder: &Recorder, endpoint: &str) -> Server {
    let server = Server::builder()
        .serve(echo::service(&Echo::default()))
        .record(recorder.clone())
        .listen(endpoint);
    server.start().await.expect("server starts")
}

/// AddOne, seen from both ends.
fn add_one(server: &Server, recorder: &Recorder) -> Steps {
    let encode = |w: &mut farcall_wire::ndr::Writer| {
        w.u32(41);
        Ok(())
    };
    let endpoint = &server.endpoints()[0];
    let options = Options::default();
    let traced = trace::operation(endpoint, &ECHO, ADD_ONE, &options, encode, |r| r.u32());
    let traced = traced.expect("connects");
    assert_eq!(traced.result.expect("a sum"), 42);
    let theirs = recorder.wait(traced.steps.xid, Duration::from_secs(5));
    Steps::merge(&traced.steps, &theirs.expect("is recorded")).expect("one call")
}

#[tokio::test]
async fn all_ten_steps_are_measured_over_tcp_and_rise() {
    let recorder = Recorder::every(1);
    let server = start(&recorder, TCP).await;
    let recorded = recorder.clone();
    let steps = tokio::task::spawn_blocking(move || add_one(&server, &recorded));
    let steps = steps.await.expect("no panic");
    assert_eq!(steps.interface, Some(ECHO.uuid));
    assert_eq!((steps.version, steps.procedure), (1, 0));
    let mut last = 0;
    for step in Step::ALL {
        let Mark::At(instant) = steps.mark(step) else {
            panic!(
                "{step}: {:?}\n{}",
                steps.mark(step),
                trace::render(&steps, 100)
            );
        };
        let source = match step.is_the_kernels() {
            true => Source::Kernel,
            false => Source::Program,
        };
        assert_eq!(instant.source, source, "{step}");
        assert!(
            instant.nanoseconds >= last,
            "{}",
            trace::render(&steps, 100)
        );
        last = instant.nanoseconds;
    }
}

#[tokio::test]
async fn a_local_call_and_a_refused_one_are_recorded_too() {
    let recorder = Recorder::every(1);
    let server = start(
        &recorder,
        &format!("ncalrpc:[trace-{}]", std::process::id()),
    )
    .await;
    let recorded = recorder.clone();
    let work = move || {
        let steps = add_one(&server, &recorded);
        let endpoint = &server.endpoints()[0];
        let options = Options::default();
        let refused = trace::operation(endpoint, &ECHO, 99, &options, |_| Ok(()), |_| Ok(()));
        (steps, refused.expect("connects"))
    };
    let (steps, refused) = tokio::task::spawn_blocking(work).await.expect("no panic");
    assert!(matches!(steps.mark(Step::CallArrives), Mark::NotMeasured));
    assert!(matches!(steps.mark(Step::ProcedureBegins), Mark::At(_)));
    assert_eq!(status(&refused.result.expect_err("refused")), 0x1c01_0002);
    assert!(matches!(
        refused.steps.mark(Step::ClientReceives),
        Mark::At(_)
    ));
}
