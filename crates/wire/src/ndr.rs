//! NDR and NDR64: the bytes of a DCE/RPC call's parameters.
//!
//! Read first: [C706] chapter 14 (NDR), [MS-RPCE] sections 2.2.4 (extensions of NDR) and 2.2.5
//! (NDR64).
//!
//! One set of codecs serves both syntaxes in both byte orders; which of them it is, the
//! [`Reader`] and the [`Writer`] know at run time. A value is walked twice: the *flat* walk
//! writes what lies in place, with an identifier where a pointer lies; the *referents* walk
//! writes what the pointers point at, depth first. Decoding fills a value made by `Default` in
//! the same two walks.
//!
//! Modules, from the ground up: [`syntax`], [`write`](mod@write) and [`read`].
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce/

#![allow(dead_code)]

pub mod syntax;
pub mod write;
pub mod read;

pub use read::Reader;
pub use syntax::{Align, Mode, Order, Syntax};
pub use write::Writer;
