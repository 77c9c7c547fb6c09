//! Registering a server's interfaces with an endpoint mapper, and taking them away again.
//!
//! Read first: C706 appendix O (`ept_insert`, `ept_delete`). An element is an object, a tower and
//! a word about the server. Mappers take elements only from their own machine, best over
//! `ncalrpc`, where they know who registers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use farcall_dce::syntax::SyntaxId;
use farcall_dce::tower::{Protseq, Tower};
use farcall_wire::ndr::{self, Align};
use farcall_wire::{DecodeError, EncodeError};

use crate::client::mapper::{self, EPMAPPER};
use crate::client::{Client, Options};
use crate::endpoint::{Endpoint, Transport};
use crate::error::{Error, Phase};
use crate::interface::Interface;

/// Room for the word about the server, in bytes, its NUL included.
const ANNOTATION: usize = 64;

/// What was registered with an endpoint mapper.
#[derive(Debug)]
pub(crate) struct Mapped {
    client: Client,
    elements: Vec<Element>,
    /// They are being taken away: nobody says them again.
    ended: AtomicBool,
}

/// A way to an interface, and what it is called.
#[derive(Clone, Debug)]
struct Element {
    interface: &'static Interface,
    tower: Vec<u8>,
}

impl Mapped {
    // req: dce-face-register
    /// Registers each of `interfaces` at each of `endpoints` with the first mapper of `ways` that
    /// answers; what the same interface had there before is replaced.
    pub(crate) async fn register(
        ways: &[Endpoint],
        interfaces: &[&'static Interface],
        endpoints: &[Endpoint],
    ) -> Result<Self, Error> {
        let elements = elements(interfaces, endpoints);
        let client = connect(ways).await?;
        let mapped = Self {
            client,
            elements,
            ended: AtomicBool::new(false),
        };
        mapped.insert(true).await?;
        Ok(mapped)
    }

    // req: dce-face-register-again
    /// Says all of them again: an element that is there already stays as it is, and so does what others have
    /// registered meanwhile.
    pub(crate) async fn renew(&self) -> Result<(), Error> {
        match self.ended.load(Ordering::Acquire) {
            true => Ok(()),
            false => self.insert(false).await,
        }
    }

    /// From now on nobody says them again.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    async fn insert(&self, replace: bool) -> Result<(), Error> {
        if self.elements.is_empty() {
            return Ok(());
        }
        let encode = |w: &mut ndr::Writer| {
            put_elements(w, &self.elements)?;
            w.u32(u32::from(replace));
            Ok(())
        };
        self.change(mapper::EPT_INSERT, encode).await
    }

    async fn change(
        &self,
        opnum: u16,
        encode: impl FnOnce(&mut ndr::Writer) -> Result<(), EncodeError>,
    ) -> Result<(), Error> {
        let calling = self.client.operation(&EPMAPPER, opnum, &[], encode, status);
        let peer = self.client.peer();
        let registering = |error: Error| {
            let again = Error::new(Phase::Register, error.cause().clone()).with_peer(peer);
            error.hints().iter().fold(again, Error::hint)
        };
        match calling.await.map_err(registering)? {
            0 => Ok(()),
            status => Err(Error::new(Phase::Register, crate::Cause::Fault(status))
                .with_peer(peer)
                .hint("a mapper takes registrations only from its own machine and their owner")),
        }
    }

    /// Takes every element away, for at most `limit`.
    pub(crate) async fn remove(&self, limit: Duration) {
        self.end();
        if self.elements.is_empty() {
            return;
        }
        let encode = |w: &mut ndr::Writer| put_elements(w, &self.elements);
        let removing = self.change(mapper::EPT_DELETE, encode);
        if let Ok(Err(error)) = tokio::time::timeout(limit, removing).await {
            tracing::warn!(%error, "could not be unregistered");
        }
    }
}

