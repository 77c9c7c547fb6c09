//! Times that calls took: collected in a histogram, told as percentiles.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The percentiles that are told.
const TOLD: &[f64] = &[50.0, 90.0, 99.0, 99.9];

/// Times of calls, exact to one in a thousand.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(Histogram::new(3).expect("three digits are allowed"))
    }

    /// One more call took this long.
    pub(crate) fn record(&mut self, took: Duration) {
        // The histogram grows by itself and takes any time up to centuries.
        let _ = self
            .0
            .record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Takes over the times that another has collected.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    /// `min 21 µs, p50 24 µs, … max 80 µs`; says so if there are none.
    pub(crate) fn line(&self) -> String {
        if self.0.is_empty() {
            return "no times: nothing was answered".to_owned();
        }
        let mut parts = vec![format!("min {}", shown(self.0.min()))];
        for percentile in TOLD {
            let value = self.0.value_at_percentile(*percentile);
            parts.push(format!("p{percentile} {}", shown(value)));
        }
        parts.push(format!("max {}", shown(self.0.max())));
        parts.join(", ")
    }

    /// The same in microseconds for programs; null if there are none.
    pub(crate) fn json(&self) -> Value {
        if self.0.is_empty() {
            return Value::Null;
        }
        let at = |percentile| micros(self.0.value_at_percentile(percentile));
        json!({
            "unit": "us",
            "min": micros(self.0.min()),
            "mean": (self.0.mean() / 10.0).round() / 100.0,
            "p50": at(50.0),
            "p90": at(90.0),
            "p99": at(99.0),
            "p99.9": at(99.9),
            "max": micros(self.0.max()),
        })
    }

    /// How many calls fell between one bound and the next: bounds double from just below the
    /// fastest call on.
    pub(crate) fn doubling(&self) -> Vec<(Duration, Duration, u64)> {
        let mut rows: Vec<(u64, u64)> = Vec::new();
        for step in self.0.iter_recorded() {
            let low = 1_u64 << step.value_iterated_to().max(1).ilog2();
            let mut next = rows.last().map_or(low, |row| row.0.saturating_mul(2));
            while next <= low {
                rows.push((next, 0));
                next = next.saturating_mul(2);
            }
            if let Some(row) = rows.last_mut() {
                row.1 += step.count_at_value();
            }
        }
        let time = Duration::from_nanos;
        let row = |(low, count): (u64, u64)| (time(low), time(low.saturating_mul(2)), count);
        rows.into_iter().map(row).collect()
    }
}

/// A time as a person reads it: `870 ns`, `24.3 µs`, `1.20 ms`, `2.5 s`.
pub(crate) fn shown(nanoseconds: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = nanoseconds as f64;
    let (value, unit) = match nanoseconds {
        0..1_000 => return format!("{nanoseconds} ns"),
        1_000..1_000_000 => (value / 1e3, "µs"),
        1_000_000..1_000_000_000 => (value / 1e6, "ms"),
        _ => (value / 1e9, "s"),
    };
    let digits = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.digits$} {unit}")
}

/// A time as a person reads it.
pub(crate) fn shown_duration(time: Duration) -> String {
    shown(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// Microseconds with two digits behind the point.
pub(crate) fn micros(nanoseconds: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "two digits are kept")]
    let hundredths = (nanoseconds / 10) as f64;
    hundredths / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_with_three_digits() {
        for (nanoseconds, text) in [
            (870, "870 ns"),
            (24_300, "24.3 µs"),
            (1_204_000, "1.20 ms"),
            (250_000_000, "250 ms"),
            (2_500_000_000, "2.50 s"),
        ] {
            assert_eq!(shown(nanoseconds), text);
        }
    }

    #[test]
    fn every_call_stands_in_one_row_of_the_histogram() {
        let mut times = Latencies::new();
        for micros in [3, 5, 9, 9, 100] {
            times.record(Duration::from_micros(micros));
        }
        let rows = times.doubling();
        assert_eq!(rows.iter().map(|row| row.2).sum::<u64>(), times.len());
        assert!(times.line().starts_with("min 3.00 µs, p50 "));
        assert_eq!(Latencies::new().json(), Value::Null);
    }
}
