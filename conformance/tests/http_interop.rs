//! Others' clients find servers through an endpoint mapper over HTTP, through our proxy: our mapper, that of a domain controller of Samba's behind a bridge, and
//! our server without a proxy, in the first version of the protocol. And the proofs of our own client that need somebody else: a signed token, and a ticket.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use farcall::client::http::{HttpCredentials, HttpOptions};
use farcall::generated::rpcecho::rpcecho;
use farcall::tls::{ClientSettings, ClientTls, Trust};
use farcall::{Cause, Error, Phase, Registrar, Server};
use farcall_binder::Binder;
use farcall_conformance::dce::{self, runtime};
use farcall_conformance::peer::farcall::{self as program, Farcall};
use farcall_conformance::peer::http::{options, own};
use farcall_conformance::peer::samba::{self, DOMAIN, Domain, KEYTAB, REALM, USER, USER_PASSWORD};
use farcall_conformance::peer::{Process, Scratch, available, python, torture};
use farcall_conformance::{case, echo, network_test};
use farcall_dce::security::AuthLevel;
use farcall_security::{Credentials, Password, kerberos};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use tokio::runtime::Runtime;

/// The two servers at 127.0.0.1, as the proxy knows them: both over HTTP.
const SERVERS: &str =
    "hosts = [\"127.0.0.1\", \"srv1\"]\nports = [593, 7593]\naddresses = [\"127.0.0.1\"]\n";

/// The mapper of a domain controller, which knows nothing of HTTP.
const CONTROLLER: &str =
    "hosts = [\"127.0.0.1\", \"srv1\"]\nports = [593]\nbridge = \"ncacn_ip_tcp:127.0.0.1[135]\"\n";

/// A proxy in front of `target`: nobody at 8080, every way at 8081 and, with TLS, at 8443. impacket knows ports 80 and 443 alone: NTLM at both, Basic at
/// port 80 of 127.0.0.2. smbtorture's rpc.mgmt looks servers up as nobody, once for every interface that it knows: its failures must not lock others out.
fn proxy(scratch: &Scratch, target: &str) -> Farcall {
    let users = program::users(scratch).expect("a file of users");
    let hash = bcrypt::hash(USER_PASSWORD, 4).expect("a hash");
    fs::write(scratch.file("passwords"), format!("{USER}:{hash}\n")).expect("written");
    fs::set_permissions(scratch.file("passwords"), fs::Permissions::from_mode(0o600))
        .expect("closed");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    fs::write(scratch.file("cert.pem"), certificate.pem()).expect("written");
    fs::write(scratch.file("key.pem"), key.serialize_pem()).expect("written");
    let nobody = "[listen.authentication.anonymous]\nreason = \"a test\"\n";
    let basic = "[listen.authentication.basic]\nusers = \"passwords\"\n";
    // impacket takes the server's name from the challenge.
    let ntlm = format!(
        "[listen.authentication.ntlm]\nusers = {users:?}\nchannel-binding = \"off\"\ncomputer = \"SRV1\"\n"
    );
    let negotiate = format!(
        "[listen.authentication.negotiate]\nchannel-binding = \"off\"\n[listen.authentication.negotiate.ntlm]\nusers = {users:?}\n"
    );
    let every = format!("{basic}{ntlm}{negotiate}");
    let listeners = [
        ("http://127.0.0.1:8080", nobody),
        ("http://127.0.0.1:8081", &every),
        ("https://127.0.0.1:8443", &every),
        ("http://127.0.0.1:80", &ntlm),
        ("https://127.0.0.1:443", &ntlm),
        ("http://127.0.0.2:80", basic),
    ];
    let listener = |(at, authentication): (&str, &str)| {
        let tls = match at.starts_with("https") {
            true => "[listen.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n",
            false => "",
        };
        format!("[[listen]]\nname = \"{at}\"\nendpoint = \"{at}\"\n{tls}{authentication}")
    };
    let text = format!(
        "[audit]\nfile = \"audit\"\n[limits]\nper-source = 1000\n[lockout]\nper-source = 10000\nper-account = 10000\n{}\
         [[target]]\nname = \"servers\"\n{target}[[rule]]\nname = \"everything\"\naction = \"allow\"\ntargets = [\"servers\"]\n",
        listeners.map(listener).concat()
    );
    let file = scratch.file("proxy.toml");
    fs::write(&file, text).expect("written");
    let arguments = ["proxy", "--config", &file.display().to_string()];
    Farcall::start(&arguments, listeners.len()).expect("farcall proxy")
}

