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
//! A type with one wire form is a [`Value`]. What attributes make of a field (`size_is`, `unique`,
//! `string`) is a [`Shape`]: small values that nest, such as `Unique(Conformant(n, Plain))`.
//!
//! ```
//! use farcall_wire::ndr::{Conformant, Order, Plain, Reader, Shape as _, Syntax, Unique, Writer};
//!
//! let names: Option<Vec<u16>> = Some(vec![1, 2, 3]);
//! let shape = Unique(Conformant(3, Plain));
//! let mut w = Writer::new(Syntax::Ndr, Order::Little);
//! shape.put_whole(&names, &mut w)?;
//!
//! let mut r = Reader::new(w.stub(), Syntax::Ndr, Order::Little);
//! let read: Option<Vec<u16>> = shape.read(&mut r)?;
//! assert_eq!(read, names);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Modules, from the ground up: [`syntax`], [`write`](mod@write) and [`read`], [`value`],
//! [`shape`], [`pointer`](mod@pointer), [`list`](mod@list), [`array`](mod@array), [`string`], [`union`](mod@union), [`handle`], [`object`], [`pipe`],
//! [`flow`],
//! [`number`], [`blob`],
//! [`pickle`].
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
//! [MS-RPCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpce/

pub mod syntax;
pub mod write;
pub mod read;
pub mod value;
pub mod shape;
pub mod pointer;
pub mod list;
pub mod array;
pub mod string;
pub mod union;
pub mod handle;
pub mod object;
pub mod pipe;
pub mod flow;
pub mod number;
pub mod blob;
pub mod pickle;

pub use array::{
    ANY, Conformant, ConformantVarying, Counted, Dimension, Dimensions, Each, Limited, Matrix,
    Remaining, Sequence, Span, Varying,
};
pub use blob::{
    CountedBlob, Filler, FlaggedString, Header, Relative, RelativeShort, StringArray, StringCounts,
    Subcontext,
};
pub use flow::{Inflow, Outflow, Taken};
pub use handle::{ContextHandle, InterfacePointer};
pub use list::{Chain, Link, List};
pub use number::{
    Computed, DLong, Int3264, Ipv4, UDLong, UDLongR, UInt1632, UInt3264, cut, div, either, element,
    known, rem, shl, shr, text_len,
};
pub use object::{OrpcExtent, OrpcThat, OrpcThis};
pub use pipe::{Chunks, Pipe};
pub use pointer::{Full, FullPointer, Ignored, Ref, Unique};
pub use read::Reader;
pub use shape::{As, Boxed, CallAs, In, Own, Part, Plain, Ranged, Represent, Shape, Via};
pub use string::{ConformantString, Text, VaryingString, WideStr};
pub use syntax::{Align, Mode, Order, Syntax};
pub use union::{Switch, Union, Untagged};
pub use value::{Int, Put, Tag, Take, Value};
pub use write::Writer;
