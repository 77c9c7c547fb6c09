//! What a run gathered: for each shape and peer one figure a round, and ratios formed inside
//! rounds.

use anyhow::{Context, Result};
use serde::Serialize;

/// Which way is better, and what a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Median latency of one call, lower is better.
    Microseconds,
    /// Calls a second, higher is better.
    Calls,
    /// Payload gigabytes a second, higher is better.
    Gigabytes,
    /// Nanoseconds for one whole value, lower is better.
    Nanoseconds,
    /// User memory for each idle connection, lower is better.
    Kibibytes,
    /// System calls for each call, lower is better.
    SystemCalls,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Microseconds => "p50 us",
            Self::Calls => "calls/s",
            Self::Gigabytes => "GB/s",
            Self::Nanoseconds => "ns",
            Self::Kibibytes => "KiB/conn",
            Self::SystemCalls => "syscalls/call",
        }
    }
}

/// One peer in one shape.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Series {
    /// The shape and, where it has one, the placement: `echo32-64 [same]`.
    pub(crate) shape: String,
    pub(crate) peer: String,
    pub(crate) unit: Unit,
    /// One figure a round.
    pub(crate) rounds: Vec<f64>,
    /// CPU microseconds a call, server's and client's, one pair a round.
    pub(crate) cpu: Vec<(f64, f64)>,
}

/// All series, in the order they were first measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    /// Samples that were kept although others used more of the machine than is tolerated.
    pub(crate) noisy: usize,
    pub(crate) series: Vec<Series>,
}

/// A ratio of two series: one value a round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Results {
    pub(crate) fn add(&mut self, shape: &str, peer: &str, unit: Unit, figure: f64) -> &mut Series {
        let known = self
            .series
            .iter()
            .position(|s| s.shape == shape && s.peer == peer);
        let index = known.unwrap_or_else(|| {
            let (shape, peer) = (shape.to_owned(), peer.to_owned());
            self.series.push(Series {
                shape,
                peer,
                unit,
                rounds: Vec::new(),
                cpu: Vec::new(),
            });
            self.series.len() - 1
        });
        let series = &mut self.series[index];
        series.rounds.push(figure);
        series
    }

    pub(crate) fn find(&self, shape: &str, peer: &str) -> Option<&Series> {
        self.series
            .iter()
            .find(|s| s.shape == shape && s.peer == peer)
    }

    /// `over` divided by `under`, round by round.
    pub(crate) fn ratio(&self, shape: &str, over: &str, under: &str) -> Option<Ratio> {
        let (over, under) = (self.find(shape, over)?, self.find(shape, under)?);
        Ratio::of(
            over.rounds
                .iter()
                .zip(&under.rounds)
                .map(|(a, b)| a / b)
                .collect(),
        )
        .ok()
    }
}

impl Series {
    pub(crate) fn median(&self) -> f64 {
        Ratio::of(self.rounds.clone()).map_or(f64::NAN, |all| all.median)
    }

    /// Median CPU microseconds a call, server's and client's.
    pub(crate) fn cpu_median(&self) -> Option<(f64, f64)> {
        let server = Ratio::of(self.cpu.iter().map(|pair| pair.0).collect()).ok()?;
        let client = Ratio::of(self.cpu.iter().map(|pair| pair.1).collect()).ok()?;
        Some((server.median, client.median))
    }
}

impl Ratio {
    pub(crate) fn of(mut values: Vec<f64>) -> Result<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let least = *values.first().context("no rounds")?;
        let most = *values.last().context("no rounds")?;
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Ok(Self {
            median: f64::midpoint(low, high),
            least,
            most,
        })
    }
}
