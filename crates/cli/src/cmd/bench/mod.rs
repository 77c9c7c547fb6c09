//! `farcall bench`: load on a server, and how fast it answers.

mod work;
mod load;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use farcall::Endpoint;
use serde_json::json;

use crate::interface::{self, Preprocess};
use crate::latency::{micros, shown_duration};
use crate::output::{Done, Failure, Output};
use crate::peer::{self, Reach};
use load::{Load, Outcome, Watch};

/// Widest bar of the histogram, in characters.
const WIDEST: u64 = 40;

/// Put load on a server and measure its answers
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where: tcp://HOST[:PORT], tls://HOST[:PORT], udp://HOST[:PORT], unix:///PATH, ncacn_ip_tcp:HOST[PORT],
    /// ncacn_http:HOST[PORT,RpcProxy=PROXY] or ncalrpc:[NAME]
    #[arg(value_parser = peer::endpoint)]
    endpoint: Endpoint,

    /// Null calls of this program, by number or well-known name; over DCE/RPC the interface that is bound, by UUID or
    /// well-known name [default there: any], while the management interface is called
    program: Option<String>,

    /// Its version, MAJOR or MAJOR.MINOR over DCE/RPC [default there: the highest that the server has]
    version: Option<String>,

    /// Calls of a procedure or operation that this interface file describes
    #[arg(long, value_name = "FILE", requires = "op", conflicts_with = "program")]
    idl: Option<PathBuf>,

    /// The procedure or operation
    #[arg(long, value_name = "PROCEDURE", requires = "idl")]
    op: Option<String>,

    /// Its arguments: JSON, @FILE, or - for standard input; "@FILE" in the place of a pipe's elements
    #[arg(long, value_name = "JSON", requires = "idl")]
    args: Option<String>,

    #[command(flatten)]
    preprocess: Preprocess,

    /// How many connections
    #[arg(short, long, default_value_t = 1, value_parser = at_least_one)]
    connections: usize,

    /// Calls in flight on each connection [default: 1; with --rate 1024 at most]
    #[arg(short = 'f', long, value_parser = at_least_one)]
    in_flight: Option<usize>,

    /// Begin so many calls each second, whatever comes back (open loop)
    #[arg(short, long, value_name = "CALLS", value_parser = rate)]
    rate: Option<f64>,

    /// How long to measure, in seconds
    #[arg(short, long, default_value = "5", value_name = "SECONDS", value_parser = peer::seconds)]
    duration: Duration,

    /// Not measured, at the beginning, in seconds
    #[arg(long, default_value = "0.5", value_name = "SECONDS", value_parser = peer::seconds)]
    warm_up: Duration,

    /// Threads that make the load [default: one for each processor]
    #[arg(long, value_parser = at_least_one)]
    threads: Option<usize>,

    #[command(flatten)]
    reach: Reach,
}

fn at_least_one(text: &str) -> Result<usize, Failure> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=65_536).contains(number));
    number.ok_or_else(|| Failure::new("expected a number from 1 to 65536"))
}

fn rate(text: &str) -> Result<f64, Failure> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (0.01..=1e7).contains(number));
    number.ok_or_else(|| Failure::new("expected calls each second, from 0.01 to 10000000"))
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    let (load, what) = load(&args, out).await?;
    let loop_kind = match load.rate {
        Some(rate) => format!(
            "{rate} calls/s begun by the clock, at most {} in flight each",
            load.in_flight
        ),
        None => format!("{} in flight each", load.in_flight),
    };
    let connections = interface::counted(load.connections, "connection");
    let title = format!("{what} at {}: {connections}, {loop_kind}", load.endpoint);
    if !out.is_json() {
        out.line(&title)?;
    }
    let outcome = watched(load.clone(), out).await?;
    report(&load, &what, &outcome, out)?;
    match (outcome.times.len(), outcome.failed) {
        (0, _) => match outcome.first_error {
            Some(error) => Err(error.into()),
            None => Err(Failure::new("no call ended in time")
                .hint("measure longer: -d SECONDS")
                .into()),
        },
        (_, 0) => Ok(Done::Yes),
        _ => Ok(Done::No),
    }
}

