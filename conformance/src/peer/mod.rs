//! Real peers as child processes: started, awaited, and ended by their id.
//!
//! A peer's files lie in a scratch folder that goes away with it. A peer is ready when it says
//! so in a line or when its port accepts, never after a fixed time.

pub mod process;
pub mod scratch;
pub mod ours;
pub mod farcall;
pub mod python;
pub mod rpcbind;
pub mod ganesha;
pub mod samba;
pub mod http;
pub mod tirpc;
pub mod torture;
pub mod tshark;
pub mod talk;
pub mod kdc;

pub use farcall::Farcall;
pub use ours::Ours;
pub use process::Process;
pub use scratch::Scratch;

use std::path::{Path, PathBuf};

/// Where peers keep what is costly to make: below `target/`.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers")
}

/// Where a program lies, in the folders of daemons too.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let mut places = std::env::split_paths(&path).chain(daemons);
    places.find_map(|folder| Some(folder.join(program)).filter(|path| path.is_file()))
}

/// Whether all of these programs are here; says what is missing.
///
/// # Panics
/// In continuous integration, when one is missing.
pub fn available(programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|name| find(name).is_none())
        .collect();
    if !missing.is_empty() {
        crate::case::skipped(&format!("no {} on this machine", missing.join(", ")));
    }
    missing.is_empty()
}
