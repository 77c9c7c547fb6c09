//! rpcbind and the endpoint mapper on one registry: where programs and interfaces are to be found, for whoever asks.
//!
//! A [`Binder`] answers versions 2, 3 and 4 of program 100000 over UDP, TCP and Unix sockets, as a daemon or
//! inside another process. Registrations come from this machine only, by default over the Unix socket, where the kernel
//! tells who calls, and belong to who made them. What dead processes left behind is taken away.
//!
//! ```no_run
//! # async fn example() -> Result<(), farcall::Error> {
//! let binder = farcall_binder::Binder::builder()
//!     .listen("tcp://127.0.0.1:0")
//!     .listen("udp://127.0.0.1:0")
//!     .start()
//!     .await?;
//! println!("{:?}", binder.endpoints());
//! binder.drain(std::time::Duration::from_secs(1)).await;
//! # Ok(()) }
//! ```
//!
//! Modules, from the ground up:
//!
//! - [`process`]: which process registered something;
//! - [`mapping`]: what is registered, and by whom;
//! - [`element`]: what is registered with the endpoint mapper;
//! - [`store`]: where registrations are kept: a trait, memory, and a file;
//! - [`rate`]: how often one source may ask;
//! - [`statistics`]: what was done;
//! - [`registry`]: who may register what, and what is found;
//! - [`directory`]: who may register what with the endpoint mapper, and what is found;
//! - [`warm`]: rpcbind's own files;
//! - [`sweep`]: what dead processes left behind;
//! - [`indirect`]: calls that are passed on to other programs;
//! - [`rpcbind`]: the three versions of the protocol;
//! - [`epm`]: the endpoint mapper's interface;
//! - [`daemon`]: [`Binder`], the whole on its endpoints.

pub mod process;
pub mod mapping;
pub mod element;
pub mod store;
pub mod rate;
pub mod statistics;
pub mod registry;
pub mod directory;
pub mod warm;
pub mod sweep;
pub mod indirect;
pub mod rpcbind;
pub mod epm;
pub mod daemon;

pub use daemon::{Binder, Builder};
pub use directory::Directory;
pub use element::Element;
pub use mapping::{Mapping, Owner, Slot};
pub use process::Process;
pub use rate::Rate;
pub use registry::{Caller, Policy, Registry};
#[cfg(feature = "embedded")]
pub use store::Embedded;
pub use store::{Memory, Store, StoreError};
