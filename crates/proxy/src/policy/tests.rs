//! Tests of the policy: a table of who and what to decisions, and what is refused in rules.

use std::net::IpAddr;
use std::path::Path;

use farcall_dce::security::AuthLevel;
use farcall_dce::syntax::SyntaxId;

use super::rule::{Condition, Judged};
use super::*;
use crate::config::Config;
use crate::identity::{AuthKind, Identity};
use crate::names::Names;

const HEAD: &str = r#"
[policy]
deny-pack = "off"
zone = "UTC"
[groups]
helpdesk = ["DOM\\carol"]
[[listen]]
name = "internet"
endpoint = "https://0.0.0.0:443"
[[target]]
name = "files"
hosts = ["files.example", "10.0.0.5"]
ports = [593, "6001-6004"]
[[target]]
name = "mail"
hosts = ["mail.example"]
ports = [593]
"#;

fn made(text: &str) -> Result<Policy, String> {
    let (config, source) = Config::parse(Path::new("p"), text).map_err(|it| it.to_string())?;
    compile(&config, &source, &Names::standard()).map_err(|it| it.to_string())
}

fn policy(rules: &str) -> Policy {
    made(&format!("{HEAD}{rules}")).expect("a policy")
}

fn rule(name: &str, action: &str, rest: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\naction = \"{action}\"\n{rest}\n")
}

fn who(text: &str) -> Identity {
    let (domain, name) = text.split_once('\\').unwrap_or(("", text));
    Identity::new(AuthKind::Ntlm, name.into(), domain.into())
}

fn interface(name: &str) -> SyntaxId {
    let names = Names::standard();
    let known = names.called(name).next().expect(name);
    SyntaxId::new(known.uuid, known.version.0, known.version.1)
}

/// Monday 2026-11-23 10:00 UTC.
const MONDAY: i64 = 1_795_428_000;

fn request<'a>(who: &'a Identity, target: &'a str, ask: Ask) -> Request<'a> {
    let at = Moment {
        unix: MONDAY,
        ticks: 1,
    };
    let source = IpAddr::from([192, 0, 2, 1]);
    Request {
        who,
        source,
        listener: "internet",
        target,
        port: 593,
        ask,
        at,
    }
}

fn call(name: &str, opnum: u16, level: AuthLevel) -> Ask {
    Ask::Call {
        interface: interface(name),
        opnum,
        level,
    }
}

fn bind(name: &str, level: AuthLevel) -> Ask {
    Ask::Bind {
        interface: interface(name),
        level,
    }
}

/// What the policy says to `DOM\alice` at files.
fn says(policy: &Policy, ask: Ask) -> (bool, Option<&str>, Reason) {
    let alice = who("DOM\\alice");
    let decision = policy.decide(&request(&alice, "files", ask), &Rates::new(1));
    let name = decision
        .rule
        .and_then(|id| policy.rule(id))
        .map(|it| &*it.name);
    (decision.allow, name, decision.reason)
}

