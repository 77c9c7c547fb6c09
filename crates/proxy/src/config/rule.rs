//! `[[rule]]`: who may do what, when and how often.
//!
//! Within a key any of its values will do; all keys of a rule must agree. A key that is not there asks nothing. What names
//! mean is found when the policy is made.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use toml::Spanned;

use super::value::{self, Hours, Level, Network, Rate};

/// What a rule does when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It lets it pass.
    Allow,
    /// It does not.
    Deny,
}

/// Whether a decision is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It is.
    #[default]
    Enforce,
    /// It is recorded. A rule that only records is passed over; a policy that only records denies nothing to its targets.
    Audit,
}

/// One rule.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// What logs call it.
    #[serde(default)]
    pub name: Option<Spanned<String>>,
    /// Instead of all else: the place of the pack of rules against coercion, `include = "deny-pack"`.
    #[serde(default)]
    pub include: Option<Spanned<String>>,
    /// What it does.
    #[serde(default)]
    pub action: Option<Action>,
    /// What the audit log says beside its name.
    #[serde(default, deserialize_with = "value::some_reason")]
    pub reason: Option<String>,
    /// Whether it is carried out. Default: it is.
    #[serde(default)]
    pub mode: Mode,

    /// Who: `DOMAIN\user`, `user@DOMAIN`, or `user` for an account of no domain; `*` stands for any text.
    #[serde(default)]
    pub users: Vec<Spanned<String>>,
    /// Who, by group.
    #[serde(default)]
    pub groups: Vec<Spanned<String>>,
    /// Who, by who vouches for them: a certificate's issuer, a token's `iss`; `*` stands for any text.
    #[serde(default)]
    pub issuers: Vec<Spanned<String>>,
    /// Who, by how they were authenticated: `basic`, `ntlm`, `kerberos`, `certificate`, `bearer`, `anonymous`.
    #[serde(default)]
    pub authentication: Vec<Spanned<String>>,
    /// Whence.
    #[serde(default)]
    pub sources: Vec<Network>,
    /// Through which listener.
    #[serde(default)]
    pub listeners: Vec<Spanned<String>>,

    /// To what: a target's name or one of its hosts, alone or with ports: `files:593`.
    #[serde(default)]
    pub targets: Vec<Spanned<String>>,
    /// Which interfaces: a name or a UUID, alone or with a version: `samr`, `samr v1.0`.
    #[serde(default)]
    pub interfaces: Vec<Spanned<String>>,
    /// Which operations: a name, `interface.name`, a number or a range of numbers; `*` at a name's end stands for any text.
    #[serde(default)]
    pub operations: Vec<Spanned<Operation>>,
    /// The lowest level of authentication that calls have in the RPC itself.
    #[serde(default)]
    pub minimum_level: Option<Spanned<Level>>,
    /// Only calls below this level, for rules that deny.
    #[serde(default)]
    pub below_level: Option<Spanned<Level>>,

    /// When: any of these.
    #[serde(default)]
    pub hours: Vec<Hours>,
    /// How often, for rules that allow; what is more is denied.
    #[serde(default)]
    pub rate: Option<Spanned<Rate>>,
}

/// An operation as a rule names it: a text or a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation(pub String);

struct Named;

impl Visitor<'_> for Named {
    type Value = Operation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an operation's name or number, or a range such as \"0-5\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Operation, E> {
        Ok(Operation(text.to_owned()))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Operation, E> {
        Ok(Operation(number.to_string()))
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Named)
    }
}
