//! `farcall lint`: what is wrong with interface files, with the place underlined.

use std::path::PathBuf;

use farcall_idl::diag::{Label, render};
use farcall_idl::{Diagnostic, Severity, SourceMap, Span};
use serde_json::{Value, json};

use crate::interface::{Preprocess, cannot_be_read, counted};
use crate::output::{Done, Output};

/// Check interface files and say what is wrong with them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Interface files
    #[arg(required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    preprocess: Preprocess,

    /// Warnings are errors
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(args: &Args, out: &Output) -> anyhow::Result<Done> {
    let (mut errors, mut warnings) = (0, 0);
    let mut listed = Vec::new();
    for file in &args.files {
        let (list, sources) = match farcall_idl::parse_file(file, &args.preprocess.options()) {
            Ok((model, warnings)) => (warnings, model.sources().clone()),
            Err(diagnostics) => (diagnostics.list, diagnostics.sources),
        };
        for diagnostic in &list {
            match diagnostic.severity {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
            }
            match out.is_json() {
                true => listed.push(described(diagnostic, &sources)),
                false => out.line(drawn(diagnostic, &sources, out))?,
            }
        }
    }
    let text = [
        counted(args.files.len(), "file"),
        counted(errors, "error"),
        counted(warnings, "warning"),
    ];
    match out.is_json() {
        true => out.pretty_json(
            &json!({ "errors": errors, "warnings": warnings, "diagnostics": listed }),
        )?,
        false => out.line(text.join(", "))?,
    }
    match errors > 0 || (args.strict && warnings > 0) {
        true if args.files.iter().any(|file| cannot_be_read(file)) => Ok(Done::Untried),
        true => Ok(Done::No),
        false => Ok(Done::Yes),
    }
}

/// A diagnostic as text, its first word in colour.
pub(crate) fn drawn(diagnostic: &Diagnostic, sources: &SourceMap, out: &Output) -> String {
    let text = render(diagnostic, sources);
    let word = diagnostic.severity.to_string();
    let rest = text.strip_prefix(&word).unwrap_or(&text).to_owned();
    let colour = match diagnostic.severity {
        Severity::Error => "1;31",
        Severity::Warning => "1;33",
    };
    format!("{}{rest}", out.paint().sgr(colour, word))
}

fn described(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let label = |label: &Label| {
        let mut place = place(label.span, sources);
        place["message"] = json!(label.message);
        place
    };
    json!({
        "severity": diagnostic.severity.to_string(),
        "code": diagnostic.code,
        "message": diagnostic.message,
        "place": place(diagnostic.span, sources),
        "labels": diagnostic.labels.iter().map(label).collect::<Vec<_>>(),
        "hint": diagnostic.hint,
    })
}

fn place(span: Span, sources: &SourceMap) -> Value {
    let (line, column) = sources.line_column(span);
    let file = sources.file(span.file).map(|file| file.name.as_str());
    json!({ "file": file, "line": line, "column": column })
}
