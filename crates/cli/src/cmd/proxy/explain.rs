//! `farcall proxy explain`: what the policy would decide about a caller and a call, and why.
//!
//! The three questions that a client meets are asked one after the other: may it connect, may it bind the interface, may it
//! call the operation. Rates are not counted, so an answer is that of a caller who has not used them up.

use std::net::IpAddr;
use std::path::PathBuf;

use farcall_dce::security::AuthLevel;
use farcall_dce::syntax::{SyntaxId, Uuid};
use farcall_proxy::config::Action;
use farcall_proxy::config::value::Level;
use farcall_proxy::live::State;
use farcall_proxy::policy::rule::Judged;
use farcall_proxy::policy::{Ask, Explanation, Moment, Pinned, Reason, Request};
use farcall_proxy::target::Target;
use farcall_proxy::{AuthKind, Identity};
use serde_json::{Value, json};

use crate::output::{Done, Failure, Output};
use crate::table::Table;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who calls: DOMAIN\NAME, NAME, or anonymous
    who: String,

    /// What is called: HOST:PORT, HOST:PORT/INTERFACE or HOST:PORT/INTERFACE/OPERATION
    what: String,

    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "proxy.toml")]
    config: PathBuf,

    /// A group that the caller's account, token or certificate brings; may repeat
    #[arg(long, value_name = "NAME")]
    group: Vec<String>,

    /// How the caller was authenticated: basic, ntlm, kerberos, certificate or bearer
    #[arg(long, value_name = "KIND", default_value = "ntlm", value_parser = kind)]
    by: AuthKind,

    /// Who vouches: a certificate's issuer, or a token's
    #[arg(long, value_name = "NAME", default_value = "")]
    issuer: String,

    /// Where the caller is
    #[arg(long, value_name = "ADDRESS", default_value = "192.0.2.1")]
    from: IpAddr,

    /// The listener it comes through [default: the first]
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,

    /// The level of authentication of its calls: none, connect, packet, integrity or privacy
    #[arg(long, default_value = "privacy", value_parser = level)]
    level: AuthLevel,

    /// When, in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    at: Option<i64>,
}

fn kind(word: &str) -> Result<AuthKind, Failure> {
    AuthKind::from_word(word)
        .ok_or_else(|| Failure::new("expected basic, ntlm, kerberos, certificate or bearer"))
}

fn level(word: &str) -> Result<AuthLevel, Failure> {
    let level: Level = word
        .parse()
        .map_err(|error| Failure::new(format!("{error}")))?;
    Ok(level.0)
}

impl Args {
    fn identity(&self) -> Identity {
        if self.who == "anonymous" {
            return Identity::anonymous();
        }
        let (domain, name) = self.who.split_once('\\').unwrap_or(("", &self.who));
        let mut who = Identity::new(self.by, name.to_owned(), domain.to_owned());
        who.groups.clone_from(&self.group);
        who.issuer.clone_from(&self.issuer);
        who
    }
}

/// One of the questions, and the answer to it.
struct Answer {
    question: String,
    explanation: Explanation,
}

pub(crate) fn run(args: &Args, out: &Output) -> anyhow::Result<Done> {
    let state =
        State::load(&args.config, &mut super::resolve).map_err(|faults| super::failed(&faults))?;
    let mut parts = args.what.splitn(3, '/');
    let asked: Target = parts.next().unwrap_or_default().parse().map_err(|error| {
        Failure::new(format!("{:?} is no target: {error}", args.what))
            .hint("such as files.example.com:593/samr/SamrConnect")
    })?;
    let pinned = match state.targets.find(&asked) {
        Ok(pinned) => pinned,
        Err(refused) => return no_target(&asked, &refused.to_string(), out),
    };
    let questions = questions(&state, args.level, parts.next(), parts.next())?;
    let answers = answer(&state, args, pinned, asked.port, questions)?;
    let allowed = answers.iter().all(|it| it.explanation.decision.allow);
    match out.is_json() {
        true => out.pretty_json(&as_json(&state, pinned, &answers))?,
        false => show(&state, args, pinned, &answers, out)?,
    }
    Ok(if allowed { Done::Yes } else { Done::No })
}

