//! `farcall call`: a call without writing code; arguments and result are JSON.

use farcall::stub::{Raw, Target};
use farcall::{Cause, Client, Endpoint, Error, Options};
use farcall_idl::Model;
use farcall_idl::dynamic::Codec;
use farcall_wire::{Bytes, DecodeError, Reader};

use crate::interface::{self, Found, Source};
use crate::output::{Done, Output};
use crate::peer::{self, Reach};
use crate::session::{self, Session};
use crate::{programs, value};

/// Call a procedure or operation that an interface file describes
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where: tcp://HOST[:PORT], tls://HOST[:PORT], udp://HOST[:PORT], unix:///PATH, ncacn_ip_tcp:HOST[PORT],
    /// ncacn_http:HOST[PORT,RpcProxy=PROXY] or ncalrpc:[NAME]
    #[arg(value_parser = peer::endpoint)]
    endpoint: Endpoint,

    /// The procedure, by name or number; VERSION.NAME if several versions have it
    procedure: String,

    /// The arguments: JSON, @FILE, or - for standard input; an object by their names, an array, or
    /// a lone argument itself
    #[arg(value_name = "JSON")]
    arguments: Option<String>,

    #[command(flatten)]
    source: Source,

    /// The program, if the file has several
    #[arg(long, value_parser = programs::parse)]
    program: Option<u32>,

    /// The version [default: the highest that has the procedure]
    #[arg(long)]
    version: Option<u32>,

    #[command(flatten)]
    reach: Reach,
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    let model = args.source.load(out)?;
    if !model.ndr().is_blank() {
        // What streams stand on lasts as long as the process.
        return operation(&args, Box::leak(Box::new(model)), out).await;
    }
    let found = interface::find(&model, &args.procedure, args.program, args.version)?;
    let json = value::json(args.arguments.as_deref())?;
    let codec = Codec::new(&model);
    let packed = codec
        .encode_arguments(found.procedure, &json)
        .map_err(|error| {
            value::misfit(&format!("arguments of {}", found.procedure.name), &error)
        })?;
    let options = args.reach.options_to(&args.endpoint)?;
    let results = make(&args.endpoint, &options, &found, &packed)
        .await
        .map_err(|error| explained(error, &model, &found))?;
    let result = codec
        .decode_result(found.procedure, &results)
        .map_err(|error| {
            value::misfit(&format!("result of {}", found.procedure.name), &error)
                .hint("is the interface file the one that the server was built with?")
        })?;
    match out.is_json() {
        true => out.json(&result)?,
        false => out.pretty_json(&result)?,
    }
    Ok(Done::Yes)
}

/// Calls an operation of DCE/RPC.
async fn operation(args: &Args, model: &'static Model, out: &Output) -> anyhow::Result<Done> {
    let found = session::find(model, &args.procedure)?;
    let arguments = session::arguments(args.arguments.as_deref())?;
    let options = args.reach.options_to(&args.endpoint)?;
    let mut session = Session::open(model, &args.endpoint, options, found)
        .await
        .map_err(session::explained)?;
    let result = session.call(found, &arguments, out).await?;
    match out.is_json() {
        true => out.json(&result)?,
        false => out.pretty_json(&result)?,
    }
    Ok(Done::Yes)
}

/// Makes the call; arguments and results are XDR.
async fn make(
    endpoint: &Endpoint,
    options: &Options,
    found: &Found<'_>,
    arguments: &[u8],
) -> Result<Bytes, Error> {
    let target = target(found);
    let connecting =
        Client::connect_with(endpoint, target.program, target.version, options.clone());
    let client = connecting.await?;
    let results = client.call_target(target, &Raw(arguments), rest).await;
    client.close_context().await;
    results
}

/// The numbers of a procedure.
pub(crate) fn target(found: &Found<'_>) -> Target {
    Target {
        program: found.program.number,
        version: found.version.number,
        procedure: found.procedure.number,
    }
}

/// The results as they are.
pub(crate) fn rest(reader: &mut Reader<'_>) -> Result<Bytes, DecodeError> {
    reader.take_rest()
}

/// The same error in the interface's own names, with what the interface can add.
pub(crate) fn explained(error: Error, model: &Model, found: &Found<'_>) -> Error {
    let mut told = Error::new(error.phase(), error.cause().clone())
        .executed(error.may_have_executed())
        .with_procedure(format!("{}.{}", found.version.name, found.procedure.name));
    if let Some(peer) = error.peer() {
        told = told.with_peer(peer);
    }
    told = error.hints().iter().fold(told, |told, hint| {
        match hint.contains("Options::auth_sys") {
            true => told.hint("call with --auth sys"),
            false => told.hint(hint.as_str()),
        }
    });
    match error.cause() {
        Cause::ProgramMismatch { low, high } => {
            let has = |number| number >= *low && number <= *high;
            match found
                .program
                .versions
                .iter()
                .rev()
                .find(|version| has(version.number))
            {
                Some(version) => told.hint(format!(
                    "the interface has version {0}, too: --version {0}",
                    version.number
                )),
                None => told,
            }
        }
        Cause::ProgramUnavailable => told.hint(format!(
            "`farcall describe {}` shows what is there",
            error.peer().unwrap_or("ENDPOINT")
        )),
        Cause::ProcedureUnavailable | Cause::GarbageArguments => {
            let file = model
                .sources()
                .files()
                .first()
                .map_or("the file", |file| file.name.as_str());
            told.hint(format!(
                "is {file} the interface that the server was built with?"
            ))
        }
        _ if error.may_have_executed() => told.hint("the procedure may have run at the server"),
        _ => told,
    }
}
