//! Values as people write them: durations, sizes, networks, endpoints, ports, rates, hours, levels.
//!
//! Each has one spelling, and what cannot be read says what would be right. Nothing here looks anything up.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use farcall_dce::security::AuthLevel;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

/// What is wrong with a value, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoValue(pub String);

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoValue {}

fn no<T>(what: impl Into<String>) -> Result<T, NoValue> {
    Err(NoValue(what.into()))
}

/// Reads a value that is written as a text.
struct Text<T>(std::marker::PhantomData<T>, &'static str);

impl<T: FromStr<Err = NoValue>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

macro_rules! written {
    ($($name:ident: $expected:literal),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(Text(std::marker::PhantomData, $expected))
            }
        }
    )*};
}

written! {
    PeerAt: "an address and a port, or a path, such as \"10.0.0.5:8593\" or \"/run/farcall/one.sock\"",
    Span: "a duration such as \"10s\", \"2m\" or \"1h\"",
    Size: "a size such as \"64 KiB\" or \"1 MiB\"",
    Network: "a network such as \"10.0.0.0/8\" or an address",
    ListenAt: "an endpoint such as \"https://0.0.0.0:443\"",
    Ports: "a port such as 593, or a range such as \"6001-6004\"",
    Rate: "a rate such as \"100 calls per minute per user\"",
    Hours: "hours such as \"mon-fri 07:00-19:00\"",
    Level: "a level: \"none\", \"connect\", \"packet\", \"integrity\" or \"privacy\"",
}

/// A duration: a number and one of `ms`, `s`, `m`, `h`, `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<Self, NoValue> {
        let wrong = || {
            NoValue(format!(
                "{text:?} is no duration, expected a number and ms, s, m, h or d, such as \"10s\""
            ))
        };
        let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(at);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let factor = match unit.trim_start() {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let millis = number.checked_mul(factor).ok_or_else(wrong)?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

/// A size in bytes: a number, or a number and one of `B`, `KiB`, `MiB`, `GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<Self, NoValue> {
        let wrong = || {
            NoValue(format!(
                "{text:?} is no size, expected a number and B, KiB, MiB or GiB, such as \"64 KiB\""
            ))
        };
        let at = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(at);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let factor = match unit.trim_start() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(wrong)
    }
}

/// A network of addresses. An IPv4 address inside an IPv6 one is taken for what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// How many leading bits of it count.
    pub prefix: u8,
}

impl Network {
    /// Whether an address lies in it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(it)) => {
                let differing = u32::from(net) ^ u32::from(it);
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(net), IpAddr::V6(it)) => {
                let differing = u128::from(net) ^ u128::from(it);
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }

    /// Whether every address of `other` lies in it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.holds(other.address)
    }

    fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(it) => {
                let shift = 32_u32.saturating_sub(self.prefix.into());
                let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
                IpAddr::V4((u32::from(it) & mask).into())
            }
            IpAddr::V6(it) => {
                let shift = 128_u32.saturating_sub(self.prefix.into());
                let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
                IpAddr::V6((u128::from(it) & mask).into())
            }
        };
        Self { address, ..self }
    }
}

impl FromStr for Network {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<Self, NoValue> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return no(format!(
                "{text:?} is no network, expected an address, or address/bits such as \"10.0.0.0/8\""
            ));
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(bits) => match bits.parse::<u8>() {
                Ok(bits) if bits <= most => bits,
                _ => {
                    return no(format!(
                        "{text:?} is no network, expected at most {most} bits behind the slash"
                    ));
                }
            },
        };
        let this = Self { address, prefix };
        let masked = this.masked();
        if masked != this {
            return no(format!(
                "{text:?} is no network: it has bits beyond its first {prefix}, expected \"{masked}\""
            ));
        }
        if let IpAddr::V6(inner) = address
            && inner.to_ipv4_mapped().is_some()
        {
            return no(format!(
                "{text:?} is an IPv4 network in disguise, expected it in IPv4's form"
            ));
        }
        Ok(this)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Where a listener listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAt {
    /// Whether with TLS: `https`.
    pub tls: bool,
    /// The address and port.
    pub address: SocketAddr,
}

impl FromStr for ListenAt {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<Self, NoValue> {
        let wrong = || {
            NoValue(format!(
                "{text:?} is no endpoint, expected https:// or http://, an address and a port, such as \"https://0.0.0.0:443\""
            ))
        };
        let (scheme, address) = text.split_once("://").ok_or_else(wrong)?;
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(wrong()),
        };
        let address = address.strip_suffix('/').unwrap_or(address);
        Ok(Self {
            tls,
            address: address.parse().map_err(|_| wrong())?,
        })
    }
}

