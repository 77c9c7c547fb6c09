//! Which way a channel goes between client and proxy.
//!
//! Read first: MS-RPCH section 1.3.4. Half of a virtual connection each: requests one way, answers the other.

/// Which way a channel goes between client and proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client: `RPC_IN_DATA`.
    In,
    /// To the client: `RPC_OUT_DATA`.
    Out,
}
