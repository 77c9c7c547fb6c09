//! Calls procedure 0 of an NFS server some times and says how long it takes.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use farcall::{Client, Error};

/// NFS, version 3.
const NFS: (u32, u32) = (100_003, 3);

/// How many calls are timed.
const CALLS: u32 = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(endpoint) = std::env::args().nth(1) else {
        eprintln!("usage: example-nfs-null ENDPOINT   (tcp://host, udp://host:2049, …)");
        return ExitCode::from(2);
    };
    match ping(&endpoint).await {
        Ok(times) => {
            println!(
                "{endpoint}: {CALLS} calls, fastest {:?}, slowest {:?}",
                times.0, times.1
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            for hint in error.hints() {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

/// The fastest and the slowest of some null calls.
async fn ping(endpoint: &str) -> Result<(Duration, Duration), Error> {
    let client = Client::connect(endpoint, NFS.0, NFS.1).await?;
    let (mut fastest, mut slowest) = (Duration::MAX, Duration::ZERO);
    for _ in 0..CALLS {
        let begun = Instant::now();
        let null = farcall::stub::Target {
            program: NFS.0,
            version: NFS.1,
            procedure: 0,
        };
        client
            .call_target(null, &(), |_| Ok(()))
            .deadline(Duration::from_secs(5))
            .await?;
        fastest = fastest.min(begun.elapsed());
        slowest = slowest.max(begun.elapsed());
    }
    Ok((fastest, slowest))
}

#[cfg(test)]
#[tokio::test]
async fn a_server_without_nfs_says_so() {
    let builder = farcall::Server::builder().listen("tcp://127.0.0.1:0");
    let server = builder
        .start()
        .await
        .expect("start a server without programs");
    let error = ping(&server.endpoints()[0].to_string())
        .await
        .expect_err("there is no NFS");
    assert!(
        matches!(error.cause(), farcall::Cause::ProgramUnavailable),
        "{error}"
    );
}
