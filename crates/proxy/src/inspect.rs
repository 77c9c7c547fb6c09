//! Follows one association of DCE/RPC through its clear headers, so that the policy is asked before anything is forwarded.
//!
//! Read first: C706 sections 12.6.3 and 12.6.4, MS-RPCE sections 2.2.2.11 and 3.3.1.5.2 to 3.3.1.5.4. Stubs may be encrypted;
//! presentation contexts, operation numbers, call ids and levels never are, so no key is needed. The inspector is given
//! whole PDUs of both directions and says what becomes of each. It remembers what each number means: a presentation context its interface,
//! a security context its level, a call that came in part whether it was denied. Whatever could mean one thing here and
//! another at the server is refused: a number that is given two meanings, a byte order that changes, a fragment that names
//! another operation than its first. What it holds is bounded, whatever is sent.
//!
//! A denied call gets a fault under its own call id; its other fragments are swallowed, and the connection lives. Under a level
//! that numbers its messages (packet and above) the server would then miss one. Where signatures do not cover headers, the call therefore goes to the server
//! [masked](mask): as one of an operation that no interface has, which the server counts, refuses and does not execute. Where they do, nothing can stand in for
//! the call and the security context cannot go on: later calls under it that the policy allows get a fault of their own
//! ([`status::SEC_PKG_ERROR`], not executed), until the client makes a new one.
#![warn(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

mod snapshot;

use std::collections::VecDeque;
use std::fmt;

use farcall_dce::pdu::auth::Verifier;
use farcall_dce::pdu::bind::{Bind, BindAck, ResultCode};
use farcall_dce::pdu::call::{Fault, Request};
use farcall_dce::pdu::{Flags, Header, PacketType};
use farcall_dce::security::{AuthLevel, AuthType};
use farcall_dce::status;
use farcall_dce::syntax::{Order, SyntaxId, Uuid};

use crate::policy::Ask;
pub use snapshot::Snapshot;

/// Presentation contexts of an association.
const MAX_CONTEXTS: usize = 256;

/// Security contexts of an association.
const MAX_SECURITY: usize = 32;

/// Binds and alter_contexts whose answers are outstanding.
const MAX_PENDING: usize = 8;

/// Calls whose end is awaited, to say how long they took. What is beyond is forwarded and not measured.
const MAX_OPEN: usize = 512;

/// Something that the policy is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What.
    pub ask: Ask,
    /// The call it is about.
    pub call_id: u32,
    /// The object that is called, if one is named.
    pub object: Option<Uuid>,
}

/// An operation that no interface has: a call of it is counted and refused.
pub const NO_OPERATION: u16 = u16::MAX;

/// Where a request has its operation (C706 section 12.6.4.9), and a fault its status (section 12.6.4.7).
const PLACES: (usize, usize) = (22, 24);

/// The same request as a call of [`NO_OPERATION`].
#[must_use]
pub fn mask(request: &[u8]) -> Vec<u8> {
    let mut masked = request.to_vec();
    if let Some(place) = masked.get_mut(PLACES.0..).and_then(|it| it.get_mut(..2)) {
        place.copy_from_slice(&NO_OPERATION.to_le_bytes());
    }
    masked
}

/// The same fault with the status of what is denied, unless it is signed.
#[must_use]
pub fn denied(fault: &[u8]) -> Vec<u8> {
    let mut denied = fault.to_vec();
    let header = fault
        .first_chunk()
        .and_then(|head| Header::parse(head).ok());
    if let Some(header) = header.filter(|header| header.auth_length == 0)
        && let Some(place) = denied.get_mut(PLACES.1..).and_then(|it| it.get_mut(..4))
    {
        place.copy_from_slice(&match header.order() {
            Order::Little => status::ACCESS_DENIED.to_le_bytes(),
            Order::Big => status::ACCESS_DENIED.to_be_bytes(),
        });
    }
    denied
}

/// What becomes of a PDU of the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It goes to the server.
    Forward,
    /// It goes nowhere.
    Swallow,
    /// It goes nowhere, and the client gets this PDU instead of an answer.
    Answer([u8; Fault::LEN]),
    /// It is denied, and goes to the server [masked](mask).
    Mask,
}

