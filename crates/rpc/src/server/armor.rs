//! What protects the reply to a call under `RPCSEC_GSS`.
//!
//! Read first: RFC 2203 sections 5.3.2 and 5.3.3.2. Replies are made in the clear and dressed on their way out, each by
//! the context and the number of the call that it answers: so a kept reply can answer a repetition.

use bytes::Bytes;
use farcall_onc::auth::OpaqueAuth;
use farcall_onc::gss::message::verifier;
use farcall_onc::gss::{Arrived, Held, Service};
use farcall_onc::msg::{self, Framing, ReplyBody, ReplyHeader};
use farcall_wire::{Encode, TransmitQueue};

use crate::stub::Raw;

/// What protects the reply to one call.
#[derive(Clone, Debug)]
pub(crate) struct Armor {
    held: Held,
    seq: u32,
    service: Service,
}

impl Armor {
    pub(super) fn new(held: Held, seq: u32, service: Service) -> Self {
        Self { held, seq, service }
    }

    /// The reply under its context: `message` is one in the clear. A denied call's reply stays as it is.
    ///
    /// The call has run. If the mechanism fails now its caller is told that the server failed, under a code if there can
    /// still be one: it ends the call, and does not make it again. To say that the context is lost would make it run twice.
    pub(crate) fn dress(&self, message: &[u8]) -> Option<Bytes> {
        let (header, at) = msg::parse_reply(message).ok()?;
        if !header.body.is_accepted() {
            return Some(Bytes::copy_from_slice(message));
        }
        let results = message.get(at..)?;
        let mic = match self.held.verifier(self.seq) {
            Ok(mic) => mic,
            Err(error) => {
                tracing::warn!(%error, xid = header.xid, "a reply is proved by nothing");
                return bare(header.xid, ReplyBody::SystemErr);
            }
        };
        let sealed = match header.body {
            ReplyBody::Success => self.held.seal(self.seq, self.service, results),
            _ => Ok(results.into()),
        };
        match sealed {
            Ok(sealed) => reply(header.xid, verifier(&mic), header.body, &Raw(&sealed)),
            Err(error) => {
                tracing::warn!(%error, xid = header.xid, "results cannot be protected");
                reply(header.xid, verifier(&mic), ReplyBody::SystemErr, &())
            }
        }
    }
}

impl From<&Arrived<'_>> for Armor {
    fn from(arrived: &Arrived<'_>) -> Self {
        Self::new(arrived.held.clone(), arrived.seq, arrived.service)
    }
}

/// A whole reply as a message without its mark.
pub(super) fn reply<T: Encode>(
    xid: u32,
    verifier: OpaqueAuth<'_>,
    body: ReplyBody,
    results: &T,
) -> Option<Bytes> {
    let header = ReplyHeader {
        xid,
        verifier,
        body,
    };
    let mut queue = TransmitQueue::new();
    msg::encode_reply(&mut queue, Framing::Datagram, &header, results).ok()?;
    Some(queue.to_vec().into())
}

/// A reply in the clear without results.
pub(crate) fn bare(xid: u32, body: ReplyBody) -> Option<Bytes> {
    reply(xid, OpaqueAuth::NONE, body, &())
}
