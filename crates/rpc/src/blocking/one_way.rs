//! Calls without a reply, by a client whose calls block their thread.
//!
//! Read first: RFC 5531 section 8.4 (batching).

use farcall_onc::msg::Target;
use farcall_wire::Encode;

use super::{Client, Inner, Socket, broken};
use crate::client::link::refused;
use crate::error::{Error, Phase};

impl Client {
    /// Sends a call to which no reply is expected: the server's procedure sends none (RFC 5531 section 8.4). A later
    /// ordinary call over the same stream says that it arrived.
    ///
    /// # Errors
    /// The arguments cannot be packed, or the connection cannot be made or has ended; under [`Options::gss`](crate::Options::gss), where a
    /// reply proves the server.
    pub fn one_way<A: Encode + ?Sized>(&self, target: Target, arguments: &A) -> Result<(), Error> {
        self.with_inner(|inner| self.send_one_way(inner, target, arguments))
            .map_err(|error| error.with_peer(&self.endpoint))
    }

    fn send_one_way<A: Encode + ?Sized>(
        &self,
        inner: &mut Inner,
        target: Target,
        arguments: &A,
    ) -> Result<(), Error> {
        if self.association.is_some() || self.options.gss.is_some() {
            let text = "only calls of programs without a security context go one way";
            return Err(Error::local(Phase::Call, text));
        }
        self.ensure(inner)?;
        let auth = &self.options.auth;
        let put = inner.core.one_way(target, auth, arguments);
        put.map_err(refused)?;
        let sent = match inner.socket {
            Some(Socket::Udp(_)) => inner.send_datagrams(),
            _ => inner.send(),
        };
        sent.map_err(|error| {
            inner.forget();
            broken(&error, true)
        })
    }
}
