//! The client's side: negotiate, read the challenge, prove the password.
//!
//! Read first: MS-NLMP section 3.1.5.1. Version 2 only: no LM response is sent (24 zeros stand in its place), the last message
//! always has a MIC, and a server that drops what was asked for (signing, sealing, 128 bits, extended session security) is
//! refused instead of followed.

use farcall_dce::security::{Answer, Denied, Principal};

use super::flags::Flags;
use super::keys::{End, message_mic, nt_hash, nt_proof, rc4k, response_key, session_base_key};
use super::message::{self, Authenticate, Challenge, Negotiate};
use super::session::Session;
use super::target::{AvId, Builder, MIC_PRESENT, Pairs, encode};
use crate::context::{Handshake, Progress};
use crate::environment::{ChannelBindings, Environment};
use crate::secret::{Key, Password};

/// What a client is and wants.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The user's name; empty for nobody.
    pub user: String,
    /// The user's domain; may be empty.
    pub domain: String,
    /// The hash of the password ([`nt_hash`]); `None` to be anonymous.
    pub secret: Option<Key>,
    /// The name of this machine, as it is told to the server. Empty by default.
    pub workstation: String,
    /// The service principal name of the server, which is part of the proof.
    pub target: Option<String>,
    /// The channel that the exchange runs inside.
    pub bindings: Option<ChannelBindings>,
    /// Ask for signatures, and refuse a server that grants none. Default true.
    pub sign: bool,
    /// Ask for encryption, and refuse a server that grants none. Default true.
    pub seal: bool,
    /// Ask to choose the session key. Default true.
    pub key_exchange: bool,
    /// Ask for keys of 128 bits, and refuse a server that grants none. Default true.
    pub key_128: bool,
    /// Ask for keys of 56 bits beside those. Default true.
    pub key_56: bool,
    /// Randomness and time.
    pub environment: Environment,
}

impl ClientConfig {
    /// A user with a password, and the strongest of everything.
    #[must_use]
    pub fn new(user: &str, domain: &str, password: &Password) -> Self {
        Self {
            user: user.to_owned(),
            domain: domain.to_owned(),
            secret: Some(nt_hash(password.expose())),
            ..Self::anonymous()
        }
    }

    /// Nobody.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            user: String::new(),
            domain: String::new(),
            secret: None,
            workstation: String::new(),
            target: None,
            bindings: None,
            sign: true,
            seal: true,
            key_exchange: true,
            key_128: true,
            key_56: true,
            environment: Environment::SYSTEM,
        }
    }

    fn flags(&self) -> Flags {
        let always = Flags::UNICODE
            | Flags::REQUEST_TARGET
            | Flags::NTLM
            | Flags::ALWAYS_SIGN
            | Flags::EXTENDED_SESSIONSECURITY
            | Flags::TARGET_INFO
            | Flags::VERSION;
        self.required()
            .with(always, true)
            .with(Flags::KEY_EXCH, self.key_exchange && self.protects())
            .with(Flags::KEY_56, self.key_56)
    }

    /// What the server must grant.
    fn required(&self) -> Flags {
        (Flags::UNICODE | Flags::EXTENDED_SESSIONSECURITY)
            .with(Flags::SIGN, self.sign)
            .with(Flags::SEAL, self.seal)
            .with(Flags::KEY_128, self.key_128 && self.protects())
    }

    /// Whether messages are to be protected. If none is, no key is exchanged: peers differ about what the session key would be
    /// (MS-NLMP section 3.1.5.1.2 has none exchanged, Samba's server demands one).
    const fn protects(&self) -> bool {
        self.sign || self.seal
    }
}

/// A client in the middle of its exchange.
pub struct Client {
    config: ClientConfig,
    state: State,
}

enum State {
    Start,
    Negotiated(Vec<u8>),
    Over,
}

impl Client {
    /// A client that has not said anything yet.
    #[must_use]
    pub const fn new(config: ClientConfig) -> Self {
        let state = State::Start;
        Self { config, state }
    }

    fn negotiate(&mut self) -> Progress {
        let flags = self.config.flags();
        let message = Negotiate { flags }.emit();
        self.state = State::Negotiated(message.clone());
        Progress::Continue(message)
    }