#[test]
fn what_no_rule_allows_is_denied() {
    let policy = policy("");
    for ask in [
        Ask::Connect,
        bind("samr", AuthLevel::PRIVACY),
        call("samr", 0, AuthLevel::PRIVACY),
    ] {
        assert_eq!(says(&policy, ask), (false, None, Reason::NoRule));
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let policy = policy(
        &(rule(
            "no",
            "deny",
            "users = [\"DOM\\\\alice\"]\ntargets = [\"mail\"]",
        ) + &rule("all", "allow", "")),
    );
    assert_eq!(
        says(&policy, Ask::Connect),
        (true, Some("all"), Reason::Rule)
    );
    let alice = who("DOM\\alice");
    let decision = policy.decide(&request(&alice, "mail", Ask::Connect), &Rates::new(1));
    assert!(!decision.allow && decision.rule == Some(RuleId(0)));
    assert_eq!(policy.hits().collect::<Vec<_>>(), [("no", 1), ("all", 1)]);
}

#[test]
fn each_condition_counts() {
    for (rest, expected) in [
        ("users = [\"DOM\\\\alice\"]", true),
        ("users = [\"alice\"]", false),
        ("users = [\"DOM\\\\bob\", \"DOM\\\\al*\"]", true),
        ("groups = [\"staff\"]", true),
        ("groups = [\"helpdesk\"]", false),
        ("issuers = [\"*\"]", false),
        ("authentication = [\"ntlm\", \"kerberos\"]", true),
        ("authentication = [\"certificate\"]", false),
        ("sources = [\"192.0.2.0/24\"]", true),
        ("sources = [\"10.0.0.0/8\", \"2001:db8::/32\"]", false),
        ("listeners = [\"internet\"]", true),
        ("targets = [\"files\"]", true),
        ("targets = [\"files.example\"]", true),
        ("targets = [\"10.0.0.5:593\"]", true),
        ("targets = [\"files:6001-6004\"]", false),
        ("targets = [\"mail\"]", false),
        ("interfaces = [\"samr\"]", true),
        ("interfaces = [\"SAMR v1.0\"]", true),
        ("interfaces = [\"samr v1\", \"lsarpc\"]", true),
        ("interfaces = [\"samr v1.1\"]", false),
        ("interfaces = [\"samr v2\"]", false),
        (
            "interfaces = [\"12345778-1234-abcd-ef00-0123456789ac\"]",
            true,
        ),
        ("interfaces = [\"lsarpc\"]", false),
        ("interfaces = [\"samr\"]\noperations = [0]", true),
        ("interfaces = [\"samr\"]\noperations = [\"1-63\"]", false),
        (
            "interfaces = [\"samr\", \"lsarpc\"]\noperations = [\"SamrConnect\"]",
            true,
        ),
        ("operations = [\"samr.SamrConnect\"]", true),
        ("operations = [\"samr.SamrConn*\"]", true),
        (
            "operations = [\"samr.SamrCloseHandle\", \"lsarpc.LsarClose\"]",
            false,
        ),
        ("minimum-level = \"integrity\"", true),
        ("minimum-level = \"privacy\"", false),
        ("hours = [\"mon-fri 07:00-19:00\"]", true),
        ("hours = [\"sat\", \"mon 11:00-12:00\"]", false),
        ("mode = \"audit\"", false),
    ] {
        let policy = policy(&rule("r", "allow", rest));
        let mut alice = who("DOM\\alice");
        alice.groups.push("Staff".into());
        let ask = call("samr", 0, AuthLevel::INTEGRITY);
        let decision = policy.decide(&request(&alice, "files", ask), &Rates::new(1));
        assert_eq!(decision.allow, expected, "{rest}");
    }
}

#[test]
fn a_group_of_the_file_has_its_members() {
    let policy = policy(&rule("r", "allow", "groups = [\"HelpDesk\"]"));
    let allows = |name: &str| {
        policy
            .decide(&request(&who(name), "files", Ask::Connect), &Rates::new(1))
            .allow
    };
    assert!(allows("DOM\\Carol") && !allows("DOM\\alice") && !allows("carol"));
}

#[test]
fn a_connection_is_let_in_if_a_call_may_be_allowed() {
    let policy = policy(
        &(rule("no", "deny", "interfaces = [\"lsarpc\"]")
            + &rule(
                "some",
                "allow",
                "interfaces = [\"samr\"]\noperations = [0]\nminimum-level = \"privacy\"",
            )),
    );
    assert_eq!(
        says(&policy, Ask::Connect),
        (true, Some("some"), Reason::MayAllow)
    );
    assert_eq!(
        says(&policy, bind("samr", AuthLevel::PRIVACY)),
        (true, Some("some"), Reason::MayAllow)
    );
    assert_eq!(
        says(&policy, call("samr", 0, AuthLevel::PRIVACY)),
        (true, Some("some"), Reason::Rule)
    );
    assert_eq!(
        says(&policy, call("samr", 1, AuthLevel::PRIVACY)),
        (false, None, Reason::NoRule)
    );
    assert_eq!(
        says(&policy, bind("lsarpc", AuthLevel::PRIVACY)),
        (false, Some("no"), Reason::Rule)
    );
    assert_eq!(
        says(&policy, bind("winreg", AuthLevel::PRIVACY)),
        (false, None, Reason::NoRule)
    );
    let nearly = Reason::Nearly(Condition::MinimumLevel);
    assert_eq!(
        says(&policy, bind("samr", AuthLevel::NONE)),
        (false, Some("some"), nearly)
    );
    assert_eq!(
        says(&policy, call("samr", 0, AuthLevel::INTEGRITY)),
        (false, Some("some"), nearly)
    );
}

#[test]
fn a_rule_that_denies_some_operations_denies_no_bind() {
    let policy = policy(
        &(rule("no", "deny", "interfaces = [\"samr\"]\noperations = [5]")
            + &rule("all", "allow", "")),
    );
    assert!(says(&policy, Ask::Connect).0 && says(&policy, bind("samr", AuthLevel::NONE)).0);
    assert!(says(&policy, call("samr", 4, AuthLevel::NONE)).0);
    assert_eq!(
        says(&policy, call("samr", 5, AuthLevel::NONE)),
        (false, Some("no"), Reason::Rule)
    );
}

#[test]
fn below_a_level_a_rule_denies() {
    let policy = policy(
        &(rule(
            "no",
            "deny",
            "interfaces = [\"icertpassage\"]\nbelow-level = \"privacy\"",
        ) + &rule("all", "allow", "")),
    );
    assert!(!says(&policy, call("icertpassage", 0, AuthLevel::INTEGRITY)).0);
    assert!(!says(&policy, bind("icertpassage", AuthLevel::NONE)).0);
    assert!(says(&policy, call("icertpassage", 0, AuthLevel::PRIVACY)).0);
}

#[test]
fn a_rate_that_is_used_up_denies() {
    let policy =
        policy(&(rule("r", "allow", "rate = \"2 calls per minute\"") + &rule("all", "allow", "")));
    let (alice, rates) = (who("DOM\\alice"), Rates::new(1));
    let decide = |ask| policy.decide(&request(&alice, "files", ask), &rates);
    // Only calls count.
    assert!((0..5).all(|_| decide(Ask::Connect).allow));
    let ask = call("samr", 0, AuthLevel::NONE);
    assert!(decide(ask).allow && decide(ask).allow);
    let third = decide(ask);
    assert_eq!((third.allow, third.reason), (false, Reason::Rate));
    assert_eq!(
        policy.words(&third).to_string(),
        "denied: more often than rule \"r\" allows"
    );
}

#[test]
fn what_only_records_denies_nothing_and_is_told() {
    let rules = rule("watch", "deny", "mode = \"audit\"")
        + &rule("some", "allow", "interfaces = [\"samr\"]");
    let one = policy(&rules);
    let alice = who("DOM\\alice");
    let decision = one.decide(
        &request(&alice, "files", call("samr", 0, AuthLevel::NONE)),
        &Rates::new(1),
    );
    assert_eq!(
        (decision.allow, decision.noted, decision.rule),
        (true, Some(RuleId(0)), Some(RuleId(1)))
    );
    let whole = made(&format!(
        "{}{rules}",
        HEAD.replace("zone", "mode = \"audit\"\nzone")
    ))
    .expect("a policy");
    let decision = whole.decide(
        &request(&alice, "files", call("lsarpc", 0, AuthLevel::NONE)),
        &Rates::new(1),
    );
    assert_eq!(
        (decision.allow, decision.verdict, decision.reason),
        (true, false, Reason::NoRule)
    );
}

#[test]
fn hours_are_those_of_the_zone() {
    let text = HEAD.replace("\"UTC\"", "\"Europe/Berlin\"")
        + &rule("r", "allow", "hours = [\"mon 11:00-12:00\"]");
    let policy = made(&text).expect("a policy");
    assert!(
        says(&policy, Ask::Connect).0,
        "10:00 UTC is 11:00 in November"
    );
    // In July it is 12:00: Monday 2026-07-20 10:00 UTC.
    let alice = who("DOM\\alice");
    let mut july = request(&alice, "files", Ask::Connect);
    july.at.unix = 1_784_541_600;
    let decision = policy.decide(&july, &Rates::new(1));
    assert_eq!(
        (decision.allow, decision.reason),
        (false, Reason::Nearly(Condition::Hours))
    );
}

#[test]
fn the_pack_stands_first_unless_the_file_says_where() {
    let head = HEAD.replace("deny-pack = \"off\"\n", "");
    let all = rule("all", "allow", "");
    let first = made(&format!("{head}{all}")).expect("a policy");
    for (name, opnum, allowed) in [
        ("efsrpc", 0, false),
        ("spoolss", 65, false),
        ("netdfs", 12, false),
        ("netdfs", 23, false),
        ("netdfs", 5, true),
        ("fsrvp", 8, false),
        ("drsuapi", 3, false),
        ("drsuapi", 12, true),
        ("svcctl", 15, false),
        ("itaskschedulerservice", 1, false),
        ("winreg", 2, false),
        ("samr", 0, true),
        ("eventlog", 9, false),
        ("icertpassage", 0, true),
    ] {
        assert_eq!(
            says(&first, call(name, opnum, AuthLevel::PRIVACY)).0,
            allowed,
            "{name} {opnum}"
        );
    }
    assert!(!says(&first, bind("efsrpc", AuthLevel::PRIVACY)).0);
    assert!(says(&first, Ask::Connect).0);
    let here = rule("printing", "allow", "interfaces = [\"spoolss\"]")
        + "[[rule]]\ninclude = \"deny-pack\"\n"
        + &all;
    let placed = made(&format!("{head}{here}")).expect("a policy");
    assert!(says(&placed, call("spoolss", 65, AuthLevel::NONE)).0);
    assert!(!says(&placed, call("efsrpc", 0, AuthLevel::NONE)).0);
}

#[test]
fn an_explanation_has_every_rule_and_those_that_came_too_late() {
    let policy = policy(
        &(rule("other", "allow", "targets = [\"mail\"]")
            + &rule("no", "deny", "interfaces = [\"samr\"]")
            + &rule("all", "allow", "")),
    );
    let alice = who("DOM\\alice");
    let explanation = policy.explain(&request(&alice, "files", call("samr", 0, AuthLevel::NONE)));
    let judged: Vec<Judged> = explanation.seen.iter().map(|it| it.judged).collect();
    assert_eq!(
        judged,
        [Judged::No(Condition::Targets), Judged::Yes, Judged::Yes]
    );
    assert_eq!(explanation.decision.rule, Some(RuleId(1)));
    assert_eq!(explanation.later().collect::<Vec<_>>(), [RuleId(2)]);
    assert_eq!(policy.hits().map(|(_, count)| count).sum::<u64>(), 0);
}

#[test]
fn a_rule_behind_one_that_decides_all_of_its_cases_is_unreachable() {
    for (first, second, is) in [
        ("", "", true),
        ("", "interfaces = [\"samr\"]\nhours = [\"mon\"]", true),
        ("users = [\"*\"]", "users = [\"DOM\\\\a\"]", true),
        (
            "users = [\"DOM\\\\a\"]",
            "users = [\"DOM\\\\a\", \"DOM\\\\b\"]",
            false,
        ),
        ("users = [\"DOM\\\\a\"]", "", false),
        (
            "sources = [\"10.0.0.0/8\"]",
            "sources = [\"10.1.0.0/16\", \"10.2.0.0/16\"]",
            true,
        ),
        (
            "sources = [\"10.1.0.0/16\"]",
            "sources = [\"10.0.0.0/8\"]",
            false,
        ),
        (
            "interfaces = [\"samr\"]",
            "interfaces = [\"samr v1.0\"]\noperations = [3]",
            true,
        ),
        (
            "interfaces = [\"samr\"]\noperations = [\"0-9\"]",
            "interfaces = [\"samr\"]\noperations = [3, 4]",
            true,
        ),
        (
            "interfaces = [\"samr\"]\noperations = [\"0-9\"]",
            "interfaces = [\"samr\"]",
            false,
        ),
        (
            "minimum-level = \"connect\"",
            "minimum-level = \"privacy\"",
            true,
        ),
        (
            "minimum-level = \"privacy\"",
            "minimum-level = \"connect\"",
            false,
        ),
        ("targets = [\"files\"]", "targets = [\"files:593\"]", true),
        ("targets = [\"files:593\"]", "targets = [\"files\"]", false),
        (
            "authentication = [\"ntlm\", \"basic\"]",
            "authentication = [\"basic\"]",
            true,
        ),
        (
            "authentication = [\"basic\"]",
            "authentication = [\"ntlm\"]",
            false,
        ),
        ("mode = \"audit\"", "", false),
    ] {
        let policy = policy(&(rule("1", "allow", first) + &rule("2", "allow", second)));
        let found: Vec<_> = policy.unreachable().collect();
        assert_eq!(
            found,
            if is {
                vec![(RuleId(1), RuleId(0))]
            } else {
                vec![]
            },
            "{first} / {second}"
        );
    }
}

#[test]
fn what_is_wrong_with_rules_is_said_where_it_stands() {
    let lines = HEAD.lines().count();
    for (rules, expected) in [
        (
            rule("r", "allow", "interfaces = [\"efsrp\"]"),
            "rule \"r\".interfaces: no interface is called \"efsrp\" (hint: did you mean efsrpc?)"
                .to_owned(),
        ),
        (
            rule("r", "allow", "interfaces = [\"zzz\"]"),
            "(hint: its UUID, or a table of names".into(),
        ),
        (
            rule("r", "allow", "interfaces = [\"samr 1.0\"]"),
            "such as \"samr\", \"samr v1\"".into(),
        ),
        (
            rule(
                "r",
                "allow",
                "interfaces = [\"samr\"]\noperations = [\"SamrConect\"]",
            ),
            "no operation of these interfaces is called \"SamrConect\" (hint: did you mean Samr"
                .into(),
        ),
        (
            rule("r", "allow", "operations = [3]"),
            "an operation by its number, but no interface".into(),
        ),
        (
            rule("r", "allow", "targets = [\"file\"]"),
            "there is no target \"file\" (hint: the targets are files, mail)".into(),
        ),
        (
            rule("r", "allow", "targets = [\"files:0\"]"),
            "there is no target \"files:0\"".into(),
        ),
        (
            rule("r", "allow", "listeners = [\"lan\"]"),
            "there is no listener \"lan\" (hint: the listeners are internet)".into(),
        ),
        (
            rule("r", "allow", "authentication = [\"digest\"]"),
            "\"digest\" is no kind of authentication, expected one of anonymous, basic".into(),
        ),
        (
            rule("r", "deny", "rate = \"1 calls per day\""),
            "rule \"r\".rate: a rate at a rule that denies".into(),
        ),
        (
            rule("r", "deny", "minimum-level = \"privacy\""),
            "rule \"r\".minimum-level: a minimum-level at a rule that denies (hint: below-level"
                .into(),
        ),
        (
            rule("r", "allow", "below-level = \"privacy\""),
            "rule \"r\".below-level: a below-level at a rule that allows (hint: minimum-level"
                .into(),
        ),
        (
            "[[rule]]\naction = \"allow\"\n".into(),
            "a rule without a name".into(),
        ),
        (
            "[[rule]]\nname = \"r\"\n".into(),
            format!(
                "p:{}:8: rule \"r\".name: a rule without an action",
                lines + 2
            ),
        ),
        (
            rule("r", "allow", "") + &rule("r", "deny", ""),
            format!("p:{}:8: rule \"r\".name: a second rule \"r\"", lines + 6),
        ),
        (
            "[[rule]]\ninclude = \"x\"\n".into(),
            "\"x\" cannot be included".into(),
        ),
        (
            "[[rule]]\ninclude = \"deny-pack\"\n".into(),
            "deny-pack = \"off\"".into(),
        ),
    ] {
        let error = made(&format!("{HEAD}{rules}"))
            .map(|_| ())
            .expect_err(&rules);
        assert!(error.contains(&expected), "{rules}\n gave {error}");
    }
    let error = made("[policy]\nzone = \"Mars/Base\"\n")
        .map(|_| ())
        .expect_err("a zone");
    assert!(
        error.contains("p:2:8: policy.zone: time zone \"Mars/Base\" is not known here"),
        "{error}"
    );
    // All faults are told at once.
    let two = rule("r", "allow", "targets = [\"x\"]\ninterfaces = [\"zzz\"]");
    assert_eq!(
        made(&format!("{HEAD}{two}"))
            .map(|_| ())
            .expect_err("two")
            .lines()
            .count(),
        2
    );
}
