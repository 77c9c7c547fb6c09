//! The management interface, which every endpoint has: what is served, since when, how much, and
//! by which name authentication knows the server.
//!
//! Read first: C706 appendix Q (the `mgmt` interface) and MS-RPCE section 2.2.1.3. Anybody may
//! inquire; who may stop the server says its builder.

use std::sync::Arc;

use farcall_dce::security::{Acceptor, AuthType};
use farcall_dce::status::ACCESS_DENIED;
use farcall_wire::ndr::{self, Align};
use farcall_wire::{DecodeError, EncodeError, Uuid};

use super::exports::{Statistics, Terms};
use crate::call::{Call, Refuse};
use crate::interface::{Interface, Operation};
use crate::operations::{Anonymous, Exported, NdrReply, Operations};
use crate::server::hub::{Hub, Stage};

const INQ_IF_IDS: u16 = 0;
const INQ_STATS: u16 = 1;
const IS_SERVER_LISTENING: u16 = 2;
const STOP_SERVER_LISTENING: u16 = 3;
const INQ_PRINC_NAME: u16 = 4;

/// `RPC_S_UNKNOWN_AUTHN_SERVICE`: the server knows no such mechanism.
const UNKNOWN_AUTHN_SERVICE: u32 = 1747;

const fn operation(opnum: u16, name: &'static str) -> Operation {
    Operation {
        opnum,
        name,
        idempotent: true,
        blocking: false,
        broadcast: false,
        maybe: false,
    }
}

/// The management interface.
pub(crate) static INTERFACE: Interface = Interface {
    uuid: Uuid::new(
        0xafa8_bd80,
        0x7d8a,
        0x11c9,
        [0xbe, 0xf4, 0x08, 0x00, 0x2b, 0x10, 0x29, 0x89],
    ),
    major: 1,
    minor: 0,
    name: "mgmt",
    operations: &[
        operation(INQ_IF_IDS, "rpc__mgmt_inq_if_ids"),
        operation(INQ_STATS, "rpc__mgmt_inq_stats"),
        operation(IS_SERVER_LISTENING, "rpc__mgmt_is_server_listening"),
        operation(STOP_SERVER_LISTENING, "rpc__mgmt_stop_server_listening"),
        operation(INQ_PRINC_NAME, "rpc__mgmt_inq_princ_name"),
    ],
    endpoints: &[],
};

/// The interface over one server.
struct Mgmt {
    served: Vec<&'static Interface>,
    statistics: Arc<Statistics>,
    hub: Arc<Hub>,
    acceptor: Option<Arc<dyn Acceptor>>,
    remote_stop: bool,
}

/// The management interface of a server with these services.
pub(crate) fn exported(
    services: &[Exported],
    terms: &Terms,
    statistics: &Arc<Statistics>,
    hub: &Arc<Hub>,
) -> Exported {
    let served = services.iter().map(Exported::interface);
    let mut exported = Exported::new(Mgmt {
        served: served.chain([&INTERFACE]).collect(),
        statistics: Arc::clone(statistics),
        hub: Arc::clone(hub),
        acceptor: terms.acceptor.clone(),
        remote_stop: terms.remote_stop,
    });
    exported.allow(Anonymous::Some(vec![
        INQ_IF_IDS,
        INQ_STATS,
        IS_SERVER_LISTENING,
        INQ_PRINC_NAME,
    ]));
    exported
}

impl Operations for Mgmt {
    fn interface(&self) -> &'static Interface {
        &INTERFACE
    }

    async fn call(
        &self,
        call: &Call,
        arguments: &mut ndr::Reader<'_>,
        reply: &mut NdrReply<'_>,
    ) -> Result<(), Refuse> {
        match call.opnum() {
            INQ_IF_IDS => reply.encode(|w| self.inq_if_ids(w)),
            INQ_STATS => {
                let count = arguments.u32()?;
                reply.encode(|w| self.inq_stats(count, w))
            }
            IS_SERVER_LISTENING => reply.encode(|w| self.is_server_listening(w)),
            STOP_SERVER_LISTENING => {
                self.stop(call)?;
                reply.encode(|w| status(w, 0))
            }
            INQ_PRINC_NAME => {
                let (mechanism, size) = princ_name_arguments(arguments)?;
                reply.encode(|w| self.inq_princ_name(mechanism, size, w))
            }
            _ => Err(Refuse::ProcUnavail),
        }
    }
}

