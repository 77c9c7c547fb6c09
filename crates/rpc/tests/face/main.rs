//! The face, end to end: servers and clients of ours over real sockets.

mod common;
mod toy;
#[cfg(feature = "tls")]
mod authority;

mod awake;
mod back;
mod batches;
mod broadcast;
mod calls;
mod forms;
mod gss;
mod gss_lost;
mod lanes;
mod limits;
mod once;
mod ping;
mod seams;
mod stuck;
mod testkit;
#[cfg(feature = "tls")]
mod tls;
mod shorts;
mod spans;
mod trace;
