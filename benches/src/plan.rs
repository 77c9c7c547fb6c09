//! Who runs in which shape, and how long.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::kdc::Kdc;
use crate::process::{Placement, Program};
use crate::samba;
use crate::shape::Transport::{self, Dce, Tcp, Udp};
use crate::shape::{MEBIBYTE, Work};

/// A pair of programs: `server` is this executable's role unless it is libtirpc's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) server: &'static str,
    pub(crate) client: &'static str,
}

const fn peer(name: &'static str, server: &'static str, client: &'static str) -> Peer {
    Peer {
        name,
        server,
        client,
    }
}

/// The physical limit all are divided by.
pub(crate) const RAW: Peer = peer("raw", "raw", "load");
pub(crate) const RAW_EPOLL: Peer = peer("raw-epoll", "raw-epoll", "load");
const RAW_TOKIO: Peer = peer("raw-tokio", "raw-tokio", "raw-tokio");
const RAW_TOKIO_LOAD: Peer = peer("raw-tokio+load", "raw-tokio", "load");
pub(crate) const LIBTIRPC: Peer = peer("libtirpc", "libtirpc", "libtirpc");
pub(crate) const LIBTIRPC_LOAD: Peer = peer("libtirpc+load", "libtirpc", "load");
pub(crate) const TARPC: Peer = peer("tarpc", "tarpc", "tarpc");
pub(crate) const TONIC: Peer = peer("tonic", "tonic", "tonic");

const SAMBA_LOAD: Peer = peer("samba+load", "samba", "load");

pub(crate) const OURS: Peer = peer("farcall", "farcall", "farcall");
pub(crate) const OURS_BLOCKING: Peer = peer("farcall-blocking", "farcall", "farcall-blocking");
pub(crate) const OURS_LOAD: Peer = peer("farcall+load", "farcall", "load");
/// Ours under TLS, both ends.
const OURS_TLS: Peer = peer("farcall-tls", "farcall-tls", "farcall-tls");
const OURS_TLS_BLOCKING: Peer = peer(
    "farcall-tls-blocking",
    "farcall-tls",
    "farcall-tls-blocking",
);
/// Under `RPCSEC_GSS` with Kerberos: nobody changes, or also nobody reads, what is said.
const OURS_KRB5I: Peer = peer("farcall-krb5i", "farcall-gss", "farcall-krb5i");
const OURS_KRB5P: Peer = peer("farcall-krb5p", "farcall-gss", "farcall-krb5p");
const LIBTIRPC_KRB5I: Peer = peer("libtirpc-krb5i", "libtirpc-gss", "libtirpc-krb5i");
const LIBTIRPC_KRB5P: Peer = peer("libtirpc-krb5p", "libtirpc-gss", "libtirpc-krb5p");

/// One row of the plan.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) work: Work,
    pub(crate) flight: usize,
    pub(crate) transport: Transport,
    /// [`RAW`] first.
    pub(crate) peers: &'static [Peer],
}

const fn shape(
    name: &'static str,
    work: Work,
    flight: usize,
    transport: Transport,
    peers: &'static [Peer],
) -> Shape {
    Shape {
        name,
        work,
        flight,
        transport,
        peers,
    }
}

