//! The client's side: offer mechanisms, send a token of the first at once, follow the server's choice.
//!
//! Read first: RFC 4178 sections 4.2.1 and 5, MS-SPNG section 3.1.5. A mechanism that was not offered is never taken. Whoever offers one
//! mechanism gets that one or a refusal; there is no fallback that was not asked for. The list is proved when the server
//! took another than the first, when it asks, and always with NTLM; a proof that was sent must be answered.

use farcall_dce::security::{Answer, Denied};

use super::Offer;
use super::acceptor::{check, prove};
use super::token::{self, Mechanism, NegState, Oid, Resp, mechanism_list};
use crate::context::{Context, Handshake, Progress};

/// A client in the middle of its negotiation.
pub struct Initiator {
    offers: Vec<Offer>,
    state: State,
}

enum State {
    Start,
    Running(Running),
    /// Our mechanism is done; the server has the last word.
    Waiting(Waiting),
    Over,
}

/// A mechanism is at work.
struct Running {
    inner: Box<dyn Handshake>,
    mechanism: Mechanism,
    mechanism_list: Vec<u8>,
    /// How much of SPNEGO's frame the next token gets.
    first: bool,
    /// The server has answered.
    answered: bool,
    /// The list must be proved.
    must_prove: bool,
    /// The server's last state and proof, while the mechanism thinks.
    state: Option<NegState>,
    mic: Option<Vec<u8>>,
}

/// The mechanism's context stands.
struct Waiting {
    context: Box<dyn Context>,
    mechanism_list: Vec<u8>,
    /// We sent our proof and want the server's.
    proof_sent: bool,
    /// The server's proof has been checked.
    proof_checked: bool,
    must_prove: bool,
}

impl Initiator {
    /// A client that offers these, best first.
    #[must_use]
    pub const fn new(offers: Vec<Offer>) -> Self {
        let state = State::Start;
        Self { offers, state }
    }

    fn start(&mut self) -> Result<Progress, Denied> {
        let oids: Vec<Oid<'_>> = self
            .offers
            .iter()
            .flat_map(|offer| offer.mechanism.oids())
            .copied()
            .collect();
        let mechanism_list = mechanism_list(&oids);
        if self.offers.is_empty() {
            return Err(Denied::package("no mechanism to offer"));
        }
        let first = self.offers.remove(0);
        let mechanism = first.mechanism;
        let mut inner = (first.begin)()?;
        let progress = inner.step(&[])?;
        let running = Running {
            inner,
            mechanism,
            mechanism_list,
            first: true,
            answered: false,
            must_prove: false,
            state: None,
            mic: None,
        };
        self.advance(running, progress)
    }

    fn resume(&mut self, mut running: Running, token: &[u8]) -> Result<Progress, Denied> {
        let resp = Resp::parse(token)?;
        refused(&resp)?;
        let first = !std::mem::replace(&mut running.answered, true);
        running.state = resp.state;
        running.mic = resp.mic.map(<[u8]>::to_vec);
        running.must_prove |= resp.state == Some(NegState::RequestMic);
        if let Some(oid) = resp.mechanism {
            let taken = Mechanism::of(oid);
            let taken = taken.ok_or_else(|| {
                Denied::package(format!("the server takes {oid:?}, which was not offered"))
            })?;
            if taken != running.mechanism {
                return self.change(running, taken, first);
            }
        }
        let inner = resp.token;
        let inner = inner.ok_or_else(|| Denied::package("the server sent no token"))?;
        let progress = running.inner.step(inner)?;
        self.advance(running, progress)
    }

    /// The server takes another mechanism than the one whose token it got.
    fn change(
        &mut self,
        mut running: Running,
        taken: Mechanism,
        first: bool,
    ) -> Result<Progress, Denied> {
        let at = self
            .offers
            .iter()
            .position(|offer| offer.mechanism == taken);
        let at = at.filter(|_| first);
        let at = at.ok_or_else(|| {
            Denied::package(format!("the server takes {taken:?}, which was not offered"))
        })?;
        running.mechanism = taken;
        running.must_prove = true;
        running.inner = (self.offers.swap_remove(at).begin)()?;
        let progress = running.inner.step(&[])?;
        self.advance(running, progress)
    }

    fn advance(&mut self, mut running: Running, progress: Progress) -> Result<Progress, Denied> {
        match progress {
            Progress::Need(query) => {
                self.state = State::Running(running);
                Ok(Progress::Need(query))
            }
            Progress::Continue(token) => {
                if running.state == Some(NegState::AcceptCompleted) {
                    return Err(Denied::package(
                        "the server is done before its mechanism is",
                    ));
                }
                let framed = running.frame(Some(&token), None);
                self.state = State::Running(running);
                Ok(Progress::Continue(framed))
            }
            Progress::Done { token, context } => self.conclude(running, token, context),
        }
    }

