//! The waterfall as a person sees it.

use super::*;
use crate::endpoint::Transport;
use crate::steps::step::Step;

fn steps(client: bool, server: bool, instants: &[(Step, u64)]) -> Steps {
    let mut steps = Steps {
        interface: None,
        transport: Transport::Tcp,
        program: 1,
        version: 2,
        procedure: 3,
        xid: 4,
        peer: "tcp://h:1".into(),
        client,
        server,
        instants: [None; 10],
    };
    for (step, at) in instants {
        steps.set(*step, *at);
    }
    steps
}

#[test]
fn a_call_with_all_instants_is_a_waterfall() {
    let all: Vec<_> = Step::ALL
        .into_iter()
        .zip((1_000_000..).step_by(1_000))
        .collect();
    let text = render(&steps(true, true, &all), 80);
    let expected = "   \
step                                            at µs    for µs  by
 1 client packs            █                         0.0       1.0  program
 2 kernel sends the call    ██                       1.0       1.0  kernel
 3 server's kernel has it     ██                     2.0       1.0  kernel
 4 server receives it           ██                   3.0       1.0  program
 5 procedure begins               ██                 4.0       1.0  program
 6 procedure returns                ██               5.0       1.0  program
 7 kernel sends the reply             ██             6.0       1.0  kernel
 8 client's kernel has it               ██           7.0       1.0  kernel
 9 client receives it                     ██         8.0       1.0  program
10 caller has the result                   ▏         9.0         -  program
   altogether                                        9.0
";
    assert_eq!(text, expected);
    assert!(text.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn what_nobody_measured_is_said() {
    let at = [(Step::ClientPacks, 5_000), (Step::ClientReceives, 65_000)];
    let text = render(&steps(true, false, &at), 80);
    assert_eq!(text.matches("not seen").count(), 5, "{text}");
    assert_eq!(text.matches("not measured").count(), 3, "{text}");
    assert!(text.contains("60.0"), "{text}");
}

#[test]
fn any_width_will_do() {
    let at = [(Step::ClientPacks, 5), (Step::ClientReceives, 5)];
    for width in 0..200 {
        let text = render(&steps(true, true, &at), width);
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(width.max(71)), "{width}: {widest:?}");
    }
    assert_eq!(render(&steps(true, true, &[]), 80).lines().count(), 12);
}

#[test]
fn only_records_of_one_call_are_joined() {
    let client = steps(true, false, &[(Step::ClientPacks, 10)]);
    let server = steps(false, true, &[(Step::CallArrives, 20)]);
    let both = Steps::merge(&client, &server).expect("one call");
    assert_eq!(
        both.instant(Step::CallArrives).map(|i| i.nanoseconds),
        Some(20)
    );
    assert_eq!(both.elapsed(), Duration::from_nanos(10));
    let other = Steps { xid: 5, ..server };
    assert!(Steps::merge(&client, &other).is_none());
    assert!(Steps::merge(&other, &client).is_none());
}
