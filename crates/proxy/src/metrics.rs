//! Numbers for machines that watch: counters, gauges and histograms in Prometheus' text format.
//!
//! All of them exist from the start, so a graph begins at zero. Nothing is labelled with what a client chose: labels are words
//! of this file, names of configured rules and kinds of authentication. Counting is one atomic addition.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::identity::AuthKind;
use crate::policy::Policy;

/// Something that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How many.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Something that grows and shrinks.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// So much more, or less.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// One more until what is returned is dropped.
    pub fn held(&self) -> Held<'_> {
        self.add(1);
        Held(self)
    }

    /// How much.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of a gauge.
#[derive(Debug)]
pub struct Held<'a>(&'a Gauge);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// Upper bounds of a histogram, in microseconds.
const BOUNDS: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    5_000_000, 30_000_000,
];

/// How long things took.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    /// Something took so long.
    pub fn took(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS
            .iter()
            .zip(&self.buckets)
            .find(|(bound, _)| micros <= **bound);
        if let Some((_, bucket)) = bucket {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$each])* $variant,)* }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its word in metrics and status.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            fn place(self) -> usize {
                Self::ALL.iter().position(|it| *it == self).unwrap_or(0)
            }
        }
    };
}

words! {
    /// How far a channel or a virtual connection has come.
    Phase {
        /// Its request's head is awaited.
        Head = "head",
        /// It is being authenticated.
        Login = "login",
        /// Its first RTS PDU is awaited.
        FirstRts = "first-rts",
        /// The target is being reached.
        Reaching = "reaching",
        /// Its other channel is awaited.
        Pairing = "pairing",
        /// It is open.
        Open = "open",
        /// It is being drained.
        Draining = "draining",
    }
}

words! {
    /// Why something was refused.
    Refusal {
        /// The raw request had two meanings or was none.
        Guard = "guard",
        /// Nobody was proved.
        Login = "login",
        /// An account or source is locked out.
        Lockout = "lockout",
        /// No such target.
        Target = "target",
        /// The policy denies the connection.
        Connect = "connect",
        /// The policy denies the interface.
        Bind = "bind",
        /// The policy denies the call.
        Call = "call",
        /// A rate of the policy is used up.
        Rate = "rate",
        /// A limit is reached.
        Limit = "limit",
        /// A wait was too long.
        Timeout = "timeout",
        /// The peer broke the protocol.
        Protocol = "protocol",
        /// The target cannot be reached, or is no RPC server.
        Unreachable = "unreachable",
    }
}

words! {
    /// How a channel is replaced.
    Recycle {
        /// IN, through another in-proxy.
        InR1 = "in-r1",
        /// IN, through this one.
        InR2 = "in-r2",
        /// OUT, through another out-proxy.
        OutR1 = "out-r1",
        /// OUT, through this one.
        OutR2 = "out-r2",
    }
}

impl Recycle {
    /// Through this proxy.
    #[must_use]
    pub const fn same(way: Way) -> Self {
        match way {
            Way::In => Self::InR2,
            Way::Out => Self::OutR2,
        }
    }

    /// Through another proxy: this one goes on with it.
    #[must_use]
    pub const fn other(way: Way) -> Self {
        match way {
            Way::In => Self::InR1,
            Way::Out => Self::OutR1,
        }
    }
}

words! {
    /// Which way bytes go.
    Way {
        /// From the client.
        In = "in",
        /// To the client.
        Out = "out",
    }
}

/// One counter for each word.
#[derive(Debug)]
pub struct Each<W, T> {
    all: Box<[T]>,
    place: fn(W) -> usize,
}

impl<W, T: Default> Each<W, T> {
    fn new(len: usize, place: fn(W) -> usize) -> Self {
        let all = (0..len).map(|_| T::default()).collect();
        Self { all, place }
    }

