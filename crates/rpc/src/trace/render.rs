//! A waterfall for the terminal: one row a step.

use std::fmt::Write;
use std::time::Duration;

use crate::steps::step::{Row, Steps};

/// What stands beside the bars, in columns: number, title, offset, duration, source.
const BESIDE: usize = 2 + 1 + 22 + 2 + 2 + 10 + 1 + 9 + 2 + 12;

/// The narrowest field of bars, in columns.
const NARROWEST: usize = 8;

/// Draws a call's steps, one row each, in at most `width` columns (but never less than 71).
///
/// A bar begins at its step's instant and ends at the next measured one; numbers are
/// microseconds. The last column says who measured the instant, or that nobody did.
pub fn render(steps: &Steps, width: usize) -> String {
    let columns = width.saturating_sub(BESIDE).max(NARROWEST);
    let whole = steps.elapsed();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "   {:<22}  {:columns$}  {:>10} {:>9}  by",
        "step", "", "at µs", "for µs"
    );
    for row in steps.rows() {
        let line = format!(
            "{:>2} {:<22}  {}  {:>10} {:>9}  {}",
            row.step.number(),
            row.step.title(),
            bar(&row, whole, columns),
            micros(row.offset),
            micros(row.took),
            row.by()
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(
        text,
        "   {:<22}  {:columns$}  {:>10}",
        "altogether",
        "",
        micros(Some(whole))
    );
    text
}

/// Microseconds with one decimal; nothing for what was not measured.
fn micros(duration: Option<Duration>) -> String {
    match duration {
        Some(duration) => format!("{:.1}", duration.as_nanos() as f64 / 1e3),
        None => "-".to_owned(),
    }
}

/// A row's bar, padded to `columns`.
fn bar(row: &Row, whole: Duration, columns: usize) -> String {
    let Some(offset) = row.offset else {
        return " ".repeat(columns);
    };
    let took = row.took.unwrap_or_default();
    let begin = scale(offset, whole, columns).min(columns - 1);
    let end = scale(offset + took, whole, columns).clamp(begin + 1, columns);
    let body = match row.took {
        Some(_) => "█".repeat(end - begin),
        None => "▏".to_owned(),
    };
    format!(
        "{}{body}{}",
        " ".repeat(begin),
        " ".repeat(columns - begin - body.chars().count())
    )
}

/// The column in which a moment of the whole lies.
fn scale(at: Duration, whole: Duration, columns: usize) -> usize {
    let whole = whole.as_nanos().max(1);
    usize::try_from(at.as_nanos() * columns as u128 / whole).unwrap_or(columns)
}

#[cfg(test)]
mod tests;
