//! What the demo tells while it runs, and what it remembers for the summary.

use std::fmt::Display;
use std::io;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::output::{Done, Output};
use crate::table::Table;

/// As much of a text as fits into its column.
pub(super) fn shortened(text: &str, widest: usize) -> String {
    match text.char_indices().nth(widest) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The story so far.
pub(super) struct Report<'a> {
    out: &'a Output,
    begun: Instant,
    acts: Vec<Act>,
    /// What `--json` prints in the end.
    facts: Map<String, Value>,
}

/// One part of the demo.
struct Act {
    title: String,
    checks: Vec<Check>,
    /// What the summary says of it besides.
    note: String,
}

/// One thing that was looked at.
struct Check {
    what: String,
    failure: Option<String>,
}

impl<'a> Report<'a> {
    pub(super) fn new(out: &'a Output) -> Self {
        Self {
            out,
            begun: Instant::now(),
            acts: Vec::new(),
            facts: Map::new(),
        }
    }

    /// Begins a part.
    pub(super) fn act(&mut self, title: &str, what: &str) -> io::Result<()> {
        let number = self.acts.len() + 1;
        if number > 1 {
            self.line("")?;
        }
        let head = format!("{number}  {title}");
        self.acts.push(Act {
            title: title.to_owned(),
            checks: Vec::new(),
            note: String::new(),
        });
        self.line(self.out.paint().bold(head))?;
        self.line(self.out.paint().dim(format_args!("   {what}")))
    }

    /// Prints a line, unless a program reads.
    pub(super) fn line(&self, text: impl Display) -> io::Result<()> {
        match self.out.is_json() {
            true => Ok(()),
            false => self.out.line(text),
        }
    }

    /// Prints a table, indented.
    pub(super) fn table(&self, table: &Table) -> io::Result<()> {
        for (index, line) in table.lines().enumerate() {
            let line = format!("   {line}");
            match index {
                0 => self.line(self.out.paint().bold(line))?,
                _ => self.line(line)?,
            }
        }
        Ok(())
    }

    /// Prints a text of several lines, indented.
    pub(super) fn block(&self, text: &str) -> io::Result<()> {
        text.lines()
            .try_for_each(|line| self.line(format_args!("   {line}")))
    }

    /// Remembers how something came out. A failure is told at once.
    pub(super) fn check(
        &mut self,
        what: impl Into<String>,
        result: Result<(), String>,
    ) -> io::Result<()> {
        let what = what.into();
        let failure = result.err();
        if let Some(why) = &failure {
            let label = self.out.paint().red("FAILED");
            self.line(format_args!("   {label} {what}: {why}"))?;
        }
        if let Some(act) = self.acts.last_mut() {
            act.checks.push(Check { what, failure });
        }
        Ok(())
    }

    /// Remembers what the summary says of this part.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        if let Some(act) = self.acts.last_mut() {
            act.note = note.into();
        }
    }

    /// Remembers a fact for programs.
    pub(super) fn fact(&mut self, name: &str, value: Value) {
        self.facts.insert(name.to_owned(), value);
    }

    /// Tells how it all came out.
    pub(super) fn end(mut self) -> io::Result<Done> {
        let took = self.begun.elapsed();
        let failed = self.acts.iter().flat_map(Act::failures).count();
        if self.out.is_json() {
            self.facts.insert("ok".to_owned(), json!(failed == 0));
            self.facts.insert("checks".to_owned(), self.checks());
            self.out.pretty_json(&Value::Object(self.facts.clone()))?;
        } else {
            self.summary(took, failed)?;
        }
        Ok(match failed {
            0 => Done::Yes,
            _ => Done::No,
        })
    }

    fn summary(&self, took: Duration, failed: usize) -> io::Result<()> {
        self.line("")?;
        self.line(self.out.paint().bold("Summary"))?;
        let mut table = Table::new(&["PART", "CHECKS", "RESULT", "NOTE"]);
        for act in &self.acts {
            let bad = act.failures().count();
            let result = match bad {
                0 => "ok".to_owned(),
                _ => format!("{bad} FAILED"),
            };
            let checks = act.checks.len().to_string();
            table.row([act.title.clone(), checks, result, act.note.clone()]);
        }
        self.table(&table)?;
        for (act, check) in self.acts.iter().flat_map(Act::failures) {
            let why = check.failure.as_deref().unwrap_or_default();
            let label = self.out.paint().red("FAILED");
            self.line(format_args!("   {label} {act}: {}: {why}", check.what))?;
        }
        let all: usize = self.acts.iter().map(|act| act.checks.len()).sum();
        let end = match failed {
            0 => self
                .out
                .paint()
                .green(format_args!("{all} checks, all as they should be")),
            _ => self
                .out
                .paint()
                .red(format_args!("{failed} of {all} checks failed")),
        };
        self.line(format_args!("   {end}, in {:.2} s", took.as_secs_f64()))
    }

    fn checks(&self) -> Value {
        let check = |act: &Act, check: &Check| {
            json!({
                "part": act.title,
                "what": check.what,
                "ok": check.failure.is_none(),
                "failure": check.failure,
            })
        };
        let all = self
            .acts
            .iter()
            .flat_map(|act| act.checks.iter().map(move |one| check(act, one)));
        Value::Array(all.collect())
    }
}

impl Act {
    fn failures(&self) -> impl Iterator<Item = (&str, &Check)> {
        let failed = self.checks.iter().filter(|check| check.failure.is_some());
        failed.map(|check| (self.title.as_str(), check))
    }
}
