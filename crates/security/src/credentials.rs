//! A client's credentials: which mechanisms, as whom.
//!
//! The choice of mechanism is explicit. SPNEGO offers exactly what it was made with, in that order, and the principal of an
//! established context says what was taken; nothing falls back in silence.

use std::fmt;
use std::str::FromStr;

use farcall_dce::security::{AuthLevel, AuthType, Denied, Exchange, Initiator};

use crate::context::Handshake;
use crate::dce::AtLevel;
use crate::environment::ChannelBindings;
#[cfg(feature = "kerberos")]
use crate::kerberos;
use crate::ntlm::{Client, ClientConfig};
use crate::secret::Password;
use crate::spnego::{self, Mechanism, Offer};

/// How a client authenticates, as a person names it: `ntlm`, `spnego` or `krb5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// NTLM by itself.
    Ntlm,
    /// SPNEGO over one or more mechanisms.
    Spnego,
    /// Kerberos by itself.
    Kerberos,
}

impl Auth {
    /// Its number in DCE/RPC.
    #[must_use]
    pub const fn auth_type(self) -> AuthType {
        match self {
            Self::Ntlm => AuthType::NTLM,
            Self::Spnego => AuthType::SPNEGO,
            Self::Kerberos => AuthType::KERBEROS,
        }
    }
}

/// A word that names no way to authenticate, or no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is none of {expected}")]
pub struct UnknownWord {
    word: String,
    expected: &'static str,
}

impl FromStr for Auth {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Ok(match word {
            "ntlm" => Self::Ntlm,
            "spnego" | "negotiate" => Self::Spnego,
            "krb5" | "kerberos" => Self::Kerberos,
            _ => {
                return Err(UnknownWord {
                    word: word.to_owned(),
                    expected: "ntlm, spnego, krb5",
                });
            }
        })
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ntlm => "ntlm",
            Self::Spnego => "spnego",
            Self::Kerberos => "krb5",
        })
    }
}

/// The level that a person names: `connect`, `call`, `packet`, `integrity` or `privacy`.
///
/// # Errors
/// [`UnknownWord`] for any other word.
pub fn level(word: &str) -> Result<AuthLevel, UnknownWord> {
    Ok(match word {
        "connect" => AuthLevel::CONNECT,
        "call" => AuthLevel::CALL,
        "packet" | "pkt" => AuthLevel::PKT,
        "integrity" | "sign" => AuthLevel::INTEGRITY,
        "privacy" | "seal" => AuthLevel::PRIVACY,
        _ => {
            return Err(UnknownWord {
                word: word.to_owned(),
                expected: "connect, call, packet, integrity, privacy",
            });
        }
    })
}

/// Who a client is, and how it shows that.
#[derive(Clone, Debug)]
pub struct Credentials {
    auth: Auth,
    ntlm: Option<ClientConfig>,
    #[cfg(feature = "kerberos")]
    kerberos: Option<kerberos::Identity>,
    /// What SPNEGO offers, best first.
    mechanisms: Vec<Mechanism>,
    target: Option<String>,
    bindings: Option<ChannelBindings>,
}

impl Credentials {
    fn new(auth: Auth) -> Self {
        Self {
            auth,
            ntlm: None,
            #[cfg(feature = "kerberos")]
            kerberos: None,
            mechanisms: Vec::new(),
            target: None,
            bindings: None,
        }
    }

    /// NTLM by itself, as a user with a password.
    #[must_use]
    pub fn ntlm(user: &str, domain: &str, password: &Password) -> Self {
        Self::of_ntlm(ClientConfig::new(user, domain, password))
    }

    /// NTLM by itself, with everything about it chosen.
    #[must_use]
    pub fn of_ntlm(config: ClientConfig) -> Self {
        Self {
            ntlm: Some(config),
            ..Self::new(Auth::Ntlm)
        }
    }

    /// SPNEGO that offers nothing yet; see [`or_ntlm`](Self::or_ntlm) and `or_kerberos`.
    #[must_use]
    pub fn spnego() -> Self {
        Self::new(Auth::Spnego)
    }