/// What a PDU of the server's means. It goes to the client in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// Nothing that matters here.
    Nothing,
    /// A call has ended.
    Ended(Ended),
    /// The server has refused a call that was masked; the client gets the fault as [denied].
    Denied,
}

/// A call that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What was called.
    pub call: Open,
    /// The status of its fault, if it had one.
    pub fault: Option<u32>,
}

/// A call that was allowed and has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its number.
    pub call_id: u32,
    /// The interface.
    pub interface: SyntaxId,
    /// The operation.
    pub opnum: u16,
    /// When its first fragment came, in the caller's ticks.
    pub since: u64,
    /// Bytes of its requests, headers included.
    pub sent: u64,
    /// Bytes of its responses so far, headers included.
    pub received: u64,
}

/// An association that is not one. Nothing more of it can be trusted; it must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation(pub &'static str);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Violation {}

/// A presentation context.
#[derive(Clone, Copy, Debug)]
struct Presented {
    id: u16,
    interface: SyntaxId,
    accepted: bool,
}

/// A security context.
#[derive(Clone, Copy, Debug)]
struct Secured {
    id: u32,
    auth_type: AuthType,
    level: AuthLevel,
    /// A call under it was denied, so that the server would miss a message.
    spent: bool,
}

/// A bind or alter_context that is not answered.
#[derive(Debug)]
struct Pending {
    call_id: u32,
    /// Its contexts in order; `None` for one that asks for features.
    contexts: Vec<Option<u16>>,
}

/// A call of which more fragments are to come.
#[derive(Clone, Copy, Debug)]
struct Partial {
    call_id: u32,
    context_id: u16,
    opnum: u16,
    fate: Fate,
}

/// What becomes of a call's further fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Forward,
    Swallow,
    Mask,
}

/// Why a call does not pass.
#[derive(Clone, Copy, Debug)]
struct Refused {
    status: u32,
    /// The server is to count it all the same.
    masked: bool,
}

/// One association.
#[derive(Debug, Default)]
pub struct Inspector {
    order: Option<Order>,
    bound: bool,
    presented: Vec<Presented>,
    secured: Vec<Secured>,
    /// A request has named its security context, so those that name none are nobody's.
    explicit: bool,
    pending: VecDeque<Pending>,
    partial: Option<Partial>,
    open: Vec<Open>,
    /// The client offered to sign headers, so the server may have agreed.
    signs_headers: bool,
    /// Calls that went to the server masked and are not answered.
    masked: Vec<u32>,
    /// What the server answers comes by another way, or did for a while.
    alone: bool,
}

impl Inspector {
    /// An association that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls that were allowed and have not ended.
    #[must_use]
    pub fn open(&self) -> &[Open] {
        &self.open
    }

    /// Takes one whole PDU of the client's; `allows` asks the policy, `now` is the caller's clock.
    ///
    /// # Errors
    /// [`Violation`]: the PDU must not be forwarded, and the association must be closed.
    pub fn client(
        &mut self,
        pdu: &[u8],
        now: u64,
        allows: &mut dyn FnMut(&Asked) -> bool,
    ) -> Result<Act, Violation> {
        let (header, body) = read(pdu)?;
        if *self.order.get_or_insert(header.order()) != header.order() {
            return Err(Violation("a byte order that changes"));
        }
        match header.ptype {
            PacketType::REQUEST => self.request(pdu, &header, body, now, allows),
            PacketType::BIND => self.bind(pdu, &header, body, allows),
            PacketType::ALTER_CONTEXT if self.bound => self.alter(pdu, &header, body, allows),
            PacketType::AUTH3 if self.bound => self.auth3(pdu, &header),
            PacketType::CO_CANCEL if self.bound => Ok(self.cancel(&header)),
            PacketType::ORPHANED if self.bound => Ok(self.orphaned(&header)),
            PacketType::ALTER_CONTEXT
            | PacketType::AUTH3
            | PacketType::CO_CANCEL
            | PacketType::ORPHANED => Err(Violation("a PDU before the bind")),
            _ => Err(Violation("a PDU that no client sends")),
        }
    }

    /// What was denied last was not swallowed but made into what the server refuses: if it was the bind, the client may go on as if that had been
    /// refused by the server.
    pub fn left_to_server(&mut self) {
        self.bound = true;
    }

    /// From now on, what the server answers does not come by here, or not all of it: nothing is awaited.
    pub fn be_alone(&mut self) {
        self.alone = true;
        self.pending.clear();
    }

