//! `farcall ping`: null calls, one after the other, and how long they took.
//!
//! With a program, its version must answer. Without one, any answer counts that shows an RPC
//! server: at a port, program 0 is called, which nobody has; without a port, rpcbind is.

use std::time::{Duration, Instant};

use farcall::{Cause, Client, Endpoint, Error};
use serde_json::json;

use crate::latency::{Latencies, micros, shown_duration};
use crate::output::{Done, Output};
use crate::peer::{self, Reach};
use crate::programs;

/// Call a server's null procedure again and again, and measure
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where: tcp://HOST[:PORT], udp://HOST[:PORT] or unix:///PATH
    #[arg(value_parser = peer::endpoint)]
    endpoint: Endpoint,

    /// The program, by number or well-known name [default: any RPC server will do]
    #[arg(value_parser = programs::parse)]
    program: Option<u32>,

    /// Its version [default: the highest that the server has]
    version: Option<u32>,

    /// How many calls; 0: until interrupted
    #[arg(short, long, default_value_t = 5)]
    count: u64,

    /// Pause between two calls, in seconds
    #[arg(short, long, default_value = "1", value_name = "SECONDS", value_parser = peer::seconds)]
    interval: Duration,

    #[command(flatten)]
    reach: Reach,
}

/// What is called, and which answers count.
struct Target {
    program: u32,
    version: u32,
    /// No program was asked for: that the server does not have it is an answer, too.
    any: bool,
}

/// What came of all calls.
struct Tally {
    sent: u64,
    times: Latencies,
    last_error: Option<Error>,
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    let started = Instant::now();
    let (client, target) = connect(&args).await?;
    let connect = started.elapsed();
    if !out.is_json() {
        let what = match target.any {
            true => String::new(),
            false => format!(
                ", program {} version {}",
                programs::shown(target.program),
                target.version
            ),
        };
        let took = shown_duration(connect);
        out.line(format_args!(
            "ping {}{what}: ready after {took}",
            client.peer()
        ))?;
    }
    let tally = calls(&args, &client, &target, out).await?;
    report(&client, &target, connect, &tally, out)?;
    match tally.last_error {
        Some(error) if tally.times.len() == 0 => Err(error.into()),
        _ if tally.times.len() < tally.sent => Ok(Done::No),
        _ => Ok(Done::Yes),
    }
}

async fn connect(args: &Args) -> anyhow::Result<(Client, Target)> {
    let options = args.reach.options()?;
    let mut endpoint = args.endpoint.clone();
    let (program, any) = match args.program {
        Some(program) => (program, false),
        None if endpoint.port().is_some() || endpoint.path().is_some() => (0, true),
        None => {
            endpoint = endpoint.with_port(peer::RPCBIND_PORT);
            (peer::PORTMAP.0, false)
        }
    };
    let asked = args.version.unwrap_or(match any {
        true => 0,
        false => 1,
    });
    let client = Client::connect_with(endpoint, program, asked, options).await?;
    let version = match args.version {
        None if !any => peer::versions(&client, program)
            .await?
            .map_or(asked, |found| found.1),
        _ => asked,
    };
    let target = Target {
        program,
        version,
        any,
    };
    Ok((client, target))
}

async fn calls(
    args: &Args,
    client: &Client,
    target: &Target,
    out: &Output,
) -> anyhow::Result<Tally> {
    let mut tally = Tally {
        sent: 0,
        times: Latencies::new(),
        last_error: None,
    };
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    while args.count == 0 || tally.sent < args.count {
        if tally.sent > 0 {
            tokio::select! {
                _ = &mut interrupted => break,
                () = tokio::time::sleep(args.interval) => {}
            }
        }
        let called = Instant::now();
        let result = tokio::select! {
            _ = &mut interrupted => break,
            result = peer::null(client, target.program, target.version) => result,
        };
        tally.sent += 1;
        if let Err(error) = &result
            && is_final(error, target)
        {
            return Err(explained(error, client, target).into());
        }
        one(target, called.elapsed(), result, &mut tally, out)?;
    }
    Ok(tally)
}

/// Whether the server's answer is no, and stays so.
fn is_final(error: &Error, target: &Target) -> bool {
    match error.cause() {
        Cause::ProgramUnavailable => !target.any,
        Cause::ProgramMismatch { .. }
        | Cause::ProcedureUnavailable
        | Cause::RpcMismatch { .. }
        | Cause::Authentication(_) => true,
        _ => false,
    }
}

fn explained(error: &Error, client: &Client, target: &Target) -> Error {
    match error.cause() {
        Cause::ProgramUnavailable => error.clone().hint(format!(
            "{} does not have program {}; `farcall describe {0}` shows what it has",
            client.peer(),
            programs::shown(target.program)
        )),
        _ => error.clone(),
    }
}

/// Tells of one call.
fn one(
    target: &Target,
    took: Duration,
    result: Result<(), Error>,
    tally: &mut Tally,
    out: &Output,
) -> anyhow::Result<()> {
    let text = match result {
        Ok(()) => {
            tally.times.record(took);
            format!("{}: {}", tally.sent, shown_duration(took))
        }
        Err(error) if target.any && matches!(error.cause(), Cause::ProgramUnavailable) => {
            tally.times.record(took);
            format!("{}: {}", tally.sent, shown_duration(took))
        }
        Err(error) => {
            let text = format!("{}: {error}", tally.sent);
            tally.last_error = Some(error);
            text
        }
    };
    if !out.is_json() {
        out.line(text)?;
    }
    Ok(())
}

fn report(
    client: &Client,
    target: &Target,
    connect: Duration,
    tally: &Tally,
    out: &Output,
) -> anyhow::Result<()> {
    let (sent, answered) = (tally.sent, tally.times.len());
    if out.is_json() {
        return Ok(out.json(&json!({
            "endpoint": client.peer(),
            "program": target.program,
            "version": target.version,
            "connect_us": micros(u64::try_from(connect.as_nanos()).unwrap_or(u64::MAX)),
            "calls": sent,
            "answered": answered,
            "latency": tally.times.json(),
        }))?);
    }
    let lost = sent - answered;
    out.line(format_args!(
        "{sent} calls, {answered} answered, {lost} not"
    ))?;
    Ok(out.line(tally.times.line())?)
}