    /// The one of a word.
    ///
    /// # Panics
    /// Never: there is one for each word.
    #[must_use]
    pub fn of(&self, word: W) -> &T {
        &self.all[(self.place)(word).min(self.all.len() - 1)]
    }
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    /// Connections from outside that were accepted.
    pub accepted: Counter,
    /// Connections from outside that are there.
    pub connections: Gauge,
    /// Virtual connections that were opened.
    pub opened: Counter,
    /// Channels and virtual connections by how far they have come.
    pub phases: Each<Phase, Gauge>,
    /// Clients that were proved, by how.
    pub logins: Each<AuthKind, Counter>,
    /// What was refused, by why.
    pub refusals: Each<Refusal, Counter>,
    /// What the rules deny and a policy that only records let pass.
    pub would_deny: Counter,
    /// Calls that were forwarded.
    pub calls: Counter,
    /// Calls that ended with a fault of the server's.
    pub faults: Counter,
    /// Bytes of RPC that were relayed.
    pub bytes: Each<Way, Counter>,
    /// Bytes that wait in queues.
    pub queued: Each<Way, Gauge>,
    /// Bytes that peers may send before they need an acknowledgement, over all virtual connections.
    pub windows: Each<Way, Gauge>,
    /// Times that a sender had to wait for its peer's window.
    pub stalls: Each<Way, Counter>,
    /// Channels that were replaced, by how.
    pub recycles: Each<Recycle, Counter>,
    /// From a call's first fragment to the end of its response.
    pub latency: Histogram,
    /// From a channel's request to its virtual connection being open.
    pub setup: Histogram,
    /// Configurations that were read and are in force.
    pub reloads: Counter,
    /// Configurations that were read and are not.
    pub reloads_failed: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let kind = |kind: AuthKind| AuthKind::ALL.iter().position(|it| *it == kind).unwrap_or(0);
        let ways = Way::ALL.len();
        Self {
            accepted: Counter::default(),
            connections: Gauge::default(),
            opened: Counter::default(),
            phases: Each::new(Phase::ALL.len(), Phase::place),
            logins: Each::new(AuthKind::ALL.len(), kind),
            refusals: Each::new(Refusal::ALL.len(), Refusal::place),
            would_deny: Counter::default(),
            calls: Counter::default(),
            faults: Counter::default(),
            bytes: Each::new(ways, Way::place),
            queued: Each::new(ways, Way::place),
            windows: Each::new(ways, Way::place),
            stalls: Each::new(ways, Way::place),
            recycles: Each::new(Recycle::ALL.len(), Recycle::place),
            latency: Histogram::default(),
            setup: Histogram::default(),
            reloads: Counter::default(),
            reloads_failed: Counter::default(),
        }
    }
}

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Metrics {
    /// All of it as text, with how often each rule of `policy` has decided, and how many lines the audit log has lost.
    #[must_use]
    pub fn text(&self, policy: &Policy, audit_failed: u64) -> String {
        let mut out = String::with_capacity(8192);
        // Nothing fails to be written to a text.
        let _ = self.write(&mut out, policy, audit_failed);
        out
    }

    fn write(&self, out: &mut String, policy: &Policy, audit_failed: u64) -> fmt::Result {
        self.clients(out)?;
        self.relayed(out)?;
        histogram(
            out,
            "call_seconds",
            "From a call's first fragment to the end of its response.",
            &self.latency,
        )?;
        histogram(
            out,
            "setup_seconds",
            "From a channel's request to its virtual connection being open.",
            &self.setup,
        )?;
        let reloads = [("ok", &self.reloads), ("failed", &self.reloads_failed)];
        let reloads = reloads.map(|(result, it)| (label("result", result), it.value()));
        family(
            out,
            "reloads_total",
            COUNTER,
            "Configurations that were read.",
            reloads,
        )?;
        let hits = policy
            .hits()
            .map(|(name, count)| (label("rule", name), count));
        family(
            out,
            "rule_hits_total",
            COUNTER,
            "Decisions of each rule since it was read.",
            hits,
        )?;
        let failed = [(String::new(), audit_failed)];
        family(
            out,
            "audit_failed_total",
            COUNTER,
            "Audit lines that could not be written.",
            failed,
        )
    }

    /// Who came, and what became of them.
    fn clients(&self, out: &mut String) -> fmt::Result {
        let help = "Connections from outside that were accepted.";
        family(
            out,
            "connections_accepted_total",
            COUNTER,
            help,
            one(&self.accepted),
        )?;
        let there = [(String::new(), self.connections.value())];
        family(
            out,
            "connections",
            GAUGE,
            "Connections from outside that are there.",
            there,
        )?;
        let help = "Virtual connections that were opened.";
        family(
            out,
            "virtual_connections_total",
            COUNTER,
            help,
            one(&self.opened),
        )?;
        let phases = Phase::ALL.iter();
        let phases = phases.map(|it| (label("phase", it.word()), self.phases.of(*it).value()));
        let help = "Channels and virtual connections by how far they have come.";
        family(out, "channels", GAUGE, help, phases)?;
        let logins = AuthKind::ALL.iter();
        let logins = logins.map(|it| {
            (
                label("authentication", it.word()),
                self.logins.of(*it).value(),
            )
        });
        family(
            out,
            "logins_total",
            COUNTER,
            "Clients that were proved.",
            logins,
        )?;
        let refusals = Refusal::ALL.iter();
        let refusals = refusals.map(|it| (label("why", it.word()), self.refusals.of(*it).value()));
        family(out, "denials_total", COUNTER, "What was refused.", refusals)?;
        let help = "What the rules deny and a policy that only records let pass.";
        family(
            out,
            "would_deny_total",
            COUNTER,
            help,
            one(&self.would_deny),
        )
    }

    /// What went through.
    fn relayed(&self, out: &mut String) -> fmt::Result {
        family(
            out,
            "calls_total",
            COUNTER,
            "Calls that were forwarded.",
            one(&self.calls),
        )?;
        let help = "Calls that ended with a fault of the server's.";
        family(out, "faults_total", COUNTER, help, one(&self.faults))?;
        family(
            out,
            "bytes_total",
            COUNTER,
            "Bytes of RPC that were relayed.",
            ways(&self.bytes, Counter::value),
        )?;
        family(
            out,
            "queued_bytes",
            GAUGE,
            "Bytes that wait in queues.",
            ways(&self.queued, Gauge::value),
        )?;
        let help = "Bytes that peers may send before they need an acknowledgement.";
        family(
            out,
            "window_bytes",
            GAUGE,
            help,
            ways(&self.windows, Gauge::value),
        )?;
        let help = "Times that a sender had to wait for its peer's window.";
        family(
            out,
            "stalls_total",
            COUNTER,
            help,
            ways(&self.stalls, Counter::value),
        )?;
        let recycles = Recycle::ALL.iter();
        let recycles = recycles.map(|it| (label("kind", it.word()), self.recycles.of(*it).value()));
        family(
            out,
            "recycles_total",
            COUNTER,
            "Channels that were replaced.",
            recycles,
        )
    }
}

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