    /// Takes one whole PDU of the server's.
    ///
    /// # Errors
    /// [`Violation`]: the association must be closed.
    pub fn server(&mut self, pdu: &[u8]) -> Result<Back, Violation> {
        let (header, body) = read(pdu)?;
        match header.ptype {
            PacketType::RESPONSE if self.masked.contains(&header.call_id) => {
                Err(Violation("an answer to a call of no operation"))
            }
            PacketType::RESPONSE => Ok(self.response(pdu, &header)),
            PacketType::FAULT if self.unmasked(header.call_id) => Ok(Back::Denied),
            PacketType::FAULT => {
                self.unanswered(header.call_id);
                Ok(self.fault(&header, body))
            }
            PacketType::BIND_ACK | PacketType::ALTER_CONTEXT_RESP => self.answered(&header, body),
            PacketType::BIND_NAK => {
                self.unanswered(header.call_id);
                Ok(Back::Nothing)
            }
            PacketType::SHUTDOWN => Ok(Back::Nothing),
            _ => Err(Violation("a PDU that no server sends")),
        }
    }
}

/// The header and what follows it.
fn read(pdu: &[u8]) -> Result<(Header, &[u8]), Violation> {
    let Some((head, body)) = pdu.split_first_chunk::<{ Header::LEN }>() else {
        return Err(Violation("a PDU shorter than its header"));
    };
    let header = Header::parse(head).map_err(|_| Violation("a header that is none"))?;
    header
        .check()
        .map_err(|_| Violation("a header that is not of this protocol"))?;
    if usize::from(header.frag_length) != pdu.len() {
        return Err(Violation("a PDU of another length than its header says"));
    }
    Ok((header, body))
}

/// Binds, and what becomes of them.
impl Inspector {
    fn bind(
        &mut self,
        pdu: &[u8],
        header: &Header,
        body: &[u8],
        allows: &mut dyn FnMut(&Asked) -> bool,
    ) -> Result<Act, Violation> {
        if self.bound {
            return Err(Violation("a second bind"));
        }
        let act = self.alter(pdu, header, body, allows)?;
        self.bound = act == Act::Forward;
        Ok(act)
    }

    fn alter(
        &mut self,
        pdu: &[u8],
        header: &Header,
        body: &[u8],
        allows: &mut dyn FnMut(&Asked) -> bool,
    ) -> Result<Act, Violation> {
        if self.partial.is_some() {
            return Err(Violation("a bind amid the fragments of a request"));
        }
        let verifier = Verifier::find(pdu, header, Header::LEN)
            .map_err(|_| Violation("a verifier that does not fit"))?;
        // What lies behind the contexts is the verifier's; contexts that reach into it are none.
        let end = verifier
            .as_ref()
            .map_or(pdu.len(), |it| it.at)
            .saturating_sub(Header::LEN);
        let body = body.get(..end).unwrap_or_default();
        let bind = Bind::parse(body, header.order())
            .map_err(|_| Violation("a bind that cannot be read"))?;
        let fresh = match &verifier {
            Some(verifier) => self.secure(verifier)?,
            None => None,
        };
        let level = self.secured.iter().chain(&fresh).map(|it| it.level).max();
        let level = level.unwrap_or(AuthLevel::NONE);
        self.signs_headers |= header.flags.has(Flags::SUPPORT_HEADER_SIGN);
        if !self.passes(&bind, header.call_id, level, allows) {
            return Ok(answer(header, 0, status::ACCESS_DENIED));
        }
        self.offer(&bind, header.call_id)?;
        self.secured.extend(fresh);
        Ok(Act::Forward)
    }

    /// Whether a bind has a context that may be made, or none at all.
    fn passes(
        &self,
        bind: &Bind,
        call_id: u32,
        level: AuthLevel,
        allows: &mut dyn FnMut(&Asked) -> bool,
    ) -> bool {
        let mut asked: Vec<SyntaxId> = Vec::new();
        let mut passes = true;
        for context in bind.contexts.iter().filter(|it| features(it).is_none()) {
            if asked.contains(&context.interface) {
                continue;
            }
            let first = asked.is_empty();
            asked.push(context.interface);
            let interface = context.interface;
            let allowed = allows(&Asked {
                ask: Ask::Bind { interface, level },
                call_id,
                object: None,
            });
            passes = if first { allowed } else { passes || allowed };
        }
        passes
    }

