//! Which language a file is in: `.idl` files are DCE's, all others are ONC's.

use std::path::Path;

use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span};
use crate::model::Model;
use crate::preprocess::Options;
use crate::{midl, rpcl};

/// Compiles an interface file to a model, and warnings in source order; an `.acf` file beside an `.idl` file is read along.
///
/// # Errors
/// All errors and warnings, if there is an error.
pub fn parse_file(
    path: impl AsRef<Path>,
    options: &Options,
) -> Result<(Model, Vec<Diagnostic>), Diagnostics> {
    let path = path.as_ref();
    let name = path.to_string_lossy();
    match options.files.read(path) {
        Ok(text) => parse_str(&name, &text, options),
        Err(error) => {
            let mut sources = SourceMap::default();
            let span = Span::new(sources.add(name.clone(), ""), 0, 0);
            let message = format!("cannot read {name:?}: {error}");
            Err(Diagnostics {
                list: vec![Diagnostic::error("E0104", span, message)],
                sources,
            })
        }
    }
}

/// Compiles the text of an interface file that is called `name`; what it includes and imports is looked for
/// beside that name.
///
/// # Errors
/// All errors and warnings, if there is an error.
pub fn parse_str(
    name: &str,
    text: &str,
    options: &Options,
) -> Result<(Model, Vec<Diagnostic>), Diagnostics> {
    match is_idl(Path::new(name)) {
        true => midl::parse_str(name, text, options),
        false => rpcl::parse_str(name, text, options),
    }
}

/// Whether the file is DCE's.
pub fn is_idl(path: &Path) -> bool {
    path.extension()
        .is_some_and(|it| it.eq_ignore_ascii_case("idl"))
}
