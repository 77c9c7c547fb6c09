//! `farcall shell`: several calls in one session, with named results and context handles.
//!
//! A line is a call, `OPERATION [JSON]`, or `NAME = OPERATION [JSON]`, which keeps the results. In JSON the string
//! `"$NAME.field[0]"` stands for that part of what was kept. The session holds one association, so that a handle which
//! one call opens is good for the next; what is still open at the end is run down by the server, and said.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};

use farcall::Endpoint;
use farcall_idl::Model;
use serde_json::Value;

use crate::interface::Source;
use crate::output::{Done, Failure, Output};
use crate::peer::{self, Reach};
use crate::session::{self, Session};

/// Make several calls of an .idl interface in one session, with named results and context handles
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where: ncacn_ip_tcp:HOST[PORT], ncacn_http:HOST[PORT,RpcProxy=PROXY] or ncalrpc:[NAME]
    #[arg(value_parser = peer::endpoint)]
    endpoint: Endpoint,

    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    reach: Reach,
}

const HELP: &str = "\
OPERATION [JSON]           call it
NAME = OPERATION [JSON]    call it and keep its results
\"$NAME.field[0]\"           in JSON: that part of what was kept
ops                        what can be called
handles                    which context handles are open
help, quit";

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    // What streams stand on lasts as long as the process.
    let model: &'static Model = Box::leak(Box::new(args.source.load(out)?));
    let Some(first) = session::operations(model).first().copied() else {
        return Err(Failure::new("the interface has nothing to call").into());
    };
    let options = args.reach.options_to(&args.endpoint)?;
    let session = Session::open(model, &args.endpoint, options, first)
        .await
        .map_err(session::explained)?;
    let person = std::io::stdin().is_terminal();
    if person {
        out.message(format_args!("{}: `help` says how", session.peer()));
    }
    let mut shell = Shell {
        session,
        kept: BTreeMap::new(),
        handles: BTreeMap::new(),
        failed: false,
    };
    let mut line = String::new();
    loop {
        if person {
            eprint!("> ");
            std::io::stderr().flush()?;
        }
        line.clear();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            break;
        }
        match shell.line(model, line.trim(), out).await {
            Ok(Next::Go) => {}
            Ok(Next::End) => break,
            Err(error) => {
                shell.failed = true;
                out.error(&error);
            }
        }
    }
    shell.end(out);
    Ok(match shell.failed {
        true => Done::No,
        false => Done::Yes,
    })
}

/// Whether the session goes on.
enum Next {
    Go,
    End,
}

struct Shell {
    session: Session,
    /// Results by the names they were given.
    kept: BTreeMap<String, Value>,
    /// Open context handles, each with the operation that opened it.
    handles: BTreeMap<String, String>,
    failed: bool,
}

impl Shell {
    async fn line(
        &mut self,
        model: &'static Model,
        line: &str,
        out: &Output,
    ) -> anyhow::Result<Next> {
        match line {
            "" => {}
            line if line.starts_with('#') => {}
            "quit" | "exit" => return Ok(Next::End),
            "help" | "?" => out.message(HELP),
            "ops" => list(model, out)?,
            "handles" => self.tell_handles(out)?,
            line => self.call(model, line, out).await?,
        }
        Ok(Next::Go)
    }

