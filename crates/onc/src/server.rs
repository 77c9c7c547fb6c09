//! What a server does with a message before any program sees it: admit it, answer it, or drop it.
//!
//! Read first: RFC 5531 sections 9 (the statuses) and 13 (authentication). The order of checks is fixed:
//! complete message, number and direction, RPC version, lengths of credential and verifier, authentication,
//! program, version. Procedure and arguments are the program's own. Every fault with a known number is
//! answered on a stream; a datagram whose header is not whole gets no answer, so that nobody can be hit by
//! reflections. This file runs no procedure and keeps no replies.

use crate::auth::{AuthStat, AuthSys, Flavor, OpaqueAuth, SysRef};
use crate::gss;
use crate::msg::{CallFault, CallHeader, Framing, ReplyBody, parse_call};
use farcall_wire::Padding;
use std::sync::Arc;

/// Which callers a program takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepts {
    /// Callers without any credential (`AUTH_NONE`). Procedure 0 takes them always.
    pub none: bool,
    /// Callers with a Unix user and groups (`AUTH_SYS`, and `AUTH_SHORT` that stands for one).
    pub sys: bool,
    /// How well calls under `RPCSEC_GSS` must be protected at least.
    pub protection: gss::Service,
}

impl Accepts {
    /// Any caller. The default.
    pub const ANY: Self = Self {
        none: true,
        sys: true,
        protection: gss::Service::NONE,
    };
    /// Callers that name a Unix user.
    pub const SYS: Self = Self {
        none: false,
        sys: true,
        protection: gss::Service::NONE,
    };

    /// Callers that a mechanism has proved (`RPCSEC_GSS`), their calls protected at least so.
    #[must_use]
    pub const fn proved(protection: gss::Service) -> Self {
        Self {
            none: false,
            sys: false,
            protection,
        }
    }
}

impl Default for Accepts {
    fn default() -> Self {
        Self::ANY
    }
}

/// One version of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    program: u32,
    version: u32,
    accepts: Accepts,
    service: usize,
}

/// The program and version are already served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The program.
    pub program: u32,
    /// Its version.
    pub version: u32,
    /// The service that has it.
    pub service: usize,
}

impl std::fmt::Display for Duplicate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "program {} version {} is served twice",
            self.program, self.version
        )
    }
}

impl std::error::Error for Duplicate {}

/// The programs a server has, and how it takes calls for them.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// Sorted by program, then version.
    rows: Vec<Row>,
    padding: Padding,
}

/// Who calls, as far as the message says so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Caller<'a> {
    /// Nobody in particular.
    None,
    /// This Unix user, it claims.
    Sys(SysRef<'a>),
    /// The Unix user for whom the server issued the handle.
    Short(Arc<AuthSys>),
    /// Whom a mechanism has proved, under `RPCSEC_GSS`.
    Proved(gss::Principal),
}

/// A call that a program may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted<'a> {
    /// Its header.
    pub header: CallHeader<'a>,
    /// Who calls.
    pub caller: Caller<'a>,
    /// Where in the message the arguments begin.
    pub args: usize,
    /// The service, as it was given to [`Registry::insert`].
    pub service: usize,
}

/// What to do with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission<'a> {
    /// Hand it to the program.
    Call(Admitted<'a>),
    /// Procedure 0 of a program that is here: answer success without results. Arguments are not looked at.
    Null {
        /// The call's number.
        xid: u32,
        /// The service whose procedure 0 it is.
        service: usize,
    },
    /// Answer this.
    Answer {
        /// The call's number.
        xid: u32,
        /// The answer.
        body: ReplyBody,
    },
    /// Drop the datagram without an answer.
    Silent(CallFault),
    /// Close the connection: the peer does not speak the protocol.
    Close(CallFault),
}

/// What plain calls look like at the moment: those of one version of a program, without credentials. They are
/// most calls of most connections, and the same in all words but three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habit {
    /// The words behind the xid: direction, RPC version, program, version.
    words: [u8; 16],
    service: usize,
}

/// A call that was recognised by [`Habit::recognise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Its number.
    pub xid: u32,
    /// The procedure; 0 is answered as [`Admission::Null`] is.
    pub procedure: u32,
    /// The service, as it was given to [`Registry::insert`].
    pub service: usize,
}

impl Plain {
    /// Where in the message the arguments begin.
    pub const ARGUMENTS: usize = 40;
}

