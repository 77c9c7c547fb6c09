//! A real, read-write NFS version 3 server with its MOUNT service, for a directory (RFC 1813).
//!
//! The modules, from the ground up: values ([`status`], [`name`], [`handle`], [`attr`]); reaching files without ever leaving
//! the export ([`confine`], [`state`], [`tree`]); who may what ([`caller`], [`principal`], [`network`]); what is kept between calls
//! ([`files`], [`listing`]); the export and the procedures on it ([`export`], [`fs`]); and the list of exports ([`exports`],
//! [`mounts`]).
//!
//! It needs Linux with `/proc`. It does not do locking (NLM), quotas or POSIX access control lists, and it does not enter file
//! systems mounted below an export.

pub mod status;

pub mod name;

pub mod handle;

pub mod attr;

pub mod confine;

pub mod state;

pub mod tree;

pub mod caller;

pub mod network;

pub mod principal;

pub mod files;

pub mod listing;

pub mod export;

pub mod fs;

pub mod exports;

pub mod mounts;

pub mod server;

mod convert;

mod nfs;

mod mount;

pub use server::{BuildError, Builder, Nfs3};
