//! `farcall ls`: what is registered at a host's rpcbind.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::binding::{self, Listing, Row};
use crate::output::{Done, Output};
use crate::peer::Reach;
use crate::programs;
use crate::table::Table;

/// List what is registered at a host's rpcbind
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The host, or the endpoint of an rpcbind
    #[arg(default_value = "127.0.0.1")]
    host: String,

    /// One line for each program
    #[arg(short, long)]
    short: bool,

    /// Only this program, by number or well-known name
    #[arg(short, long, value_parser = programs::parse)]
    program: Option<u32>,

    #[command(flatten)]
    reach: Reach,
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    let ways = binding::ways(&args.host)?;
    let mut listing = binding::list(&ways, &args.reach.options()?).await?;
    if let Some(program) = args.program {
        listing.rows.retain(|row| row.program == program);
    }
    if out.is_json() {
        out.pretty_json(&described(&listing))?;
    } else if listing.rows.is_empty() {
        out.message(format_args!("nothing is registered at {}", listing.binder));
    } else {
        print(&listing, args.short, out)?;
    }
    match listing.rows.is_empty() && args.program.is_some() {
        true => Ok(Done::No),
        false => Ok(Done::Yes),
    }
}

fn print(listing: &Listing, short: bool, out: &Output) -> anyhow::Result<()> {
    let table = match short {
        true => grouped(listing.rows.iter()),
        false => whole(listing.rows.iter()),
    };
    for (index, line) in table.lines().enumerate() {
        match index {
            0 => out.line(out.paint().bold(line))?,
            _ => out.line(line)?,
        }
    }
    Ok(())
}

/// A line for each row.
pub(crate) fn whole<'a>(rows: impl Iterator<Item = &'a Row>) -> Table {
    let mut table = Table::new(&["PROGRAM", "VERSION", "NETID", "ADDRESS", "NAME", "OWNER"]);
    for row in rows {
        table.row([
            row.program.to_string(),
            row.version.to_string(),
            row.netid.clone(),
            row.address.clone(),
            shown_name(row.program),
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
fn grouped<'a>(rows: impl Iterator<Item = &'a Row>) -> Table {
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
            shown_name(program),
            joined(group.owners),
        ]);
    }
    table
}

fn shown_name(program: u32) -> String {
    programs::name(program).unwrap_or("-").to_owned()
}

fn described(listing: &Listing) -> Value {
    let row = |row: &Row| {
        json!({
            "program": row.program,
            "version": row.version,
            "netid": row.netid,
            "address": row.address,
            "name": programs::name(row.program),
            "owner": row.owner,
        })
    };
    json!({
        "binder": listing.binder,
        "rpcbind_version": listing.version,
        "registered": listing.rows.iter().map(row).collect::<Vec<_>>(),
    })
}
