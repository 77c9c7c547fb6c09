//! Interface files: read, and asked for a procedure by what a user calls it.

use std::fs::File;
use std::path::{Path, PathBuf};

use farcall_idl::diag::render_all;
use farcall_idl::model::{Procedure, Program, Version, ndr};
use farcall_idl::{Model, Options, Severity};

use crate::near::did_you_mean;
use crate::output::{Failure, Output};
use crate::programs;

/// How interface files are read.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Preprocess {
    /// Look for included files in this directory, too
    #[arg(short = 'I', value_name = "DIR")]
    pub(crate) include: Vec<PathBuf>,

    /// Define a name for the preprocessor
    #[arg(short = 'D', value_name = "NAME[=VALUE]")]
    pub(crate) define: Vec<String>,
}

impl Preprocess {
    /// As the compiler wants it.
    pub(crate) fn options(&self) -> Options {
        let define = |text: &String| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.clone(), None),
        };
        Options {
            include: self.include.clone(),
            defines: self.define.iter().map(define).collect(),
            ..Options::default()
        }
    }
}

/// The interface file of a command that calls or decodes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Source {
    /// The interface file
    #[arg(long, value_name = "FILE")]
    pub(crate) idl: PathBuf,

    #[command(flatten)]
    pub(crate) preprocess: Preprocess,
}

impl Source {
    /// Reads the file; warnings are not shown, since the file is not what the user works on.
    pub(crate) fn load(&self, out: &Output) -> anyhow::Result<Model> {
        Ok(load(&self.idl, &self.preprocess, out)?)
    }
}

/// Whether a file is not there, or is none that may be read.
pub(crate) fn cannot_be_read(path: &Path) -> bool {
    path.is_dir() || File::open(path).is_err()
}

/// Reads the interface file that a command is about: its errors are the answer.
pub(crate) fn load_subject(
    path: &Path,
    preprocess: &Preprocess,
    out: &Output,
) -> Result<Model, Failure> {
    load(path, preprocess, out).map_err(|failure| match cannot_be_read(path) {
        true => failure,
        false => failure.answer(),
    })
}

/// Reads an interface file; its errors are drawn on standard error.
pub(crate) fn load(path: &Path, preprocess: &Preprocess, out: &Output) -> Result<Model, Failure> {
    match farcall_idl::parse_file(path, &preprocess.options()) {
        Ok((model, _)) => Ok(model),
        Err(diagnostics) => {
            let mut errors = diagnostics.list.clone();
            errors.retain(|diagnostic| diagnostic.severity == Severity::Error);
            out.message(render_all(&errors, &diagnostics.sources));
            let shown = path.display();
            Err(Failure::new(format!(
                "{shown} is no interface: {}",
                counted(errors.len(), "error")
            )))
        }
    }
}

/// An operation of an `.idl` file by its name, `INTERFACE.NAME`, or its number; the letters' case aside.
pub(crate) fn find_operation<'a>(
    model: &'a Model,
    wanted: &str,
) -> Result<(&'a ndr::Interface, &'a ndr::Operation), Failure> {
    let (within, name) = match wanted.rsplit_once('.') {
        Some((within, name)) => (Some(within), name),
        None => (None, wanted),
    };
    let mut candidates: Vec<(&ndr::Interface, &ndr::Operation)> = Vec::new();
    for (_, interface) in model.ndr().interfaces() {
        if within.is_none_or(|within| same(&interface.name, within)) {
            candidates.extend(interface.operations.iter().map(|it| (interface, it)));
        }
    }
    candidates.sort_by_key(|(interface, _)| interface.imported);
    let number = programs::number(name);
    let is_it = |operation: &ndr::Operation| {
        same(&operation.name, name) || number == Some(u32::from(operation.opnum))
    };
    let own = |(interface, operation): &&(&ndr::Interface, &ndr::Operation)| {
        is_it(operation) && !interface.imported
    };
    if let Some(other) = candidates.iter().filter(own).nth(1) {
        let first = candidates
            .iter()
            .find(own)
            .map_or("", |(it, _)| it.name.as_str());
        let message = format!(
            "'{wanted}' is an operation of {first} and of {}",
            other.0.name
        );
        return Err(Failure::new(message).hint(format!("say which: {first}.{name}")));
    }
    if let Some(found) = candidates.iter().find(|(_, operation)| is_it(operation)) {
        return Ok(*found);
    }
    let failure = Failure::new(format!("there is no operation '{wanted}'"));
    let names = candidates
        .iter()
        .map(|(_, operation)| operation.name.as_str());
    Err(match did_you_mean(name, names) {
        Some(hint) => failure.hint(hint),
        None => failure,
    })
}

