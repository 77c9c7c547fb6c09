//! How a server takes the fragments of requests and makes calls of them.
//!
//! Read first: C706 sections 9.3.3.3 and 12.6.2 and MS-RPCE sections 3.3.3.3.2 and 3.3.1.5.2. Each fragment is checked
//! and decrypted before a byte of it is kept. Which call id and context a fault names, and whether it says that
//! nothing was executed, is what Windows does and its clients test.

use crate::co::server::association::{Refuse, Server};
use crate::co::server::config::Floor;
use crate::co::server::contexts::Context;
use crate::co::server::event::{Call, Caller, Close, Event, ReplyTo};
use crate::co::server::habit::Habit;
use crate::co::server::partial::{First, Partial};
use crate::co::server::security::{Proved, Unproved};
use crate::co::stream::Pdu;
use crate::co::stub::Stub;
use crate::pdu::auth::Verifier;
use crate::pdu::call::Request;
use crate::pdu::header::{Flags, Header};
use crate::pdu::verification::{self, Header2, Verification};
use crate::status;
use crate::syntax::{Order, SyntaxId};
use bytes::Bytes;
use farcall_wire::TransmitQueue;

/// A request that is whole, and who it is from.
struct Whole<'a> {
    header: &'a Header,
    request: &'a Request,
    context: &'a Context,
    proved: Proved,
}

impl Server {
    /// A fragment of a request.
    #[inline]
    pub(super) fn request(
        &mut self,
        header: &Header,
        pdu: Pdu,
        batch: &Bytes,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        if header.frag_length > self.endpoint.config.fragment {
            let refuse = Refuse::bare(header, status::PROTO_ERROR).executed();
            return self.expel(refuse, "a request larger than was agreed", out);
        }
        let begins = header.flags.has(Flags::FIRST);
        self.partial.take_if(|partial| partial.orphaned && begins);
        match self.partial.take() {
            Some(partial) => self.further(partial, header, pdu, batch, out),
            None => self.first(header, pdu, batch, out),
        }
    }

    /// A fragment while no other call is partly received.
    #[inline]
    fn first(
        &mut self,
        header: &Header,
        pdu: Pdu,
        batch: &Bytes,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let bytes = pdu.slice(batch);
        let proto_error = Refuse::bare(header, status::PROTO_ERROR);
        let body = bytes.get(Header::LEN..).unwrap_or_default();
        let Ok(request) = Request::parse(body, header) else {
            return self.expel(proto_error, "a request that is cut short", out);
        };
        let stub = request.stub();
        let Ok((verifier, end)) = Verifier::find_after_stub(bytes, header, stub) else {
            return self.expel(proto_error.executed(), "a verifier that does not fit", out);
        };
        if !self
            .security
            .is_ready(verifier.as_ref().map(|verifier| &verifier.trailer))
        {
            return self.expel(
                proto_error,
                "a request before authentication has ended",
                out,
            );
        }
        let is_first = header.flags.has(Flags::FIRST);
        if let Some((refuse, why)) = self.untimely(header, is_first) {
            return self.expel(refuse, why, out);
        }
        let Some(context) = self.contexts.find(request.context_id) else {
            return self.refuse(Refuse::bare(header, status::UNK_IF), out);
        };
        let context = *context;
        let mut own = None;
        let proved = match &verifier {
            None => self.security.bare(),
            Some(verifier) => {
                let bytes = own.insert(bytes.to_vec());
                self.security.first(bytes, stub, verifier)
            }
        };
        let about = Refuse::about(request.context_id, header, status::PROTO_ERROR);
        let proved = match proved {
            Ok(proved) => proved,
            Err(unproved) => return self.unproved(unproved, about, out),
        };
        if !is_first {
            return self.expel(about, "a fragment of no call", out);
        }
        if header.flags.has(Flags::LAST) {
            let stub = place(own, pdu, stub, end);
            let whole = Whole {
                header,
                request: &request,
                context: &context,
                proved,
            };
            return self.whole(whole, stub, batch, out);
        }
        let first = First {
            header: *header,
            request,
            context,
            proved,
        };
        if self.flows(&first) {
            return self.open(first, place(own, pdu, stub, end), batch, out);
        }
        let piece = own
            .as_deref()
            .unwrap_or(bytes)
            .get(stub..end)
            .unwrap_or_default();
        let keep = self.admits(&first);
        match Partial::begin(first, piece, self.endpoint.config.request, keep) {
            Ok(partial) => {
                self.partial = Some(Box::new(partial));
                None
            }
            Err(_) => self.too_large(about, out),
        }
    }

