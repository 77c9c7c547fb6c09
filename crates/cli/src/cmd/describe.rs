//! `farcall describe`: what can be called, with its types.
//!
//! Of an interface file: its programs or interfaces with their procedures, or one procedure or type with everything it
//! is made of and an example of its JSON. Of a host: what its rpcbind lists. Of an endpoint with a
//! port: which versions of a program answer there.

mod ndr;

use std::path::Path;

use farcall::Endpoint;
use farcall_idl::model::Procedure;
use farcall_idl::{ItemKind, Model, Type};
use serde_json::{Value, json};

use crate::binding;
use crate::cmd::ls;
use crate::interface::{self, Found, Preprocess};
use crate::names::Names;
use crate::near::did_you_mean;
use crate::notation;
use crate::output::{Done, Failure, Output};
use crate::peer::{self, Reach};
use crate::table::Table;
use crate::{interfaces, programs, session};

/// Say what can be called, with its types
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An interface file, or an endpoint such as tcp://HOST[:PORT] or ncacn_ip_tcp:HOST[PORT]
    #[arg(value_name = "FILE|ENDPOINT")]
    what: String,

    /// A procedure, type or constant of the file; a program at the endpoint
    name: Option<String>,

    #[command(flatten)]
    preprocess: Preprocess,

    #[command(flatten)]
    reach: Reach,
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    if ["ncacn_ip_tcp:", "ncacn_http:", "ncalrpc:"]
        .iter()
        .any(|it| args.what.starts_with(it))
    {
        return offered(&args, args.what.parse()?, out).await;
    }
    if args.what.contains("://") {
        let endpoint: Endpoint = args.what.parse()?;
        return match endpoint.host().is_some() && endpoint.port().is_none() {
            true => host(&args, &endpoint, out).await,
            false => at(&args, endpoint, out).await,
        };
    }
    let model = interface::load_subject(Path::new(&args.what), &args.preprocess, out)?;
    match &args.name {
        None if !model.ndr().is_empty() => ndr::overview(&model, out)?,
        Some(name) if !model.ndr().is_empty() => ndr::detail(&model, name, out)?,
        None => overview(&model, out)?,
        Some(name) => detail(&model, name, out)?,
    }
    Ok(Done::Yes)
}

/// All programs and procedures.
fn overview(model: &Model, out: &Output) -> anyhow::Result<()> {
    if out.is_json() {
        let all: Vec<Value> = interface::procedures(model)
            .map(|found| described(model, &found))
            .collect();
        let types = model
            .items()
            .filter(|(_, item)| !matches!(item.kind, ItemKind::Const(_)));
        let types: Vec<&str> = types.map(|(_, item)| item.name.as_str()).collect();
        return Ok(out.pretty_json(&json!({ "procedures": all, "types": types }))?);
    }
    let paint = out.paint();
    for program in model.programs() {
        out.line(paint.bold(format_args!(
            "program {} = {} ({:#x})",
            program.name, program.number, program.number
        )))?;
        for version in &program.versions {
            out.line(paint.bold(format_args!(
                "  version {} = {}",
                version.name, version.number
            )))?;
            for procedure in &version.procedures {
                procedure_line(model, procedure, out)?;
            }
        }
    }
    if model.programs().is_empty() {
        for (_, item) in model.items() {
            out.line(notation::definition(model, item))?;
        }
    }
    Ok(())
}

fn procedure_line(model: &Model, procedure: &Procedure, out: &Output) -> anyhow::Result<()> {
    let signature = notation::signature(model, procedure);
    out.line(format_args!("    {:>3}  {signature}", procedure.number))?;
    let first = procedure.docs.lines().next().unwrap_or_default();
    if !first.is_empty() {
        out.line(out.paint().dim(format_args!("         {first}")))?;
    }
    Ok(())
}

fn described(model: &Model, found: &Found<'_>) -> Value {
    let Found {
        program,
        version,
        procedure,
    } = found;
    let arg = |arg: &farcall_idl::model::Arg| json!({ "name": arg.name, "type": notation::type_name(model, &arg.ty) });
    json!({
        "program": { "name": program.name, "number": program.number },
        "version": { "name": version.name, "number": version.number },
        "name": procedure.name,
        "number": procedure.number,
        "arguments": procedure.args.iter().map(arg).collect::<Vec<_>>(),
        "result": notation::type_name(model, &procedure.result),
        "idempotent": procedure.properties.idempotent,
        "blocking": procedure.properties.blocking,
        "docs": procedure.docs,
    })
}

/// One procedure, type or constant, with everything it is made of.
fn detail(model: &Model, name: &str, out: &Output) -> anyhow::Result<()> {
    if let Some(id) = model.lookup(name) {
        let ty = Type::Named(id);
        if let ItemKind::Const(_) = model.item(id).kind {
            return Ok(out.line(notation::definition(model, model.item(id)))?);
        }
        let example = notation::example(model, &ty);
        if out.is_json() {
            let definition = notation::definition(model, model.item(id));
            let value = json!({ "name": name, "definition": definition, "example": example });
            return Ok(out.pretty_json(&value)?);
        }
        definitions(model, &[&ty], out)?;
        return Ok(out.line(format_args!("as JSON: {example}"))?);
    }
    match interface::find(model, name, None, None) {
        Ok(found) => procedure_detail(model, &found, out),
        Err(failure) => {
            let names = model.items().map(|(_, item)| item.name.as_str());
            Err(did_you_mean(name, names).map_or(failure, |hint| {
                Failure::new(format!("there is no procedure or type '{name}'")).hint(hint)
            }))?
        }
    }
}