async fn load(args: &Args, out: &Output) -> anyhow::Result<(Load, String)> {
    let mut options = args.reach.options_to(&args.endpoint)?;
    let chosen = work::chosen(args, &options, out).await?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let in_flight = args
        .in_flight
        .unwrap_or(if args.rate.is_some() { 1024 } else { 1 });
    options.in_flight = options.in_flight.max(in_flight.saturating_mul(2));
    let load = Load {
        endpoint: chosen.endpoint,
        options,
        work: Arc::new(chosen.work),
        connections: args.connections,
        in_flight,
        rate: args.rate,
        threads: args.threads.unwrap_or(processors),
        warm_up: args.warm_up,
        duration: args.duration,
    };
    Ok((load, chosen.what))
}

/// Runs the load and shows how far it is; SIGINT ends it early, and what was measured counts.
async fn watched(load: Load, out: &Output) -> anyhow::Result<Outcome> {
    let watch = Arc::new(Watch::default());
    let whole = load.warm_up + load.duration;
    let bar = bar(whole, out);
    let theirs = Arc::clone(&watch);
    let mut running = tokio::task::spawn_blocking(move || load::run(&load, &theirs));
    let started = tokio::time::Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let outcome = loop {
        tokio::select! {
            outcome = &mut running => break outcome?,
            _ = tokio::signal::ctrl_c() => watch.stop.store(true, Ordering::Relaxed),
            _ = ticks.tick() => {
                let elapsed = started.elapsed().min(whole);
                bar.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
                bar.set_message(format!("{} calls", watch.ended.load(Ordering::Relaxed)));
            }
        }
    };
    bar.finish_and_clear();
    outcome
}

/// A bar on standard error, if somebody watches.
fn bar(whole: Duration, out: &Output) -> indicatif::ProgressBar {
    if !out.is_watched() || out.is_json() {
        return indicatif::ProgressBar::hidden();
    }
    let bar = indicatif::ProgressBar::new(u64::try_from(whole.as_millis()).unwrap_or(u64::MAX));
    let style = indicatif::ProgressStyle::with_template("{bar:40} {percent:>3}% {msg}");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn report(load: &Load, what: &str, outcome: &Outcome, out: &Output) -> anyhow::Result<()> {
    let seconds = outcome.measured.as_secs_f64();
    let answered = outcome.times.len();
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let per_second = if seconds > 0.0 {
        (answered as f64 / seconds).round()
    } else {
        0.0
    };
    if out.is_json() {
        let rows = outcome
            .times
            .doubling()
            .into_iter()
            .map(|(from, to, count)| {
                let nanoseconds =
                    |time: Duration| micros(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
                json!({ "from_us": nanoseconds(from), "to_us": nanoseconds(to), "calls": count })
            });
        return Ok(out.pretty_json(&json!({
            "endpoint": load.endpoint.to_string(),
            "call": what,
            "connections": load.connections,
            "in_flight": load.in_flight,
            "rate": load.rate,
            "threads": load.threads.min(load.connections),
            "seconds": seconds,
            "answered": answered,
            "failed": outcome.failed,
            "calls_per_second": per_second,
            "first_error": outcome.first_error.as_ref().map(ToString::to_string),
            "latency": outcome.times.json(),
            "histogram": rows.collect::<Vec<_>>(),
        }))?);
    }
    let failed = outcome.failed;
    out.line(format_args!(
        "{answered} answered in {seconds:.2} s: {per_second} calls/s; {failed} failed"
    ))?;
    out.line(outcome.times.line())?;
    if let Some(error) = &outcome.first_error {
        out.message(format_args!("the first that failed: {error}"));
    }
    histogram(outcome, out)
}

fn histogram(outcome: &Outcome, out: &Output) -> anyhow::Result<()> {
    let rows = outcome.times.doubling();
    let most = rows.iter().map(|row| row.2).max().unwrap_or(1).max(1);
    for (from, to, count) in rows {
        let length = (count * WIDEST).div_ceil(most);
        let bar = "#".repeat(usize::try_from(length).unwrap_or(0));
        let (from, to) = (shown_duration(from), shown_duration(to));
        out.line(
            format_args!("{from:>8} to {to:>8}  {count:>9}  {bar}")
                .to_string()
                .trim_end(),
        )?;
    }
    Ok(())
}
