//! A decision takes no memory and little time.

use std::path::Path;
use std::time::Instant;

use farcall_dce::security::AuthLevel;
use farcall_dce::syntax::SyntaxId;
use farcall_proxy::config::Config;
use farcall_proxy::names::Names;
use farcall_proxy::policy::{Ask, Moment, Policy, Rates, Request, compile};
use farcall_proxy::{AuthKind, Identity};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// The pack and a hundred rules of which the last decides.
fn policy() -> Policy {
    let mut text = "[policy]\nzone = \"Europe/Berlin\"\n[[target]]\nname = \"files\"\nhosts = [\"10.0.0.5\"]\nports = [593]\n".to_owned();
    for n in 0..100 {
        text += &format!(
            "[[rule]]\nname = \"rule {n}\"\naction = \"allow\"\ngroups = [\"group {n}\"]\ntargets = [\"files\"]\ninterfaces = [\"samr\"]\n\
             operations = [\"SamrConnect*\"]\nminimum-level = \"integrity\"\nhours = [\"mon-sun\"]\nrate = \"4000000000 calls per second\"\n"
        );
    }
    let (config, source) = Config::parse(Path::new("p"), &text).expect("TOML");
    compile(&config, &source, &Names::standard()).expect("a policy")
}

#[test]
fn a_decision_takes_no_memory() {
    let (policy, rates) = (policy(), Rates::default());
    let mut who = Identity::new(AuthKind::Ntlm, "alice".into(), "EXAMPLE".into());
    who.groups = (90..100).map(|n| format!("Group {n}")).collect();
    let names = Names::standard();
    let interface = names.called("samr").next().expect("known").uuid;
    let interface = SyntaxId::new(interface, 1, 0);
    let level = AuthLevel::PRIVACY;
    let request = |ask| Request {
        who: &who,
        source: [192, 0, 2, 1].into(),
        listener: "internet",
        target: "files",
        port: 593,
        ask,
        at: Moment {
            unix: 1_795_428_000,
            ticks: 1,
        },
    };
    let asks = [
        Ask::Connect,
        Ask::Bind { interface, level },
        Ask::Call {
            interface,
            opnum: 0,
            level,
        },
        Ask::Call {
            interface,
            opnum: 9,
            level,
        },
    ];
    let expected = [true, true, true, false];
    let region = Region::new(ALLOCATOR);
    for _ in 0..100 {
        for (ask, allowed) in asks.into_iter().zip(expected) {
            assert_eq!(policy.decide(&request(ask), &rates).allow, allowed);
        }
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0));
    const ROUNDS: u32 = 500;
    for ask in asks {
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            std::hint::black_box(policy.decide(std::hint::black_box(&request(ask)), &rates));
        }
        println!("{ask:?}: {} ns", (begun.elapsed() / ROUNDS).as_nanos());
    }
}