/// `1 error`, `2 errors`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// A procedure in its version in its program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    /// The program.
    pub(crate) program: &'a Program,
    /// The version.
    pub(crate) version: &'a Version,
    /// The procedure.
    pub(crate) procedure: &'a Procedure,
}

/// All procedures of an interface.
pub(crate) fn procedures(model: &Model) -> impl Iterator<Item = Found<'_>> {
    model.programs().iter().flat_map(|program| {
        program.versions.iter().flat_map(move |version| {
            let found = move |procedure| Found {
                program,
                version,
                procedure,
            };
            version.procedures.iter().map(found)
        })
    })
}

/// Finds a procedure by its name or number, the letters' case and the prefix that all procedures
/// of its version share aside. `VERSION_NAME.PROCEDURE` is understood, too. Several versions may
/// have it: the highest is taken that `program` and `version` allow.
pub(crate) fn find<'a>(
    model: &'a Model,
    wanted: &str,
    program: Option<u32>,
    version: Option<u32>,
) -> Result<Found<'a>, Failure> {
    let (within, name) = match wanted.rsplit_once('.') {
        Some((within, name)) => (Some(within), name),
        None => (None, wanted),
    };
    let allowed = |found: &Found<'_>| {
        let names = [&found.version.name, &found.program.name];
        let inside = within.is_none_or(|within| names.iter().any(|name| same(name, within)));
        inside
            && program.is_none_or(|number| number == found.program.number)
            && version.is_none_or(|number| number == found.version.number)
    };
    let candidates: Vec<Found<'_>> = procedures(model).filter(allowed).collect();
    for is_it in [exact, by_short_name] {
        let hits = candidates.iter().rev().filter(|found| is_it(found, name));
        if let Some(found) = hits.max_by_key(|found| found.version.number) {
            return only_program(&candidates, *found, is_it, name);
        }
    }
    Err(unknown(model, &candidates, name, program, version))
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

fn exact(found: &Found<'_>, wanted: &str) -> bool {
    same(&found.procedure.name, wanted) || programs::number(wanted) == Some(found.procedure.number)
}

fn by_short_name(found: &Found<'_>, wanted: &str) -> bool {
    same(short_name(found), wanted)
}

/// The name without the prefix that the procedures of its version share: `READ` for
/// `NFSPROC3_READ`.
pub(crate) fn short_name<'a>(found: &Found<'a>) -> &'a str {
    let name = found.procedure.name.as_str();
    let shared = |prefix: &str| {
        let mut all = found.version.procedures.iter();
        all.len() > 1 && all.all(|procedure| procedure.name.starts_with(prefix))
    };
    let ends = name.match_indices('_').map(|(at, _)| at + 1);
    let prefix = ends.filter(|end| shared(&name[..*end])).max().unwrap_or(0);
    &name[prefix..]
}

/// Refuses a name that means something in two programs.
fn only_program<'a>(
    candidates: &[Found<'a>],
    found: Found<'a>,
    is_it: fn(&Found<'_>, &str) -> bool,
    wanted: &str,
) -> Result<Found<'a>, Failure> {
    let other = candidates
        .iter()
        .find(|other| other.program.number != found.program.number && is_it(other, wanted));
    match other {
        None => Ok(found),
        Some(other) => Err(Failure::new(format!(
            "'{wanted}' is a procedure of {} and of {}",
            found.program.name, other.program.name
        ))
        .hint(format!(
            "say which: {}.{wanted}, or --program NUMBER",
            found.version.name
        ))),
    }
}

