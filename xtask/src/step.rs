//! The steps of a run: each is timed, none stops the others, and a table at the end says what
//! each of them found.

use std::time::{Duration, Instant};

use anyhow::Result;

/// What a step found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Checks or tests that passed.
    pub(crate) passed: u64,
    /// Checks or tests that failed.
    pub(crate) failed: u64,
    /// One line for the table.
    pub(crate) note: String,
}

impl Outcome {
    /// One check that passed.
    pub(crate) fn pass(note: impl Into<String>) -> Self {
        Self {
            passed: 1,
            failed: 0,
            note: note.into(),
        }
    }

    /// One check that failed.
    pub(crate) fn fail(note: impl Into<String>) -> Self {
        Self {
            passed: 0,
            failed: 1,
            note: note.into(),
        }
    }

    /// A step that had nothing to do.
    pub(crate) fn nothing(note: impl Into<String>) -> Self {
        Self {
            passed: 0,
            failed: 0,
            note: note.into(),
        }
    }
}

/// All steps of a run so far.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<(String, Duration, Outcome)>,
}

impl Report {
    /// Runs one step and remembers what came of it; an error counts as one failure.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Outcome>) {
        println!("\n== {name}");
        let begun = Instant::now();
        let outcome = work().unwrap_or_else(|error| {
            println!("error: {error:#}");
            Outcome::fail(first_line(&format!("{error:#}")))
        });
        self.rows.push((name.to_owned(), begun.elapsed(), outcome));
    }

    /// Prints the table and, as the last line, the total; tells whether nothing failed.
    pub(crate) fn finish(self) -> bool {
        println!(
            "\n{:<14} {:>8} {:>7} {:>7}  note",
            "step", "seconds", "passed", "failed"
        );
        let (mut passed, mut failed) = (0, 0);
        for (name, took, outcome) in &self.rows {
            let Outcome {
                passed: good,
                failed: bad,
                note,
            } = outcome;
            println!(
                "{name:<14} {:>8.1} {good:>7} {bad:>7}  {note}",
                took.as_secs_f64()
            );
            passed += good;
            failed += bad;
        }
        let took: Duration = self.rows.iter().map(|row| row.1).sum();
        println!("{:<14} {:>8.1}\n", "all", took.as_secs_f64());
        println!("{passed} passed, {failed} failed");
        failed == 0
    }
}

/// The first line of a text.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
