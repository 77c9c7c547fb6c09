//! The whole picture of RPC over HTTP: client, TLS, the proxy (a process of its own), server; then what the proxy refuses, each with its answer and its line in
//! the audit log; and the ten steps of a call with the proxy's two hops in them.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use farcall::client::http::{HttpCredentials, HttpOptions};
use farcall::generated::rpcecho::rpcecho as echo;
use farcall::tls::{ClientSettings, ClientTls, Trust};
use farcall::trace::{Mark, Recorder, Step, Steps};
use farcall::{Cause, Endpoint, Options, Runtime, Server};
use farcall_dce::status::ACCESS_DENIED;
use farcall_security::{self as security, Password, Users};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::report::{Report, shortened};
use crate::cmd::echo::rpcecho::Echo;
use crate::table::Table;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long ending may take.
const GRACE: Duration = Duration::from_secs(2);

/// So many calls are traced; the quickest is drawn.
const CALLS: usize = 20;

const USER: (&str, &str) = ("DEMO", "alice");

pub(super) async fn call(report: &mut Report<'_>) -> anyhow::Result<()> {
    report.act(
        "RPC over HTTP",
        "client → TLS → farcall proxy, a process of its own → rpcecho; a rule denies SourceData",
    )?;
    let password = super::interfaces::password()?;
    let site = Site::start(&password).await?;
    report.line(format_args!(
        "   the proxy, process {}: https://127.0.0.1:{}",
        site.proxy.id().unwrap_or_default(),
        site.tls
    ))?;
    let routes = routes(&site, &password).await?;
    let mut table = Table::new(&["CALLER", "CALL", "ANSWER", "AUDIT LOG"]);
    let mut facts = Vec::new();
    for route in routes {
        let (answer, result) = match route.outcome {
            Ok(answer) => (answer, Ok(())),
            Err(why) => ("FAILED".to_owned(), Err(why)),
        };
        let audited = site.audited(route.audited).await;
        let shown = audited.as_ref().map_or("MISSING".to_owned(), summary);
        table.row([
            route.caller.into(),
            route.call.into(),
            shortened(&answer, 26),
            shortened(&shown, 31),
        ]);
        let what = format!("{} by {}", route.call, route.caller);
        report.check(what.clone(), result)?;
        let line = audited.map(drop).ok_or_else(|| "no such line".to_owned());
        report.check(format!("the audit line of {what}"), line)?;
        facts.push(
            json!({"caller": route.caller, "call": route.call, "answer": answer, "audit": shown}),
        );
    }
    report.table(&table)?;
    report.fact("proxy", json!(facts));
    steps(&site, &password, report).await?;
    report.note("calls over TLS; password, target, operation, garbage refused");
    site.end().await;
    Ok(())
}

/// What the demo runs for this part.
struct Site {
    folder: TempDir,
    server: Server,
    recorder: Recorder,
    proxy: Child,
    tls: u16,
    plain: u16,
}

