//! Compiles `echo.x`.

fn main() -> Result<(), farcall_idl::Error> {
    farcall_idl::Config::new().compile(["echo.x"])
}
