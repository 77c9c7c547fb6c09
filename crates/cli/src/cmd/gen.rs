//! `farcall gen`: interface files to Rust, and whether the Rust that is checked in is current.

use std::fs;
use std::path::{Path, PathBuf};

use farcall_idl::Config;
use serde_json::json;

use crate::interface::{Preprocess, cannot_be_read, counted, load_subject};
use crate::names;
use crate::output::{Done, Failure, Output};

/// Write Rust for interface files
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Interface files; calc.x becomes calc.rs
    #[arg(required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    preprocess: Preprocess,

    /// Write into this directory [default: the Rust of a single file goes to standard output]
    #[arg(short, long, value_name = "DIR")]
    out_dir: Option<PathBuf>,

    /// Write nothing, but say whether what is there is current (exit code 1 if not)
    #[arg(long)]
    check: bool,

    /// Write no Rust, but one table of the names of programs, procedures, interfaces and operations,
    /// for `farcall ls --names` and the proxy: names.json in the directory, or on standard output
    #[arg(long)]
    names: bool,

    #[command(flatten)]
    shape: Shape,
}

/// What the Rust looks like. A PATH is a type, TYPE.MEMBER, or * for all.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What the Rust looks like (PATH: TYPE, TYPE.MEMBER, or * for all)")]
struct Shape {
    /// Opaque data and strings that are held as Bytes, received without a copy
    #[arg(long, value_name = "PATH")]
    bytes: Vec<String>,

    /// Strings that are held as String; what is not UTF-8 is refused
    #[arg(long, value_name = "PATH")]
    string: Vec<String>,

    /// Types that get a twin that borrows from the message
    #[arg(long, value_name = "TYPE")]
    borrowed: Vec<String>,

    /// Procedures whose server gets arguments that borrow from the message
    #[arg(long, value_name = "PROCEDURE")]
    borrowed_arguments: Vec<String>,

    /// Enums that keep numbers they do not list
    #[arg(long, value_name = "TYPE")]
    open_enum: Vec<String>,

    /// A Rust type that stands for a type of the interface
    #[arg(long, value_name = "TYPE=RUST_PATH", value_parser = pair)]
    extern_path: Vec<(String, String)>,

    /// A Rust type that says the local form of an operation with `call_as`
    #[arg(long, value_name = "OPERATION=RUST_PATH", value_parser = pair)]
    call_as: Vec<(String, String)>,

    /// One more trait to derive
    #[arg(long, value_name = "TYPE=TRAIT", value_parser = pair)]
    derive: Vec<(String, String)>,

    /// Generate no clients
    #[arg(long)]
    no_client: bool,

    /// Generate no servers
    #[arg(long)]
    no_server: bool,

    /// Keep the prefix that all procedures of a version share
    #[arg(long)]
    whole_procedure_names: bool,
}

