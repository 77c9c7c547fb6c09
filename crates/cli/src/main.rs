//! The command `farcall`.

fn main() {}