impl Habit {
    /// The call that `message` is, if [`Registry::admit`] would find the same: a call without credentials for
    /// this version of a program, which takes such callers.
    #[inline]
    #[must_use]
    pub fn recognise(&self, message: &[u8]) -> Option<Plain> {
        let (xid, rest) = message.split_first_chunk::<4>()?;
        let (words, rest) = rest.split_first_chunk::<16>()?;
        let (procedure, rest) = rest.split_first_chunk::<4>()?;
        let nobody = rest.first_chunk::<16>()?;
        if *words != self.words || *nobody != [0; 16] {
            return None;
        }
        Some(Plain {
            xid: u32::from_be_bytes(*xid),
            procedure: u32::from_be_bytes(*procedure),
            service: self.service,
        })
    }
}

impl Registry {
    /// How to recognise further calls like `message`, if it is a plain one. It holds as long as this registry is
    /// not changed.
    #[must_use]
    pub fn habit(&self, message: &[u8]) -> Option<Habit> {
        let (header, _) = parse_call(message).ok()?;
        let row = self.find(header.program, header.version).ok()?;
        let words = *message.get(4..)?.first_chunk::<16>()?;
        let service = row.service;
        let habit = Habit { words, service };
        (row.accepts.none && habit.recognise(message).is_some()).then_some(habit)
    }

    /// No programs yet. [`Padding::Strict`] also refuses what the specification forbids in credentials and
    /// deployed peers let pass: trailing bytes, and a verifier where `AUTH_NONE` and `AUTH_SYS` have none.
    #[must_use]
    pub fn new(padding: Padding) -> Self {
        Self {
            rows: Vec::new(),
            padding,
        }
    }

    /// Adds one version of a program; `service` comes back in [`Admitted::service`].
    ///
    /// # Errors
    /// [`Duplicate`] if it is already here.
    pub fn insert(
        &mut self,
        program: u32,
        version: u32,
        accepts: Accepts,
        service: usize,
    ) -> Result<(), Duplicate> {
        let at = self.position(program, version);
        if let Some(row) = self
            .rows
            .get(at)
            .filter(|row| (row.program, row.version) == (program, version))
        {
            return Err(Duplicate {
                program,
                version,
                service: row.service,
            });
        }
        self.rows.insert(
            at,
            Row {
                program,
                version,
                accepts,
                service,
            },
        );
        Ok(())
    }

    /// Takes one version of a program away; whether it was here.
    pub fn remove(&mut self, program: u32, version: u32) -> bool {
        let before = self.rows.len();
        self.rows
            .retain(|row| (row.program, row.version) != (program, version));
        self.rows.len() != before
    }

