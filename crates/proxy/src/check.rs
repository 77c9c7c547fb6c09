//! What is wrong or unwise in a configuration.
//!
//! Three kinds: [`faults`], with which nothing starts; [`files`], which must be there when it starts; and [`warnings`],
//! which a person should have a reason for. All of them are found without a network.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use farcall_security::Users;

use crate::config::listen::{Certificates, Ntlm};
use crate::config::place::{Fault, Source};
use crate::config::{Action, ChannelBinding, Config, Listener, Redact, Switch};
use crate::near::did_you_mean;
use crate::policy::Policy;

/// A configuration to begin with.
pub const TEMPLATE: &str = include_str!("../templates/proxy.toml");

/// What a proxy does not start with, as far as the file alone shows it. Rules and targets are checked when they are made.
#[must_use]
pub fn faults(config: &Config, source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for listener in &config.listeners {
        let name = listener.name.get_ref();
        if !names.insert(name) {
            let what = format!("a second listener {name:?}, expected a name of its own");
            faults.push(source.fault(listener.name.span(), what));
        }
        faults.extend(listener_faults(listener, source));
    }
    if let Some(tap) = &config.tap {
        for target in &tap.targets {
            if !config
                .targets
                .iter()
                .any(|it| it.name.get_ref() == target.get_ref())
            {
                let what = format!("there is no target {:?}", target.get_ref());
                faults.push(source.fault(target.span(), what));
            }
        }
    }
    faults.extend(limit_faults(config, source));
    faults
}

fn listener_faults(listener: &Listener, source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut wrong = |what: &str| faults.push(source.fault(listener.endpoint.span(), what));
    match (&listener.tls, listener.endpoint.get_ref().tls) {
        (None, true) => wrong("an https endpoint without certificates, expected [listen.tls]"),
        (Some(_), false) => wrong("certificates at an http endpoint, expected https"),
        _ => {}
    }
    let shown = listener
        .tls
        .as_ref()
        .map_or(Certificates::Off, |tls| tls.client_certificates);
    if let Some(tls) = &listener.tls
        && shown != Certificates::Off
        && tls.client_ca.is_none()
    {
        wrong("client-certificates without a client-ca that may issue them");
    }
    let on = &listener.authentication;
    if on.certificate.is_some() && shown == Certificates::Off {
        wrong("authentication by certificate, but client-certificates are off");
    }
    if let Some(basic) = &on.basic
        && basic.users.is_none()
        && basic.helper.is_none()
    {
        wrong("authentication.basic without users or a helper");
    }
    let at = listener.endpoint.get_ref();
    if on.basic.is_some() && !at.tls && !at.address.ip().is_loopback() && listener.front.is_none() {
        wrong(
            "authentication.basic at an http endpoint sends passwords in clear text, \
             expected https, or [listen.front] if a proxy in front does TLS",
        );
    }
    for (key, ntlm) in ntlms(listener) {
        if ntlm.users.is_none() && ntlm.helper.is_none() {
            wrong(&format!("{key} without users or a helper"));
        }
    }
    if let Some(negotiate) = &on.negotiate
        && negotiate.ntlm.is_none()
        && negotiate.keytab.is_none()
    {
        wrong("authentication.negotiate without ntlm or a keytab");
    }
    if let Some(front) = &listener.front {
        if front.trusted.is_empty() {
            wrong("front without trusted networks");
        }
        let proves_connections = on.ntlm.is_some() || on.negotiate.is_some();
        if front.forwarded && !front.own_connections && proves_connections {
            wrong(
                "NTLM and Negotiate prove a connection, and a front that speaks HTTP may share one among clients, \
                 expected front.own-connections = true if it does not (HAProxy: http-reuse never)",
            );
        }
    }
    faults
}