/// A mapper at port 593 and a server at 7593 that is registered there: both over HTTP alone, but for the local endpoint where servers register.
struct Behind {
    binder: Binder,
    server: Server,
}

fn behind(runtime: &Runtime) -> Behind {
    let binder = Binder::builder()
        .listen("ncacn_http:127.0.0.1[593]")
        .listen("ncalrpc:[epmapper]")
        .configure(|server| {
            Ok::<_, farcall::Error>(server.authenticate_with(Arc::new(dce::ntlm())))
        })
        .expect("mechanisms");
    let binder = runtime.block_on(binder.start()).expect("the mapper");
    let local = binder.endpoints().last().expect("its local endpoint");
    let registrar = Registrar::at(local).expect("the mapper's endpoint");
    let server = Server::builder()
        .serve(echo::service())
        .listen("ncacn_http:127.0.0.1[7593]")
        .auth_floor(AuthLevel::CONNECT)
        .allow_anonymous()
        .authenticate_with(Arc::new(dce::ntlm()))
        .register_with(registrar)
        .start();
    let server = runtime
        .block_on(server)
        .expect("a server that is registered");
    Behind { binder, server }
}

impl Behind {
    fn end(self, runtime: &Runtime) {
        runtime.block_on(async {
            self.server.drain(Duration::ZERO).await;
            self.binder.drain(Duration::ZERO).await;
        });
    }
}

/// What a command printed.
fn printed(name: &str, command: &mut Command) -> String {
    let (_, printed) = Process::run(name, command).expect(name);
    printed
}

/// Runs a suite of smbtorture's with this binding; the tests that passed.
fn tortured(configuration: &Path, binding: &str, suite: &str, who: &str) -> (Vec<String>, String) {
    let more = [who, "--option=tls verify peer=no_check"];
    let found = torture::run(configuration, binding, suite, &more).expect("run smbtorture");
    (found.passed, found.printed)
}

/// Runs rpc.epmapper and rpc.mgmt through the proxy as nobody, and as a user in each way, with and without TLS. What passes must be what is expected of each:
/// of the mapper by nobody, of the mapper by a user, of management.
fn torture_in_every_way(
    scratch: &Scratch,
    [nobodys, mapper, management]: [&[String]; 3],
    managed: &[usize],
) {
    let configuration = samba::client_configuration(scratch).expect("a configuration");
    let user = format!("-U{DOMAIN}/{USER}%{USER_PASSWORD}");
    let nobody = (
        "8080,HttpUseTls=false,HttpAuthOption=basic".to_owned(),
        "-U%",
    );
    let proved = ["basic", "ntlm", "negotiate"].into_iter().flat_map(|way| {
        [(8081, false), (8443, true)].map(|(port, tls)| {
            let options = format!("{port},HttpUseTls={tls},HttpAuthOption={way},sign");
            (options, user.as_str())
        })
    });
    let ways: Vec<_> = std::iter::once(nobody).chain(proved).collect();
    let run = |suite: &str, (options, who): &(String, &str), expected: &[String]| {
        let binding = format!("ncacn_http:127.0.0.1[593,RpcProxy=127.0.0.1:{options}]");
        let (passed, printed) = tortured(&configuration, &binding, suite, who);
        assert_eq!(passed, expected, "{suite} {options}\n{printed}");
    };
    thread::scope(|scope| {
        for way in managed.iter().filter_map(|at| ways.get(*at)) {
            scope.spawn(|| run("rpc.mgmt", way, management));
        }
    });
    // One after the other: what one of them registers, the others would find.
    for way in &ways {
        let expected = if way.1 == "-U%" { nobodys } else { mapper };
        run("rpc.epmapper", way, expected);
    }
}

