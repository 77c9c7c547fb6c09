//! Where a blocking client finds its server, and how it comes to a socket: rpcbind and the endpoint mapper are asked on the
//! caller's thread, and a connection is protected before anything else is sent on it (RFC 9289).

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixStream;

use super::Client;
use super::carried::{self, Fate};
#[cfg(feature = "tls")]
use crate::client::secure;
use crate::client::{Options, mapper, resolve};
use crate::endpoint::{Endpoint, Transport};
use crate::error::{Error, Phase};
use crate::interface::Interface;
use crate::local;
use crate::socket;
use crate::stub::Raw;

/// Where it connects, again if it must.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Inet(SocketAddr),
    Unix(std::path::PathBuf),
    /// Through an RPC proxy; without a port in the endpoint, the one of this interface.
    Http(&'static Interface),
}

/// A connected stream, of which more may be known than that it ended.
pub(crate) type Stream = (Socket, Option<Fate>);

/// A connected socket.
pub(crate) enum Socket {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<crate::tls::BlockingStream>),
    Unix(UnixStream),
    Udp(UdpSocket),
}

/// Connects a socket to `address`, the endpoint's, and protects it if it must be.
pub(crate) fn open_for(
    address: &Address,
    endpoint: &Endpoint,
    called: (u32, u32),
    options: &Options,
) -> Result<Socket, Error> {
    let connect = || {
        let opened = open(address, endpoint.transport(), options);
        opened.map_err(|error| Error::io(Phase::Connect, &error))
    };
    #[cfg(feature = "tls")]
    if let Some(tls) = secure::wanted(endpoint, options)? {
        let Socket::Tcp(stream) = connect()? else {
            return connect();
        };
        let how = (&tls, options.connect_timeout);
        return match secure::secure_blocking(stream, endpoint, called, how)? {
            secure::Secured::Tls(stream) => Ok(Socket::Tls(stream)),
            secure::Secured::Clear(stream) => Ok(Socket::Tcp(stream)),
            secure::Secured::Again => connect(),
        };
    }
    #[cfg(not(feature = "tls"))]
    if endpoint.transport() == Transport::Tls {
        let text = "this build has no TLS (feature \"tls\" of farcall)";
        return Err(Error::local(Phase::Connect, text));
    }
    let _ = called;
    connect()
}

/// Connects to an endpoint of DCE/RPC.
pub(crate) fn open_stream(
    address: &Address,
    endpoint: &Endpoint,
    options: &Options,
) -> Result<Stream, Error> {
    if let Address::Http(interface) = address {
        let (stream, fate) = carried::open(endpoint, interface, options)?;
        return Ok((Socket::Unix(stream), Some(fate)));
    }
    let opened = open(address, endpoint.transport(), options);
    let socket = opened.map_err(|error| Error::io(Phase::Connect, &error))?;
    Ok((socket, None))
}

/// Connects a socket to `address`.
fn open(address: &Address, transport: Transport, options: &Options) -> io::Result<Socket> {
    Ok(match address {
        Address::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
        Address::Http(_) => return Err(io::ErrorKind::Unsupported.into()),
        Address::Inet(address) if transport == Transport::Udp => {
            let any: SocketAddr = match address {
                SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
                SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
            };
            let socket = UdpSocket::bind(any)?;
            socket.connect(address)?;
            Socket::Udp(socket)
        }
        Address::Inet(address) => {
            let stream = TcpStream::connect_timeout(address, options.connect_timeout)?;
            socket::tune(&stream, &options.limits);
            Socket::Tcp(stream)
        }
    })
}

/// The address of `endpoint`; rpcbind is asked for the port if there is none.
pub(crate) fn find(endpoint: &Endpoint, program: u32, version: u32) -> Result<Address, Error> {
    let Endpoint::Host {
        transport,
        host,
        port,
    } = endpoint
    else {
        return Ok(Address::Unix(
            endpoint
                .path()
                .unwrap_or(std::path::Path::new(""))
                .to_owned(),
        ));
    };
    let port = match port {
        Some(port) => *port,
        None => find_port(host, *transport, program, version)?,
    };
    let failed = |e: io::Error| Error::io(Phase::Resolve, &e).with_peer(endpoint);
    let mut found = (host.as_str(), port).to_socket_addrs().map_err(failed)?;
    found
        .next()
        .map(Address::Inet)
        .ok_or_else(|| Error::local(Phase::Resolve, format!("{host} has no address")))
}