/// `KEY=VALUE`.
fn pair(text: &str) -> Result<(String, String), Failure> {
    let parts = text.split_once('=');
    let (key, value) = parts.ok_or_else(|| Failure::new("expected TYPE=SOMETHING"))?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Args {
    fn config(&self) -> Config {
        let shape = &self.shape;
        let mut config = Config::new()
            .bytes(shape.bytes.clone())
            .string(shape.string.clone())
            .borrowed(shape.borrowed.clone())
            .borrowed_arguments(shape.borrowed_arguments.clone())
            .open_enums(shape.open_enum.clone());
        for directory in &self.preprocess.include {
            config = config.include(directory);
        }
        for (name, value) in self.preprocess.options().defines {
            config = config.define(name, value.unwrap_or_else(|| "1".to_owned()));
        }
        for (name, path) in &shape.extern_path {
            config = config.extern_path(name, path);
        }
        for (name, path) in &shape.call_as {
            config = config.call_as(name, path);
        }
        for (name, derived) in &shape.derive {
            config = config.derive(name, derived);
        }
        for (wanted, with) in [
            (shape.no_client, Config::no_client as fn(Config) -> Config),
            (shape.no_server, Config::no_server),
            (shape.whole_procedure_names, Config::whole_procedure_names),
        ] {
            config = if wanted { with(config) } else { config };
        }
        config
    }

    fn target(&self, file: &Path) -> PathBuf {
        let directory = self.out_dir.as_deref().unwrap_or(Path::new("."));
        directory
            .join(file.file_stem().unwrap_or_default())
            .with_extension("rs")
    }
}

/// The table of names of all files.
fn run_names(args: &Args, out: &Output) -> anyhow::Result<Done> {
    let mut models = Vec::new();
    for file in &args.files {
        models.push(load_subject(file, &args.preprocess, out)?);
    }
    let table = names::table(models.iter());
    let Some(directory) = &args.out_dir else {
        out.pretty_json(&table)?;
        return Ok(Done::Yes);
    };
    let target = directory.join("names.json");
    let text = format!("{table:#}\n");
    let is_current = fs::read_to_string(&target).is_ok_and(|old| old == text);
    if !is_current && !args.check {
        write(&target, &text)?;
    }
    report(args, &[(target, is_current)], 0, out)
}

pub(crate) fn run(args: &Args, out: &Output) -> anyhow::Result<Done> {
    if args.names {
        return run_names(args, out);
    }
    let to_stdout = args.out_dir.is_none() && !args.check;
    if to_stdout && args.files.len() > 1 {
        return Err(Failure::new(format!(
            "where to write the Rust of {} files?",
            args.files.len()
        ))
        .hint("say it with -o DIR")
        .into());
    }
    refuse_same_target(args)?;
    let config = args.config();
    let mut results = Vec::new();
    let mut bad = 0;
    for file in &args.files {
        let Some(code) = compile(&config, file, out) else {
            bad += 1;
            continue;
        };
        if to_stdout {
            out.text(code)?;
            continue;
        }
        let target = args.target(file);
        let is_current = fs::read_to_string(&target).is_ok_and(|old| old == code);
        if !is_current && !args.check {
            write(&target, &code)?;
        }
        results.push((target, is_current));
    }
    report(args, &results, bad, out)
}

fn refuse_same_target(args: &Args) -> Result<(), Failure> {
    let mut targets: Vec<PathBuf> = args.files.iter().map(|file| args.target(file)).collect();
    targets.sort();
    match targets.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => Err(Failure::new(format!(
            "two files would be written to {}",
            two[0].display()
        ))),
        None => Ok(()),
    }
}

/// The Rust for a file; what is wrong with the file is drawn on standard error.
fn compile(config: &Config, file: &Path, out: &Output) -> Option<String> {
    match config.compile_file(file) {
        Ok(compiled) => {
            if !compiled.warnings.is_empty() {
                out.message(farcall_idl::diag::render_all(
                    &compiled.warnings,
                    &compiled.sources,
                ));
            }
            Some(compiled.code)
        }
        Err(error) => {
            out.message(error);
            None
        }
    }
}

fn write(target: &Path, code: &str) -> Result<(), Failure> {
    if fs::metadata(target).is_ok_and(|there| !there.is_file()) {
        return Err(Failure::new(format!(
            "cannot write {}: it is no regular file",
            target.display()
        )));
    }
    let folder = target.parent().map_or(Ok(()), fs::create_dir_all);
    folder
        .and_then(|()| fs::write(target, code))
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", target.display())))
}

/// Says what was written, or what is not current.
fn report(
    args: &Args,
    results: &[(PathBuf, bool)],
    bad: usize,
    out: &Output,
) -> anyhow::Result<Done> {
    let stale = results.iter().filter(|(_, is_current)| !is_current).count();
    if out.is_json() && !results.is_empty() {
        let one = |(target, is_current): &(PathBuf, bool)| json!({ "file": target, "was_current": is_current });
        out.pretty_json(&results.iter().map(one).collect())?;
    } else {
        for (target, is_current) in results {
            let state = match (is_current, args.check) {
                (true, _) => "is current".to_owned(),
                (false, true) => out.paint().red("is not current"),
                (false, false) => out.paint().green("written"),
            };
            out.line(format_args!("{} {state}", target.display()))?;
        }
    }
    if args.check && stale > 0 {
        out.hint("the same command without --check writes what is missing");
    }
    if bad > 0 {
        out.message(format_args!("{} with errors", counted(bad, "file")));
    }
    if args.files.iter().any(|file| cannot_be_read(file)) {
        return Ok(Done::Untried);
    }
    Ok(if bad > 0 || (args.check && stale > 0) {
        Done::No
    } else {
        Done::Yes
    })
}
