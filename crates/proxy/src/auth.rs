//! Authentication of a connection: from what its requests say to who it is.
//!
//! Read first: RFC 9110 section 11, RFC 7617 (Basic), RFC 4559 (Negotiate; NTLM is done alike, MS-NTHT section 2.1), RFC 6750 section 2.1 (Bearer).
//! Negotiate and NTLM prove a connection, not a request, and clients count on it; so who a connection is stays with it, and
//! only with it. Whatever is wrong, the answer is the same: 401 with all that the listener takes. What was wrong goes to the log.
//!
//! - [`lockout`]: how often one may be wrong;
//! - [`passwords`]: a file of names and hashes;
//! - [`tokens`]: signed tokens;
//! - [`helper`]: accounts of a domain, by Samba's program;
//! - [`keytab`]: Kerberos, where it is built in;
//! - [`system`]: groups of the operating system.

pub mod lockout;
pub mod passwords;
pub mod tokens;
pub mod helper;
pub mod keytab;
pub mod system;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farcall::tls::Certificate;
use farcall_dce::security::{Answer, Denied, Principal};
use farcall_security::ntlm::{Bindings, ServerConfig};
use farcall_security::spnego::Mechanism;
use farcall_security::{
    Account, Accounts, ChannelBindings, Handshake, Mechanisms, Password, Progress, UsersFile,
};
use http::HeaderValue;
use tokio::sync::Semaphore;

use crate::config::listen::{self, Authentication, ChannelBinding, NameField};
use crate::identity::{AuthKind, Identity};
use helper::{Conversation, Helper, Protocol, Said};
use lockout::{Attempt, LockedOut, Lockout};
use passwords::PasswordFile;
use tokens::Tokens;

/// How many password hashes are computed at a time: they are made to be expensive.
const HASHES: usize = 4;

/// How long an attempt waits for its turn; then it is refused like a wrong one.
const TURN: std::time::Duration = std::time::Duration::from_secs(10);

/// Why a listener's authentication cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file of passwords.
    #[error(transparent)]
    Passwords(#[from] passwords::Error),
    /// The file of users.
    #[error(transparent)]
    Users(#[from] farcall_security::users::Error),
    /// The file of keys.
    #[error(transparent)]
    Tokens(#[from] tokens::Error),
    /// The keytab.
    #[error("{path}: {what}")]
    Keytab {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// What is written contradicts itself.
    #[error("{0}")]
    Contradiction(&'static str),
}

/// What a listener takes, ready for use.
pub struct Authenticator {
    basic: Option<BasicStore>,
    realm: String,
    ntlm: Option<Store>,
    negotiate: Option<Store>,
    certificate: Option<listen::CertificateName>,
    tokens: Option<Tokens>,
    anonymous: bool,
    system_groups: bool,
    lockout: Arc<Lockout>,
    hashing: Semaphore,
    offers: Vec<HeaderValue>,
}

enum BasicStore {
    File(Arc<PasswordFile>),
    Helper(Arc<Helper>),
}

/// Where an exchange of tokens is judged.
enum Store {
    Ours {
        ntlm: Option<Arc<ServerConfig>>,
        kerberos: Option<keytab::Service>,
        binding: ChannelBinding,
    },
    Helper(Arc<Helper>),
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.offers).finish()
    }
}

impl Authenticator {
    /// Sets up what a configuration says: files are read, programs are not started yet.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(settings: &Authentication, lockout: Arc<Lockout>) -> Result<Self, Error> {
        let basic = settings.basic.as_ref();
        let ntlm = settings.ntlm.as_ref();
        let mut all = Self {
            basic: basic.map(basic_store).transpose()?,
            realm: basic
                .map(|basic| quotable(&basic.realm))
                .unwrap_or_default(),
            ntlm: ntlm
                .map(|ntlm| ntlm_store(ntlm, Protocol::Ntlm, ntlm.channel_binding))
                .transpose()?,
            negotiate: settings
                .negotiate
                .as_ref()
                .map(negotiate_store)
                .transpose()?,
            certificate: settings.certificate.clone(),
            tokens: settings.bearer.as_ref().map(Tokens::load).transpose()?,
            anonymous: settings.anonymous.is_some(),
            system_groups: settings.system_groups,
            lockout,
            hashing: Semaphore::new(HASHES),
            offers: Vec::new(),
        };
        all.offers = all.offered();
        Ok(all)
    }

    fn offered(&self) -> Vec<HeaderValue> {
        let basic = format!("Basic realm=\"{}\", charset=\"UTF-8\"", self.realm);
        let offers = [
            self.negotiate.is_some().then(|| "Negotiate".to_owned()),
            self.ntlm.is_some().then(|| "NTLM".to_owned()),
            self.tokens.is_some().then(|| "Bearer".to_owned()),
            self.basic.is_some().then_some(basic),
        ];
        offers
            .into_iter()
            .flatten()
            .filter_map(|offer| offer.try_into().ok())
            .collect()
    }

    /// What a client is told that it may use.
    #[must_use]
    pub fn offers(&self) -> &[HeaderValue] {
        &self.offers
    }
}

fn quotable(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control() && !"\"\\".contains(*letter))
        .collect()
}