    /// Whether the interface would take the call; whoever may not call it gets no memory for arguments.
    fn admits(&self, first: &First) -> bool {
        let interface = self.endpoint.interfaces.get(first.context.place);
        interface.is_some_and(|served| passes(served.floor, first.proved.caller.as_deref()))
    }

    /// Whether the fragments of a call are handed out one by one.
    fn flows(&self, first: &First) -> bool {
        let interface = self.endpoint.interfaces.get(first.context.place);
        interface.is_some_and(|served| served.pipes.contains(&first.request.opnum))
            && self.admits(first)
    }

    /// Hands out a call of which the first fragment has come.
    // req: dce-706-12.6.2-pipes
    fn open(
        &mut self,
        first: First,
        stub: Stub,
        batch: &Bytes,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let (header, request) = (first.header, &first.request);
        let service = self.endpoint.interfaces.get(first.context.place)?.service;
        let unwelcome = self.unwelcome(header.call_id);
        let serial = match unwelcome {
            None => self.calls.begin(header.call_id),
            Some(_) => 0,
        };
        let to = ReplyTo {
            call_id: header.call_id,
            context_id: request.context_id,
            order: header.order(),
            guard: first.proved.guard,
            serial,
        };
        let call = Call {
            to,
            service,
            opnum: request.opnum,
            syntax: first.context.syntax,
            object: request.object,
            stub,
            caller: first.proved.caller.clone(),
            open: true,
            maybe: header.flags.has(Flags::MAYBE),
            verified: first.proved.verified,
        };
        // Fragments of a call that is refused are still taken, and forgotten.
        let partial = Partial::opened(first, to, view(&call.stub, batch));
        let refuse = Refuse::of(&partial, status::PROTO_ERROR).unexecuted();
        self.partial = Some(Box::new(partial));
        match unwelcome {
            None => {
                self.packets.calls = self.packets.calls.wrapping_add(1);
                Some(Event::Call(call))
            }
            Some((status, None)) => self.refuse(Refuse { status, ..refuse }, out),
            Some((status, Some(why))) => self.expel(Refuse { status, ..refuse }, why, out),
        }
    }

    /// A further fragment of an open call. Nobody hears of it if the call is over.
    fn piece(
        &mut self,
        mut partial: Box<Partial>,
        to: ReplyTo,
        stub: Stub,
        last: bool,
        batch: &Bytes,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        partial.pass(view(&stub, batch));
        if last {
            let tail = Stub::Own(partial.tail());
            let refuse = Refuse::of(&partial, status::ACCESS_DENIED);
            let First {
                header,
                request,
                context,
                proved,
            } = &partial.first;
            if let Some(at) = trailer(&tail, batch, proved.guard.is_some()) {
                let expected = self.expected(header, request, context);
                if !expected.agrees(&tail, batch, at, header.order()) {
                    return self.expel(refuse, "a verification trailer that disagrees", out);
                }
            }
        } else {
            self.partial = Some(partial);
        }
        self.calls.note(to.call_id, to.serial)?;
        Some(Event::Piece { to, stub, last })
    }

    /// What a fragment may not be while no other call is partly received.
    // req: dce-rpce-multiplexing
    #[inline]
    fn untimely(&self, header: &Header, is_first: bool) -> Option<(Refuse, &'static str)> {
        let proto_error = Refuse::bare(header, status::PROTO_ERROR).executed();
        if !is_first {
            let why = "a fragment of no call";
            return (!self.multiplexing).then_some((proto_error, why));
        }
        if !self.multiplexing && !self.calls.is_empty() {
            return Some((proto_error, "a call beside another without multiplexing"));
        }
        if header.flags.has(Flags::PENDING_CANCEL) {
            let refuse = Refuse::bare(header, status::NO_CALL_ACTIVE);
            return Some((refuse, "a call that is cancelled as it begins"));
        }
        None
    }

