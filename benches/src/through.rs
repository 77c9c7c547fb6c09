//! What a program in the middle costs: the same raw client and the same server of ours over
//! DCE/RPC, directly, through HAProxy, and through the RPC proxy; and what idle virtual
//! connections cost the proxy in user memory.
//!
//! Latency is taken with all programs on one processor, which shows what each adds in software;
//! bulk with the client on one, the server on the other, and the middle where the kernel has it.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use nix::unistd::Pid;

use crate::idle;
use crate::line::{Opener, Way};
use crate::load;
use crate::middle::{self, Middle};
use crate::options::Options;
use crate::pace::Report;
use crate::plan::{self, Effort, Programs};
use crate::process::{Placement, Running};
use crate::results::{Results, Unit};
use crate::sample::{self, Caller};
use crate::shape::{Transport, Work};

/// One way to the server.
struct Route {
    name: &'static str,
    middle: Middle,
    way: Way,
}

const fn route(name: &'static str, middle: Middle, way: Way) -> Route {
    Route { name, middle, way }
}

const ROUTES: &[Route] = &[
    route("direct", Middle::Nothing, Way::Tcp),
    route("haproxy", Middle::Haproxy { tls: false }, Way::Tcp),
    route("farcall-proxy", Middle::Proxy { tls: false }, Way::Http),
    route("haproxy-tls", Middle::Haproxy { tls: true }, Way::Tls),
    route("farcall-proxy-tls", Middle::Proxy { tls: true }, Way::Https),
];

const BULK: usize = 4_096;
const BULK_FLIGHT: usize = 32;

/// Why HAProxy's rows are missing, if they are.
pub(crate) fn left_out() -> Option<&'static str> {
    let there = Middle::Haproxy { tls: false }.is_there();
    (!there).then_some("haproxy: it is not installed")
}

/// One round.
pub(crate) fn round(
    programs: &Programs,
    effort: &Effort,
    (number, results): (usize, &mut Results),
) -> Result<()> {
    let mut routes: Vec<&Route> = ROUTES.iter().filter(|r| r.middle.is_there()).collect();
    if number % 2 == 1 {
        routes.reverse();
    }
    for route in &routes {
        latency(programs, route, effort, results)?;
    }
    added(&routes, results)?;
    for route in &routes {
        bulk(programs, route, effort, results)?;
    }
    for route in routes
        .iter()
        .filter(|r| matches!(r.middle, Middle::Proxy { .. }))
    {
        idle_memory(programs, route, effort, results).context(route.name)?;
    }
    Ok(())
}

fn latency(
    programs: &Programs,
    route: &Route,
    effort: &Effort,
    results: &mut Results,
) -> Result<()> {
    let report = quiet(
        programs,
        route,
        (Work::Null, 1),
        Placement::Same,
        effort,
        results,
    )?;
    let figure = report.p50_ns as f64 / 1e3;
    results.add(
        "through-null-1 [same]",
        route.name,
        Unit::Microseconds,
        figure,
    );
    Ok(())
}

/// What each middle adds to the latency of this round.
fn added(routes: &[&Route], results: &mut Results) -> Result<()> {
    let last = |results: &Results, name: &str| {
        let series = results.find("through-null-1 [same]", name);
        let figure = series.and_then(|series| series.rounds.last().copied());
        figure.with_context(|| format!("no latency of {name}"))
    };
    let direct = last(results, "direct")?;
    for route in routes.iter().filter(|r| r.middle != Middle::Nothing) {
        let figure = last(results, route.name)? - direct;
        results.add(
            "added to null-1 [same]",
            route.name,
            Unit::Microseconds,
            figure,
        );
    }
    Ok(())
}

fn bulk(programs: &Programs, route: &Route, effort: &Effort, results: &mut Results) -> Result<()> {
    let work = (Work::Echo(BULK), BULK_FLIGHT);
    let report = quiet(programs, route, work, Placement::Split, effort, results)?;
    let figure = report.calls as f64 / report.seconds * BULK as f64 / 1e9;
    let name = "through-echo4k-32 [split]";
    results.add(name, route.name, Unit::Gigabytes, figure);
    Ok(())
}

fn quiet(
    programs: &Programs,
    route: &Route,
    work: (Work, usize),
    placement: Placement,
    effort: &Effort,
    results: &mut Results,
) -> Result<Report> {
    let (report, noisy) = sample::again(route.name, effort, || {
        take(programs, route, work, placement, effort)
    })?;
    results.noisy += usize::from(noisy);
    Ok(report)
}

/// The server, what stands before it, and where that listens.
struct Chain {
    _server: Running,
    middle: Option<Running>,
    address: SocketAddr,
    pid: Pid,
}

fn chain(programs: &Programs, route: &Route, placement: Placement) -> Result<Chain> {
    let server = programs.server(plan::OURS_LOAD.server, Work::Null, Transport::Dce)?;
    let mut server = Running::start(&server, placement.server())?;
    let (address, pid) = server.ready()?;
    let mut chain = Chain {
        _server: server,
        middle: None,
        address,
        pid,
    };
    if let Some(program) = route.middle.program(address)? {
        let mut middle = match placement {
            Placement::Same => Running::start(&program, placement.server())?,
            Placement::Split => Running::anywhere(&program)?,
        };
        (chain.address, chain.pid) = middle.ready()?;
        chain.middle = Some(middle);
    }
    Ok(chain)
}

fn take(
    programs: &Programs,
    route: &Route,
    (work, flight): (Work, usize),
    placement: Placement,
    effort: &Effort,
) -> Result<Report> {
    let chain = chain(programs, route, placement)?;
    let client = Caller::new(programs, "load", (work, flight, Transport::Dce))?
        .timed(effort)
        .against(chain.address, chain.pid);
    let client = client.words(&format!("--way {}", route.way));
    let client = client.with("--ca").with(middle::certificate()?);
    let text = Running::start(&client, placement.client())?.output()?;
    serde_json::from_str(&text).with_context(|| format!("the client said {text:?}"))
}

/// What each of many idle virtual connections keeps at the proxy.
fn idle_memory(
    programs: &Programs,
    route: &Route,
    effort: &Effort,
    results: &mut Results,
) -> Result<()> {
    let chain = chain(programs, route, Placement::Same)?;
    let empty = idle::anonymous(chain.pid)?;
    let words = format!(
        "--address {} --connections {} --way {}",
        chain.address, effort.idle, route.way
    );
    let client = programs.program("client", "idle-http")?.words(&words);
    let client = client.with("--ca").with(middle::certificate()?);
    let mut idle = Running::start(&client, Placement::Split.client())?;
    ensure!(
        idle.line()?.trim() == "idle",
        "the connections were not made"
    );
    let each = idle::anonymous(chain.pid)?.saturating_sub(empty) as f64 / effort.idle as f64;
    results.add(
        "idle virtual connections",
        route.name,
        Unit::Kibibytes,
        each,
    );
    Ok(())
}

/// `client idle-http`: many virtual connections that were bound, then silence.
pub(crate) fn client(options: &Options) -> Result<()> {
    let opener = Opener::new(options)?;
    let count: u64 = options.required("connections")?;
    let lines: Vec<_> = (0..count)
        .map(|number| load::bound(opener.open(number)?, Work::Null, Transport::Dce))
        .collect::<Result<_>>()?;
    idle::hold()?;
    drop(lines);
    Ok(())
}