fn basic_store(basic: &listen::Basic) -> Result<BasicStore, Error> {
    match (&basic.users, &basic.helper) {
        (Some(path), None) => Ok(BasicStore::File(Arc::new(PasswordFile::open(path)?))),
        (None, Some(helper)) => Ok(BasicStore::Helper(Helper::new(helper, Protocol::Basic))),
        _ => Err(Error::Contradiction("basic needs either users or helper")),
    }
}

fn ntlm_store(
    ntlm: &listen::Ntlm,
    protocol: Protocol,
    binding: ChannelBinding,
) -> Result<Store, Error> {
    match (&ntlm.users, &ntlm.helper) {
        (Some(_), None) => Ok(Store::Ours {
            ntlm: Some(Arc::new(ntlm_config(ntlm)?)),
            kerberos: None,
            binding,
        }),
        (None, Some(_)) if binding == ChannelBinding::Require => Err(Error::Contradiction(
            "a helper cannot check channel bindings: channel-binding must be \"off\" with it",
        )),
        (None, Some(helper)) => Ok(Store::Helper(Helper::new(helper, protocol))),
        _ => Err(Error::Contradiction("ntlm needs either users or helper")),
    }
}

fn negotiate_store(negotiate: &listen::Negotiate) -> Result<Store, Error> {
    let binding = negotiate.channel_binding;
    let kerberos = negotiate.keytab.as_deref().map(keytab::open).transpose()?;
    match (&negotiate.ntlm, kerberos) {
        (Some(ntlm), None) => ntlm_store(ntlm, Protocol::Spnego, binding),
        (None, Some(kerberos)) => Ok(Store::Ours {
            ntlm: None,
            kerberos: Some(kerberos),
            binding,
        }),
        (Some(ntlm), Some(_)) if ntlm.helper.is_some() => Err(Error::Contradiction(
            "a helper does Kerberos itself, with its own keytab: leave keytab out, or give ntlm users",
        )),
        (Some(ntlm), kerberos) => Ok(Store::Ours {
            ntlm: Some(Arc::new(ntlm_config(ntlm)?)),
            kerberos,
            binding,
        }),
        (None, None) => Err(Error::Contradiction(
            "negotiate needs ntlm or keytab inside",
        )),
    }
}

fn ntlm_config(ntlm: &listen::Ntlm) -> Result<ServerConfig, Error> {
    let path = ntlm.users.as_deref();
    let path = path.ok_or(Error::Contradiction("ntlm needs either users or helper"))?;
    let accounts = Arc::new(UsersFile::open(path)?);
    let mut config = ServerConfig::new(&ntlm.computer, &ntlm.domain, accounts);
    // All names are there: some clients fail without them.
    config.dns_computer = ntlm.computer.to_lowercase();
    config.dns_domain = ntlm.domain.to_lowercase();
    Ok(config)
}