    /// A fragment while a call is partly received.
    // req: dce-rpce-one-partial
    fn further(
        &mut self,
        mut partial: Box<Partial>,
        header: &Header,
        pdu: Pdu,
        batch: &Bytes,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let refuse = Refuse::of(&partial, status::PROTO_ERROR);
        if partial.first.header.call_id != header.call_id {
            let refuse = match self.multiplexing {
                true => Refuse::bare(header, status::PROTO_ERROR).executed(),
                false => refuse,
            };
            return self.expel(refuse, "a call while another is partly received", out);
        }
        let bytes = pdu.slice(batch);
        let body = bytes.get(Header::LEN..).unwrap_or_default();
        let Ok(request) = Request::parse(body, header) else {
            return self.expel(refuse, "a request that is cut short", out);
        };
        let stub = request.stub();
        let Ok((verifier, end)) = Verifier::find_after_stub(bytes, header, stub) else {
            return self.expel(refuse, "a verifier that does not fit", out);
        };
        let mut own = verifier.as_ref().map(|_| bytes.to_vec());
        let proved = &partial.first.proved;
        let checked = self.security.next(
            proved,
            own.as_deref_mut().unwrap_or_default(),
            stub,
            verifier.as_ref(),
        );
        if let Err(unproved) = checked {
            return self.unproved(unproved, refuse, out);
        }
        let bytes = own.as_deref().unwrap_or(bytes);
        if !partial.fits(header) {
            return self.expel(refuse, "a fragment that is not of the call it names", out);
        }
        if let Some(to) = partial.open {
            let last = header.flags.has(Flags::LAST);
            let stub = place(own, pdu, stub, end);
            return self.piece(partial, to, stub, last, batch, out);
        }
        let piece = bytes.get(stub..end).unwrap_or_default();
        let limit = self.endpoint.config.request;
        if partial.push(piece, request.alloc_hint, limit).is_err() {
            return self.too_large(refuse, out);
        }
        if !header.flags.has(Flags::LAST) {
            self.partial = Some(partial);
            return None;
        }
        let (first, stub) = partial.finish();
        let whole = Whole {
            header: &first.header,
            request: &first.request,
            context: &first.context,
            proved: first.proved,
        };
        self.whole(whole, Stub::Own(stub), batch, out)
    }

    #[cold]
    fn too_large(&mut self, refuse: Refuse, out: &mut TransmitQueue) -> Option<Event> {
        let status = status::ACCESS_DENIED;
        let why = "a request larger than the limit (ServerConfig::request)";
        self.expel(Refuse { status, ..refuse }, why, out)
    }

    #[cold]
    fn unproved(
        &mut self,
        why: Unproved,
        refuse: Refuse,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let (status, close) = match why {
            Unproved::Fault(status) => (
                status,
                Close::Violation("a request not protected as agreed"),
            ),
            Unproved::Protect(error) => (status::SEC_PKG_ERROR, Close::Protect(error)),
            Unproved::Unfinished => {
                let why = "a request before authentication has ended";
                (status::PROTO_ERROR, Close::Violation(why))
            }
        };
        self.refuse(Refuse { status, ..refuse }, out);
        self.close(close)
    }

    /// A request that is whole: the last checks before it is a call.
    #[inline]
    fn whole(
        &mut self,
        whole: Whole<'_>,
        mut stub: Stub,
        batch: &Bytes,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let Whole {
            header,
            request,
            context,
            proved,
        } = whole;
        let about = Refuse::about(request.context_id, header, status::ACCESS_DENIED);
        let Some(interface) = self.endpoint.interfaces.get(context.place) else {
            return self.refuse(Refuse::bare(header, status::UNK_IF), out);
        };
        let (service, floor) = (interface.service, interface.floor);
        let pipes = interface.pipes;
        if let Some(at) = trailer(&stub, batch, proved.guard.is_some()) {
            let expected = self.expected(header, request, context);
            if !expected.agrees(&stub, batch, at, header.order()) {
                return self.expel(about, "a verification trailer that disagrees", out);
            }
            stub = cut(stub, at);
        }
        if !passes(floor, proved.caller.as_deref()) {
            return self.refuse(about.unexecuted(), out);
        }
        if let Some((status, close)) = self.unwelcome(header.call_id) {
            let refuse = Refuse { status, ..about }.unexecuted();
            return match close {
                Some(why) => self.expel(refuse, why, out),
                None => self.refuse(refuse, out),
            };
        }
        let serial = self.calls.begin(header.call_id);
        self.packets.calls = self.packets.calls.wrapping_add(1);
        let nobody = proved.guard.is_none() && proved.caller.is_none();
        if nobody && self.multiplexing && !self.is_partial() {
            let context = (context.id, context.syntax);
            self.habit = Habit::new(header, context, (service, pipes), proved.verified);
        }
        Some(Event::Call(Call {
            to: ReplyTo {
                call_id: header.call_id,
                context_id: request.context_id,
                order: header.order(),
                guard: proved.guard,
                serial,
            },
            service,
            opnum: request.opnum,
            syntax: context.syntax,
            object: request.object,
            stub,
            caller: proved.caller,
            open: false,
            maybe: header.flags.has(Flags::MAYBE),
            verified: proved.verified,
        }))
    }

