//! `farcall trace`: one call drawn as its ten steps.
//!
//! Five of the steps happen here: two of them by the kernel's own timestamps. Those of a server
//! that keeps no record for us are marked as not seen. Over DCE/RPC what is called without an interface file is
//! the management interface, which every server has; binding comes before the first step.

use std::path::{Path, PathBuf};

use farcall::generated::mgmt::mgmt;
use farcall::stub::{Interface, Raw, Target};
use farcall::trace::{self, Mark, Steps, Traced};
use farcall::{Cause, Endpoint, Family};
use farcall_idl::dynamic::{Codec, ndr};
use serde_json::{Value, json};

use super::call;
use crate::interface::{self, Preprocess};
use crate::output::{Done, Failure, Output};
use crate::peer::{self, Reach};
use crate::{interfaces, programs, session, value};

/// `rpc__mgmt_is_server_listening` (C706 appendix Q).
const IS_SERVER_LISTENING: u16 = 2;

/// Draw the ten steps of one call
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where: tcp://HOST[:PORT], tls://HOST[:PORT], udp://HOST[:PORT], unix:///PATH, ncacn_ip_tcp:HOST[PORT],
    /// ncacn_http:HOST[PORT,RpcProxy=PROXY] or ncalrpc:[NAME]
    #[arg(value_parser = peer::endpoint)]
    endpoint: Endpoint,

    /// The program whose null procedure is called, by number or well-known name
    /// [default: any RPC server will do; over DCE/RPC its management interface]; with --idl, the procedure
    #[arg(value_name = "PROGRAM|PROCEDURE")]
    what: Option<String>,

    /// The program's version [default: the highest that the server has]; with --idl, the
    /// arguments as JSON
    #[arg(value_name = "VERSION|JSON")]
    more: Option<String>,

    /// The interface file, to call one of its procedures
    #[arg(long, value_name = "FILE", requires = "what")]
    idl: Option<PathBuf>,

    #[command(flatten)]
    preprocess: Preprocess,

    #[command(flatten)]
    reach: Reach,
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    if args.endpoint.transport().family() == Family::Dce {
        return operation(&args, out);
    }
    let options = args.reach.options_to(&args.endpoint)?;
    let Question { target, arguments } = question(&args, out).await?;
    let traced = trace::call(
        &args.endpoint,
        target,
        &options,
        &Raw(&arguments),
        call::rest,
    )?;
    // Without a program asked for, that there is none is an answer.
    let any = args.what.is_none();
    let failure = traced.result.err();
    let failure = failure.filter(|error| !(any && is_an_answer(error)));
    print(&traced.steps, out)?;
    match failure {
        None => Ok(Done::Yes),
        Some(error) => Err(error.into()),
    }
}

/// A call of an operation of DCE/RPC.
fn operation(args: &Args, out: &Output) -> anyhow::Result<Done> {
    let traced = match (&args.idl, &args.what) {
        (Some(file), _) => described_operation(args, file, out)?,
        (None, None) => listening(args)?,
        (None, Some(_)) => {
            return Err(Failure::new("an operation is known by its file")
                .hint("name it: --idl FILE")
                .into());
        }
    };
    print(&traced.steps, out)?;
    match traced.result {
        Ok(()) => Ok(Done::Yes),
        Err(error) => Err(session::explained(error).into()),
    }
}

/// Whether the server takes calls, asked by its management interface; without a port, the endpoint mapper's.
fn listening(args: &Args) -> anyhow::Result<Traced<()>> {
    let options = args.reach.options_to(&args.endpoint)?;
    let mut endpoint = args.endpoint.clone();
    if endpoint.port().is_none() && endpoint.host().is_some() {
        endpoint = endpoint.with_port(interfaces::mapper_port(&endpoint));
    }
    let opnum = IS_SERVER_LISTENING;
    let traced = trace::operation(
        endpoint,
        &mgmt::INTERFACE,
        opnum,
        &options,
        |_| Ok(()),
        |_| Ok(()),
    );
    Ok(traced.map_err(session::explained)?)
}

fn described_operation(args: &Args, file: &Path, out: &Output) -> anyhow::Result<Traced<()>> {
    let model = interface::load(file, &args.preprocess, out)?;
    let found = session::find(&model, args.what.as_deref().unwrap_or_default())?;
    let arguments = session::arguments(args.more.as_deref())?;
    let options = args.reach.options_to(&args.endpoint)?;
    let interface: &'static Interface = session::described(found.interface);
    // Before anything is sent: arguments that do not fit are nobody's call.
    let fits = ndr::Codec::new(&model).encode_in(found.operation, &arguments);
    if let Err(error) = fits {
        let what = format!("arguments of {}", found.operation.name);
        return Err(value::misfit(&what, &error).into());
    }
    let traced = trace::operation(
        &args.endpoint,
        interface,
        found.operation.opnum,
        &options,
        |w| {
            let mode = w.mode();
            let codec = ndr::Codec::new(&model)
                .syntax(mode.syntax)
                .order(mode.order);
            if let Ok(stub) = codec.encode_in(found.operation, &arguments) {
                w.slice(&stub);
            }
            Ok(())
        },
        |_| Ok(()),
    );
    Ok(traced.map_err(session::explained)?)
}

