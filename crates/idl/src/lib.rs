//! Compilers of interface files (.x) to one model, and from it to Rust.
//!
//! Modules, from the ground up:
//!
//! - [`diag`]: places in source files and what is said about them;
//! - [`model`]: the resolved interface, which knows no language.

#[cfg(feature = "model")]
pub mod diag;
#[cfg(feature = "model")]
pub mod model;

#[cfg(feature = "model")]
pub use diag::{Diagnostic, Diagnostics, FileId, Severity, SourceMap, Span};
#[cfg(feature = "model")]
pub use model::{ItemId, ItemKind, Model, Type};