network_test! {
    fn smbtorture_tests_our_mapper_and_management_over_http() {
        if !available(&["smbtorture"]) || !program::available() {
            return;
        }
        let (scratch, runtime) = (Scratch::new("http-torture").expect("a folder"), runtime());
        let servers = behind(&runtime);
        let _proxy = proxy(&scratch, SERVERS);
        let names = ["Map_simple", "Map_full", "Lookup_simple", "Lookup_terminate_search", "Insert_noreplace"];
        let mapper = names.map(|name| format!("epmapper.{name}"));
        // Nobody may register anything.
        let nobodys = [0, 2, 3].map(|at: usize| mapper[at].clone());
        torture_in_every_way(&scratch, [&nobodys, &mapper, &["mgmt".to_owned()]], &[0, 1, 2, 3, 4, 5, 6]);
        servers.end(&runtime);
        case::ran("smbtorture", "rpc.epmapper and rpc.mgmt through our proxy to our servers of RPC over HTTP: nobody; Basic, NTLM and Negotiate, plain and TLS");
    }

    fn smbtorture_and_impacket_reach_a_domain_controller_by_bridge() {
        if !available(&["smbtorture"]) || !available(samba::NEEDS) || !program::available() || !python::available() {
            return;
        }
        let _domain = Domain::start().expect("start the domain controller");
        let scratch = Scratch::new("http-domain").expect("a folder");
        let _proxy = proxy(&scratch, CONTROLLER);
        // Some tests its own mapper does not pass: those that it passes directly are expected.
        let configuration = samba::client_configuration(&scratch).expect("a configuration");
        let direct = ["rpc.epmapper", "rpc.mgmt"].map(|suite| tortured(&configuration, "ncacn_ip_tcp:127.0.0.1[135]", suite, "-U%").0);
        assert!(direct.iter().all(|passed| !passed.is_empty()), "{direct:?}");
        let [mapper, management] = &direct;
        // As nobody, and by NTLM inside TLS: each asks for a hundred interfaces.
        torture_in_every_way(&scratch, [mapper, mapper, management], &[0, 4]);
        case::ran("smbtorture", "rpc.epmapper and rpc.mgmt through our proxy, by bridge, to a domain controller of Samba's: nobody; Basic, NTLM and Negotiate, plain and TLS");
        let who = format!("{DOMAIN}/{USER}:{USER_PASSWORD}");
        for binding in ["ncacn_http:[593,RpcProxy=127.0.0.1:80]", "ncacn_http:srv1[593,RpcProxy=127.0.0.1:443]", "ncacn_http:srv1[593,RpcProxy=127.0.0.2:80]"] {
            let mut command = python::program("rpcmap.py");
            command.args(["-auth-level", "1", "-no-pass", "-auth-transport", &who, binding]);
            let said = printed("rpcmap", &mut command);
            assert!(said.contains("E1AF8308-5D1F-11C9-91A4-08002B14A0FA v3.0"), "{binding}: {said}");
        }
        case::ran("impacket", "rpcmap of a domain controller of Samba's, by bridge through our proxy: NTLM and Basic");
    }

    fn impacket_maps_and_dumps_through_our_proxy_and_without() {
        if !python::available() || !program::available() {
            return;
        }
        let (scratch, runtime) = (Scratch::new("http-dump").expect("a folder"), runtime());
        let servers = behind(&runtime);
        let _proxy = proxy(&scratch, SERVERS);
        let who = format!("{DOMAIN}/{USER}:{USER_PASSWORD}");
        let echo = "60A15EC5-4DE8-11D7-A637-005056A20182 v1.0";
        for binding in [
            // NTLM, the server's name from the challenge; then named.
            "ncacn_http:[7593,RpcProxy=127.0.0.1:80]",
            "ncacn_http:srv1[7593,RpcProxy=127.0.0.1:443]",
            // Basic.
            "ncacn_http:srv1[7593,RpcProxy=127.0.0.2:80]",
            // The first version of the protocol: no proxy at all.
            "ncacn_http:127.0.0.1[7593]",
        ] {
            let mut command = python::program("rpcmap.py");
            command.args(["-auth-level", "1", "-no-pass", "-auth-transport", &who, binding]);
            let said = printed("rpcmap", &mut command);
            assert!(said.contains(echo), "{binding}: {said}");
        }
        for (port, whom) in [("443", format!("{who}@127.0.0.1")), ("593", "127.0.0.1".to_owned())] {
            let mut command = python::program("rpcdump.py");
            let said = printed("rpcdump", command.args(["-port", port, &whom]));
            assert!(said.contains("ncacn_http:127.0.0.1[7593]"), "{port}: {said}");
        }
        servers.end(&runtime);
        case::ran("impacket", "rpcmap and rpcdump of our servers of RPC over HTTP: through our proxy with NTLM and Basic, and without one");
    }

    fn a_signed_token_of_our_clients_is_believed_by_our_proxy() {
        if !program::available() {
            return;
        }
        let scratch = Scratch::new("http-token").expect("a folder");
        let issuer = Issuer::new(&scratch);
        let listener = "[[listen]]\nname = \"tokens\"\nendpoint = \"http://127.0.0.1:8080\"\n\
                        [listen.authentication.bearer]\nkeys = \"keys.json\"\nissuer = \"https://id.test\"\naudience = \"rpc\"\n";
        let rule = "issuers = [\"https://id.test\"]\ngroups = [\"staff\"]\n";
        let _site = site(&scratch, listener, rule);
        let binding = "ncacn_http:127.0.0.1[593,RpcProxy=127.0.0.1:8080,HttpUseTls=false]";
        runtime().block_on(async {
            let called = |credentials| called(binding, None, credentials);
            let staff = issuer.token("staff", 600);
            called(HttpCredentials::Bearer(staff.clone())).await.expect("called");
            for (wrong, credentials) in [
                ("nobody", HttpCredentials::Anonymous),
                ("another way", own("ntlm")),
                ("a password", own("basic")),
                ("old", HttpCredentials::Bearer(issuer.token("staff", -600))),
                ("not signed", HttpCredentials::Bearer(staff[..staff.len() - 8].to_owned())),
                ("no token", HttpCredentials::Bearer(String::new())),
            ] {
                let error = called(credentials).await.expect_err(wrong);
                assert_eq!(error.phase(), Phase::Authenticate, "{wrong}: {error}");
            }
            let error = called(HttpCredentials::Bearer(issuer.token("guests", 600))).await.expect_err("another group");
            assert!(matches!(error.cause(), Cause::Fault(5)), "{error}");
        });
    }

    fn tickets_of_our_client_are_believed_by_our_proxy() {
        if !available(samba::NEEDS) || !program::available() {
            return;
        }
        let domain = Domain::start().expect("start the domain controller");
        let scratch = Scratch::new("http-ticket").expect("a folder");
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = rcgen::CertificateParams::new(vec![samba::OUR_HOST.to_owned()])
            .and_then(|params| params.self_signed(&key))
            .expect("a certificate");
        fs::write(scratch.file("cert.pem"), certificate.pem()).expect("written");
        fs::write(scratch.file("key.pem"), key.serialize_pem()).expect("written");
        let listeners = format!(
            "[[listen]]\nname = \"plain\"\nendpoint = \"http://127.0.0.1:8080\"\n[listen.authentication.negotiate]\nkeytab = \"{KEYTAB}\"\nchannel-binding = \"off\"\n\
             [[listen]]\nname = \"tls\"\nendpoint = \"https://127.0.0.1:8443\"\n[listen.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n\
             [listen.authentication.negotiate]\nkeytab = \"{KEYTAB}\"\n"
        );
        let rule = format!("users = [\"{USER}@{REALM}\"]\nauthentication = [\"kerberos\"]\n");
        let _site = site(&scratch, &listeners, &rule);
        let authority = scratch.file("cert.pem");
        let identity = |principal: Option<String>, password: Option<&str>| {
            let password = password.map(|password| Password::new(password.to_owned()));
            HttpCredentials::Mechanism(Arc::new(Credentials::spnego().or_kerberos(kerberos::Identity { principal, password })))
        };
        runtime().block_on(async {
            let user = || Some(format!("{USER}@{REALM}"));
            for (port, tls) in [(8080, false), (8443, true)] {
                let binding = format!("ncacn_http:127.0.0.1[593,RpcProxy={}:{port},HttpUseTls={tls}]", samba::OUR_HOST);
                let called = |credentials| called(&binding, Some(&authority), credentials);
                called(identity(user(), Some(USER_PASSWORD))).await.expect("by a password");
                let error = called(identity(user(), Some("wrong"))).await.expect_err("a wrong password");
                assert_eq!(error.phase(), Phase::Authenticate, "{error}");
                let error = called(own("negotiate")).await.expect_err("NTLM, where tickets alone are taken");
                assert_eq!(error.phase(), Phase::Authenticate, "{error}");
            }
            let binding = format!("ncacn_http:127.0.0.1[593,RpcProxy={}:8443]", samba::OUR_HOST);
            let nobody = called(&binding, Some(&authority), identity(None, None)).await;
            assert_eq!(nobody.expect_err("no ticket").phase(), Phase::Authenticate);
            domain.log_in(USER, USER_PASSWORD).expect("a ticket");
            called(&binding, Some(&authority), identity(None, None)).await.expect("by a ticket");
            // A name of the proxy's for which there are no keys.
            let other = binding.replace(samba::OUR_HOST, "127.0.0.1");
            let error = called(&other, Some(&authority), identity(None, None)).await.expect_err("another name");
            assert!(matches!(error.phase(), Phase::Authenticate | Phase::Secure), "{error}");
        });
        case::ran("Samba AD DC", "tickets of its KDC, of our client over HTTP at our proxy: plain, and TLS with its channel named");
    }
}

