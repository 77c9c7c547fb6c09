//! Turns `idl/bench.x` and `idl/bench_dce.idl` into the stubs that `src/ours.rs`, `src/ours_dce.rs`
//! and the codecs include.

fn main() -> Result<(), farcall_idl::Error> {
    farcall_idl::Config::new()
        .bytes(["payload"])
        .borrowed(["listing", "samples", "blob"])
        .compile(["idl/bench.x", "idl/bench_dce.idl"])
}