    // req: nlmp-3.1.5.1.2-policy
    fn authenticate(&self, negotiate: &[u8], token: &[u8]) -> Result<Progress, Denied> {
        let challenge = Challenge::parse(token)?;
        let missing = self.config.required().without(challenge.flags);
        if missing != Flags::default() {
            return Err(Denied::package(format!(
                "the server does not grant {missing:?}"
            )));
        }
        let flags = self.config.flags() & challenge.flags;
        let proof = self.prove(&challenge)?;
        let exported = self.exported(flags, &proof.base_key)?;
        let unsigned = Authenticate {
            flags,
            lm_response: &proof.lm,
            nt_response: &proof.nt,
            domain: self.config.domain.clone(),
            user: self.config.user.clone(),
            workstation: self.config.workstation.clone(),
            session_key: exported.encrypted.as_slice(),
        }
        .emit();
        let message = match self.config.secret {
            Some(_) => {
                let mic = message_mic(&exported.key, [negotiate, token, &unsigned]);
                message::with_mic(&unsigned, mic.as_bytes())
            }
            None => unsigned,
        };
        let session = Session::new(flags, exported.key, End::Client, server(&challenge));
        Ok(Progress::Done {
            token: Some(message),
            context: Box::new(session),
        })
    }

    /// The responses to a challenge.
    fn prove(&self, challenge: &Challenge) -> Result<Proof, Denied> {
        let Some(secret) = &self.config.secret else {
            return Ok(Proof {
                lm: vec![0],
                nt: Vec::new(),
                base_key: Key::default(),
            });
        };
        if challenge.target_info.is_empty() {
            return Err(Denied::package(
                "the server names no target, so it does not know version 2",
            ));
        }
        let blob = self.blob(Pairs::parse(&challenge.target_info)?)?;
        let answers = response_key(secret, &self.config.user, &self.config.domain);
        let proof = nt_proof(&answers, &challenge.server_challenge, &blob);
        let mut nt = proof.as_bytes().to_vec();
        nt.extend_from_slice(&blob);
        Ok(Proof {
            lm: vec![0; 24],
            nt,
            base_key: session_base_key(&answers, &proof),
        })
    }

    /// `NTLMv2_CLIENT_CHALLENGE`: the time, our nonce, the server's pairs and ours.
    fn blob(&self, server: Pairs<'_>) -> Result<Vec<u8>, Denied> {
        let time = server
            .timestamp()
            .unwrap_or_else(self.config.environment.filetime);
        let mut blob = vec![1, 1, 0, 0, 0, 0, 0, 0];
        blob.extend_from_slice(&time.to_le_bytes());
        blob.extend_from_slice(&self.config.environment.array::<8>()?);
        blob.extend_from_slice(&[0; 4]);
        blob.extend_from_slice(&self.pairs(server));
        blob.extend_from_slice(&[0; 4]);
        Ok(blob)
    }

    // req: nlmp-3.1.5.1.2-pairs
    fn pairs(&self, server: Pairs<'_>) -> Vec<u8> {
        const OURS: [AvId; 4] = [
            AvId::FLAGS,
            AvId::TARGET_NAME,
            AvId::CHANNEL_BINDINGS,
            AvId::SINGLE_HOST,
        ];
        let mut pairs = Builder::default();
        for (id, value) in server.iter().filter(|pair| !OURS.contains(&pair.0)) {
            pairs.push(id, value);
        }
        let flags = server.flags() | MIC_PRESENT;
        pairs.push(AvId::FLAGS, &flags.to_le_bytes());
        let bindings = self.config.bindings.as_ref();
        let bindings = bindings.map_or([0; 16], ChannelBindings::hash);
        pairs.push(AvId::CHANNEL_BINDINGS, &bindings);
        let target = self.config.target.as_deref().unwrap_or_default();
        pairs.push(AvId::TARGET_NAME, &encode(target));
        pairs.finish()
    }

    /// The session key: chosen here if keys are exchanged, the base key otherwise.
    fn exported(&self, flags: Flags, base_key: &Key) -> Result<Exported, Denied> {
        let exchanged = flags.has(Flags::KEY_EXCH) && flags.any(Flags::SIGN | Flags::SEAL);
        if !exchanged {
            return Ok(Exported {
                key: base_key.clone(),
                encrypted: Vec::new(),
            });
        }
        let key = Key::new(self.config.environment.array()?);
        let encrypted = rc4k(base_key, &key).as_bytes().to_vec();
        Ok(Exported { key, encrypted })
    }
}

struct Proof {
    lm: Vec<u8>,
    nt: Vec<u8>,
    base_key: Key,
}

struct Exported {
    key: Key,
    encrypted: Vec<u8>,
}

/// NTLM proves no name of the server, only that it knows the password's hash; what it says of itself is kept as such.
fn server(challenge: &Challenge) -> Principal {
    Principal {
        name: challenge.target_name.clone(),
        mechanism: "ntlm",
        ..Principal::default()
    }
}

impl Handshake for Client {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => Ok(self.negotiate()),
            State::Negotiated(negotiate) => self.authenticate(&negotiate, token),
            State::Over => Err(Denied::package("the exchange is over")),
        }
    }

    fn answer(&mut self, _answer: Answer) -> Result<Progress, Denied> {
        Err(Denied::package("nothing was asked"))
    }
}

#[cfg(test)]
mod tests;