fn status(w: &mut ndr::Writer, status: u32) -> Result<(), EncodeError> {
    w.u32(status);
    Ok(())
}

fn princ_name_arguments(arguments: &mut ndr::Reader<'_>) -> Result<(u32, u32), DecodeError> {
    Ok((arguments.u32()?, arguments.u32()?))
}

impl Mgmt {
    /// A vector of pointers to names of interfaces.
    fn inq_if_ids(&self, w: &mut ndr::Writer) -> Result<(), EncodeError> {
        let count = self.served.len();
        w.referent(true)?;
        w.count(count)?;
        w.align(Align::WIDE);
        w.u32(u32::try_from(count).unwrap_or(u32::MAX));
        for _ in 0..count {
            w.referent(true)?;
        }
        w.trailer(Align::WIDE);
        for interface in &self.served {
            uuid(w, interface.uuid);
            w.u16(interface.major);
            w.u16(interface.minor);
        }
        status(w, 0)
    }

    /// As many of the four numbers as the caller has room for.
    fn inq_stats(&self, count: u32, w: &mut ndr::Writer) -> Result<(), EncodeError> {
        let all = self.statistics.all();
        let room = usize::try_from(count).unwrap_or(usize::MAX);
        let told = all.get(..room).unwrap_or(&all);
        w.u32(u32::try_from(told.len()).unwrap_or(0));
        w.count(told.len())?;
        told.iter().for_each(|number| w.u32(*number));
        status(w, 0)
    }

    fn is_server_listening(&self, w: &mut ndr::Writer) -> Result<(), EncodeError> {
        status(w, 0)?;
        w.u32(u32::from(self.hub.stage() == Stage::Serving));
        Ok(())
    }

    fn stop(&self, call: &Call) -> Result<(), Refuse> {
        if !self.remote_stop || call.is_anonymous() {
            return Err(Refuse::Fault(ACCESS_DENIED));
        }
        tracing::info!(
            principal = call.principal().map(tracing::field::display),
            "told to stop"
        );
        self.hub.enter(Stage::Draining);
        Ok(())
    }

    /// A string that ends with a NUL, cut to what the caller has room for.
    fn inq_princ_name(
        &self,
        mechanism: u32,
        size: u32,
        w: &mut ndr::Writer,
    ) -> Result<(), EncodeError> {
        let mechanism = u8::try_from(mechanism).ok().map(AuthType);
        let acceptor = self.acceptor.as_ref();
        let name = mechanism.and_then(|mechanism| acceptor?.principal_name(mechanism));
        let (name, outcome) = match name {
            Some(name) => (name, 0),
            None => (String::new(), UNKNOWN_AUTHN_SERVICE),
        };
        let room = usize::try_from(size).unwrap_or(0).saturating_sub(1);
        let text = name.as_bytes();
        let text = text.get(..room).unwrap_or(text);
        let actual = if size == 0 {
            0
        } else {
            text.len().saturating_add(1)
        };
        w.wide(size.into())?;
        w.wide(0)?;
        w.count(actual)?;
        w.slice(text);
        w.zeros(actual.saturating_sub(text.len()));
        status(w, outcome)
    }
}

fn uuid(w: &mut ndr::Writer, uuid: Uuid) {
    w.align(Align::A4);
    let bytes = match w.mode().order {
        ndr::Order::Little => uuid.to_bytes_le(),
        ndr::Order::Big => uuid.to_bytes_be(),
    };
    w.slice(&bytes);
}
