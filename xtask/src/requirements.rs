//! The ledger of requirements: every row of `conformance/requirements.toml` names a place in the
//! code and a test, and both exist.
//!
//! A row is
//! ```toml
//! [[requirement]]
//! id = "onc-5531-9.2"            # the code at `place` says `req: onc-5531-9.2`
//! section = "RFC 5531 section 9.2"
//! text = "what is required, in our own words"
//! place = "crates/onc/src/msg.rs"
//! test = "crates/onc/src/msg/tests.rs::unknown_version_is_answered"
//! # or, in place of `place` and `test`:
//! left_out = "why"
//! ```

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};

use crate::step::Outcome;
use crate::workspace;

const LEDGER: &str = "conformance/requirements.toml";

/// Checks the ledger and prints what has no test.
///
/// # Errors
/// When the ledger or a file it names cannot be read.
pub(crate) fn check() -> Result<Outcome> {
    let path = workspace::root().join(LEDGER);
    if !path.is_file() {
        return Ok(Outcome::nothing("no ledger yet"));
    }
    let ledger: toml::Table = fs::read_to_string(&path)?.parse().context(LEDGER)?;
    let rows = ledger.get("requirement").and_then(toml::Value::as_array);
    let rows: Vec<Row> = rows.into_iter().flatten().map(Row::read).collect();
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    for row in &rows {
        if !ids.insert(row.id.clone()) {
            faults.push(format!("{}: the id stands twice", row.id));
        }
        row.check(&mut faults)?;
    }
    stray_marks(&ids, &mut faults)?;
    for fault in &faults {
        println!("{LEDGER}: {fault}");
    }
    let left_out = rows.iter().filter(|row| row.left_out.is_some()).count();
    let note = format!("{} requirements, {left_out} left out", rows.len());
    println!("requirements: {note}, {} faults", faults.len());
    Ok(if faults.is_empty() {
        Outcome::pass(note)
    } else {
        Outcome::fail(format!("{} faults", faults.len()))
    })
}

/// One row of the ledger.
struct Row {
    id: String,
    section: String,
    text: String,
    place: Option<String>,
    test: Option<String>,
    left_out: Option<String>,
}

impl Row {
    fn read(row: &toml::Value) -> Self {
        let word = |key: &str| {
            row.get(key)
                .and_then(toml::Value::as_str)
                .map(str::to_owned)
        };
        Self {
            id: word("id").unwrap_or_default(),
            section: word("section").unwrap_or_default(),
            text: word("text").unwrap_or_default(),
            place: word("place"),
            test: word("test"),
            left_out: word("left_out"),
        }
    }

    fn check(&self, faults: &mut Vec<String>) -> Result<()> {
        let id = &self.id;
        if id.is_empty() || self.section.is_empty() || self.text.is_empty() {
            faults.push(format!("{id}: id, section and text must not be empty"));
        }
        if self.left_out.is_some() {
            return Ok(());
        }
        match &self.place {
            None => faults.push(format!(
                "{id}: names no place and no reason to leave it out"
            )),
            Some(place) => self.check_place(place, faults)?,
        }
        match &self.test {
            None => faults.push(format!("{id}: has no test")),
            Some(test) => self.check_test(test, faults)?,
        }
        Ok(())
    }

    fn check_place(&self, place: &str, faults: &mut Vec<String>) -> Result<()> {
        let path = workspace::root().join(place);
        if !path.is_file() {
            faults.push(format!("{}: no file {place}", self.id));
            return Ok(());
        }
        if !marks(&fs::read_to_string(&path)?).any(|id| id == self.id) {
            faults.push(format!(
                "{}: {place} does not say `req: {}`",
                self.id, self.id
            ));
        }
        Ok(())
    }

    fn check_test(&self, test: &str, faults: &mut Vec<String>) -> Result<()> {
        let (file, name) = test.split_once("::").unwrap_or((test, ""));
        let path = workspace::root().join(file);
        let name = name.rsplit("::").next().unwrap_or(name);
        let found = path.is_file() && fs::read_to_string(&path)?.contains(&format!("fn {name}("));
        if name.is_empty() || !found {
            faults.push(format!("{}: no test {test}", self.id));
        }
        Ok(())
    }
}

/// The ids that a source file marks with `req: ID`, several separated by commas.
fn marks(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter_map(|line| line.split_once("// req:"));
    lines.flat_map(|(_, ids)| ids.split(',').map(str::trim))
}

/// Marks in the code that the ledger does not know.
fn stray_marks(ids: &BTreeSet<String>, faults: &mut Vec<String>) -> Result<()> {
    for path in workspace::files(&workspace::root().join("crates"), &["rs"])? {
        let text = fs::read_to_string(&path)?;
        for id in marks(&text).filter(|id| !ids.contains(*id)) {
            faults.push(format!(
                "{}: marks {id}, which has no row",
                workspace::shown(&path)
            ));
        }
    }
    Ok(())
}
