//! What a host's rpcbind lists, in all versions of rpcbind that it has.
//!
//! Read first: RFC 1833 sections 2.1 and 3.1. Version 4 is asked, then 3, then 2, which is all that instruments know;
//! over TCP, then over UDP. What several versions list is one row, as the highest of them tells it.

use std::collections::BTreeSet;

use farcall::generated::rpcbind::{v2, v3, v4};
use farcall::{Cause, Client, Endpoint, Error, Options, Phase, Transport};
use farcall_onc::uaddr::{Netid, Uaddr};

use crate::peer::{PORTMAP, RPCBIND_PORT};

/// One program's version at one address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    /// The program's number.
    pub(crate) program: u32,
    /// The version's number.
    pub(crate) version: u32,
    /// The transport, as rpcbind names it: `tcp`, `udp6`, `local` …
    pub(crate) netid: String,
    /// The address: `0.0.0.0:111`, a path, or what rpcbind said if it is no address.
    pub(crate) address: String,
    /// Who registered it; empty if rpcbind does not say.
    pub(crate) owner: String,
}

/// Everything that an rpcbind lists.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// How it was reached.
    pub(crate) binder: String,
    /// The versions of rpcbind that answered, the highest first.
    pub(crate) versions: Vec<u32>,
    /// The rows, sorted, each once.
    pub(crate) rows: BTreeSet<Row>,
}

/// The ways to reach the rpcbind that a user names: a host alone, or an endpoint.
pub(crate) fn ways(text: &str) -> Result<Vec<Endpoint>, Error> {
    if text.contains("://") {
        let endpoint: Endpoint = text.parse()?;
        return Ok(match (endpoint.port(), endpoint.path()) {
            (None, None) => vec![endpoint.with_port(RPCBIND_PORT)],
            _ => vec![endpoint],
        });
    }
    let bracketed = match text.matches(':').count() > 1 && !text.starts_with('[') {
        true => format!("[{text}]"),
        false => text.to_owned(),
    };
    let way = |scheme| -> Result<Endpoint, Error> {
        let endpoint: Endpoint = format!("{scheme}://{bracketed}").parse()?;
        let port = endpoint.port().unwrap_or(RPCBIND_PORT);
        Ok(endpoint.with_port(port))
    };
    Ok(vec![way("tcp")?, way("udp")?])
}

