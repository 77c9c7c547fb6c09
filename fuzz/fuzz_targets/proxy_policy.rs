//! Any text as proxy.toml: it is refused with a place, or makes a policy that answers every question, the same with and
//! without an explanation, and denies whatever it has no rule for.
#![no_main]

use std::net::IpAddr;
use std::path::Path;
use std::sync::LazyLock;

use farcall_dce::security::AuthLevel;
use farcall_dce::syntax::SyntaxId;
use farcall_proxy::config::Config;
use farcall_proxy::names::Names;
use farcall_proxy::policy::{Ask, Moment, Rates, Reason, Request, Targets, compile};
use farcall_proxy::{AuthKind, Identity, check};
use libfuzzer_sys::fuzz_target;

static NAMES: LazyLock<Names> = LazyLock::new(Names::standard);

fn resolve(name: &str) -> std::io::Result<Vec<IpAddr>> {
    let first = name.bytes().next().unwrap_or(0);
    Ok(vec![[10, 0, 0, first].into()])
}

fuzz_target!(|text: &str| {
    let lines = text.lines().count() + 1;
    let (config, source) = match Config::parse(Path::new("p"), text) {
        Ok(read) => read,
        Err(faults) => {
            assert!(faults.0.iter().all(|it| it.place.line <= lines));
            return;
        }
    };
    let _ = check::faults(&config, &source);
    let _ = Targets::pin(&config, &source, &mut resolve);
    let Ok(policy) = compile(&config, &source, &NAMES) else {
        return;
    };
    let _ = check::warnings(&config, &source, &policy);
    let mut who = Identity::new(AuthKind::Ntlm, "alice".into(), "EXAMPLE".into());
    who.groups = config.groups.keys().take(2).cloned().collect();
    let target = config.targets.first().map_or("files", |it| it.name.get_ref());
    let listener = config.listeners.first().map_or("", |it| it.name.get_ref());
    let rates = Rates::new(1);
    for known in NAMES.iter().take(8) {
        let interface = SyntaxId::new(known.uuid, known.version.0, known.version.1);
        let level = AuthLevel::INTEGRITY;
        for ask in [
            Ask::Connect,
            Ask::Bind { interface, level },
            Ask::Call { interface, opnum: 3, level },
        ] {
            let at = Moment { unix: 1_795_428_000, ticks: 1 };
            let source = [192, 0, 2, 1].into();
            let request = Request { who: &who, source, listener, target, port: 593, ask, at };
            let explained = policy.explain(&request).decision;
            let decided = policy.decide(&request, &rates);
            assert!(explained == decided || decided.reason == Reason::Rate);
            if matches!(decided.reason, Reason::NoRule | Reason::Nearly(_)) {
                assert!(!decided.verdict);
            }
            let _ = policy.words(&decided).to_string();
        }
    }
});
