//! `farcall proxy probe`: the way through an RPC proxy to a server, step by step.
//!
//! Each step does what a client does, and no step begins before the one before it has passed: an HTTP proxy on the way, the
//! connection with TLS, an echo, the proof of who calls, a virtual connection, and a question to the server's management interface.

use std::time::{Duration, Instant};

use farcall::client::http::probe::{Echo, Probe};
use farcall::endpoint::{HttpAuth, NetworkOptions, Place};
use farcall::generated::mgmt::mgmt;
use farcall::{Cause, Client, Endpoint, Error, Transport};
use serde_json::{Value, json};

use crate::latency::shown_duration;
use crate::output::{Done, Failure, Output};
use crate::peer::Reach;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The proxy and the server behind it: https://PROXY[:PORT]/rpc/rpcproxy.dll?SERVER:PORT, or
    /// ncacn_http:SERVER[PORT,RpcProxy=PROXY[:PORT]]
    #[arg(value_name = "URL", value_parser = place)]
    place: Endpoint,

    #[command(flatten)]
    reach: Reach,
}

/// What a step came to.
enum Verdict {
    Passed(String),
    Skipped(String),
    Failed(Error),
}

/// One step that was made.
struct Step {
    name: &'static str,
    took: Duration,
    verdict: Verdict,
}

/// The steps so far, told as they are made.
struct Report<'a> {
    steps: Vec<Step>,
    out: &'a Output,
}

/// A step that failed was told; none follows.
struct Stopped;

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    let options = args.reach.options_to(&args.place)?;
    let probe = Probe::new(&args.place, &options)?;
    if !out.is_json() {
        out.line(format_args!(
            "{}, server {}",
            probe.proxy(),
            server(&args.place)
        ))?;
    }
    let mut report = Report {
        steps: Vec::new(),
        out,
    };
    let went = walk(&probe, &options, &mut report).await?;
    if out.is_json() {
        let steps: Vec<Value> = report.steps.iter().map(described).collect();
        out.pretty_json(&json!({
            "proxy": probe.proxy(),
            "server": server(&args.place),
            "reached": went.is_ok(),
            "steps": steps,
        }))?;
    }
    Ok(match went {
        Ok(()) => Done::Yes,
        Err(Stopped) => Done::No,
    })
}

async fn walk(
    probe: &Probe,
    options: &farcall::Options,
    report: &mut Report<'_>,
) -> anyhow::Result<Result<(), Stopped>> {
    let limit = options.connect_timeout;
    let auth = options.http.credentials.auth();
    let step = within(limit, probe.needs_http_proxy());
    let Ok(through) = report
        .step("http proxy", step, |through| through_said(*through))
        .await?
    else {
        return Ok(Err(Stopped));
    };
    let step = within(limit, probe.reach(through));
    let Ok(mut reached) = report
        .step("connect", step, |it| connected(probe, it))
        .await?
    else {
        return Ok(Err(Stopped));
    };
    let step = within(limit, reached.echo());
    if report
        .step("echo", step, |echo| echoed(echo, auth))
        .await?
        .is_err()
    {
        return Ok(Err(Stopped));
    }
    match auth {
        HttpAuth::None => report.skip("authenticate", "nobody in particular asks")?,
        _ => {
            // The echo may have been the last that the proxy takes on that connection.
            let proving = async { probe.reach(through).await?.authenticate().await };
            let step = within(limit, proving);
            let said = |(): &()| Verdict::Passed(format!("by {auth}"));
            if report.step("authenticate", step, said).await?.is_err() {
                return Ok(Err(Stopped));
            }
        }
    }
    let step = within(limit, probe.open(through));
    let said = |_: &_| Verdict::Passed("CONN/A3 and CONN/C2 came".to_owned());
    let Ok(stream) = report.step("open", step, said).await? else {
        return Ok(Err(Stopped));
    };
    let client = Client::interface_over(stream, &mgmt::INTERFACE, probe.proxy(), options.clone());
    let asked = async { mgmt::Client::from(client).inq_if_ids().await };
    let said = |ids: &mgmt::InqIfIdsOut| {
        let count = ids.if_id_vector.value().map_or(0, |it| it.if_id.len());
        Verdict::Passed(format!("the server has {count} interfaces"))
    };
    let asked = report
        .step("management", within(limit, asked), said)
        .await?;
    Ok(asked.map(drop))
}

