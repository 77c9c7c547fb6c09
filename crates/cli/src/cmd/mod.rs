//! The commands. Each has its options (`Args`) and its work (`run`) in one file or folder.

pub(crate) mod r#gen;
pub(crate) mod lint;
pub(crate) mod ls;
pub(crate) mod describe;
pub(crate) mod ping;
pub(crate) mod transcode;
pub(crate) mod call;
pub(crate) mod bench;
pub(crate) mod binder;
pub(crate) mod nfs3;
pub(crate) mod proxy;
pub(crate) mod user;
pub(crate) mod shell;
pub(crate) mod echo;
pub(crate) mod trace;
pub(crate) mod demo;
pub(crate) mod manual;
