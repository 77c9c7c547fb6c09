//! Compiles the demo program for our side of the interop tests, the types of the oracle, and the
//! thermometer of the guide.

fn main() -> Result<(), farcall_idl::Error> {
    farcall_idl::Config::new().compile(["idl/demo.x", "idl/oracle.x", "idl/thermometer.x"])
}