/// A server of TCP, and a proxy with these listeners and one rule, which allows.
fn site(scratch: &Scratch, listeners: &str, rule: &str) -> [Farcall; 2] {
    let text = format!(
        "[audit]\nfile = \"audit\"\n{listeners}[[target]]\nname = \"echo\"\nhosts = [\"127.0.0.1\"]\nports = [593]\nbridge = \"ncacn_ip_tcp:127.0.0.1[7593]\"\n\
         [[rule]]\nname = \"some\"\naction = \"allow\"\n{rule}"
    );
    let file = scratch.file("proxy.toml");
    fs::write(&file, &text).expect("written");
    let server = [
        "echo",
        "-l",
        "ncacn_ip_tcp:127.0.0.1[7593]",
        "--register",
        "none",
    ];
    let server = Farcall::start(&server, 1).expect("farcall echo");
    let arguments = ["proxy", "--config", &file.display().to_string()];
    let count = text.matches("[[listen]]").count();
    [
        server,
        Farcall::start(&arguments, count).expect("farcall proxy"),
    ]
}

/// Calls twice, the second call with much; who the client is to the proxy is said, whom it trusts is in a file.
async fn called(
    binding: &str,
    authority: Option<&Path>,
    credentials: HttpCredentials,
) -> Result<(), Error> {
    let tls = authority.map(|authority| {
        let trust = Trust::Authorities(authority.into());
        let settings = ClientSettings {
            trust,
            ..ClientSettings::default()
        };
        ClientTls::new(settings).expect("an authority")
    });
    let options = options(HttpOptions {
        tls,
        credentials,
        ..HttpOptions::default()
    });
    let client = rpcecho::Client::connect_with(binding, options).await?;
    assert_eq!(client.add_one(41).await?, 42);
    let data = echo::source(100_000);
    assert_eq!(client.echo_data(100_000, &data).await?, data);
    Ok(())
}

/// Somebody who signs tokens (RFC 7519), with a key on P-256.
struct Issuer(EncodingKey);

impl Issuer {
    /// Writes the public half to `keys.json` (RFC 7517).
    fn new(scratch: &Scratch) -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        // An uncompressed point: 04, x, y.
        let point = key.public_key_raw();
        let part = |at: usize| URL_SAFE_NO_PAD.encode(&point[at..at + 32]);
        let public = json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "x": part(1), "y": part(33) });
        let text = json!({ "keys": [public] }).to_string();
        fs::write(scratch.file("keys.json"), text).expect("written");
        Self(EncodingKey::from_ec_der(&key.serialize_der()))
    }

    /// A token of a member of `group`, good for so many seconds more.
    fn token(&self, group: &str, seconds: i64) -> String {
        let now = jsonwebtoken::get_current_timestamp().cast_signed();
        let claims = json!({ "iss": "https://id.test", "aud": "rpc", "exp": now + seconds, "sub": "bob", "groups": [group] });
        let header = Header::new(Algorithm::ES256);
        jsonwebtoken::encode(&header, &claims, &self.0).expect("signed")
    }
}
