//! Compiles the demo program for our side of the interop tests, the types of the oracle, the
//! thermometer of the guide, and the interfaces of Windows and Samba that peers offer; in a folder
//! `codecs`, the interfaces whose bytes are compared with Samba's.

use std::path::PathBuf;

use farcall_idl::{Config, Error};

fn main() -> Result<(), Error> {
    Config::new().compile([
        "idl/demo.x",
        "idl/oracle.x",
        "idl/thermometer.x",
        "../idl/samr.idl",
        "../idl/netlogon.idl",
        "../idl/drsuapi.idl",
        "../idl/dssetup.idl",
        "../idl/unixinfo.idl",
        "../idl/lsarpc.idl",
        "../idl/streams.idl",
    ])?;
    let compared = [
        "epmapper", "lsarpc", "mgmt", "netlogon", "rpcecho", "samr", "srvsvc", "svcctl", "streams",
        "unixinfo", "winreg",
    ];
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("codecs");
    // If it cannot be made, writing into it fails and says so.
    let _ = std::fs::create_dir_all(&folder);
    Config::new()
        .out_dir(folder)
        .no_client()
        .no_server()
        .transcoders()
        .compile(compared.map(|name| format!("../idl/{name}.idl")))
}
