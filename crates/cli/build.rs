//! Compiles the interfaces that `farcall echo` serves a few operations of.

fn main() -> Result<(), farcall_idl::Error> {
    farcall_idl::Config::new()
        .no_client()
        .operations([
            "NetrServerReqChallenge",
            "LsarOpenPolicy",
            "LsarOpenPolicy2",
            "LsarGetUserName",
            "LsarClose",
            "LsarQuerySecurityObject",
            "SamrConnect",
            "SamrConnect2",
            "SamrConnect4",
            "SamrConnect5",
            "SamrCloseHandle",
            "IDL_DRSBind",
            "IDL_DRSUnbind",
            "DsRolerGetPrimaryDomainInformation",
            "GetPWUid",
        ])
        .compile([
            "../../idl/netlogon.idl",
            "../../idl/lsarpc.idl",
            "../../idl/samr.idl",
            "../../idl/drsuapi.idl",
            "../../idl/dssetup.idl",
            "../../idl/unixinfo.idl",
        ])
}