/// What became of a request's credentials.
#[derive(Debug)]
pub enum Verdict {
    /// It is somebody who may be let in.
    Known {
        /// Who.
        identity: Arc<Identity>,
        /// A last token for the client, with its scheme.
        token: Option<HeaderValue>,
        /// This request proved it, not one before it.
        fresh: bool,
    },
    /// It must be answered 401 with these challenges.
    Ask {
        /// One in the middle of an exchange, otherwise all that are taken.
        challenges: Vec<HeaderValue>,
        /// What was wrong, if anything was: for the log.
        failed: Option<Failed>,
    },
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// How it was tried; `None` for what is no kind.
    pub kind: Option<AuthKind>,
    /// Who it claimed to be, if it did. Not proved, and not to be trusted with control characters.
    pub claimed: Option<String>,
    /// Why it failed.
    pub reason: String,
}

/// Who one connection is.
pub struct Session {
    shared: Arc<Authenticator>,
    source: IpAddr,
    bindings: Vec<ChannelBindings>,
    certificate: Option<Arc<Certificate>>,
    state: State,
    /// Who a request is does not outlive it: the connection may carry others' too.
    shared_line: bool,
}

enum State {
    Nobody,
    Exchanging(&'static str, Exchange),
    Known(Arc<Identity>),
}

enum Exchange {
    Ours(Box<dyn Handshake>, Arc<Watched>),
    Helper(Box<Conversation>),
}

impl Session {
    /// A connection from `source`, inside a channel with these bindings, that showed this certificate.
    #[must_use]
    pub fn new(
        shared: Arc<Authenticator>,
        source: IpAddr,
        bindings: Vec<ChannelBindings>,
        certificate: Option<Arc<Certificate>>,
    ) -> Self {
        Self {
            shared,
            source,
            bindings,
            certificate,
            state: State::Nobody,
            shared_line: false,
        }
    }

    /// The connection may carry requests of several clients: who one is, the next is not.
    #[must_use]
    pub const fn shared_line(mut self, shared: bool) -> Self {
        self.shared_line = shared;
        self
    }

    /// Says whose request the next one is, where a proxy in front carries those of many: what was proved does not go over
    /// to another source.
    pub fn at(&mut self, source: IpAddr) {
        if self.source != source {
            self.source = source;
            self.state = State::Nobody;
        }
    }

    /// Judges a request by its `Authorization`.
    pub async fn judge(&mut self, authorization: Option<&HeaderValue>) -> Verdict {
        if self.shared_line {
            self.state = State::Nobody;
        }
        match self.judged(authorization).await {
            Verdict::Known {
                identity,
                token,
                fresh: true,
            } if self.shared.system_groups && system::is_asked(identity.kind) => {
                let identity = Arc::new(system::with_groups(identity).await);
                self.state = State::Known(Arc::clone(&identity));
                known(&identity, token, true)
            }
            verdict => verdict,
        }
    }

    async fn judged(&mut self, authorization: Option<&HeaderValue>) -> Verdict {
        let Some(value) = authorization else {
            return self.without();
        };
        let text = value.to_str().unwrap_or_default();
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        let shared = Arc::clone(&self.shared);
        match scheme.to_ascii_lowercase().as_str() {
            "basic" if shared.basic.is_some() => self.basic(rest).await,
            "bearer" if shared.tokens.is_some() => self.bearer(rest),
            "ntlm" if shared.ntlm.is_some() => {
                self.exchange("NTLM", shared.ntlm.as_ref(), rest).await
            }
            "negotiate" if shared.negotiate.is_some() => {
                self.exchange("Negotiate", shared.negotiate.as_ref(), rest)
                    .await
            }
            _ if shared.anonymous => self.without(),
            _ => self.refuse(None, None, "a scheme that is not offered"),
        }
    }

    fn without(&mut self) -> Verdict {
        if let State::Known(identity) = &self.state {
            return known(identity, None, false);
        }
        self.state = State::Nobody;
        match (self.by_certificate(), self.shared.anonymous) {
            (Some(identity), _) => self.admit(identity, None),
            (None, true) => self.admit(Identity::anonymous(), None),
            (None, false) => self.ask(None),
        }
    }

    fn by_certificate(&self) -> Option<Identity> {
        let settings = self.shared.certificate.as_ref()?;
        let certificate = self.certificate.as_ref()?;
        let name = match settings.name {
            NameField::Subject => &certificate.subject,
            NameField::CommonName => &certificate.common_name,
            NameField::Dns => certificate.dns.first()?,
            NameField::Mail => certificate.mail.first()?,
            NameField::Upn => certificate.upn.first()?,
        };
        if name.is_empty() || name.contains(char::is_control) {
            return None;
        }
        let mut identity = Identity::new(AuthKind::Certificate, name.clone(), String::new());
        identity.issuer.clone_from(&certificate.issuer);
        if settings.groups_from_units {
            identity.groups.clone_from(&certificate.units);
        }
        Some(identity)
    }

