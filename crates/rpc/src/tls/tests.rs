//! TLS over memory, with certificates made on the spot.

use super::*;
use std::io;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// An authority of the tests.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("signed").pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    fn trust(&self) -> Pem {
        Pem::Text(self.pem.clone().into_bytes())
    }

    fn own(&self, params: CertificateParams) -> Own {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Own {
            certificate: Pem::Text(certificate.pem().into_bytes()),
            key: Pem::Text(key.serialize_pem().into_bytes()),
        }
    }

    /// A certificate for these names.
    fn issue(&self, names: &[&str]) -> Own {
        self.own(params(names))
    }

    fn revoke(&self, serial: u64) -> Pem {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2020, 1, 2),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("signed");
        Pem::Text(list.pem().expect("PEM").into_bytes())
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let common = names.first().cloned().unwrap_or_default();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, common);
    params
}

fn server(own: Own, clients: Clients) -> ServerSettings {
    ServerSettings {
        own,
        clients,
        revoked: Vec::new(),
        versions: Versions::default(),
    }
}

fn believing(authority: &Authority) -> ClientSettings {
    ClientSettings {
        trust: Trust::Authorities(authority.trust()),
        ..ClientSettings::default()
    }
}

type Ends = (TlsStream<DuplexStream>, TlsStream<DuplexStream>);

/// A handshake over memory, and a byte each way: with TLS 1.3 a client learns only then whether it is liked.
async fn shake(client: &ClientTls, server: &ServerTls, host: &str) -> Result<Ends, [TlsError; 2]> {
    shake_over(client, server, host, &[b"sunrpc"], &[b"sunrpc"]).await
}

async fn shake_over(
    client: &ClientTls,
    server: &ServerTls,
    host: &str,
    offered: &[&[u8]],
    spoken: &[&[u8]],
) -> Result<Ends, [TlsError; 2]> {
    let (near, far) = tokio::io::duplex(64 << 10);
    let connecting = async {
        let mut stream = client.connect(near, host, offered).await?;
        byte_each_way(&mut stream).await?;
        Ok(stream)
    };
    let accepting = async {
        let mut stream = server.accept(far, spoken).await?;
        byte_each_way(&mut stream).await?;
        Ok(stream)
    };
    let ended = |error: &TlsError| error.clone();
    match tokio::join!(connecting, accepting) {
        (Ok(near), Ok(far)) => Ok((near, far)),
        (near, far) => {
            let other = TlsError::new(TlsFault::Interrupted, "fine");
            let near = near.as_ref().err().map_or(other.clone(), ended);
            Err([near, far.as_ref().err().map_or(other, ended)])
        }
    }
}

async fn byte_each_way(stream: &mut TlsStream<DuplexStream>) -> Result<(), TlsError> {
    let said: io::Result<()> = async {
        stream.write_all(b"x").await?;
        stream.flush().await?;
        stream.read_exact(&mut [0; 1]).await.map(|_| ())
    }
    .await;
    said.map_err(|error| explain(&error))
}

fn faults(shaken: Result<Ends, [TlsError; 2]>) -> [TlsFault; 2] {
    shaken
        .map(|_| ())
        .expect_err("refused")
        .map(|it| it.fault())
}

fn client_of(settings: ClientSettings) -> ClientTls {
    ClientTls::new(settings).expect("a client")
}

fn server_of(settings: ServerSettings) -> ServerTls {
    ServerTls::new(settings).expect("a server")
}