impl Site {
    async fn start(password: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("farcall-").tempdir()?;
        let recorder = Recorder::every(1);
        let server = Server::builder()
            .runtime(Runtime::Threads(1))
            .serve(echo::service(Echo).allow_anonymous())
            .record(recorder.clone())
            .listen("ncacn_ip_tcp:127.0.0.1[0]")
            .start()
            .await
            .context("starting rpcecho")?;
        let port = server.endpoints().first().and_then(Endpoint::port);
        write_files(folder.path(), port.context("a port")?, password)?;
        let mut proxy = Command::new(std::env::current_exe()?)
            .args(["proxy", "--config"])
            .arg(folder.path().join("proxy.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("starting the proxy")?;
        let output = proxy.stdout.take().context("its output")?;
        let mut lines = BufReader::new(output).lines();
        let mut ports = Vec::new();
        while ports.len() < 2 {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await??;
            let line = line.context("the proxy ended; farcall proxy check says why")?;
            let port = line
                .rsplit(':')
                .next()
                .and_then(|port| port.parse::<u16>().ok());
            ports.extend(port);
        }
        Ok(Self {
            folder,
            server,
            recorder,
            proxy,
            tls: ports[0],
            plain: ports[1],
        })
    }

    /// Options of a client that proves itself to the proxy, over TLS to which it binds its proof.
    fn options(&self, password: &str) -> anyhow::Result<Options> {
        let (domain, name) = USER;
        let password = Password::new(password.to_owned());
        let ntlm = security::Credentials::ntlm(name, domain, &password);
        let tls = ClientTls::new(ClientSettings {
            trust: Trust::Authorities(self.folder.path().join("cert.pem").into()),
            ..ClientSettings::default()
        })?;
        Ok(Options {
            http: HttpOptions {
                tls: Some(tls),
                credentials: HttpCredentials::Mechanism(Arc::new(ntlm)),
                ..HttpOptions::default()
            },
            ..Options::default()
        })
    }

    /// Where a server is behind the proxy.
    fn binding(&self, server: &str) -> String {
        format!("ncacn_http:{server}[593,RpcProxy=127.0.0.1:{}]", self.tls)
    }

    /// The lines of the audit log.
    fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit")).unwrap_or_default();
        let lines = text.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The last line that has all of these, as soon as it is there.
    async fn audited(&self, wanted: &[(&str, &str)]) -> Option<Value> {
        let begun = Instant::now();
        loop {
            let has = |line: &Value| {
                wanted
                    .iter()
                    .all(|(key, value)| line[key].as_str() == Some(value))
            };
            if let Some(line) = self.audit().into_iter().rev().find(has) {
                return Some(line);
            }
            if begun.elapsed() > PATIENCE {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn end(mut self) {
        // It has nobody's calls; it may end as it is.
        let _ = self.proxy.kill().await;
        self.server.drain(GRACE).await;
    }
}

/// The proxy's file, its certificate and its users.
fn write_files(folder: &Path, port: u16, password: &str) -> anyhow::Result<()> {
    let mut users = Users::default();
    let (domain, name) = USER;
    users.add(name, domain, &Password::new(password.to_owned()), &[])?;
    users.save(&folder.join("users"))?;
    let key = rcgen::KeyPair::generate()?;
    let certificate =
        rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])?.self_signed(&key)?;
    std::fs::write(folder.join("cert.pem"), certificate.pem())?;
    std::fs::write(folder.join("key.pem"), key.serialize_pem())?;
    let text = format!(
        r#"[audit]
file = "audit"
calls = "all"

[[listen]]
name = "outside"
endpoint = "https://127.0.0.1:0"
tls = {{ certificate = "cert.pem", key = "key.pem" }}
authentication.ntlm = {{ users = "users" }}

[[listen]]
name = "garbage"
endpoint = "http://127.0.0.1:0"
authentication.anonymous = {{ reason = "the demo sends garbage here" }}

[[target]]
name = "echo"
hosts = ["echo"]
ports = [593]
bridge = "ncacn_ip_tcp:127.0.0.1[{port}]"

[[rule]]
name = "no SourceData"
action = "deny"
interfaces = ["rpcecho"]
operations = ["SourceData"]

[[rule]]
name = "others may call"
action = "allow"
targets = ["echo"]
"#
    );
    Ok(std::fs::write(folder.join("proxy.toml"), text)?)
}

/// One call: by whom, of what, what came of it, and what the audit log must have.
struct Route {
    caller: &'static str,
    call: &'static str,
    outcome: Result<String, String>,
    audited: &'static [(&'static str, &'static str)],
}

impl Route {
    async fn of(
        (caller, call): (&'static str, &'static str),
        audited: &'static [(&'static str, &'static str)],
        outcome: impl Future<Output = Result<String, String>>,
    ) -> Self {
        let outcome = outcome.await;
        Self {
            caller,
            call,
            outcome,
            audited,
        }
    }
}

async fn routes(site: &Site, password: &str) -> anyhow::Result<Vec<Route>> {
    let client =
        echo::Client::connect_with(site.binding("echo").as_str(), site.options(password)?).await?;
    let add = async |value: u32| {
        client
            .add_one(value)
            .await
            .map(|sum| sum.to_string())
            .map_err(|error| error.to_string())
    };
    let denied = async {
        match client.source_data(100).await {
            Ok(_) => Err("an answer, expected access denied".to_owned()),
            Err(error) => match error.cause() {
                Cause::Fault(ACCESS_DENIED) => Ok(error.cause().to_string()),
                _ => Err(format!("{error}, expected access denied")),
            },
        }
    };
    let connecting = async |server: &str, options: Options| {
        let binding = site.binding(server);
        match echo::Client::connect_with(binding.as_str(), options).await {
            Ok(_) => Err("let in".to_owned()),
            Err(error) => {
                let said = error.cause().to_string();
                let short = said
                    .split_once("the RPC proxy ")
                    .map(|(_, rest)| rest.to_owned());
                Ok(short.unwrap_or(said))
            }
        }
    };
    let smuggled = "RPC_IN_DATA /rpc/rpcproxy.dll?echo:593 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n";
    let channel = "RPC_OUT_DATA /rpc/rpcproxy.dll?echo:593 HTTP/1.1\r\nHost: h\r\nContent-Length: 76\r\n\r\nGET / HTTP/1.1 GET / HTTP/1.1 GET / HTTP/1.1 GET / HTTP/1.1 GET / HTTP/1.1 ";
    Ok(vec![
        Route::of(
            ("alice", "AddOne(41)"),
            &[
                ("event", "call"),
                ("operation", "AddOne"),
                ("decision", "allow"),
            ],
            add(41),
        )
        .await,
        Route::of(
            ("alice", "SourceData"),
            &[
                ("event", "call"),
                ("operation", "SourceData"),
                ("decision", "deny"),
            ],
            denied,
        )
        .await,
        Route::of(
            ("alice", "AddOne again"),
            &[("event", "return"), ("operation", "AddOne")],
            add(1),
        )
        .await,
        Route::of(
            ("a wrong password", "connect"),
            &[("event", "login"), ("decision", "deny")],
            connecting("echo", site.options("guess")?),
        )
        .await,
        Route::of(
            ("alice", "another server"),
            &[
                ("event", "connect"),
                ("asked", "other:593"),
                ("decision", "deny"),
            ],
            connecting("other", site.options(password)?),
        )
        .await,
        Route::of(
            ("garbage", "two lengths"),
            &[("event", "violation"), ("reason", "Transfer-Encoding")],
            garbage(site, smuggled, "400 Bad Request"),
        )
        .await,
        Route::of(
            ("garbage", "no PDU"),
            &[("event", "violation"), ("asked", "echo:593")],
            garbage(site, channel, "503 RPC Error: 6c0"),
        )
        .await,
    ])
}

/// Sends bytes and looks at the first line of what comes.
async fn garbage(site: &Site, bytes: &str, expected: &str) -> Result<String, String> {
    let talking = async {
        let mut stream = TcpStream::connect(("127.0.0.1", site.plain)).await?;
        stream.write_all(bytes.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, talking).await;
    let answer = answer
        .map_err(|late| late.to_string())?
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&answer);
    let line = text.lines().next().unwrap_or_default();
    match line.strip_prefix("HTTP/1.1 ") {
        Some(said) if said == expected => Ok(said.to_owned()),
        _ => Err(format!("{line:?}, expected {expected}")),
    }
}

/// A line of the audit log in a few words.
fn summary(line: &Value) -> String {
    let text = |key: &str| line[key].as_str().unwrap_or_default();
    let rule = text("rule");
    let why = if rule.is_empty() {
        text("reason")
    } else {
        rule
    };
    let verdict = if text("decision").is_empty() {
        text("event")
    } else {
        text("decision")
    };
    match why {
        "" => verdict.to_owned(),
        why => format!("{verdict}: {why}"),
    }
}

/// The instant of an audit line, in nanoseconds of the day.
fn of_day(line: &Value) -> Option<u64> {
    let time = line["time"]
        .as_str()?
        .split_once('T')?
        .1
        .trim_end_matches('Z');
    let mut parts = time.split(':');
    let (hours, minutes) = (parts.next()?, parts.next()?);
    let (seconds, fraction) = parts.next()?.split_once('.').unwrap_or(("0", "0"));
    let whole = |text: &str| text.parse::<u64>().ok();
    let nanoseconds = whole(&format!("{fraction:0<9}"))?;
    let seconds = (whole(hours)? * 60 + whole(minutes)?) * 60 + whole(seconds)?;
    Some(seconds * 1_000_000_000 + nanoseconds)
}

const DAY: u64 = 86_400_000_000_000;

fn now_of_day() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or_default() % DAY
}

/// One instant of the proxied call.
struct Moment {
    number: String,
    what: String,
    at: Option<u64>,
    by: &'static str,
}

/// Draws the quickest of several calls: the ten steps, and the proxy's two hops between them.
async fn steps(site: &Site, password: &str, report: &mut Report<'_>) -> anyhow::Result<()> {
    let client =
        echo::Client::connect_with(site.binding("echo").as_str(), site.options(password)?).await?;
    let mut best: Option<(u64, u64, Steps)> = None;
    for value in 0..CALLS {
        site.recorder.clear();
        let begun = now_of_day();
        client.add_one(u32::try_from(value)?).await?;
        let ended = now_of_day();
        let looked = Instant::now();
        // The server may still be at its last step.
        while site.recorder.records().is_empty() && looked.elapsed() < GRACE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let record = site
            .recorder
            .records()
            .pop()
            .context("the server has no record")?;
        if best
            .as_ref()
            .is_none_or(|(from, to, _)| ended.saturating_sub(begun) < to.saturating_sub(*from))
        {
            best = Some((begun, ended, record));
        }
    }
    let (begun, ended, record) = best.context("no call was made")?;
    let mut hops = [None, None];
    for (hop, event) in hops.iter_mut().zip(["call", "return"]) {
        let lines = site.audit();
        let is_it = |line: &&Value| {
            line["event"] == event && line["call"] == record.xid && line["operation"] == "AddOne"
        };
        // The call's numbers are the association's own: the line nearest in time is this call's.
        let near = |line: &&Value| of_day(line).map_or(u64::MAX, |at| at.abs_diff(begun));
        *hop = lines.iter().filter(is_it).min_by_key(near).and_then(of_day);
    }
    let moments = moments(begun, ended, &record, hops);
    report.line("")?;
    report.line("   AddOne through the proxy, the quickest of 20: ten steps and two hops")?;
    let mut table = Table::new(&["STEP", "", "AT µs", "BY"]);
    let shown = |at: Option<u64>| {
        at.map_or("-".to_owned(), |at| {
            format!("{:.1}", at.saturating_sub(begun) as f64 / 1e3)
        })
    };
    for moment in &moments {
        table.row([
            moment.number.clone(),
            moment.what.clone(),
            shown(moment.at),
            moment.by.to_owned(),
        ]);
    }
    report.table(&table)?;
    let known: Vec<u64> = moments.iter().filter_map(|moment| moment.at).collect();
    let result = match (hops, known.is_sorted()) {
        ([Some(_), Some(_)], true) => Ok(()),
        ([Some(_), Some(_)], false) => Err(format!(
            "an instant lies before the one before it: {known:?}"
        )),
        _ => Err("a hop is missing".to_owned()),
    };
    report.check("the steps of a call through the proxy", result)?;
    let rows = moments.iter().map(|moment| json!({"step": moment.number, "what": moment.what, "at_ns": moment.at, "by": moment.by}));
    report.fact("proxied_steps", rows.collect());
    Ok(())
}

fn moments(begun: u64, ended: u64, record: &Steps, hops: [Option<u64>; 2]) -> Vec<Moment> {
    let [there, back] = hops;
    let hop = |what: &str, at| Moment {
        number: "hop".to_owned(),
        what: what.to_owned(),
        at,
        by: "the proxy's audit log",
    };
    let mut all = Vec::new();
    for step in Step::ALL {
        // On its way the client's kernel sees TLS, and no call in it.
        let (at, by) = match step.number() {
            1 => (Some(begun), "client"),
            10 => (Some(ended), "client"),
            2 | 9 => (None, "inside TLS: not seen"),
            _ => match record.mark(step) {
                Mark::At(instant) => (Some(instant.nanoseconds % DAY), "server"),
                _ => (None, "not measured"),
            },
        };
        // The network carries it twice in each direction: before the proxy, and behind it.
        let number = step.number();
        if number == 3 {
            all.push(hop("the proxy has judged the call, and forwards it", there));
        }
        all.push(Moment {
            number: number.to_string(),
            what: step.title().to_owned(),
            at,
            by,
        });
        if number == 8 {
            all.push(hop("the proxy has the answer, and forwards it", back));
        }
    }
    all
}
