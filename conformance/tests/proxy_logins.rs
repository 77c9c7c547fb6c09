//! Logging in to `farcall proxy` with what others make: accounts of a domain by Samba's `ntlm_auth` and winbindd on a domain controller, tickets of its
//! KDC, and clients that name their TLS channel.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use farcall_conformance::peer::farcall::{self, Farcall};
use farcall_conformance::peer::samba::{self, DOMAIN, Domain, KEYTAB, REALM, USER, USER_PASSWORD};
use farcall_conformance::peer::{Process, Scratch, available, python};
use farcall_conformance::{case, network_test};

/// Where the server listens.
const SERVER: &str = "ncacn_ip_tcp:127.0.0.1[7593]";

/// A server, and a proxy with this in its file: `listeners` of them.
struct Host {
    _server: Farcall,
    _proxy: Farcall,
    audit: std::path::PathBuf,
}

fn host(scratch: &Scratch, listeners: &[String]) -> Host {
    let users = farcall::users(scratch).expect("a file of users");
    let audit = scratch.file("audit.log");
    let text = format!(
        "[audit]\nfile = \"audit.log\"\n{}[[target]]\nname = \"echo\"\nhosts = [\"srv1\", \"127.0.0.1\"]\nports = [593]\nbridge = \"{SERVER}\"\n\
         [[rule]]\nname = \"everybody who is somebody\"\naction = \"allow\"\nusers = [\"*\"]\ntargets = [\"echo\"]\n",
        listeners.concat()
    );
    let file = scratch.file("proxy.toml");
    fs::write(&file, text).expect("written");
    let server = [
        "echo",
        "-l",
        SERVER,
        "--register",
        "none",
        "--users",
        &users,
    ];
    let server = Farcall::start(&server, 1).expect("farcall echo");
    let proxy = ["proxy", "--config", &file.display().to_string()];
    let proxy = Farcall::start(&proxy, listeners.len()).expect("farcall proxy");
    Host {
        _server: server,
        _proxy: proxy,
        audit,
    }
}

