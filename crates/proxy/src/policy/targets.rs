//! What can be reached: targets, each pinned to its addresses.
//!
//! A name is resolved once, when the file is loaded, and a connection goes to an address from then; a name that comes to mean
//! something else later means nothing here. Loopback, link-local, multicast and unspecified addresses, and those at which clouds keep
//! their machines' secrets, are reached only if the file has the address itself, not by a name that resolves to it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use farcall_dce::binding::{Protseq, StringBinding};

use crate::config::place::{Fault, Faults, Source};
use crate::config::value::Ports;
use crate::config::{self, Config};
use crate::target::{Host, Target};

/// Addresses one name may have; what is beyond is not used.
const MAX_ADDRESSES: usize = 16;

/// A target and where it is.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// What rules and logs call it.
    pub name: String,
    /// The ports that clients may ask for.
    pub ports: Vec<Ports>,
    /// Where it is, in the order in which it is tried; empty if it is a bridge to a server of this machine.
    pub addresses: Vec<IpAddr>,
    /// The server to bridge to, if it is no server of RPC over HTTP.
    pub bridge: Option<StringBinding>,
    /// Whether the server must say `ncacn_http/1.0` first. Never for a bridge.
    pub banner: bool,
}

/// Why a target is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No target has this host.
    #[error("no target has this host")]
    Host,
    /// The target has this host, but not this port.
    #[error("the target does not have this port")]
    Port,
}

/// All targets.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    pinned: Vec<Pinned>,
    hosts: BTreeMap<Host, usize>,
}

/// Why an address is reached only if it is written out, or `None` if it is an ordinary one.
#[must_use]
pub fn special(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(it) => special_v4(it),
        IpAddr::V6(it) => special_v6(it),
    }
}

fn special_v4(it: Ipv4Addr) -> Option<&'static str> {
    /// Where clouds other than those with 169.254.169.254 answer their own machines.
    const METADATA: [Ipv4Addr; 3] = [
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(168, 63, 129, 16),
        Ipv4Addr::new(192, 0, 0, 192),
    ];
    if METADATA.contains(&it) {
        return Some("a cloud's metadata address");
    }
    match it.octets() {
        [0, ..] => Some("an unspecified address"),
        [127, ..] => Some("a loopback address"),
        [169, 254, 169, 254] => Some("a cloud's metadata address"),
        [169, 254, ..] => Some("a link-local address"),
        [224..=255, ..] => Some("no address of one machine"),
        _ => None,
    }
}

fn special_v6(it: Ipv6Addr) -> Option<&'static str> {
    if it.is_unspecified() {
        return Some("an unspecified address");
    }
    if it.is_loopback() {
        return Some("a loopback address");
    }
    if it.is_unicast_link_local() {
        return Some("a link-local address");
    }
    if it.is_multicast() {
        return Some("no address of one machine");
    }
    match it.segments() {
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] => Some("a cloud's metadata address"),
        // Addresses that hold an IPv4 address: as such, translated (RFC 6052), and 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            special_v4(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

impl Targets {
    /// Pins the targets of a configuration; `resolve` says which addresses a name has.
    ///
    /// # Errors
    /// [`Faults`]: a name that does not resolve, an address that is not to be reached, a host of two targets.
    pub fn pin(
        config: &Config,
        source: &Source,
        resolve: &mut dyn FnMut(&str) -> std::io::Result<Vec<IpAddr>>,
    ) -> Result<Self, Faults> {
        let mut this = Self::default();
        let mut faults = Vec::new();
        for target in &config.targets {
            if let Err(fault) = this.add(target, source, resolve) {
                faults.push(fault);
            }
        }
        match faults.is_empty() {
            true => Ok(this),
            false => Err(Faults(faults)),
        }
    }

