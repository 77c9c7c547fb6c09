//! Compiles the demo program for our side of the interop tests, and the types of the oracle.

fn main() -> Result<(), farcall_idl::Error> {
    farcall_idl::Config::new().compile(["idl/demo.x", "idl/oracle.x"])
}