    async fn basic(&mut self, rest: &str) -> Verdict {
        let kind = Some(AuthKind::Basic);
        let decoded = STANDARD
            .decode(rest)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let parts = decoded.as_deref().and_then(|text| text.split_once(':'));
        let Some((user, password)) =
            parts.filter(|(user, _)| !user.is_empty() && user.len() <= 256)
        else {
            return self.refuse(kind, None, "no name and password");
        };
        let password = Password::new(password.to_owned());
        let claimed = Some(user.to_owned());
        let attempt = match self
            .shared
            .lockout
            .begin(Some(user), self.source, Instant::now())
        {
            Ok(attempt) => attempt,
            Err(locked) => return self.refuse(kind, claimed, &locked_out(locked)),
        };
        match self.shared.password(user, password).await {
            Ok(Some(name)) => {
                attempt.succeeded();
                let (domain, name) = name.split_once('\\').unwrap_or(("", &name));
                self.admit(
                    Identity::new(AuthKind::Basic, name.to_owned(), domain.to_owned()),
                    None,
                )
            }
            Ok(None) => self.refuse(kind, claimed, "unknown user or wrong password"),
            Err(error) => self.refuse(kind, claimed, &error),
        }
    }

    fn bearer(&mut self, rest: &str) -> Verdict {
        let kind = Some(AuthKind::Bearer);
        let attempt = match self.shared.lockout.begin(None, self.source, Instant::now()) {
            Ok(attempt) => attempt,
            Err(locked) => return self.refuse(kind, None, &locked_out(locked)),
        };
        let verified = self
            .shared
            .tokens
            .as_ref()
            .map(|tokens| tokens.verify(rest));
        match verified {
            Some(Ok(identity)) => {
                attempt.succeeded();
                self.admit(identity, None)
            }
            Some(Err(reason)) => self.refuse(kind, None, &reason),
            None => self.refuse(kind, None, "no tokens are taken"),
        }
    }

    async fn exchange(
        &mut self,
        scheme: &'static str,
        store: Option<&Store>,
        rest: &str,
    ) -> Verdict {
        let Ok(token) = STANDARD.decode(rest) else {
            return self.refuse(None, None, "a token that is not base64");
        };
        let kind = Some(kind_of(scheme, &token));
        let begun = std::mem::replace(&mut self.state, State::Nobody);
        let exchange = match begun {
            State::Exchanging(same, exchange) if same == scheme && !begins(&token) => Ok(exchange),
            // A client that begins with nothing wants to know whether the scheme is there.
            _ if token.is_empty() => return self.refuse(None, None, "an empty token"),
            _ => self.begin(scheme, store).await,
        };
        let mut exchange = match exchange {
            Ok(exchange) => exchange,
            Err(reason) => return self.refuse(kind, None, &reason),
        };
        let claimed = helper::claimed(&token);
        let said = match &mut exchange {
            Exchange::Ours(handshake, watched) => ours(handshake.as_mut(), watched, &token).await,
            Exchange::Helper(conversation) => {
                self.by_helper(conversation, &token, claimed.as_deref())
                    .await
            }
        };
        match said {
            Ok(Outcome::Continue(token)) => {
                self.state = State::Exchanging(scheme, exchange);
                let challenges = header(scheme, &token).into_iter().collect();
                Verdict::Ask {
                    challenges,
                    failed: None,
                }
            }
            Ok(Outcome::Proved(identity, token)) => {
                let token = token.and_then(|token| header(scheme, &token));
                self.admit(identity, token)
            }
            Err(reason) => self.refuse(kind, claimed, &reason),
        }
    }

