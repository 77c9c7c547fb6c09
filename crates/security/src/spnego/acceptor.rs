//! The server's side: take the client's best mechanism that is served, and prove the list where that is needed.
//!
//! Read first: RFC 4178 sections 4.2.2 and 5, MS-SPNG section 3.2.5. The list must be proved when the mechanism that is taken was not
//! the client's first, and is proved whenever the client proves it. A client that sends a mechanism's token bare, as
//! many do, gets that mechanism without SPNEGO.

use farcall_dce::security::{Answer, Denied};

use super::token::{Init, Mechanism, NegState, Oid, Resp};
use super::{Offer, der};
use crate::context::{Context, Handshake, Progress};
use crate::ntlm::message::is_ntlm;

/// A server in the middle of its negotiation.
pub struct Acceptor {
    offers: Vec<Offer>,
    state: State,
}

enum State {
    Start,
    /// A mechanism without SPNEGO around it.
    Bare(Box<dyn Handshake>),
    Agreed(Agreed),
    /// All is done but the client's proof of the list.
    Unproved(Agreed, Box<dyn Context>),
    Over,
}

/// A mechanism was taken.
struct Agreed {
    inner: Box<dyn Handshake>,
    oid: Vec<u8>,
    mechanism_list: Vec<u8>,
    /// It was not the client's first.
    must_prove: bool,
    /// Nothing has been answered yet.
    first: bool,
    /// The client's proof, until it can be checked.
    mic: Option<Vec<u8>>,
}

impl Acceptor {
    /// A server of these mechanisms.
    #[must_use]
    pub const fn new(offers: Vec<Offer>) -> Self {
        let state = State::Start;
        Self { offers, state }
    }

    fn begin(&mut self, mechanism: Mechanism) -> Result<Box<dyn Handshake>, Denied> {
        let at = self
            .offers
            .iter()
            .position(|offer| offer.mechanism == mechanism);
        let at = at.ok_or_else(|| Denied::package(format!("{mechanism:?} is not served")))?;
        (self.offers.swap_remove(at).begin)()
    }

    fn start(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        if let Some(mechanism) = bare(token) {
            let mut inner = self.begin(mechanism)?;
            let progress = inner.step(token)?;
            self.state = State::Bare(inner);
            return Ok(progress);
        }
        let init = Init::parse(token)?;
        let served = |oid: &Oid<'_>| {
            let mechanism = Mechanism::of(*oid)?;
            let offered = self.offers.iter().any(|offer| offer.mechanism == mechanism);
            offered.then_some(mechanism)
        };
        let taken = init.mechanisms.iter().enumerate();
        let taken = taken
            .filter_map(|(at, oid)| Some((at, *oid, served(oid)?)))
            .next();
        let (at, oid, mechanism) =
            taken.ok_or_else(|| Denied::package("none of the client's mechanisms is served"))?;
        let agreed = Agreed {
            inner: self.begin(mechanism)?,
            oid: oid.0.to_vec(),
            mechanism_list: init.mechanism_list.to_vec(),
            must_prove: at != 0,
            first: true,
            mic: None,
        };
        match init.token.filter(|_| at == 0) {
            Some(token) => self.feed(agreed, token, init.mic),
            None => Ok(self.ask_for_token(agreed)),
        }
    }

    /// The client's token is for another mechanism, or there is none: it is told which one was taken.
    fn ask_for_token(&mut self, mut agreed: Agreed) -> Progress {
        let reply = agreed.reply(NegState::AcceptIncomplete, None, None);
        self.state = State::Agreed(agreed);
        Progress::Continue(reply)
    }

    fn resume(&mut self, agreed: Agreed, token: &[u8]) -> Result<Progress, Denied> {
        let resp = Resp::parse(token)?;
        refused(&resp)?;
        let inner = resp
            .token
            .ok_or_else(|| Denied::package("the client sent no token"))?;
        self.feed(agreed, inner, resp.mic)
    }

    fn feed(
        &mut self,
        mut agreed: Agreed,
        token: &[u8],
        mic: Option<&[u8]>,
    ) -> Result<Progress, Denied> {
        agreed.mic = mic.map(<[u8]>::to_vec);
        let progress = agreed.inner.step(token)?;
        self.wrap(agreed, progress)
    }

    fn wrap(&mut self, mut agreed: Agreed, progress: Progress) -> Result<Progress, Denied> {
        match progress {
            Progress::Need(query) => {
                self.state = State::Agreed(agreed);
                Ok(Progress::Need(query))
            }
            Progress::Continue(token) => {
                let reply = agreed.reply(NegState::AcceptIncomplete, Some(&token), None);
                self.state = State::Agreed(agreed);
                Ok(Progress::Continue(reply))
            }
            Progress::Done { token, context } => self.conclude(agreed, token.as_deref(), context),
        }
    }

    // req: spnego-4178-5-mic
    fn conclude(
        &mut self,
        mut agreed: Agreed,
        token: Option<&[u8]>,
        mut context: Box<dyn Context>,
    ) -> Result<Progress, Denied> {
        if let Some(mic) = agreed.mic.take() {
            check(&mut *context, &agreed.mechanism_list, &mic)?;
            let ours = prove(&mut *context, &agreed.mechanism_list)?;
            context.mechanisms_agreed();
            let reply = agreed.reply(NegState::AcceptCompleted, token, Some(&ours));
            return Ok(done(reply, context));
        }
        if agreed.must_prove {
            let ours = prove(&mut *context, &agreed.mechanism_list)?;
            let reply = agreed.reply(NegState::AcceptIncomplete, token, Some(&ours));
            self.state = State::Unproved(agreed, context);
            return Ok(Progress::Continue(reply));
        }
        let reply = agreed.reply(NegState::AcceptCompleted, token, None);
        Ok(done(reply, context))
    }

    /// The client answers our proof with its own.
    fn proved(
        mut agreed: Agreed,
        mut context: Box<dyn Context>,
        token: &[u8],
    ) -> Result<Progress, Denied> {
        let resp = Resp::parse(token)?;
        refused(&resp)?;
        let mic = resp.mic;
        let mic =
            mic.ok_or_else(|| Denied::new("the client does not prove its list of mechanisms"))?;
        check(&mut *context, &agreed.mechanism_list, mic)?;
        context.mechanisms_agreed();
        let reply = agreed.reply(NegState::AcceptCompleted, None, None);
        Ok(done(reply, context))
    }
}