async fn connect(ways: &[Endpoint]) -> Result<Client, Error> {
    let options = Options {
        timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(2),
        ..Options::default()
    };
    let mut first = None;
    for way in ways {
        match Client::connect_interface_with(way, &EPMAPPER, options.clone()).await {
            Ok(client) => return Ok(client),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    let error = first.unwrap_or_else(|| Error::local(Phase::Register, "no mapper is named"));
    let peer = error.peer().unwrap_or("endpoint mapper").to_owned();
    Err(Error::new(Phase::Register, error.cause().clone())
        .with_peer(peer)
        .hint("is an endpoint mapper running? `farcall binder` is one; or register with none"))
}

/// A tower for each interface at each endpoint.
fn elements(interfaces: &[&'static Interface], endpoints: &[Endpoint]) -> Vec<Element> {
    let towers = |interface: &'static Interface| {
        let towers = endpoints.iter().filter_map(move |at| tower(interface, at));
        towers.map(move |tower| Element { interface, tower })
    };
    interfaces
        .iter()
        .flat_map(|interface| towers(interface))
        .collect()
}

fn tower(interface: &Interface, endpoint: &Endpoint) -> Option<Vec<u8>> {
    let (protseq, at, host) = match endpoint {
        Endpoint::Local(name) => (Protseq::Local, name.clone(), Ipv4Addr::UNSPECIFIED),
        Endpoint::Host {
            transport: Transport::NcacnIpTcp,
            host,
            port,
        } => (Protseq::Tcp, (*port)?.to_string(), address(host)),
        Endpoint::Host {
            transport: Transport::NcacnHttp,
            host,
            port,
        } => (Protseq::Http, (*port)?.to_string(), address(host)),
        _ => return None,
    };
    let tower = Tower::new(interface.syntax_id(), SyntaxId::NDR, protseq, &at, host)?;
    Some(tower.to_bytes())
}

/// The address a tower names; towers have no room for others than IPv4's.
fn address(host: &str) -> Ipv4Addr {
    match host.parse() {
        Ok(IpAddr::V4(address)) => address,
        Ok(IpAddr::V6(Ipv6Addr::LOCALHOST)) => Ipv4Addr::LOCALHOST,
        _ => Ipv4Addr::UNSPECIFIED,
    }
}

/// `num_ents` and `entries`.
fn put_elements(w: &mut ndr::Writer, elements: &[Element]) -> Result<(), EncodeError> {
    w.u32(u32::try_from(elements.len()).unwrap_or(u32::MAX));
    w.count(elements.len())?;
    for element in elements {
        w.align(Align::WIDE);
        w.zeros(16);
        w.referent(true)?;
        put_annotation(w, element.interface.name)?;
        w.trailer(Align::WIDE);
    }
    for element in elements {
        mapper::put_tower(w, &element.tower)?;
    }
    w.align(Align::A4);
    Ok(())
}

/// A string of which only what is used travels, its NUL included.
fn put_annotation(w: &mut ndr::Writer, text: &str) -> Result<(), EncodeError> {
    let text = text.as_bytes();
    let text = text.get(..ANNOTATION - 1).unwrap_or(text);
    w.count(0)?;
    w.count(text.len() + 1)?;
    w.slice(text);
    w.u8(0);
    Ok(())
}

fn status(r: &mut ndr::Reader<'_>) -> Result<u32, DecodeError> {
    r.u32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_of_rpc_over_http_has_a_tower_of_its_own() {
        // C706 appendix I and MS-RPCE section 2.1.1.8: the last two floors are the port behind protocol 0x1f and the address behind 0x09,
        // each preceded by the lengths of its halves.
        let endpoint = "ncacn_http:127.0.0.1[593]".parse().expect("an endpoint");
        let bytes = tower(&EPMAPPER, &endpoint).expect("a tower");
        let end = [
            &[1, 0, 0x0b, 2, 0, 0, 0][..],
            &[1, 0, 0x1f, 2, 0, 0x02, 0x51],
            &[1, 0, 0x09, 4, 0, 127, 0, 0, 1],
        ];
        assert!(bytes.ends_with(&end.concat()), "{bytes:x?}");
    }
}
