//! `[[listen]]`: where clients come in, with which TLS, and how they say who they are.
//!
//! Each listener has its own certificates and its own ways to authenticate. Nothing is on that is not written here.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::value::{self, ListenAt, Network};

/// One place where clients come in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Listener {
    /// What rules and logs call it.
    pub name: Spanned<String>,
    /// Where: `https://ADDRESS:PORT`, or `http://` for a laboratory or behind a proxy that does TLS.
    pub endpoint: Spanned<ListenAt>,
    /// Which of the two proxies it is. Default: both.
    #[serde(default)]
    pub roles: Roles,
    /// Certificates. An `https` endpoint must have them.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// How clients say who they are. Without any of them nobody gets in.
    #[serde(default)]
    pub authentication: Authentication,
    /// The proxies in front of this one whose word on the client's address is taken.
    #[serde(default)]
    pub front: Option<Fronts>,
}

/// Which of the two proxies a listener is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Roles {
    /// The in-proxy and the out-proxy.
    #[default]
    Both,
    /// The in-proxy alone: what clients send.
    In,
    /// The out-proxy alone: what clients receive.
    Out,
}

/// Lowest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2, for older clients.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V13,
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certificates {
    /// They are not asked for one.
    #[default]
    Off,
    /// They may.
    Optional,
    /// They must.
    Required,
}

/// Certificates of a listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// The certificate with its chain (PEM). Read again when it changes, and on SIGHUP.
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// Lowest version that is spoken. Default: 1.2.
    #[serde(default)]
    pub minimum: TlsVersion,
    /// Other certificates for clients that ask for one of these names.
    #[serde(default)]
    pub sni: Vec<Sni>,
    /// Whether clients show a certificate. Default: off.
    #[serde(default)]
    pub client_certificates: Certificates,
    /// Who may issue clients' certificates (PEM).
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Which of them are revoked (PEM).
    #[serde(default)]
    pub client_crl: Vec<PathBuf>,
}

/// A certificate for clients that ask for a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sni {
    /// The names.
    pub names: Vec<String>,
    /// The certificate with its chain (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
}

/// How clients say who they are. Several may be on at once; a client chooses.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Authentication {
    /// Name and password in every request (RFC 7617).
    pub basic: Option<Basic>,
    /// NTLM in HTTP.
    pub ntlm: Option<Ntlm>,
    /// Negotiate: NTLM or Kerberos (RFC 4559).
    pub negotiate: Option<Negotiate>,
    /// The certificate that the client showed in TLS.
    pub certificate: Option<CertificateName>,
    /// Signed tokens (RFC 6750, RFC 7519).
    pub bearer: Option<Bearer>,
    /// Nobody says who they are.
    pub anonymous: Option<Anonymous>,
    /// The groups that this machine's database of users has for accounts of Basic, NTLM and Kerberos count in rules, too: an account of a domain is
    /// looked up as `DOMAIN\\name`, as winbind has it. Default: no.
    pub system_groups: bool,
}

/// Where Basic looks names up.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Basic {
    /// A file of names and password hashes: argon2 or bcrypt, as `htpasswd -B` writes them.
    #[serde(default)]
    pub users: Option<PathBuf>,
    /// Samba's `ntlm_auth`, for accounts of a domain.
    #[serde(default)]
    pub helper: Option<Helper>,
    /// What clients are told that they log in to. Default: `RPC`.
    #[serde(default = "realm")]
    pub realm: String,
}

fn realm() -> String {
    "RPC".to_owned()
}

/// Whether authentication is bound to the TLS connection it came over (RFC 5929; Windows: extended protection).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelBinding {
    /// It is not looked at.
    Off,
    /// It must be right where the client has one.
    Allow,
    /// The client must have one: a stolen exchange is worth nothing elsewhere.
    #[default]
    Require,
}

/// Where NTLM looks names up.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ntlm {
    /// A file of users, as `farcall user` writes it.
    #[serde(default)]
    pub users: Option<PathBuf>,
    /// Samba's `ntlm_auth`, for accounts of a domain.
    #[serde(default)]
    pub helper: Option<Helper>,
    /// Default: required.
    #[serde(default)]
    pub channel_binding: ChannelBinding,
    /// The computer's name that clients are told before they are known. Default: `RPC`, which says nothing.
    #[serde(default = "realm")]
    pub computer: String,
    /// The domain's name that they are told. Default: the same.
    #[serde(default = "realm")]
    pub domain: String,
}

/// What Negotiate takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Negotiate {
    /// NTLM inside, with these accounts. Default: none.
    #[serde(default)]
    pub ntlm: Option<Ntlm>,
    /// Kerberos inside, with this keytab. Default: none.
    #[serde(default)]
    pub keytab: Option<PathBuf>,
    /// Default: required.
    #[serde(default)]
    pub channel_binding: ChannelBinding,
}

/// A program that knows a domain's accounts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Helper {
    /// The program. Default: `/usr/bin/ntlm_auth`.
    #[serde(default = "ntlm_auth")]
    pub program: PathBuf,
    /// Its arguments in place of the usual ones.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// How many run at a time. Default 4.
    #[serde(default = "four")]
    pub processes: usize,
}

fn ntlm_auth() -> PathBuf {
    PathBuf::from("/usr/bin/ntlm_auth")
}

const fn four() -> usize {
    4
}

/// Which field of a certificate is its user's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameField {
    /// The whole subject (RFC 4514).
    #[default]
    Subject,
    /// The subject's common name.
    CommonName,
    /// The first DNS name.
    Dns,
    /// The first mail address.
    Mail,
    /// Windows' user principal name.
    Upn,
}

/// Who the owner of a certificate is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CertificateName {
    /// The field that is the name. Default: the subject.
    pub name: NameField,
    /// Whether the subject's organisational units are groups. Default: no.
    pub groups_from_units: bool,
}

/// Which tokens are taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bearer {
    /// The issuer's public keys: a JSON Web Key Set.
    pub keys: PathBuf,
    /// Who must have issued a token (`iss`).
    pub issuer: String,
    /// Whom it must be for (`aud`).
    pub audience: String,
    /// How far clocks may differ. Default 60 s.
    #[serde(default = "minute", deserialize_with = "value::duration")]
    pub skew: Duration,
    /// The claim that is the user's name. Default: `sub`.
    #[serde(default = "sub")]
    pub name_claim: String,
    /// The claim that lists groups. Default: `groups`.
    #[serde(default = "groups")]
    pub groups_claim: String,
}

const fn minute() -> Duration {
    Duration::from_secs(60)
}

fn sub() -> String {
    "sub".to_owned()
}

fn groups() -> String {
    "groups".to_owned()
}

/// Nobody says who they are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Anonymous {
    /// Why this is right here.
    #[serde(deserialize_with = "value::reason")]
    pub reason: String,
}

/// The proxies in front of this one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fronts {
    /// Their networks. From anywhere else their words count for nothing.
    pub trusted: Vec<Network>,
    /// They begin each connection with PROXY protocol, version 2. Default: no.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// They say the client's address in `X-Forwarded-For`. Default: no.
    #[serde(default)]
    pub forwarded: bool,
    /// With `forwarded`: each client has a connection of its own from the front to here (HAProxy: `http-reuse never`), so that NTLM and Negotiate,
    /// which prove a connection, prove one client. Default: no; then who a request is does not outlive it.
    #[serde(default)]
    pub own_connections: bool,
    /// They do TLS: their certificates (PEM), which channel bindings are checked against.
    #[serde(default)]
    pub certificates: Vec<PathBuf>,
}
