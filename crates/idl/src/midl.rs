//! The languages of `.idl` files: C706 (with its attribute configuration files), MIDL, and pidl.
//!
//! One grammar reads all three. Beyond what they share:
//!
//! - C706: an `.acf` beside the `.idl` is read along: binding handles, status parameters, `encode` and `decode`,
//!   `represent_as`, `in_line` and so on;
//! - MIDL: `import`, `cpp_quote`, `midl_pragma`, libraries, coclasses, dispinterfaces, modules,
//!   interfaces of objects, `[local]` and `[call_as]`, `SAFEARRAY`, `__int3264`, properties;
//! - pidl: bitmaps, its own scalars and strings, `charset`, `flag`, `relative`, `subcontext`, `value`
//!   and the others, see the attributes' list.
//!
//! Files that an import names and that cannot be found are supplied where they are well known
//! (`wtypes.idl`, `unknwn.idl`, `oaidl.idl`, `ms-dtyp.idl` and their like), with a warning; so are well-known types
//! that nobody defined.

mod attributes;
pub(crate) mod lexer;
pub(crate) mod ast;
pub(crate) mod parser;
mod prelude;
mod acf;
mod import;
mod lower;

pub(crate) use lower::{binary, cut};
use std::path::Path;

use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::model::Model;
use crate::preprocess::Options;

/// A list of diagnostics is cut off behind so many.
const MOST_DIAGNOSTICS: usize = 100;

/// Compiles the text of an `.idl` file that is called `name`; what it includes and imports, and its `.acf`, are
/// looked for beside that name.
///
/// # Errors
/// All errors and warnings, if there is an error.
pub fn parse_str(
    name: &str,
    text: &str,
    options: &Options,
) -> Result<(Model, Vec<Diagnostic>), Diagnostics> {
    let mut loaded = import::load(Path::new(name), text.to_owned(), options);
    if loaded.stopped {
        return Err(Diagnostics {
            list: in_order(loaded.diagnostics),
            sources: loaded.sources,
        });
    }
    let (mut definitions, mut more) = lower::lower(&loaded);
    if loaded.supplied || more.iter().any(misses_something) {
        loaded.add_prelude();
        (definitions, more) = lower::lower(&loaded);
    }
    let mut list = std::mem::take(&mut loaded.diagnostics);
    list.extend(more);
    if !list.iter().any(is_error) && definitions.is_blank() {
        let span = crate::diag::Span::new(crate::diag::FileId(0), 0, 0);
        // A file may be there for what it imports or for C alone.
        list.push(match loaded.units.len() > 1 || !loaded.quotes.is_empty() {
            true => Diagnostic::warning("W0506", span, "the file defines nothing of its own"),
            false => Diagnostic::error("E0505", span, "the file defines nothing"),
        });
    }
    if list.iter().any(is_error) {
        return Err(Diagnostics {
            list: in_order(list),
            sources: loaded.sources,
        });
    }
    let model = Model::with_ndr(definitions, loaded.quotes, loaded.sources);
    Ok((model, in_order(list)))
}

/// Whether what everybody knows may help.
fn misses_something(diagnostic: &Diagnostic) -> bool {
    matches!(diagnostic.code, "E0302" | "E0410" | "W0505")
}

fn is_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Error
}

/// Errors go first when the list is cut off; what is left is in source order.
fn in_order(mut list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    list.sort_by_key(|d| (!is_error(d), d.span, d.code));
    list.dedup();
    list.truncate(MOST_DIAGNOSTICS);
    list.sort_by_key(|d| (d.span, d.code));
    list
}
