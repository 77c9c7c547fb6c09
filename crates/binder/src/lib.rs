//! rpcbind on one registry: where programs are to be found, for whoever asks.
//!
//! Registrations come from this machine only and belong to who made them.
//!
//! Modules, from the ground up:
//!
//! - [`mapping`]: what is registered, and by whom;
//! - [`store`]: where registrations are kept: a trait, and memory;
//! - [`registry`]: who may register what, and what is found.

pub mod mapping;
pub mod store;
pub mod registry;

pub use mapping::{Mapping, Owner, Slot};
pub use registry::{Caller, Policy, Registry};
pub use store::{Memory, Store, StoreError};