fn limit_faults(config: &Config, source: &Source) -> Vec<Fault> {
    let limits = &config.limits;
    let mut faults = Vec::new();
    let mut wrong = |what: String| faults.push(source.fault(0..0, what));
    let timeout = Duration::from_secs(120)..=Duration::from_secs(14_400);
    if !timeout.contains(&limits.connection_timeout) {
        wrong("limits.connection-timeout is not from 120 s to 4 h".to_owned());
    }
    for (key, value, least, most) in [
        ("window", limits.window, 8 << 10, 1 << 30),
        ("lifetime", limits.lifetime, 128 << 10, 2 << 30),
        ("queue", limits.queue, 64 << 10, 1 << 30),
        ("connections", limits.connections, 1, 10_000_000),
        (
            "virtual-connections",
            limits.virtual_connections,
            1,
            10_000_000,
        ),
        ("per-user", limits.per_user, 1, 10_000_000),
        ("per-source", limits.per_source, 2, 10_000_000),
    ] {
        if !(least..=most).contains(&value) {
            wrong(format!(
                "limits.{key} is {value}, expected {least} to {most}"
            ));
        }
    }
    faults
}

/// Files that the configuration names and that cannot be read, and folders of those it would write that are not there.
#[must_use]
pub fn files(config: &Config, source: &Source) -> Vec<Fault> {
    let of = |listener| {
        listener_files(listener)
            .into_iter()
            .map(|(key, path)| (key.to_owned(), path))
            .chain(ntlm_files(listener))
            .map(move |(key, path)| (place(listener, &key), path))
    };
    let mut named: Vec<(String, &Path)> = config.listeners.iter().flat_map(of).collect();
    named.extend(
        config
            .policy
            .names
            .iter()
            .map(|it| ("policy.names".to_owned(), it.as_path())),
    );
    let peers = config.peers.iter();
    named.extend(peers.map(|it| ("peers.secret".to_owned(), it.secret.as_path())));
    let mut faults = Vec::new();
    for (key, path) in named {
        if let Err(error) = std::fs::File::open(path) {
            let what = format!("{key}: {}: {error}", path.display());
            faults.push(source.fault(0..0, what));
        }
    }
    let audit = config.audit.file.iter().map(|it| ("audit.file", it));
    for (key, path) in audit.chain(config.tap.iter().map(|it| ("tap.file", &it.file))) {
        let folder = path
            .parent()
            .filter(|it| !it.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let what = format!("{key}: there is no folder {}", folder.display());
            faults.push(source.fault(0..0, what));
        }
    }
    faults
}

fn place(listener: &Listener, key: &str) -> String {
    format!("listen {:?}.{key}", listener.name.get_ref())
}

