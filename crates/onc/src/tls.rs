//! How a connection comes to be protected by TLS: the probe `AUTH_TLS` and its answer, from both ends.
//!
//! Read first: RFC 9289 sections 4 (the probe), 5 (TLS) and 7 (what attackers do with it). The client calls procedure 0
//! of its program with the flavour 7 and nothing in it; a server that is willing answers success with the eight bytes
//! `STARTTLS` in a verifier of `AUTH_NONE`, and the next byte either way belongs to TLS. What came in clear never counts
//! as said under TLS: nothing may lie behind the probe or behind its answer, and whoever says something there has lost
//! its connection.
//!
//! What this file does not do: TLS itself, and DTLS for datagrams. It decides nothing about certificates.

use crate::auth::{AuthStat, Flavor, OpaqueAuth};
use crate::msg::{CallHeader, MessageType, ReplyBody, parse_call, parse_kind, parse_reply};
use crate::record::{Assembler, RecordError, RecordLimits, mark};
use crate::server::Registry;
use farcall_wire::Bytes;

/// The name of the protocol under TLS (RFC 9289 section 8.2).
pub const ALPN: &[u8] = b"sunrpc";

/// What a willing server says in the verifier of its answer.
const STARTTLS: [u8; 8] = *b"STARTTLS";

/// Longest answer to a probe that is looked at, in bytes: a reply header with the longest verifier has 428.
const LONGEST_ANSWER: u32 = 512;

/// Whether a server offers TLS on a connection, or insists on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Terms {
    /// A probe is refused as any flavour that is not known.
    #[default]
    Unoffered,
    /// Whoever asks for TLS gets it.
    Offered,
    /// Whoever does not ask for it is told that its calls are too weak. Procedure 0 without credentials answers
    /// everybody.
    Demanded,
}

/// How far a server's connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing is protected.
    Clear,
    /// The probe was answered: the next byte belongs to TLS.
    Starting,
    /// Everything is protected.
    Secured,
}

/// A server's side of one connection.
#[derive(Clone, Debug)]
pub struct Gate {
    terms: Terms,
    standing: Standing,
}

/// What becomes of a message at the [`Gate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It goes on as any other.
    Pass,
    /// Answer this.
    Answer {
        /// The call's number.
        xid: u32,
        /// The answer.
        body: ReplyBody,
    },
    /// Answer with [`accepted`], read nothing more in clear, and begin TLS when the answer has been sent.
    Start {
        /// The call's number.
        xid: u32,
    },
    /// Close the connection: somebody speaks in clear where TLS should begin.
    Close,
}

impl Gate {
    /// A connection that began in clear.
    #[must_use]
    pub const fn new(terms: Terms) -> Self {
        Self {
            terms,
            standing: Standing::Clear,
        }
    }

    /// A connection on which TLS stands.
    #[must_use]
    pub const fn secured() -> Self {
        Self {
            terms: Terms::Offered,
            standing: Standing::Secured,
        }
    }

    /// Whether any message could be anything but passed on: calls without credentials never are what [`judge`] stops.
    ///
    /// [`judge`]: Self::judge
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(
            (self.standing, self.terms),
            (Standing::Secured, _) | (Standing::Clear, Terms::Unoffered | Terms::Offered)
        )
    }

    /// Whether the probe was answered: the next byte belongs to TLS.
    #[must_use]
    pub const fn is_starting(&self) -> bool {
        matches!(self.standing, Standing::Starting)
    }

    /// Judges one complete message. `alone`: no other call of the connection is unanswered, and no byte lies behind
    /// this message.
    // req: onc-9289-4-probe
    pub fn judge(&mut self, message: &[u8], registry: &Registry, alone: bool) -> Judgement {
        if self.standing == Standing::Starting {
            return Judgement::Close;
        }
        let Ok((header, _)) = parse_call(message) else {
            return Judgement::Pass;
        };
        let xid = header.xid;
        if header.credential.flavor != Flavor::TLS {
            return match self.takes_in_clear(&header) {
                true => Judgement::Pass,
                false => refused(xid, AuthStat::TOOWEAK),
            };
        }
        if self.terms == Terms::Unoffered {
            return Judgement::Pass;
        }
        if let Err(stat) = self.probe(&header) {
            return refused(xid, stat);
        }
        if let Err(body) = registry.serves(header.program, header.version) {
            return Judgement::Answer { xid, body };
        }
        // Whatever else is on its way would be answered under TLS though it was said in clear, or the reverse.
        if !alone {
            return Judgement::Close;
        }
        self.standing = Standing::Starting;
        Judgement::Start { xid }
    }

    /// Whether a call may be made as the connection stands.
    // req: onc-9289-policy
    fn takes_in_clear(&self, header: &CallHeader<'_>) -> bool {
        let demanded = (self.standing, self.terms) == (Standing::Clear, Terms::Demanded);
        !demanded || (header.procedure == 0 && header.credential.flavor == Flavor::NONE)
    }

    /// What is wrong with a probe, if anything is.
    fn probe(&self, header: &CallHeader<'_>) -> Result<(), AuthStat> {
        let bare = header.credential.body.is_empty();
        if !bare || header.procedure != 0 || self.standing == Standing::Secured {
            return Err(AuthStat::BADCRED);
        }
        match header.verifier == OpaqueAuth::NONE {
            true => Ok(()),
            false => Err(AuthStat::BADVERF),
        }
    }
}