    /// SPNEGO offers NTLM too, after what it offers already.
    #[must_use]
    pub fn or_ntlm(mut self, config: ClientConfig) -> Self {
        self.ntlm = Some(config);
        self.mechanisms
            .retain(|offered| *offered != Mechanism::Ntlm);
        self.mechanisms.push(Mechanism::Ntlm);
        self
    }

    /// Kerberos by itself.
    #[cfg(feature = "kerberos")]
    #[must_use]
    pub fn kerberos(identity: kerberos::Identity) -> Self {
        Self {
            kerberos: Some(identity),
            ..Self::new(Auth::Kerberos)
        }
    }

    /// SPNEGO offers Kerberos too, after what it offers already.
    #[cfg(feature = "kerberos")]
    #[must_use]
    pub fn or_kerberos(mut self, identity: kerberos::Identity) -> Self {
        self.kerberos = Some(identity);
        self.mechanisms
            .retain(|offered| *offered != Mechanism::Kerberos);
        self.mechanisms.push(Mechanism::Kerberos);
        self
    }

    /// Asks for this service principal, whatever the target is called otherwise.
    #[must_use]
    pub fn with_target(mut self, target: &str) -> Self {
        self.target = Some(target.to_owned());
        self
    }

    /// Binds the exchange to the channel that it runs inside.
    #[must_use]
    pub fn with_bindings(mut self, bindings: ChannelBindings) -> Self {
        self.bindings = Some(bindings);
        self
    }

    /// How it authenticates.
    #[must_use]
    pub const fn auth(&self) -> Auth {
        self.auth
    }

    /// Begins an exchange with a target, independent of what carries its tokens. `sealed` asks for encryption, `dce` for the legs that
    /// DCE/RPC needs.
    ///
    /// # Errors
    /// [`Denied`] where there are no credentials for it.
    pub fn begin(
        &self,
        target: &str,
        sealed: bool,
        dce: bool,
    ) -> Result<Box<dyn Handshake>, Denied> {
        let level = match sealed {
            true => AuthLevel::PRIVACY,
            false => AuthLevel::INTEGRITY,
        };
        self.begin_at(target, level, dce)
    }

    fn begin_at(
        &self,
        target: &str,
        level: AuthLevel,
        dce: bool,
    ) -> Result<Box<dyn Handshake>, Denied> {
        let target = self.target.as_deref().unwrap_or(target);
        match self.auth {
            Auth::Ntlm => self.one(Mechanism::Ntlm, target, level, dce),
            Auth::Kerberos => self.one(Mechanism::Kerberos, target, level, dce),
            Auth::Spnego => {
                let offer = |mechanism: &Mechanism| {
                    let (all, target, mechanism) = (self.clone(), target.to_owned(), *mechanism);
                    let begin = Box::new(move || all.one(mechanism, &target, level, dce));
                    Offer { mechanism, begin }
                };
                let offers = self.mechanisms.iter().map(offer).collect();
                Ok(Box::new(spnego::Initiator::new(offers)))
            }
        }
    }

    fn one(
        &self,
        mechanism: Mechanism,
        target: &str,
        level: AuthLevel,
        dce: bool,
    ) -> Result<Box<dyn Handshake>, Denied> {
        match mechanism {
            Mechanism::Ntlm => {
                let config = self.ntlm.clone();
                let mut config = config.ok_or_else(|| Denied::new("no user for NTLM"))?;
                config.seal = level == AuthLevel::PRIVACY;
                // Where signatures were agreed on, Samba's server wants to send them, and at a level without them sends nothing.
                // req: dce-ntlm-connect
                config.sign &= level.is_per_packet();
                config.bindings = config.bindings.or_else(|| self.bindings.clone());
                if config.target.is_none() && !target.is_empty() {
                    config.target = Some(target.to_owned());
                }
                Ok(Box::new(Client::new(config)))
            }
            Mechanism::Kerberos => self.kerberos_to(target, level, dce),
        }
    }

    #[cfg(feature = "kerberos")]
    fn kerberos_to(
        &self,
        target: &str,
        level: AuthLevel,
        dce: bool,
    ) -> Result<Box<dyn Handshake>, Denied> {
        let identity = self.kerberos.clone();
        let identity = identity.ok_or_else(|| Denied::new("no identity for Kerberos"))?;
        let bindings = self.bindings.clone();
        let initiator = kerberos::Initiator::new(identity, target, dce, bindings);
        Ok(Box::new(initiator.for_level(level)))
    }

