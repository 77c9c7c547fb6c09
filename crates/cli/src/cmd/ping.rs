//! `farcall ping`: null calls, one after the other, and how long they took.
//!
//! With a program, its version must answer. Without one, any answer counts that shows an RPC
//! server: at a port, program 0 is called, which nobody has; without a port, rpcbind is. A server of DCE/RPC is asked
//! through its management interface whether it takes calls; the interface that is named must be there to be bound.

use std::time::{Duration, Instant};

use farcall::generated::mgmt::mgmt;
use farcall::stub::Interface;
use farcall::{Cause, Client, Endpoint, Error, Family};
use serde_json::json;

use crate::interfaces;
use crate::latency::{Latencies, micros, shown_duration};
use crate::output::{Done, Failure, Output};
use crate::peer::{self, Reach};
use crate::{programs, session};

/// Call a server's null procedure again and again, and measure
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where: tcp://HOST[:PORT], tls://HOST[:PORT], udp://HOST[:PORT], unix:///PATH, ncacn_ip_tcp:HOST[PORT],
    /// ncacn_http:HOST[PORT,RpcProxy=PROXY] or ncalrpc:[NAME]
    #[arg(value_parser = peer::endpoint)]
    endpoint: Endpoint,

    /// The program, by number or well-known name; over DCE/RPC the interface, by UUID or well-known name
    /// [default: any RPC server will do]
    program: Option<String>,

    /// Its version, MAJOR or MAJOR.MINOR over DCE/RPC [default: the highest that the server has]
    version: Option<String>,

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
    /// Over DCE/RPC: the interface that was bound.
    interface: Option<&'static Interface>,
}

/// What came of all calls.
struct Tally {
    sent: u64,
    times: Latencies,
    last_error: Option<Error>,
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    let started = Instant::now();
    let (client, target) = match is_dce(&args.endpoint) {
        true => bind(&args).await?,
        false => connect(&args).await?,
    };
    let connect = started.elapsed();
    if !out.is_json() {
        let what = match (target.any, target.interface) {
            (true, _) => String::new(),
            (_, Some(it)) => format!(", interface {} v{}.{}", it.name, it.major, it.minor),
            (false, None) => format!(
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
    let tally = calls(&args, &client, &target, out).await;
    client.close_context().await;
    let tally = tally?;
    report(&client, &target, connect, &tally, out)?;
    match tally.last_error {
        Some(error) if tally.times.len() == 0 => Err(error.into()),
        _ if tally.times.len() < tally.sent => Ok(Done::No),
        _ => Ok(Done::Yes),
    }
}

/// Whether an endpoint is one of DCE/RPC.
fn is_dce(endpoint: &Endpoint) -> bool {
    endpoint.transport().family() == Family::Dce
}

/// Binds the interface that was asked for, or the management interface, which every server has.
async fn bind(args: &Args) -> anyhow::Result<(Client, Target)> {
    let (wanted, version) = (args.program.as_deref(), args.version.as_deref());
    let options = args.reach.options_to(&args.endpoint)?;
    let asked = interfaces::asked(&args.endpoint, wanted, version, options.clone());
    let (endpoint, interface) = asked.await?;
    let client = Client::connect_interface_with(endpoint, interface, options)
        .await
        .map_err(session::explained)?;
    let target = Target {
        program: 0,
        version: 0,
        any: false,
        interface: Some(interface),
    };
    Ok((client, target))
}

/// One call that does nothing.
async fn null(client: &Client, target: &Target) -> Result<(), Error> {
    match target.interface {
        None => peer::null(client, target.program, target.version).await,
        Some(_) => {
            let listening = mgmt::Client::from(client.clone()).is_server_listening();
            listening.await.map(drop)
        }
    }
}

async fn connect(args: &Args) -> anyhow::Result<(Client, Target)> {
    let options = args.reach.options_to(&args.endpoint)?;
    let mut endpoint = args.endpoint.clone();
    let program = args.program.as_deref().map(programs::parse).transpose()?;
    let version = args.version.as_deref().map(number).transpose()?;
    let (program, any) = match program {
        Some(program) => (program, false),
        None if endpoint.port().is_some() || endpoint.path().is_some() => (0, true),
        None => {
            endpoint = endpoint.with_port(peer::RPCBIND_PORT);
            (peer::PORTMAP.0, false)
        }
    };
    let asked = version.unwrap_or(match any {
        true => 0,
        false => 1,
    });
    let client = match (any, version) {
        (true, _) => {
            let ways = std::iter::once(program).chain(programs::all());
            peer::connect_through(&endpoint, ways, &options).await?
        }
        (false, None) => peer::connect_through(&endpoint, [program], &options).await?,
        (false, Some(version)) => {
            Client::connect_with(&endpoint, program, version, options).await?
        }
    };
    let version = match version {
        None if !any => peer::versions(&client, program)
            .await?
            .map_or(asked, |found| found.1),
        _ => asked,
    };
    let target = Target {
        program,
        version,
        any,
        interface: None,
    };
    Ok((client, target))
}

fn number(text: &str) -> Result<u32, Failure> {
    text.parse()
        .map_err(|_| Failure::new(format!("version '{text}' is not a number")))
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
            result = null(client, target) => result,
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