fn refused(xid: u32, stat: AuthStat) -> Judgement {
    let body = ReplyBody::AuthError(stat);
    Judgement::Answer { xid, body }
}

/// The answer of a willing server, without its mark.
#[must_use]
pub fn accepted(xid: u32) -> [u8; 32] {
    let mut message = [0; 32];
    // Reply, accepted, verifier AUTH_NONE of eight bytes; in the end, success.
    let words = [xid, MessageType::REPLY.0, 0, 0, 8];
    let bytes = words.into_iter().flat_map(u32::to_be_bytes).chain(STARTTLS);
    for (to, from) in message.iter_mut().zip(bytes) {
        *to = from;
    }
    message
}

/// What a server said to the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is willing: the next byte belongs to TLS.
    Start,
    /// It is not, and said this instead; [`ReplyBody::Success`] if it answered the call and knew nothing of TLS. The
    /// connection can be used in clear.
    Unwilling(ReplyBody),
}

/// Why the connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeError {
    /// What came is no record stream.
    Record(RecordError),
    /// What came is not the reply to the probe.
    Stray,
    /// Bytes in clear lie behind the answer.
    Behind,
}

impl std::fmt::Display for ProbeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Record(error) => write!(f, "{error}"),
            Self::Stray => f.write_str("what came is not the answer to the TLS probe"),
            Self::Behind => {
                f.write_str("something in clear lies behind the answer to the TLS probe")
            }
        }
    }
}

impl std::error::Error for ProbeError {}

/// A client's probe on a connection that carries nothing else.
#[derive(Debug)]
pub struct Probe {
    xid: u32,
    assembler: Assembler,
}

impl Probe {
    /// The probe for TLS at the server of a program, and its bytes, mark included.
    #[must_use]
    pub fn new(xid: u32, program: u32, version: u32) -> (Self, Vec<u8>) {
        // Call, RPC version 2, procedure 0, the flavour with no body, an empty verifier.
        let words = [xid, 0, 2, program, version, 0, Flavor::TLS.0, 0, 0, 0];
        let message = words.into_iter().flat_map(u32::to_be_bytes);
        let bytes = mark(40).into_iter().chain(message).collect();
        let limits = RecordLimits {
            record: LONGEST_ANSWER,
            ..RecordLimits::default()
        };
        let assembler = Assembler::new(limits);
        (Self { xid, assembler }, bytes)
    }

    /// Takes what came from the server, whole or in parts. Nothing yet: there is more to come.
    ///
    /// # Errors
    /// [`ProbeError`]: the connection must be closed.
    // req: onc-9289-4-answer
    pub fn receive(&mut self, bytes: &Bytes) -> Result<Option<Answer>, ProbeError> {
        let mut at = 0;
        let record = self.assembler.next(bytes, &mut at);
        let Some(record) = record.map_err(ProbeError::Record)? else {
            return Ok(None);
        };
        if at < bytes.len() {
            return Err(ProbeError::Behind);
        }
        let message = record.bytes(bytes);
        if parse_kind(&message) != Some((self.xid, MessageType::REPLY)) {
            return Err(ProbeError::Stray);
        }
        let (header, results) = parse_reply(&message).map_err(|_| ProbeError::Stray)?;
        let said = OpaqueAuth {
            flavor: Flavor::NONE,
            body: &STARTTLS,
        };
        let willing = header.body == ReplyBody::Success && header.verifier == said;
        match (willing, results == message.len()) {
            (true, true) => Ok(Some(Answer::Start)),
            // Procedure 0 has no results.
            (true, false) => Err(ProbeError::Behind),
            (false, _) => Ok(Some(Answer::Unwilling(header.body))),
        }
    }
}

#[cfg(test)]
mod tests;
