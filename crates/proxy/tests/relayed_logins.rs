//! Logins that somebody carries from one TLS connection to another get nobody in (rows 4 of the attacks: ESC8, ESC11, ProxyRelay).
//!
//! A whole proxy with a listener over TLS, NTLM and channel bindings as they are unless somebody changes them: required. The client is our own NTLM; the
//! relay is a machine with another certificate, which the victim has connected to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farcall_proxy::Proxy;
use farcall_security::{ChannelBindings, Credentials, Handshake, Password, Progress};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A certificate with its key in two files of a folder, and what binds a login to it (RFC 5929 section 4.1).
fn certificate(folder: &Path, name: &str) -> ChannelBindings {
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["rpc.test".to_owned()])
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).expect("written");
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("written");
    let der = CertificateDer::from_pem_slice(certificate.pem().as_bytes()).expect("DER");
    ChannelBindings::tls_server_end_point(&Sha256::digest(&der))
}

/// Trusts every certificate: whose it is, is what the bindings say.
#[derive(Debug)]
struct Anyone(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

async fn connect(to: &str) -> TlsStream<TcpStream> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    let stream = TcpStream::connect(to).await.expect("connects");
    let name = ServerName::try_from("rpc.test").expect("a name");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.expect("TLS")
}

/// Sends an empty request with a token: the status, and the token of the answer.
async fn leg(stream: &mut TlsStream<TcpStream>, token: &[u8]) -> (u16, Vec<u8>) {
    let token = STANDARD.encode(token);
    let request = format!(
        "RPC_IN_DATA /rpc/rpcproxy.dll?srv1:593 HTTP/1.1\r\nHost: h\r\nAuthorization: NTLM {token}\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(Duration::from_secs(20), stream.read_u8()).await;
        head.push(byte.expect("in time").expect("a head"));
    }
    let head = String::from_utf8(head).expect("text");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let length = head.to_ascii_lowercase();
    let length = length
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.expect("a body");
    let token = head
        .lines()
        .find_map(|line| line.strip_prefix("www-authenticate: NTLM "));
    let token = token.map(|token| STANDARD.decode(token).expect("base64"));
    (status.expect("a status"), token.unwrap_or_default())
}

/// What a client says first, and what it says to a challenge.
fn client(bindings: Option<&ChannelBindings>) -> (Box<dyn Handshake>, Vec<u8>) {
    let mut credentials = Credentials::ntlm("bob", "DOM", &Password::new("secret".to_owned()));
    if let Some(bindings) = bindings {
        credentials = credentials.with_bindings(bindings.clone());
    }
    let mut handshake = credentials
        .begin("HTTP/rpc.test", false, false)
        .expect("begun");
    let Progress::Continue(first) = handshake.step(b"").expect("a token") else {
        panic!("NTLM has three messages");
    };
    (handshake, first)
}

fn third(handshake: &mut dyn Handshake, challenge: &[u8]) -> Vec<u8> {
    match handshake.step(challenge).expect("a token") {
        Progress::Done { token, .. } => token.expect("a last token"),
        _ => panic!("NTLM has three messages"),
    }
}

/// Logs in over a connection of its own; the last status, and the last message.
async fn log_in(to: &str, bindings: Option<&ChannelBindings>) -> (u16, Vec<u8>) {
    let mut stream = connect(to).await;
    let (mut handshake, first) = client(bindings);
    let (status, challenge) = leg(&mut stream, &first).await;
    assert_eq!(status, 401);
    let last = third(handshake.as_mut(), &challenge);
    (leg(&mut stream, &last).await.0, last)
}

/// A proxy with this in its listener's `ntlm`, and where it listens.
async fn start(folder: &Path, binding: &str) -> (Proxy, String) {
    let mut users = farcall_security::Users::default();
    let password = Password::new("secret".to_owned());
    users.add("bob", "DOM", &password, &[]).expect("added");
    users.save(&folder.join("users")).expect("written");
    let file = folder.join("proxy.toml");
    // Paths are relative to the file.
    let text = format!(
        "[audit]\nfile = \"audit\"\n[[listen]]\nname = \"outside\"\nendpoint = \"https://127.0.0.1:0\"\n\
         [listen.tls]\ncertificate = \"own.pem\"\nkey = \"own.key\"\n[listen.authentication.ntlm]\nusers = \"users\"\n{binding}\n"
    );
    std::fs::write(&file, text).expect("written");
    let proxy = Proxy::start(&file)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let at = proxy.endpoints()[0]
        .strip_prefix("https://")
        .expect("a URL");
    let at = at.to_owned();
    (proxy, at)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_worth_nothing_on_another_tls_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = certificate(folder.path(), "own");
    let others = certificate(folder.path(), "relay");
    let (_proxy, to) = start(folder.path(), "").await;
    let (status, last) = log_in(&to, Some(&own)).await;
    assert_eq!(status, 200, "who is there itself gets in");
    // The victim has connected to the relay's machine, which passes its messages on.
    assert_eq!(log_in(&to, Some(&others)).await.0, 401, "a relayed login");
    assert_eq!(
        log_in(&to, None).await.0,
        401,
        "a client that names no channel"
    );
    // The same last message again, on a connection with a challenge of its own and on one without any.
    let mut stream = connect(&to).await;
    assert_eq!(leg(&mut stream, &client(Some(&own)).1).await.0, 401);
    assert_eq!(leg(&mut stream, &last).await.0, 401, "a login used twice");
    assert_eq!(
        leg(&mut connect(&to).await, &last).await.0,
        401,
        "out of the blue"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bindings_are_looked_at_as_the_file_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = certificate(folder.path(), "own");
    let others = certificate(folder.path(), "relay");
    for (mode, of_others, none) in [
        ("allow", 401, 200),
        ("off", 200, 200),
        ("require", 401, 401),
    ] {
        let folder = tempfile::tempdir_in(folder.path()).expect("a folder");
        for name in ["own.pem", "own.key"] {
            let from = folder.path().parent().expect("a folder").join(name);
            std::fs::copy(from, folder.path().join(name)).expect("copied");
        }
        let (_proxy, to) = start(folder.path(), &format!("channel-binding = \"{mode}\"")).await;
        assert_eq!(
            log_in(&to, Some(&own)).await.0,
            200,
            "{mode}: its own channel"
        );
        assert_eq!(
            log_in(&to, Some(&others)).await.0,
            of_others,
            "{mode}: another channel"
        );
        assert_eq!(log_in(&to, None).await.0, none, "{mode}: none");
    }
}