    /// The target that a client asks for.
    ///
    /// # Errors
    /// [`Refused`]: there is none.
    pub fn find(&self, asked: &Target) -> Result<&Pinned, Refused> {
        let at = self.hosts.get(&asked.host).ok_or(Refused::Host)?;
        let pinned = self.pinned.get(*at).ok_or(Refused::Host)?;
        match pinned.ports.iter().any(|ports| ports.hold(asked.port)) {
            true => Ok(pinned),
            false => Err(Refused::Port),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Pinned> {
        self.pinned.iter()
    }

    /// The name of the target that has a host.
    fn owner(&self, host: &Host) -> Option<&String> {
        let at = self.hosts.get(host)?;
        self.pinned.get(*at).map(|it| &it.name)
    }

    fn add(
        &mut self,
        target: &config::Target,
        source: &Source,
        resolve: &mut dyn FnMut(&str) -> std::io::Result<Vec<IpAddr>>,
    ) -> Result<(), Fault> {
        let name = target.name.get_ref();
        if self.pinned.iter().any(|it| it.name == *name) {
            let what = format!("a second target {name:?}, expected a name of its own");
            return Err(source.fault(target.name.span(), what));
        }
        let bridge = target
            .bridge
            .as_ref()
            .map(|it| read_bridge(it, source))
            .transpose()?;
        let mut hosts = Vec::new();
        for host in &target.hosts {
            let wrong = |what: &dyn std::fmt::Display| {
                let fault = source.fault(
                    host.span(),
                    format!("{:?} is no host: {what}", host.get_ref()),
                );
                fault.hint("a DNS or NetBIOS name, an IPv4 address as four decimal numbers, or an IPv6 address in brackets")
            };
            let read: Host = host.get_ref().parse().map_err(|error| wrong(&error))?;
            let has = match hosts.contains(&read) {
                true => Some(name),
                false => self.owner(&read),
            };
            if let Some(has) = has {
                let what = format!("a second host {:?}: target {has:?} has it", host.get_ref());
                return Err(source.fault(host.span(), what));
            }
            hosts.push(read);
        }
        let addresses = addresses(target, bridge.as_ref(), source, resolve)?;
        let at = self.pinned.len();
        self.hosts.extend(hosts.into_iter().map(|host| (host, at)));
        self.pinned.push(Pinned {
            name: name.clone(),
            ports: target.ports.clone(),
            addresses,
            banner: bridge.is_none() && target.waive_banner.is_none(),
            bridge,
        });
        Ok(())
    }
}

fn read_bridge(text: &toml::Spanned<String>, source: &Source) -> Result<StringBinding, Fault> {
    let wrong = |what: String| {
        let fault = source.fault(text.span(), what);
        fault.hint("a string binding such as \"ncacn_ip_tcp:10.0.0.5[135]\" or \"ncalrpc:[name]\"")
    };
    let binding: StringBinding = text
        .get_ref()
        .parse()
        .map_err(|error| wrong(format!("{error}")))?;
    match binding.protseq {
        Protseq::Tcp | Protseq::Local | Protseq::Unix => Ok(binding),
        _ => Err(wrong(format!("{:?} cannot be bridged to", text.get_ref()))),
    }
}

/// Where a target is.
fn addresses(
    target: &config::Target,
    bridge: Option<&StringBinding>,
    source: &Source,
    resolve: &mut dyn FnMut(&str) -> std::io::Result<Vec<IpAddr>>,
) -> Result<Vec<IpAddr>, Fault> {
    let written: Vec<(String, Range<usize>)> = match (&target.addresses[..], bridge) {
        (
            _,
            Some(StringBinding {
                protseq: Protseq::Local | Protseq::Unix,
                ..
            }),
        ) => return Ok(Vec::new()),
        ([], Some(bridge)) => {
            let span = target.bridge.as_ref().map_or(0..0, toml::Spanned::span);
            vec![(bridge.address.clone(), span)]
        }
        ([], None) => {
            let host = target.hosts.first();
            let host = host.map(|it| (it.get_ref().clone(), it.span()));
            vec![host.ok_or_else(|| source.fault(target.name.span(), "a target without hosts"))?]
        }
        (written, _) => written
            .iter()
            .map(|it| (it.get_ref().clone(), it.span()))
            .collect(),
    };
    let mut found = Vec::new();
    for (text, span) in written {
        let bare = text
            .strip_prefix('[')
            .and_then(|it| it.strip_suffix(']'))
            .unwrap_or(&text);
        let literal = bare.parse::<IpAddr>().ok();
        let all = match literal {
            Some(address) => vec![address],
            None => resolve(bare).map_err(|error| {
                source.fault(span.clone(), format!("{text:?} does not resolve: {error}"))
            })?,
        };
        if all.is_empty() {
            return Err(source.fault(span, format!("{text:?} has no address")));
        }
        for address in all.into_iter().take(MAX_ADDRESSES) {
            let address = address.to_canonical();
            may_be(address, literal.is_some(), target)
                .map_err(|what| source.fault(span.clone(), format!("{text:?}: {what}")))?;
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    Ok(found)
}

fn may_be(address: IpAddr, literal: bool, target: &config::Target) -> Result<(), String> {
    if let Some(what) = special(address)
        && !literal
    {
        return Err(format!(
            "it resolves to {address}, {what}, which is reached only if the file has the address itself"
        ));
    }
    let networks = &target.networks;
    if !networks.is_empty() && !networks.iter().any(|net| net.holds(address)) {
        return Err(format!("{address} lies in none of the target's networks"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn pin(text: &str) -> Result<Targets, String> {
        let (config, source) = Config::parse(Path::new("p"), text).expect("a configuration");
        let mut resolve = |name: &str| match name {
            "files.example" => Ok(vec![
                "10.0.0.5".parse().expect("address"),
                "2001:db8::5".parse().expect("address"),
            ]),
            "evil.example" => Ok(vec!["::ffff:169.254.169.254".parse().expect("address")]),
            "none.example" => Ok(Vec::new()),
            _ => Err(std::io::Error::other("no such name")),
        };
        Targets::pin(&config, &source, &mut resolve).map_err(|faults| faults.to_string())
    }

    fn target(rest: &str) -> String {
        format!("[[target]]\nname = \"a\"\nports = [593, \"6001-6004\"]\n{rest}\n")
    }

    fn found<'a>(targets: &'a Targets, asked: &str) -> Result<&'a str, Refused> {
        let asked = asked.parse().expect("a target");
        targets.find(&asked).map(|it| it.name.as_str())
    }

    #[test]
    fn a_name_is_resolved_once_and_found_by_each_of_its_hosts() {
        let targets = pin(&target(
            "hosts = [\"files.example\", \"FILES\", \"10.0.0.5\"]",
        ))
        .expect("targets");
        let pinned = targets.iter().next().expect("one");
        assert_eq!(pinned.addresses.len(), 2);
        assert!(pinned.banner && pinned.bridge.is_none());
        for asked in [
            "files.example:593",
            "Files:6002",
            "10.0.0.5:593",
            "[::ffff:10.0.0.5]:593",
        ] {
            assert_eq!(found(&targets, asked), Ok("a"), "{asked}");
        }
        assert_eq!(found(&targets, "files:594"), Err(Refused::Port));
        assert_eq!(found(&targets, "other:593"), Err(Refused::Host));
        // Its other address was not named as a host.
        assert_eq!(found(&targets, "[2001:db8::5]:593"), Err(Refused::Host));
    }

    #[test]
    fn a_special_address_is_reached_only_if_it_is_written_out() {
        let error = pin(&target("hosts = [\"evil.example\"]")).expect_err("metadata");
        assert!(
            error.contains("169.254.169.254, a cloud's metadata address"),
            "{error}"
        );
        let targets =
            pin(&target("hosts = [\"here\"]\naddresses = [\"127.0.0.1\"]")).expect("targets");
        assert_eq!(found(&targets, "here:593"), Ok("a"));
        assert_eq!(found(&targets, "127.0.0.1:593"), Err(Refused::Host));
    }

    #[test]
    fn special_addresses_are_known_in_every_disguise() {
        for text in [
            "127.0.0.1",
            "127.255.0.3",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.1.1",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "fd00:ec2::254",
        ] {
            assert!(special(text.parse().expect(text)).is_some(), "{text}");
        }
        for text in [
            "10.0.0.1",
            "192.168.1.1",
            "8.8.8.8",
            "2001:db8::1",
            "fd12::1",
            "64:ff9b::808:808",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(special(text.parse().expect(text)), None, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_target_is_said_where_it_stands() {
        for (rest, expected) in [
            (
                "hosts = [\"0x7f.1\"]",
                "p:4:10: target \"a\".hosts: \"0x7f.1\" is no host",
            ),
            (
                "hosts = [\"b\", \"B\"]",
                "p:4:15: target \"a\".hosts: a second host \"B\": target \"a\" has it",
            ),
            ("hosts = []", "a target without hosts"),
            (
                "hosts = [\"gone.example\"]",
                "\"gone.example\" does not resolve: no such name",
            ),
            ("hosts = [\"none.example\"]", "has no address"),
            (
                "hosts = [\"files.example\"]\nnetworks = [\"10.0.0.0/8\"]",
                "2001:db8::5 lies in none of the target's networks",
            ),
            (
                "hosts = [\"b\"]\nbridge = \"ncacn_http:x[1]\"",
                "cannot be bridged to",
            ),
            ("hosts = [\"b\"]\nbridge = \"x\"", "hint: a string binding"),
        ] {
            let error = pin(&target(rest)).expect_err(rest);
            assert!(error.contains(expected), "{rest}\n gave {error}");
        }
        let twice = target("hosts = [\"10.0.0.1\"]") + &target("hosts = [\"10.0.0.2\"]");
        assert!(pin(&twice).expect_err("twice").contains("a second target"));
        let first = target("hosts = [\"10.0.0.1\"]");
        let other = first.replace("\"a\"", "\"b\"");
        let error = pin(&(first + &other)).expect_err("two targets of one host");
        let expected = "target \"b\".hosts: a second host \"10.0.0.1\": target \"a\" has it";
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_bridge_says_where_it_is() {
        let targets = pin(&target(
            "hosts = [\"b\"]\nbridge = \"ncacn_ip_tcp:10.0.0.9[135]\"",
        ))
        .expect("targets");
        let pinned = targets.iter().next().expect("one");
        assert_eq!(
            pinned.addresses,
            ["10.0.0.9".parse::<IpAddr>().expect("address")]
        );
        assert!(!pinned.banner && pinned.bridge.is_some());
        let targets = pin(&target("hosts = [\"b\"]\nbridge = \"ncalrpc:[x]\"")).expect("targets");
        assert!(targets.iter().next().expect("one").addresses.is_empty());
    }
}
