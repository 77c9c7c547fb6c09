//! From an interface to addresses: names through the system's resolver, ports through the host's
//! endpoint mapper.
//!
//! Read first: C706 appendix O (`ept_map`) with MS-RPCE section 2.2.1.2. The mapper is asked over
//! TCP; what it answers are towers, of which only the port is used: the host is the one the user
//! named. Windows gives a null handle with the last answers and Samba keeps one until it says
//! that there are no more; one question is all we have, so either will do.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use farcall_dce::syntax::SyntaxId;
use farcall_dce::tower::{Protseq, Tower};
use farcall_wire::ndr::{self, Align};
use farcall_wire::{DecodeError, DecodeErrorKind, EncodeError, Uuid};

use crate::client::Client;
use crate::client::options::Options;
use crate::endpoint::{Endpoint, Transport};
use crate::error::{Error, Phase};
use crate::interface::{Interface, Operation};

/// The port at which endpoint mappers listen.
pub const MAPPER_PORT: u16 = 135;

/// The port at which endpoint mappers listen for RPC over HTTP.
pub const HTTP_MAPPER_PORT: u16 = 593;

/// How long a mapper may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Towers that are asked for at once.
const TOWERS: u32 = 16;

pub(crate) const EPT_INSERT: u16 = 0;
pub(crate) const EPT_DELETE: u16 = 1;
pub(crate) const EPT_MAP: u16 = 3;

const fn operation(opnum: u16, name: &'static str, idempotent: bool) -> Operation {
    Operation {
        opnum,
        name,
        idempotent,
        blocking: false,
        broadcast: false,
        maybe: false,
        in_pipes: 0,
        out_pipes: 0,
    }
}

/// The endpoint mapper's interface, as far as clients and registrars call it.
pub(crate) static EPMAPPER: Interface = Interface {
    uuid: Uuid::new(
        0xe1af_8308,
        0x5d1f,
        0x11c9,
        [0x91, 0xa4, 0x08, 0x00, 0x2b, 0x14, 0xa0, 0xfa],
    ),
    major: 3,
    minor: 0,
    name: "ept",
    operations: &[
        operation(EPT_INSERT, "ept_insert", false),
        operation(EPT_DELETE, "ept_delete", false),
        operation(EPT_MAP, "ept_map", true),
    ],
    endpoints: &[
        "ncacn_ip_tcp:[135]",
        "ncacn_http:[593]",
        "ncalrpc:[epmapper]",
    ],
};

/// The addresses of `endpoint`, its port found through the host's endpoint mapper if it has none.
pub(crate) async fn addresses(
    endpoint: &Endpoint,
    interface: &'static Interface,
    options: &Options,
) -> Result<Vec<SocketAddr>, Error> {
    let Endpoint::Host { host, port, .. } = endpoint else {
        let text = format!("{endpoint} is no network address");
        return Err(Error::local(Phase::Resolve, text));
    };
    if endpoint.transport() == Transport::NcacnHttp {
        let text = format!("{endpoint} is reached through an RPC proxy only");
        return Err(Error::local(Phase::Resolve, text));
    }
    let port = match port {
        Some(port) => *port,
        None => match well_known(interface) {
            Some(port) => port,
            None => boxed_port(endpoint, interface, options).await?,
        },
    };
    let found = tokio::net::lookup_host((host.as_str(), port))
        .await
        .map_err(|error| {
            Error::io(Phase::Resolve, &error).hint(format!("is '{host}' spelled right?"))
        })?;
    Ok(found.collect())
}

/// The port of an endpoint of RPC over HTTP: its own, or what the endpoint mapper says that is reached through the same RPC proxy
/// (at port 593, MS-RPCH section 1.9).
pub(crate) async fn http_port(
    endpoint: &Endpoint,
    interface: &'static Interface,
    options: &Options,
) -> Result<u16, Error> {
    let known = endpoint
        .port()
        .or_else(|| port_of(interface, Protseq::Http));
    match known {
        Some(port) => Ok(port),
        None => boxed_http_port(endpoint, interface, options).await,
    }
}

/// Boxed as [`boxed_port`] is.
fn boxed_http_port<'a>(
    endpoint: &'a Endpoint,
    interface: &'static Interface,
    options: &'a Options,
) -> Pin<Box<dyn Future<Output = Result<u16, Error>> + Send + 'a>> {
    Box::pin(async move {
        let mapper = match &options.mapper {
            Some(mapper) => mapper.clone(),
            None => endpoint.with_port(HTTP_MAPPER_PORT),
        };
        let ask = Options {
            http: options.http.clone(),
            connect_timeout: options.connect_timeout,
            timeout: options.timeout,
            ..Options::default()
        };
        ask_for(&mapper, interface, Protseq::Http, ask).await
    })
}

/// The port that the interface file itself names.
pub(crate) fn well_known(interface: &Interface) -> Option<u16> {
    port_of(interface, Protseq::Tcp)
}

fn port_of(interface: &Interface, protseq: Protseq) -> Option<u16> {
    let bindings = interface.endpoints.iter();
    bindings
        .filter_map(|binding| binding.strip_prefix(protseq.name())?.strip_prefix(':'))
        .find_map(|rest| {
            rest.trim_start_matches('[')
                .trim_end_matches(']')
                .parse()
                .ok()
        })
}

/// A mapper is itself reached through a client, so the types would be endless without a box.
fn boxed_port<'a>(
    endpoint: &'a Endpoint,
    interface: &'static Interface,
    options: &'a Options,
) -> Pin<Box<dyn Future<Output = Result<u16, Error>> + Send + 'a>> {
    Box::pin(async move {
        let host = endpoint.host().unwrap_or_default();
        find_port(&of_host(host, options), interface).await
    })
}