    async fn begin(&mut self, scheme: &str, store: Option<&Store>) -> Result<Exchange, String> {
        match store {
            Some(Store::Helper(helper)) => {
                let conversation = helper.begin().await;
                let conversation = conversation.map_err(|error| format!("the helper: {error}"))?;
                Ok(Exchange::Helper(Box::new(conversation)))
            }
            Some(Store::Ours {
                ntlm,
                kerberos,
                binding,
            }) => {
                let bindings = self.asked_of_channel(*binding)?;
                let mut mechanisms = Mechanisms::new();
                if let Some(service) = kerberos {
                    mechanisms = keytab::with(mechanisms, service, &bindings);
                }
                let watched = Arc::new(Watched::new(
                    ntlm.as_ref(),
                    Arc::clone(&self.shared.lockout),
                    self.source,
                ));
                if let Some(config) = ntlm {
                    let mut config = ServerConfig::clone(config);
                    config.accounts = Arc::<Watched>::clone(&watched);
                    config.bindings = bindings;
                    mechanisms = mechanisms.with_ntlm(config);
                }
                let one = (scheme == "NTLM").then_some(Mechanism::Ntlm);
                let handshake = mechanisms.begin(one).map_err(|denied| denied.reason)?;
                Ok(Exchange::Ours(handshake, watched))
            }
            None => Err("a scheme that is not offered".to_owned()),
        }
    }

    fn asked_of_channel(&self, binding: ChannelBinding) -> Result<Bindings, String> {
        match (binding, self.bindings.first()) {
            (ChannelBinding::Off, _) | (ChannelBinding::Allow, None) => Ok(Bindings::Off),
            (ChannelBinding::Allow, Some(own)) => Ok(Bindings::Allow(own.clone())),
            (ChannelBinding::Require, Some(own)) => Ok(Bindings::Require(own.clone())),
            (ChannelBinding::Require, None) => {
                Err("channel binding is required, and there is no TLS to bind to".to_owned())
            }
        }
    }

    async fn by_helper(
        &mut self,
        conversation: &mut Conversation,
        token: &[u8],
        claimed: Option<&str>,
    ) -> Result<Outcome, String> {
        let attempt = match claimed {
            Some(account) => {
                let begun = self
                    .shared
                    .lockout
                    .begin(Some(account), self.source, Instant::now());
                Some(begun.map_err(locked_out)?)
            }
            None => None,
        };
        let said = conversation.step(token).await;
        match said.map_err(|error| format!("the helper: {error}"))? {
            Said::Continue(token) => Ok(Outcome::Continue(token)),
            Said::Denied(reason) => Err(reason),
            Said::Proved(account, token) => {
                if let Some(attempt) = attempt {
                    attempt.succeeded();
                }
                let (domain, name) = account.split_once('\\').unwrap_or(("", &account));
                let kind = match claimed {
                    Some(_) => AuthKind::Ntlm,
                    None => AuthKind::Kerberos,
                };
                Ok(Outcome::Proved(
                    Identity::new(kind, name.to_owned(), domain.to_owned()),
                    token,
                ))
            }
        }
    }

    fn admit(&mut self, identity: Identity, token: Option<HeaderValue>) -> Verdict {
        let identity = Arc::new(identity);
        self.state = State::Known(Arc::clone(&identity));
        known(&identity, token, true)
    }

    /// Whatever was wrong, the answer is the same.
    fn refuse(&mut self, kind: Option<AuthKind>, claimed: Option<String>, reason: &str) -> Verdict {
        self.state = State::Nobody;
        self.ask(Some(Failed {
            kind,
            claimed,
            reason: reason.to_owned(),
        }))
    }

    fn ask(&self, failed: Option<Failed>) -> Verdict {
        Verdict::Ask {
            challenges: self.shared.offers.clone(),
            failed,
        }
    }
}

fn known(identity: &Arc<Identity>, token: Option<HeaderValue>, fresh: bool) -> Verdict {
    Verdict::Known {
        identity: Arc::clone(identity),
        token,
        fresh,
    }
}

fn locked_out(what: LockedOut) -> String {
    format!("the {} was wrong too often", what.word())
}

fn header(scheme: &str, token: &[u8]) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{scheme} {}", STANDARD.encode(token))).ok()
}

/// What a token is of, as far as it shows.
fn kind_of(scheme: &str, token: &[u8]) -> AuthKind {
    let ntlm = token.windows(8).any(|window| window == b"NTLMSSP\0");
    match ntlm || scheme == "NTLM" {
        true => AuthKind::Ntlm,
        false => AuthKind::Kerberos,
    }
}

