//! `farcall ls`: what is registered at a host, with its rpcbind and with its endpoint mapper.

use std::collections::{BTreeMap, BTreeSet};

use farcall::{Endpoint, Error};
use serde_json::{Value, json};

use crate::binding::{self, Listing, Row};
use crate::interfaces::{self, MAPPER_PORT};
use crate::names::{Names, Tables};
use crate::output::{Done, Output};
use crate::peer::Reach;
use crate::programs;
use crate::table::Table;

/// List what is registered at a host: programs with its rpcbind, interfaces with its endpoint mapper
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The host, or the endpoint of an rpcbind or of an endpoint mapper
    #[arg(default_value = "127.0.0.1")]
    host: String,

    /// One line for each program
    #[arg(short, long)]
    short: bool,

    /// Only this program, by number or well-known name
    #[arg(short, long, value_parser = programs::parse)]
    program: Option<u32>,

    #[command(flatten)]
    names: Tables,

    #[command(flatten)]
    reach: Reach,
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    let names = args.names.load()?;
    let options = args.reach.options()?;
    if args.host.starts_with("ncac") || args.host.starts_with("ncal") {
        let mapper: Endpoint = args.host.parse()?;
        let mapper = match (mapper.port(), mapper.host()) {
            (None, Some(_)) => mapper.with_port(interfaces::mapper_port(&mapper)),
            _ => mapper,
        };
        let options = args.reach.options_to(&mapper)?;
        let rows = interfaces::list(&mapper, options).await?;
        return tell(None, Some((mapper.to_string(), rows)), (&args, &names), out);
    }
    let ways = binding::ways(&args.host)?;
    let programs = binding::list(&ways, &options);
    if args.host.contains("://") || args.program.is_some() {
        return tell(Some(programs.await?), None, (&args, &names), out);
    }
    let mapper = match &options.mapper {
        Some(mapper) => mapper.clone(),
        None => format!("ncacn_ip_tcp:{}[{MAPPER_PORT}]", args.host).parse()?,
    };
    let (programs, rows) = tokio::join!(programs, interfaces::list(&mapper, options.clone()));
    match (programs, rows) {
        // Nobody there is told as it was before there were two to ask.
        (Err(error), Err(_)) => Err(error.into()),
        (programs, rows) => {
            let told = |error: &Error| tracing::info!(%error, "not listed");
            let programs = programs.inspect_err(told).ok();
            let rows = rows.inspect_err(told).ok();
            tell(
                programs,
                rows.map(|rows| (mapper.to_string(), rows)),
                (&args, &names),
                out,
            )
        }
    }
}

/// What a mapper lists, and which one.
type Mapped = (String, BTreeSet<interfaces::Row>);

fn tell(
    programs: Option<Listing>,
    mapped: Option<Mapped>,
    (args, names): (&Args, &Names),
    out: &Output,
) -> anyhow::Result<Done> {
    let mut programs = programs;
    if let (Some(listing), Some(program)) = (&mut programs, args.program) {
        listing.rows.retain(|row| row.program == program);
    }
    let none = programs.as_ref().is_none_or(|it| it.rows.is_empty());
    if out.is_json() {
        let mut json = programs
            .as_ref()
            .map_or_else(|| json!({}), |listing| described(listing, names));
        if let (Some((mapper, rows)), Some(members)) = (&mapped, json.as_object_mut()) {
            members.insert("mapper".into(), json!(mapper));
            members.insert(
                "interfaces".into(),
                rows.iter().map(|row| shown_row(row, names)).collect(),
            );
        }
        out.pretty_json(&json)?;
    } else {
        if let Some(listing) = &programs {
            match none {
                true => out.message(match args.program {
                    Some(program) => {
                        format!("program {program} is not registered at {}", listing.binder)
                    }
                    None => format!("nothing is registered at {}", listing.binder),
                }),
                false => print(listing, args.short, names, out)?,
            }
        }
        if let Some((mapper, rows)) = &mapped {
            print_mapped(mapper, rows, programs.is_some() && !none, (names, out))?;
        }
    }
    match none && args.program.is_some() {
        true => Ok(Done::No),
        false => Ok(Done::Yes),
    }
}