    fn conclude(
        &mut self,
        mut running: Running,
        token: Option<Vec<u8>>,
        context: Box<dyn Context>,
    ) -> Result<Progress, Denied> {
        // NTLM proves its messages, and peers then want the list proved too (MS-SPNG section 3.1.5.2).
        running.must_prove |= running.mechanism == Mechanism::Ntlm && context.integrity();
        let mut waiting = Waiting {
            mechanism_list: std::mem::take(&mut running.mechanism_list),
            must_prove: running.must_prove || running.mic.is_some(),
            proof_sent: false,
            proof_checked: false,
            context,
        };
        if running.first {
            // Done with the first token: the list is proved once the server has answered.
            let framed = token::init(&waiting.mechanism_list, token.as_deref());
            self.state = State::Waiting(waiting);
            return Ok(Progress::Continue(framed));
        }
        if let Some(mic) = running.mic.take() {
            waiting.check(&mic)?;
        }
        let completed = running.state == Some(NegState::AcceptCompleted);
        if completed && token.is_none() && (waiting.proof_checked || !running.must_prove) {
            return Ok(waiting.finish(None));
        }
        let mic = match waiting.must_prove {
            true => Some(waiting.prove()?),
            false => None,
        };
        let framed = running.frame(token.as_deref(), mic.as_deref());
        self.state = State::Waiting(waiting);
        Ok(Progress::Continue(framed))
    }

    fn last_word(&mut self, mut waiting: Waiting, token: &[u8]) -> Result<Progress, Denied> {
        let resp = Resp::parse(token)?;
        refused(&resp)?;
        if resp.token.is_some_and(|token| !token.is_empty()) {
            return Err(Denied::package("a token after the mechanism was done"));
        }
        waiting.must_prove |= resp.state == Some(NegState::RequestMic) || resp.mic.is_some();
        if let Some(mic) = resp.mic {
            waiting.check(mic)?;
        }
        let completed = resp.state == Some(NegState::AcceptCompleted);
        if waiting.must_prove && !waiting.proof_sent {
            let mic = waiting.prove()?;
            let framed = Resp {
                mic: Some(&mic),
                ..Resp::default()
            }
            .emit();
            if completed && waiting.proof_checked {
                return Ok(waiting.finish(Some(framed)));
            }
            self.state = State::Waiting(waiting);
            return Ok(Progress::Continue(framed));
        }
        if !completed {
            return Err(Denied::package("the server does not come to an end"));
        }
        if waiting.must_prove && !waiting.proof_checked {
            return Err(Denied::new(
                "the server does not prove the list of mechanisms",
            ));
        }
        Ok(waiting.finish(None))
    }
}

impl Running {
    fn frame(&mut self, token: Option<&[u8]>, mic: Option<&[u8]>) -> Vec<u8> {
        if std::mem::take(&mut self.first) {
            return token::init(&self.mechanism_list, token);
        }
        Resp {
            token,
            mic,
            ..Resp::default()
        }
        .emit()
    }
}

impl Waiting {
    fn check(&mut self, mic: &[u8]) -> Result<(), Denied> {
        check(&mut *self.context, &self.mechanism_list, mic)?;
        self.proof_checked = true;
        Ok(())
    }

    fn prove(&mut self) -> Result<Vec<u8>, Denied> {
        let mic = prove(&mut *self.context, &self.mechanism_list)?;
        self.proof_sent = true;
        Ok(mic)
    }

    fn finish(mut self, token: Option<Vec<u8>>) -> Progress {
        if self.proof_sent || self.proof_checked {
            self.context.mechanisms_agreed();
        }
        let context = self.context;
        Progress::Done { token, context }
    }
}

fn refused(resp: &Resp<'_>) -> Result<(), Denied> {
    match resp.state {
        Some(NegState::Reject) => Err(Denied::new("the server refuses")),
        _ => Ok(()),
    }
}

impl Handshake for Initiator {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => self.start(),
            State::Running(running) => self.resume(running, token),
            State::Waiting(waiting) => self.last_word(waiting, token),
            State::Over => Err(Denied::package("the exchange is over")),
        }
    }

    fn answer(&mut self, answer: Answer) -> Result<Progress, Denied> {
        let State::Running(mut running) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Denied::package("nothing was asked"));
        };
        let progress = running.inner.answer(answer)?;
        self.advance(running, progress)
    }
}

#[cfg(test)]
mod tests;
