//! What goes on, as text for people: `curl http://127.0.0.1:9464/status`.
//!
//! One screen: what is in force and what is unwise about it, then a line for each virtual connection. Names that clients
//! chose are shown with what is not printable replaced. This file only prints; whoever serves it gathers what is shown.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use crate::config::Fault;
use crate::metrics::Phase;

/// Virtual connections that are shown.
pub const MAX_ROWS: usize = 1000;

/// How full one direction of a virtual connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Direction {
    /// Bytes of RPC so far.
    pub bytes: u64,
    /// Bytes that may be sent before an acknowledgement is needed.
    pub window: u64,
    /// Bytes that wait.
    pub queued: u64,
    /// Bytes of the channel's lifetime that are left.
    pub lifetime: u64,
    /// Channels that were replaced.
    pub recycled: u64,
}

/// A virtual connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number, as the audit log has it.
    pub id: u64,
    /// Who.
    pub who: String,
    /// Whence.
    pub source: IpAddr,
    /// Through which listener.
    pub listener: String,
    /// To what.
    pub target: String,
    /// How far it has come.
    pub phase: Phase,
    /// How long it has been there.
    pub age: Duration,
    /// Calls that were forwarded.
    pub calls: u64,
    /// Calls and binds that were denied.
    pub denied: u64,
    /// Calls that have not ended.
    pub open: usize,
    /// From the client.
    pub inward: Direction,
    /// To the client.
    pub outward: Direction,
}

/// All that is shown.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// How long the proxy has been there.
    pub uptime: Duration,
    /// How often a configuration has come into force.
    pub generation: u64,
    /// Rules of the policy.
    pub rules: usize,
    /// Whether denials are only recorded.
    pub only_records: bool,
    /// Whether it is being drained.
    pub draining: bool,
    /// Connections from outside.
    pub connections: i64,
    /// What is unwise about the configuration, as [`check::warnings`](crate::check::warnings) says.
    pub warnings: Vec<Fault>,
    /// The virtual connections.
    pub rows: Vec<Row>,
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (self.draining, self.only_records) {
            (true, _) => "draining",
            (false, true) => "serving, and denies nothing to its targets",
            (false, false) => "serving",
        };
        writeln!(f, "farcall proxy: {state}, for {}", Short(self.uptime))?;
        writeln!(f, "configuration {}, {} rules", self.generation, self.rules)?;
        let open = self
            .rows
            .iter()
            .filter(|it| it.phase == Phase::Open)
            .count();
        writeln!(
            f,
            "{} connections, {} virtual, of them {open} open",
            self.connections,
            self.rows.len()
        )?;
        for warning in &self.warnings {
            writeln!(f, "WARNING {}", Plain(&warning.to_string()))?;
        }
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:>8}  {:<24} {:<15} {:<16} {:<9} {:>6} {:>7} {:>6} {:>4} {:>9} {:>9} {:>8} {:>8} {:>8} {:>3}",
            "ID",
            "USER",
            "SOURCE",
            "TARGET",
            "PHASE",
            "AGE",
            "CALLS",
            "DENIED",
            "OPEN",
            "IN",
            "OUT",
            "IN-WIN",
            "OUT-WIN",
            "QUEUED",
            "REC"
        )?;
        for row in self.rows.iter().take(MAX_ROWS) {
            write_row(f, row)?;
        }
        match self.rows.len().saturating_sub(MAX_ROWS) {
            0 => Ok(()),
            more => writeln!(f, "and {more} more"),
        }
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    let (inward, outward) = (&row.inward, &row.outward);
    let source = row.source.to_string();
    writeln!(
        f,
        "{:>8}  {:<24} {:<15} {:<16} {:<9} {:>6} {:>7} {:>6} {:>4} {:>9} {:>9} {:>8} {:>8} {:>8} {:>3}",
        row.id,
        Plain(&row.who).to_string(),
        source,
        Plain(&row.target).to_string(),
        row.phase.word(),
        Short(row.age).to_string(),
        row.calls,
        row.denied,
        row.open,
        Bytes(inward.bytes).to_string(),
        Bytes(outward.bytes).to_string(),
        Bytes(inward.window).to_string(),
        Bytes(outward.window).to_string(),
        Bytes(inward.queued.saturating_add(outward.queued)).to_string(),
        inward.recycled.saturating_add(outward.recycled),
    )
}

/// Text without what is not printable.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |c: char| {
            if c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric() {
                c
            } else {
                '?'
            }
        };
        self.0
            .chars()
            .take(256)
            .try_for_each(|c| f.write_char(shown(c)))
    }
}

/// A duration in its largest unit.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds @ 0..=119 => write!(f, "{seconds}s"),
            seconds @ 120..=7199 => write!(f, "{}m", seconds / 60),
            seconds @ 7200..=172_799 => write!(f, "{}h", seconds / 3600),
            seconds => write!(f, "{}d", seconds / 86_400),
        }
    }
}

/// Bytes in a unit that keeps them short.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ 0..=9_999 => write!(f, "{bytes}B"),
            bytes @ 10_000..=10_239_999 => write!(f, "{}KiB", bytes >> 10),
            bytes @ 10_240_000..=10_485_759_999 => write!(f, "{}MiB", bytes >> 20),
            bytes => write!(f, "{}GiB", bytes >> 30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let direction = Direction {
            bytes: 123_456,
            window: 262_144,
            queued: 0,
            lifetime: 1 << 30,
            recycled: 1,
        };
        Row {
            id: 42,
            who: "DOM\\alice".into(),
            source: [192, 0, 2, 1].into(),
            listener: "internet".into(),
            target: "files".into(),
            phase: Phase::Open,
            age: Duration::from_secs(300),
            calls: 17,
            denied: 1,
            open: 2,
            inward: direction,
            outward: direction,
        }
    }

    #[test]
    fn a_screen_says_what_is_in_force_and_who_is_there() {
        let snapshot = Snapshot {
            uptime: Duration::from_secs(90_000),
            generation: 3,
            rules: 12,
            connections: 2,
            rows: vec![row()],
            ..Snapshot::default()
        };
        let text = snapshot.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "farcall proxy: serving, for 25h");
        assert_eq!(lines[1], "configuration 3, 12 rules");
        assert_eq!(lines[2], "2 connections, 1 virtual, of them 1 open");
        let words: Vec<&str> = lines[5].split_whitespace().collect();
        assert_eq!(
            words,
            [
                "42",
                "DOM\\alice",
                "192.0.2.1",
                "files",
                "open",
                "5m",
                "17",
                "1",
                "2",
                "120KiB",
                "120KiB",
                "256KiB",
                "256KiB",
                "0B",
                "2"
            ]
        );
    }

    #[test]
    fn a_name_that_a_client_chose_writes_no_line_of_its_own() {
        let evil = Row {
            who: "a\nfarcall proxy: \u{1b}[31mdown\u{202e}".into(),
            ..row()
        };
        let text = Snapshot {
            rows: vec![evil],
            ..Snapshot::default()
        }
        .to_string();
        assert_eq!(
            text.lines()
                .filter(|it| it.starts_with("farcall proxy"))
                .count(),
            1
        );
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    }

    #[test]
    fn many_are_not_all_shown() {
        let text = Snapshot {
            rows: vec![row(); MAX_ROWS + 5],
            ..Snapshot::default()
        }
        .to_string();
        assert!(text.ends_with("and 5 more\n"));
    }
}