/// Where a proxy of the same farm is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerAt {
    /// Over TCP.
    Address(SocketAddr),
    /// On the same machine.
    Path(PathBuf),
}

impl FromStr for PeerAt {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<Self, NoValue> {
        if text.starts_with('/') {
            return Ok(Self::Path(text.into()));
        }
        text.parse().map(Self::Address).or_else(|_| {
            no(format!(
                "{text:?} is no place of a proxy, expected an address and a port, or a path, such as \"10.0.0.5:8593\" or \"/run/farcall/one.sock\""
            ))
        })
    }
}

impl fmt::Display for PeerAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Display for ListenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.address)
    }
}

/// A port, or several that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The first, never 0.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl Ports {
    /// Whether a port is among them.
    #[must_use]
    pub const fn hold(&self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl FromStr for Ports {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<Self, NoValue> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if first > 0 && first <= last => Ok(Self { first, last }),
            _ => no(format!(
                "{text:?} are no ports, expected a number from 1 to 65535, or two with '-' between them"
            )),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// What a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Virtual connections.
    Connections,
    /// Calls: first fragments of requests.
    Calls,
}

/// For whom a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Each user for himself.
    User,
    /// Each source address; of IPv6, each network of 64 bits.
    Source,
    /// Everybody together.
    Rule,
}

/// How often something may be done: so many at once, then so many in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many in a period, and at most at once.
    pub count: u32,
    /// The period.
    pub period: Duration,
    /// What is counted.
    pub counted: Counted,
    /// For whom.
    pub per: Per,
}

impl FromStr for Rate {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<Self, NoValue> {
        let wrong = || {
            let text = format!(
                "{text:?} is no rate, expected \"COUNT calls|connections per second|minute|hour|day [per user|source|rule]\""
            );
            NoValue(text)
        };
        let mut words = text.split_whitespace();
        let count: u32 = words
            .next()
            .and_then(|it| it.parse().ok())
            .ok_or_else(wrong)?;
        let counted = match words.next() {
            Some("calls" | "call") => Counted::Calls,
            Some("connections" | "connection") => Counted::Connections,
            _ => return Err(wrong()),
        };
        let (Some("per"), Some(period)) = (words.next(), words.next()) else {
            return Err(wrong());
        };
        let seconds = match period {
            "second" => 1,
            "minute" => 60,
            "hour" => 3600,
            "day" => 86_400,
            _ => return Err(wrong()),
        };
        let per = match (words.next(), words.next()) {
            (None, _) | (Some("per"), Some("user")) => Per::User,
            (Some("per"), Some("source")) => Per::Source,
            (Some("per"), Some("rule")) => Per::Rule,
            _ => return Err(wrong()),
        };
        if words.next().is_some() || count == 0 {
            return Err(wrong());
        }
        Ok(Self {
            count,
            period: Duration::from_secs(seconds),
            counted,
            per,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = match self.counted {
            Counted::Connections => "connections",
            Counted::Calls => "calls",
        };
        let per = match self.per {
            Per::User => "user",
            Per::Source => "source",
            Per::Rule => "rule",
        };
        let (count, seconds) = (self.count, self.period.as_secs());
        write!(f, "{count} {counted} per {seconds} s per {per}")
    }
}

/// Days of the week in the order of [`Hours::days`].
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Hours of a week: days, and a time of those days. A time that ends before it begins goes on after midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Monday to Sunday.
    pub days: [bool; 7],
    /// The first minute of the day, 0 to 1439.
    pub from: u16,
    /// The minute that is no longer in it, 1 to 1440.
    pub to: u16,
}

impl Hours {
    /// Whether a minute of the day, `weekday` from 0 for Monday, is in it.
    #[must_use]
    pub fn hold(&self, weekday: usize, minute: u16) -> bool {
        let on = |day: usize| self.days.get(day % 7).copied().unwrap_or(false);
        if self.from < self.to {
            return on(weekday) && self.from <= minute && minute < self.to;
        }
        let yesterday = weekday.saturating_add(6);
        (on(weekday) && minute >= self.from) || (on(yesterday) && minute < self.to)
    }
}

impl FromStr for Hours {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<Self, NoValue> {
        let wrong = || {
            NoValue(format!(
                "{text:?} are no hours, expected days and times such as \"mon-fri 07:00-19:00\", \"sat\" or \"22:00-06:00\""
            ))
        };
        let mut words = text.split_whitespace();
        let (first, second) = (words.next().ok_or_else(wrong)?, words.next());
        let (days, times) = match (first.starts_with(|c: char| c.is_ascii_digit()), second) {
            (true, None) => (None, Some(first)),
            (false, times) => (Some(first), times),
            _ => return Err(wrong()),
        };
        if words.next().is_some() {
            return Err(wrong());
        }
        let days = match days {
            None => [true; 7],
            Some(days) => read_days(days).ok_or_else(wrong)?,
        };
        let (from, to) = match times {
            None => (0, DAY),
            Some(times) => {
                let (from, to) = times.split_once('-').ok_or_else(wrong)?;
                let from = read_time(from)
                    .filter(|from| *from < DAY)
                    .ok_or_else(wrong)?;
                (from, read_time(to).ok_or_else(wrong)?)
            }
        };
        if from == to {
            return Err(wrong());
        }
        Ok(Self { days, from, to })
    }
}

fn read_days(text: &str) -> Option<[bool; 7]> {
    let number = |day: &str| DAYS.iter().position(|name| *name == day);
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (number(first)?, number(last)?);
        loop {
            *days.get_mut(day)? = true;
            if day == last {
                break;
            }
            day = day.saturating_add(1) % 7;
        }
    }
    Some(days)
}

