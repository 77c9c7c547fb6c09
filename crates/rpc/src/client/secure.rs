//! How a client's connection comes to be protected: the probe, then TLS (RFC 9289 section 4).
//!
//! The machine of the probe stands in [`farcall_onc::tls`]; this file moves its bytes, over a socket of a runtime and over
//! one that blocks. Under a policy that insists, everything but a willing server is an error. Under
//! [`Policy::Opportunistic`] a server that is not willing is spoken to in clear; one that is willing and then proves not
//! to be who it should be is not.

use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::Bytes;
use farcall_onc::msg::ReplyBody;
use farcall_onc::tls::{ALPN, Answer, Probe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::link::failure;
use super::options::Options;
use super::seed;
use crate::endpoint::{Endpoint, Transport};
use crate::error::{Cause, Error, Phase, TlsFault};
use crate::tls::{BlockingStream, ClientSettings, ClientTls, Policy, Tls, TlsStream};

/// Room for one read of the answer, in bytes.
const ROOM: usize = 1024;

/// What came of the attempt to protect a connection.
pub(crate) enum Secured<C, T> {
    /// It stays in clear.
    Clear(C),
    /// It is protected.
    Tls(T),
    /// The server has ended it rather than answer the probe; another one may be used in clear.
    Again,
}

/// The TLS that connections to `endpoint` are to have, if any.
///
/// # Errors
/// What is demanded is not possible.
pub(crate) fn wanted(endpoint: &Endpoint, options: &Options) -> Result<Option<Tls>, Error> {
    let mut tls = options.tls.clone();
    match endpoint.transport() {
        Transport::Tls => {
            let mut wanted = match tls {
                Some(tls) => tls,
                None => Tls::require(ClientTls::new(ClientSettings::default())?),
            };
            wanted.policy = wanted.policy.max(Policy::Require);
            tls = Some(wanted);
        }
        Transport::Udp
            if tls
                .as_ref()
                .is_some_and(|tls| tls.policy >= Policy::Require) =>
        {
            let why = "calls over UDP cannot be protected, and they must be";
            return Err(refused(TlsFault::NotOffered, why).hint("use tls://"));
        }
        Transport::Tcp => {}
        _ => return Ok(None),
    }
    let tls = tls.filter(|tls| tls.policy != Policy::Off);
    match &tls {
        Some(tls) if tls.policy == Policy::RequireMutual && !tls.with.has_certificate() => {
            let why = "both sides must prove who they are, and there is no certificate to show";
            Err(refused(TlsFault::Settings, why).hint("give one: --cert FILE --key FILE"))
        }
        _ => Ok(tls),
    }
}

/// Protects a connection that was just made for calls to a version of a program.
///
/// # Errors
/// The server is not willing though it must be, or is not who it should be.
// req: onc-9289-client
pub(crate) async fn secure(
    mut stream: TcpStream,
    endpoint: &Endpoint,
    (program, version): (u32, u32),
    tls: &Tls,
) -> Result<Secured<TcpStream, Box<TlsStream<TcpStream>>>, Error> {
    let (mut probe, bytes) = Probe::new(xid(), program, version);
    let asked = async {
        stream.write_all(&bytes).await?;
        loop {
            let mut room = [0; ROOM];
            let n = stream.read(&mut room).await?;
            let read = Bytes::copy_from_slice(room.get(..n).unwrap_or_default());
            if let Some(answer) = hear(&mut probe, &read)? {
                return Ok::<_, Unheard>(answer);
            }
        }
    };
    match judge(asked.await, tls, (program, version))? {
        Verdict::Clear => return Ok(Secured::Clear(stream)),
        Verdict::Again => return Ok(Secured::Again),
        Verdict::Start => {}
    }
    let host = endpoint.host().unwrap_or_default();
    let stream = tls.with.connect(stream, host, &[ALPN]).await?;
    mutual(tls, stream.has_shown())?;
    Ok(Secured::Tls(Box::new(stream)))
}

/// As [`secure`], blocking.
///
/// # Errors
/// As [`secure`].
pub(crate) fn secure_blocking(
    mut stream: std::net::TcpStream,
    endpoint: &Endpoint,
    (program, version): (u32, u32),
    (tls, limit): (&Tls, Duration),
) -> Result<Secured<std::net::TcpStream, Box<BlockingStream>>, Error> {
    let failed = |error: io::Error| Error::io(Phase::Secure, &error);
    stream.set_read_timeout(Some(limit)).map_err(failed)?;
    let (mut probe, bytes) = Probe::new(xid(), program, version);
    let mut ask = || -> Result<Answer, Unheard> {
        stream.write_all(&bytes)?;
        loop {
            let mut room = [0; ROOM];
            let n = stream.read(&mut room)?;
            let read = Bytes::copy_from_slice(room.get(..n).unwrap_or_default());
            if let Some(answer) = hear(&mut probe, &read)? {
                return Ok(answer);
            }
        }
    };
    match judge(ask(), tls, (program, version))? {
        Verdict::Clear => return Ok(Secured::Clear(stream)),
        Verdict::Again => return Ok(Secured::Again),
        Verdict::Start => {}
    }
    let host = endpoint.host().unwrap_or_default();
    let stream = tls.with.connect_blocking(stream, host, &[ALPN])?;
    mutual(tls, stream.has_shown())?;
    Ok(Secured::Tls(Box::new(stream)))
}

fn xid() -> u32 {
    let [a, b, c, d, ..] = seed().draw(1).to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Why there is no answer to the probe.
enum Unheard {
    /// The connection ended, or failed.
    Ended(io::Error),
    /// What came is no answer.
    Stray(String),
}

impl From<io::Error> for Unheard {
    fn from(error: io::Error) -> Self {
        Self::Ended(error)
    }
}

fn hear(probe: &mut Probe, read: &Bytes) -> Result<Option<Answer>, Unheard> {
    if read.is_empty() {
        return Err(Unheard::Ended(io::ErrorKind::UnexpectedEof.into()));
    }
    let heard = probe.receive(read);
    heard.map_err(|error| Unheard::Stray(error.to_string()))
}

enum Verdict {
    Start,
    Clear,
    Again,
}

/// What to do after the probe.
// req: onc-9289-policy
fn judge(heard: Result<Answer, Unheard>, tls: &Tls, through: (u32, u32)) -> Result<Verdict, Error> {
    let insists = tls.policy >= Policy::Require;
    let hint = "calls in clear are possible over tcp:// without --tls, or with --tls=opportunistic";
    match heard {
        Ok(Answer::Start) => Ok(Verdict::Start),
        Ok(Answer::Unwilling(said @ (ReplyBody::ProgUnavail | ReplyBody::ProgMismatch { .. })))
            if insists =>
        {
            Err(absent(said, through))
        }
        Ok(Answer::Unwilling(said)) if insists => {
            let why = format!("the server does not offer it: to the probe it said \"{said}\"");
            Err(refused(TlsFault::NotOffered, why).hint(hint))
        }
        Ok(Answer::Unwilling(_)) => Ok(Verdict::Clear),
        Err(Unheard::Ended(error)) if is_timeout(&error) => {
            let why = "the server did not answer the probe in time";
            Err(refused(TlsFault::Interrupted, why))
        }
        Err(Unheard::Ended(_)) if insists => {
            let why = "the server does not offer it: it ended the connection at the probe";
            Err(refused(TlsFault::NotOffered, why).hint(hint))
        }
        Err(Unheard::Ended(_)) => Ok(Verdict::Again),
        Err(Unheard::Stray(why)) => Err(refused(TlsFault::NotTls, why)),
    }
}

/// A server is asked for TLS through a program, and it has not that one: it has said nothing about TLS.
fn absent(said: ReplyBody, (program, version): (u32, u32)) -> Error {
    let cause = failure(said).unwrap_or(Cause::ProgramUnavailable);
    let hint = format!(
        "it was asked for TLS through program {program} version {version}; name one that it has"
    );
    let error = Error::new(Phase::Secure, cause).executed(false);
    error.hint(hint)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Both sides have proved who they are, if they must.
fn mutual(tls: &Tls, shown: bool) -> Result<(), Error> {
    if tls.policy == Policy::RequireMutual && !shown {
        let why = "both sides must prove who they are, and the server did not ask who we are";
        return Err(refused(TlsFault::CertificateRequired, why));
    }
    Ok(())
}

fn refused(fault: TlsFault, why: impl Into<String>) -> Error {
    Error::new(Phase::Secure, Cause::Tls(fault, why.into()))
}
