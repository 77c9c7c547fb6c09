//! The lines to reach: which ratio, which bound, and whether this run met it.

use serde::Serialize;

use crate::results::{Ratio, Results};

/// What a goal divides.
enum Of {
    /// This series by that one, in one shape.
    Ratio(&'static str, &'static str, &'static str),
    /// A series' own figure.
    Figure(&'static str, &'static str),
    /// Two shapes of one peer.
    Shapes(&'static str, &'static str, &'static str),
}

enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// No line: what stands beside a line, to see what of it is ours and what is the runtime's.
    Beside,
}

struct Goal {
    id: &'static str,
    text: &'static str,
    of: Of,
    bound: Bound,
}

const fn goal(id: &'static str, text: &'static str, of: Of, bound: Bound) -> Goal {
    Goal {
        id,
        text,
        of,
        bound,
    }
}

use Bound::{AtLeast, AtMost, Beside};
use Of::{Figure, Ratio as Divide, Shapes};

const GOALS: &[Goal] = &[
    goal(
        "L1",
        "null latency, blocking client / raw",
        Divide("null-1 [same]", "farcall-blocking", "raw"),
        AtMost(1.15),
    ),
    goal(
        "L1",
        "1 KiB latency, blocking client / raw",
        Divide("echo1k-1 [same]", "farcall-blocking", "raw"),
        AtMost(1.15),
    ),
    goal(
        "L1",
        ".. bare tokio server / raw",
        Divide("null-1 [same]", "raw-tokio+load", "raw"),
        Beside,
    ),
    goal(
        "L1",
        ".. our server / bare tokio server",
        Divide("null-1 [same]", "farcall+load", "raw-tokio+load"),
        Beside,
    ),
    goal(
        "L2",
        "null latency, async client / raw",
        Divide("null-1 [same]", "farcall", "raw"),
        AtMost(1.25),
    ),
    goal(
        "L2",
        ".. bare tokio at both ends / raw",
        Divide("null-1 [same]", "raw-tokio", "raw"),
        Beside,
    ),
    goal(
        "L2",
        ".. ours / bare tokio at both ends",
        Divide("null-1 [same]", "farcall", "raw-tokio"),
        Beside,
    ),
    goal(
        "T1",
        "64 in flight, server alone / raw",
        Divide("echo32-64 [same]", "farcall+load", "raw"),
        AtLeast(0.85),
    ),
    goal(
        "T1",
        ".. bare tokio server / raw",
        Divide("echo32-64 [same]", "raw-tokio+load", "raw"),
        Beside,
    ),
    goal(
        "T1",
        ".. our server / bare tokio server",
        Divide("echo32-64 [same]", "farcall+load", "raw-tokio+load"),
        Beside,
    ),
    goal(
        "T2",
        "64 in flight, client and server / tonic",
        Divide("echo32-64 [same]", "farcall", "tonic"),
        AtLeast(20.0),
    ),
    goal(
        "B1",
        "1 MiB replies, 1 in flight / raw",
        Divide("read1m-1 [same]", "farcall", "raw"),
        AtLeast(0.9),
    ),
    goal(
        "B1",
        "1 MiB replies, 8 in flight / raw",
        Divide("read1m-8 [same]", "farcall", "raw"),
        AtLeast(0.85),
    ),
    goal(
        "X1",
        "encode the listing, libtirpc / ours",
        Divide("listing encode", "libtirpc", "farcall"),
        AtLeast(10.0),
    ),
    goal(
        "X1",
        "encode 10 k structs, libtirpc / ours",
        Divide("samples encode", "libtirpc", "farcall"),
        AtLeast(10.0),
    ),
    goal(
        "X2",
        "decode the listing, owned",
        Divide("listing decode", "libtirpc", "farcall"),
        AtLeast(3.0),
    ),
    goal(
        "X2",
        "decode 10 k structs, owned",
        Divide("samples decode", "libtirpc", "farcall"),
        AtLeast(3.0),
    ),
    goal(
        "X2",
        "decode the listing, borrowed",
        Divide("listing decode", "libtirpc", "farcall borrowed"),
        AtLeast(20.0),
    ),
    goal(
        "X2",
        "decode 10 k structs, borrowed",
        Divide("samples decode", "libtirpc", "farcall borrowed"),
        AtLeast(20.0),
    ),
    goal(
        "X3",
        "encode 100 k numbers, memcpy / ours",
        Divide("numbers encode", "memcpy", "farcall"),
        AtLeast(0.6),
    ),
    goal(
        "X3",
        "decode 100 k numbers, memcpy / ours",
        Divide("numbers decode", "memcpy", "farcall"),
        AtLeast(0.6),
    ),
    goal(
        "X3",
        "encode 1 MiB, memcpy / ours",
        Divide("blob encode", "memcpy", "farcall"),
        AtLeast(0.6),
    ),
    goal(
        "U1",
        "UDP null latency, server alone / raw",
        Divide("udp-null-1 [same]", "farcall+load", "raw"),
        AtMost(1.1),
    ),
    goal(
        "U1",
        "UDP null latency, blocking client / raw",
        Divide("udp-null-1 [same]", "farcall-blocking", "raw"),
        AtMost(1.1),
    ),
    goal(
        "U1",
        ".. bare tokio server / raw",
        Divide("udp-null-1 [same]", "raw-tokio+load", "raw"),
        Beside,
    ),
    goal(
        "U1",
        ".. our server / bare tokio server",
        Divide("udp-null-1 [same]", "farcall+load", "raw-tokio+load"),
        Beside,
    ),
    goal(
        "E1",
        "TLS: null latency, blocking client / in clear",
        Divide("null-1 [same]", "farcall-tls-blocking", "farcall-blocking"),
        Beside,
    ),
    goal(
        "E1",
        ".. null latency, async client / in clear",
        Divide("null-1 [same]", "farcall-tls", "farcall"),
        Beside,
    ),
    goal(
        "E1",
        ".. 64 in flight / in clear",
        Divide("echo32-64 [same]", "farcall-tls", "farcall"),
        Beside,
    ),
    goal(
        "E1",
        ".. 1 MiB replies, 1 in flight / in clear",
        Divide("read1m-1 [same]", "farcall-tls", "farcall"),
        Beside,
    ),
    goal(
        "E1",
        ".. 1 MiB replies, 8 in flight / in clear",
        Divide("read1m-8 [same]", "farcall-tls", "farcall"),
        Beside,
    ),
    goal(
        "E2",
        "RPCSEC_GSS integrity: 1 KiB latency / in clear",
        Divide("echo1k-1 [same]", "farcall-krb5i", "farcall"),
        Beside,
    ),
    goal(
        "E2",
        ".. privacy: 1 KiB latency / in clear",
        Divide("echo1k-1 [same]", "farcall-krb5p", "farcall"),
        Beside,
    ),
    goal(
        "E2",
        ".. integrity: 1 KiB latency, ours / libtirpc",
        Divide("echo1k-1 [same]", "farcall-krb5i", "libtirpc-krb5i"),
        Beside,
    ),
    goal(
        "E2",
        ".. privacy: 1 KiB latency, ours / libtirpc",
        Divide("echo1k-1 [same]", "farcall-krb5p", "libtirpc-krb5p"),
        Beside,
    ),
    goal(
        "E2",
        ".. integrity: 1 MiB replies / in clear",
        Divide("read1m-1 [same]", "farcall-krb5i", "farcall"),
        Beside,
    ),
    goal(
        "E2",
        ".. privacy: 1 MiB replies / in clear",
        Divide("read1m-1 [same]", "farcall-krb5p", "farcall"),
        Beside,
    ),
    goal(
        "D1",
        "DCE null, 64 in flight, server alone / raw",
        Divide("dce-null-64 [same]", "farcall+load", "raw"),
        AtLeast(0.7),
    ),
    goal(
        "D1",
        ".. bare tokio server / raw",
        Divide("dce-null-64 [same]", "raw-tokio+load", "raw"),
        Beside,
    ),
    goal(
        "D1",
        ".. with a client of ours / raw",
        Divide("dce-null-64 [same]", "farcall", "raw"),
        Beside,
    ),
    goal(
        "D1",
        ".. echo of 32 bytes, server alone / raw",
        Divide("dce-echo32-64 [same]", "farcall+load", "raw"),
        Beside,
    ),
    goal(
        "D1",
        ".. null latency, server alone / raw",
        Divide("dce-null-1 [same]", "farcall+load", "raw"),
        Beside,
    ),
    goal(
        "D1",
        "DCE management call, ours / Samba",
        Divide("dce-listening-64 [same]", "farcall+load", "samba+load"),
        AtLeast(30.0),
    ),
    goal(
        "D1",
        ".. NDR: encode the listing, libtirpc's XDR / ours",
        Divide("listing encode", "libtirpc", "ndr"),
        Beside,
    ),
    goal(
        "D1",
        ".. NDR: encode 10 k structs, libtirpc's XDR / ours",
        Divide("samples encode", "libtirpc", "ndr"),
        Beside,
    ),
    goal(
        "D1",
        ".. NDR: decode the listing, libtirpc's XDR / ours",
        Divide("listing decode", "libtirpc", "ndr"),
        Beside,
    ),
    goal(
        "D1",
        ".. NDR: decode 10 k structs, libtirpc's XDR / ours",
        Divide("samples decode", "libtirpc", "ndr"),
        Beside,
    ),
    goal(
        "D1",
        ".. NDR: encode 100 k numbers, memcpy / ours",
        Divide("numbers encode", "memcpy", "ndr"),
        Beside,
    ),
    goal(
        "D1",
        ".. NDR: decode 100 k numbers, memcpy / ours",
        Divide("numbers decode", "memcpy", "ndr"),
        Beside,
    ),
    goal(
        "H1",
        "latency that the RPC proxy adds / HAProxy in TCP mode",
        Divide("added to null-1 [same]", "farcall-proxy", "haproxy"),
        AtMost(1.3),
    ),
    goal(
        "H1",
        "the same, both with TLS",
        Divide("added to null-1 [same]", "farcall-proxy-tls", "haproxy-tls"),
        AtMost(1.3),
    ),
    goal(
        "H1",
        "bulk through the RPC proxy / direct",
        Divide("through-echo4k-32 [split]", "farcall-proxy", "direct"),
        AtLeast(0.6),
    ),
    goal(
        "H1",
        ".. bulk through HAProxy / direct",
        Divide("through-echo4k-32 [split]", "haproxy", "direct"),
        Beside,
    ),
    goal(
        "H1",
        ".. bulk through the RPC proxy with TLS / HAProxy with TLS",
        Divide(
            "through-echo4k-32 [split]",
            "farcall-proxy-tls",
            "haproxy-tls",
        ),
        Beside,
    ),
    goal(
        "H1",
        "user memory of an idle virtual connection, KiB",
        Figure("idle virtual connections", "farcall-proxy"),
        AtMost(24.0),
    ),
    goal(
        "H1",
        "the same over TLS, KiB",
        Figure("idle virtual connections", "farcall-proxy-tls"),
        AtMost(48.0),
    ),
    goal(
        "M1",
        "user memory of an idle connection, KiB",
        Figure("idle memory", "farcall"),
        AtMost(4.0),
    ),
    goal(
        "M1",
        "calls/s with many idle / with none",
        Shapes("farcall", "idle many", "idle none"),
        AtLeast(0.95),
    ),
    goal(
        "S1",
        "blocking client, 1 in flight",
        Figure("system calls, client, 1 in flight", "farcall-blocking"),
        AtMost(2.0),
    ),
    goal(
        "S1",
        "async client, 1 in flight",
        Figure("system calls, client, 1 in flight", "farcall"),
        AtMost(3.0),
    ),
    goal(
        "S1",
        "server, 1 in flight",
        Figure("system calls, server, 1 in flight", "farcall"),
        AtMost(3.0),
    ),
    goal(
        "S1",
        "server, 64 in flight",
        Figure("system calls, server, 64 in flight", "farcall"),
        AtMost(0.05),
    ),
];

/// A goal and what this run has to say of it.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) id: &'static str,
    pub(crate) text: &'static str,
    pub(crate) bound: String,
    pub(crate) ratio: Ratio,
    /// Nothing where there is no line.
    pub(crate) reached: Option<bool>,
}

/// Those goals whose series were measured.
pub(crate) fn judge(results: &Results) -> Vec<Verdict> {
    GOALS
        .iter()
        .filter_map(|goal| goal.judge(results))
        .collect()
}

impl Goal {
    fn judge(&self, results: &Results) -> Option<Verdict> {
        let ratio = match self.of {
            Divide(shape, over, under) => results.ratio(shape, over, under)?,
            Figure(shape, peer) => Ratio::of(results.find(shape, peer)?.rounds.clone()).ok()?,
            Shapes(peer, over, under) => {
                let (over, under) = (results.find(over, peer)?, results.find(under, peer)?);
                let pairs = over.rounds.iter().zip(&under.rounds);
                Ratio::of(pairs.map(|(a, b)| a / b).collect()).ok()?
            }
        };
        let (bound, reached) = match self.bound {
            // A system call count of 2.004 is two a call and a few at the ends.
            AtMost(most) => (format!("<= {most}"), Some(ratio.median <= most * 1.005)),
            AtLeast(least) => (format!(">= {least}"), Some(ratio.median >= least)),
            Beside => (String::new(), None),
        };
        Some(Verdict {
            id: self.id,
            text: self.text,
            bound,
            ratio,
            reached,
        })
    }
}