fn procedure_detail(model: &Model, found: &Found<'_>, out: &Output) -> anyhow::Result<()> {
    let procedure = found.procedure;
    let arguments = notation::example_arguments(model, procedure);
    if out.is_json() {
        let mut value = described(model, found);
        value["example"] = arguments;
        return Ok(out.pretty_json(&value)?);
    }
    let (program, version) = (found.program, found.version);
    let place = format!(
        "{} {}, {} {}, procedure {}",
        program.name, program.number, version.name, version.number, procedure.number
    );
    out.line(out.paint().dim(format_args!("/* {place} */")))?;
    if !procedure.docs.is_empty() {
        out.line(format_args!("/* {} */", procedure.docs))?;
    }
    out.line(
        out.paint()
            .bold(format_args!("{};", notation::signature(model, procedure))),
    )?;
    let args = procedure.args.iter().map(|arg| &arg.ty);
    let types: Vec<&Type> = args.chain([&procedure.result]).collect();
    definitions(model, &types, out)?;
    Ok(out.line(format_args!("arguments as JSON: {arguments}"))?)
}

fn definitions(model: &Model, types: &[&Type], out: &Output) -> anyhow::Result<()> {
    for id in notation::items_of(model, types) {
        out.line(notation::definition(model, model.item(id)))?;
    }
    Ok(())
}

/// What a host's rpcbind lists.
async fn host(args: &Args, endpoint: &Endpoint, out: &Output) -> anyhow::Result<Done> {
    let listing = binding::list(&binding::ways(&args.what)?, &args.reach.options()?).await?;
    let wanted = args.name.as_deref().map(programs::parse).transpose()?;
    let rows: Vec<_> = listing
        .rows
        .iter()
        .filter(|row| wanted.is_none_or(|program| row.program == program))
        .collect();
    if out.is_json() {
        let host = endpoint.host().unwrap_or_default();
        let one = |row: &&binding::Row| {
            let endpoint = row.endpoint(host).map(|endpoint| endpoint.to_string());
            json!({ "program": row.program, "version": row.version, "endpoint": endpoint })
        };
        out.pretty_json(&rows.iter().map(one).collect())?;
    } else {
        for line in ls::whole(rows.iter().copied(), &Names::default()).lines() {
            out.line(line)?;
        }
    }
    Ok(if rows.is_empty() { Done::No } else { Done::Yes })
}

/// The interfaces that a server of DCE/RPC says it has; without a port, those of the endpoint mapper itself.
async fn offered(args: &Args, mut endpoint: Endpoint, out: &Output) -> anyhow::Result<Done> {
    if endpoint.port().is_none() && endpoint.host().is_some() {
        endpoint = endpoint.with_port(interfaces::mapper_port(&endpoint));
    }
    let options = args.reach.options_to(&endpoint)?;
    let offered = interfaces::offered(&endpoint, options).await;
    let mut offered = offered.map_err(session::explained)?;
    offered.sort_by_key(|it| (it.uuid.to_string(), it.version));
    let version = |it: &interfaces::Offered| format!("{}.{}", it.version.0, it.version.1);
    if out.is_json() {
        let one = |it: &interfaces::Offered| {
            json!({
                "interface": it.uuid.to_string(),
                "version": version(it),
                "name": interfaces::name(it.uuid),
            })
        };
        out.pretty_json(&offered.iter().map(one).collect())?;
        return Ok(Done::Yes);
    }
    let mut table = Table::new(&["INTERFACE", "VERSION", "NAME"]);
    for it in &offered {
        let name = interfaces::name(it.uuid).unwrap_or("-").to_owned();
        table.row([it.uuid.to_string(), version(it), name]);
    }
    for line in table.lines() {
        out.line(line)?;
    }
    Ok(Done::Yes)
}

/// Which versions of a program answer at an endpoint; without a program, of all that we know.
async fn at(args: &Args, endpoint: Endpoint, out: &Output) -> anyhow::Result<Done> {
    let programs: Vec<u32> = match args.name.as_deref().map(programs::parse).transpose()? {
        Some(program) => vec![program],
        None => programs::all().collect(),
    };
    let options = args.reach.options_to(&endpoint)?;
    let client = peer::connect_through(&endpoint, programs.iter().copied(), &options).await?;
    let mut listed = Vec::new();
    for program in programs {
        if let Some((low, high)) = peer::versions(&client, program).await? {
            listed.push(json!({ "program": program, "name": programs::name(program), "low": low, "high": high }));
            if !out.is_json() {
                out.line(format_args!(
                    "program {} versions {low} to {high}",
                    programs::shown(program)
                ))?;
            }
        }
    }
    if out.is_json() {
        out.pretty_json(&json!({ "endpoint": client.peer(), "answers": listed }))?;
    } else if listed.is_empty() {
        out.message(format_args!(
            "{} speaks ONC RPC, but has none of the programs that were asked for",
            client.peer()
        ));
        if args.name.is_none() {
            out.hint("only well-known programs were tried; name the program by its number");
        }
    }
    Ok(if listed.is_empty() {
        Done::No
    } else {
        Done::Yes
    })
}
