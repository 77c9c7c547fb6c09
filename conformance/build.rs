//! Compiles the demo program for our side of the interop tests, the types of the oracle, the
//! thermometer of the guide, and the interfaces of Windows and Samba that peers offer.

fn main() -> Result<(), farcall_idl::Error> {
    farcall_idl::Config::new().compile([
        "idl/demo.x",
        "idl/oracle.x",
        "idl/thermometer.x",
        "../idl/samr.idl",
        "../idl/netlogon.idl",
        "../idl/drsuapi.idl",
        "../idl/dssetup.idl",
        "../idl/unixinfo.idl",
        "../idl/lsarpc.idl",
    ])
}