    async fn call(
        &mut self,
        model: &'static Model,
        line: &str,
        out: &Output,
    ) -> anyhow::Result<()> {
        let (name, call) = assignment(line);
        let (operation, json) = match call.split_once(char::is_whitespace) {
            Some((operation, json)) => (operation, Some(json.trim())),
            None => (call, None),
        };
        let found = session::find(model, operation)?;
        let mut arguments = session::arguments(json.filter(|json| !json.is_empty()))?;
        self.fill(&mut arguments)?;
        let mut given = Vec::new();
        handles_in(&arguments, &mut given);
        let known = |handle: &&String| !self.handles.contains_key(*handle);
        if let Some(foreign) = given.iter().find(known) {
            return Err(Failure::new(format!("{foreign} is not a handle of this session"))
                .hint("a context handle is good only within the session that opened it; `handles` lists them")
                .into());
        }
        let results = self.session.call(found, &arguments, out).await?;
        let mut came = Vec::new();
        handles_in(&results, &mut came);
        // A handle that was passed both ways and did not come back is closed.
        if found
            .operation
            .params
            .iter()
            .any(|it| it.is_in && it.is_out)
        {
            given.iter().filter(|it| !came.contains(it)).for_each(|it| {
                self.handles.remove(it);
            });
        }
        for handle in came {
            let opened = || found.operation.name.clone();
            self.handles.entry(handle).or_insert_with(opened);
        }
        match out.is_json() {
            true => out.json(&results)?,
            false => out.pretty_json(&results)?,
        }
        if let Some(name) = name {
            self.kept.insert(name.to_owned(), results);
        }
        Ok(())
    }

    /// Puts what was kept in the place of `"$NAME…"`.
    fn fill(&self, value: &mut Value) -> Result<(), Failure> {
        match value {
            Value::String(text) if text.starts_with('$') => {
                *value = self.kept_at(&text[1..])?.clone();
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.fill(item))?,
            Value::Object(members) => members
                .values_mut()
                .try_for_each(|member| self.fill(member))?,
            _ => {}
        }
        Ok(())
    }

    fn kept_at(&self, path: &str) -> Result<&Value, Failure> {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let (name, rest) = path.split_at(end);
        let names: Vec<&str> = self.kept.keys().map(String::as_str).collect();
        let kept = self.kept.get(name).ok_or_else(|| {
            Failure::new(format!("nothing is kept as '{name}'")).hint(match names.is_empty() {
                true => format!("keep the results of a call: {name} = OPERATION [JSON]"),
                false => format!("kept are: {}", names.join(", ")),
            })
        })?;
        let pointer = rest.replace(['.', '['], "/").replace(']', "");
        kept.pointer(&pointer)
            .ok_or_else(|| Failure::new(format!("'{name}' has no {rest}")))
    }

    fn tell_handles(&self, out: &Output) -> std::io::Result<()> {
        for (handle, operation) in &self.handles {
            out.line(format_args!("{handle}  opened by {operation}"))?;
        }
        Ok(())
    }

    /// Says what the server will run down.
    fn end(&self, out: &Output) {
        if !self.handles.is_empty() {
            let count = crate::interface::counted(self.handles.len(), "handle");
            out.message(format_args!(
                "{count} still open: the server runs them down"
            ));
        }
    }
}

/// `NAME = …`, if it is that.
fn assignment(line: &str) -> (Option<&str>, &str) {
    if let Some((name, call)) = line.split_once('=') {
        let name = name.trim();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if is_name {
            return (Some(name), call.trim());
        }
    }
    (None, line)
}

/// The context handles in a value, other than null ones.
fn handles_in(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => match members.get("$handle") {
            Some(Value::String(handle)) => found.push(handle.clone()),
            _ => members.values().for_each(|it| handles_in(it, found)),
        },
        Value::Array(items) => items.iter().for_each(|it| handles_in(it, found)),
        _ => {}
    }
}

fn list(model: &Model, out: &Output) -> std::io::Result<()> {
    for found in session::operations(model) {
        let (number, name) = (found.operation.opnum, &found.operation.name);
        out.line(format_args!("{number:>4}  {}.{name}", found.interface.name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_may_keep_its_results() {
        assert_eq!(
            assignment("p = open {\"a\": 1}"),
            (Some("p"), "open {\"a\": 1}")
        );
        assert_eq!(
            assignment("open {\"a\": \"x=y\"}"),
            (None, "open {\"a\": \"x=y\"}")
        );
        assert_eq!(assignment("close"), (None, "close"));
    }

    #[test]
    fn handles_are_found_wherever_they_are() {
        let mut found = Vec::new();
        let value = json!({"a": [{"$handle": "x"}], "b": {"c": {"$handle": "y"}}, "d": null});
        handles_in(&value, &mut found);
        assert_eq!(found, ["x", "y"]);
    }
}