/// The audit log, as soon as it has these words: it is written aside.
fn audited(host: &Host, words: &str) -> String {
    let begun = std::time::Instant::now();
    loop {
        let audit = fs::read_to_string(&host.audit).expect("an audit log");
        if audit.contains(words) {
            return audit;
        }
        assert!(begun.elapsed().as_secs() < 10, "no {words} in {audit}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// A listener at a port, with these lines in it; `tls`: with TLS.
fn listener(port: u16, tls: bool, authentication: &str) -> String {
    let (scheme, files) = match tls {
        true => (
            "https",
            "[listen.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n",
        ),
        false => ("http", ""),
    };
    format!(
        "[[listen]]\nname = \"at-{port}\"\nendpoint = \"{scheme}://127.0.0.1:{port}\"\n{files}{authentication}"
    )
}

/// A certificate for the listeners with TLS, beside the file of the proxy.
fn certificate(scratch: &Scratch) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    fs::write(scratch.file("cert.pem"), certificate.pem()).expect("written");
    fs::write(scratch.file("key.pem"), key.serialize_pem()).expect("written");
}

/// Asks a listener for nothing, as curl logs in: the status.
fn curl(url: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args([
        "-sk",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-X",
        "RPC_IN_DATA",
        "-H",
        "Content-Length: 0",
    ]);
    command
        .args([
            "--resolve",
            "ours.dce.test:8081:127.0.0.1",
            "--max-time",
            "15",
        ])
        .args(arguments);
    command.arg(format!("{url}/rpc/rpcproxy.dll?srv1:593"));
    Process::run("curl", &mut command)
        .expect("run curl")
        .1
        .trim()
        .to_owned()
}

/// Calls the ten operations through a listener, logging in to the proxy this way.
fn echo(scratch: &Scratch, port: u16, way: &str, password: &str) -> (bool, String) {
    let configuration = samba::client_configuration(scratch).expect("a configuration");
    let mut command = python::samba_script("samba_client.py");
    let binding = format!(
        "ncacn_http:127.0.0.1[593,RpcProxy=127.0.0.1:{port},HttpUseTls=false,HttpAuthOption={way}]"
    );
    command.arg("echo").arg(binding).arg(&configuration);
    command.arg(format!("{DOMAIN}\\{USER}%{password}"));
    let (status, printed) = Process::run("samba_client.py", &mut command).expect("run");
    (status.success() && printed.contains("all well"), printed)
}

network_test! {
    fn accounts_and_tickets_of_a_domain_are_believed() {
        let needs = [samba::NEEDS, &["ntlm_auth", "curl"]].concat();
        if !available(&needs) || !farcall::available() || !python::samba_available() {
            return;
        }
        let domain = Domain::with_winbind().expect("start the domain controller");
        let scratch = Scratch::new("proxy-logins").expect("a folder");
        let configuration = domain.configuration();
        let helper = |protocol: &str| {
            let configuration = configuration.display();
            format!("helper = {{ program = \"ntlm_auth\", arguments = [\"--configfile={configuration}\", \"--helper-protocol={protocol}\"] }}\n")
        };
        let helpers = format!(
            "[listen.authentication.basic]\n{}[listen.authentication.ntlm]\nchannel-binding = \"off\"\n{}\
             [listen.authentication.negotiate]\nchannel-binding = \"off\"\n[listen.authentication.negotiate.ntlm]\n{}",
            helper("squid-2.5-basic"), helper("squid-2.5-ntlmssp"), helper("gss-spnego"),
        );
        let keytab = format!("[listen.authentication.negotiate]\nkeytab = \"{KEYTAB}\"\nchannel-binding = \"allow\"\n");
        let strict = format!("[listen.authentication.negotiate]\nkeytab = \"{KEYTAB}\"\n");
        certificate(&scratch);
        let listeners = [listener(8080, false, &helpers), listener(8081, false, &keytab), listener(8443, true, &keytab), listener(8444, true, &strict)];
        let host = host(&scratch, &listeners);
        for way in ["basic", "ntlm", "negotiate"] {
            let (well, printed) = echo(&scratch, 8080, way, USER_PASSWORD);
            assert!(well, "{way}: {printed}\n{}", fs::read_to_string(&host.audit).expect("an audit log"));
        }
        let (well, printed) = echo(&scratch, 8080, "ntlm", "wrong");
        assert!(!well, "{printed}");
        let who = format!("{DOMAIN}\\{USER}:{USER_PASSWORD}");
        assert_eq!(curl("http://127.0.0.1:8080", &["--ntlm", "-u", &who]), "200");
        assert_eq!(curl("http://127.0.0.1:8080", &["--ntlm", "-u", &format!("{DOMAIN}\\{USER}:wrong")]), "401");
        assert_eq!(curl("http://127.0.0.1:8080", &["--basic", "-u", &who]), "200");
        for kind in ["basic", "ntlm"] {
            audited(&host, &format!("\"user\":\"{USER}\",\"domain\":\"{DOMAIN}\",\"authentication\":\"{kind}\""));
        }
        case::ran("Samba AD DC", "accounts of the domain at our proxy, by ntlm_auth: Basic, NTLM, Negotiate");

        // Kerberos: nobody without a ticket.
        assert_eq!(curl("http://ours.dce.test:8081", &["--negotiate", "-u", ":"]), "401");
        domain.log_in(USER, USER_PASSWORD).expect("a ticket");
        assert_eq!(curl("http://ours.dce.test:8081", &["--negotiate", "-u", ":"]), "200");
        let tls = ["--negotiate", "-u", ":", "--resolve", "ours.dce.test:8443:127.0.0.1", "--resolve", "ours.dce.test:8444:127.0.0.1"];
        assert_eq!(curl("https://ours.dce.test:8443", &tls), "200", "allow: this curl names no channel");
        assert_eq!(curl("https://ours.dce.test:8444", &tls), "401", "require");
        audited(&host, &format!("\"user\":\"{USER}\",\"domain\":\"{REALM}\",\"authentication\":\"kerberos\""));
        audited(&host, "the client names no channel");
        case::ran("Samba AD DC", "tickets of its KDC at our proxy: plain, TLS, channel bindings allowed and required");
    }

    fn a_client_names_its_tls_channel() {
        if !python::available() || !farcall::available() {
            return;
        }
        let scratch = Scratch::new("proxy-channels").expect("a folder");
        certificate(&scratch);
        let authentication = |mode: &str| format!(
            "[listen.authentication.ntlm]\nusers = \"users\"\nchannel-binding = \"{mode}\"\n\
             [listen.authentication.negotiate]\nchannel-binding = \"{mode}\"\n[listen.authentication.negotiate.ntlm]\nusers = \"users\"\n"
        );
        let modes = [(8443, "off"), (8444, "allow"), (8445, "require")];
        let listeners = modes.map(|(port, mode)| listener(port, true, &authentication(mode)));
        let _host = host(&scratch, &listeners);
        let log_in = |port: u16, scheme: &str, binding: &str| {
            let mut command = python::script("http_login.py");
            command.args([&port.to_string(), scheme, &format!("{DOMAIN}\\{USER}"), USER_PASSWORD, binding]);
            let printed = Process::run("http_login.py", &mut command).expect("run").1;
            printed.trim().to_owned()
        };
        for scheme in ["NTLM", "Negotiate"] {
            for (port, binding, status) in [
                (8443, "own", 200), (8443, "other", 200), (8443, "none", 200),
                (8444, "own", 200), (8444, "other", 401), (8444, "none", 200),
                (8445, "own", 200), (8445, "other", 401), (8445, "none", 401),
            ] {
                assert_eq!(log_in(port, scheme, binding), format!("status {status}"), "{scheme} at {port}, {binding}");
            }
        }
        case::ran("pyspnego", "NTLM and Negotiate at our proxy over TLS: channel bindings off, allowed, required");
    }

    fn groups_of_the_operating_system_count_in_rules() {
        if !available(&["curl"]) || !farcall::available() {
            return;
        }
        let scratch = Scratch::new("proxy-groups").expect("a folder");
        let hash = bcrypt::hash(USER_PASSWORD, 4).expect("a hash");
        fs::write(scratch.file("passwords"), format!("root:{hash}\n")).expect("written");
        fs::set_permissions(scratch.file("passwords"), fs::Permissions::from_mode(0o600)).expect("closed");
        for (asked, status) in [("true", "200"), ("false", "503")] {
            let listen = listener(8080, false, &format!("[listen.authentication]\nsystem-groups = {asked}\nbasic = {{ users = \"passwords\" }}\n"));
            let text = format!(
                "{listen}[[target]]\nname = \"echo\"\nhosts = [\"srv1\"]\nports = [593]\nbridge = \"{SERVER}\"\n\
                 [[rule]]\nname = \"the group root\"\naction = \"allow\"\ngroups = [\"root\"]\n"
            );
            let file = scratch.file("groups.toml");
            fs::write(&file, text).expect("written");
            let _proxy = Farcall::start(&["proxy", "--config", &file.display().to_string()], 1).expect("farcall proxy");
            let server = std::net::TcpListener::bind("127.0.0.1:7593");
            // An OUT channel: 200 when the target may be reached, and its first PDU is right.
            let mut command = Command::new("curl");
            command.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "RPC_OUT_DATA", "--max-time", "3", "-u"]);
            let body = format!("@{}", scratch.file("a1").display());
            command.arg(format!("root:{USER_PASSWORD}")).args(["--data-binary", &body, "http://127.0.0.1:8080/rpc/rpcproxy.dll?srv1:593"]);
            // CONN/A1 (MS-RPCH section 2.2.4.2).
            let a1 = [
                &b"\x05\0\x14\x03\x10\0\0\0\x4c\0\0\0\0\0\0\0\0\0\x04\0\x06\0\0\0\x01\0\0\0\x03\0\0\0"[..],
                &[1; 16], b"\x03\0\0\0", &[2; 16], b"\0\0\0\0\0\0\x04\0",
            ].concat();
            fs::write(scratch.file("a1"), a1).expect("written");
            let said = Process::run("curl", &mut command).expect("run curl").1;
            assert_eq!(said.trim(), status, "system-groups = {asked}");
            drop(server);
        }
    }
}
