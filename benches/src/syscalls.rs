//! System calls for each call, counted by strace: the difference of a long and a short run.

use std::path::Path;

use anyhow::{Context, Result};

use crate::house::available;
use crate::plan::{self, Effort, Peer, Programs};
use crate::process::{Program, Running};
use crate::results::{Results, Unit};
use crate::sample::Caller;
use crate::shape::{Transport, Work};

/// Which end is watched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Server,
    Client,
}

const SERVERS: &[(Peer, usize)] = &[
    (plan::RAW, 1),
    (plan::OURS_LOAD, 1),
    (plan::LIBTIRPC_LOAD, 1),
    (plan::TARPC, 1),
    (plan::TONIC, 1),
    (plan::RAW, 64),
    (plan::OURS_LOAD, 64),
    (plan::LIBTIRPC_LOAD, 64),
    (plan::TARPC, 64),
    (plan::TONIC, 64),
];

const CLIENTS: &[(Peer, usize)] = &[
    (plan::RAW, 1),
    (plan::OURS_BLOCKING, 1),
    (plan::OURS, 1),
    (plan::TARPC, 1),
    (plan::TONIC, 1),
    (plan::RAW, 64),
    (plan::OURS, 64),
    (plan::TARPC, 64),
    (plan::TONIC, 64),
];

/// Counts every row once; `None` where strace is missing.
pub(crate) fn count(programs: &Programs, effort: &Effort, results: &mut Results) -> Result<bool> {
    if !available("strace") {
        return Ok(false);
    }
    for (end, rows) in [(End::Server, SERVERS), (End::Client, CLIENTS)] {
        for &(peer, flight) in rows.iter().filter(|(peer, _)| programs.has(*peer)) {
            let calls = effort.traced * flight.min(8) as u64;
            let run = |calls| total(programs, peer, end, flight, calls);
            let (short, long) = (run(calls)?, run(3 * calls)?);
            let each = (long - short) / (2 * calls) as f64;
            let (side, name) = match end {
                End::Server => ("server", peer.server),
                End::Client => ("client", peer.client),
            };
            let shape = format!("system calls, {side}, {flight} in flight");
            results.add(&shape, name, Unit::SystemCalls, each);
        }
    }
    Ok(true)
}

/// All system calls of one end's life.
fn total(programs: &Programs, peer: Peer, end: End, flight: usize, calls: u64) -> Result<f64> {
    let work = if flight == 1 {
        Work::Null
    } else {
        Work::Echo(32)
    };
    let file = std::env::temp_dir().join(format!("farcall-benches-{}", std::process::id()));
    let mut server = programs.server(peer.server, work, Transport::Tcp)?;
    if end == End::Server {
        server = traced(server, &file);
    }
    let mut server = Running::start(&server, 0)?;
    let (address, pid) = server.ready()?;
    let client = Caller::new(programs, peer.client, (work, flight, Transport::Tcp))?;
    let mut client = client
        .against(address, pid)
        .words(&format!("--calls {calls}"));
    if end == End::Client {
        client = traced(client, &file);
    }
    Running::start(&client, 0)?.output()?;
    server.end_with(pid)?;
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    let line = text.lines().find(|line| line.trim_end().ends_with("total"));
    let line = line.with_context(|| format!("{}: strace printed {text:?}", peer.name))?;
    let count = line.split_whitespace().next().context("an empty line")?;
    Ok(count.parse()?)
}

fn traced(program: Program, file: &Path) -> Program {
    let file = file.display();
    program.under("strace", &format!("-f -c -U calls,name -o {file} --"))
}
