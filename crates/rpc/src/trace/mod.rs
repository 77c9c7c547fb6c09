//! One call seen as its ten steps: made over a socket of its own, recorded, drawn.
//!
//! [`call`] makes a call of a program, [`operation`] one of an interface, and records the client's five instants. A server that was built with a
//! [`Recorder`] records its own five; [`Steps::merge`] joins the two, and [`render`] draws them
//! as a waterfall. The kernel's instants are the kernel's own; where there is none, a row says
//! so.
//!
//! ```no_run
//! # fn example(server: farcall::Server, recorder: farcall::trace::Recorder) -> Result<(), farcall::Error> {
//! use farcall::{Options, stub::Target, trace};
//! let null = Target { program: 0x2000_0c41, version: 1, procedure: 0 };
//! let endpoint = &server.endpoints()[0];
//! let traced = trace::call(endpoint, null, &Options::default(), &(), |_| Ok(()))?;
//! let theirs = recorder.wait(traced.steps.xid, std::time::Duration::from_secs(1));
//! let steps = theirs.and_then(|theirs| trace::Steps::merge(&traced.steps, &theirs));
//! println!("{}", trace::render(&steps.unwrap_or(traced.steps), 80));
//! # Ok(()) }
//! ```

mod call;
mod operation;
mod render;

pub use crate::steps::recorder::{Recorder, Subject};
pub use crate::steps::step::{Instant, Mark, Row, Source, Step, Steps};
pub use call::{Traced, call};
pub use operation::operation;
pub use render::render;
