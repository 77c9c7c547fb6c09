//! The interfaces of domain controllers (`idl/*.idl`) as our compiler makes them.

/// The security account manager.
pub mod samr {
    include!(concat!(env!("OUT_DIR"), "/samr.rs"));
}

/// The local security authority.
pub mod lsarpc {
    include!(concat!(env!("OUT_DIR"), "/lsarpc.rs"));
}

/// Netlogon.
pub mod netlogon {
    include!(concat!(env!("OUT_DIR"), "/netlogon.rs"));
}

/// Replication, and the translation of names.
pub mod drsuapi {
    include!(concat!(env!("OUT_DIR"), "/drsuapi.rs"));
}

/// What part a machine plays in a domain.
pub mod dssetup {
    include!(concat!(env!("OUT_DIR"), "/dssetup.rs"));
}

/// What the user database of a UNIX machine says.
pub mod unixinfo {
    include!(concat!(env!("OUT_DIR"), "/unixinfo.rs"));
}

/// Pipes, in both directions: an interface of our own.
pub mod streams {
    include!(concat!(env!("OUT_DIR"), "/streams.rs"));
}
