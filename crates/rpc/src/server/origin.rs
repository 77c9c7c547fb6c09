//! Where messages come from: the transport, the peer, and what was learnt of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use farcall_onc::auth::{AuthSys, SysRef};
use farcall_onc::server::Habit;
use farcall_onc::tls::{Gate, Terms};

use super::mailbox::Mailbox;
use crate::call::{Peer, Source};
use crate::endpoint::Transport;
use crate::interface::Interface;
use crate::program::Program;
use crate::steps::recorder::{Recorder, Subject};
use crate::steps::tap::{Sample, Tap};

/// Where messages come from, for all messages of one read.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) source: Source,
    /// The last AUTH_SYS credential and what it said: callers send the same again and again.
    known: Option<(Vec<u8>, Arc<AuthSys>)>,
    /// What its plain calls look like, once there was one.
    pub(crate) habit: Option<Habit>,
    /// Where replies made elsewhere come back, if there can be any.
    pub(crate) mailbox: Option<Mailbox>,
    /// Where its sampled calls are followed, if any are.
    tap: Option<Arc<Tap>>,
    /// Whether TLS is offered, or demanded, or stands.
    pub(crate) gate: Gate,
    /// Calls of earlier reads are not answered yet.
    pub(crate) occupied: bool,
}

impl Origin {
    pub(crate) fn new(transport: Transport, peer: Peer, local: Option<SocketAddr>) -> Self {
        Self {
            source: Source {
                transport,
                peer,
                local,
                received: Instant::now(),
                connection: 0,
            },
            known: None,
            habit: None,
            mailbox: None,
            tap: None,
            gate: match transport {
                Transport::Tls => Gate::secured(),
                _ => Gate::new(Terms::Unoffered),
            },
            occupied: false,
        }
    }

    /// The same, with TLS offered or demanded.
    pub(crate) fn on(mut self, terms: Terms) -> Self {
        self.gate = Gate::new(terms);
        self
    }

    /// Samples calls from here on; the kernel gives timestamps of what is sent, or not.
    pub(crate) fn record(&mut self, recorder: &Recorder, kernel: bool) -> Arc<Tap> {
        let tap = Tap::new(recorder, kernel);
        self.tap = Some(Arc::clone(&tap));
        tap
    }

    /// Whether any of its calls are sampled.
    #[inline]
    pub(crate) fn is_sampled(&self) -> bool {
        self.tap.is_some()
    }

    /// A sample of the call that was just admitted, if it is to be sampled.
    #[inline]
    pub(crate) fn sample(
        &self,
        program: &Program,
        procedure: u32,
        xid: u32,
    ) -> Option<Arc<Sample>> {
        self.tap.as_ref()?.sample(|| Subject {
            transport: self.source.transport,
            interface: None,
            program: program.number,
            version: program.version,
            procedure,
            xid,
            peer: self.source.peer.to_string(),
        })
    }

    /// As [`sample`](Self::sample), of an interface's operation.
    #[inline]
    pub(crate) fn sample_operation(
        &self,
        interface: &Interface,
        opnum: u16,
        call: u32,
    ) -> Option<Arc<Sample>> {
        self.tap.as_ref()?.sample(|| Subject {
            transport: self.source.transport,
            interface: Some(interface.uuid),
            program: interface.uuid.fields().0,
            version: interface.major.into(),
            procedure: opnum.into(),
            xid: call,
            peer: self.source.peer.to_string(),
        })
    }

    /// The owned form of a credential; callers send the same again and again.
    pub(crate) fn remember(&mut self, body: &[u8], sys: &SysRef<'_>) -> Arc<AuthSys> {
        match &self.known {
            Some((known, sys)) if known == body => Arc::clone(sys),
            _ => {
                let owned = Arc::new(sys.to_owned());
                self.known = Some((body.to_vec(), Arc::clone(&owned)));
                owned
            }
        }
    }
}
