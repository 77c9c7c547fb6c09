//! The RPC language of `.x` files: RFC 4506 section 6 and RFC 5531 section 12, and what rpcgen's
//! users add to it.
//!
//! # The dialect
//!
//! Beyond the RFCs:
//!
//! - a lone `unsigned`; `long`, `short`, `char`, each also `unsigned`; `long` has 32 bits (and
//!   `long long` has 64), `short` and `char` take 4 bytes on the wire;
//! - `struct x`, `union x` and `enum x` as the name of a type;
//! - names that C's headers give to these types, unless the file defines them: `u_int`,
//!   `u_long`, `int32_t`, `uint64_t`, `bool_t`, `quad_t`, `netobj` and so on;
//! - procedures with several arguments, named or not (`rpcgen -N`); `string` without a bound as
//!   an argument or result; pointers and arrays there too;
//! - enums whose values are counted on when none is written;
//! - `%` lines and the preprocessor, see [`preprocess`](crate::preprocess); a `#define` of an
//!   integer is a constant;
//! - a constant, or a value of an enum, wherever a number may stand, before or after its
//!   definition; also the name of a program, version or procedure, and a `%#define`;
//! - types that come from the header in a `%#include`, if the `.x` file that the header was made
//!   from lies beside it (a warning says so); `netobj`, `netbuf`, `des_block`, which C has.
//!
//! # Comments
//!
//! The comment directly in front of a definition, member, value, arm or procedure is its
//! documentation, and so is the comment behind it on the same line; an empty line in between
//! separates. In a procedure's comment these words are promises about it, and are taken out of
//! the documentation:
//!
//! - `@idempotent`: executing the procedure twice is as good as once, so a client may repeat it
//!   and a server need not remember its replies;
//! - `@blocking`: its handler blocks the thread, so a server runs it aside.

pub(crate) mod lexer;
pub(crate) mod ast;
pub(crate) mod parser;
pub(crate) mod lower;
mod foreign;

use std::path::Path;

use self::lower::lower;
use crate::diag::{Diagnostic, Diagnostics, Severity, SourceMap};
use crate::model::Model;
use crate::preprocess::{Options, preprocess};

/// A list of diagnostics is cut off behind so many.
const MOST_DIAGNOSTICS: usize = 100;

/// Compiles the text of a `.x` file that is called `name`; what it includes is looked for beside
/// that name.
///
/// # Errors
/// All errors and warnings, if there is an error.
pub fn parse_str(
    name: &str,
    text: &str,
    options: &Options,
) -> Result<(Model, Vec<Diagnostic>), Diagnostics> {
    let path = Path::new(name);
    let mut source = preprocess(SourceMap::default(), path, text.to_owned(), options);
    let (mut file, mut list) = parser::parse(&source);
    list.append(&mut source.diagnostics);
    if list.iter().any(|d| d.code == "E0105") {
        return Err(Diagnostics {
            list: in_order(list),
            sources: source.sources,
        });
    }
    let (mut model, mut more) = lower(&file, &mut source);
    if more.iter().any(is_undefined)
        && foreign::add_native(&mut file, &mut source.sources, &source.text)
    {
        (model, more) = lower(&file, &mut source);
    }
    if more.iter().any(is_undefined)
        && let Some(warning) = foreign::add_headers(&mut file, &mut source, path, options)
    {
        (model, more) = lower(&file, &mut source);
        more.push(warning);
    }
    if list.iter().any(is_error) {
        // What could not be read is not empty.
        more.retain(|d| d.code != "E0409");
    }
    list.append(&mut more);
    match model {
        Some(model) if !list.iter().any(is_error) => Ok((model, in_order(list))),
        Some(model) => Err(Diagnostics {
            list: in_order(list),
            sources: model.into_sources(),
        }),
        None => Err(Diagnostics {
            list: in_order(list),
            sources: source.sources,
        }),
    }
}

fn is_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Error
}

fn is_undefined(diagnostic: &Diagnostic) -> bool {
    matches!(diagnostic.code, "E0302" | "E0303")
}

/// Errors go first when the list is cut off; what is left is in source order.
fn in_order(mut list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    list.sort_by_key(|d| (!is_error(d), d.span, d.code));
    list.truncate(MOST_DIAGNOSTICS);
    list.sort_by_key(|d| (d.span, d.code));
    list
}
