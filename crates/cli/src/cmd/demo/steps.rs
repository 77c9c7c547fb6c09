//! One call a transport, drawn as its ten steps.

use std::time::Duration;

use anyhow::Context;
use farcall::generated::calc::v1::PROGRAM;
use farcall::stub::Target;
use farcall::trace::{self, Mark, Step, Steps};
use farcall::{Options, Transport};
use serde_json::{Value, json};

use super::report::Report;
use super::stage::{self, Stage, TRANSPORTS};
use crate::cmd::trace::{rows, width};

/// So many calls are traced; the quickest is drawn.
const CALLS: usize = 20;

/// How long the server's record is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn draw(stage: &Stage, report: &mut Report<'_>) -> anyhow::Result<()> {
    report.act(
        "Ten steps",
        "ADD(40, 2), the quickest of 20; the kernel's instants are its own timestamps",
    )?;
    let mut facts = serde_json::Map::new();
    let mut measured = Vec::new();
    for transport in TRANSPORTS {
        let steps = one(stage, transport)?;
        let known = |step: &Step| matches!(steps.mark(*step), Mark::At(_));
        let known = Step::ALL.iter().filter(|step| known(step)).count();
        report.line("")?;
        report.line(format_args!(
            "   over {transport}: {known} of 10 instants measured"
        ))?;
        report.block(&trace::render(&steps, width().saturating_sub(3)))?;
        report.check(
            format!("the steps of a call over {transport}"),
            in_order(&steps),
        )?;
        measured.push(format!("{transport} {known}"));
        facts.insert(transport.scheme().to_owned(), rows(&steps));
    }
    report.line("")?;
    report.line("   a Unix socket has no kernel timestamps: those four steps stay unmeasured")?;
    report.note(format!("instants measured: {}", measured.join(", ")));
    report.fact("steps", Value::Object(facts));
    report.fact("clock", json!("CLOCK_REALTIME"));
    Ok(())
}

/// The quickest of several calls, seen from both ends.
fn one(stage: &Stage, transport: Transport) -> anyhow::Result<Steps> {
    let endpoint = stage::endpoint(&stage.calculator, transport)?;
    let target = Target {
        program: PROGRAM.number,
        version: PROGRAM.version,
        procedure: 1,
    };
    let mut all = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let traced = trace::call(endpoint, target, &Options::default(), &(40, 2), |r| r.i32())?;
        let sum = traced.result?;
        anyhow::ensure!(sum == 42, "40 + 2 is {sum}");
        all.push(traced.steps);
    }
    let client = all.into_iter().min_by_key(Steps::elapsed);
    let client = client.context("no call was made")?;
    let server = stage.recorder.wait(client.xid, PATIENCE);
    let server = server.context("the server has no record of the call")?;
    Steps::merge(&client, &server).context("the two records are of different calls")
}

/// What the programs measured is there, and all that was measured rises.
fn in_order(steps: &Steps) -> Result<(), String> {
    for step in Step::ALL.into_iter().filter(|step| !step.is_the_kernels()) {
        if steps.instant(step).is_none() {
            return Err(format!("step {} is missing", step.number()));
        }
    }
    let known: Vec<_> = Step::ALL
        .into_iter()
        .filter_map(|step| steps.instant(step))
        .map(|instant| instant.nanoseconds)
        .collect();
    match known.is_sorted() {
        true => Ok(()),
        false => Err("an instant lies before the one before it".to_owned()),
    }
}
