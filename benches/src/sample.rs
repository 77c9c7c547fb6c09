//! One sample: a fresh server and a fresh client, each where it belongs, for one closed loop.

use anyhow::{Context, Result};
use nix::unistd::Pid;

use crate::pace::Report;
use crate::plan::{Effort, Peer, Programs, Shape};
use crate::process::{Noise, Placement, Program, Running};
use crate::results::{Results, Unit};
use crate::shape::{Transport, Work};

/// How often a sample is taken at most.
const ATTEMPTS: usize = 4;

/// The client of one sample, up to the server it talks to.
pub(crate) struct Caller {
    pub(crate) program: Program,
}

impl Caller {
    pub(crate) fn new(
        programs: &Programs,
        name: &str,
        (work, flight, transport): (Work, usize, Transport),
    ) -> Result<Self> {
        let words = format!("--work {work} --flight {flight} --transport {transport}");
        Ok(Self {
            program: programs.program("client", name)?.words(&words),
        })
    }

    /// The clock of a timed sample.
    pub(crate) fn timed(mut self, effort: &Effort) -> Self {
        let (warm, measure) = (effort.warm.as_millis(), effort.measure.as_millis());
        self.program = self
            .program
            .words(&format!("--warm {warm} --measure {measure}"));
        self
    }

    pub(crate) fn against(self, address: std::net::SocketAddr, server: Pid) -> Program {
        self.program
            .words(&format!("--address {address} --server {server}"))
    }
}

/// Runs `peer` once in `shape`.
pub(crate) fn take(
    programs: &Programs,
    shape: &Shape,
    peer: Peer,
    placement: Placement,
    effort: &Effort,
) -> Result<Report> {
    let server = programs.server(peer.server, shape.work, shape.transport)?;
    let mut server = Running::start(&server, placement.server())?;
    let (address, pid) = server.ready()?;
    let work = (shape.work, shape.flight, shape.transport);
    let client = Caller::new(programs, peer.client, work)?
        .timed(effort)
        .against(address, pid);
    let text = Running::start(&client, placement.client())?.output()?;
    serde_json::from_str(&text).with_context(|| format!("the client said {text:?}"))
}

/// As [`take`], in a machine that does little else.
pub(crate) fn quiet(
    programs: &Programs,
    shape: &Shape,
    peer: Peer,
    placement: Placement,
    effort: &Effort,
) -> Result<(Report, bool)> {
    let name = format!("{} {} [{placement}]", shape.name, peer.name);
    again(&name, effort, || {
        take(programs, shape, peer, placement, effort)
    })
}

/// Takes a sample, again when the machine was busy with other things or a datagram was lost. Also
/// says whether the sample that is kept was taken in such company.
pub(crate) fn again(
    name: &str,
    effort: &Effort,
    mut take: impl FnMut() -> Result<Report>,
) -> Result<(Report, bool)> {
    let mut attempt = 1;
    loop {
        let noise = Noise::watch()?;
        let report = take();
        let others = noise.others()?;
        match report {
            Ok(report) if others <= effort.tolerated || attempt == ATTEMPTS => {
                return Ok((report, others > effort.tolerated));
            }
            Ok(_) => eprintln!("{name}: again, others used {others:.2}"),
            Err(error) if attempt == ATTEMPTS => return Err(error.context(name.to_owned())),
            Err(error) => eprintln!("{name}: again, {error:#}"),
        }
        attempt += 1;
    }
}

/// One round over one shape: all its peers in turn, backwards in every other round.
pub(crate) fn round(
    programs: &Programs,
    shape: &Shape,
    placement: Placement,
    effort: &Effort,
    (number, results): (usize, &mut Results),
) -> Result<()> {
    let mut peers: Vec<Peer> = shape
        .peers
        .iter()
        .copied()
        .filter(|p| programs.has(*p))
        .collect();
    if number % 2 == 1 {
        peers.reverse();
    }
    for peer in peers {
        let (report, noisy) = quiet(programs, shape, peer, placement, effort)?;
        let (unit, figure) = figure(shape, &report);
        let calls = report.calls.max(1) as f64 * 1e3;
        let cpu = (
            report.server_cpu_ns as f64 / calls,
            report.client_cpu_ns as f64 / calls,
        );
        let name = format!("{} [{placement}]", shape.name);
        results.noisy += usize::from(noisy);
        results.add(&name, peer.name, unit, figure).cpu.push(cpu);
    }
    Ok(())
}

fn figure(shape: &Shape, report: &Report) -> (Unit, f64) {
    let rate = report.calls as f64 / report.seconds;
    match shape.work {
        Work::Read(n) => (Unit::Gigabytes, rate * n as f64 / 1e9),
        _ if shape.flight == 1 => (Unit::Microseconds, report.p50_ns as f64 / 1e3),
        _ => (Unit::Calls, rate),
    }
}
