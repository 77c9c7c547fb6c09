//! The server's side: challenge, look the user up, check the proof.
//!
//! Read first: MS-NLMP section 3.2.5.1. The order of checks is fixed: form, user, proof (`NTProofStr`, in constant time), and only
//! then what the proof covers: MIC, age, channel bindings, target. There is no way to an established context that does not
//! pass the proof, except the anonymous one where it is allowed. A user who does not exist costs and answers the same as
//! a wrong password. Version 1 and LM responses are refused whatever they hold.

use std::sync::Arc;

use farcall_dce::security::{Answer, Denied, Principal, Query};
use subtle::{Choice, ConstantTimeEq};

use super::flags::Flags;
use super::keys::{End, message_mic, nt_proof, rc4k, response_key, session_base_key};
use super::message::{self, Authenticate, Challenge, Negotiate};
use super::session::Session;
use super::target::{AvId, Builder, MIC_PRESENT, Pairs, TARGET_UNVERIFIED};
use crate::account::{Account, Accounts};
use crate::context::{Handshake, Progress};
use crate::environment::{ChannelBindings, Environment};
use crate::secret::Key;

/// Shortest response of version 2: the proof, the fixed part and an empty list of pairs.
const SHORTEST_RESPONSE: usize = 16 + 28 + 4;

/// Units of 100 ns in a second.
const TICKS: u64 = 10_000_000;

/// What a server says of itself and asks of its clients.
#[derive(Clone)]
pub struct ServerConfig {
    /// NetBIOS name of this machine.
    pub computer: String,
    /// NetBIOS name of its domain or workgroup.
    pub domain: String,
    /// DNS name of this machine; left out if empty.
    pub dns_computer: String,
    /// DNS name of its domain; left out if empty.
    pub dns_domain: String,
    /// Whether the domain is one that this machine is a member of; otherwise the target is the machine itself.
    pub member: bool,
    /// Who there is.
    pub accounts: Arc<dyn Accounts>,
    /// Refuse clients that send no MIC. Default false: some never do.
    pub require_mic: bool,
    /// Refuse clients that cannot have keys of 128 bits. Default false; keys of 56 and 40 bits are used where asked for.
    pub require_128: bool,
    /// Let clients in that say they are nobody. Default false.
    pub anonymous: bool,
    /// What the client must say about the channel. Default [`Bindings::Off`].
    pub bindings: Bindings,
    /// What the client must say about whom it wants to reach. Default [`Targets::Any`].
    pub targets: Targets,
    /// Longest difference between a response's time and ours, in seconds; default 36 hours, `None` for no limit. The time is
    /// our own unless the client made it up.
    pub lifetime: Option<u64>,
    /// Randomness and time.
    pub environment: Environment,
}

impl ServerConfig {
    /// A machine on its own with these accounts.
    #[must_use]
    pub fn new(computer: &str, domain: &str, accounts: Arc<dyn Accounts>) -> Self {
        Self {
            computer: computer.to_owned(),
            domain: domain.to_owned(),
            dns_computer: String::new(),
            dns_domain: String::new(),
            member: false,
            accounts,
            require_mic: false,
            require_128: false,
            anonymous: false,
            bindings: Bindings::Off,
            targets: Targets::Any,
            lifetime: Some(36 * 3600),
            environment: Environment::SYSTEM,
        }
    }
}

/// What a server asks about the channel that the exchange runs inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bindings {
    /// Nothing.
    #[default]
    Off,
    /// Whoever names a channel must name this one.
    Allow(ChannelBindings),
    /// Everybody must name this one.
    Require(ChannelBindings),
}

/// What a server asks about the service principal name that its client wants to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Targets {
    /// Nothing.
    #[default]
    Any,
    /// Whoever names a target must name one of these.
    Allow(Vec<String>),
    /// Everybody must name one of these, from a source that it trusts.
    Require(Vec<String>),
}

/// A server in the middle of an exchange.
pub struct Server {
    config: Arc<ServerConfig>,
    state: State,
}

enum State {
    Start,
    Challenged(Exchange),
    /// The user is being looked up.
    Asked(Exchange, Vec<u8>),
    Over,
}