/// The endpoint mapper that knows about a host.
pub(crate) fn of_host(host: &str, options: &Options) -> Endpoint {
    match &options.mapper {
        Some(mapper) => mapper.clone(),
        None => Endpoint::Host {
            transport: Transport::NcacnIpTcp,
            host: host.to_owned(),
            port: Some(MAPPER_PORT),
        },
    }
}

/// How a mapper is called: it answers soon or never.
pub(crate) fn options() -> Options {
    Options {
        timeout: PATIENCE,
        connect_timeout: PATIENCE,
        ..Options::default()
    }
}

/// A mapper cannot be asked: what a user can do then.
pub(crate) fn unreachable_mapper(mapper: &Endpoint, error: &Error) -> Error {
    Error::new(Phase::Resolve, error.cause().clone())
        .with_peer(format!("endpoint mapper at {mapper}"))
        .hint("the endpoint mapper cannot be reached; with the port known, write it: [PORT]")
}

/// Asks the endpoint mapper at `mapper` for the TCP port of an interface.
///
/// # Errors
/// The mapper cannot be reached, or does not know the interface.
pub async fn find_port(mapper: &Endpoint, interface: &'static Interface) -> Result<u16, Error> {
    ask_for(mapper, interface, Protseq::Tcp, options()).await
}

async fn ask_for(
    mapper: &Endpoint,
    interface: &'static Interface,
    protseq: Protseq,
    options: Options,
) -> Result<u16, Error> {
    let client = Client::connect_interface_with(mapper, &EPMAPPER, options).await;
    let client = client.map_err(|error| unreachable_mapper(mapper, &error))?;
    let encode = |w: &mut ndr::Writer| map_arguments_over(w, interface, protseq);
    let asked = client.operation(&EPMAPPER, EPT_MAP, &[], encode, map_results);
    let towers = asked
        .await
        .map_err(|error| Error::new(Phase::Resolve, error.cause().clone()).with_peer(mapper))?;
    port_over(&towers, protseq).ok_or_else(|| not_registered_over(mapper, interface, protseq))
}

// req: dce-face-map
/// The first TCP port among towers.
pub(crate) fn port(towers: &[Tower]) -> Option<u16> {
    port_over(towers, Protseq::Tcp)
}

fn port_over(towers: &[Tower], protseq: Protseq) -> Option<u16> {
    let wanted = |tower: &&Tower| tower.protseq() == Some(protseq);
    let ports = towers.iter().filter(wanted).filter_map(Tower::port);
    ports.into_iter().find(|port| *port != 0)
}

/// The arguments of `ept_map`: the ways to an interface over TCP.
pub(crate) fn map_arguments(w: &mut ndr::Writer, interface: &Interface) -> Result<(), EncodeError> {
    map_arguments_over(w, interface, Protseq::Tcp)
}

fn map_arguments_over(
    w: &mut ndr::Writer,
    interface: &Interface,
    protseq: Protseq,
) -> Result<(), EncodeError> {
    let tower = Tower::new(
        interface.syntax_id(),
        SyntaxId::NDR,
        protseq,
        "0",
        Ipv4Addr::UNSPECIFIED,
    );
    let tower = tower.unwrap_or_default().to_bytes();
    // No object is asked for, but some mappers want a nil one rather than none.
    w.referent(true)?;
    w.zeros(16);
    w.referent(true)?;
    put_tower(w, &tower)?;
    w.align(Align::A4);
    w.zeros(20);
    w.u32(TOWERS);
    Ok(())
}

/// A `twr_t`: the hoisted count, the length, and the octets.
pub(crate) fn put_tower(w: &mut ndr::Writer, tower: &[u8]) -> Result<(), EncodeError> {
    w.count(tower.len())?;
    w.u32(u32::try_from(tower.len()).unwrap_or(u32::MAX));
    w.slice(tower);
    Ok(())
}

pub(crate) fn map_results(r: &mut ndr::Reader<'_>) -> Result<Vec<Tower>, DecodeError> {
    r.align(Align::A4)?;
    r.slice(20)?;
    let count = r.u32()?;
    let (_most, _first, actual) = (r.wide()?, r.wide()?, r.wide()?);
    let strange = DecodeErrorKind::Invalid("the mapper gives another number of towers");
    if u64::from(count) != actual || count > TOWERS {
        return Err(r.error(strange));
    }
    let mut present = 0;
    for _ in 0..count {
        present += u32::from(r.wide()? != 0);
    }
    let mut towers = Vec::new();
    for _ in 0..present {
        towers.extend(tower(r)?);
    }
    match r.u32()? {
        0 => Ok(towers),
        _ => Ok(Vec::new()),
    }
}

/// A tower; nothing if its octets are none.
fn tower(r: &mut ndr::Reader<'_>) -> Result<Option<Tower>, DecodeError> {
    let _hoisted = r.wide()?;
    let len = r.u32()?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let octets = r.slice(len)?;
    Ok(Tower::parse(octets).ok())
}

pub(crate) fn not_registered(mapper: &Endpoint, interface: &Interface) -> Error {
    not_registered_over(mapper, interface, Protseq::Tcp)
}

fn not_registered_over(mapper: &Endpoint, interface: &Interface, protseq: Protseq) -> Error {
    Error::local(
        Phase::Resolve,
        format!("{interface} is not registered for {protseq}"),
    )
    .with_peer(mapper)
    .hint("`farcall ls HOST` shows what is registered there")
}