/// The same, ended when time is up.
async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let late = |_| Err(Error::new(farcall::Phase::Connect, Cause::Deadline(limit)));
    tokio::time::timeout(limit, step).await.unwrap_or_else(late)
}

fn through_said(through: bool) -> Verdict {
    match through {
        true => Verdict::Passed("goes through it".to_owned()),
        false => Verdict::Skipped("not needed".to_owned()),
    }
}

fn connected(probe: &Probe, reached: &farcall::client::http::probe::Reached) -> Verdict {
    let Some(certificate) = reached.certificate() else {
        let said = match probe.is_secure() {
            true => "TLS",
            false => "without TLS: whoever is on the way can read and change all of it",
        };
        return Verdict::Passed(said.to_owned());
    };
    let bound = match reached.is_bindable() {
        true => "",
        false => "; it has no hash for channel bindings",
    };
    Verdict::Passed(format!(
        "TLS, certificate of {} by {}{bound}",
        certificate.subject, certificate.issuer
    ))
}

fn echoed(echo: &Echo, auth: HttpAuth) -> Verdict {
    let offers = match echo {
        Echo::Answered => return Verdict::Passed("the proxy answers strangers".to_owned()),
        Echo::Challenged(offers) => offers,
    };
    let names = offers
        .iter()
        .map(|offer| offer.split(' ').next().unwrap_or(offer));
    let names: Vec<&str> = names.collect();
    let taken = |name: &&&str| name.eq_ignore_ascii_case(auth.name());
    match (auth, names.iter().find(taken)) {
        (HttpAuth::None, _) => Verdict::Failed(
            Error::new(
                farcall::Phase::Authenticate,
                Cause::Denied(format!(
                    "the proxy wants to know who asks: {}",
                    names.join(", ")
                )),
            )
            .hint("--http-user NAME, and --http-auth basic, ntlm or negotiate"),
        ),
        (_, Some(_)) => Verdict::Passed(format!("the proxy takes {}", names.join(", "))),
        (_, None) => Verdict::Failed(
            Error::new(
                farcall::Phase::Authenticate,
                Cause::Denied(format!(
                    "the proxy does not take {auth}, but {}",
                    names.join(", ")
                )),
            )
            .hint("--http-auth names another way"),
        ),
    }
}

impl Report<'_> {
    /// Makes a step and tells what it came to.
    async fn step<T>(
        &mut self,
        name: &'static str,
        step: impl Future<Output = Result<T, Error>>,
        said: impl FnOnce(&T) -> Verdict,
    ) -> anyhow::Result<Result<T, Stopped>> {
        let began = Instant::now();
        let made = step.await;
        let took = began.elapsed();
        let (verdict, value) = match made {
            Ok(value) => (said(&value), Some(value)),
            Err(error) => (Verdict::Failed(error), None),
        };
        let failed = matches!(verdict, Verdict::Failed(_));
        self.tell(Step {
            name,
            took,
            verdict,
        })?;
        Ok(value.filter(|_| !failed).ok_or(Stopped))
    }

    fn skip(&mut self, name: &'static str, why: &str) -> anyhow::Result<()> {
        self.tell(Step {
            name,
            took: Duration::ZERO,
            verdict: Verdict::Skipped(why.to_owned()),
        })
    }

    fn tell(&mut self, step: Step) -> anyhow::Result<()> {
        if !self.out.is_json() {
            let paint = self.out.paint();
            let (word, said) = match &step.verdict {
                Verdict::Passed(said) => (paint.green("ok"), said.clone()),
                Verdict::Skipped(said) => (paint.dim("skipped"), said.clone()),
                Verdict::Failed(error) => (paint.red("failed"), error.to_string()),
            };
            let took = shown_duration(step.took);
            self.out
                .line(format_args!("{:<13} {took:>9}  {word}: {said}", step.name))?;
            if let Verdict::Failed(error) = &step.verdict {
                for hint in error.hints() {
                    self.out
                        .line(format_args!("  {} {hint}", paint.cyan("hint:")))?;
                }
            }
        }
        self.steps.push(step);
        Ok(())
    }
}