#[tokio::test]
async fn both_ends_know_the_other_and_give_the_channel_one_name() {
    let authority = Authority::new("authority");
    let mut alice = params(&["alice.example.test"]);
    alice
        .distinguished_name
        .push(DnType::OrganizationName, "Example, Inc.");
    let mail = "alice@example.test".try_into().expect("a mail address");
    alice.subject_alt_names.push(SanType::Rfc822Name(mail));
    let client = client_of(ClientSettings {
        own: Some(authority.own(alice)),
        ..believing(&authority)
    });
    let own = authority.issue(&["localhost", "127.0.0.1"]);
    let server = server_of(server(own, Clients::Required(authority.trust())));
    for host in ["localhost", "127.0.0.1"] {
        let (near, far) = shake(&client, &server, host).await.expect("TLS");
        let seen = far.peer().expect("a certificate");
        assert_eq!(seen.subject, "O=Example\\, Inc.,CN=alice.example.test");
        assert_eq!(
            (seen.common_name.as_str(), &*seen.mail),
            ("alice.example.test", &["alice@example.test".to_owned()][..])
        );
        assert_eq!(near.peer().expect("shown").dns, ["localhost"]);
        assert_eq!(
            near.end_point().expect("a hash").len(),
            32,
            "ECDSA with SHA-256"
        );
        assert_eq!(near.end_point(), far.end_point());
        assert_eq!(
            (near.alpn(), far.alpn()),
            (Some(&b"sunrpc"[..]), Some(&b"sunrpc"[..]))
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_who_it_should_be_is_refused_and_told() {
    let authority = Authority::new("authority");
    let other = Authority::new("other");
    let client = client_of(believing(&authority));
    let mut old = params(&["localhost"]);
    (old.not_before, old.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    let mut young = params(&["localhost"]);
    (young.not_before, young.not_after) = (date_time_ymd(2080, 1, 1), date_time_ymd(2081, 1, 1));
    for (own, fault, words) in [
        (authority.own(old), TlsFault::Expired, "expired"),
        (authority.own(young), TlsFault::NotYetValid, "valid only in"),
        (
            other.issue(&["localhost"]),
            TlsFault::UnknownIssuer,
            "not trusted",
        ),
        (
            authority.issue(&["elsewhere"]),
            TlsFault::WrongName,
            "it is for",
        ),
    ] {
        let server = server_of(server(own, Clients::Unasked));
        let shaken = shake(&client, &server, "localhost").await;
        let [near, far] = shaken.map(|_| ()).expect_err("refused");
        assert_eq!(
            (near.fault(), far.fault()),
            (fault, TlsFault::Refused),
            "{near}, {far}"
        );
        assert!(near.to_string().contains(words), "{near}");
        assert!(!crate::Error::from(near).hints().is_empty());
    }
}

#[tokio::test]
async fn a_name_and_a_subject_can_be_demanded() {
    let authority = Authority::new("authority");
    let server = server_of(server(
        authority.issue(&["files.example"]),
        Clients::Unasked,
    ));
    let demanding = |name: &str, subject: Option<&str>| {
        client_of(ClientSettings {
            server_name: Some(name.to_owned()),
            subject: subject.map(str::to_owned),
            ..believing(&authority)
        })
    };
    let good = demanding("files.example", Some("CN=files.example"));
    assert!(shake(&good, &server, "127.0.0.1").await.is_ok());
    let bad = demanding("files.example", Some("CN=other"));
    assert_eq!(
        faults(shake(&bad, &server, "127.0.0.1").await)[0],
        TlsFault::WrongName
    );
    let none = demanding("not a name", None);
    assert_eq!(
        faults(shake(&none, &server, "127.0.0.1").await)[0],
        TlsFault::Settings
    );
}

#[tokio::test]
async fn clients_show_certificates_as_the_server_wants_it() {
    let authority = Authority::new("authority");
    let other = Authority::new("other");
    let trust = || authority.trust();
    let own = || authority.issue(&["localhost"]);
    let bare = client_of(believing(&authority));
    let with = |own| {
        client_of(ClientSettings {
            own: Some(own),
            ..believing(&authority)
        })
    };
    let required = server_of(server(own(), Clients::Required(trust())));
    let optional = server_of(server(own(), Clients::Optional(trust())));
    let [near, far] = faults(shake(&bare, &required, "localhost").await);
    assert_eq!(
        (near, far),
        (TlsFault::CertificateRequired, TlsFault::CertificateRequired)
    );
    let (_, far) = shake(&bare, &optional, "localhost")
        .await
        .expect("none is fine");
    assert!(far.peer().is_none());
    let stranger = with(other.issue(&["mallory"]));
    for server in [&required, &optional] {
        assert_eq!(
            faults(shake(&stranger, server, "localhost").await),
            [TlsFault::Refused, TlsFault::UnknownIssuer]
        );
    }
    let mut old = params(&["alice"]);
    (old.not_before, old.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    let expired = with(authority.own(old));
    assert_eq!(
        faults(shake(&expired, &required, "localhost").await),
        [TlsFault::Refused, TlsFault::Expired]
    );
    assert!(
        shake(&with(authority.issue(&["alice"])), &required, "localhost")
            .await
            .is_ok()
    );
    // Whoever is not asked shows nothing.
    let unasking = server_of(server(own(), Clients::Unasked));
    let (_, far) = shake(&with(authority.issue(&["alice"])), &unasking, "localhost")
        .await
        .expect("TLS");
    assert!(far.peer().is_none());
}

#[tokio::test]
async fn who_was_revoked_is_refused() {
    let authority = Authority::new("authority");
    let numbered = |name: &str, serial: u64| {
        let mut params = params(&[name]);
        params.serial_number = Some(SerialNumber::from(serial));
        authority.own(params)
    };
    let server = server_of(ServerSettings {
        revoked: vec![authority.revoke(7)],
        ..server(
            numbered("localhost", 1),
            Clients::Required(authority.trust()),
        )
    });
    let with = |own| {
        client_of(ClientSettings {
            own: Some(own),
            ..believing(&authority)
        })
    };
    assert!(
        shake(&with(numbered("alice", 6)), &server, "localhost")
            .await
            .is_ok()
    );
    assert_eq!(
        faults(shake(&with(numbered("bob", 7)), &server, "localhost").await),
        [TlsFault::Refused, TlsFault::Revoked]
    );
    let wary = client_of(ClientSettings {
        revoked: vec![authority.revoke(1)],
        own: Some(numbered("alice", 6)),
        ..believing(&authority)
    });
    assert_eq!(
        faults(shake(&wary, &server, "localhost").await)[0],
        TlsFault::Revoked
    );
}

#[tokio::test]
async fn protocols_are_agreed_on_or_left_out_but_never_mixed_up() {
    let authority = Authority::new("authority");
    let client = client_of(believing(&authority));
    let server = server_of(server(authority.issue(&["localhost"]), Clients::Unasked));
    let name: &[&[u8]] = &[b"sunrpc"];
    let other: &[&[u8]] = &[b"http/1.1"];
    for (offered, spoken, agreed) in [(name, name, true), (name, &[], false), (&[], name, false)] {
        let ends = shake_over(&client, &server, "localhost", offered, spoken).await;
        let (near, far) = ends.expect("TLS");
        assert_eq!(
            (near.alpn().is_some(), far.alpn().is_some()),
            (agreed, agreed)
        );
    }
    let shaken = shake_over(&client, &server, "localhost", name, other).await;
    assert_eq!(faults(shaken), [TlsFault::Protocol, TlsFault::Protocol]);
}

#[tokio::test]
async fn tls_1_2_is_spoken_only_if_asked_for() {
    let authority = Authority::new("authority");
    let own = || authority.issue(&["localhost"]);
    let old = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("a version")
        .with_root_certificates(authority.trust().roots().expect("roots"))
        .with_no_client_auth();
    for (versions, fine) in [(Versions::Tls13, false), (Versions::Tls12, true)] {
        let server = server_of(ServerSettings {
            versions,
            ..server(own(), Clients::Unasked)
        });
        let (near, far) = tokio::io::duplex(64 << 10);
        let connector = TlsConnector::from(Arc::new(old.clone()));
        let name = server_name("localhost").expect("a name");
        let (near, far) = tokio::join!(connector.connect(name, near), server.accept(far, &[]));
        assert_eq!((near.is_ok(), far.is_ok()), (fine, fine));
        if let Err(error) = far {
            assert_eq!(error.fault(), TlsFault::Version, "{error}");
        }
    }
}

#[tokio::test]
async fn what_is_no_tls_is_named() {
    let authority = Authority::new("authority");
    let client = client_of(believing(&authority));
    let server = server_of(server(authority.issue(&["localhost"]), Clients::Unasked));
    let (near, mut far) = tokio::io::duplex(64 << 10);
    far.write_all(b"\x80\0\0\x18 what a server of RPC says in clear")
        .await
        .expect("written");
    let error = client
        .connect(near, "localhost", &[])
        .await
        .map(|_| ())
        .expect_err("refused");
    assert_eq!(error.fault(), TlsFault::NotTls, "{error}");
    let (mut near, far) = tokio::io::duplex(64 << 10);
    near.write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("written");
    let error = server
        .accept(far, &[])
        .await
        .map(|_| ())
        .expect_err("refused");
    assert_eq!(error.fault(), TlsFault::NotTls, "{error}");
    let (near, far) = tokio::io::duplex(64 << 10);
    drop(near);
    let error = server
        .accept(far, &[])
        .await
        .map(|_| ())
        .expect_err("refused");
    assert_eq!(error.fault(), TlsFault::Interrupted, "{error}");
}

fn write(own: &Own, folder: &Path) -> Own {
    let at = |name: &str, pem: &Pem| {
        let path = folder.join(name);
        let Pem::Text(bytes) = pem else {
            unreachable!()
        };
        std::fs::write(&path, bytes).expect("written");
        Pem::File(path)
    };
    Own {
        certificate: at("server.pem", &own.certificate),
        key: at("server.key", &own.key),
    }
}

#[tokio::test]
async fn files_are_read_anew_and_what_is_wrong_with_them_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("authority");
    let client = client_of(believing(&authority));
    let server = server_of(server(
        write(&authority.issue(&["one.test"]), folder.path()),
        Clients::Unasked,
    ));
    let (mut near, mut far) = shake(&client, &server, "one.test").await.expect("TLS");
    write(&authority.issue(&["second.test"]), folder.path());
    server.0.refresh().expect("read");
    assert!(shake(&client, &server, "second.test").await.is_ok());
    // What stood before stands still.
    let (a, b) = tokio::join!(byte_each_way(&mut near), byte_each_way(&mut far));
    assert!(a.is_ok() && b.is_ok());
    std::fs::write(folder.path().join("server.key"), "nonsense").expect("written");
    let error = server.reload().expect_err("no key");
    assert!(
        error.to_string().contains("server.key: no private key"),
        "{error}"
    );
    assert!(
        server.0.refresh().is_err() && server.0.refresh().is_ok(),
        "it is said once"
    );
    assert!(shake(&client, &server, "second.test").await.is_ok());
}

#[test]
fn settings_that_do_not_fit_say_which_file_it_is() {
    let authority = Authority::new("authority");
    let (one, two) = (authority.issue(&["one"]), authority.issue(&["two"]));
    let mixed = Own {
        key: two.key,
        ..one
    };
    let error = ServerTls::new(server(mixed, Clients::Unasked)).expect_err("another key");
    assert_eq!(error.fault(), TlsFault::Settings);
    let nowhere = Pem::File("/nowhere/at.pem".into());
    let settings = ClientSettings {
        trust: Trust::Authorities(nowhere),
        ..ClientSettings::default()
    };
    let error = ClientTls::new(settings).expect_err("no file");
    assert!(
        error.to_string().starts_with("/nowhere/at.pem: "),
        "{error}"
    );
    let error = crate::Error::from(error).to_string();
    assert!(error.starts_with("secure: TLS: /nowhere"), "{error}");
    let shown = format!("{:?}", two.certificate);
    assert_eq!(shown, "PEM in memory");
}
