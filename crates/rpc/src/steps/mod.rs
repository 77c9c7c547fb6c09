//! The ten steps of a call, as instants: what was measured, by whom, and what was not.
//!
//! Read first: "A call in ten steps" in `ARCHITECTURE.md`. A program sees six of the steps
//! itself; the four in which the kernel is the one that knows come from the kernel
//! (`SO_TIMESTAMPING`) or are not there at all: nothing here is ever interpolated. This module
//! records and joins; [`trace`](crate::trace) makes calls and draws them.

pub(crate) mod step;
pub(crate) mod stamp;
pub(crate) mod tap;
pub(crate) mod recorder;
pub(crate) mod stamped;
