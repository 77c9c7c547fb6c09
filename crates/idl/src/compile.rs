//! From interface files to Rust files: what a build script calls.
//!
//! It tells cargo which files the output depends on, and renders diagnostics where the build's
//! output shows them.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::diag::{Diagnostic, Diagnostics, SourceMap, render_all};
use crate::emit::generate;
use crate::language::parse_file;
use crate::preprocess::{Files, Options};

/// Why interface files were not compiled. Its `Debug` is the readable text, because that is what
/// a build script that returns it prints.
pub struct Error(Box<Cause>);

enum Cause {
    /// There is something wrong with the interface.
    Interface(Diagnostics),
    /// There is nowhere to write to.
    NoOutDir,
    /// The output cannot be written.
    Write(PathBuf, std::io::Error),
    /// Two interface files would be written to the same file.
    SameName(PathBuf),
}

impl Error {
    /// What is wrong with the interface, if that is why.
    pub fn diagnostics(&self) -> Option<&Diagnostics> {
        match &*self.0 {
            Cause::Interface(diagnostics) => Some(diagnostics),
            _ => None,
        }
    }
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self(Box::new(cause))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Cause::Interface(diagnostics) => write!(f, "{diagnostics}"),
            Cause::NoOutDir => f.write_str(
                "OUT_DIR is not set\nhint: outside of a build script, say where to with out_dir()",
            ),
            Cause::Write(path, error) => write!(f, "cannot write {}: {error}", path.display()),
            Cause::SameName(path) => {
                write!(f, "two interfaces would be written to {}", path.display())
            }
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            Cause::Write(_, error) => Some(error),
            _ => None,
        }
    }
}

/// A compiled interface.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The Rust.
    pub code: String,
    /// All files that were read.
    pub sources: SourceMap,
    /// What is odd, but no error.
    pub warnings: Vec<Diagnostic>,
}

impl Config {
    /// Compiles interface files into the output directory: `calc.x` becomes `calc.rs`, to be
    /// brought in with `include!(concat!(env!("OUT_DIR"), "/calc.rs"));`.
    ///
    /// # Errors
    /// The first file that is no interface, or that cannot be read or written.
    pub fn compile<I: IntoIterator<Item: AsRef<Path>>>(&self, files: I) -> Result<(), Error> {
        let directory = self.directory()?;
        let mut written: Vec<PathBuf> = Vec::new();
        for file in files {
            let file = file.as_ref();
            println!("cargo:rerun-if-changed={}", file.display());
            let compiled = self.compile_file(file)?;
            for source in compiled.sources.files() {
                println!("cargo:rerun-if-changed={}", source.name);
            }
            warn(&compiled);
            let target = directory.join(file.file_stem().unwrap_or_default());
            let target = target.with_extension("rs");
            if written.contains(&target) {
                return Err(Cause::SameName(target).into());
            }
            write(&target, &compiled.code)?;
            written.push(target);
        }
        Ok(())
    }

    /// Compiles one interface file and writes nothing.
    ///
    /// # Errors
    /// The file cannot be read or is no interface.
    pub fn compile_file(&self, file: impl AsRef<Path>) -> Result<Compiled, Error> {
        let (model, warnings) =
            parse_file(file, &self.options()).map_err(|d| Error::from(Cause::Interface(d)))?;
        Ok(Compiled {
            code: generate(&model, self),
            sources: model.sources().clone(),
            warnings,
        })
    }

    fn directory(&self) -> Result<PathBuf, Error> {
        let directory = self.out_dir.clone();
        let default = || std::env::var_os("OUT_DIR").map(PathBuf::from);
        directory
            .or_else(default)
            .ok_or_else(|| Cause::NoOutDir.into())
    }

    fn options(&self) -> Options {
        let defines = self.define.iter();
        Options {
            include: self.include.clone(),
            defines: defines
                .map(|(name, value)| (name.clone(), Some(value.clone())))
                .collect(),
            files: Files::default(),
        }
    }
}

/// Writes the file, unless it says the same already.
fn write(path: &Path, code: &str) -> Result<(), Error> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == code) {
        return Ok(());
    }
    std::fs::write(path, code).map_err(|error| Cause::Write(path.to_owned(), error).into())
}

/// Shows warnings as cargo shows a build script's.
fn warn(compiled: &Compiled) {
    if compiled.warnings.is_empty() {
        return;
    }
    for line in render_all(&compiled.warnings, &compiled.sources).lines() {
        println!("cargo:warning={line}");
    }
}
