//! Where messages come from: the transport, the peer, and what was learnt of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use farcall_onc::auth::{AuthSys, SysRef};

use super::mailbox::Mailbox;
use crate::call::Peer;
use crate::endpoint::Transport;

/// Where messages come from, for all messages of one read.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) transport: Transport,
    pub(crate) peer: Peer,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) connection: u64,
    pub(crate) received: Instant,
    /// The last AUTH_SYS credential and what it said: callers send the same again and again.
    known: Option<(Vec<u8>, Arc<AuthSys>)>,
    /// Where replies made elsewhere come back, if there can be any.
    pub(crate) mailbox: Option<Mailbox>,
}

impl Origin {
    pub(crate) fn new(transport: Transport, peer: Peer, local: Option<SocketAddr>) -> Self {
        Self {
            transport,
            peer,
            local,
            connection: 0,
            received: Instant::now(),
            known: None,
            mailbox: None,
        }
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