/// Where an interface is reached; the endpoint mapper is asked for the port if there is none.
pub(crate) fn find_interface(
    endpoint: &Endpoint,
    interface: &'static Interface,
    options: &Options,
) -> Result<Address, Error> {
    let failed = |e: io::Error| Error::io(Phase::Resolve, &e).with_peer(endpoint);
    let (host, port) = match endpoint {
        Endpoint::Local(name) => {
            let paths = local::to_connect(name).map_err(failed)?;
            let there = paths.iter().find(|path| path.exists()).or(paths.first());
            return Ok(Address::Unix(there.cloned().unwrap_or_default()));
        }
        Endpoint::Host {
            transport: Transport::NcacnIpTcp,
            host,
            port,
        } => (host, port.or_else(|| mapper::well_known(interface))),
        _ if endpoint.transport() == Transport::NcacnHttp => {
            return Ok(Address::Http(interface));
        }
        _ => {
            let text = format!("{endpoint} is no endpoint of DCE/RPC");
            return Err(Error::local(Phase::Resolve, text));
        }
    };
    let port = match port {
        Some(port) => port,
        None => ask_mapper(&mapper::of_host(host, options), interface)?,
    };
    let mut found = (host.as_str(), port).to_socket_addrs().map_err(failed)?;
    found
        .next()
        .map(Address::Inet)
        .ok_or_else(|| Error::local(Phase::Resolve, format!("{host} has no address")))
}

/// Asks an endpoint mapper for a port.
fn ask_mapper(mapper: &Endpoint, interface: &'static Interface) -> Result<u16, Error> {
    let client = Client::connect_interface_with(mapper, &mapper::EPMAPPER, mapper::options());
    let client = client.map_err(|error| mapper::unreachable_mapper(mapper, &error))?;
    let towers = client.operation(
        &mapper::EPMAPPER,
        mapper::EPT_MAP,
        &[],
        |w| mapper::map_arguments(w, interface),
        mapper::map_results,
    )?;
    mapper::port(&towers).ok_or_else(|| mapper::not_registered(mapper, interface))
}

/// Asks the rpcbind of `host` for a port.
fn find_port(host: &str, transport: Transport, program: u32, version: u32) -> Result<u16, Error> {
    let (named, transport) = (transport, transport.carrier());
    let other = if transport == Transport::Udp {
        Transport::Tcp
    } else {
        Transport::Udp
    };
    let port = Some(resolve::RPCBIND_PORT);
    let ask = |over| {
        let binder = Endpoint::Host {
            transport: over,
            host: host.to_owned(),
            port,
        };
        let asked = ask(&binder, transport, program, version)?;
        Ok(asked.ok_or_else(|| resolve::not_registered(&binder, transport, program, version)))
    };
    ask(transport)
        .or_else(|first| ask(other).map_err(|_| first))
        .unwrap_or_else(|error: Error| {
            Err(resolve::unreachable_binder(
                host,
                resolve::RPCBIND_PORT,
                named,
                &error,
            ))
        })
}

fn ask(
    binder: &Endpoint,
    transport: Transport,
    program: u32,
    version: u32,
) -> Result<Option<u16>, Error> {
    let client = Client::connect_with(binder, resolve::RPCBIND, 4, resolve::options())?;
    let mut last = None;
    for question in resolve::questions(binder.transport(), transport, program, version) {
        match client.call_target(question.target, &Raw(&question.arguments), question.answer) {
            Ok(port) => return Ok(port),
            Err(error) if resolve::speaks_other_versions(&error) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::local(Phase::Resolve, "rpcbind was not asked")))
}
