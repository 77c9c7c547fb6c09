//! Compiles `echo.idl`.

fn main() -> Result<(), farcall_idl::Error> {
    farcall_idl::Config::new().compile(["echo.idl"])
}
