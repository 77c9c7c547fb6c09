//! What the demo runs: a binder, the calculator, and NFS with MOUNT for a directory; each in
//! this process, on free ports of the loopback interface and on Unix sockets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use farcall::generated::calc;
use farcall::trace::Recorder;
use farcall::{Endpoint, Registrar, Runtime, Server, Transport};
use farcall_binder::{Binder, Policy};
use farcall_nfs3::Nfs3;
use farcall_nfs3::caller::Identity;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::report::Report;
use crate::cmd::echo::calculator::Calculator;
use crate::table::Table;

/// The transports, in the order in which they are shown.
pub(super) const TRANSPORTS: [Transport; 3] = [Transport::Tcp, Transport::Udp, Transport::Unix];

/// How long ending may take.
const GRACE: Duration = Duration::from_secs(2);

/// How many ports are tried for the binder.
const ATTEMPTS: usize = 16;

/// The running servers.
pub(super) struct Stage {
    pub(super) binder: Binder,
    pub(super) calculator: Server,
    pub(super) files: Server,
    /// Samples every call to the calculator.
    pub(super) recorder: Recorder,
    /// Where the Unix sockets are, and the calculator's interface.
    sockets: TempDir,
}

impl Stage {
    /// Starts everything. The directory is served read-only, so that nothing that happens on the
    /// stage can change it.
    pub(super) async fn start(directory: &Path) -> anyhow::Result<Self> {
        let sockets = tempfile::Builder::new().prefix("farcall-").tempdir()?;
        let binder = binder().await.context("starting the binder")?;
        let at = binder
            .endpoints()
            .first()
            .context("the binder's endpoint")?;
        let nfs = Nfs3::builder(directory)
            .read_only(true)
            .identity(Identity::Server)
            .build()?;
        let recorder = Recorder::every(1);
        let calculator = listening(&sockets, "calc.sock")
            .serve(calc::v1::service(Calculator::default()))
            .record(recorder.clone())
            .register_with(Registrar::at(at)?)
            .start()
            .await
            .context("starting the calculator")?;
        let files = listening(&sockets, "nfs.sock")
            .serve(nfs.service())
            .serve(nfs.mount_service())
            .register_with(Registrar::at(at)?)
            .start()
            .await
            .context("starting the NFS server")?;
        Ok(Self {
            binder,
            calculator,
            files,
            recorder,
            sockets,
        })
    }

    /// The calculator's interface, as a file beside the sockets.
    pub(super) fn interface(&self) -> std::io::Result<PathBuf> {
        let file = self.sockets.path().join("calc.x");
        std::fs::write(&file, include_str!("../../../../../idl/calc.x"))?;
        Ok(file)
    }

    /// Ends everything in order.
    pub(super) async fn end(self) {
        self.calculator.drain(GRACE).await;
        self.files.drain(GRACE).await;
        self.binder.drain(GRACE).await;
        drop(self.sockets);
    }

    /// The servers by name.
    fn servers(&self) -> [(&'static str, &[Endpoint]); 3] {
        [
            ("binder", self.binder.endpoints()),
            ("calculator", self.calculator.endpoints()),
            ("NFS + MOUNT", self.files.endpoints()),
        ]
    }
}

/// A binder at one port of TCP and UDP: who knows one knows both.
async fn binder() -> anyhow::Result<Binder> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let free = std::net::UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?;
        let policy = Policy {
            loopback: true,
            ..Policy::default()
        };
        let binder = Binder::builder()
            .policy(policy)
            .listen(format!("tcp://{free}"))
            .listen(format!("udp://{free}"))
            .runtime(Runtime::Threads(1));
        match binder.start().await {
            Ok(binder) => return Ok(binder),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| anyhow::anyhow!("no port"), anyhow::Error::from))
}

/// A server on all transports.
fn listening(sockets: &TempDir, name: &str) -> farcall::server::Builder {
    Server::builder()
        .runtime(Runtime::Threads(1))
        .listen("tcp://127.0.0.1:0")
        .listen("udp://127.0.0.1:0")
        .listen(format!("unix://{}", sockets.path().join(name).display()))
}

/// Introduces the servers, and finds them again through the binder.
pub(super) async fn introduce(
    stage: &Stage,
    directory: &Path,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    report.act(
        "Servers",
        "a binder, the calculator of calc.x, and NFS version 3 for a directory",
    )?;
    let mut table = Table::new(&["SERVER", "TCP", "UDP", "UNIX SOCKET"]);
    for (name, endpoints) in stage.servers() {
        let cells = TRANSPORTS.map(|transport| shown(endpoints, transport));
        table.row([name.to_owned()].into_iter().chain(cells));
    }
    report.table(&table)?;
    let served = directory.display();
    report.line(format_args!("   {served} is served as /, read-only"))?;
    look_up(stage, report).await?;
    let endpoints = stage.servers().map(|(name, endpoints)| {
        let all: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
        (name.to_owned(), json!(all))
    });
    report.fact("directory", json!(directory));
    report.fact("servers", Value::Object(endpoints.into_iter().collect()));
    Ok(())
}

/// Asks the binder for each program over each transport.
async fn look_up(stage: &Stage, report: &mut Report<'_>) -> anyhow::Result<()> {
    let port = stage.binder.endpoints().first().and_then(Endpoint::port);
    let port = port.context("the binder's port")?;
    let programs = [
        ("calculator", calc::v1::PROGRAM.number, 1, &stage.calculator),
        ("NFS", 100_003, 3, &stage.files),
        ("MOUNT", 100_005, 3, &stage.files),
    ];
    let mut found = 0;
    for (name, program, version, server) in programs {
        for transport in [Transport::Tcp, Transport::Udp] {
            let asked =
                farcall::client::resolve::find_port("127.0.0.1", port, transport, program, version);
            let wanted = server.endpoint(transport).and_then(Endpoint::port);
            let result = match asked.await {
                Ok(port) if Some(port) == wanted => Ok(()),
                Ok(port) => Err(format!("found at port {port}, expected {wanted:?}")),
                Err(error) => Err(error.to_string()),
            };
            found += usize::from(result.is_ok());
            report.check(format!("look-up of {name} over {transport}"), result)?;
        }
    }
    report.line(format_args!(
        "   the binder tells where they are: {found} of 6 look-ups agree"
    ))?;
    report.note("registered and found through the binder");
    Ok(())
}

/// Where a server is over a transport.
fn shown(endpoints: &[Endpoint], transport: Transport) -> String {
    let found = endpoints.iter().find(|e| e.transport() == transport);
    match found {
        None => "-".to_owned(),
        Some(Endpoint::Unix(path)) => path.display().to_string(),
        Some(endpoint) => {
            let host = endpoint.host().unwrap_or_default();
            format!("{host}:{}", endpoint.port().unwrap_or_default())
        }
    }
}

/// The endpoint of a server over a transport.
pub(super) fn endpoint(server: &Server, transport: Transport) -> anyhow::Result<&Endpoint> {
    server
        .endpoint(transport)
        .with_context(|| format!("no endpoint over {transport}"))
}