fn print_mapped(
    mapper: &str,
    rows: &BTreeSet<interfaces::Row>,
    below: bool,
    (names, out): (&Names, &Output),
) -> anyhow::Result<()> {
    if rows.is_empty() {
        out.message(format_args!("nothing is registered at {mapper}"));
        return Ok(());
    }
    if below {
        out.line("")?;
    }
    let mut table = Table::new(&[
        "INTERFACE",
        "VERSION",
        "PROTSEQ",
        "ENDPOINT",
        "NAME",
        "ANNOTATION",
    ]);
    for row in rows {
        table.row([
            row.uuid.to_string(),
            format!("{}.{}", row.version.0, row.version.1),
            row.protseq.clone(),
            row.address.clone(),
            names.interface(row.uuid).unwrap_or("-").to_owned(),
            row.annotation.clone(),
        ]);
    }
    print_table(&table, out)
}

fn shown_row(row: &interfaces::Row, names: &Names) -> Value {
    json!({
        "interface": row.uuid.to_string(),
        "version": format!("{}.{}", row.version.0, row.version.1),
        "protseq": row.protseq,
        "endpoint": row.address,
        "object": row.object.map(|object| object.to_string()),
        "name": names.interface(row.uuid),
        "annotation": row.annotation,
    })
}

fn print(listing: &Listing, short: bool, names: &Names, out: &Output) -> anyhow::Result<()> {
    let table = match short {
        true => grouped(listing.rows.iter(), names),
        false => whole(listing.rows.iter(), names),
    };
    print_table(&table, out)
}

fn print_table(table: &Table, out: &Output) -> anyhow::Result<()> {
    for (index, line) in table.lines().enumerate() {
        match index {
            0 => out.line(out.paint().bold(line))?,
            _ => out.line(line)?,
        }
    }
    Ok(())
}

/// A line for each row.
pub(crate) fn whole<'a>(rows: impl Iterator<Item = &'a Row>, names: &Names) -> Table {
    let mut table = Table::new(&["PROGRAM", "VERSION", "NETID", "ADDRESS", "NAME", "OWNER"]);
    for row in rows {
        table.row([
            row.program.to_string(),
            row.version.to_string(),
            row.netid.clone(),
            row.address.clone(),
            shown_name(row.program, names),
            row.owner.clone(),
        ]);
    }
    table
}

/// What a program has in all its rows.
#[derive(Default)]
struct Group<'a> {
    versions: BTreeSet<u32>,
    netids: BTreeSet<&'a str>,
    owners: BTreeSet<&'a str>,
}

/// A line for each program.
fn grouped<'a>(rows: impl Iterator<Item = &'a Row>, names: &Names) -> Table {
    let mut programs: BTreeMap<u32, Group<'_>> = BTreeMap::new();
    for row in rows {
        let group = programs.entry(row.program).or_default();
        group.versions.insert(row.version);
        group.netids.insert(&row.netid);
        group.owners.insert(&row.owner);
    }
    let joined = |words: BTreeSet<&str>| words.into_iter().collect::<Vec<_>>().join(",");
    let mut table = Table::new(&["PROGRAM", "VERSIONS", "NETIDS", "NAME", "OWNER"]);
    for (program, group) in programs {
        let versions: Vec<String> = group.versions.iter().map(ToString::to_string).collect();
        table.row([
            program.to_string(),
            versions.join(","),
            joined(group.netids),
            shown_name(program, names),
            joined(group.owners),
        ]);
    }
    table
}

fn shown_name(program: u32, names: &Names) -> String {
    names.program(program).unwrap_or("-").to_owned()
}

fn described(listing: &Listing, names: &Names) -> Value {
    let row = |row: &Row| {
        json!({
            "program": row.program,
            "version": row.version,
            "netid": row.netid,
            "address": row.address,
            "name": names.program(row.program),
            "owner": row.owner,
        })
    };
    json!({
        "binder": listing.binder,
        "rpcbind_versions": listing.versions,
        "registered": listing.rows.iter().map(row).collect::<Vec<_>>(),
    })
}
