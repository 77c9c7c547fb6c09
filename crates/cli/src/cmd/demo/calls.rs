//! Calls of the calculator and of NFS, the same over each transport, with the times they took.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use farcall::generated::{calc, mount, nfs3};
use farcall::{Calling, Error};
use farcall_wire::Str;
use serde_json::json;

use super::report::Report;
use super::stage::{self, Stage, TRANSPORTS};
use crate::latency::shown_duration;
use crate::table::Table;

/// How often each call is made; the median is told.
const TIMES: usize = 9;

/// The clients of one transport.
struct Clients {
    calc: calc::v1::Client,
    nfs: nfs3::v3::Client,
    mount: mount::v3::Client,
}

/// One kind of call over one transport: its result in words, and how long it took.
type Outcome = Result<(String, Duration), String>;

pub(super) async fn make(stage: &Stage, report: &mut Report<'_>) -> anyhow::Result<()> {
    report.act(
        "Calls",
        "the same calls over each transport: each result checked, the median time of 9",
    )?;
    let mut columns = Vec::new();
    for transport in TRANSPORTS {
        let clients = Clients {
            calc: calc::v1::Client::connect(stage::endpoint(&stage.calculator, transport)?).await?,
            nfs: nfs3::v3::Client::connect(stage::endpoint(&stage.files, transport)?).await?,
            mount: mount::v3::Client::connect(stage::endpoint(&stage.files, transport)?).await?,
        };
        columns.push(all(&clients).await);
    }
    let mut table = Table::new(&["CALL", "RESULT", "TCP", "UDP", "UNIX"]);
    let mut facts = Vec::new();
    for (row, call) in CALLS.iter().enumerate() {
        let cells: Vec<&Outcome> = columns
            .iter()
            .filter_map(|column| column.get(row))
            .collect();
        table.row(row_of(call, &cells));
        for (transport, outcome) in TRANSPORTS.into_iter().zip(&cells) {
            let took = outcome.as_ref().ok().map(|(_, took)| took.as_micros());
            facts.push(json!({"call": call, "transport": transport.scheme(), "median_us": took}));
        }
    }
    report.table(&table)?;
    for (transport, column) in TRANSPORTS.into_iter().zip(&columns) {
        for (call, outcome) in CALLS.iter().zip(column) {
            let result = outcome.as_ref().map(drop).map_err(Clone::clone);
            report.check(format!("{call} over {transport}"), result)?;
        }
    }
    report.note(format!(
        "{} calls over each of tcp, udp, unix",
        TIMES * CALLS.len()
    ));
    report.fact("calls", json!(facts));
    Ok(())
}

fn row_of(call: &str, cells: &[&Outcome]) -> Vec<String> {
    let result = cells.iter().find_map(|cell| cell.as_ref().ok());
    let result = result.map_or_else(|| "-".to_owned(), |(result, _)| result.clone());
    let time = |cell: &&Outcome| match cell {
        Ok((_, took)) => shown_duration(*took),
        Err(_) => "FAILED".to_owned(),
    };
    let head = [call.to_owned(), result];
    head.into_iter().chain(cells.iter().map(time)).collect()
}

/// What is called; [`all`] makes them in this order.
const CALLS: [&str; 9] = [
    "CALC_NULL()",
    "ADD(40, 2)",
    "DIVIDE(-7, 2)",
    "DIVIDE(1, 0)",
    "SUM(list of 1 to 100)",
    "DESCRIBE(3, 1, 4, 1, 5)",
    "ECHO_BLOCK(8000 bytes)",
    "MNT(\"/\")",
    "GETATTR(/)",
];

async fn all(clients: &Clients) -> Vec<Outcome> {
    let calc = &clients.calc;
    let by = |dividend, divisor| calc::Division { dividend, divisor };
    let numbers: Vec<_> = (1..=100).map(|value| calc::Number { value }).collect();
    let block: Vec<u8> = (0..8000_u32).map(|i| i as u8).collect();
    let quotient = calc::Quotient {
        quotient: -3,
        remainder: -1,
    };
    let statistics = calc::Statistics {
        count: 5,
        mean: Some(2.8),
        median: Some(3.0),
    };
    vec![
        timed(|| calc.null(), |()| Some("-".into())).await,
        timed(|| calc.add(40, 2), |sum| (*sum == 42).then(|| "42".into())).await,
        timed(
            || calc.divide(by(-7, 2)),
            |q| (*q == calc::DivisionResult::Divided(quotient)).then(|| "-3, remainder -1".into()),
        )
        .await,
        timed(
            || calc.divide(by(1, 0)),
            |q| (*q == calc::DivisionResult::DividedByZero).then(|| "DIVIDED_BY_ZERO".into()),
        )
        .await,
        timed(
            || calc.sum(&numbers),
            |sum| (*sum == 5050).then(|| "5050".into()),
        )
        .await,
        timed(
            || calc.describe(&[3.0, 1.0, 4.0, 1.0, 5.0]),
            |all| (*all == statistics).then(|| "mean 2.8, median 3".into()),
        )
        .await,
        timed(
            || calc.echo_block(&block),
            |back| (*back == block).then(|| "the same".into()),
        )
        .await,
        timed(|| clients.mount.mnt(&Str::from("/")), mounted).await,
        attributes(clients).await,
    ]
}

fn mounted(result: &mount::Mountres3) -> Option<String> {
    match result {
        mount::Mountres3::Mnt3Ok(ok) => Some(format!("{}-byte handle", ok.fhandle.len())),
        mount::Mountres3::Default(_) => None,
    }
}

async fn attributes(clients: &Clients) -> Outcome {
    let root = clients.mount.mnt(&Str::from("/")).await;
    let data = match root.map_err(|error| error.to_string())? {
        mount::Mountres3::Mnt3Ok(ok) => ok.fhandle,
        mount::Mountres3::Default(status) => return Err(format!("{status:?}")),
    };
    let args = nfs3::Getattr3Args {
        object: nfs3::NfsFh3 { data },
    };
    timed(
        || clients.nfs.getattr(&args),
        |result| match result {
            nfs3::Getattr3Res::Nfs3Ok(ok) => {
                Some(format!("a directory, mode {:o}", ok.obj_attributes.mode))
            }
            nfs3::Getattr3Res::Default(_) => None,
        },
    )
    .await
}

/// Makes a call several times; `right` puts a right result into words.
async fn timed<T: Debug>(
    call: impl Fn() -> Calling<T>,
    right: impl Fn(&T) -> Option<String>,
) -> Outcome {
    let mut times = Vec::with_capacity(TIMES);
    let mut shown = String::new();
    for _ in 0..TIMES {
        let begun = Instant::now();
        let result = call().await.map_err(|error: Error| error.to_string())?;
        times.push(begun.elapsed());
        shown = right(&result).ok_or_else(|| format!("unexpected result {result:?}"))?;
    }
    times.sort_unstable();
    let median = times.get(TIMES / 2).copied().unwrap_or_default();
    Ok((shown, median))
}