fn read_time(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |it: &str| it.len() == 2 && it.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let time = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && time <= DAY).then_some(time)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = DAYS.iter().zip(self.days).filter(|(_, on)| *on);
        let days: Vec<&str> = days.map(|(name, _)| *name).collect();
        let at = |time: u16| format!("{:02}:{:02}", time / 60, time % 60);
        write!(f, "{} {}-{}", days.join(","), at(self.from), at(self.to))
    }
}

/// How much a call must be protected by the RPC itself (MS-RPCE section 2.2.1.1.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(pub AuthLevel);

impl FromStr for Level {
    type Err = NoValue;

    fn from_str(text: &str) -> Result<Self, NoValue> {
        Ok(Self(match text {
            "none" => AuthLevel::NONE,
            "connect" => AuthLevel::CONNECT,
            "call" => AuthLevel::CALL,
            "packet" => AuthLevel::PKT,
            "integrity" => AuthLevel::INTEGRITY,
            "privacy" => AuthLevel::PRIVACY,
            _ => {
                return no(format!(
                    "{text:?} is no level, expected \"none\", \"connect\", \"packet\", \"integrity\" or \"privacy\""
                ));
            }
        }))
    }
}

/// A duration that a configuration holds.
///
/// # Errors
/// The deserializer's, with what would be right.
pub(crate) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    Span::deserialize(from).map(|span| span.0)
}

/// A duration that is not nothing.
///
/// # Errors
/// The same, and if it is 0.
pub(crate) fn some_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    match duration(from)? {
        Duration::ZERO => Err(D::Error::custom("a duration of 0, expected a longer one")),
        span => Ok(span),
    }
}

/// A size in bytes.
///
/// # Errors
/// The deserializer's, with what would be right.
pub(crate) fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let size = Size::deserialize(from)?;
    usize::try_from(size.0).map_err(D::Error::custom)
}

/// A text of which there is more than blanks: a written reason.
///
/// # Errors
/// If there is nothing.
pub(crate) fn reason<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    match text.trim().is_empty() {
        true => Err(D::Error::custom(
            "an empty reason, expected why this is right here",
        )),
        false => Ok(text),
    }
}

