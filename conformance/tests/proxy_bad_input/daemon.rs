//! What happens to clients when the proxy is told something: another file, a wrong one, to end.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use farcall_conformance::raw::{Heard, Pdu, words};
use nix::sys::signal::Signal;

use super::{ACCESS_DENIED, ADD_ONE, Host, NOBODY, Tunnel, cookie, eventually, host};

/// Changes the file and tells the proxy.
fn reload(host: &Host, change: impl FnOnce(&str) -> String) {
    let file = host.scratch.file("proxy.toml");
    let text = fs::read_to_string(&file).expect("a file");
    fs::write(&file, change(&text)).expect("written");
    host.proxy.process.signal(Signal::SIGHUP).expect("told");
}

/// A tunnel through which calls go.
fn tunnel(host: &Host) -> Tunnel {
    let mut tunnel = Tunnel::open(host.at(NOBODY), cookie(), "");
    tunnel.bind();
    tunnel.add_one(1);
    tunnel
}

#[test]
fn a_new_file_is_in_force_at_the_next_call_and_a_wrong_one_changes_nothing() {
    let Some(mut host) = host("", "") else { return };
    let mut tunnel = tunnel(&host);
    assert!(host.page("/status").contains("configuration 1, "));
    // A wrong file: what was in force stays, and the log says what is wrong, with its place.
    reload(&host, |text| {
        format!("{text}[[rule]]\nname = \"x\"\naction = \"perhaps\"\n")
    });
    let said = host.audited("\"event\":\"reload\"", 1);
    assert!(
        said[0].contains("rule") && said[0].contains("perhaps"),
        "{said:?}"
    );
    assert!(host.page("/status").contains("configuration 1, "));
    assert_eq!(host.metric("reloads_total{result=\"failed\"}"), 1);
    tunnel.add_one(2);
    // So does a file that names certificates which are not there: all of it or nothing.
    reload(&host, |text| {
        let text = text.replace(
            "action = \"perhaps\"",
            "action = \"deny\"\ninterfaces = [\"rpcecho\"]\noperations = [\"AddOne\"]",
        );
        text.replacen("[listen.authentication.ntlm]\n", "[listen.authentication.bearer]\nkeys = \"nowhere\"\nissuer = \"i\"\naudience = \"a\"\n[listen.authentication.ntlm]\n", 1)
    });
    host.audited("\"event\":\"reload\"", 2);
    assert!(host.page("/status").contains("configuration 1, "));
    tunnel.add_one(3);
    // A right one: the running connection is judged by it, and lives.
    reload(&host, |text| {
        let text = text.replace("[listen.authentication.bearer]\nkeys = \"nowhere\"\nissuer = \"i\"\naudience = \"a\"\n", "");
        let (before, rule) = text
            .split_once("[[rule]]\nname = \"everything\"")
            .expect("the last rule");
        let (everything, denied) = rule.split_once("[[rule]]").expect("the rule that denies");
        format!("{before}[[rule]]{denied}[[rule]]\nname = \"everything\"{everything}")
    });
    eventually("the new file is in force", || {
        host.page("/status").contains("configuration 2, ")
    });
    let heard = tunnel.ask_pdu(&Pdu::request(9, ADD_ONE, &words(&[1])));
    assert_eq!(heard.fault(), Some(ACCESS_DENIED), "{heard:?}");
    // Back again.
    reload(&host, |text| text.replace("\"AddOne\"", "\"SinkData\""));
    eventually("the old rules are in force", || {
        host.page("/status").contains("configuration 3, ")
    });
    tunnel.add_one(4);
    host.serves();
}

#[test]
fn a_log_that_was_moved_is_begun_anew() {
    let Some(host) = host("", "") else { return };
    drop(tunnel(&host));
    host.audited("\"event\":\"close\"", 2);
    fs::rename(host.scratch.file("audit"), host.scratch.file("audit.1")).expect("moved");
    reload(&host, str::to_owned);
    eventually("a new log", || host.scratch.file("audit").is_file());
    host.audited("\"event\":\"reload\"", 1);
    let old = fs::read_to_string(host.scratch.file("audit.1")).expect("the old log");
    assert!(
        old.contains("\"event\":\"start\"") && old.contains("\"event\":\"connect\""),
        "{old}"
    );
}

#[test]
fn who_is_there_goes_on_after_sigterm_and_nobody_comes() {
    let Some(mut host) = host("", "") else { return };
    let mut tunnel = tunnel(&host);
    host.proxy.process.signal(Signal::SIGTERM).expect("told");
    eventually("no connections are taken", || {
        TcpStream::connect(host.at(NOBODY)).is_err()
    });
    let status = host.page("/status");
    assert!(status.contains("draining"), "{status}");
    assert_eq!(host.metric("channels{phase=\"draining\"}"), 1);
    for value in 0..20 {
        tunnel.add_one(value);
    }
    // When the last one goes, so does the proxy.
    drop(tunnel);
    assert!(host.proxy.process.ended().expect("an end").success());
    let audit = host.audit();
    assert!(audit.contains("\"event\":\"stop\""), "{audit}");
}

#[test]
fn what_is_left_after_the_drain_is_ended_and_told() {
    let Some(mut host) = host("[limits]\ndrain = \"1s\"\n", "") else {
        return;
    };
    let mut tunnel = tunnel(&host);
    let begun = Instant::now();
    host.proxy.process.signal(Signal::SIGTERM).expect("told");
    assert_eq!(tunnel.hear(), Heard::Closed);
    assert!(
        begun.elapsed() >= Duration::from_millis(900),
        "it had its second"
    );
    assert!(host.proxy.process.ended().expect("an end").success());
    assert!(host.audit().contains("the proxy ends"), "{}", host.audit());
}

#[test]
fn a_second_sigterm_ends_it_at_once() {
    let Some(mut host) = host("", "") else { return };
    let mut tunnel = tunnel(&host);
    host.proxy.process.signal(Signal::SIGTERM).expect("told");
    eventually("it drains", || TcpStream::connect(host.at(NOBODY)).is_err());
    host.proxy.process.signal(Signal::SIGTERM).expect("told");
    host.proxy
        .process
        .ended()
        .expect("an end, long before the drain is over");
    assert_eq!(tunnel.hear(), Heard::Closed);
}
