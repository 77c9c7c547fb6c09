//! The commands. Each has its options (`Args`) and its work (`run`) in one file or folder.

pub(crate) mod ping;