    /// The security context that a leg belongs to, if it is a new one.
    // req: proxy-2.2.2.11-level
    fn secure(&self, verifier: &Verifier) -> Result<Option<Secured>, Violation> {
        let it = &verifier.trailer;
        if let Some(old) = self.secured.iter().find(|old| old.id == it.context_id) {
            return match (old.auth_type, old.level) == (it.auth_type, it.level) {
                true => Ok(None),
                false => Err(Violation("a security context of two types or levels")),
            };
        }
        if self.secured.len() >= MAX_SECURITY {
            return Err(Violation("too many security contexts"));
        }
        Ok(Some(Secured {
            id: it.context_id,
            auth_type: it.auth_type,
            level: it.level,
            spent: false,
        }))
    }

    /// Remembers what a bind's numbers mean.
    // req: proxy-12.6.3.1-context
    fn offer(&mut self, bind: &Bind, call_id: u32) -> Result<(), Violation> {
        if self.pending.len() >= MAX_PENDING && !self.alone {
            return Err(Violation("too many binds without their answers"));
        }
        let mut contexts = Vec::with_capacity(bind.contexts.len());
        for context in &bind.contexts {
            let (id, interface) = (context.context_id, context.interface);
            if features(context).is_some() {
                contexts.push(None);
                continue;
            }
            match self.presented.iter().find(|it| it.id == id) {
                Some(old) if old.interface != interface => {
                    return Err(Violation("a presentation context of two interfaces"));
                }
                Some(_) => {}
                None if self.presented.len() >= MAX_CONTEXTS => {
                    return Err(Violation("too many presentation contexts"));
                }
                None => self.presented.push(Presented {
                    id,
                    interface,
                    accepted: false,
                }),
            }
            contexts.push(Some(id));
        }
        if !self.alone {
            self.pending.push_back(Pending { call_id, contexts });
        }
        Ok(())
    }

    fn auth3(&mut self, pdu: &[u8], header: &Header) -> Result<Act, Violation> {
        let verifier = Verifier::find(pdu, header, Header::LEN)
            .map_err(|_| Violation("a verifier that does not fit"))?;
        let verifier = verifier.ok_or(Violation("an auth3 without a verifier"))?;
        match self.secure(&verifier)? {
            None => Ok(Act::Forward),
            Some(_) => Err(Violation("an auth3 of no security context")),
        }
    }

    /// A bind's answer: numbers that the server did not take are free again.
    fn answered(&mut self, header: &Header, body: &[u8]) -> Result<Back, Violation> {
        let Some(at) = self
            .pending
            .iter()
            .position(|it| it.call_id == header.call_id)
        else {
            return match self.alone {
                true => Ok(Back::Nothing),
                false => Err(Violation("an answer to no bind")),
            };
        };
        let ack = BindAck::parse(body, header.order())
            .map_err(|_| Violation("a bind's answer that cannot be read"))?;
        let pending = self
            .pending
            .remove(at)
            .map(|it| it.contexts)
            .unwrap_or_default();
        let mut results = ack.results.iter();
        for id in pending {
            let accepted = results
                .next()
                .is_some_and(|it| it.result == ResultCode::ACCEPTANCE);
            let Some(id) = id else { continue };
            self.settle(id, accepted);
        }
        Ok(Back::Nothing)
    }

    fn settle(&mut self, id: u16, accepted: bool) {
        match accepted {
            true => {
                let mut found = self.presented.iter_mut().filter(|it| it.id == id);
                if let Some(context) = found.next() {
                    context.accepted = true;
                }
            }
            false => {
                // A later bind may have offered it once more.
                let offered = self
                    .pending
                    .iter()
                    .any(|it| it.contexts.contains(&Some(id)));
                self.presented
                    .retain(|it| it.id != id || it.accepted || offered);
            }
        }
    }

    /// The bind of this number was refused as a whole, if there was one.
    fn unanswered(&mut self, call_id: u32) {
        let Some(at) = self.pending.iter().position(|it| it.call_id == call_id) else {
            return;
        };
        let contexts = self
            .pending
            .remove(at)
            .map(|it| it.contexts)
            .unwrap_or_default();
        for id in contexts.into_iter().flatten() {
            self.settle(id, false);
        }
    }
}

