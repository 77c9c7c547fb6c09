//! How a client takes responses and faults.
//!
//! Read first: C706 sections 9.3.2.3 and 12.6.4.10 and MS-RPCE section 3.3.2.4. Each fragment is checked and decrypted
//! before anything of it is believed. An answer to a call that nobody made ends the association: it is how a peer that
//! loses count shows itself. A fault may come unprotected on a protected association: Windows sends it so.

use crate::co::client::association::{Client, fault_of};
use crate::co::client::event::{CallId, Close, Event};
use crate::co::client::table::State;
use crate::co::stream::Pdu;
use crate::co::stub::Stub;
use crate::pdu::auth::{Trailer, Verifier};
use crate::pdu::call::{Fault, Response};
use crate::pdu::header::{Flags, Header};
use crate::security::ProtectError;
use bytes::Bytes;

/// A fragment that was checked: its bytes if it had to be decrypted, and where its stub ends.
struct Opened {
    own: Option<Vec<u8>>,
    end: usize,
}

impl<T> Client<T> {
    /// A fragment of a response.
    // req: dce-client-response
    #[inline]
    pub(super) fn response(
        &mut self,
        header: &Header,
        pdu: Pdu,
        batch: &Bytes,
    ) -> Option<Event<T>> {
        let bytes = pdu.slice(batch);
        if bytes.len() > self.most() {
            self.close(Close::Violation("a response larger than was agreed"));
            return None;
        }
        let body = bytes.get(Header::LEN..).unwrap_or_default();
        if Response::parse(body, header.order()).is_err() {
            self.close(Close::Violation("a response that is cut short"));
            return None;
        }
        let Opened { own, end } = self.open(header, bytes, Response::LEN, false)?;
        let id = header.call_id;
        let is_last = header.flags.has(Flags::LAST);
        let Some(pending) = self.slots.get(id) else {
            return self.stray(id, is_last);
        };
        let is_first = header.flags.has(Flags::FIRST);
        if is_first == pending.begun {
            self.close(Close::Violation("fragments of a response out of order"));
            return None;
        }
        pending.begun = true;
        if pending
            .flow
            .as_ref()
            .is_some_and(|flow| flow.pieces.response)
        {
            let stub = whole(own, pdu, end);
            if is_last {
                return self.answered(header, stub);
            }
            return Some(Event::Piece {
                id: CallId(id),
                order: header.order(),
                stub,
            });
        }
        if is_first && is_last {
            let stub = whole(own, pdu, end);
            return self.answered(header, stub);
        }
        let piece = own
            .as_deref()
            .unwrap_or(bytes)
            .get(Response::LEN..end)
            .unwrap_or_default();
        let held = self.partial.saturating_add(piece.len());
        if held > self.config.response {
            self.close(Close::Violation(
                "a response larger than the limit (ClientConfig::response)",
            ));
            return None;
        }
        pending.response.extend_from_slice(piece);
        self.partial = held;
        if !is_last {
            return None;
        }
        let stub = pending.response.split().freeze();
        self.partial = self.partial.saturating_sub(stub.len());
        self.answered(header, Stub::Own(stub))
    }

    #[inline]
    fn answered(&mut self, header: &Header, stub: Stub) -> Option<Event<T>> {
        let id = header.call_id;
        let (pending, _) = self.finish(id)?;
        self.after(id);
        Some(Event::Response {
            id: CallId(id),
            token: pending.token,
            order: header.order(),
            stub,
        })
    }

    /// What follows the end of a call.
    #[inline]
    fn after(&mut self, id: u32) {
        self.shut(id);
        if !self.multiplexing {
            self.send_waiting();
        }
        if self.leaving {
            self.leave_if_done();
        }
    }

    /// An answer to a call that is not pending.
    // req: dce-client-stray
    #[cold]
    fn stray(&mut self, id: u32, is_last: bool) -> Option<Event<T>> {
        if !self.is_abandoned(id) {
            self.close(Close::Violation("an answer to a call that was not made"));
        } else if is_last {
            self.forget(id);
        }
        None
    }

    /// A fault: of a call, or of what else is unanswered.
    // req: dce-client-fault
    pub(super) fn fault(&mut self, header: &Header, pdu: &[u8]) -> Option<Event<T>> {
        let body = pdu.get(Header::LEN..).unwrap_or_default();
        let Ok(fault) = Fault::parse(body, header.order()) else {
            self.close(Close::Violation("a fault that is cut short"));
            return None;
        };
        let asked = self.asked.as_ref().map(|asked| asked.call_id);
        if asked == Some(header.call_id) {
            self.bind_fault(header, &fault);
            return None;
        }
        if self.state == State::Binding {
            self.close(Close::Violation("a fault of no call"));
            return None;
        }
        let stub = Fault::LEN.min(pdu.len());
        let Opened { own, end } = self.open(header, pdu, stub, true)?;
        let extended = own
            .as_deref()
            .unwrap_or(pdu)
            .get(stub..end)
            .unwrap_or_default();
        let id = header.call_id;
        let Some((pending, _)) = self.finish(id) else {
            return self.stray(id, true);
        };
        self.after(id);
        Some(Event::Fault {
            id: CallId(id),
            token: pending.token,
            fault: fault_of(header, &fault, extended),
        })
    }

    /// Checks a fragment's protection. `None`: the association is over.
    #[inline]
    fn open(
        &mut self,
        header: &Header,
        pdu: &[u8],
        stub: usize,
        may_be_bare: bool,
    ) -> Option<Opened> {
        let Ok((verifier, end)) = Verifier::find_after_stub(pdu, header, stub) else {
            self.close(Close::Violation("a verifier that does not fit"));
            return None;
        };
        let guard = self
            .guard
            .as_mut()
            .filter(|guard| guard.level.is_per_packet());
        let (guard, verifier) = match (guard, verifier) {
            (None, _) => return Some(Opened { own: None, end }),
            (Some(_), None) if may_be_bare => return Some(Opened { own: None, end }),
            (Some(_), None) => {
                self.close(Close::Protect(ProtectError::BadToken));
                return None;
            }
            (Some(guard), Some(verifier)) => (guard, verifier),
        };
        if !guard.is_named_by(&Trailer { ..verifier.trailer }) {
            self.close(Close::Violation("a response of another security context"));
            return None;
        }
        let mut own = pdu.to_vec();
        match guard.open(&mut own, stub, &verifier) {
            Ok(()) => Some(Opened {
                own: Some(own),
                end,
            }),
            Err(error) => {
                self.close(Close::Protect(error));
                None
            }
        }
    }
}

/// Where the stub of a response in one fragment is.
#[inline]
fn whole(own: Option<Vec<u8>>, pdu: Pdu, end: usize) -> Stub {
    match (own, pdu) {
        (Some(own), _) => Stub::Own(slice(&Bytes::from(own), end)),
        (None, Pdu::InBatch(range)) => Stub::InBatch(
            range.start.saturating_add(Response::LEN)..range.start.saturating_add(end),
        ),
        (None, Pdu::Assembled(bytes)) => Stub::Own(slice(&bytes, end)),
    }
}

#[inline]
fn slice(bytes: &Bytes, end: usize) -> Bytes {
    match bytes.get(Response::LEN..end) {
        Some(_) => bytes.slice(Response::LEN..end),
        None => Bytes::new(),
    }
}