/// The messages so far, and what they agreed on.
struct Exchange {
    negotiate: Vec<u8>,
    challenge: Vec<u8>,
    nonce: [u8; 8],
    offered: Flags,
}

/// What a look-up found.
struct Found(Option<Account>);

impl Server {
    /// A server that has not heard anything yet.
    #[must_use]
    pub const fn new(config: Arc<ServerConfig>) -> Self {
        let state = State::Start;
        Self { config, state }
    }

    fn challenge(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        let asked = Negotiate::parse(token)?.flags;
        let flags = self.offer(asked)?;
        let nonce = self.config.environment.array()?;
        let challenge = Challenge {
            flags,
            server_challenge: nonce,
            target_name: match self.config.member {
                true => self.config.domain.clone(),
                false => self.config.computer.clone(),
            },
            target_info: self.target_info(),
        }
        .emit();
        self.state = State::Challenged(Exchange {
            negotiate: token.to_vec(),
            challenge: challenge.clone(),
            nonce,
            offered: flags,
        });
        Ok(Progress::Continue(challenge))
    }

    /// What is agreed to of what was asked for.
    // req: nlmp-3.2.5.1.1-challenge
    fn offer(&self, asked: Flags) -> Result<Flags, Denied> {
        const GRANTED: Flags = Flags(
            Flags::SIGN.0
                | Flags::SEAL.0
                | Flags::KEY_EXCH.0
                | Flags::KEY_128.0
                | Flags::KEY_56.0
                | Flags::IDENTIFY.0
                | Flags::VERSION.0,
        );
        let required = Flags::UNICODE | Flags::EXTENDED_SESSIONSECURITY;
        let required = required.with(Flags::KEY_128, self.config.require_128);
        let missing = required.without(asked);
        if missing != Flags::default() {
            return Err(Denied::package(format!(
                "the client does not offer {missing:?}"
            )));
        }
        let always = required
            | Flags::NTLM
            | Flags::ALWAYS_SIGN
            | Flags::REQUEST_TARGET
            | Flags::TARGET_INFO;
        // Where nothing is to be protected, peers differ about what an exchanged key would be; so none is exchanged.
        let protects = asked.any(Flags::SIGN | Flags::SEAL);
        let granted = (asked & GRANTED).without(Flags::KEY_EXCH);
        Ok(granted
            .with(Flags::KEY_EXCH, protects && asked.has(Flags::KEY_EXCH))
            .with(always, true)
            .with(Flags::TARGET_TYPE_DOMAIN, self.config.member)
            .with(Flags::TARGET_TYPE_SERVER, !self.config.member))
    }

    /// Our pairs. There is no pair of flags: Windows makes another MIC if there is one of zeros.
    fn target_info(&self) -> Vec<u8> {
        let config = &self.config;
        let mut pairs = Builder::default();
        pairs.text(AvId::NB_DOMAIN_NAME, &config.domain);
        pairs.text(AvId::NB_COMPUTER_NAME, &config.computer);
        pairs.text(AvId::DNS_DOMAIN_NAME, &config.dns_domain);
        pairs.text(AvId::DNS_COMPUTER_NAME, &config.dns_computer);
        let time = (config.environment.filetime)();
        pairs.push(AvId::TIMESTAMP, &time.to_le_bytes());
        pairs.finish()
    }

    /// Reads the last message and asks who the user is.
    fn look_up(&mut self, exchange: Exchange, token: &[u8]) -> Result<Progress, Denied> {
        let message = Authenticate::parse(token)?;
        if is_anonymous(&message) {
            return self.admit_nobody(&exchange, &message);
        }
        if message.nt_response.len() < SHORTEST_RESPONSE {
            let len = message.nt_response.len();
            return Err(Denied::new(format!(
                "a response of {len} bytes is not of NTLM version 2"
            )));
        }
        let accounts = Arc::clone(&self.config.accounts);
        let (user, domain) = (message.user, message.domain);
        self.state = State::Asked(exchange, token.to_vec());
        Ok(Progress::Need(Query(Box::new(move || {
            Box::new(Found(accounts.find(&user, &domain)))
        }))))
    }