fn described(step: &Step) -> Value {
    let took = u64::try_from(step.took.as_micros()).unwrap_or(u64::MAX);
    let (verdict, detail, hints) = match &step.verdict {
        Verdict::Passed(said) => ("ok", said.clone(), Vec::new()),
        Verdict::Skipped(said) => ("skipped", said.clone(), Vec::new()),
        Verdict::Failed(error) => ("failed", error.to_string(), error.hints().to_vec()),
    };
    json!({
        "step": step.name,
        "us": took,
        "verdict": verdict,
        "detail": detail,
        "hints": hints,
    })
}

fn server(place: &Endpoint) -> String {
    let port = place.port().unwrap_or(593);
    format!("{}:{port}", place.host().unwrap_or_default())
}

/// A URL of an RPC proxy, or a string binding.
fn place(text: &str) -> Result<Endpoint, Failure> {
    let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return binding(text),
    };
    let wrong = |why: &str| {
        Failure::new(format!("'{text}': {why}"))
            .hint("write https://PROXY[:PORT]/rpc/rpcproxy.dll?SERVER:PORT")
    };
    let (proxy, target) = rest
        .split_once('?')
        .ok_or_else(|| wrong("there is no server behind a question mark"))?;
    let (proxy, path) = proxy.split_once('/').unwrap_or((proxy, "rpc/rpcproxy.dll"));
    let known = ["", "rpc/rpcproxy.dll", "rpcwithcert/rpcproxy.dll"];
    if !known.iter().any(|it| it.eq_ignore_ascii_case(path)) {
        return Err(wrong("the path is not that of an RPC proxy"));
    }
    let rpc_proxy: Place = proxy.parse().map_err(|why: String| wrong(&why))?;
    let server: Place = target.parse().map_err(|why: String| wrong(&why))?;
    Ok(Endpoint::Http {
        host: server.host,
        port: server.port,
        options: Box::new(NetworkOptions {
            rpc_proxy: Some(rpc_proxy),
            tls: Some(secure),
            ..NetworkOptions::default()
        }),
    })
}

fn binding(text: &str) -> Result<Endpoint, Failure> {
    let endpoint = crate::peer::endpoint(text)?;
    match endpoint.transport() {
        Transport::NcacnHttp => Ok(endpoint),
        _ => Err(Failure::new(format!("'{text}' does not go through an RPC proxy"))
            .hint("write https://PROXY[:PORT]/rpc/rpcproxy.dll?SERVER:PORT or ncacn_http:SERVER[PORT,RpcProxy=PROXY]")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_binding_in_other_words() {
        for (text, shown) in [
            (
                "https://p.example/rpc/rpcproxy.dll?srv:593",
                "ncacn_http:srv[593,RpcProxy=p.example,HttpUseTls=true]",
            ),
            (
                "http://127.0.0.1:8080/RPC/RpcProxy.dll?srv",
                "ncacn_http:srv[,RpcProxy=127.0.0.1:8080,HttpUseTls=false]",
            ),
            (
                "https://p?[::1]:135",
                "ncacn_http:::1[135,RpcProxy=p,HttpUseTls=true]",
            ),
            ("ncacn_http:srv[593]", "ncacn_http:srv[593]"),
        ] {
            assert_eq!(place(text).unwrap().to_string(), shown);
        }
        for bad in [
            "https://p",
            "https://p/other?srv:1",
            "ncacn_ip_tcp:h[1]",
            "https:///?s:1",
        ] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