fn is_an_answer(error: &farcall::Error) -> bool {
    matches!(error.cause(), Cause::ProgramUnavailable)
}

/// What is called, the arguments being packed.
struct Question {
    target: Target,
    arguments: Vec<u8>,
}

async fn question(args: &Args, out: &Output) -> anyhow::Result<Question> {
    let Some(file) = &args.idl else {
        let (program, version) = null(args).await?;
        let target = Target {
            program,
            version,
            procedure: 0,
        };
        let arguments = Vec::new();
        return Ok(Question { target, arguments });
    };
    let model = interface::load(file, &args.preprocess, out)?;
    let procedure = args.what.as_deref().unwrap_or_default();
    let found = interface::find(&model, procedure, None, None)?;
    let json = value::json(args.more.as_deref())?;
    let packed = Codec::new(&model).encode_arguments(found.procedure, &json);
    let what = format!("arguments of {}", found.procedure.name);
    Ok(Question {
        target: call::target(&found),
        arguments: packed.map_err(|error| value::misfit(&what, &error))?,
    })
}

/// The program and version whose null procedure is called.
async fn null(args: &Args) -> anyhow::Result<(u32, u32)> {
    let known = args.endpoint.port().is_some() || args.endpoint.path().is_some();
    let program = match &args.what {
        Some(program) => programs::parse(program)?,
        None if known => return Ok((0, 0)),
        None => return Ok(peer::PORTMAP),
    };
    if let Some(version) = &args.more {
        let number = programs::number(version);
        let number = number.ok_or_else(|| {
            Failure::new(format!("'{version}' is no version: expected a number"))
                .hint("to call a procedure with arguments, name its file: --idl FILE")
        })?;
        return Ok((program, number));
    }
    let options = args.reach.options_to(&args.endpoint)?;
    let client = peer::connect_through(&args.endpoint, [program], &options).await?;
    let found = peer::versions(&client, program).await?;
    Ok((program, found.map_or(1, |(_, high)| high)))
}

/// Prints a record as a waterfall, or as JSON.
pub(crate) fn print(steps: &Steps, out: &Output) -> anyhow::Result<()> {
    if out.is_json() {
        return Ok(out.json(&described(steps))?);
    }
    match steps.interface {
        Some(interface) => out.line(format_args!(
            "{}: interface {} version {} operation {}, call {:08x}",
            steps.peer,
            interfaces::name(interface).map_or_else(|| interface.to_string(), str::to_owned),
            steps.version,
            steps.procedure,
            steps.xid
        ))?,
        None => out.line(format_args!(
            "{}: program {} version {} procedure {}, xid {:08x}",
            steps.peer,
            programs::shown(steps.program),
            steps.version,
            steps.procedure,
            steps.xid
        ))?,
    }
    Ok(out.text(trace::render(steps, width()))?)
}

/// A record for programs.
fn described(steps: &Steps) -> Value {
    json!({
        "endpoint": steps.peer,
        "transport": steps.transport.scheme(),
        "interface": steps.interface.map(|interface| interface.to_string()),
        "program": steps.program,
        "version": steps.version,
        "procedure": steps.procedure,
        "xid": steps.xid,
        "steps": rows(steps),
    })
}

/// The ten steps for programs: nanoseconds since 1970, microseconds from the first instant.
pub(crate) fn rows(steps: &Steps) -> Value {
    let micros = |duration: Option<std::time::Duration>| {
        duration.map(|duration| crate::latency::micros(duration.as_nanos() as u64))
    };
    let one = |row: &trace::Row| {
        let at = match row.mark {
            Mark::At(instant) => Some(instant.nanoseconds),
            _ => None,
        };
        json!({
            "step": row.step.number(),
            "title": row.step.title(),
            "by": row.by(),
            "nanoseconds": at,
            "at_us": micros(row.offset),
            "for_us": micros(row.took),
        })
    };
    Value::Array(steps.rows().iter().map(one).collect())
}

/// How wide the waterfall may be, in columns: as the terminal, between 80 and 100.
pub(crate) fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    match columns {
        0 => 96,
        columns => columns.clamp(80, 100),
    }
}
