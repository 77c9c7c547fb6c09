//! Idle connections: what each costs the server in user memory, and what many cost the busy one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use crate::options::Options;
use crate::plan::{self, Effort, Peer, Programs, Shape};
use crate::process::{Placement, Running};
use crate::results::{Results, Unit};
use crate::sample::Caller;
use crate::shape::{Transport, Work, call_template, reply_template};

const SERVERS: &[(Peer, &str)] = &[
    (plan::RAW_EPOLL, "idle"),
    (plan::OURS_LOAD, "idle"),
    (plan::LIBTIRPC_LOAD, "idle"),
    (plan::TARPC, "idle-tarpc"),
    (plan::TONIC, "idle-tonic"),
];

const BUSY: Shape = Shape {
    name: "idle",
    work: Work::Null,
    flight: 64,
    transport: Transport::Tcp,
    peers: &[],
};

/// Room for the connections of both ends; libtirpc sizes its tables by this limit.
pub(crate) fn allow_many_files() -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = 20_000.min(hard);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    }
    Ok(())
}

/// One round: every server with none and with many idle connections.
pub(crate) fn round(programs: &Programs, effort: &Effort, results: &mut Results) -> Result<()> {
    for (peer, idler) in SERVERS.iter().filter(|(peer, _)| programs.has(*peer)) {
        one(programs, *peer, idler, effort, results)
            .with_context(|| format!("idle connections of {}", peer.name))?;
    }
    Ok(())
}

fn one(
    programs: &Programs,
    peer: Peer,
    idler: &str,
    effort: &Effort,
    results: &mut Results,
) -> Result<()> {
    let server = programs.server(peer.server, BUSY.work, BUSY.transport)?;
    let mut server = Running::start(&server, Placement::Split.server())?;
    let (address, pid) = server.ready()?;
    let before = busy(programs, peer, (address, pid), effort)?;
    let empty = anonymous(pid)?;
    let words = format!("--address {address} --connections {}", effort.idle);
    let mut idle = Running::start(&programs.program("client", idler)?.words(&words), 0)?;
    ensure!(
        idle.line()?.trim() == "idle",
        "the idle connections were not made"
    );
    let each = anonymous(pid)?.saturating_sub(empty) as f64 / effort.idle as f64;
    let after = busy(programs, peer, (address, pid), effort)?;
    results.add("idle memory", peer.server, Unit::Kibibytes, each);
    results.add("idle none", peer.server, Unit::Calls, before);
    results.add("idle many", peer.server, Unit::Calls, after);
    Ok(())
}

fn busy(
    programs: &Programs,
    peer: Peer,
    (address, pid): (SocketAddr, Pid),
    effort: &Effort,
) -> Result<f64> {
    let shape = (BUSY.work, BUSY.flight, BUSY.transport);
    let client = Caller::new(programs, peer.client, shape)?
        .timed(effort)
        .against(address, pid);
    let report = Running::start(&client, Placement::Same.client())?.output()?;
    let report: crate::pace::Report = serde_json::from_str(&report)?;
    Ok(report.calls as f64 / report.seconds)
}

/// KiB of anonymous memory, shared pages by their share.
pub(crate) fn anonymous(process: Pid) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss_Anon:"));
    let line = line.context("no Pss_Anon in smaps_rollup")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// `client idle`: many connections to an ONC server, one null call on each, then silence.
pub(crate) fn client(options: &Options) -> Result<()> {
    let address: String = options.required("address")?;
    let call = call_template(Work::Null);
    let expected = reply_template(Work::Null);
    let mut reply = vec![0; expected.len()];
    let mut streams = Vec::new();
    for _ in 0..options.required("connections")? {
        let mut stream = TcpStream::connect(&address)?;
        stream.write_all(&call)?;
        stream.read_exact(&mut reply)?;
        ensure!(reply == expected, "not the reply to a null call");
        streams.push(stream);
    }
    hold()
}

/// Says that all connections stand, and keeps them until the other end of the input closes.
pub(crate) fn hold() -> Result<()> {
    println!("idle");
    let mut nothing = Vec::new();
    std::io::stdin().read_to_end(&mut nothing)?;
    Ok(())
}