/// Asks the rpcbind at `ways`, the first that answers.
pub(crate) async fn list(ways: &[Endpoint], options: &Options) -> Result<Listing, Error> {
    let mut first = None;
    for way in ways {
        match list_at(way, options).await {
            Ok(listing) => return Ok(listing),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    Err(explained(first.unwrap_or_else(|| {
        Error::local(Phase::Resolve, "nobody was asked")
    })))
}

/// Says what it means that rpcbind is not there.
fn explained(error: Error) -> Error {
    match error.cause() {
        Cause::Io(std::io::ErrorKind::ConnectionRefused, _) => Error::new(error.phase(), error.cause().clone())
            .with_peer(error.peer().unwrap_or("rpcbind"))
            .hint("no rpcbind listens there; for one at another port write tcp://HOST:PORT, or start `farcall binder`"),
        Cause::ProgramUnavailable => {
            let at = error.peer().unwrap_or("ENDPOINT").to_owned();
            error.hint(format!(
                "that is a server of ONC RPC and no rpcbind; `farcall describe {at}` shows what it has"
            ))
        }
        _ => error,
    }
}

async fn list_at(way: &Endpoint, options: &Options) -> Result<Listing, Error> {
    let client = Client::connect_with(way, PORTMAP.0, 4, options.clone()).await?;
    let mut last = None;
    let mut listing = Listing {
        binder: client.peer().to_owned(),
        versions: Vec::new(),
        rows: BTreeSet::new(),
    };
    for version in [4, 3, 2] {
        match dump(&client, version).await {
            Ok(rows) => {
                listing.versions.push(version);
                merge(&mut listing.rows, rows);
            }
            Err(error) if knows_other_versions(&error) => last = Some(error),
            // What is known already is not lost.
            Err(_) if !listing.versions.is_empty() => {}
            Err(error) => return Err(error),
        }
    }
    match (listing.versions.is_empty(), last) {
        (false, _) => Ok(listing),
        (true, Some(error)) => Err(error),
        (true, None) => Err(Error::local(Phase::Call, "rpcbind was not asked")),
    }
}

/// Adds what a lower version lists, except what a higher one has told already, and told better.
fn merge(rows: &mut BTreeSet<Row>, more: Vec<Row>) {
    let place = |row: &Row| (row.program, row.version, row.netid.clone());
    let known: BTreeSet<_> = rows.iter().map(place).collect();
    rows.extend(more.into_iter().filter(|row| !known.contains(&place(row))));
}

fn knows_other_versions(error: &Error) -> bool {
    matches!(
        error.cause(),
        Cause::ProgramMismatch { .. } | Cause::ProcedureUnavailable | Cause::Deadline(_)
    )
}

async fn dump(client: &Client, version: u32) -> Result<Vec<Row>, Error> {
    let listed = match version {
        4 => v4::Client::from(client.clone()).dump().await?,
        3 => v3::Client::from(client.clone()).dump().await?,
        _ => {
            let listed = v2::Client::from(client.clone()).dump().await?;
            return Ok(listed.into_iter().map(|one| old_row(&one.map)).collect());
        }
    };
    Ok(listed.into_iter().map(|one| row(&one.rpcb_map)).collect())
}

fn row(map: &farcall::generated::rpcbind::Rpcb) -> Row {
    Row {
        program: map.r_prog,
        version: map.r_vers,
        netid: printable(&map.r_netid),
        address: address(&map.r_netid, &map.r_addr),
        owner: printable(&map.r_owner),
    }
}

/// A row of version 2, which knows IPv4, TCP and UDP alone.
fn old_row(map: &farcall::generated::rpcbind::Mapping) -> Row {
    let netid = Netid::from_protocol(map.prot);
    Row {
        program: map.prog,
        version: map.vers,
        netid: netid.map_or_else(|| map.prot.to_string(), |netid| netid.name().to_owned()),
        address: format!("0.0.0.0:{}", map.port),
        owner: String::new(),
    }
}

fn address(netid: &[u8], text: &[u8]) -> String {
    match Netid::parse(netid).map(|netid| Uaddr::parse(netid, text)) {
        Some(Ok(Uaddr::Inet(address))) => address.to_string(),
        _ => printable(text),
    }
}

/// What a peer wrote, without what would move the cursor.
fn printable(text: &[u8]) -> String {
    let clean = |c: char| if c.is_control() { '?' } else { c };
    String::from_utf8_lossy(text).chars().map(clean).collect()
}

impl Row {
    /// Where it can be called from here, if `host` is the machine that was asked.
    pub(crate) fn endpoint(&self, host: &str) -> Option<Endpoint> {
        let transport = match self.netid.as_str() {
            "tcp" | "tcp6" => Transport::Tcp,
            "udp" | "udp6" => Transport::Udp,
            _ => return None,
        };
        let port = self.address.rsplit_once(':')?.1.parse().ok();
        Some(Endpoint::Host {
            transport,
            host: host.to_owned(),
            port: Some(port?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_reached_over_both_transports() {
        let shown = |text| -> Vec<String> {
            ways(text)
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(shown("lab"), ["tcp://lab:111", "udp://lab:111"]);
        assert_eq!(shown("::1"), ["tcp://[::1]:111", "udp://[::1]:111"]);
        assert_eq!(shown("udp://lab"), ["udp://lab:111"]);
        assert_eq!(shown("tcp://lab:1111"), ["tcp://lab:1111"]);
        assert_eq!(
            shown("unix:///run/rpcbind.sock"),
            ["unix:///run/rpcbind.sock"]
        );
    }

    #[test]
    fn what_several_versions_list_is_one_row_as_the_highest_tells_it() {
        let row = |version, netid: &str, address: &str, owner: &str| Row {
            program: 7,
            version,
            netid: netid.to_owned(),
            address: address.to_owned(),
            owner: owner.to_owned(),
        };
        let mut rows: BTreeSet<Row> = [
            row(1, "tcp", "127.0.0.1:9", "1000"),
            row(1, "tcp6", "[::]:9", "1000"),
        ]
        .into();
        let old = [
            row(1, "tcp", "0.0.0.0:9", ""),
            row(1, "udp", "0.0.0.0:9", ""),
            row(2, "tcp", "0.0.0.0:9", ""),
        ];
        merge(&mut rows, old.to_vec());
        let shown: Vec<_> = rows
            .iter()
            .map(|row| (row.version, row.netid.as_str(), row.owner.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (1, "tcp", "1000"),
                (1, "tcp6", "1000"),
                (1, "udp", ""),
                (2, "tcp", "")
            ]
        );
    }

    #[test]
    fn addresses_are_shown_as_one_writes_them() {
        assert_eq!(address(b"tcp", b"127.0.0.1.8.1"), "127.0.0.1:2049");
        assert_eq!(address(b"udp6", b"::.0.111"), "[::]:111");
        assert_eq!(address(b"local", b"/run/rpcbind.sock"), "/run/rpcbind.sock");
        assert_eq!(address(b"what", b"\x1b[2J"), "?[2J");
    }
}