impl Agreed {
    /// The first answer names the mechanism and, where it was not the first, asks for the proof.
    // req: spnego-4178-4.2.2-mechanism
    fn reply(&mut self, state: NegState, token: Option<&[u8]>, mic: Option<&[u8]>) -> Vec<u8> {
        let first = std::mem::take(&mut self.first);
        let asks = first && self.must_prove && state == NegState::AcceptIncomplete;
        Resp {
            state: Some(if asks { NegState::RequestMic } else { state }),
            mechanism: first.then_some(Oid(&self.oid)),
            token,
            mic,
        }
        .emit()
    }
}

/// Which mechanism's token this is, if it has no SPNEGO around it.
fn bare(token: &[u8]) -> Option<Mechanism> {
    if is_ntlm(token) {
        return Some(Mechanism::Ntlm);
    }
    // AP-REQ without a frame, as in the DCE style.
    if token.first() == Some(&0x6e) {
        return Some(Mechanism::Kerberos);
    }
    let mut frame = der::Reader::new(der::only(token, der::APPLICATION_0).ok()?);
    Mechanism::of(Oid(frame.expect(der::OID).ok()?))
}

fn refused(resp: &Resp<'_>) -> Result<(), Denied> {
    match resp.state {
        Some(NegState::Reject) => Err(Denied::new("the client gave up")),
        _ => Ok(()),
    }
}

/// Checks the peer's code over the list.
pub(super) fn check(context: &mut dyn Context, list: &[u8], mic: &[u8]) -> Result<(), Denied> {
    let checked = context.verify_mic(list, mic);
    checked.map_err(|_| Denied::new("the list of mechanisms was changed on its way"))
}

/// Our code over the list.
pub(super) fn prove(context: &mut dyn Context, list: &[u8]) -> Result<Vec<u8>, Denied> {
    let made = context.mic(list);
    made.map_err(|why| Denied::package(format!("the list of mechanisms cannot be proved: {why}")))
}

fn done(reply: Vec<u8>, context: Box<dyn Context>) -> Progress {
    Progress::Done {
        token: Some(reply),
        context,
    }
}

impl Handshake for Acceptor {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => self.start(token),
            State::Bare(mut inner) => {
                let progress = inner.step(token)?;
                self.state = State::Bare(inner);
                Ok(progress)
            }
            State::Agreed(agreed) => self.resume(agreed, token),
            State::Unproved(agreed, context) => Self::proved(agreed, context, token),
            State::Over => Err(Denied::package("the exchange is over")),
        }
    }

    fn answer(&mut self, answer: Answer) -> Result<Progress, Denied> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Bare(mut inner) => {
                let progress = inner.answer(answer)?;
                self.state = State::Bare(inner);
                Ok(progress)
            }
            State::Agreed(mut agreed) => {
                let progress = agreed.inner.answer(answer)?;
                self.wrap(agreed, progress)
            }
            _ => Err(Denied::package("nothing was asked")),
        }
    }
}

#[cfg(test)]
mod tests;
