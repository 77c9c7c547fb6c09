//! Stubs of the standard programs, made by the compiler from `idl/*.x` and `idl/*.idl` and
//! checked in.
//!
//! They are like anyone's: `cargo xtask gen --write` writes them, `cargo xtask gen` tells whether
//! they are current.

/// A small calculator: the program of the demo, the examples and the first tests.
#[rustfmt::skip]
pub mod calc;
/// The conversation manager of connectionless DCE/RPC (C706 appendix P).
#[rustfmt::skip]
pub mod conv;
/// The endpoint mapper (C706 appendix O).
#[rustfmt::skip]
pub mod epmapper;
/// Remote management of DCE/RPC servers (C706 appendix Q).
#[rustfmt::skip]
pub mod mgmt;
/// MOUNT versions 1 and 3: from paths to NFS file handles (RFC 1813, appendix I).
#[rustfmt::skip]
pub mod mount;
/// NFS version 3 (RFC 1813). What READ and WRITE carry is held as `Bytes`.
#[rustfmt::skip]
pub mod nfs3;
/// The port mapper (version 2) and rpcbind (versions 3 and 4), RFC 1833.
#[rustfmt::skip]
pub mod rpcbind;
/// The test interface of the Samba project: ten operations that use most of NDR.
#[rustfmt::skip]
pub mod rpcecho;
