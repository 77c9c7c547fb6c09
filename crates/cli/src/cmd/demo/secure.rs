//! The calculator under TLS: an authority of the demo's own vouches for a server and for alice, and everybody else is told
//! what is missing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use farcall::generated::calc::v1::{self, PROGRAM};
use farcall::tls::{
    ClientSettings, ClientTls, Clients, Own, Pem, Policy, ServerSettings, ServerTls, Tls, Trust,
};
use farcall::{Cause, Endpoint, Error, Identity, Options, Runtime, Server, TlsFault};
use farcall_onc::auth::AuthStat;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;

use super::report::{Report, shortened};
use crate::cmd::echo::calculator::Calculator;
use crate::table::Table;

/// How long ending may take.
const GRACE: Duration = Duration::from_secs(2);

/// Who the last caller was, as the server knew it.
type Seen = Arc<Mutex<Option<String>>>;

pub(super) async fn call(report: &mut Report<'_>) -> anyhow::Result<()> {
    report.act(
        "TLS",
        "the calculator at a tls:// endpoint (RFC 9289): both sides show certificates, or no call",
    )?;
    let authority = Authority::new("the demo's authority")?;
    let stranger = Authority::new("another authority")?;
    let seen = Seen::default();
    let server = serve(&authority, &seen).await?;
    let endpoint = &server.endpoints()[0];
    let alice = || authority.issue("alice");
    let mut table = Table::new(&["CALLER", "ANSWER", "RESULT"]);
    let mut facts = Vec::new();
    let clear = endpoint.to_string().replace("tls://", "tcp://").parse()?;
    let callers = [
        (
            "alice, with her certificate",
            endpoint,
            Some((&authority, Some(alice()?))),
            Wanted::Sum,
        ),
        ("nobody, in clear", &clear, None, Wanted::TooWeak),
        (
            "somebody without a certificate",
            endpoint,
            Some((&authority, None)),
            Wanted::Fault(TlsFault::CertificateRequired),
        ),
        (
            "mallory, vouched for by another",
            endpoint,
            Some((&authority, Some(stranger.issue("mallory")?))),
            Wanted::Fault(TlsFault::Refused),
        ),
        (
            "alice, who does not know the server",
            endpoint,
            Some((&stranger, Some(alice()?))),
            Wanted::Fault(TlsFault::UnknownIssuer),
        ),
    ];
    for (who, endpoint, tls, wanted) in callers {
        let result = add(endpoint, tls).await;
        let told = wanted.judge(&result);
        let answer = match (&result, &told) {
            (Ok(sum), _) => format!("40 + 2 = {sum}"),
            (Err(error), _) => error.cause().to_string(),
        };
        let right = if told.is_ok() { "ok" } else { "FAILED" };
        table.row([who.to_owned(), shortened(&answer, 48), right.to_owned()]);
        facts.push(json!({ "caller": who, "answer": answer, "ok": told.is_ok() }));
        report.check(who, told)?;
    }
    report.table(&table)?;
    let known = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    let right = match known.as_deref() {
        Some("CN=alice") => Ok(()),
        other => Err(format!("the server knew {other:?}")),
    };
    report.line(format_args!(
        "   the server knew its caller by the certificate: {}",
        known.unwrap_or_default()
    ))?;
    report.check("who called", right)?;
    report.note("one let in by her certificate, four told why not");
    report.fact("tls", json!(facts));
    server.drain(GRACE).await;
    Ok(())
}

/// What a caller is to be told.
#[derive(Clone, Copy)]
enum Wanted {
    Sum,
    TooWeak,
    Fault(TlsFault),
}

impl Wanted {
    fn judge(self, result: &Result<i32, Error>) -> Result<(), String> {
        match (self, result) {
            (Self::Sum, Ok(42)) => Ok(()),
            (_, Ok(sum)) => Err(format!("{sum}")),
            (_, Err(error)) if error.may_have_executed() => {
                Err(format!("{error}: it may have run"))
            }
            (Self::Sum, Err(error)) => Err(error.to_string()),
            (Self::TooWeak, Err(error)) => match error.cause() {
                Cause::Authentication(AuthStat::TOOWEAK) => Ok(()),
                _ => Err(error.to_string()),
            },
            (Self::Fault(wanted), Err(error)) => match error.cause() {
                Cause::Tls(fault, _) if *fault == wanted => Ok(()),
                _ => Err(error.to_string()),
            },
        }
    }
}

async fn serve(authority: &Authority, seen: &Seen) -> anyhow::Result<Server> {
    let own = authority.issue("127.0.0.1")?;
    let settings = ServerSettings {
        clients: Clients::Required(authority.trust()),
        ..ServerSettings::new(own.certificate, own.key)
    };
    let seen = Arc::clone(seen);
    let server = Server::builder()
        .runtime(Runtime::Threads(1))
        .serve(v1::service(Calculator::default()))
        .tls(Policy::RequireMutual, ServerTls::new(settings)?)
        .authorize(move |call| {
            if let Identity::Certificate(certified) = call.identity() {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                *seen = Some(certified.principal.clone());
            }
            Ok(())
        })
        .listen("tls://127.0.0.1:0");
    Ok(server.start().await?)
}

async fn add(endpoint: &Endpoint, tls: Option<(&Authority, Option<Own>)>) -> Result<i32, Error> {
    let mut options = Options::default();
    if let Some((authority, own)) = tls {
        let settings = ClientSettings {
            trust: Trust::Authorities(authority.trust()),
            own,
            ..ClientSettings::default()
        };
        options.tls = Some(Tls::require(ClientTls::new(settings)?));
    }
    let client = farcall::Client::connect_with(endpoint, PROGRAM.number, 1, options).await?;
    v1::Client::from(client).add(40, 2).await
}

/// An authority, and whom it vouches for.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { pem, issuer })
    }

    fn trust(&self) -> Pem {
        Pem::Text(self.pem.clone().into_bytes())
    }

    fn issue(&self, name: &str) -> anyhow::Result<Own> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Own {
            certificate: Pem::Text(certificate.pem().into_bytes()),
            key: Pem::Text(key.serialize_pem().into_bytes()),
        })
    }
}