/// Whether a token begins an exchange: NTLM's first message, or the first of SPNEGO.
fn begins(token: &[u8]) -> bool {
    token.first() == Some(&0x60) || token.starts_with(b"NTLMSSP\0\x01\0\0\0")
}

/// What a step came to.
enum Outcome {
    Continue(Vec<u8>),
    Proved(Identity, Option<Vec<u8>>),
}

/// One step of our own mechanisms; what may block runs aside.
async fn ours(
    handshake: &mut dyn Handshake,
    watched: &Watched,
    token: &[u8],
) -> Result<Outcome, String> {
    let failed = |denied: Denied| match watched.locked() {
        Some(locked) => locked_out(locked),
        None => denied.reason,
    };
    let mut progress = handshake.step(token).map_err(failed)?;
    loop {
        match progress {
            Progress::Need(query) => {
                let asked = tokio::task::spawn_blocking(move || (query.0)()).await;
                let answer: Answer = asked.map_err(|error| error.to_string())?;
                progress = handshake.answer(answer).map_err(failed)?;
            }
            Progress::Continue(token) => return Ok(Outcome::Continue(token)),
            Progress::Done { token, context } => {
                let identity = identity_of(context.peer())?;
                watched.succeeded();
                return Ok(Outcome::Proved(identity, token));
            }
        }
    }
}

fn identity_of(peer: &Principal) -> Result<Identity, String> {
    if peer.anonymous || peer.name.is_empty() {
        return Err("proved to be nobody".to_owned());
    }
    let kind = match peer.mechanism {
        "kerberos" => AuthKind::Kerberos,
        _ => AuthKind::Ntlm,
    };
    let mut identity = Identity::new(kind, peer.name.clone(), peer.domain.clone());
    identity.groups.clone_from(&peer.groups);
    Ok(identity)
}

/// Accounts that count who asks for them.
struct Watched {
    accounts: Option<Arc<dyn Accounts>>,
    lockout: Arc<Lockout>,
    source: IpAddr,
    attempt: Mutex<Option<Result<Attempt, LockedOut>>>,
}

impl Watched {
    fn new(config: Option<&Arc<ServerConfig>>, lockout: Arc<Lockout>, source: IpAddr) -> Self {
        Self {
            accounts: config.map(|config| Arc::clone(&config.accounts)),
            lockout,
            source,
            attempt: Mutex::new(None),
        }
    }

    fn locked(&self) -> Option<LockedOut> {
        let attempt = self.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        attempt
            .as_ref()
            .and_then(|attempt| attempt.as_ref().err().copied())
    }

    fn succeeded(&self) {
        let attempt = self
            .attempt
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Ok(attempt)) = attempt {
            attempt.succeeded();
        }
    }
}

impl Accounts for Watched {
    fn find(&self, user: &str, domain: &str) -> Option<Account> {
        let (name, of) = farcall_security::account::split(user, domain);
        let account = match of {
            "" => name.to_owned(),
            of => format!("{of}\\{name}"),
        };
        let begun = self
            .lockout
            .begin(Some(&account), self.source, Instant::now());
        let may = begun.is_ok();
        *self.attempt.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
        // Who is locked out is like who does not exist.
        self.accounts.as_ref().filter(|_| may)?.find(user, domain)
    }
}

impl Authenticator {
    /// The account's name if the password is right, with its domain in front.
    async fn password(&self, user: &str, password: Password) -> Result<Option<String>, String> {
        match &self.basic {
            Some(BasicStore::Helper(helper)) => {
                let right = helper.password(user, &password).await;
                let right = right.map_err(|error| format!("the helper: {error}"))?;
                Ok(right.then(|| user.to_owned()))
            }
            Some(BasicStore::File(file)) => {
                let turn = tokio::time::timeout(TURN, self.hashing.acquire()).await;
                let Ok(Ok(_turn)) = turn else {
                    return Err("too many passwords are being checked".to_owned());
                };
                let (file, user) = (Arc::clone(file), user.to_owned());
                let checking = tokio::task::spawn_blocking(move || file.verify(&user, &password));
                checking.await.map_err(|error| error.to_string())
            }
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
