//! The guide's Rust, compiled and run as doc tests.

#[doc = include_str!("../../docs/introduction.md")]
pub mod introduction {}
#[doc = include_str!("../../docs/tutorial.md")]
pub mod tutorial {}
#[doc = include_str!("../../docs/recipes.md")]
pub mod recipes {}
#[doc = include_str!("../../docs/idl.md")]
pub mod idl {}
#[doc = include_str!("../../docs/operations.md")]
pub mod operations {}
#[doc = include_str!("../../docs/reference.md")]
pub mod reference {}
