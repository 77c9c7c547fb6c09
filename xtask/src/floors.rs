//! The floors of the house: which crate stands on which, as `ARCHITECTURE.md` draws them.

/// One crate and the crates of ours that it may use.
pub(crate) struct Floor {
    /// The folder below `crates/`.
    pub(crate) folder: &'static str,
    /// The package.
    pub(crate) package: &'static str,
    /// How high it stands; a crate uses only what stands lower.
    pub(crate) level: u8,
    /// The packages of ours that it may name.
    pub(crate) may_use: &'static [&'static str],
    /// Whether it is a core: sans-io, without clock, randomness and keys of its own (law 1).
    pub(crate) core: bool,
}

/// Every crate that exists or is planned, from the ground up.
pub(crate) const FLOORS: &[Floor] = &[
    Floor {
        folder: "wire",
        package: "farcall-wire",
        level: 1,
        may_use: &[],
        core: true,
    },
    Floor {
        folder: "idl",
        package: "farcall-idl",
        level: 2,
        may_use: &["farcall-wire"],
        core: false,
    },
    Floor {
        folder: "onc",
        package: "farcall-onc",
        level: 2,
        may_use: &["farcall-wire"],
        core: true,
    },
    Floor {
        folder: "dce",
        package: "farcall-dce",
        level: 2,
        may_use: &["farcall-wire"],
        core: true,
    },
    Floor {
        folder: "rpch",
        package: "farcall-rpch",
        level: 3,
        may_use: &["farcall-dce", "farcall-wire"],
        core: true,
    },
    Floor {
        folder: "security",
        package: "farcall-security",
        level: 3,
        may_use: &["farcall-onc", "farcall-dce"],
        core: false,
    },
    Floor {
        folder: "rpc",
        package: "farcall",
        level: 4,
        may_use: &[
            "farcall-onc",
            "farcall-dce",
            "farcall-rpch",
            "farcall-idl",
            "farcall-wire",
        ],
        core: false,
    },
    Floor {
        folder: "binder",
        package: "farcall-binder",
        level: 5,
        may_use: &[
            "farcall",
            "farcall-security",
            "farcall-onc",
            "farcall-dce",
            "farcall-wire",
        ],
        core: false,
    },
    Floor {
        folder: "nfs3",
        package: "farcall-nfs3",
        level: 5,
        may_use: &["farcall", "farcall-onc", "farcall-wire"],
        core: false,
    },
    Floor {
        folder: "proxy",
        package: "farcall-proxy",
        level: 5,
        may_use: &[
            "farcall",
            "farcall-security",
            "farcall-rpch",
            "farcall-onc",
            "farcall-dce",
            "farcall-wire",
        ],
        core: false,
    },
    Floor {
        folder: "console",
        package: "farcall-console",
        level: 6,
        may_use: &["farcall-proxy", "farcall-binder", "farcall"],
        core: false,
    },
    Floor {
        folder: "cli",
        package: "farcall-cli",
        level: 7,
        may_use: &[
            "farcall-console",
            "farcall-proxy",
            "farcall-binder",
            "farcall-nfs3",
            "farcall",
            "farcall-security",
            "farcall-rpch",
            "farcall-onc",
            "farcall-dce",
            "farcall-idl",
            "farcall-wire",
        ],
        core: false,
    },
];

/// The floor of a package.
pub(crate) fn floor(package: &str) -> Option<&'static Floor> {
    FLOORS.iter().find(|floor| floor.package == package)
}