pub(crate) const SHAPES: &[Shape] = &[
    shape(
        "null-1",
        Work::Null,
        1,
        Tcp,
        &[
            RAW,
            OURS_BLOCKING,
            OURS,
            OURS_TLS_BLOCKING,
            OURS_TLS,
            OURS_LOAD,
            RAW_EPOLL,
            RAW_TOKIO_LOAD,
            RAW_TOKIO,
            LIBTIRPC,
            TARPC,
            TONIC,
        ],
    ),
    shape(
        "echo32-1",
        Work::Echo(32),
        1,
        Tcp,
        &[RAW, OURS_BLOCKING, OURS, LIBTIRPC, TARPC, TONIC],
    ),
    shape(
        "echo1k-1",
        Work::Echo(1024),
        1,
        Tcp,
        &[
            RAW,
            OURS_BLOCKING,
            OURS,
            OURS_KRB5I,
            OURS_KRB5P,
            RAW_TOKIO,
            LIBTIRPC,
            LIBTIRPC_KRB5I,
            LIBTIRPC_KRB5P,
            TARPC,
            TONIC,
        ],
    ),
    shape(
        "echo32-64",
        Work::Echo(32),
        64,
        Tcp,
        &[
            RAW,
            OURS_LOAD,
            OURS,
            OURS_TLS,
            RAW_TOKIO_LOAD,
            LIBTIRPC_LOAD,
            TARPC,
            TONIC,
        ],
    ),
    shape(
        "read1m-1",
        Work::Read(MEBIBYTE),
        1,
        Tcp,
        &[
            RAW,
            OURS_LOAD,
            OURS_BLOCKING,
            OURS,
            OURS_TLS,
            OURS_KRB5I,
            OURS_KRB5P,
            LIBTIRPC,
            TARPC,
            TONIC,
        ],
    ),
    shape(
        "read1m-8",
        Work::Read(MEBIBYTE),
        8,
        Tcp,
        &[RAW, OURS_LOAD, OURS, OURS_TLS, LIBTIRPC_LOAD, TARPC, TONIC],
    ),
    shape(
        "udp-null-1",
        Work::Null,
        1,
        Udp,
        &[
            RAW,
            OURS_LOAD,
            OURS_BLOCKING,
            OURS,
            RAW_TOKIO_LOAD,
            LIBTIRPC,
            LIBTIRPC_LOAD,
        ],
    ),
    shape(
        "udp-null-64",
        Work::Null,
        64,
        Udp,
        &[RAW, OURS_LOAD, OURS, LIBTIRPC_LOAD],
    ),
    shape(
        "dce-null-1",
        Work::Null,
        1,
        Dce,
        &[RAW, OURS_LOAD, OURS_BLOCKING, OURS, RAW_TOKIO_LOAD],
    ),
    shape(
        "dce-null-64",
        Work::Null,
        64,
        Dce,
        &[RAW, OURS_LOAD, OURS, RAW_TOKIO_LOAD],
    ),
    shape(
        "dce-echo32-64",
        Work::Echo(32),
        64,
        Dce,
        &[RAW, OURS_LOAD, OURS, RAW_TOKIO_LOAD],
    ),
    shape(
        "dce-listening-64",
        Work::Listening,
        64,
        Dce,
        &[RAW, OURS_LOAD, SAMBA_LOAD],
    ),
];

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) warm: Duration,
    pub(crate) measure: Duration,
    pub(crate) codec: Duration,
    pub(crate) idle: usize,
    /// Calls under strace; twice that the second time.
    pub(crate) traced: u64,
    pub(crate) placements: &'static [Placement],
    /// Others may use this share of the machine; beyond it a sample is taken again.
    pub(crate) tolerated: f64,
}

const BOTH: &[Placement] = &[Placement::Same, Placement::Split];
const fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A regular run.
pub(crate) const FULL: Effort = Effort {
    rounds: 6,
    warm: milliseconds(60),
    measure: milliseconds(200),
    codec: milliseconds(100),
    idle: 5_000,
    traced: 3_200,
    placements: BOTH,
    tolerated: 0.2,
};

/// A look within some two minutes; [same] only, fewer rounds.
pub(crate) const QUICK: Effort = Effort {
    rounds: 3,
    codec: milliseconds(40),
    placements: &[Placement::Same],
    ..FULL
};

/// Does every program still work and is every reply right? Its figures mean nothing.
pub(crate) const SMOKE: Effort = Effort {
    rounds: 1,
    warm: milliseconds(10),
    measure: milliseconds(20),
    codec: milliseconds(4),
    idle: 200,
    traced: 640,
    tolerated: 1.0,
    ..QUICK
};

/// The programs of a run; libtirpc's and Samba's may be missing, for a reason.
pub(crate) struct Programs {
    /// For the rows under `RPCSEC_GSS`.
    pub(crate) kdc: Result<Kdc, String>,
    pub(crate) libtirpc: Result<PathBuf, String>,
    /// The folder of a domain.
    pub(crate) samba: Result<PathBuf, String>,
}

impl Programs {
    /// Whether both ends of `peer` are there.
    pub(crate) fn has(&self, peer: Peer) -> bool {
        let libtirpc = peer.server.starts_with("libtirpc") || peer.client.starts_with("libtirpc");
        (!libtirpc || self.libtirpc.is_ok())
            && (peer.server != "samba" || self.samba.is_ok())
            && (!peer.server.ends_with("-gss") || self.kdc.is_ok())
    }

    pub(crate) fn server(&self, name: &str, work: Work, transport: Transport) -> Result<Program> {
        if name == "samba" {
            let folder = self.samba.as_ref().map_err(|why| anyhow::anyhow!("{why}"));
            return Ok(samba::server(folder.context("samba")?));
        }
        let program = self.program("server", name)?;
        Ok(program.words(&format!("--work {work} --transport {transport}")))
    }

    /// A program of one kind: `server`, `client`, `codec`.
    pub(crate) fn program(&self, kind: &str, name: &str) -> Result<Program> {
        let environment = match &self.kdc {
            Ok(kdc) => kdc.environment.as_slice(),
            Err(_) => &[],
        };
        let Some(cover) = name.strip_prefix("libtirpc") else {
            return Ok(Program::role(kind)?.words(name).within(environment));
        };
        let folder = self
            .libtirpc
            .as_ref()
            .map_err(|reason| anyhow::anyhow!("{reason}"));
        let program = Program::new(folder.context("libtirpc")?.join(kind)).within(environment);
        let cover = match cover.trim_start_matches('-') {
            "" => "none",
            cover => cover,
        };
        Ok(program.words(&format!("--cover {cover}")))
    }
}