    fn admit_nobody(
        &self,
        exchange: &Exchange,
        message: &Authenticate<'_>,
    ) -> Result<Progress, Denied> {
        if !self.config.anonymous {
            return Err(Denied::new("anonymous clients are not let in"));
        }
        // Clients that are nobody may give up extended session security; they can protect nothing then.
        let weak = (exchange.offered & message.flags).without(Flags::SIGN | Flags::SEAL);
        let flags = agreed(exchange.offered, message.flags).unwrap_or(weak);
        let key = exported(flags, &Key::default(), message)?;
        let peer = Principal {
            mechanism: "ntlm",
            anonymous: true,
            ..Principal::default()
        };
        Ok(done(Session::new(flags, key, End::Server, peer)))
    }

    // req: nlmp-3.2.5.1.2-proof
    fn judge(
        &self,
        exchange: &Exchange,
        token: &[u8],
        found: Option<Account>,
    ) -> Result<Progress, Denied> {
        let message = Authenticate::parse(token)?;
        let wrong = || Denied::new("unknown user or wrong password");
        let (proof, blob) = message.nt_response.split_first_chunk().ok_or_else(wrong)?;
        let (proof, account) = (Key::new(*proof), found.unwrap_or_default());
        let checked = self.prove(exchange, &message, &account, &proof, blob)?;
        if !bool::from(checked.proved) {
            return Err(wrong());
        }
        let flags = agreed(exchange.offered, message.flags)?;
        let key = exported(flags, &checked.base_key, &message)?;
        self.check_covered(exchange, token, blob, &key)?;
        Ok(done(Session::new(
            flags,
            key,
            End::Server,
            account.principal("ntlm"),
        )))
    }

    /// Compares the proof with the one that the account makes, and with the one that clients make which leave out the domain
    /// (section 3.2.5.1.2). An account that does not exist has a random key.
    // req: nlmp-3.2.5.1.2-names
    fn prove(
        &self,
        exchange: &Exchange,
        message: &Authenticate<'_>,
        account: &Account,
        proof: &Key,
        blob: &[u8],
    ) -> Result<Checked, Denied> {
        let nobodys = Key::new(self.config.environment.array()?);
        let exists = Choice::from(u8::from(account.nt_hash.is_some()));
        let secret = Key::select(
            &nobodys,
            account.nt_hash.as_ref().unwrap_or(&nobodys),
            exists,
        );
        let with = response_key(&secret, &message.user, &message.domain);
        let without = response_key(&secret, &message.user, "");
        let proves = |answers| nt_proof(answers, &exchange.nonce, blob).ct_eq(proof);
        let (first, second) = (proves(&with), proves(&without));
        let answers = Key::select(&without, &with, first);
        Ok(Checked {
            proved: (first | second) & exists,
            base_key: session_base_key(&answers, proof),
        })
    }

    /// What the proof covers: it is believed only now.
    fn check_covered(
        &self,
        exchange: &Exchange,
        token: &[u8],
        blob: &[u8],
        key: &Key,
    ) -> Result<(), Denied> {
        let pairs = Pairs::parse(blob.get(28..).unwrap_or_default())?;
        self.check_mic(exchange, token, pairs, key)?;
        self.check_age(blob)?;
        self.check_bindings(pairs)?;
        self.check_target(pairs)
    }

    // req: nlmp-3.2.5.1.2-mic
    fn check_mic(
        &self,
        exchange: &Exchange,
        token: &[u8],
        pairs: Pairs<'_>,
        key: &Key,
    ) -> Result<(), Denied> {
        if pairs.flags() & MIC_PRESENT == 0 {
            return match self.config.require_mic {
                true => Err(Denied::new("the client sent no MIC")),
                false => Ok(()),
            };
        }
        let sent = message::mic(token).map(Key::new);
        let sent =
            sent.ok_or_else(|| Denied::new("the MIC that the client says is there is not"))?;
        let cleared = message::with_mic(token, &[0; 16]);
        let made = message_mic(key, [&exchange.negotiate, &exchange.challenge, &cleared]);
        match made == sent {
            true => Ok(()),
            false => Err(Denied::new("the messages were changed on their way (MIC)")),
        }
    }