    /// What a verification trailer of a request must say.
    fn expected(&self, header: &Header, request: &Request, context: &Context) -> Expected {
        Expected {
            client_signs: self.security.client_signs,
            syntaxes: (context.interface, SyntaxId::of(context.syntax)),
            header: Header2::of(header, request.context_id, request.opnum),
        }
    }

    /// Whether a further call cannot be taken: the fault, and why the connection must be closed if it must.
    #[inline]
    fn unwelcome(&self, call_id: u32) -> Option<(u32, Option<&'static str>)> {
        if self.calls.len() >= self.endpoint.config.in_flight {
            return Some((status::SERVER_TOO_BUSY, None));
        }
        let twice = "a call under the number of another";
        self.calls
            .contains(call_id)
            .then_some((status::PROTO_ERROR, Some(twice)))
    }
}

/// Whether the caller may call the interface at all.
// req: dce-auth-floor
#[inline]
fn passes(floor: Floor, caller: Option<&Caller>) -> bool {
    match caller {
        None => floor.anonymous,
        Some(caller) => {
            caller.level >= floor.authenticated && (floor.anonymous || !caller.principal.anonymous)
        }
    }
}

/// Where the stub of a fragment is.
#[inline]
fn place(own: Option<Vec<u8>>, pdu: Pdu, stub: usize, end: usize) -> Stub {
    match (own, pdu) {
        (Some(own), _) => Stub::Own(slice(&Bytes::from(own), stub, end)),
        (None, Pdu::InBatch(range)) => {
            Stub::InBatch(range.start.saturating_add(stub)..range.start.saturating_add(end))
        }
        (None, Pdu::Assembled(bytes)) => Stub::Own(slice(&bytes, stub, end)),
    }
}

#[inline]
fn slice(bytes: &Bytes, from: usize, to: usize) -> Bytes {
    match bytes.get(from..to) {
        Some(_) => bytes.slice(from..to),
        None => Bytes::new(),
    }
}

/// What a verification trailer must say of the request it came with.
struct Expected {
    client_signs: bool,
    syntaxes: (SyntaxId, SyntaxId),
    header: Header2,
}

impl Expected {
    /// Big-endian clients are of two minds: Samba's write the trailer little-endian all the same.
    // req: dce-rpce-2.2.2.13-check
    fn agrees(&self, stub: &Stub, batch: &Bytes, at: usize, order: Order) -> bool {
        let bytes = view(stub, batch).get(at..).unwrap_or_default();
        [order, Order::Little].into_iter().any(|order| {
            Verification::parse(bytes, order)
                .is_ok_and(|said| said.agrees(self.client_signs, self.syntaxes, self.header))
        })
    }
}

/// Lengths that a verification trailer with one, two or three of the known commands has.
const TRAILERS: [usize; 7] = [16, 28, 36, 52, 60, 72, 80];

/// Where in a stub its verification trailer begins. A protected request may have anything behind it; in one that is
/// not protected, only what is nothing else is taken for one: arguments may hold the same eight bytes.
#[inline]
fn trailer(stub: &Stub, batch: &Bytes, protected: bool) -> Option<usize> {
    let bytes = view(stub, batch);
    if protected {
        return verification::find(bytes);
    }
    place_of_trailer(bytes)
}

/// Whether there may be a verification trailer at the end of an unprotected stub.
#[inline]
pub(super) fn may_end(stub: &[u8]) -> bool {
    place_of_trailer(stub).is_some()
}

#[inline]
fn place_of_trailer(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < 16 {
        return None;
    }
    let signed = |at: &usize| {
        let rest = bytes.get(*at..).unwrap_or_default();
        rest.starts_with(&verification::SIGNATURE)
    };
    let mut places = TRAILERS
        .iter()
        .filter_map(|len| bytes.len().checked_sub(*len));
    places.find(signed)
}

#[inline]
fn view<'a>(stub: &'a Stub, batch: &'a Bytes) -> &'a [u8] {
    match stub {
        Stub::InBatch(range) => batch.get(range.clone()).unwrap_or_default(),
        Stub::Own(bytes) => bytes,
    }
}

/// The stub without what begins at `at`.
fn cut(stub: Stub, at: usize) -> Stub {
    match stub {
        Stub::InBatch(range) => Stub::InBatch(range.start..range.start.saturating_add(at)),
        Stub::Own(mut bytes) => {
            bytes.truncate(at);
            Stub::Own(bytes)
        }
    }
}
