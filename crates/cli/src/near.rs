//! Did you mean …? Names that are spelled almost like the one that was not found.

pub(crate) use farcall_proxy::near::did_you_mean;
