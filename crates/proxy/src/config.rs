//! `proxy.toml`: what a proxy listens on, whom it believes, what it reaches, and what it writes down.
//!
//! A file is read strictly: an unknown key is an error, and every error names file, line and key and says what would be
//! right. What is read here is what stands in the file, with defaults filled in; that names agree with each other is
//! checked when the policy is made of it, and that files exist by the check. The guide's page on the proxy
//! explains each key.

pub mod place;
pub mod value;
pub mod listen;
pub mod rule;
mod paths;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

pub use listen::{Authentication, ChannelBinding, Fronts, Listener, Roles, Tls};
pub use place::{Fault, Faults, Place, Source};
pub use rule::{Action, Mode, Rule};
use value::{Network, PeerAt, Ports};

/// Largest file that is read, in bytes.
pub const MAX_FILE: u64 = 4 * 1024 * 1024;

/// A whole `proxy.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where clients come in: `[[listen]]`.
    #[serde(default, rename = "listen")]
    pub listeners: Vec<Listener>,
    /// What can be reached: `[[target]]`. Nothing else is.
    #[serde(default, rename = "target")]
    pub targets: Vec<Target>,
    /// Who is in which group: `[groups]`, a name and a list of `DOMAIN\user`.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<Spanned<String>>>,
    /// How rules are read: `[policy]`.
    #[serde(default)]
    pub policy: Policy,
    /// Who may do what: `[[rule]]`, the first that matches decides, and what none allows is denied.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
    /// Times and amounts: `[limits]`.
    #[serde(default)]
    pub limits: Limits,
    /// What happens to who guesses passwords: `[lockout]`.
    #[serde(default)]
    pub lockout: Lockout,
    /// The audit log: `[audit]`.
    #[serde(default)]
    pub audit: Audit,
    /// Metrics and status for machines and people inside: `[metrics]`. Without it there are none.
    #[serde(default)]
    pub metrics: Option<Metrics>,
    /// Other proxies of the same farm: `[peers]`. Without it, a client's IN channel is recycled by this one alone.
    #[serde(default)]
    pub peers: Option<Peers>,
    /// A capture of the RPC inside: `[tap]`. Without it there is none.
    #[serde(default)]
    pub tap: Option<Tap>,
}

/// A server that clients can be let to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Target {
    /// What rules and logs call it.
    pub name: Spanned<String>,
    /// The names and addresses by which clients may ask for it, each in its one canonical spelling; IPv6 in brackets.
    pub hosts: Vec<Spanned<String>>,
    /// The ports that clients may ask for. RPC over HTTP's endpoint mapper has 593.
    pub ports: Vec<Ports>,
    /// Where it is: addresses, or names that are resolved once, when the file is loaded. Default: the first of `hosts`.
    #[serde(default)]
    pub addresses: Vec<Spanned<String>>,
    /// What its addresses must lie in, whatever a name resolves to. Default: anywhere but loopback, link-local and metadata
    /// addresses, which only an address that is written out in `addresses` or `hosts` reaches.
    #[serde(default)]
    pub networks: Vec<Network>,
    /// Publish an ordinary server: the string binding under which it is reached, such as `ncacn_ip_tcp:10.0.0.5[135]`.
    /// Without an endpoint in it, the port that the client asked for.
    #[serde(default)]
    pub bridge: Option<Spanned<String>>,
    /// Why this server need not say `ncacn_http/1.0` before a byte is forwarded to it. Default: it must.
    #[serde(default, deserialize_with = "value::some_reason")]
    pub waive_banner: Option<String>,
}

/// How rules are read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Policy {
    /// Whether denials are carried out, or only recorded. Default: carried out.
    pub mode: Mode,
    /// Whether the pack of rules against coercion and theft of credentials stands first. Default: on.
    pub deny_pack: Switch,
    /// Tables of names of interfaces and operations, as `farcall gen --names` writes them.
    pub names: Vec<PathBuf>,
    /// The time zone of `hours`, such as `Europe/Berlin`. Default: this machine's.
    pub zone: Option<Spanned<String>>,
}

/// Something that is on or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// It is on.
    #[default]
    On,
    /// It is off.
    Off,
}

/// Times and amounts. Every wait ends, and every queue has a bound.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// From a connection to the end of its request's head. Default 10 s.
    #[serde(deserialize_with = "value::some_duration")]
    pub header: Duration,
    /// From a request to its first RTS PDU. Default 15 s.
    #[serde(deserialize_with = "value::some_duration")]
    pub first_rts: Duration,
    /// From one channel of a virtual connection to the other. Default 30 s.
    #[serde(deserialize_with = "value::some_duration")]
    pub pairing: Duration,
    /// Reaching a target. Default 10 s.
    #[serde(deserialize_with = "value::some_duration")]
    pub connect: Duration,
    /// Silence, pings included, after which a channel is closed. Default 300 s.
    #[serde(deserialize_with = "value::some_duration")]
    pub idle: Duration,
    /// The connection time-out that clients are told: each end pings after half of it. 120 s to 4 h, default 120 s.
    #[serde(deserialize_with = "value::some_duration")]
    pub connection_timeout: Duration,
    /// How long a drain waits before it ends what is left. Default 30 s.
    #[serde(deserialize_with = "value::duration")]
    pub drain: Duration,
    /// Connections from outside at a time. Default 20,000.
    pub connections: usize,
    /// Virtual connections at a time. Default 10,000.
    pub virtual_connections: usize,
    /// Virtual connections at a time of one user. Default 64.
    pub per_user: usize,
    /// Connections at a time from one source: an address, of IPv6 64 bits of it. Default 256.
    pub per_source: usize,
    /// Bytes that may wait in one direction of a virtual connection. Default 1 MiB.
    #[serde(deserialize_with = "value::bytes")]
    pub queue: usize,
    /// The window that peers are told, in bytes. 8 KiB to 256 KiB, default 256 KiB.
    #[serde(deserialize_with = "value::bytes")]
    pub window: usize,
    /// The lifetime that channels are told, in bytes. 128 KiB to 2 GiB, default 1 GiB.
    #[serde(deserialize_with = "value::bytes")]
    pub lifetime: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            header: seconds(10),
            first_rts: seconds(15),
            pairing: seconds(30),
            connect: seconds(10),
            idle: seconds(300),
            connection_timeout: seconds(120),
            drain: seconds(30),
            connections: 20_000,
            virtual_connections: 10_000,
            per_user: 64,
            per_source: 256,
            queue: 1 << 20,
            window: 256 << 10,
            lifetime: 1 << 30,
        }
    }
}

