//! The other family: an interface of DCE/RPC over TCP, called by nobody in particular, by a user whose calls are sealed,
//! and by callers who are refused.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use farcall::client::Credentials;
use farcall::generated::mgmt::mgmt;
use farcall::generated::rpcecho::rpcecho as echo;
use farcall::{Cause, Endpoint, Error, Options, Runtime, Server};
use farcall_dce::security::AuthLevel;
use farcall_dce::status::ACCESS_DENIED;
use farcall_security::ntlm::ServerConfig;
use farcall_security::{self as security, Mechanisms, Password, Users};
use serde_json::json;

use super::report::Report;
use crate::cmd::echo::rpcecho::Echo;
use crate::latency::shown_duration;
use crate::table::Table;

/// What is sent sealed: more than one fragment holds.
const BLOCK: u32 = 64 << 10;

/// How long ending may take.
const GRACE: Duration = Duration::from_secs(2);

/// `AddOne`, which anybody may call; all else of rpcecho needs a user.
const OPEN: &[u16] = &[0];

const USER: (&str, &str) = ("DEMO", "alice");

pub(super) async fn call(report: &mut Report<'_>) -> anyhow::Result<()> {
    report.act(
        "DCE/RPC",
        "rpcecho: AddOne is for anybody, the rest for users of NTLM at integrity or above",
    )?;
    let password = password()?;
    let server = serve(&password).await?;
    let at = server.endpoints().first().context("an endpoint")?;
    let mut table = Table::new(&["CALLER", "CALL", "ANSWER", "TIME"]);
    let mut facts = Vec::new();
    for route in routes(at, &password).await {
        let took = shown_duration(route.took);
        let (answer, result) = match route.outcome {
            Ok(answer) => (answer, Ok(())),
            Err(why) => ("FAILED".to_owned(), Err(why)),
        };
        table.row([route.caller.into(), route.call.into(), answer.clone(), took]);
        report.check(format!("{} by {}", route.call, route.caller), result)?;
        facts.push(
            json!({"caller": route.caller, "call": route.call, "answer": answer,
            "us": route.took.as_micros()}),
        );
    }
    report.table(&table)?;
    report.note("an interface called anonymously, sealed by NTLM, and refused");
    report.fact("interfaces", json!(facts));
    server.drain(GRACE).await;
    Ok(())
}

/// A password that nobody knows.
pub(super) fn password() -> anyhow::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).context("randomness")?;
    Ok(crate::value::to_hex(&random))
}

async fn serve(password: &str) -> anyhow::Result<Server> {
    let mut users = Users::default();
    let (domain, name) = USER;
    users.add(name, domain, &Password::new(password.to_owned()), &[])?;
    let config = ServerConfig::new("DEMO", domain, Arc::new(users));
    let server = Server::builder()
        .runtime(Runtime::Threads(1))
        .serve(echo::service(Echo).allow_anonymous_for(OPEN))
        .authenticate_with(Arc::new(Mechanisms::new().with_ntlm(config)))
        .listen("ncacn_ip_tcp:127.0.0.1[0]")
        .start();
    server.await.context("starting rpcecho")
}

/// One call: by whom, of what, and what came of it.
struct Route {
    caller: &'static str,
    call: &'static str,
    outcome: Result<String, String>,
    took: Duration,
}

async fn routes(at: &Endpoint, password: &str) -> Vec<Route> {
    let nobody = Options::default;
    let user = |level, password: &str| {
        let (domain, name) = USER;
        let password = Password::new(password.to_owned());
        let ntlm = security::Credentials::ntlm(name, domain, &password);
        Options {
            credentials: Some(Credentials::new(Arc::new(ntlm), level)),
            ..Options::default()
        }
    };
    vec![
        route("nobody", "is_server_listening", listening(at)).await,
        route("nobody", "AddOne(41)", add(at, nobody())).await,
        route(
            "alice, sealed",
            "AddOne(41)",
            add(at, user(AuthLevel::PRIVACY, password)),
        )
        .await,
        route(
            "alice, sealed",
            "EchoData of 64 KiB",
            block(at, user(AuthLevel::PRIVACY, password)),
        )
        .await,
        route("nobody", "EchoData", refused(block(at, nobody()).await)).await,
        route(
            "a wrong password",
            "AddOne",
            refused(add(at, user(AuthLevel::PRIVACY, "guess")).await),
        )
        .await,
        route(
            "alice, connect",
            "EchoData",
            refused(block(at, user(AuthLevel::CONNECT, password)).await),
        )
        .await,
    ]
}

async fn route<T: Display, E: Display>(
    caller: &'static str,
    call: &'static str,
    outcome: impl Future<Output = Result<T, E>>,
) -> Route {
    let begun = Instant::now();
    let outcome = outcome.await;
    Route {
        caller,
        call,
        took: begun.elapsed(),
        outcome: outcome
            .map(|answer| answer.to_string())
            .map_err(|why| why.to_string()),
    }
}

async fn listening(at: &Endpoint) -> Result<u32, Error> {
    let client = mgmt::Client::connect(at).await?;
    Ok(client.is_server_listening().await?.result)
}

async fn add(at: &Endpoint, options: Options) -> Result<u32, Error> {
    let client = echo::Client::connect_with(at, options).await?;
    client.add_one(41).await
}

async fn block(at: &Endpoint, options: Options) -> Result<String, Error> {
    let client = echo::Client::connect_with(at, options).await?;
    let data: Vec<u8> = (0..BLOCK).map(|i| i.to_le_bytes()[0]).collect();
    let back = client.echo_data(BLOCK, &data).await?;
    match back == data {
        true => Ok("the same bytes".to_owned()),
        false => Ok("OTHER BYTES".to_owned()),
    }
}

/// A call that must be refused, and is, in the words of the protocol.
async fn refused<T: Display>(outcome: Result<T, Error>) -> Result<String, String> {
    match outcome {
        Ok(answer) => Err(format!("answered {answer}, expected a refusal")),
        Err(error) => match error.cause() {
            Cause::Fault(ACCESS_DENIED) => Ok(format!("refused: {}", error.cause())),
            _ => Err(format!("{error}, expected access denied")),
        },
    }
}
