//! A client and a server of datagrams through many storms: loss up to 30 %, duplication, reordering, reconnects. What a
//! procedure that is not idempotent did, it did once.
//!
//! `FARCALL_SIMULATED_CALLS=1000000` runs that many calls (in a release build half a minute); without it there are some
//! twenty thousand. A failure names its loss and its seed; both go into [`KEPT`], which runs first every time.

use farcall_conformance::link::Conditions;
use farcall_conformance::pair::{COUNT, End, Pair, Plan};
use farcall_onc::client::ClientConfig;
use farcall_onc::drc::{DrcConfig, PortPolicy};
use std::time::Duration;

/// Loss in percent; as many are repeated.
const LOSSES: [u64; 6] = [0, 1, 5, 10, 20, 30];

/// Calls of one simulation.
const CALLS: u32 = 250;

/// Calls in all, unless the environment says otherwise.
const USUALLY: u64 = 20_000;

/// Loss and seed of storms that have found something, and of some rough ones.
const KEPT: [(u64, u64); 4] = [(30, 0), (30, 77), (20, 4242), (1, 9)];

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// How long a client insists. The cache must remember for longer than that.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A network that loses, repeats and reorders; a procedure that may take longer than the first repetition.
fn storm(seed: u64, loss: u64, reconnects: u64) -> Plan {
    Plan {
        seed,
        network: Conditions {
            loss,
            duplicate: loss,
            delay: millis(1)..millis(400),
        },
        work: millis(0)..millis(2500),
        drc: Some(DrcConfig {
            ttl: 2 * PATIENCE,
            // A client that reconnects is the same client.
            port: PortPolicy::Never,
            ..DrcConfig::default()
        }),
        client: ClientConfig::default(),
        reconnects,
    }
}

fn calls(pair: &mut Pair, within: Duration) {
    for argument in 0..CALLS {
        pair.call(COUNT, argument, within).expect("begin a call");
    }
    pair.run();
}

/// Every call ran once, and got the result of that.
fn exactly_once(loss: u64, seed: u64, reconnects: u64) {
    let mut pair = Pair::new(&storm(seed, loss, reconnects));
    calls(&mut pair, PATIENCE);
    for argument in 0..CALLS {
        let got = (pair.executed().get(&argument), pair.ends().get(&argument));
        let want = (Some(&1), Some(&End::Result(argument ^ 1)));
        assert_eq!(
            got, want,
            "call {argument}, loss {loss}, seed {seed}, reconnects {reconnects}"
        );
    }
    assert_eq!(pair.client.in_flight(), 0);
}

/// How many simulations of each loss there are to be, for this share of all calls.
fn seeds(share: u64) -> std::ops::Range<u64> {
    let all = std::env::var("FARCALL_SIMULATED_CALLS");
    let all = all.map_or(USUALLY, |text| {
        text.parse().expect("FARCALL_SIMULATED_CALLS is a number")
    });
    let losses = u64::try_from(LOSSES.len()).expect("few");
    0..(all / share / losses / u64::from(CALLS)).max(1)
}

#[test]
fn storms_that_once_found_something_find_nothing_now() {
    for (loss, seed) in KEPT {
        for reconnects in [0, 20] {
            exactly_once(loss, seed, reconnects);
        }
    }
}

#[test]
fn through_every_storm_every_call_is_executed_exactly_once() {
    for loss in LOSSES {
        for seed in seeds(2) {
            exactly_once(loss, seed, 0);
        }
    }
}

#[test]
fn a_client_that_comes_back_with_another_socket_is_executed_exactly_once_too() {
    for loss in LOSSES {
        for seed in seeds(2) {
            exactly_once(loss, seed, 20);
        }
    }
}

/// As it comes: the cache remembers for two minutes, and a call has less. Nothing runs twice, whatever is lost, and a
/// result is the result of the one time.
#[test]
fn with_the_usual_settings_a_call_is_executed_at_most_once() {
    for loss in LOSSES {
        for seed in seeds(8) {
            let mut pair = Pair::new(&Plan {
                drc: Some(DrcConfig::default()),
                ..storm(seed, loss, 0)
            });
            calls(&mut pair, Duration::from_secs(100));
            assert_eq!(pair.ends().len(), CALLS as usize);
            for (argument, end) in pair.ends() {
                let count = pair.executed().get(argument).copied().unwrap_or_default();
                let fine = match end {
                    End::Result(result) => count == 1 && *result == argument ^ 1,
                    End::TimedOut => count <= 1,
                    End::Refused(_) => false,
                };
                assert!(
                    fine,
                    "call {argument} loss {loss} seed {seed}: {end:?}, run {count} times"
                );
            }
        }
    }
}

/// The simulation finds what it looks for: where the port belongs to the client, one that reconnects is another one.
#[test]
fn where_the_port_counts_a_reconnecting_client_is_executed_more_than_once() {
    let plan = Plan {
        drc: Some(DrcConfig {
            ttl: 2 * PATIENCE,
            ..DrcConfig::default()
        }),
        ..storm(1, 20, 20)
    };
    let mut pair = Pair::new(&plan);
    calls(&mut pair, PATIENCE);
    assert!(pair.executed().values().any(|count| *count > 1));
}