    fn check_age(&self, blob: &[u8]) -> Result<(), Denied> {
        let Some(lifetime) = self.config.lifetime else {
            return Ok(());
        };
        let time = blob.get(8..).and_then(|rest| rest.first_chunk());
        let time = time.copied().map_or(0, u64::from_le_bytes);
        let now = (self.config.environment.filetime)();
        match now.abs_diff(time) > lifetime.saturating_mul(TICKS) {
            true => Err(Denied::new("the response is too old, or from the future")),
            false => Ok(()),
        }
    }

    // req: nlmp-3.2.5.1.2-bindings
    fn check_bindings(&self, pairs: Pairs<'_>) -> Result<(), Denied> {
        let (expected, required) = match &self.config.bindings {
            Bindings::Off => return Ok(()),
            Bindings::Allow(expected) => (expected, false),
            Bindings::Require(expected) => (expected, true),
        };
        let sent = pairs.value(AvId::CHANNEL_BINDINGS);
        match sent.filter(|hash| hash.iter().any(|byte| *byte != 0)) {
            None if required => Err(Denied::new("the client names no channel")),
            None => Ok(()),
            Some(hash) if hash == expected.hash() => Ok(()),
            Some(_) => Err(Denied::new("the client means another channel")),
        }
    }

    fn check_target(&self, pairs: Pairs<'_>) -> Result<(), Denied> {
        let (names, required) = match &self.config.targets {
            Targets::Any => return Ok(()),
            Targets::Allow(names) => (names, false),
            Targets::Require(names) => (names, true),
        };
        let sent = pairs
            .text(AvId::TARGET_NAME)
            .filter(|name| !name.is_empty());
        let sent = sent.filter(|_| pairs.flags() & TARGET_UNVERIFIED == 0);
        match sent {
            None if required => Err(Denied::new("the client names no target")),
            None => Ok(()),
            Some(name) if names.iter().any(|own| own.eq_ignore_ascii_case(&name)) => Ok(()),
            Some(_) => Err(Denied::new("the client means another target")),
        }
    }
}

/// Whether a proof holds, and the key that goes with it.
struct Checked {
    proved: Choice,
    base_key: Key,
}

fn is_anonymous(message: &Authenticate<'_>) -> bool {
    message.user.is_empty()
        && message.nt_response.is_empty()
        && matches!(message.lm_response, [] | [0])
}

/// What both sides said; what was not offered is not granted because a client claims it.
fn agreed(offered: Flags, claimed: Flags) -> Result<Flags, Denied> {
    let flags = offered & claimed;
    match flags.has(Flags::EXTENDED_SESSIONSECURITY | Flags::UNICODE) {
        true => Ok(flags),
        false => Err(Denied::new("the client gave up extended session security")),
    }
}

/// The session key: the client's choice if keys are exchanged, the base key otherwise.
fn exported(flags: Flags, base_key: &Key, message: &Authenticate<'_>) -> Result<Key, Denied> {
    if !flags.has(Flags::KEY_EXCH) || !flags.any(Flags::SIGN | Flags::SEAL) {
        return Ok(base_key.clone());
    }
    let sent = message.session_key.try_into().map(Key::new);
    let sent = sent.map_err(|_| Denied::new("the session key has not 16 bytes"))?;
    Ok(rc4k(base_key, &sent))
}

fn done(session: Session) -> Progress {
    Progress::Done {
        token: None,
        context: Box::new(session),
    }
}

impl Handshake for Server {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => self.challenge(token),
            State::Challenged(exchange) => self.look_up(exchange, token),
            State::Asked(..) | State::Over => Err(Denied::package("no message is expected now")),
        }
    }

    fn answer(&mut self, answer: Answer) -> Result<Progress, Denied> {
        let State::Asked(exchange, token) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Denied::package("nothing was asked"));
        };
        let found = answer.downcast::<Found>();
        let found = found.map_err(|_| Denied::package("not an answer to what was asked"))?;
        self.judge(&exchange, &token, found.0)
    }
}

#[cfg(test)]
mod tests;
