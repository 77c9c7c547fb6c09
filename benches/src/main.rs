//! Farcall beside raw programs and peers, in one run: see `benches/README.md`.
//!
//! The command starts every server and every client as a process of its own; most of them are
//! roles of this same executable (`role server NAME`, `role client NAME`).

mod shape;
mod pace;
mod options;
mod secure;
mod process;
mod house;
mod raw;
mod line;
mod load;
mod raw_tokio;
mod tirpc;
mod kdc;
mod guarded;
mod samba;
mod results;
mod plan;
mod sample;
mod idle;
mod middle;
mod through;
mod syscalls;
mod closed;
mod ours_dce;
mod ours;
mod codec;
mod grpc;
mod tarpc_peer;
mod goals;
mod report;

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use guarded::Service;
use house::House;
use options::Options;
use ours::Cover;
use plan::{Effort, Programs, SHAPES};
use report::Report;
use results::Results;

const USAGE: &str = "\
usage: cargo run --release --manifest-path benches/Cargo.toml -- [OPTIONS] [FILTER]...

  --quick         three rounds, both ends on one processor
  --smoke         one short round: every program works and every reply is right; no figures
  --rounds N      how many rounds (default 6)
  --json FILE     keep the run
  FILTER          only shapes whose name holds one of these; also `codec`, `idle`, `through`, `syscalls`
";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == "role").is_some() {
        return role(arguments);
    }
    let options = Options::parse(arguments, &["quick", "smoke", "help"])?;
    options.only(&["json", "rounds"])?;
    if options.flag("help") {
        print!("{USAGE}");
        return Ok(());
    }
    house::enter()?;
    idle::allow_many_files()?;
    run(&options)
}

fn run(options: &Options) -> Result<()> {
    let house = House::look();
    secure::build()?;
    let programs = Programs {
        libtirpc: tirpc::build()?,
        kdc: kdc::start()?,
        samba: match wanted(&options.words, "dce-listening") {
            true => samba::build()?,
            false => Err("not asked for".to_owned()),
        },
    };
    let mut left_out = Vec::new();
    if let Err(reason) = &programs.samba
        && wanted(&options.words, "dce-listening")
    {
        left_out.push(format!("samba: {reason}"));
    }
    if let Err(reason) = &programs.kdc {
        left_out.push(format!("RPCSEC_GSS: {reason}"));
    }
    if let Err(reason) = &programs.libtirpc {
        ensure!(std::env::var_os("CI").is_none(), "libtirpc: {reason}");
        left_out.push(format!("libtirpc: {reason}"));
    }
    if let Some(reason) = through::left_out()
        && wanted(&options.words, "through")
    {
        left_out.push(reason.to_owned());
    }
    let mut results = Results::default();
    let effort = effort(options, &house)?;
    for number in 0..effort.rounds {
        eprintln!("round {} of {}", number + 1, effort.rounds);
        round(&programs, &effort, &options.words, (number, &mut results))?;
    }
    if wanted(&options.words, "syscalls") && !syscalls::count(&programs, &effort, &mut results)? {
        left_out.push("system calls: strace is not installed".to_owned());
    }
    let report = Report {
        house: &house,
        command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
        left_out,
        goals: goals::judge(&results),
        results: &results,
    };
    if options.flag("smoke") {
        println!(
            "every program worked and every reply was right: {} series",
            results.series.len()
        );
    } else {
        print!("{}", report.text());
    }
    match options.value::<PathBuf>("json")? {
        Some(file) => report.keep(&file),
        None => Ok(()),
    }
}

fn effort(options: &Options, house: &House) -> Result<Effort> {
    let mut effort = match (options.flag("smoke"), options.flag("quick")) {
        (true, _) => plan::SMOKE,
        (false, true) => plan::QUICK,
        (false, false) => plan::FULL,
    };
    effort.rounds = options.value("rounds")?.unwrap_or(effort.rounds);
    ensure!(effort.rounds > 0, "no rounds, no figures");
    if house.processors == 1 {
        effort.placements = &effort.placements[..1];
    }
    Ok(effort)
}

/// One round over everything that is wanted.
fn round(
    programs: &Programs,
    effort: &Effort,
    filter: &[String],
    (number, results): (usize, &mut Results),
) -> Result<()> {
    for shape in SHAPES.iter().filter(|shape| wanted(filter, shape.name)) {
        for &placement in effort.placements {
            sample::round(programs, shape, placement, effort, (number, results))?;
        }
    }
    if wanted(filter, "codec") {
        codec::round(programs, effort, (number, results))?;
    }
    if wanted(filter, "idle") {
        idle::round(programs, effort, results)?;
    }
    if wanted(filter, "through") {
        through::round(programs, effort, (number, results))?;
    }
    Ok(())
}

fn wanted(filter: &[String], name: &str) -> bool {
    filter.is_empty() || filter.iter().any(|part| name.contains(part.as_str()))
}

/// One end of one sample.
fn role(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    process::die_with_parent()?;
    let kind = arguments.next().unwrap_or_default();
    let name = arguments.next().unwrap_or_default();
    let options = Options::parse(arguments, &[])?;
    let report = match (kind.as_str(), name.as_str()) {
        ("server", "raw") => return raw::blocking(&options),
        ("server", "raw-epoll") => return raw::epoll(&options),
        ("server", "raw-tokio") => return raw_tokio::server(&options),
        ("server", "farcall") => return ours::server(&options, Cover::Clear),
        ("server", "farcall-tls") => return ours::server(&options, Cover::Tls),
        ("server", "farcall-gss") => {
            return ours::server(&options, Cover::Gss(Service::Integrity));
        }
        ("server", "tarpc") => return tarpc_peer::server(&options),
        ("server", "tonic") => return grpc::server(&options),
        ("server", "proxy") => return middle::server(&options),
        ("codec", codec) => return codec::run(codec, &options),
        ("client", "idle") => return idle::client(&options),
        ("client", "idle-http") => return through::client(&options),
        ("client", "idle-tarpc") => return tarpc_peer::idle(&options),
        ("client", "idle-tonic") => return grpc::idle(&options),
        ("client", "load") => load::run(&options)?,
        ("client", "raw-tokio") => raw_tokio::client(&options)?,
        ("client", "farcall") => ours::client(&options, Cover::Clear)?,
        ("client", "farcall-tls") => ours::client(&options, Cover::Tls)?,
        ("client", "farcall-krb5i") => ours::client(&options, Cover::Gss(Service::Integrity))?,
        ("client", "farcall-krb5p") => ours::client(&options, Cover::Gss(Service::Privacy))?,
        ("client", "farcall-blocking") => ours::blocking(&options, Cover::Clear)?,
        ("client", "farcall-tls-blocking") => ours::blocking(&options, Cover::Tls)?,
        ("client", "tarpc") => tarpc_peer::client(&options)?,
        ("client", "tonic") => grpc::client(&options)?,
        _ => bail!("no role {kind} {name}"),
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
