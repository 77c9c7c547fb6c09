//! Whence a connection comes, where something stands in front: the PROXY protocol and `X-Forwarded-For`.
//!
//! Read first: the PROXY protocol, version 2 (sections 2.2 and 2.2.1). Both are believed from listed
//! sources only; from those the PROXY protocol is then demanded, since without it every client would seem to be the balancer.
//! Version 1 of the protocol, and what version 2 says beside addresses, are not read.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::config::value::Network;

/// Whether an address lies in one of these networks.
#[must_use]
pub fn listed(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.holds(address))
}

/// The twelve bytes with which version 2 of the PROXY protocol begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Longest rest of a PROXY header that is read, in bytes: addresses, and what balancers put beside them.
const MAX_REST: usize = 2048;

/// Reads the header with which a balancer begins a connection. `None` if the balancer speaks for itself (its health checks do).
///
/// # Errors
/// What the socket says, or `InvalidData` for what is no such header. Time limits are the caller's.
pub async fn read_proxy_header(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<SocketAddr>> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).await?;
    let Some((signature, [command, family, high, low])) = head.split_first_chunk::<12>() else {
        return Err(none());
    };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    if signature != SIGNATURE || !matches!(command, 0x20 | 0x21) || len > MAX_REST {
        return Err(none());
    }
    let mut rest = vec![0; len];
    stream.read_exact(&mut rest).await?;
    match (command, family) {
        (0x21, 0x11) => v4(&rest).map(Some).ok_or_else(none),
        (0x21, 0x21) => v6(&rest).map(Some).ok_or_else(none),
        (0x20, _) | (0x21, 0) => Ok(None),
        _ => Err(none()),
    }
}

fn none() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "no header of the PROXY protocol, version 2",
    )
}

fn v4(rest: &[u8]) -> Option<SocketAddr> {
    let (source, rest) = rest.split_first_chunk::<4>()?;
    let port = rest.get(4..6)?.first_chunk()?;
    Some((Ipv4Addr::from(*source), u16::from_be_bytes(*port)).into())
}

fn v6(rest: &[u8]) -> Option<SocketAddr> {
    let (source, rest) = rest.split_first_chunk::<16>()?;
    let port = rest.get(16..18)?.first_chunk()?;
    let source = IpAddr::V6(Ipv6Addr::from(*source)).to_canonical();
    Some((source, u16::from_be_bytes(*port)).into())
}

/// The client's address as front proxies tell it in `X-Forwarded-For`: the last one that is not itself a front's. `None` if the
/// header is not there or says nothing that can be believed; the socket's address stands then.
#[must_use]
pub fn forwarded(headers: &HeaderMap, fronts: &[Network]) -> Option<IpAddr> {
    let values = headers.get_all("x-forwarded-for");
    let values: Vec<&str> = values
        .iter()
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    for element in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        let address = node(element.trim())?;
        if !listed(fronts, address) {
            return Some(address);
        }
    }
    None
}

/// An address with or without a port.
fn node(text: &str) -> Option<IpAddr> {
    let alone = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let address = alone.parse().ok();
    let address = address.or_else(|| {
        text.parse()
            .ok()
            .map(|with_port: SocketAddr| with_port.ip())
    });
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().expect(text)
    }

    async fn header(bytes: &[u8]) -> io::Result<Option<SocketAddr>> {
        let mut bytes = bytes;
        read_proxy_header(&mut bytes).await
    }

    /// By hand, after the layout of section 2.2: TCP over IPv4, 12 bytes of addresses, from 192.0.2.7:4660 to 192.0.2.1:443.
    const V4: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x12\x34\x01\xbb";

    #[tokio::test]
    async fn the_proxy_protocol_names_the_client() {
        let got = header(V4).await.expect("a header");
        assert_eq!(got, Some("192.0.2.7:4660".parse().expect("address")));
        let mut v6 = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x27".to_vec();
        v6.extend_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        v6.extend_from_slice(&[0; 16]);
        v6.extend_from_slice(&[0, 80, 1, 187, 4, 0, 0]);
        let got = header(&v6).await.expect("a header");
        assert_eq!(got, Some("[2001:db8::9]:80".parse().expect("address")));
        let got = header(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")
            .await
            .expect("a health check");
        assert_eq!(got, None);
    }

    #[tokio::test]
    async fn what_is_no_header_of_version_2_is_refused() {
        for len in 0..V4.len() {
            assert!(header(&V4[..len]).await.is_err(), "{len} bytes");
        }
        assert!(
            header(b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n")
                .await
                .is_err()
        );
        for (at, byte) in [
            (0, b'G'),
            (12, 0x31),
            (12, 0x22),
            (13, 0x12),
            (14, 0xff),
            (15, 3),
        ] {
            let mut wrong = V4.to_vec();
            wrong[at] = byte;
            assert!(header(&wrong).await.is_err(), "byte {at}");
        }
    }

    #[test]
    fn the_last_address_that_is_no_front_is_the_client() {
        let fronts = [network("10.0.0.0/8")];
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-forwarded-for", http::HeaderValue::from_static(value));
            }
            forwarded(&headers, &fronts).map(|address| address.to_string())
        };
        assert_eq!(of(&["203.0.113.5"]).as_deref(), Some("203.0.113.5"));
        assert_eq!(
            of(&["1.2.3.4, 203.0.113.5, 10.0.0.1"]).as_deref(),
            Some("203.0.113.5")
        );
        assert_eq!(
            of(&["1.2.3.4", "203.0.113.5"]).as_deref(),
            Some("203.0.113.5")
        );
        assert_eq!(of(&["203.0.113.5:1234"]).as_deref(), Some("203.0.113.5"));
        assert_eq!(of(&["[2001:db8::1]:4711"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(of(&["1.2.3.4, rubbish"]), None);
        assert_eq!(of(&["10.0.0.1"]), None);
        assert_eq!(of(&[]), None);
    }
}
