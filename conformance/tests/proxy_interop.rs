//! Clients of RPC over HTTP that others wrote, through `farcall proxy` as a user runs it, to `farcall echo`, which speaks TCP alone or RPC over HTTP
//! itself: smbtorture, Samba's bindings, impacket. Each proves itself to the proxy in its own ways, and to the server by NTLM where it can.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use farcall_conformance::peer::farcall::{self, Farcall};
use farcall_conformance::peer::samba::{self, DOMAIN, USER, USER_PASSWORD};
use farcall_conformance::peer::{Process, Scratch, available, python, torture};
use farcall_conformance::{case, network_test};

/// Where a server listens that speaks TCP alone.
const SERVER: &str = "ncacn_ip_tcp:127.0.0.1[7593]";

/// Where one listens that speaks RPC over HTTP.
const OVER_HTTP: &str = "ncacn_http:127.0.0.1[593]";

/// The ten tests of rpc.echo.
const ECHO: usize = 10;

struct Host {
    _server: Farcall,
    _proxy: Farcall,
    scratch: Scratch,
    audit: std::path::PathBuf,
}

/// A proxy in front of a server, whose endpoint is `server`, with a listener of each kind: nobody at 8080, Basic, NTLM and Negotiate at 8081, and the
/// same with TLS at 8443. `rules` stand before the one that allows everything.
fn host(server: &str, rules: &str) -> Host {
    let scratch = Scratch::new("proxy").expect("a folder");
    let users = farcall::users(&scratch).expect("a file of users");
    let passwords = scratch.file("passwords");
    let hash = bcrypt::hash(USER_PASSWORD, 5).expect("a hash");
    fs::write(&passwords, format!("{USER}:{hash}\n")).expect("written");
    fs::set_permissions(&passwords, fs::Permissions::from_mode(0o600)).expect("closed");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    let (certificate_at, key_at) = (scratch.file("cert.pem"), scratch.file("key.pem"));
    fs::write(&certificate_at, certificate.pem()).expect("written");
    fs::write(&key_at, key.serialize_pem()).expect("written");
    let audit = scratch.file("audit.log");
    let authentication = format!(
        "[listen.authentication.basic]\nusers = {passwords:?}\n[listen.authentication.ntlm]\nusers = {users:?}\nchannel-binding = \"off\"\n\
         [listen.authentication.negotiate]\nchannel-binding = \"off\"\n[listen.authentication.negotiate.ntlm]\nusers = {users:?}\n"
    );
    let reached = match server {
        OVER_HTTP => "addresses = [\"127.0.0.1\"]\n".to_owned(),
        other => format!("bridge = {other:?}\n"),
    };
    let text = format!(
        "[audit]\nfile = {audit:?}\n\
         [[listen]]\nname = \"nobody\"\nendpoint = \"http://127.0.0.1:8080\"\n[listen.authentication.anonymous]\nreason = \"a test\"\n\
         [[listen]]\nname = \"plain\"\nendpoint = \"http://127.0.0.1:8081\"\n{authentication}\
         [[listen]]\nname = \"tls\"\nendpoint = \"https://127.0.0.1:8443\"\n[listen.tls]\ncertificate = {certificate_at:?}\nkey = {key_at:?}\n{authentication}\
         [[target]]\nname = \"echo\"\nhosts = [\"127.0.0.1\", \"srv1\"]\nports = [593]\n{reached}\
         {rules}[[rule]]\nname = \"everything\"\naction = \"allow\"\ntargets = [\"echo\"]\n"
    );
    let file = scratch.file("proxy.toml");
    fs::write(&file, text).expect("written");
    let server = [
        "echo",
        "-l",
        server,
        "--register",
        "none",
        "--users",
        &users,
    ];
    let server = Farcall::start(&server, 1).expect("farcall echo");
    let proxy = ["proxy", "--config", &file.display().to_string()];
    let proxy = Farcall::start(&proxy, 3).expect("farcall proxy");
    Host {
        _server: server,
        _proxy: proxy,
        scratch,
        audit,
    }
}

/// Runs rpc.echo over HTTP with these options.
fn run(host: &Host, options: &str, more: &[&str]) -> torture::Found {
    let configuration = samba::client_configuration(&host.scratch).expect("a configuration");
    let binding = format!("ncacn_http:127.0.0.1[593,RpcProxy=127.0.0.1:{options}]");
    torture::run(&configuration, &binding, "rpc.echo", more).expect("run smbtorture")
}

/// The same; all of it must pass.
fn echo(host: &Host, options: &str, more: &[&str]) {
    let found = run(host, options, more);
    assert!(
        found.failed.is_empty(),
        "{options}: {:?}\n{}",
        found.failed,
        found.printed
    );
    assert_eq!(found.passed.len(), ECHO, "{options}\n{}", found.printed);
}

/// What the audit log has, a line each.
fn audit(host: &Host) -> String {
    fs::read_to_string(&host.audit).expect("an audit log")
}

