//! From an endpoint to addresses: names through the system's resolver, ports through rpcbind.
//!
//! Read first: [RFC 1833] sections 2.1 and 3.1. A server may know only some versions of rpcbind
//! (instruments speak version 2 alone), so version 4 is asked first, then 3, then 2; over the
//! transport that is wanted, then over the other. The host is the one the user named; of the
//! universal address that rpcbind gives only the port is used.
//!
//! [RFC 1833]: https://www.rfc-editor.org/rfc/rfc1833

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use farcall_onc::msg::Target;
use farcall_wire::{DecodeError, DecodeErrorKind, Reader, Str, xdr};

use super::Client;
use super::calling::Decoder;
use super::options::Options;
use crate::endpoint::{Endpoint, Transport};
use crate::error::{Cause, Error, Phase};
use crate::stub::Raw;

/// The port at which rpcbind listens.
pub const RPCBIND_PORT: u16 = 111;

/// rpcbind's own program.
pub(crate) const RPCBIND: u32 = 100_000;

/// How long one version of rpcbind may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// The addresses of `endpoint`, its port found through rpcbind if it has none.
pub(crate) async fn addresses(
    endpoint: &Endpoint,
    program: u32,
    version: u32,
) -> Result<Vec<SocketAddr>, Error> {
    let Endpoint::Host {
        transport,
        host,
        port,
    } = endpoint
    else {
        return Err(Error::local(
            Phase::Resolve,
            format!("{endpoint} is no network address"),
        ));
    };
    let port = match port {
        Some(port) => *port,
        None => boxed_port(host, *transport, program, version).await?,
    };
    let found = tokio::net::lookup_host((host.as_str(), port))
        .await
        .map_err(|error| {
            Error::io(Phase::Resolve, &error).hint(format!("is '{host}' spelled right?"))
        })?;
    Ok(found.collect())
}

/// rpcbind is itself reached through a client, so the types would be endless without a box.
fn boxed_port<'a>(
    host: &'a str,
    transport: Transport,
    program: u32,
    version: u32,
) -> Pin<Box<dyn Future<Output = Result<u16, Error>> + Send + 'a>> {
    Box::pin(find_port(host, RPCBIND_PORT, transport, program, version))
}