/// There is nothing to decide: no rule is asked about what is no target.
fn no_target(asked: &Target, why: &str, out: &Output) -> anyhow::Result<Done> {
    match out.is_json() {
        true => out.pretty_json(&json!({ "target": null, "allowed": false, "reason": why }))?,
        false => out.line(format_args!(
            "{asked}  {}  {why}",
            out.paint().red("denied")
        ))?,
    }
    Ok(Done::No)
}

/// What is to be asked, each with how it is called.
fn questions(
    state: &State,
    level: AuthLevel,
    interface: Option<&str>,
    operation: Option<&str>,
) -> Result<Vec<(String, Ask)>, Failure> {
    let mut all = vec![("connect".to_owned(), Ask::Connect)];
    let Some(interface) = interface else {
        return Ok(all);
    };
    let id = find_interface(state, interface)?;
    let name = state.names.interface(id.uuid);
    all.push((
        format!("bind {name} at {level}"),
        Ask::Bind {
            interface: id,
            level,
        },
    ));
    if let Some(operation) = operation {
        let opnum = find_operation(state, id.uuid, operation)?;
        let operation = state
            .names
            .operation(id.uuid, opnum)
            .map_or_else(|| opnum.to_string(), str::to_owned);
        let ask = Ask::Call {
            interface: id,
            opnum,
            level,
        };
        all.push((format!("call {name}.{operation} at {level}"), ask));
    }
    Ok(all)
}

fn find_interface(state: &State, text: &str) -> Result<SyntaxId, Failure> {
    let known = match text.parse::<Uuid>() {
        Ok(uuid) => match state.names.of(uuid) {
            Some(known) => known,
            None => return Ok(SyntaxId::new(uuid, 1, 0)),
        },
        Err(_) => state.names.called(text).next().ok_or_else(|| {
            let like = state.names.like(text);
            let failure = Failure::new(format!("no interface is called {text:?}"));
            match like.is_empty() {
                true => failure.hint("its UUID, or a table of names in [policy] names"),
                false => failure.hint(format!("did you mean {}?", like.join(" or "))),
            }
        })?,
    };
    Ok(SyntaxId::new(known.uuid, known.version.0, known.version.1))
}

fn find_operation(state: &State, uuid: Uuid, text: &str) -> Result<u16, Failure> {
    if let Ok(opnum) = text.parse() {
        return Ok(opnum);
    }
    let operations = state.names.of(uuid).map(|it| &it.operations);
    let mut named = operations
        .into_iter()
        .flatten()
        .filter(|(_, name)| name.eq_ignore_ascii_case(text));
    let found = named.next().map(|(opnum, _)| *opnum);
    found.ok_or_else(|| {
        Failure::new(format!("the interface has no operation {text:?}")).hint("its number will do")
    })
}

fn answer(
    state: &State,
    args: &Args,
    pinned: &Pinned,
    port: u16,
    questions: Vec<(String, Ask)>,
) -> Result<Vec<Answer>, Failure> {
    let first = || {
        state
            .config
            .listeners
            .first()
            .map(|it| it.name.get_ref().as_str())
    };
    let listener = args.listener.as_deref().or_else(first).unwrap_or_default();
    let known = state
        .config
        .listeners
        .iter()
        .any(|it| it.name.get_ref() == listener);
    if args.listener.is_some() && !known {
        return Err(Failure::new(format!("there is no listener {listener:?}")));
    }
    let (who, now) = (args.identity(), Moment::now());
    let at = Moment {
        unix: args.at.unwrap_or(now.unix),
        ..now
    };
    let explain = |(question, ask)| Answer {
        question,
        explanation: state.policy.explain(&Request {
            who: &who,
            source: args.from,
            listener,
            target: &pinned.name,
            port,
            ask,
            at,
        }),
    };
    Ok(questions.into_iter().map(explain).collect())
}

