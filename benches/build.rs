//! Turns `idl/bench.x` into the stubs that `src/ours.rs` and `src/codec/farcall.rs` include.

fn main() -> Result<(), farcall_idl::Error> {
    farcall_idl::Config::new()
        .bytes(["payload"])
        .borrowed(["listing", "samples", "blob"])
        .compile(["idl/bench.x"])
}