fn one(counter: &Counter) -> [(String, u64); 1] {
    [(String::new(), counter.value())]
}

/// A value for each way.
fn ways<T: Default, V>(each: &Each<Way, T>, value: fn(&T) -> V) -> Vec<(String, V)> {
    let all = Way::ALL.iter();
    all.map(|it| (label("way", it.word()), value(each.of(*it))))
        .collect()
}

/// `{name="value"}`, escaped.
fn label(name: &str, value: &str) -> String {
    let mut out = format!("{{{name}=\"");
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push_str("\"}");
    out
}

fn family<V: fmt::Display>(
    out: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    values: impl IntoIterator<Item = (String, V)>,
) -> fmt::Result {
    writeln!(out, "# HELP farcall_proxy_{name} {help}")?;
    writeln!(out, "# TYPE farcall_proxy_{name} {kind}")?;
    for (label, value) in values {
        writeln!(out, "farcall_proxy_{name}{label} {value}")?;
    }
    Ok(())
}

fn histogram(out: &mut String, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
    writeln!(out, "# HELP farcall_proxy_{name} {help}")?;
    writeln!(out, "# TYPE farcall_proxy_{name} histogram")?;
    let count = histogram.count.load(Ordering::Relaxed);
    let mut sum = 0_u64;
    for (bound, bucket) in BOUNDS.iter().zip(&histogram.buckets) {
        sum = sum
            .saturating_add(bucket.load(Ordering::Relaxed))
            .min(count);
        writeln!(
            out,
            "farcall_proxy_{name}_bucket{{le=\"{}\"}} {sum}",
            Seconds(*bound)
        )?;
    }
    writeln!(out, "farcall_proxy_{name}_bucket{{le=\"+Inf\"}} {count}")?;
    let micros = histogram.micros.load(Ordering::Relaxed);
    writeln!(out, "farcall_proxy_{name}_sum {}", Seconds(micros))?;
    writeln!(out, "farcall_proxy_{name}_count {count}")
}

