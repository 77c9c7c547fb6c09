//! Programs between client and server: HAProxy in TCP mode and the RPC proxy with a bridge, plain
//! and with TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use farcall_proxy::Proxy;
use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::house::available;
use crate::line::{NAME, TARGET};
use crate::options::Options;
use crate::process::{Program, announce};

const HAPROXY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9_301);

/// What stands between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Middle {
    Nothing,
    Haproxy { tls: bool },
    Proxy { tls: bool },
}

impl Middle {
    pub(crate) fn is_there(self) -> bool {
        !matches!(self, Self::Haproxy { .. }) || available("haproxy")
    }

    /// The program, if there is one.
    pub(crate) fn program(self, server: SocketAddr) -> Result<Option<Program>> {
        Ok(match self {
            Self::Nothing => None,
            Self::Haproxy { tls } => Some(haproxy(server, tls)?),
            Self::Proxy { tls } => Some(proxy(server, tls)?),
        })
    }
}

fn folder() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/middle");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A certificate that is its own authority, made once: it alone, its key, and both in one file.
pub(crate) fn certificate() -> Result<PathBuf> {
    let folder = folder()?;
    let certificate = folder.join("certificate.pem");
    if !certificate.is_file() {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([NAME.to_owned()]).context("making a certificate")?;
        std::fs::write(folder.join("key.pem"), signing_key.serialize_pem())?;
        let both = cert.pem() + &signing_key.serialize_pem();
        std::fs::write(folder.join("both.pem"), both)?;
        std::fs::write(&certificate, cert.pem())?;
    }
    Ok(certificate)
}

fn haproxy(server: SocketAddr, tls: bool) -> Result<Program> {
    let both = certificate()?.with_file_name("both.pem");
    let tls = match tls {
        true => format!(" ssl crt {}", both.display()),
        false => String::new(),
    };
    let text = format!(
        "global\n maxconn 8000\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 5m\n \
         timeout server 5m\nlisten through\n bind {HAPROXY}{tls}\n server only {server}\n"
    );
    let file = folder()?.join("haproxy.cfg");
    std::fs::write(&file, text)?;
    let program = Program::new("haproxy".into()).words("-q -db -f");
    Ok(program.with(file).at(HAPROXY))
}

fn proxy(server: SocketAddr, tls: bool) -> Result<Program> {
    let certificate = certificate()?;
    let key = certificate.with_file_name("key.pem");
    let (scheme, tls) = match tls {
        true => (
            "https",
            format!("[listen.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n"),
        ),
        false => ("http", String::new()),
    };
    let (host, port) = TARGET.split_once(':').context("a host and a port")?;
    let (ip, to) = (server.ip(), server.port());
    let audit = folder()?.join("audit.log");
    let text = format!(
        "[audit]\nfile = {audit:?}\n[limits]\nconnections = 20000\nper-user = 20000\nper-source = 20000\nidle = \"5m\"\n\
         [[listen]]\nname = \"outside\"\nendpoint = \"{scheme}://127.0.0.1:0\"\n\
         [listen.authentication.anonymous]\nreason = \"a bench\"\n{tls}\
         [[target]]\nname = \"bench\"\nhosts = [\"{host}\"]\nports = [{port}]\n\
         bridge = \"ncacn_ip_tcp:{ip}[{to}]\"\n\
         [[rule]]\nname = \"all\"\naction = \"allow\"\ntargets = [\"bench\"]\n"
    );
    let file = folder()?.join("proxy.toml");
    std::fs::write(&file, text)?;
    let program = Program::role("server")?.words("proxy --config");
    Ok(program.with(file))
}

/// `server proxy`: the RPC proxy on a runtime like that of `farcall proxy`.
pub(crate) fn server(options: &Options) -> Result<()> {
    let file: PathBuf = options.required("config")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let proxy = Proxy::start(&file)
            .await
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        let endpoint = proxy.endpoints().first().context("one listener")?;
        let (_, address) = endpoint.split_once("://").context("a URL")?;
        announce(address.trim_end_matches('/').parse()?)?;
        std::future::pending().await
    })
}