/// Runs all of rpc.echo as nobody, and as a user who proves himself in each way, with and without TLS.
fn echo_in_every_way(host: &Host) {
    let user = format!("-U{DOMAIN}/{USER}%{USER_PASSWORD}");
    let trust = "--option=tls verify peer=no_check";
    let nobody = [(
        "8080,HttpUseTls=false,HttpAuthOption=basic".to_owned(),
        vec!["-U%"],
    )];
    let proved = ["basic", "ntlm", "negotiate"].into_iter().flat_map(|way| {
        let plain = format!("8081,HttpUseTls=false,HttpAuthOption={way},sign");
        let tls = format!("8443,HttpUseTls=true,HttpAuthOption={way},seal");
        [
            (plain, vec![user.as_str()]),
            (tls, vec![user.as_str(), trust]),
        ]
    });
    let runs: Vec<_> = nobody.into_iter().chain(proved).collect();
    // Most of a run is waiting.
    thread::scope(|scope| {
        for (options, more) in &runs {
            scope.spawn(|| echo(host, options, more));
        }
    });
}

network_test! {
    fn smbtorture_echoes_through_our_proxy() {
        if !available(&["smbtorture"]) || !farcall::available() {
            return;
        }
        let host = host(SERVER, "");
        echo_in_every_way(&host);
        case::ran("smbtorture", "rpc.echo through our proxy: nobody; Basic, NTLM and Negotiate, plain and TLS");
    }

    fn smbtorture_echoes_through_our_proxy_to_our_server_of_rpc_over_http() {
        if !available(&["smbtorture"]) || !farcall::available() {
            return;
        }
        let host = host(OVER_HTTP, "");
        echo_in_every_way(&host);
        case::ran("smbtorture", "rpc.echo through our proxy to our server of RPC over HTTP: nobody; Basic, NTLM and Negotiate, plain and TLS");
    }

    fn a_forbidden_operation_is_denied_to_smbtorture_and_all_others_work() {
        if !available(&["smbtorture"]) || !farcall::available() {
            return;
        }
        let host = host(
            SERVER,
            "[[rule]]\nname = \"no SourceData\"\naction = \"deny\"\ntargets = [\"echo\"]\ninterfaces = [\"rpcecho\"]\noperations = [\"SourceData\"]\n",
        );
        let found = run(&host, "8080,HttpUseTls=false,HttpAuthOption=basic", &["-U%"]);
        assert_eq!(found.failed, ["echo.sourcedata"], "{}", found.printed);
        assert_eq!(found.passed.len(), ECHO - 1, "{}", found.printed);
        assert!(found.printed.contains("NT_STATUS_ACCESS_DENIED"), "{}", found.printed);
        let wrong = format!("-U{DOMAIN}/{USER}%wrong");
        let found = run(&host, "8081,HttpUseTls=false,HttpAuthOption=basic", &[&wrong]);
        assert!(found.passed.is_empty(), "{}", found.printed);
        assert!(found.printed.contains("NT_STATUS_ACCESS_DENIED"), "{}", found.printed);
        let audit = audit(&host);
        assert!(audit.contains("\"rule\":\"no SourceData\""), "{audit}");
        assert!(audit.contains("\"reason\":\"unknown user or wrong password\""), "{audit}");
        case::ran("smbtorture", "rpc.echo through our proxy, one operation denied; a wrong password");
    }

    fn sambas_bindings_call_through_our_proxy() {
        if !python::samba_available() || !farcall::available() {
            return;
        }
        let host = host(OVER_HTTP, "");
        let configuration = samba::client_configuration(&host.scratch).expect("a configuration");
        for way in ["basic", "ntlm", "negotiate"] {
            let mut command = python::samba_script("samba_client.py");
            let binding = format!("ncacn_http:127.0.0.1[593,RpcProxy=127.0.0.1:8081,HttpUseTls=false,HttpAuthOption={way}]");
            command.arg("echo").arg(binding).arg(&configuration);
            command.arg(format!("{DOMAIN}\\{USER}%{USER_PASSWORD}"));
            let (status, printed) = Process::run("samba_client.py", &mut command).expect("run");
            assert!(status.success() && printed.contains("all well"), "{way}: {printed}");
        }
        case::ran("Samba's Python", "rpcecho through our proxy to our server of RPC over HTTP: Basic, NTLM, Negotiate");
    }

    fn impacket_calls_through_our_proxy() {
        if !python::available() || !farcall::available() {
            return;
        }
        let _host = host(SERVER, "");
        for url in ["http://127.0.0.1:8081", "https://127.0.0.1:8443"] {
            let mut command = python::script("impacket_http.py");
            command.arg(format!("{url}/rpc/rpcproxy.dll?srv1:593")).args([USER, USER_PASSWORD, DOMAIN]);
            let (status, printed) = Process::run("impacket_http.py", &mut command).expect("run");
            assert!(status.success() && printed.contains("all well"), "{url}: {printed}");
        }
        case::ran("impacket", "mgmt and rpcecho through our proxy: Basic, NTLM and its own choice, plain and TLS");
    }
}