/// What happens to who guesses passwords.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Lockout {
    /// Wrong passwords of one account within `window` before it is refused for `ban`. Default 10.
    pub per_account: u32,
    /// Wrong passwords from one source within `window` before it is refused for `ban`. Default 50.
    pub per_source: u32,
    /// How long a wrong password counts. Default 15 min.
    #[serde(deserialize_with = "value::some_duration")]
    pub window: Duration,
    /// How long who is locked out is refused. Default 15 min.
    #[serde(deserialize_with = "value::some_duration")]
    pub ban: Duration,
}

impl Default for Lockout {
    fn default() -> Self {
        let quarter = Duration::from_secs(15 * 60);
        Self {
            per_account: 10,
            per_source: 50,
            window: quarter,
            ban: quarter,
        }
    }
}

/// Which calls the audit log has. Connections and denials it has always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calls {
    /// Those that were denied, or would have been.
    #[default]
    Denied,
    /// All of them.
    All,
}

/// The audit log.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Audit {
    /// The file that lines are appended to; made if need be. Default: standard output.
    pub file: Option<PathBuf>,
    /// Which calls it has. Default: those that were denied.
    pub calls: Calls,
}

/// Metrics and status.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metrics {
    /// Where `/metrics` and `/status` are served, in clear text and without authentication: an address inside.
    pub listen: Spanned<SocketAddr>,
}

/// Other proxies of the same farm, which take over clients' inbound channels from this one, and it from them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Peers {
    /// Where the others ask this one: an address inside, or the path of a socket.
    pub listen: Spanned<PeerAt>,
    /// Where this one asks the others.
    pub others: Vec<PeerAt>,
    /// A file with the secret that all of them have, and nobody else can read: 32 bytes at least.
    pub secret: PathBuf,
}

/// What a capture leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redact {
    /// Arguments and results, authentication tokens, and cookies of channels: what is left are headers.
    #[default]
    Stubs,
    /// Authentication tokens and cookies of channels. Arguments and results are written.
    Tokens,
}

/// A capture of the RPC inside, without TLS and HTTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tap {
    /// The capture file (pcap); made new at each start.
    pub file: PathBuf,
    /// Why traffic is captured.
    #[serde(deserialize_with = "value::reason")]
    pub reason: String,
    /// What is left out. Default: arguments, results, tokens and cookies.
    #[serde(default)]
    pub redact: Redact,
    /// Only connections to these targets. Default: to all.
    #[serde(default)]
    pub targets: Vec<Spanned<String>>,
    /// Only connections of these users. Default: of all.
    #[serde(default)]
    pub users: Vec<String>,
    /// Largest file, in bytes; then the capture ends. Default 64 MiB.
    #[serde(default = "tap_size", deserialize_with = "value::bytes")]
    pub size: usize,
}

const fn tap_size() -> usize {
    64 << 20
}

impl Config {
    /// Reads a file. Paths in it are relative to the folder that it lies in.
    ///
    /// # Errors
    /// [`Faults`] with the first place at which the file is not what it should be, or why it cannot be read.
    pub fn load(file: &Path) -> Result<(Self, Source), Faults> {
        let text = read(file).map_err(|error| {
            let source = Source::new(file, "");
            Faults(vec![source.fault(0..0, error.to_string())])
        })?;
        let (mut config, source) = Self::parse(file, &text)?;
        if let Some(folder) = file.parent() {
            paths::below(&mut config, folder);
        }
        Ok((config, source))
    }

    /// Reads the text of a file; `file` is what errors call it.
    ///
    /// # Errors
    /// [`Faults`] with the first place at which it is not what it should be.
    pub fn parse(file: &Path, text: &str) -> Result<(Self, Source), Faults> {
        let source = Source::new(file, text);
        match toml::from_str(text) {
            Ok(config) => Ok((config, source)),
            Err(error) => Err(Faults(vec![source.parser(&error)])),
        }
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    let len = std::fs::metadata(file)?.len();
    if len > MAX_FILE {
        let what = format!("file of {len} bytes, limit {MAX_FILE}");
        return Err(std::io::Error::other(what));
    }
    std::fs::read_to_string(file)
}

#[cfg(test)]
mod tests;