    #[cfg(not(feature = "kerberos"))]
    #[allow(clippy::unused_self)]
    fn kerberos_to(
        &self,
        _target: &str,
        _level: AuthLevel,
        _dce: bool,
    ) -> Result<Box<dyn Handshake>, Denied> {
        Err(Denied::package("Kerberos is not built in"))
    }
}

impl Initiator for Credentials {
    fn auth_type(&self) -> AuthType {
        self.auth.auth_type()
    }

    fn initiate(&self, target: &str, level: AuthLevel) -> Result<Box<dyn Exchange>, Denied> {
        let handshake = self.begin_at(target, level, true)?;
        Ok(Box::new(AtLevel::new(handshake, level)))
    }

    fn initiate_elsewhere(
        &self,
        target: &str,
        channel: Option<&[u8]>,
    ) -> Result<Box<dyn Exchange>, Denied> {
        let mut bound = self.clone();
        if let Some(data) = channel {
            bound.bindings = Some(ChannelBindings::new(data.to_vec()));
        }
        let handshake = bound.begin(target, false, false)?;
        Ok(Box::new(AtLevel::new(handshake, AuthLevel::CONNECT)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ntlm::Flags;

    /// MS-NLMP section 2.2.1.1: the flags stand behind the signature and the type.
    #[test]
    fn a_level_asks_ntlm_for_what_it_uses() {
        let config = ClientConfig::new("bob", "DOM", &Password::from("hunter2"));
        for (level, sign, seal) in [
            (AuthLevel::CONNECT, false, false),
            (AuthLevel::PKT, true, false),
            (AuthLevel::INTEGRITY, true, false),
            (AuthLevel::PRIVACY, true, true),
        ] {
            for credentials in [
                Credentials::of_ntlm(config.clone()),
                Credentials::spnego().or_ntlm(config.clone()),
            ] {
                let step = credentials.initiate("host/x", level).unwrap().step(&[]);
                let farcall_dce::security::Step::Continue(token) = step.unwrap() else {
                    unreachable!("a first token");
                };
                let begins = |at: &[u8]| at.starts_with(b"NTLMSSP\0");
                let at = token.windows(8).position(begins).unwrap();
                let flags = token.get(at + 12..at + 16).unwrap();
                let flags = Flags(u32::from_le_bytes(flags.try_into().unwrap()));
                assert_eq!(
                    (flags.has(Flags::SIGN), flags.has(Flags::SEAL)),
                    (sign, seal)
                );
            }
        }
    }

    #[test]
    fn words_of_the_command_line_are_read() {
        for (word, auth) in [
            ("ntlm", Auth::Ntlm),
            ("spnego", Auth::Spnego),
            ("krb5", Auth::Kerberos),
        ] {
            assert_eq!(word.parse::<Auth>().unwrap(), auth);
            assert_eq!(auth.to_string(), word);
        }
        for (word, number) in [
            ("connect", 2),
            ("call", 3),
            ("packet", 4),
            ("integrity", 5),
            ("privacy", 6),
        ] {
            assert_eq!(level(word).unwrap(), AuthLevel(number));
        }
        assert_eq!(
            "basic".parse::<Auth>().unwrap_err().to_string(),
            "\"basic\" is none of ntlm, spnego, krb5"
        );
        level("none").unwrap_err();
    }

    #[test]
    fn an_exchange_that_http_carries_begins_like_any_other() {
        let credentials = Credentials::ntlm("bob", "DOM", &Password::from("hunter2"));
        let mut exchange = credentials
            .initiate_elsewhere("HTTP/proxy.example", Some(b"tls-server-end-point:hash"))
            .unwrap();
        let step = exchange.step(&[]).unwrap();
        let begins = |token: &[u8]| token.starts_with(b"NTLMSSP\0");
        assert!(matches!(step, farcall_dce::security::Step::Continue(token) if begins(&token)));
    }

    #[test]
    fn credentials_show_no_secret() {
        let shown = format!(
            "{:?}",
            Credentials::ntlm("bob", "DOM", &Password::from("hunter2"))
        );
        assert!(shown.contains("bob") && !shown.contains("hunter2"));
        assert!(shown.contains("Key(..)"));
    }
}