    /// All programs and versions with their services, in order.
    pub fn programs(&self) -> impl Iterator<Item = (u32, u32, usize)> + '_ {
        self.rows
            .iter()
            .map(|row| (row.program, row.version, row.service))
    }

    /// The service of a program's version for a caller under `RPCSEC_GSS` whose calls are protected so.
    ///
    /// # Errors
    /// The answer: what is here instead, or that the protection is too weak.
    pub fn locate(
        &self,
        program: u32,
        version: u32,
        protection: gss::Service,
    ) -> Result<usize, ReplyBody> {
        let row = self.find(program, version)?;
        match protection >= row.accepts.protection {
            true => Ok(row.service),
            false => Err(ReplyBody::AuthError(AuthStat::TOOWEAK)),
        }
    }

    /// Whether this version of a program is here.
    ///
    /// # Errors
    /// The answer: what is here instead.
    pub fn serves(&self, program: u32, version: u32) -> Result<(), ReplyBody> {
        self.find(program, version).map(|_| ())
    }

    /// Decides about one complete message.
    ///
    /// `shorts` looks an `AUTH_SHORT` handle up ([`ShortTable::accept`](crate::auth::ShortTable::accept)); a
    /// server that issues none passes `|_| None`. Nothing is allocated unless a credential is malformed.
    // req: onc-server-order
    #[inline]
    pub fn admit<'a>(
        &self,
        message: &'a [u8],
        framing: Framing,
        shorts: impl FnOnce(&[u8]) -> Option<Arc<AuthSys>>,
    ) -> Admission<'a> {
        let (header, args) = match parse_call(message) {
            Ok(parsed) => parsed,
            Err(fault) => return answer_fault(fault, framing, message.len()),
        };
        let xid = header.xid;
        let caller = match self.authenticate(&header, shorts) {
            Ok(caller) => caller,
            Err(stat) => {
                return Admission::Answer {
                    xid,
                    body: ReplyBody::AuthError(stat),
                };
            }
        };
        let row = match self.find(header.program, header.version) {
            Ok(row) => row,
            Err(body) => return Admission::Answer { xid, body },
        };
        if header.procedure == 0 && (matches!(caller, Caller::None) || row.accepts.sys) {
            return Admission::Null {
                xid,
                service: row.service,
            };
        }
        if !row.accepts.takes(&caller) {
            return Admission::Answer {
                xid,
                body: ReplyBody::AuthError(AuthStat::TOOWEAK),
            };
        }
        Admission::Call(Admitted {
            header,
            caller,
            args,
            service: row.service,
        })
    }

    /// Who calls, or why nobody knows.
    // req: onc-server-auth
    #[inline]
    fn authenticate<'a>(
        &self,
        header: &CallHeader<'a>,
        shorts: impl FnOnce(&[u8]) -> Option<Arc<AuthSys>>,
    ) -> Result<Caller<'a>, AuthStat> {
        let OpaqueAuth { flavor, body } = header.credential;
        let caller = match flavor {
            Flavor::NONE if body.is_empty() || self.padding == Padding::Compatible => Caller::None,
            Flavor::NONE => return Err(AuthStat::BADCRED),
            Flavor::SYS => {
                Caller::Sys(SysRef::parse(body, self.padding).map_err(|_| AuthStat::BADCRED)?)
            }
            Flavor::SHORT => Caller::Short(shorts(body).ok_or(AuthStat::REJECTEDCRED)?),
            _ => return Err(AuthStat::REJECTEDCRED),
        };
        if self.padding == Padding::Strict && header.verifier != OpaqueAuth::NONE {
            return Err(AuthStat::BADVERF);
        }
        Ok(caller)
    }

    /// The row of a program's version, or the answer that says what is here instead.
    // req: onc-5531-9-mismatch
    #[inline]
    fn find(&self, program: u32, version: u32) -> Result<&Row, ReplyBody> {
        match self.rows.get(self.position(program, version)) {
            Some(row) if (row.program, row.version) == (program, version) => Ok(row),
            _ => Err(self.not_here(program)),
        }
    }

    /// Where a program's version stands, or would stand.
    #[inline]
    fn position(&self, program: u32, version: u32) -> usize {
        self.rows
            .partition_point(|row| (row.program, row.version) < (program, version))
    }

    #[cold]
    fn not_here(&self, program: u32) -> ReplyBody {
        let mut versions = self
            .rows
            .iter()
            .filter(|row| row.program == program)
            .map(|row| row.version);
        match (versions.next(), versions.next_back()) {
            (None, _) => ReplyBody::ProgUnavail,
            (Some(only), None) => ReplyBody::ProgMismatch {
                low: only,
                high: only,
            },
            (Some(low), Some(high)) => ReplyBody::ProgMismatch { low, high },
        }
    }
}

impl Accepts {
    #[inline]
    fn takes(self, caller: &Caller<'_>) -> bool {
        match caller {
            Caller::None => self.none,
            Caller::Sys(_) | Caller::Short(_) => self.sys,
            // How well its calls are protected was asked before.
            Caller::Proved(_) => true,
        }
    }
}

/// Shortest datagram that is answered, in bytes: the refusal of another RPC version takes as many, and an answer
/// must not be longer than what asked for it.
const SHORTEST_ANSWERED: usize = 24;

/// What a message of `len` bytes that is no proper call gets.
// req: onc-5531-9-errors
#[cold]
fn answer_fault(fault: CallFault, framing: Framing, len: usize) -> Admission<'static> {
    let (xid, body) = match (fault, framing) {
        (CallFault::Truncated { .. } | CallFault::NotACall { .. }, Framing::Stream) => {
            return Admission::Close(fault);
        }
        (
            CallFault::Truncated { .. } | CallFault::NotACall { .. } | CallFault::Garbage { .. },
            Framing::Datagram,
        ) => {
            return Admission::Silent(fault);
        }
        (CallFault::Garbage { xid }, Framing::Stream) => (xid, ReplyBody::GarbageArgs),
        (CallFault::RpcMismatch { .. }, Framing::Datagram) if len < SHORTEST_ANSWERED => {
            return Admission::Silent(fault);
        }
        (CallFault::RpcMismatch { xid, .. }, _) => (xid, ReplyBody::OTHER_RPC_VERSION),
        (CallFault::BadCredential { xid }, _) => (xid, ReplyBody::AuthError(AuthStat::BADCRED)),
        (CallFault::BadVerifier { xid }, _) => (xid, ReplyBody::AuthError(AuthStat::BADVERF)),
    };
    Admission::Answer { xid, body }
}

#[cfg(test)]
mod tests;
