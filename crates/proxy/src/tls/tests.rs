//! TLS over memory, with certificates made on the spot.

use super::*;
use std::fs;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A certificate with its key in two files of a folder.
fn write(folder: &Path, name: &str, names: &[&str]) -> (PathBuf, PathBuf) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(names)
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    let (at, key_at) = (
        folder.join(format!("{name}.pem")),
        folder.join(format!("{name}.key")),
    );
    fs::write(&at, certificate.pem()).expect("written");
    fs::write(&key_at, key.serialize_pem()).expect("written");
    (at, key_at)
}

fn config(certificate: &Path, key: &Path) -> Tls {
    let text = format!("certificate = {certificate:?}\nkey = {key:?}");
    toml::from_str(&text).expect("a configuration")
}

/// Connects a client to a server over memory: what the server knows, and the certificate that the client was shown.
async fn connect(
    server: &Server,
    name: &'static str,
    client: Arc<rustls::ClientConfig>,
) -> io::Result<(Channel, Vec<u8>)> {
    let (near, far) = tokio::io::duplex(64 << 10);
    let connector = tokio_rustls::TlsConnector::from(client);
    let name = rustls::pki_types::ServerName::try_from(name).expect("a name");
    let connecting = async {
        let mut stream = connector.connect(name, near).await?;
        // With TLS 1.3 a client learns only now whether its certificate was liked.
        stream.write_all(b"x").await?;
        let shown = stream.get_ref().1.peer_certificates().expect("shown")[0].to_vec();
        let mut answer = [0; 1];
        stream.read_exact(&mut answer).await?;
        Ok::<_, io::Error>(shown)
    };
    let accepting = async {
        let (mut stream, channel) = server.accept(far).await?;
        stream.write_all(b"y").await?;
        Ok::<_, io::Error>(channel)
    };
    let (shown, channel) = tokio::join!(connecting, accepting);
    Ok((channel?, shown?))
}

/// A client that trusts these certificates, and shows one if it has one.
fn client(trusted: &[&Path], own: Option<(&Path, &Path)>) -> Arc<rustls::ClientConfig> {
    let mut roots = RootCertStore::empty();
    for path in trusted {
        for certificate in read_certificates(path).expect("read") {
            roots.add(certificate).expect("added");
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                read_certificates(certificate).expect("read"),
                PrivateKeyDer::from_pem_file(key).expect("read"),
            )
            .expect("a client's certificate"),
    })
}

#[tokio::test]
async fn a_client_is_shown_the_certificate_of_the_name_it_asks_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let (default, key) = write(folder.path(), "default", &["rpc.example.test"]);
    let (other, other_key) = write(folder.path(), "other", &["a.other.test"]);
    let text = format!(
        "certificate = {default:?}\nkey = {key:?}\n[[sni]]\nnames = [\"*.other.test\"]\ncertificate = {other:?}\nkey = {other_key:?}"
    );
    let server = Server::load(&toml::from_str(&text).expect("read")).expect("loaded");
    let client = client(&[&default, &other], None);
    for (name, file) in [("rpc.example.test", &default), ("a.other.test", &other)] {
        let (channel, shown) = connect(&server, name, Arc::clone(&client))
            .await
            .expect("connected");
        assert_eq!(shown, read_certificates(file).expect("read")[0].to_vec());
        // Self-signed with ECDSA and SHA-256: the bindings are the SHA-256 of what the client saw.
        let mut expected = b"tls-server-end-point:".to_vec();
        expected.extend_from_slice(&Sha256::digest(&shown));
        assert_eq!(
            channel.bindings.expect("bindings").application_data(),
            expected
        );
        assert_eq!(channel.client, None);
    }
}

#[tokio::test]
async fn a_client_that_speaks_http_2_alone_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = write(folder.path(), "one", &["h.test"]);
    let server = Server::load(&config(&certificate, &key)).expect("loaded");
    let mut two = (*client(&[&certificate], None)).clone();
    two.alpn_protocols = vec![b"h2".to_vec()];
    assert!(connect(&server, "h.test", Arc::new(two)).await.is_err());
}