/// Asks the rpcbind at `host` and `binder` for the port of a program's version.
///
/// # Errors
/// rpcbind cannot be reached, or does not know the program.
pub async fn find_port(
    host: &str,
    binder: u16,
    transport: Transport,
    program: u32,
    version: u32,
) -> Result<u16, Error> {
    let (named, transport) = (transport, transport.carrier());
    let other = if transport == Transport::Udp {
        Transport::Tcp
    } else {
        Transport::Udp
    };
    let mut first = None;
    for over in [transport, other] {
        let endpoint = Endpoint::Host {
            transport: over,
            host: host.to_owned(),
            port: Some(binder),
        };
        match ask(&endpoint, transport, program, version).await {
            Ok(Some(port)) => return Ok(port),
            Ok(None) => return Err(not_registered(&endpoint, transport, program, version)),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    let error = first.unwrap_or_else(|| Error::local(Phase::Resolve, "rpcbind was not asked"));
    Err(unreachable_binder(host, binder, named, &error))
}

/// rpcbind cannot be asked: what a user can do then.
pub(crate) fn unreachable_binder(
    host: &str,
    binder: u16,
    transport: Transport,
    error: &Error,
) -> Error {
    Error::new(Phase::Resolve, error.cause().clone())
        .with_peer(format!("rpcbind at {host}:{binder}"))
        .hint(format!(
            "rpcbind cannot be reached; with the port known, write {transport}://{host}:PORT"
        ))
}

pub(crate) fn not_registered(
    binder: &Endpoint,
    transport: Transport,
    program: u32,
    version: u32,
) -> Error {
    Error::local(
        Phase::Resolve,
        format!("program {program} version {version} is not registered for {transport}"),
    )
    .with_peer(binder)
    .hint("`farcall ls HOST` shows what is registered there")
}

/// Asks one rpcbind in each of its versions until one answers.
async fn ask(
    binder: &Endpoint,
    transport: Transport,
    program: u32,
    version: u32,
) -> Result<Option<u16>, Error> {
    let client = Client::connect_with(binder, RPCBIND, 4, options()).await?;
    let mut last = None;
    for question in questions(binder.transport(), transport, program, version) {
        let Question {
            target,
            arguments,
            answer,
        } = question;
        match client.call_target(target, &Raw(&arguments), answer).await {
            Ok(port) => return Ok(port),
            Err(error) if speaks_other_versions(&error) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::local(Phase::Resolve, "rpcbind was not asked")))
}

/// How rpcbind is called: it answers soon or never.
pub(crate) fn options() -> Options {
    Options {
        timeout: PATIENCE,
        connect_timeout: PATIENCE,
        ..Options::default()
    }
}

/// The same question in one version of rpcbind.
pub(crate) struct Question {
    pub(crate) target: Target,
    pub(crate) arguments: Vec<u8>,
    pub(crate) answer: Decoder<Option<u16>>,
}

/// Where is this version of this program? In versions 4, 3 and 2 of rpcbind, asked over `over`.
///
/// Versions 4 and 3 answer for the transport over which they are asked, whatever the question
/// says ([RFC 1833] section 2.2.1), so of another transport only version 2 is asked.
///
/// [RFC 1833]: https://www.rfc-editor.org/rfc/rfc1833#section-2.2.1
pub(crate) fn questions(
    over: Transport,
    transport: Transport,
    program: u32,
    version: u32,
) -> impl Iterator<Item = Question> {
    let (netid, none) = (Str::from(transport.scheme()), Str::default());
    let by_address = (program, version, netid, none.clone(), none);
    let protocol: u32 = if transport == Transport::Udp { 17 } else { 6 };
    let by_number = (program, version, protocol, 0_u32);
    let target = |version| Target {
        program: RPCBIND,
        version,
        procedure: 3,
    };
    let versions: &[u32] = match over == transport {
        true => &[4, 3, 2],
        false => &[2],
    };
    versions.iter().map(move |&rpcbind| Question {
        target: target(rpcbind),
        arguments: match rpcbind {
            2 => xdr::to_vec(&by_number),
            _ => xdr::to_vec(&by_address),
        }
        .unwrap_or_default(),
        answer: if rpcbind == 2 {
            number_answer
        } else {
            address_answer
        },
    })
}

/// `PMAPPROC_GETPORT`, version 2: a port, 0 for none.
fn number_answer(r: &mut Reader<'_>) -> Result<Option<u16>, DecodeError> {
    let port = r.u32()?;
    Ok(u16::try_from(port).ok().filter(|port| *port != 0))
}

/// `RPCBPROC_GETADDR`, versions 3 and 4: a universal address, empty for none.
fn address_answer(r: &mut Reader<'_>) -> Result<Option<u16>, DecodeError> {
    let address = r.opaque_var(1024)?;
    if address.is_empty() {
        return Ok(None);
    }
    let port = std::str::from_utf8(address).ok().and_then(port_of);
    let strange = DecodeErrorKind::Invalid("rpcbind's answer is no universal address");
    port.map(Some).ok_or_else(|| r.error(strange))
}

/// Whether an older version is worth a try: refused, or, by instruments, not answered at all.
pub(crate) fn speaks_other_versions(error: &Error) -> bool {
    matches!(
        error.cause(),
        Cause::ProgramMismatch { .. }
            | Cause::ProgramUnavailable
            | Cause::ProcedureUnavailable
            | Cause::Deadline(_)
    )
}

/// The port of a universal address: its last two numbers.
fn port_of(address: &str) -> Option<u16> {
    let mut parts = address.rsplit('.');
    let mut part = || parts.next().and_then(|part| part.parse::<u8>().ok());
    let (low, high) = (part()?, part()?);
    Some(u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_another_transport_only_version_2_can_tell() {
        let versions = |over, transport| -> Vec<u32> {
            let all = questions(over, transport, 100_003, 3);
            all.map(|question| question.target.version).collect()
        };
        assert_eq!(versions(Transport::Udp, Transport::Udp), [4, 3, 2]);
        assert_eq!(versions(Transport::Tcp, Transport::Udp), [2]);
        assert_eq!(versions(Transport::Udp, Transport::Tcp), [2]);
    }

    #[test]
    fn a_universal_address_ends_with_its_port() {
        assert_eq!(port_of("0.0.0.0.0.111"), Some(111));
        assert_eq!(port_of("::1.8.1"), Some(2049));
        for bad in ["", "1", "1.2.3.4.300.1", "/run/rpcbind.sock"] {
            assert!(port_of(bad).is_none(), "{bad}");
        }
    }
}
