//! XDR and NDR over one bounded cursor: the bytes of a call.
//!
//! This is the ground floor of Farcall. It turns values into bytes and bytes into values, and it
//! knows nothing of calls, sockets, clocks or keys. Everything that decodes works on a
//! [`Reader`], which refuses to read, count, allocate or recurse beyond its [`Limits`];
//! everything that encodes first adds up its exact [`Size`] and then fills exactly that many
//! bytes through a [`Writer`].
//!
//! Modules, from the ground up:
//!
//! - [`error`]: what can be wrong with bytes ([`DecodeError`]) and with our own values
//!   ([`EncodeError`]);
//! - [`cursor`]: the bounded reader;
//! - `wide`: loops over many numbers, with the widest instructions there are;
//! - [`write`](mod@write): the size pass and the writer;
//! - [`text`]: [`Str`], a string as XDR means it: bytes;
//! - [`xdr`]: RFC 4506, as the traits [`Encode`] and [`Decode`];
//! - [`compose`]: arrays, optional data and arguments whose parts carry bounds of their own;
//! - [`uuid`]: [`Uuid`], which names interfaces and objects of DCE/RPC;
//! - [`ndr`]: C706 chapter 14 and MS-RPCE's NDR64;
//! - [`transmit`]: the queue of bytes to transmit.

pub mod error;
pub mod cursor;
mod wide;
pub mod write;
pub mod text;
pub mod xdr;
pub mod compose;
pub mod uuid;
pub mod ndr;
pub mod transmit;

pub use bytes::Bytes;
pub use cursor::{Limits, Padding, Reader};
pub use error::{At, DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
pub use text::Str;
pub use transmit::TransmitQueue;
pub use uuid::Uuid;
pub use write::{Size, Writer};
pub use xdr::{Decode, DecodeOwned, Encode, Quadruple};