/// The same where it may be left out.
///
/// # Errors
/// If it stands there and is empty.
pub(crate) fn some_reason<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    reason(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: FromStr<Err = NoValue>>(text: &str) -> Option<T> {
        text.parse().ok()
    }

    #[test]
    fn durations_and_sizes_have_units() {
        assert_eq!(read::<Span>("10s"), Some(Span(Duration::from_secs(10))));
        assert_eq!(
            read::<Span>("250ms"),
            Some(Span(Duration::from_millis(250)))
        );
        assert_eq!(read::<Span>("1 h"), Some(Span(Duration::from_secs(3600))));
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 s s",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(read::<Span>(text), None, "{text}");
        }
        assert_eq!(read::<Size>("64 KiB"), Some(Size(65536)));
        assert_eq!(read::<Size>("17"), Some(Size(17)));
        for text in ["", "KiB", "64 KB", "64k", "18446744073709551615GiB"] {
            assert_eq!(read::<Size>(text), None, "{text}");
        }
    }

    #[test]
    fn a_proxy_of_the_farm_is_at_an_address_or_a_path() {
        for text in ["10.0.0.5:8593", "[::1]:8593", "/run/farcall/one.sock"] {
            assert_eq!(
                read::<PeerAt>(text).map(|it| it.to_string()).as_deref(),
                Some(text)
            );
        }
        for text in [
            "",
            "10.0.0.5",
            "rpc.example.com:8593",
            "run/one.sock",
            "http://10.0.0.5:1",
        ] {
            let wrong = text.parse::<PeerAt>().expect_err(text);
            assert!(wrong.0.contains("10.0.0.5:8593"), "{wrong}");
        }
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let net: Network = read("10.1.0.0/16").expect("a network");
        let holds = |text: &str| net.holds(text.parse().expect(text));
        assert!(holds("10.1.0.0") && holds("10.1.255.255") && holds("::ffff:10.1.2.3"));
        assert!(!holds("10.2.0.0") && !holds("10.0.255.255") && !holds("::10.1.2.3"));
        let all: Network = read("::/0").expect("a network");
        assert!(all.holds("2001:db8::1".parse().expect("address")));
        assert!(!all.holds("10.0.0.1".parse().expect("address")));
        let one: Network = read("192.0.2.7").expect("an address");
        assert_eq!(one.to_string(), "192.0.2.7/32");
        assert!(net.covers(&read("10.1.2.0/24").expect("network")) && !net.covers(&one));
        for text in [
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10/8",
            "x",
            "::ffff:10.0.0.0/104",
            "10.0.0.0/-1",
        ] {
            assert_eq!(read::<Network>(text), None, "{text}");
        }
        let error = "10.0.0.1/8".parse::<Network>().expect_err("bits beyond");
        assert!(error.0.contains("\"10.0.0.0/8\""), "{error}");
    }

    #[test]
    fn endpoints_and_ports_are_read() {
        let at: ListenAt = read("https://[::]:443").expect("an endpoint");
        assert!(at.tls && at.address.port() == 443);
        for text in [
            "https://443",
            "0.0.0.0:443",
            "tcp://0.0.0.0:443",
            "https://host:443",
        ] {
            assert_eq!(read::<ListenAt>(text), None, "{text}");
        }
        assert_eq!(
            read("6001-6004"),
            Some(Ports {
                first: 6001,
                last: 6004
            })
        );
        for text in ["0", "65536", "5-4", "", "-", "1-", "a"] {
            assert_eq!(read::<Ports>(text), None, "{text}");
        }
    }

    #[test]
    fn a_rate_is_a_sentence() {
        let rate: Rate = read("100 calls per minute per source").expect("a rate");
        assert_eq!((rate.count, rate.period.as_secs()), (100, 60));
        assert_eq!((rate.counted, rate.per), (Counted::Calls, Per::Source));
        let rate: Rate = read("3 connections per hour").expect("a rate");
        assert_eq!((rate.counted, rate.per), (Counted::Connections, Per::User));
        for text in [
            "",
            "calls per minute",
            "0 calls per minute",
            "5 calls",
            "5 calls per week",
            "5 calls per day per user now",
            "5 calls per day per",
        ] {
            assert_eq!(read::<Rate>(text), None, "{text}");
        }
    }

    #[test]
    fn hours_are_days_and_times() {
        let hours: Hours = read("mon-fri 07:00-19:00").expect("hours");
        assert!(hours.hold(0, 420) && hours.hold(4, 1139));
        assert!(!hours.hold(0, 419) && !hours.hold(4, 1140) && !hours.hold(5, 600));
        // A night belongs to the day on which it begins.
        let night: Hours = read("fri 22:00-06:00").expect("hours");
        assert!(night.hold(4, 1320) && night.hold(5, 359));
        assert!(!night.hold(4, 100) && !night.hold(5, 360) && !night.hold(5, 1400));
        let week_end: Hours = read("sat-sun").expect("hours");
        assert!(week_end.hold(6, 1439) && !week_end.hold(0, 0));
        let round: Hours = read("sun-mon").expect("hours");
        assert_eq!(round.days, [true, false, false, false, false, false, true]);
        assert!(read::<Hours>("08:00-24:00").is_some());
        for text in [
            "",
            "mon tue",
            "mon 8-10",
            "mon 08:00",
            "25:00-26:00",
            "08:60-09:00",
            "08:00-08:00",
            "24:00-25:00",
            "foo",
            "mon 08:00-09:00 x",
        ] {
            assert_eq!(read::<Hours>(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_what_would_be_right() {
        let said = |error: NoValue| error.0;
        assert!(said("1x".parse::<Span>().expect_err("wrong")).contains("\"10s\""));
        assert!(said("x".parse::<Level>().expect_err("wrong")).contains("\"privacy\""));
    }
}