/// The files that a listener needs, by key.
fn listener_files(listener: &Listener) -> Vec<(&'static str, &Path)> {
    let mut files: Vec<(&'static str, &Path)> = Vec::new();
    if let Some(tls) = &listener.tls {
        files.push(("tls.certificate", &tls.certificate));
        files.push(("tls.key", &tls.key));
        for sni in &tls.sni {
            files.push(("tls.sni.certificate", &sni.certificate));
            files.push(("tls.sni.key", &sni.key));
        }
        files.extend(
            tls.client_ca
                .iter()
                .map(|it| ("tls.client-ca", it.as_path())),
        );
        files.extend(
            tls.client_crl
                .iter()
                .map(|it| ("tls.client-crl", it.as_path())),
        );
    }
    let on = &listener.authentication;
    if let Some(basic) = &on.basic {
        files.extend(
            basic
                .users
                .iter()
                .map(|it| ("authentication.basic.users", it.as_path())),
        );
        files.extend(
            basic
                .helper
                .iter()
                .map(|it| ("authentication.basic.helper.program", it.program.as_path())),
        );
    }
    if let Some(negotiate) = &on.negotiate {
        files.extend(
            negotiate
                .keytab
                .iter()
                .map(|it| ("authentication.negotiate.keytab", it.as_path())),
        );
    }
    files.extend(
        on.bearer
            .iter()
            .map(|it| ("authentication.bearer.keys", it.keys.as_path())),
    );
    if let Some(front) = &listener.front {
        files.extend(
            front
                .certificates
                .iter()
                .map(|it| ("front.certificates", it.as_path())),
        );
    }
    files
}

/// The files that NTLM needs, by key.
fn ntlm_files(listener: &Listener) -> Vec<(String, &Path)> {
    let mut files = Vec::new();
    for (key, ntlm) in ntlms(listener) {
        let users = ntlm.users.iter();
        files.extend(users.map(|it| (format!("{key}.users"), it.as_path())));
        let helper = ntlm.helper.iter();
        files.extend(helper.map(|it| (format!("{key}.helper.program"), it.program.as_path())));
    }
    files
}

/// NTLM, bare and inside Negotiate, by key.
fn ntlms(listener: &Listener) -> impl Iterator<Item = (&'static str, &Ntlm)> {
    let on = &listener.authentication;
    let inside = on.negotiate.as_ref().and_then(|it| it.ntlm.as_ref());
    let bare = on.ntlm.iter().map(|it| ("authentication.ntlm", it));
    bare.chain(inside.map(|it| ("authentication.negotiate.ntlm", it)))
}

/// What a person should have a reason for.
#[must_use]
pub fn warnings(config: &Config, source: &Source, policy: &Policy) -> Vec<Fault> {
    let mut found: Vec<Fault> = config
        .listeners
        .iter()
        .flat_map(|it| listener_warnings(it, source))
        .collect();
    found.extend(rule_warnings(config, source, policy));
    let mut whole = |what: &str, hint: &str| found.push(source.fault(0..0, what).hint(hint));
    if config.listeners.is_empty() {
        whole("there is no listener, so nobody gets in", "add [[listen]]");
    }
    if config.targets.is_empty() {
        whole(
            "there is no target, so nothing is reached",
            "add [[target]]",
        );
    }
    if config.policy.deny_pack == Switch::Off {
        whole(
            "the pack of rules against coercion and theft of credentials is off",
            "leave deny-pack out, and put exceptions above include = \"deny-pack\"",
        );
    }
    if policy.only_records() {
        whole(
            "the policy only records: it denies nothing to its targets",
            "mode = \"enforce\" once the audit log has no would-deny that surprises",
        );
    }
    if config.audit.file.is_none() {
        whole(
            "the audit log goes to standard output",
            "audit.file = \"/var/log/farcall/audit.jsonl\"",
        );
    }
    if let Some(tap) = &config.tap {
        let what = match tap.redact {
            Redact::Stubs => "traffic is captured, without what calls carry",
            Redact::Tokens => "traffic is captured, with what calls carry",
        };
        whole(what, "remove [tap] when it is no longer needed");
    }
    if let Some(metrics) = &config.metrics
        && !metrics.listen.get_ref().ip().is_loopback()
    {
        let what =
            "metrics and status are served in clear text, to everyone who reaches this address";
        found.push(
            source
                .fault(metrics.listen.span(), what)
                .hint("an address of this machine alone, such as 127.0.0.1:9464"),
        );
    }
    found
}

fn listener_warnings(listener: &Listener, source: &Source) -> Vec<Fault> {
    let mut found = Vec::new();
    let mut unwise = |what: String, hint: &str| {
        found.push(source.fault(listener.endpoint.span(), what).hint(hint))
    };
    let (on, at) = (&listener.authentication, listener.endpoint.get_ref());
    let is_here = at.address.ip().is_loopback();
    let front_does_tls = listener
        .front
        .as_ref()
        .is_some_and(|it| !it.certificates.is_empty());
    if !at.tls && !is_here && !front_does_tls {
        unwise(
            "without TLS everything, passwords too, is read on the way".to_owned(),
            "https, or front.certificates if a proxy in front does TLS",
        );
    }
    if let Some(anonymous) = &on.anonymous {
        unwise(
            format!(
                "anyone gets in without saying who they are: {}",
                anonymous.reason
            ),
            "rules should name the sources that may",
        );
    }
    let kinds = on.basic.is_some()
        || on.ntlm.is_some()
        || on.negotiate.is_some()
        || on.certificate.is_some()
        || on.bearer.is_some();
    if !kinds && on.anonymous.is_none() {
        unwise(
            "no kind of authentication is on, so nobody gets in".to_owned(),
            "[listen.authentication] negotiate, certificate, bearer, …",
        );
    }
    let weak = |binding: ChannelBinding| binding != ChannelBinding::Require;
    let inside = on.negotiate.as_ref();
    if on.ntlm.iter().any(|it| weak(it.channel_binding))
        || inside.is_some_and(|it| it.ntlm.is_some() && weak(it.channel_binding))
    {
        unwise(
            "NTLM without channel binding can be relayed from another server".to_owned(),
            "channel-binding = \"require\", as far as clients can",
        );
    }
    if on.basic.is_some() && !at.tls {
        unwise(
            "Basic without TLS: passwords come here in clear text".to_owned(),
            "https, or a network of the front's and this machine's own",
        );
    }
    found
}

fn rule_warnings(config: &Config, source: &Source, policy: &Policy) -> Vec<Fault> {
    let mut found = Vec::new();
    let span_of = |name: &str| {
        let named = config.rules.iter().filter_map(|it| it.name.as_ref());
        named
            .filter(|it| it.get_ref() == name)
            .map(toml::Spanned::span)
            .next()
            .unwrap_or(0..0)
    };
    for (id, above) in policy.unreachable() {
        if let (Some(rule), Some(above)) = (policy.rule(id), policy.rule(above)) {
            let what = format!(
                "it never decides: everything it matches is decided by rule {:?} above it",
                above.name
            );
            found.push(
                source
                    .fault(span_of(&rule.name), what)
                    .hint("move it up, or remove it"),
            );
        }
    }
    for rule in policy.rules().iter().filter(|it| it.is_open()) {
        let what = "it allows everybody everything on every target";
        found.push(
            source
                .fault(span_of(&rule.name), what)
                .hint("name users or groups, targets and interfaces"),
        );
    }
    found.extend(group_warnings(config, source));
    found
}

/// Groups of rules that neither `[groups]` nor a users file has: perhaps misspelled, and then nobody is in them.
fn group_warnings(config: &Config, source: &Source) -> Vec<Fault> {
    let mut known: BTreeSet<String> = config.groups.keys().cloned().collect();
    // Of a file that cannot be read, `files` speaks.
    let users = config.listeners.iter().flat_map(ntlms);
    for path in users.filter_map(|(_, ntlm)| ntlm.users.as_ref()) {
        if let Ok(users) = Users::load(path) {
            known.extend(users.iter().flat_map(|it| it.account.groups.clone()));
        }
    }
    let mut found = Vec::new();
    for rule in &config.rules {
        for group in &rule.groups {
            let name = group.get_ref();
            if known.iter().any(|it| it.eq_ignore_ascii_case(name)) {
                continue;
            }
            let mut what = format!(
                "group {name:?} is not in [groups]: only a users file, a token, a certificate or this machine can bring it"
            );
            if rule.action == Some(Action::Deny) {
                what.push_str("; if none does, this rule denies nobody");
            }
            let hint = did_you_mean(name, known.iter().map(String::as_str))
                .unwrap_or_else(|| format!("{name:?} = [] in [groups], if one brings it"));
            found.push(source.fault(group.span(), what).hint(hint));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use farcall_security::Password;

    use super::*;
    use crate::config::place::Faults;
    use crate::names::Names;
    use crate::policy::compile;

    fn made(text: &str) -> (Config, Source) {
        Config::parse(Path::new("p"), text).expect("TOML")
    }

    fn shown(faults: &[Fault]) -> String {
        faults.iter().map(|it| format!("{it}\n")).collect()
    }

    fn warned(text: &str) -> String {
        let (config, source) = made(text);
        let policy = compile(&config, &source, &Names::standard()).expect("a policy");
        shown(&warnings(&config, &source, &policy))
    }

    const LISTEN: &str = "[[listen]]\nname = \"a\"\nendpoint = \"https://0.0.0.0:443\"\n";
    const PLAIN: &str = "[[listen]]\nname = \"a\"\nendpoint = \"http://0.0.0.0:80\"\n";
    const HERE: &str = "[[listen]]\nname = \"a\"\nendpoint = \"http://127.0.0.1:80\"\n";
    const FRONT: &str = "front = { trusted = [\"10.0.0.2\"], forwarded = true }\n";
    const TLS: &str = "tls = { certificate = \"/no/c\", key = \"/no/k\" }\n";

    #[test]
    fn what_a_proxy_does_not_start_with_is_said() {
        for (text, expected) in [
            (
                LISTEN.to_owned(),
                "p:3:12: listen \"a\".endpoint: an https endpoint without certificates",
            ),
            (format!("{PLAIN}{TLS}"), "certificates at an http endpoint"),
            (
                format!("{LISTEN}{TLS}{LISTEN}{TLS}"),
                "p:6:8: listen \"a\".name: a second listener \"a\"",
            ),
            (
                format!(
                    "{LISTEN}tls = {{ certificate = \"c\", key = \"k\", client-certificates = \"required\" }}"
                ),
                "without a client-ca",
            ),
            (
                format!("{LISTEN}{TLS}authentication.certificate = {{}}"),
                "client-certificates are off",
            ),
            (
                format!("{LISTEN}{TLS}authentication.basic = {{}}"),
                "basic without users",
            ),
            (
                format!("{LISTEN}{TLS}authentication.ntlm = {{}}"),
                "authentication.ntlm without users",
            ),
            (
                format!("{LISTEN}{TLS}authentication.negotiate = {{}}"),
                "negotiate without ntlm",
            ),
            (
                format!("{LISTEN}{TLS}front = {{ trusted = [] }}"),
                "front without trusted",
            ),
            (
                "limits.connection-timeout = \"60s\"".to_owned(),
                "limits.connection-timeout",
            ),
            (
                "limits.window = \"4 KiB\"".to_owned(),
                "limits.window is 4096, expected 8192",
            ),
            ("limits.per-user = 0".to_owned(), "limits.per-user is 0"),
            (
                "[tap]\nfile = \"t\"\nreason = \"r\"\ntargets = [\"x\"]".to_owned(),
                "there is no target \"x\"",
            ),
        ] {
            let (config, source) = made(&text);
            let found = shown(&faults(&config, &source));
            assert!(found.contains(expected), "{text}\n gave {found}");
        }
        let (config, source) = made(&format!("{LISTEN}{TLS}"));
        assert_eq!(shown(&faults(&config, &source)), "");
    }

    #[test]
    fn basic_is_refused_where_passwords_would_cross_a_network_in_clear() {
        let basic = "authentication.basic = { users = \"u\" }\n";
        let found = |text: &str| {
            let (config, source) = made(&format!("{text}{basic}"));
            shown(&faults(&config, &source))
        };
        let any_v6 = PLAIN.replace("0.0.0.0", "[::]");
        for text in [PLAIN, any_v6.as_str()] {
            let found = found(text);
            assert!(
                found.contains(
                    "p:3:12: listen \"a\".endpoint: authentication.basic at an http endpoint"
                ),
                "{text}\n gave {found}"
            );
        }
        for text in [
            HERE.to_owned(),
            HERE.replace("127.0.0.1", "[::1]"),
            format!("{PLAIN}{FRONT}"),
            format!("{LISTEN}{TLS}"),
        ] {
            assert_eq!(found(&text), "", "{text}");
        }
    }

    #[test]
    fn files_that_are_missing_are_said() {
        let (config, source) = made(&format!(
            "audit.file = \"/no/such/audit\"\n{LISTEN}{TLS}authentication.bearer = {{ keys = \"/no/j\", issuer = \"i\", audience = \"a\" }}"
        ));
        let found = shown(&files(&config, &source));
        for expected in [
            "tls.certificate: /no/c: No such file",
            "tls.key: /no/k",
            "bearer.keys: /no/j",
            "audit.file: there is no folder /no/such",
        ] {
            assert!(found.contains(expected), "{found}");
        }
        let (config, source) = made(&format!(
            "{LISTEN}{TLS}authentication.ntlm = {{ users = \"/no/n\" }}\n\
             authentication.negotiate = {{ ntlm = {{ users = \"/no/u\" }} }}\n"
        ));
        let found = shown(&files(&config, &source));
        for expected in [
            "listen \"a\".authentication.ntlm.users: /no/n",
            "listen \"a\".authentication.negotiate.ntlm.users: /no/u",
        ] {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn what_is_unwise_is_said() {
        for (text, expected) in [
            (String::new(), "there is no listener"),
            (format!("{PLAIN}authentication.anonymous = {{ reason = \"a test\" }}"), "without saying who they are: a test"),
            (PLAIN.to_owned(), "without TLS everything"),
            (PLAIN.to_owned(), "no kind of authentication is on"),
            (format!("{PLAIN}{FRONT}authentication.basic = {{ users = \"u\" }}"), "Basic without TLS"),
            (format!("{HERE}authentication.basic = {{ users = \"u\" }}"), "Basic without TLS"),
            (format!("{LISTEN}{TLS}authentication.ntlm = {{ users = \"u\", channel-binding = \"allow\" }}"), "can be relayed"),
            ("policy.deny-pack = \"off\"".to_owned(), "theft of credentials is off"),
            ("policy.mode = \"audit\"".to_owned(), "only records"),
            ("metrics.listen = \"0.0.0.0:9464\"".to_owned(), "served in clear text"),
            ("[tap]\nfile = \"t\"\nreason = \"r\"\nredact = \"tokens\"".to_owned(), "with what calls carry"),
            ("[[rule]]\nname = \"r\"\naction = \"allow\"".to_owned(), "p:2:8: rule \"r\".name: it allows everybody everything"),
            (
                "[[rule]]\nname = \"r\"\naction = \"allow\"\n[[rule]]\nname = \"s\"\naction = \"deny\"".to_owned(),
                "p:5:8: rule \"s\".name: it never decides: everything it matches is decided by rule \"r\"",
            ),
            ("groups.a = []\n[[rule]]\nname = \"r\"\naction = \"allow\"\ngroups = [\"b\"]".to_owned(), "group \"b\" is not in [groups]"),
            ("[[rule]]\nname = \"r\"\naction = \"deny\"\ngroups = [\"b\"]".to_owned(), "p:4:11: rule \"r\".groups: group \"b\" is not in [groups]"),
        ] {
            let found = warned(&text);
            assert!(found.contains(expected), "{text}\n gave {found}");
        }
    }

    #[test]
    fn a_group_that_is_misspelled_is_said_with_what_was_meant() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("users");
        let mut users = Users::default();
        users
            .add(
                "carol",
                "EXAMPLE",
                &Password::from("a secret"),
                &["Staff".to_owned()],
            )
            .expect("a user");
        users.save(&file).expect("saved");
        let rule = |group: &str| {
            format!(
                "[groups]\nhelpdesk = []\n[[rule]]\nname = \"r\"\naction = \"deny\"\ngroups = [\"{group}\"]\n\
                 {LISTEN}{TLS}authentication.negotiate = {{ ntlm = {{ users = {file:?} }} }}\n"
            )
        };
        let hint = |text: &str| {
            let (config, source) = made(text);
            Faults(group_warnings(&config, &source)).to_string()
        };
        let said = hint(&rule("helpdsk"));
        assert!(
            said.contains("p:6:11: rule \"r\".groups: group \"helpdsk\" is not"),
            "{said}"
        );
        assert!(
            said.contains("this rule denies nobody (hint: did you mean helpdesk?)"),
            "{said}"
        );
        // A users file is read for its groups.
        let said = hint(&rule("stff"));
        assert!(said.contains("did you mean Staff?"), "{said}");
        // A group of nobody's that is declared, and one that a token brings.
        assert_eq!(hint(&rule("HelpDesk")), "");
        assert_eq!(hint(&rule("staff")), "");
        let said = hint(&rule("ops"));
        assert!(
            said.contains("(hint: \"ops\" = [] in [groups], if one brings it)"),
            "{said}"
        );
    }

    #[test]
    fn the_template_is_right_and_wise() {
        let (config, source) = made(TEMPLATE);
        assert_eq!(shown(&faults(&config, &source)), "");
        assert_eq!(warned(TEMPLATE), "");
    }

    #[test]
    fn a_careful_file_has_no_warnings() {
        let text = "[[target]]\nname = \"t\"\nhosts = [\"10.0.0.1\"]\nports = [593]\n\
             [audit]\nfile = \"/var/log/a\"\n[[rule]]\nname = \"r\"\naction = \"allow\"\nusers = [\"D\\\\u\"]\n";
        let found = warned(&format!(
            "{text}{LISTEN}{TLS}authentication.negotiate = {{ keytab = \"k\" }}"
        ));
        assert_eq!(found, "");
    }
}