/// Microseconds as seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let rest = format!("{rest:06}");
        match rest.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            rest => write!(f, "{whole}.{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::names::Names;
    use std::path::Path;

    fn text(metrics: &Metrics, rules: &str) -> String {
        let (config, source) = Config::parse(
            Path::new("p"),
            &format!("policy.deny-pack = \"off\"\n{rules}"),
        )
        .expect("a configuration");
        let policy =
            crate::policy::compile(&config, &source, &Names::standard()).expect("a policy");
        metrics.text(&policy, 3)
    }

    #[test]
    fn everything_is_there_from_the_start() {
        let text = text(&Metrics::default(), "");
        for line in [
            "farcall_proxy_connections 0",
            "farcall_proxy_channels{phase=\"open\"} 0",
            "farcall_proxy_denials_total{why=\"call\"} 0",
            "farcall_proxy_logins_total{authentication=\"kerberos\"} 0",
            "farcall_proxy_call_seconds_bucket{le=\"0.0001\"} 0",
            "farcall_proxy_call_seconds_bucket{le=\"+Inf\"} 0",
            "farcall_proxy_audit_failed_total 3",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}");
        }
    }

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::default();
        metrics.refusals.of(Refusal::Call).one();
        metrics.bytes.of(Way::Out).add(7);
        let held = metrics.phases.of(Phase::Open).held();
        metrics.latency.took(Duration::from_micros(240));
        metrics.latency.took(Duration::from_secs(60));
        let rule = "[[rule]]\nname = 'a\"b\\c'\naction = \"deny\"\n";
        let told = text(&metrics, rule);
        for line in [
            "farcall_proxy_denials_total{why=\"call\"} 1",
            "farcall_proxy_denials_total{why=\"bind\"} 0",
            "farcall_proxy_bytes_total{way=\"out\"} 7",
            "farcall_proxy_channels{phase=\"open\"} 1",
            "farcall_proxy_call_seconds_bucket{le=\"0.0001\"} 0",
            "farcall_proxy_call_seconds_bucket{le=\"0.00025\"} 1",
            "farcall_proxy_call_seconds_bucket{le=\"30\"} 1",
            "farcall_proxy_call_seconds_bucket{le=\"+Inf\"} 2",
            "farcall_proxy_call_seconds_sum 60.00024",
            "farcall_proxy_call_seconds_count 2",
            "farcall_proxy_rule_hits_total{rule=\"a\\\"b\\\\c\"} 0",
        ] {
            assert!(told.lines().any(|it| it == line), "{line} in\n{told}");
        }
        drop(held);
        assert_eq!(metrics.phases.of(Phase::Open).value(), 0);
    }

    #[test]
    fn the_text_is_in_the_format_that_is_read() {
        // Each family has its help and its type before its values, and a value is a name, labels and a number.
        let text = text(&Metrics::default(), "");
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                family = rest.split(' ').next().expect("a name");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert!(rest.starts_with(family), "{line}");
            } else {
                let (name, value) = line.rsplit_once(' ').expect("a value");
                assert!(
                    name.starts_with(family) && value.parse::<f64>().is_ok(),
                    "{line}"
                );
            }
        }
    }
}
