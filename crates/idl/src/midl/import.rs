//! All files that a file imports, each once, what is imported before what imports it.
//!
//! A file that cannot be found is warned of, not refused: what it would have defined may not be needed, or be
//! well known. Not done here: `#include`, which the preprocessor does.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::acf;
use super::ast::{File, Import, Statement};
use super::parser::parse;
use super::prelude;
use crate::diag::{Diagnostic, SourceMap};
use crate::model::Passthrough;
use crate::preprocess::{
    MAX_DEPTH, MAX_FILES, MAX_TEXT, MacroConstant, Options, Preprocessed, preprocess_idl,
};

/// One file with everything that it includes.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) file: File,
    pub(super) constants: Vec<MacroConstant>,
    /// Whether another file imported it.
    pub(super) imported: bool,
    /// Whether it is ours: what others define takes precedence.
    pub(super) prelude: bool,
}

/// All files.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// The file that was asked for is the last but the prelude.
    pub(super) units: Vec<Unit>,
    pub(super) sources: SourceMap,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// `cpp_quote` lines of the file that was asked for.
    pub(super) quotes: Vec<Passthrough>,
    /// Whether a well-known file was asked for, and is supplied.
    pub(super) supplied: bool,
    /// Whether a limit was hit.
    pub(super) stopped: bool,
}

/// Reads the text of the file at `path` and all that it imports.
pub(super) fn load(path: &Path, text: String, options: &Options) -> Loaded {
    let mut loader = Loader {
        options,
        seen: HashSet::from([options.files.identity(path)]),
        bytes: 0,
        out: Loaded::default(),
    };
    loader.file(path, text, 0);
    loader.out
}

impl Loaded {
    /// Adds what everybody knows, behind all others.
    pub(super) fn add_prelude(&mut self) {
        for (name, text) in prelude::FILES {
            let id = self.sources.add(*name, *text);
            let mut source = Preprocessed::verbatim(id, text);
            source.sources = std::mem::take(&mut self.sources);
            let (file, errors) = parse(&source);
            self.sources = source.sources;
            self.diagnostics.extend(errors);
            self.units.push(Unit {
                file,
                constants: Vec::new(),
                imported: true,
                prelude: true,
            });
        }
    }
}

struct Loader<'o> {
    options: &'o Options,
    seen: HashSet<PathBuf>,
    bytes: usize,
    out: Loaded,
}

impl Loader<'_> {
    fn file(&mut self, path: &Path, text: String, depth: usize) {
        let sources = std::mem::take(&mut self.out.sources);
        let mut source = preprocess_idl(sources, path, text, self.options);
        self.out.stopped |= source.diagnostics.iter().any(|it| it.code == "E0105");
        let (mut file, errors) = parse(&source);
        self.bytes = self.bytes.saturating_add(source.text.len());
        self.out.sources = std::mem::take(&mut source.sources);
        self.out.diagnostics.append(&mut source.diagnostics);
        self.out.diagnostics.extend(errors);
        if self.out.stopped {
            return;
        }
        if depth == 0 {
            self.quotes(&file);
        }
        self.configuration(path, &mut file);
        let mut imports = Vec::new();
        collect(&file.statements, &mut imports);
        for import in imports {
            self.import(&import, path, depth);
        }
        self.out.units.push(Unit {
            file,
            constants: source.constants,
            imported: depth > 0,
            prelude: false,
        });
    }

    /// Reads the attribute configuration file beside the file, if there is one.
    fn configuration(&mut self, path: &Path, file: &mut File) {
        let path = path.with_extension("acf");
        if !self.options.files.exists(&path) {
            return;
        }
        let Ok(text) = self.options.files.read(&path) else {
            return;
        };
        let sources = std::mem::take(&mut self.out.sources);
        let mut source: Preprocessed = preprocess_idl(sources, &path, text, self.options);
        self.out.sources = std::mem::take(&mut source.sources);
        self.out.diagnostics.append(&mut source.diagnostics);
        let mut found = acf::apply(&source, file);
        self.out.diagnostics.append(&mut found);
    }

    fn import(&mut self, import: &Import, from: &Path, depth: usize) {
        if self.out.stopped {
            return;
        }
        if prelude::is_header(&import.path) {
            self.out.supplied = true;
            return;
        }
        let Some(path) = self.find(&import.path, from) else {
            return self.missing(import);
        };
        if !self.seen.insert(self.options.files.identity(&path)) {
            return;
        }
        if depth == MAX_DEPTH || self.seen.len() > MAX_FILES || self.bytes > MAX_TEXT {
            self.out.stopped = true;
            let message = format!(
                "over {MAX_DEPTH} levels, {MAX_FILES} files or {MAX_TEXT} bytes are imported"
            );
            let error = Diagnostic::error("E0105", import.span, message);
            return self.out.diagnostics.push(error);
        }
        match self.options.files.read(&path) {
            Ok(text) => self.file(&path, text, depth + 1),
            Err(error) => {
                let message = format!("cannot read {:?}: {error}", import.path);
                let error = Diagnostic::error("E0104", import.span, message);
                self.out.diagnostics.push(error);
            }
        }
    }

    /// The file, beside the one that imports it or where includes are looked for.
    fn find(&self, name: &str, from: &Path) -> Option<PathBuf> {
        let beside = from.parent().unwrap_or(Path::new("")).join(name);
        let others = self.options.include.iter().map(|it| it.join(name));
        std::iter::once(beside)
            .chain(others)
            .find(|it| self.options.files.exists(it))
    }

    fn missing(&mut self, import: &Import) {
        let name = &import.path;
        let warning = match prelude::is_well_known(name) {
            true => {
                self.out.supplied = true;
                let message =
                    format!("no file {name:?} to import: its well-known types are supplied");
                Diagnostic::warning("W0501", import.span, message)
            }
            false => {
                Diagnostic::warning("W0502", import.span, format!("no file {name:?} to import"))
            }
        };
        let warning = warning.hint("name its directory with -I");
        self.out.diagnostics.push(warning);
    }

    fn quotes(&mut self, file: &File) {
        let mut open: Vec<&Statement> = file.statements.iter().rev().collect();
        while let Some(statement) = open.pop() {
            match statement {
                Statement::Quote(text, span) => self.out.quotes.push(Passthrough {
                    text: text.clone(),
                    span: *span,
                }),
                Statement::Interface(it) => open.extend(it.body.iter().flatten().rev()),
                _ => {}
            }
        }
    }
}

/// All imports, also those inside of interfaces.
fn collect(statements: &[Statement], imports: &mut Vec<Import>) {
    for statement in statements {
        match statement {
            Statement::Import(import) => imports.push(import.clone()),
            Statement::Interface(it) => collect(it.body.as_deref().unwrap_or(&[]), imports),
            _ => {}
        }
    }
}