/// An authority, a certificate of it with these alternative names, and a list that revokes the serial number 7.
fn authority(folder: &Path) -> (PathBuf, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        rcgen::KeyUsagePurpose::KeyCertSign,
        rcgen::KeyUsagePurpose::CrlSign,
    ];
    params
        .distinguished_name
        .push(DnType::CommonName, "Clients");
    let certificate = params.self_signed(&key).expect("a certificate");
    let path = folder.join("ca.pem");
    fs::write(&path, certificate.pem()).expect("written");
    (path, Issuer::new(params, key))
}

fn issue(folder: &Path, issuer: &Issuer<'_, KeyPair>, serial: u64) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["host.test".to_owned()]).expect("parameters");
    params.serial_number = Some(serial.into());
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Example, Ltd");
    params
        .distinguished_name
        .push(DnType::OrganizationalUnitName, "staff");
    params.distinguished_name.push(DnType::CommonName, "bob");
    params.subject_alt_names.push(SanType::Rfc822Name(
        "bob@example.test".try_into().expect("text"),
    ));
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    let at = folder.join(format!("client{serial}.pem"));
    let key_at = folder.join(format!("client{serial}.key"));
    fs::write(&at, certificate.pem()).expect("written");
    fs::write(&key_at, key.serialize_pem()).expect("written");
    (at, key_at)
}

#[tokio::test]
async fn clients_certificates_are_verified_and_revoked_ones_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (certificate, key) = write(folder, "server", &["h.test"]);
    let (ca, issuer) = authority(folder);
    let revoked = rcgen::RevokedCertParams {
        serial_number: 7_u64.into(),
        revocation_time: rcgen::date_time_ymd(2026, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 1, 1),
        next_update: rcgen::date_time_ymd(2999, 1, 1),
        crl_number: 1_u64.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let crl = folder.join("crl.pem");
    fs::write(
        &crl,
        list.signed_by(&issuer)
            .expect("a list")
            .pem()
            .expect("text"),
    )
    .expect("written");
    let text = format!(
        "certificate = {certificate:?}\nkey = {key:?}\nclient-certificates = \"required\"\nclient-ca = {ca:?}\nclient-crl = [{crl:?}]"
    );
    let server = Server::load(&toml::from_str(&text).expect("read")).expect("loaded");
    let good = issue(folder, &issuer, 6);
    let bad = issue(folder, &issuer, 7);
    let with = |own: &(PathBuf, PathBuf)| client(&[&certificate], Some((&own.0, &own.1)));
    let (channel, _) = connect(&server, "h.test", with(&good))
        .await
        .expect("connected");
    let seen = channel.client.expect("a client's certificate");
    assert_eq!(seen.subject, "CN=bob,OU=staff,O=Example\\, Ltd");
    assert_eq!(seen.common_name, "bob");
    assert_eq!(seen.units, ["staff"]);
    assert_eq!(seen.mail, ["bob@example.test"]);
    assert_eq!(seen.dns, ["host.test"]);
    assert!(seen.issuer.starts_with("CN="), "{}", seen.issuer);
    assert!(
        connect(&server, "h.test", with(&bad)).await.is_err(),
        "revoked"
    );
    assert!(
        connect(&server, "h.test", client(&[&certificate], None))
            .await
            .is_err(),
        "none"
    );
    let (stranger, stranger_key) = write(folder, "stranger", &["s.test"]);
    let strange = client(&[&certificate], Some((&stranger, &stranger_key)));
    assert!(
        connect(&server, "h.test", strange).await.is_err(),
        "unknown issuer"
    );
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, _) = write(folder.path(), "one", &["h.test"]);
    let (_, other_key) = write(folder.path(), "two", &["h.test"]);
    let error = Server::load(&config(&certificate, &other_key)).expect_err("two pairs");
    assert!(error.to_string().contains("one.pem"), "{error}");
    let error =
        Server::load(&config(&folder.path().join("none"), &other_key)).expect_err("no file");
    assert!(error.to_string().contains("none"), "{error}");
}

#[test]
fn wildcards_stand_for_one_part() {
    assert!(covers("*.a.test", "x.a.test"));
    assert!(!covers("*.a.test", "a.test"));
    assert!(!covers("*.a.test", ".a.test"));
    assert!(!covers("*.a.test", "y.x.a.test"));
    assert!(covers("a.test", "a.test"));
}
