//! The run as tables for people and as JSON for keeping.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::goals::Verdict;
use crate::house::House;
use crate::results::{Results, Series, Unit};

/// Everything of a run, in the order it is printed.
#[derive(Serialize)]
pub(crate) struct Report<'a> {
    pub(crate) house: &'a House,
    pub(crate) command: String,
    /// Peers that were not there, and why.
    pub(crate) left_out: Vec<String>,
    pub(crate) goals: Vec<Verdict>,
    #[serde(flatten)]
    pub(crate) results: &'a Results,
}

impl Report<'_> {
    pub(crate) fn keep(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))
    }

    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let house = self.house;
        let network = if house.private_network {
            "private network"
        } else {
            "shared loopback"
        };
        let _ = writeln!(
            out,
            "{} at {}: {} x {}, Linux {}, {network}, {}",
            house.date,
            house.revision,
            house.processors,
            house.processor,
            house.kernel,
            house.congestion_control
        );
        for reason in &self.left_out {
            let _ = writeln!(out, "left out: {reason}");
        }
        let samples: usize = self
            .results
            .series
            .iter()
            .map(|series| series.cpu.len())
            .sum();
        if self.results.noisy > 0 {
            let _ = writeln!(
                out,
                "NOISY: others used more than a fifth of the machine in {} of {samples} samples",
                self.results.noisy
            );
        }
        self.tables(&mut out);
        self.goals(&mut out);
        out
    }

    fn tables(&self, out: &mut String) {
        let mut shapes: Vec<&str> = Vec::new();
        for series in &self.results.series {
            if !shapes.contains(&series.shape.as_str()) {
                shapes.push(&series.shape);
            }
        }
        for shape in shapes {
            let rows = self
                .results
                .series
                .iter()
                .filter(|series| series.shape == shape);
            let mut rows: Vec<&Series> = rows.collect();
            let Some(first) = rows.first() else { continue };
            let (unit, timed, base) = (first.unit, !first.cpu.is_empty(), base(&rows));
            rows.sort_by_key(|series| series.peer != base);
            let cpu = if !timed { "" } else { "CPU us/call srv, cli" };
            let (unit, over) = (unit.name(), format!("/ {base}"));
            let _ = writeln!(
                out,
                "\n{shape}\n  {:<18}{unit:>13}  {over:>11}  {:<18}  {cpu}",
                "", "(least..most)"
            );
            for series in rows {
                self.row(out, series, &base);
            }
        }
    }

    fn row(&self, out: &mut String, series: &Series, base: &str) {
        let figure = figure(series.unit, series.median());
        let _ = write!(out, "  {:<18}{figure:>13}", series.peer);
        if let Some(ratio) = self.results.ratio(&series.shape, &series.peer, base) {
            let spread = format!("({:.3}..{:.3})", ratio.least, ratio.most);
            let _ = write!(out, "  {:>11.3}  {spread:<18}", ratio.median);
        }
        if let Some((server, client)) = series.cpu_median() {
            let _ = write!(out, "  {server:.2}, {client:.2}");
        }
        out.push('\n');
    }

    fn goals(&self, out: &mut String) {
        if self.goals.is_empty() {
            return;
        }
        let _ = writeln!(out, "\ngoals");
        for goal in &self.goals {
            let spread = format!("({:.3}..{:.3})", goal.ratio.least, goal.ratio.most);
            let verdict = match goal.reached {
                Some(true) => "reached",
                Some(false) => "NOT REACHED",
                None => "",
            };
            let _ = writeln!(
                out,
                "  {}  {:<47}{:>8}  {:>8.3}  {spread:<18}  {verdict}",
                goal.id, goal.text, goal.bound, goal.ratio.median
            );
        }
    }
}

/// What a shape's ratios divide by: raw, else libtirpc, else whoever comes first.
fn base(rows: &[&Series]) -> String {
    let known = ["raw", "raw-epoll", "load", "libtirpc"];
    let found = known
        .iter()
        .find(|name| rows.iter().any(|series| series.peer == **name));
    found.map_or_else(|| rows[0].peer.clone(), |name| (*name).to_owned())
}

fn figure(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Microseconds | Unit::Gigabytes | Unit::Kibibytes => format!("{value:.2}"),
        Unit::Calls => format!("{:.0} k", value / 1e3),
        Unit::Nanoseconds => format!("{value:.0}"),
        Unit::SystemCalls => format!("{value:.3}"),
    }
}
