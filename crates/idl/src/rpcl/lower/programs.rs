//! Programs, versions, procedures, and the promises in their comments.

use std::collections::HashMap;

use super::Lower;
use super::names::{distance, duplicate};
use crate::diag::{Diagnostic, Span};
use crate::model::{Arg, Procedure, Program, Properties, Type, Version};
use crate::rpcl::ast::{self, Declaration, Name};

/// What stands in a comment, and what it promises.
const PRAGMAS: [&str; 2] = ["@idempotent", "@blocking"];

/// How many other words with an `@` are compared with them, in one comment.
const MAX_PRAGMAS: usize = 100;

/// Names and numbers that are taken, of one kind and in one place.
struct Taken<'n> {
    what: &'static str,
    names: HashMap<&'n str, Span>,
    numbers: HashMap<u32, &'n Name>,
}

impl<'n> Taken<'n> {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            names: HashMap::new(),
            numbers: HashMap::new(),
        }
    }

    // req: rpcl-5531-12.3-unique
    /// Takes both; the errors if one was taken.
    fn take(&mut self, name: &'n Name, number: u32) -> Vec<Diagnostic> {
        let mut errors = Vec::new();
        if let Some(first) = self.names.insert(&name.text, name.span) {
            errors.push(duplicate("E0301", &name.text, name.span, first));
        }
        if let Some(first) = self.numbers.insert(number, name) {
            let what = self.what;
            let message = format!(
                "{what} `{}` has number {number}, as has `{}`",
                name.text, first.text
            );
            let error = Diagnostic::error("E0501", name.span, message);
            errors.push(error.label(first.span, "the same number"));
        }
        errors
    }
}

impl<'a> Lower<'a> {
    pub(super) fn lower_programs(&mut self) -> Vec<Program> {
        let file = self.file;
        let mut numbers: HashMap<u32, &Name> = HashMap::new();
        let mut programs = Vec::new();
        for program in &file.programs {
            let versions = self.versions(program);
            let Some(number) = self.unsigned(&program.number, "the program's number") else {
                continue;
            };
            if let Some(first) = numbers.insert(number, &program.name) {
                let name = &program.name;
                let message = format!(
                    "program `{}` has number {number}, as has `{}`",
                    name.text, first.text
                );
                let error = Diagnostic::error("E0501", name.span, message)
                    .label(first.span, "the same number")
                    .hint("put the versions of both into one program");
                self.diagnostics.push(error);
            }
            let (name, docs) = (program.name.text.clone(), program.docs.clone());
            programs.push(Program {
                number,
                name,
                versions,
                docs,
                span: program.name.span,
            });
        }
        programs
    }

    fn versions(&mut self, program: &'a ast::Program) -> Vec<Version> {
        let mut taken = Taken::new("version");
        let mut versions = Vec::new();
        for version in &program.versions {
            let procedures = self.procedures(version);
            let Some(number) = self.unsigned(&version.number, "the version's number") else {
                continue;
            };
            self.diagnostics.extend(taken.take(&version.name, number));
            let (name, docs) = (version.name.text.clone(), version.docs.clone());
            versions.push(Version {
                number,
                name,
                procedures,
                docs,
                span: version.name.span,
            });
        }
        if program.versions.is_empty() {
            self.error("E0409", program.name.span, "the program has no versions");
        }
        versions.sort_by_key(|version| version.number);
        versions
    }

    fn procedures(&mut self, version: &'a ast::Version) -> Vec<Procedure> {
        let mut taken = Taken::new("procedure");
        let mut procedures = Vec::new();
        for procedure in &version.procedures {
            let number = self.unsigned(&procedure.number, "the procedure's number");
            let result = self.result(&procedure.result);
            self.check_names(procedure.arguments.iter().filter_map(|it| it.name.as_ref()));
            let args: Vec<Arg> = procedure
                .arguments
                .iter()
                .filter_map(|it| self.argument(it))
                .collect();
            let (Some(number), Some(result)) = (number, result) else {
                continue;
            };
            self.diagnostics.extend(taken.take(&procedure.name, number));
            self.check_null(procedure, number, &args, &result);
            let (properties, docs) = self.pragmas(procedure);
            let (name, span) = (procedure.name.text.clone(), procedure.span);
            procedures.push(Procedure {
                number,
                name,
                args,
                result,
                docs,
                properties,
                span,
            });
        }
        procedures.sort_by_key(|procedure| procedure.number);
        procedures
    }

    fn result(&mut self, declaration: &'a Declaration) -> Option<Type> {
        match declaration.is_void() {
            true => Some(Type::Void),
            false => self.ty(declaration),
        }
    }

    fn argument(&mut self, declaration: &'a Declaration) -> Option<Arg> {
        let ty = self.ty(declaration)?;
        let name = declaration.name.as_ref().map(|name| name.text.clone());
        Some(Arg {
            name,
            ty,
            span: declaration.span,
        })
    }

    /// Everybody expects procedure 0 to do nothing (RFC 5531, 12.1).
    fn check_null(&mut self, it: &ast::Procedure, number: u32, args: &[Arg], result: &Type) {
        if number == 0 && !(args.is_empty() && *result == Type::Void) {
            let message = format!(
                "procedure 0 is `{}`, expected one without argument and result",
                it.name.text
            );
            let warning = Diagnostic::warning("W0503", it.name.span, message)
                .hint("number 0 is for void NULL(void), which everything that pings relies on");
            self.diagnostics.push(warning);
        }
    }

    /// What the comment promises, and the comment without it.
    fn pragmas(&mut self, procedure: &ast::Procedure) -> (Properties, String) {
        let words = procedure.docs.split_whitespace().filter_map(pragma);
        let mut properties = Properties::default();
        let mut checked = 0;
        for word in words {
            match word {
                "@idempotent" => properties.idempotent = true,
                "@blocking" => properties.blocking = true,
                other if other.len() < 20 && checked < MAX_PRAGMAS => {
                    checked += 1;
                    self.check_pragma(other, procedure.name.span);
                }
                _ => {}
            }
        }
        (properties, without_pragmas(&procedure.docs))
    }

    fn check_pragma(&mut self, word: &str, span: Span) {
        if let Some(meant) = PRAGMAS.iter().find(|it| distance(it, word) <= 3) {
            let warning = Diagnostic::warning("W0504", span, format!("`{word}` promises nothing"));
            self.diagnostics
                .push(warning.hint(format!("perhaps `{meant}` is meant")));
        }
    }
}

/// The word without punctuation, if it looks like a pragma.
fn pragma(word: &str) -> Option<&str> {
    let word = word.trim_end_matches(['.', ',', ';', ':']);
    word.starts_with('@').then_some(word)
}

fn without_pragmas(docs: &str) -> String {
    let mut lines = Vec::new();
    for line in docs.lines() {
        let known = |word: &&str| pragma(word).is_some_and(|it| PRAGMAS.contains(&it));
        if !line.split_whitespace().any(|word| known(&word)) {
            lines.push(line.to_owned());
            continue;
        }
        let kept: Vec<&str> = line
            .split_whitespace()
            .filter(|word| !known(word))
            .collect();
        if !kept.is_empty() {
            lines.push(kept.join(" "));
        }
    }
    lines.join("\n").trim().to_owned()
}