fn show(
    state: &State,
    args: &Args,
    pinned: &Pinned,
    answers: &[Answer],
    out: &Output,
) -> std::io::Result<()> {
    let places: Vec<String> = pinned.addresses.iter().map(ToString::to_string).collect();
    out.line(format_args!(
        "{} to target {:?} ({})",
        args.identity(),
        pinned.name,
        places.join(", ")
    ))?;
    let paint = out.paint();
    for Answer {
        question,
        explanation,
    } in answers
    {
        let decision = &explanation.decision;
        let word = match (decision.allow, decision.verdict) {
            (true, true) => paint.green("allowed"),
            (true, false) => paint.bold("allowed"),
            (false, _) => paint.red("denied"),
        };
        out.line(format_args!("{question}: {word}"))?;
        out.line(format_args!("  {}", state.policy.words(decision)))?;
        if decision.allow && !decision.verdict {
            out.line("  (the policy only records: it passes all the same)")?;
        }
    }
    let Some(last) = answers.last() else {
        return Ok(());
    };
    out.line("")?;
    let mut table = Table::new(&["RULE", "LINE", "ACTION", "OF THE LAST QUESTION IT SAYS"]);
    for (rule, says) in rows(state, &last.explanation) {
        let line = match rule.line {
            0 => "pack".to_owned(),
            line => line.to_string(),
        };
        table.row([
            rule.name.to_string(),
            line,
            action(rule.action).to_owned(),
            says,
        ]);
    }
    table.lines().try_for_each(|line| out.line(line))
}

const fn action(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
    }
}

/// Each rule with what it says, in words.
fn rows<'a>(
    state: &'a State,
    explanation: &'a Explanation,
) -> Vec<(&'a farcall_proxy::policy::rule::Rule, String)> {
    let decision = &explanation.decision;
    let decided = match decision.reason {
        Reason::Rule | Reason::MayAllow | Reason::Rate => decision.rule,
        Reason::NoRule | Reason::Nearly(_) => None,
    };
    let row = |seen: &farcall_proxy::policy::Seen| {
        let rule = state.policy.rule(seen.rule)?;
        let records = rule.mode == farcall_proxy::config::Mode::Audit;
        let says = match seen.judged {
            _ if decided == Some(seen.rule) => "it decides".to_owned(),
            Judged::Yes if records => "it matches, and only records".to_owned(),
            Judged::Yes => "it would match as well, but comes later".to_owned(),
            Judged::Later => "it is about calls that are still to come".to_owned(),
            Judged::No(condition) => format!("it is not for this: {condition}"),
            Judged::Nearly(condition) => format!("it would match but for its {condition}"),
        };
        Some((rule, says))
    };
    explanation.seen.iter().filter_map(row).collect()
}

fn as_json(state: &State, pinned: &Pinned, answers: &[Answer]) -> Value {
    let one = |Answer {
                   question,
                   explanation,
               }: &Answer| {
        let decision = &explanation.decision;
        let rules = rows(state, explanation).into_iter().map(|(rule, says)| {
            json!({ "rule": rule.name, "line": rule.line, "action": action(rule.action), "says": says })
        });
        let later = explanation
            .later()
            .filter_map(|id| state.policy.rule(id))
            .map(|it| it.name.clone());
        json!({
            "question": question,
            "allowed": decision.allow,
            "verdict": decision.verdict,
            "rule": decision.rule.and_then(|id| state.policy.rule(id)).map(|it| &it.name),
            "reason": state.policy.words(decision).to_string(),
            "later": later.collect::<Vec<_>>(),
            "rules": rules.collect::<Vec<_>>(),
        })
    };
    json!({
        "target": pinned.name,
        "addresses": pinned.addresses,
        "allowed": answers.iter().all(|it| it.explanation.decision.allow),
        "answers": answers.iter().map(one).collect::<Vec<_>>(),
    })
}