/// Calls, and what becomes of them.
impl Inspector {
    fn request(
        &mut self,
        pdu: &[u8],
        header: &Header,
        body: &[u8],
        now: u64,
        allows: &mut dyn FnMut(&Asked) -> bool,
    ) -> Result<Act, Violation> {
        if !self.bound {
            return Err(Violation("a PDU before the bind"));
        }
        let request =
            Request::parse(body, header).map_err(|_| Violation("a request that is cut short"))?;
        let (verifier, _) = Verifier::find_after_stub(pdu, header, request.stub())
            .map_err(|_| Violation("a verifier that does not fit"))?;
        if !header.flags.has(Flags::FIRST) {
            return self.next(header, &request);
        }
        if self.partial.is_some() {
            return Err(Violation("a request amid the fragments of another"));
        }
        let refused = self.first(header, &request, verifier.as_ref(), allows)?;
        let fate = match refused {
            None => Fate::Forward,
            Some(Refused { masked: true, .. }) => Fate::Mask,
            Some(_) => Fate::Swallow,
        };
        if !header.flags.has(Flags::LAST) {
            self.partial = Some(Partial {
                call_id: header.call_id,
                context_id: request.context_id,
                opnum: request.opnum,
                fate,
            });
        }
        match refused {
            None => {
                self.opened(header, &request, now);
                Ok(Act::Forward)
            }
            Some(Refused { masked: true, .. }) => {
                if !header.flags.has(Flags::MAYBE) {
                    self.masked.push(header.call_id);
                }
                Ok(Act::Mask)
            }
            Some(_) if header.flags.has(Flags::MAYBE) => Ok(Act::Swallow),
            Some(refused) => Ok(answer(header, request.context_id, refused.status)),
        }
    }

    /// Asks about a first fragment: why it does not pass, if it does not.
    fn first(
        &mut self,
        header: &Header,
        request: &Request,
        verifier: Option<&Verifier>,
        allows: &mut dyn FnMut(&Asked) -> bool,
    ) -> Result<Option<Refused>, Violation> {
        let silent = |status| Refused {
            status,
            masked: false,
        };
        let place = match verifier {
            None => None,
            // Its type and level must be those of the context that it names, and there must be one.
            Some(verifier) => match self.secure(verifier)? {
                Some(_) => return Ok(Some(silent(status::ACCESS_DENIED))),
                None => self
                    .secured
                    .iter()
                    .position(|it| it.id == verifier.trailer.context_id),
            },
        };
        let context = place.and_then(|place| self.secured.get(place));
        let level = context.map_or_else(|| self.implied(), |it| it.level);
        self.explicit |= place.is_some();
        let mut refused = match self.interface(request.context_id) {
            None => Some(silent(status::UNK_IF)),
            Some(interface) => {
                let (opnum, object) = (request.opnum, request.object);
                let ask = Ask::Call {
                    interface,
                    opnum,
                    level,
                };
                let allowed = allows(&Asked {
                    ask,
                    call_id: header.call_id,
                    object,
                });
                (!allowed).then_some(silent(status::ACCESS_DENIED))
            }
        };
        let maskable = self.is_maskable(request.context_id);
        let context = place.and_then(|place| self.secured.get_mut(place));
        if let Some(context) = context.filter(|it| it.level.is_per_packet()) {
            match &mut refused {
                Some(refused) if maskable && !context.spent => refused.masked = true,
                refused if context.spent => {
                    *refused = refused.or(Some(silent(status::SEC_PKG_ERROR)));
                }
                refused => context.spent = refused.is_some(),
            }
        }
        Ok(refused)
    }

    /// Whether a call over a presentation context may go to the server masked.
    // req: proxy-3.3.1.5.2-sequence
    fn is_maskable(&self, id: u16) -> bool {
        let known = self.presented.iter().any(|it| it.id == id && it.accepted);
        known && !self.signs_headers && self.masked.len() < MAX_OPEN
    }

    /// The level of requests that name no security context.
    fn implied(&self) -> AuthLevel {
        let connect = self.secured.iter().any(|it| it.level == AuthLevel::CONNECT);
        match connect && !self.explicit {
            true => AuthLevel::CONNECT,
            false => AuthLevel::NONE,
        }
    }

