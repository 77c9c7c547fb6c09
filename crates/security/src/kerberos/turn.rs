//! One call of the library, run aside: the context goes into a query and comes back with its answer, and with what the tokens tell.

use farcall_dce::security::{Answer, Denied, Principal, Query};
use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext, ServerCtx};
use libgssapi::error::Error;

use super::context::Established;
use super::fault::{self, By};
use super::session::Session;
use crate::context::Progress;
use zeroize::Zeroizing;

/// A context of the library, of either side.
pub(super) trait Side: SecurityContext + Send + Sized + 'static {
    /// Whether the other end is the context's source.
    const PEER_IS_SOURCE: bool;
    /// Whose errors its errors are.
    const BY: By;

    fn turn(&mut self, token: &[u8], bindings: Option<&[u8]>) -> Result<Option<Vec<u8>>, Error>;
}

impl Side for ClientCtx {
    const PEER_IS_SOURCE: bool = false;
    const BY: By = By::Initiator;

    fn turn(&mut self, token: &[u8], bindings: Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
        let token = (!token.is_empty()).then_some(token);
        Ok(self.step(token, bindings)?.map(|token| token.to_vec()))
    }
}

impl Side for ServerCtx {
    const PEER_IS_SOURCE: bool = true;
    const BY: By = By::Acceptor;

    fn turn(&mut self, token: &[u8], bindings: Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.step(token, bindings)?.map(|token| token.to_vec()))
    }
}

/// What is known of an exchange beside what the library tells.
#[derive(Default)]
pub(super) struct Known {
    /// Its keys, until the shared one is known.
    pub(super) session: Option<Session>,
    /// The key that both ends share.
    pub(super) key: Option<Zeroizing<Vec<u8>>>,
    /// Flags that were asked for and taken back.
    pub(super) taken_back: u32,
}

/// Looks at the token for the peer, which it may change.
pub(super) type Look = Box<dyn FnOnce(Option<Vec<u8>>) -> (Option<Vec<u8>>, Known) + Send>;

/// Looks at nothing.
pub(super) fn unseen() -> Look {
    Box::new(|token| (token, Known::default()))
}

/// What comes back: the context, the token for the peer, what was seen.
struct Turned<S>(Result<(S, Option<Vec<u8>>, Known), String>);

/// Asks for a turn; `make` gives the context and who looks at its token, and may block.
pub(super) fn ask<S: Side>(
    make: impl FnOnce() -> Result<(S, Look), String> + Send + 'static,
    token: Vec<u8>,
    bindings: Option<Vec<u8>>,
) -> Query {
    Query(Box::new(move || {
        let turned = make().and_then(|(mut context, look)| {
            let made = context.turn(&token, bindings.as_deref());
            let made = made.map_err(|error| fault::told(&error, S::BY))?;
            let (made, known) = look(made.filter(|token| !token.is_empty()));
            Ok((context, made, known))
        });
        Box::new(Turned(turned))
    }))
}

/// What a turn came to. An unfinished context is put back into `place`, and what was seen goes to what is known.
pub(super) fn take<S: Side>(
    answer: Answer,
    place: &mut Option<S>,
    known: &mut Known,
    dce: bool,
    bound: bool,
) -> Result<Progress, Denied> {
    let turned = answer.downcast::<Turned<S>>();
    let turned = turned.map_err(|_| Denied::package("not an answer to what was asked"))?;
    let (context, token, seen) = turned.0.map_err(Denied::new)?;
    known.session = seen.session.or_else(|| known.session.take());
    known.key = seen.key.or_else(|| known.key.take());
    known.taken_back |= seen.taken_back;
    if context.is_complete() {
        return finish(context, token, std::mem::take(known), dce, bound);
    }
    *place = Some(context);
    let token = token.ok_or_else(|| Denied::package("Kerberos has no token for the peer"))?;
    Ok(Progress::Continue(token))
}

/// `GSS_C_CHANNEL_BOUND_FLAG` of MIT's library: both sides named the same channel.
const CHANNEL_BOUND: u32 = 0x800;

fn finish<S: Side>(
    context: S,
    token: Option<Vec<u8>>,
    known: Known,
    dce: bool,
    bound: bool,
) -> Result<Progress, Denied> {
    let failed = |fault: Error| Denied::package(fault.to_string());
    let name = match S::PEER_IS_SOURCE {
        true => context.source_name(),
        false => context.target_name(),
    };
    let name = name.and_then(|name| name.display_name()).map_err(failed)?;
    let taken_back = CtxFlags::from_bits_retain(known.taken_back);
    let flags = context.flags().map_err(failed)?.difference(taken_back);
    if bound && flags.bits() & CHANNEL_BOUND == 0 {
        return Err(Denied::new("the client names no channel".to_owned()));
    }
    let peer = principal(&String::from_utf8_lossy(&name), flags);
    let context = Established::new(context, flags, peer, dce).map_err(failed)?;
    let context = context.with_session_key(known.key);
    let context = Box::new(context);
    Ok(Progress::Done { token, context })
}

fn principal(name: &str, flags: CtxFlags) -> Principal {
    let (name, realm) = name.rsplit_once('@').unwrap_or((name, ""));
    Principal {
        name: name.to_owned(),
        domain: realm.to_owned(),
        mechanism: "kerberos",
        anonymous: flags.contains(CtxFlags::GSS_C_ANON_FLAG),
        groups: Vec::new(),
    }
}