fn unknown(
    model: &Model,
    candidates: &[Found<'_>],
    wanted: &str,
    program: Option<u32>,
    version: Option<u32>,
) -> Failure {
    if model.programs().is_empty() {
        return Failure::new("the interface has types, but no program to call");
    }
    if let Some(failure) = unknown_version(model, program, version) {
        return failure;
    }
    if candidates.is_empty() {
        let number = |number: Option<u32>| number.map_or("any".to_owned(), |n| n.to_string());
        let versions: Vec<String> = model
            .programs()
            .iter()
            .flat_map(|program| {
                let one =
                    |version: &Version| format!("{} version {}", program.number, version.number);
                program.versions.iter().map(one)
            })
            .collect();
        return Failure::new(format!(
            "the interface has no program {} version {} with a '{wanted}'",
            number(program),
            number(version)
        ))
        .hint(format!("it has {}", versions.join(", ")));
    }
    let failure = Failure::new(format!("there is no procedure '{wanted}'"));
    let names = candidates
        .iter()
        .flat_map(|found| [found.procedure.name.as_str(), short_name(found)]);
    match did_you_mean(wanted, names) {
        Some(hint) => failure.hint(hint),
        None => failure.hint(format!("there are {}", some_names(candidates))),
    }
}

/// Says that the program, if only one can be meant, has no such version.
fn unknown_version(model: &Model, program: Option<u32>, version: Option<u32>) -> Option<Failure> {
    let version = version?;
    let meant = |it: &&Program| program.is_none_or(|number| number == it.number);
    let mut programs = model.programs().iter().filter(meant);
    let (Some(one), None) = (programs.next(), programs.next()) else {
        return None;
    };
    let numbers = one.versions.iter().map(|it| it.number);
    let has: Vec<String> = numbers.clone().map(|it| it.to_string()).collect();
    let is_there = numbers.into_iter().any(|it| it == version);
    (!is_there).then(|| {
        Failure::new(format!(
            "the file has no version {version} of {}; it has {}",
            one.name,
            has.join(", ")
        ))
    })
}

/// Up to ten names of procedures.
fn some_names(candidates: &[Found<'_>]) -> String {
    let mut names: Vec<&str> = candidates
        .iter()
        .map(|found| found.procedure.name.as_str())
        .collect();
    names.dedup();
    match names.len() {
        0..=10 => names.join(", "),
        more => format!("{} and {} more", names[..10].join(", "), more - 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let text = "
            program A { version A1 { int P_READ(int) = 1; int P_WRITE(int) = 2; } = 1;
                        version A2 { int P_READ(int) = 1; int P_LINK(int) = 3; } = 2; } = 0x20000001;
            program B { version B1 { void PING(void) = 1; void P_WRITE(int) = 2; } = 1; } = 0x20000002;";
        farcall_idl::parse_str("t.x", text, &Options::default())
            .unwrap()
            .0
    }

    #[test]
    fn a_procedure_is_found_as_a_user_names_it() {
        let model = model();
        let name = |wanted, program, version| {
            let found = find(&model, wanted, program, version);
            found.map(|found| format!("{}.{}", found.version.name, found.procedure.name))
        };
        for (wanted, program, version, expected) in [
            ("P_READ", None, None, "A2.P_READ"),
            ("read", None, None, "A2.P_READ"),
            ("read", None, Some(1), "A1.P_READ"),
            ("A1.read", None, None, "A1.P_READ"),
            ("3", None, None, "A2.P_LINK"),
            ("ping", None, None, "B1.PING"),
            ("P_WRITE", Some(0x2000_0001), None, "A1.P_WRITE"),
            ("b1.p_write", None, None, "B1.P_WRITE"),
        ] {
            assert_eq!(
                name(wanted, program, version).unwrap(),
                expected,
                "{wanted}"
            );
        }
    }

    #[test]
    fn what_is_not_found_is_told_with_what_is_near() {
        let model = model();
        let error = |wanted, version| find(&model, wanted, None, version).unwrap_err();
        assert_eq!(
            error("P_WRITE", None).to_string(),
            "'P_WRITE' is a procedure of A and of B"
        );
        assert_eq!(
            error("raed", None).to_string(),
            "there is no procedure 'raed'"
        );
        assert!(format!("{:?}", error("raed", None)).contains("did you mean READ"));
        assert!(format!("{:?}", error("zzz", None)).contains("there are P_READ, P_WRITE"));
        assert!(format!("{:?}", error("read", Some(9))).contains("536870913 version 1"));
        let of_one = find(&model, "read", Some(0x2000_0001), Some(9)).unwrap_err();
        assert_eq!(
            of_one.to_string(),
            "the file has no version 9 of A; it has 1, 2"
        );
    }
}