    fn interface(&self, id: u16) -> Option<SyntaxId> {
        self.presented
            .iter()
            .find(|it| it.id == id)
            .map(|it| it.interface)
    }

    /// A further fragment goes where the first went.
    // req: proxy-12.6.4.9-first
    fn next(&mut self, header: &Header, request: &Request) -> Result<Act, Violation> {
        let Some(partial) = self.partial.filter(|it| it.call_id == header.call_id) else {
            return Err(Violation("a fragment of no request"));
        };
        if (partial.context_id, partial.opnum) != (request.context_id, request.opnum) {
            return Err(Violation(
                "a fragment that names another operation than its first",
            ));
        }
        if header.flags.has(Flags::LAST) {
            self.partial = None;
        }
        if let Some(open) = self.open.iter_mut().find(|it| it.call_id == header.call_id) {
            open.sent = open.sent.saturating_add(header.frag_length.into());
        }
        Ok(match partial.fate {
            Fate::Swallow => Act::Swallow,
            Fate::Forward => Act::Forward,
            Fate::Mask => Act::Mask,
        })
    }

    fn opened(&mut self, header: &Header, request: &Request, now: u64) {
        let (call_id, interface) = (header.call_id, self.interface(request.context_id));
        self.open.retain(|it| it.call_id != call_id);
        if header.flags.has(Flags::MAYBE) || self.open.len() >= MAX_OPEN {
            return;
        }
        self.open.push(Open {
            call_id,
            interface: interface.unwrap_or_default(),
            opnum: request.opnum,
            since: now,
            sent: header.frag_length.into(),
            received: 0,
        });
    }

    fn cancel(&mut self, header: &Header) -> Act {
        match self.partial {
            Some(partial) if partial.call_id == header.call_id && partial.fate == Fate::Swallow => {
                Act::Swallow
            }
            _ => Act::Forward,
        }
    }

    fn orphaned(&mut self, header: &Header) -> Act {
        let act = self.cancel(header);
        if self.partial.is_some_and(|it| it.call_id == header.call_id) {
            self.partial = None;
        }
        self.open.retain(|it| it.call_id != header.call_id);
        self.unmasked(header.call_id);
        act
    }

    fn response(&mut self, pdu: &[u8], header: &Header) -> Back {
        let Some(at) = self.open.iter().position(|it| it.call_id == header.call_id) else {
            return Back::Nothing;
        };
        if let Some(open) = self.open.get_mut(at) {
            let len = u64::try_from(pdu.len()).unwrap_or(u64::MAX);
            open.received = open.received.saturating_add(len);
        }
        match header.flags.has(Flags::LAST) {
            true => self.ended(at, None),
            false => Back::Nothing,
        }
    }

    fn fault(&mut self, header: &Header, body: &[u8]) -> Back {
        let Some(at) = self.open.iter().position(|it| it.call_id == header.call_id) else {
            return Back::Nothing;
        };
        let status = Fault::parse(body, header.order()).map_or(0, |it| it.status);
        self.ended(at, Some(status))
    }

    /// Whether this was masked; from now on it is answered.
    fn unmasked(&mut self, call_id: u32) -> bool {
        let at = self.masked.iter().position(|it| *it == call_id);
        at.map(|at| self.masked.swap_remove(at)).is_some()
    }

    fn ended(&mut self, at: usize, fault: Option<u32>) -> Back {
        let Some(call) = self.open.get(at).copied() else {
            return Back::Nothing;
        };
        self.open.swap_remove(at);
        Back::Ended(Ended { call, fault })
    }
}

/// The features that a context asks for instead of a transfer syntax. One that names a transfer syntax besides is a context like any other: a server that
/// knows no features would take it for one.
fn features(
    context: &farcall_dce::pdu::bind::PresentationContext,
) -> Option<farcall_dce::syntax::Features> {
    match &context.transfers[..] {
        [only] => only.as_features(),
        _ => None,
    }
}

/// A fault in the byte order of the client's, under the number it used.
// req: proxy-12.6.4.7-fault
fn answer(header: &Header, context_id: u16, status: u32) -> Act {
    let fault = Fault {
        alloc_hint: Fault::HINT,
        context_id,
        cancel_count: 0,
        flags: 0,
        status,
    };
    Act::Answer(fault.pdu(header.order(), header.call_id, true))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests;
