//! Compilers of interface files (.x and .idl) to one model, and from it to Rust.
//!
//! ```
//! let source = "program P { version V { int DOUBLE(int) = 1; } = 1; } = 0x20000001;";
//! let (model, warnings) = farcall_idl::parse_str("p.x", source, &Default::default())?;
//! assert_eq!(model.programs()[0].versions[0].procedures[0].name, "DOUBLE");
//! assert!(warnings.is_empty());
//! # Ok::<(), farcall_idl::Diagnostics>(())
//! ```
//!
//! Modules, from the ground up:
//!
//! - [`diag`]: places in source files and what is said about them;
//! - [`model`]: the resolved interface, which knows no language;
//! - [`preprocess`]: `#` lines;
//! - [`rpcl`]: the language of `.x` files;
//! - [`midl`]: the languages of `.idl` files;
//! - [`language`]: which of them a file is in;
//! - [`dynamic`]: values without generated code, JSON to XDR and back;
//! - [`config`]: what the caller wants of generated code;
//! - `emit`: from the model to Rust, see [`generate`];
//! - [`compile`]: from files to files, for build scripts.

#[cfg(feature = "model")]
pub mod diag;
#[cfg(feature = "model")]
pub mod model;
#[cfg(feature = "model")]
pub mod preprocess;
#[cfg(feature = "model")]
pub mod rpcl;
#[cfg(feature = "model")]
pub mod midl;
#[cfg(feature = "model")]
pub mod language;

#[cfg(feature = "model")]
pub use diag::{Diagnostic, Diagnostics, FileId, Severity, SourceMap, Span};
#[cfg(feature = "model")]
pub use language::{parse_file, parse_str};
#[cfg(feature = "model")]
pub use model::{ItemId, ItemKind, Model, Type};
#[cfg(feature = "model")]
pub use preprocess::{Files, Options};

#[cfg(feature = "model")]
pub mod dynamic;

#[cfg(feature = "emit")]
pub mod config;
#[cfg(feature = "emit")]
mod emit;
#[cfg(feature = "emit")]
pub mod compile;

#[cfg(feature = "emit")]
pub use compile::Error;
#[cfg(feature = "emit")]
pub use config::Config;
#[cfg(feature = "emit")]
pub use emit::generate;
