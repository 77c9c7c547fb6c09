//! What an interface file takes from C: with rpcgen undefined types are C's affair, so that stock
//! files use some that only headers define.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::ast::File;
use super::parser::parse;
use crate::diag::{Diagnostic, SourceMap, Span};
use crate::model::Passthrough;
use crate::preprocess::{Options, Preprocessed, preprocess};

// req: rpcl-rpcgen-stock
/// What stock interface files take from `<rpc/...>`: names, and their definitions in our words.
const NATIVE: [(&str, &str); 6] = [
    (
        "authsys_parms",
        "struct authsys_parms { unsigned int stamp; string machinename<255>; unsigned int uid; unsigned int gid; \
         unsigned int gids<16>; };",
    ),
    (
        "opaque_auth",
        "struct opaque_auth { int flavor; opaque body<400>; };",
    ),
    (
        "netbuf",
        "struct netbuf { unsigned int maxlen; opaque buf<>; };",
    ),
    ("netobj", "typedef opaque netobj<1024>;"),
    ("des_block", "typedef opaque des_block[8];"),
    ("MAXNETNAMELEN", "const MAXNETNAMELEN = 255;"),
];

/// At most so many headers are looked for.
const MAX_HEADERS: usize = 16;

/// Adds what C's headers for RPC define and `text` seems to use; whether that is anything.
pub(super) fn add_native(file: &mut File, sources: &mut SourceMap, text: &str) -> bool {
    let before = file.definitions.len();
    for (name, definition) in NATIVE {
        let defined = file.definitions.iter().any(|it| it.name.text == name);
        if defined || !text.contains(name) {
            continue;
        }
        let id = sources.add("<rpc/rpc.h>", definition);
        let (mut more, _) = parse(&Preprocessed::verbatim(id, definition));
        file.definitions.append(&mut more.definitions);
    }
    file.definitions.len() > before
}

/// Adds the types of the `.x` files from which the headers of `%#include` lines were made; a
/// warning if there are any.
pub(super) fn add_headers(
    file: &mut File,
    source: &mut Preprocessed,
    path: &Path,
    options: &Options,
) -> Option<Diagnostic> {
    let mut warning = None;
    let includes: Vec<(Span, PathBuf)> = source.passthrough.iter().filter_map(header).collect();
    for (span, header) in includes.iter().take(MAX_HEADERS) {
        let Some((found, text)) = interface_of(header, path, options) else {
            continue;
        };
        let sources = std::mem::take(&mut source.sources);
        let other = preprocess(sources, &found, text, options);
        let (parsed, _) = parse(&other);
        source.sources = other.sources;
        let known: HashSet<String> = file
            .definitions
            .iter()
            .map(|it| it.name.text.clone())
            .collect();
        let new: Vec<_> = parsed
            .definitions
            .into_iter()
            .filter(|it| !known.contains(&it.name.text))
            .collect();
        file.definitions.extend(new);
        add_native(file, &mut source.sources, &other.text);
        let message = format!("types are taken from {}", found.display());
        let said = Diagnostic::warning("W0307", *span, message)
            .hint("write `#include` in place of `%#include` to say so");
        warning.get_or_insert(said);
    }
    warning
}

/// The header that a `%#include` line names.
fn header(line: &Passthrough) -> Option<(Span, PathBuf)> {
    let directive = line.text.trim_start().strip_prefix('#')?.trim_start();
    let name = directive.strip_prefix("include")?.trim();
    let quoted = name.strip_prefix(['"', '<'])?;
    let name = quoted.get(..quoted.find(['"', '>'])?)?;
    name.ends_with(".h")
        .then(|| (line.span, PathBuf::from(name)))
}

/// The `.x` file of a header's name, beside the interface file or where `#include` looks.
fn interface_of(header: &Path, path: &Path, options: &Options) -> Option<(PathBuf, String)> {
    let name = header.with_extension("x");
    let beside = path
        .parent()
        .unwrap_or(Path::new(""))
        .join(name.file_name()?);
    let others = options
        .include
        .iter()
        .map(|directory| directory.join(&name));
    let mut candidates = std::iter::once(beside)
        .chain(others)
        .filter(|it| it != path);
    candidates.find_map(|it| options.files.read(&it).ok().map(|text| (it, text)))
}
