//! Balancers and web servers in front of `farcall proxy`: HAProxy with the PROXY protocol and as an HTTP proxy, nginx as an HTTP proxy.
//!
//! Samba's client calls through each, and the proxy's rules and log see the client that stands before the front. The configurations are those of the guide.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use farcall_conformance::peer::farcall::{self, Farcall};
use farcall_conformance::peer::samba::{self, DOMAIN, USER, USER_PASSWORD};
use farcall_conformance::peer::{Process, Scratch, available, find, python};
use farcall_conformance::{case, network_test};

/// Where the server listens.
const SERVER: &str = "ncacn_ip_tcp:127.0.0.1[7593]";

struct Host {
    _server: Farcall,
    _proxy: Farcall,
    scratch: Scratch,
}

/// A proxy with a listener for the PROXY protocol at 8080, for a front that speaks HTTP and shares its connections at 8081, and for one that does not at 8082.
/// Who is not let in from 127.0.0.0/8 comes from elsewhere, or not at all.
fn host(rules: &str) -> Host {
    let scratch = Scratch::new("proxy-fronts").expect("a folder");
    let users = farcall::users(&scratch).expect("a file of users");
    let hash = bcrypt::hash(USER_PASSWORD, 4).expect("a hash");
    fs::write(
        scratch.file("passwords"),
        format!("{USER}:{hash}\n{DOMAIN}\\{USER}:{hash}\n"),
    )
    .expect("written");
    fs::set_permissions(scratch.file("passwords"), fs::Permissions::from_mode(0o600))
        .expect("closed");
    let basic = "[listen.authentication.basic]\nusers = \"passwords\"\n";
    let ntlm = "[listen.authentication.ntlm]\nusers = \"users\"\nchannel-binding = \"off\"\n";
    let listener = |name: &str, port: u16, front: &str, authentication: &str| {
        format!(
            "[[listen]]\nname = \"{name}\"\nendpoint = \"http://127.0.0.1:{port}\"\n{authentication}\
             [listen.front]\ntrusted = [\"127.0.0.1\"]\n{front}\n"
        )
    };
    let text = format!(
        "[audit]\nfile = \"audit\"\n{}{}{}\
         [[target]]\nname = \"echo\"\nhosts = [\"127.0.0.1\", \"srv1\"]\nports = [593]\nbridge = \"{SERVER}\"\n\
         {rules}[[rule]]\nname = \"everything\"\naction = \"allow\"\ntargets = [\"echo\"]\n",
        listener(
            "balanced",
            8080,
            "proxy-protocol = true",
            &format!("{basic}{ntlm}")
        ),
        listener("shared", 8081, "forwarded = true", basic),
        listener(
            "apart",
            8082,
            "forwarded = true\nown-connections = true",
            &format!("{basic}{ntlm}")
        ),
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
    let proxy = Farcall::start(&proxy, 3).expect("farcall proxy");
    Host {
        _server: server,
        _proxy: proxy,
        scratch,
    }
}

/// Starts a front with this configuration, and waits until it listens at this port.
fn front(host: &Host, program: &str, arguments: &[&str], text: &str, port: u16) -> Process {
    let file = host.scratch.file(&format!("{program}.conf"));
    fs::write(
        &file,
        text.replace("FOLDER", &host.scratch.path().display().to_string()),
    )
    .expect("written");
    let mut command = Command::new(find(program).expect("installed"));
    let mut process = Process::start(program, command.args(arguments).arg(file)).expect("start");
    process
        .port(SocketAddr::from(([127, 0, 0, 1], port)))
        .unwrap_or_else(|error| panic!("{error}: {}", process.output()));
    process
}

/// Calls the ten operations of rpcecho through a front.
fn echo(host: &Host, port: u16, way: &str) -> (bool, String) {
    let configuration = samba::client_configuration(&host.scratch).expect("a configuration");
    let mut command = python::samba_script("samba_client.py");
    let binding = format!(
        "ncacn_http:127.0.0.1[593,RpcProxy=127.0.0.1:{port},HttpUseTls=false,HttpAuthOption={way}]"
    );
    command.arg("echo").arg(binding).arg(&configuration);
    command.arg(format!("{DOMAIN}\\{USER}%{USER_PASSWORD}"));
    let (status, printed) = Process::run("samba_client.py", &mut command).expect("run");
    (status.success() && printed.contains("all well"), printed)
}

fn calls(host: &Host, port: u16, way: &str) {
    let (well, printed) = echo(host, port, way);
    assert!(well, "{way} at {port}: {printed}\n{}", audit(host));
}

/// The audit log.
fn audit(host: &Host) -> String {
    fs::read_to_string(host.scratch.file("audit")).expect("an audit log")
}

/// HAProxy: TCP with PROXY protocol version 2 at 9080, HTTP with connections of their own at 9082. `source` makes the client another than the
/// front: what comes to 127.0.0.1 comes from there, and HAProxy says it comes from its front's address.
const HAPROXY: &str = "\
defaults
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend balanced
    mode tcp
    bind 127.0.0.1:9080
    default_backend proxy_v2
backend proxy_v2
    mode tcp
    server one 127.0.0.1:8080 send-proxy-v2
frontend web
    mode http
    option http-no-delay
    bind 127.0.0.1:9082
    default_backend forwarded
backend forwarded
    mode http
    option http-no-delay
    http-reuse never
    option forwardfor
    timeout http-keep-alive 1h
    server one 127.0.0.1:8082
";

/// nginx as an HTTP proxy at 9081.
const NGINX: &str = "\
daemon off;
pid FOLDER/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path FOLDER/nginx-body;
    proxy_temp_path FOLDER/nginx-proxy;
    fastcgi_temp_path FOLDER/nginx-fastcgi;
    uwsgi_temp_path FOLDER/nginx-uwsgi;
    scgi_temp_path FOLDER/nginx-scgi;
    server {
        listen 127.0.0.1:9081;
        client_max_body_size 0;
        location /rpc/ {
            proxy_pass http://127.0.0.1:8081;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }
    }
}
";

network_test! {
    fn haproxy_stands_in_front() {
        if !available(&["haproxy"]) || !farcall::available() || !python::samba_available() {
            return;
        }
        let host = host("");
        let _haproxy = front(&host, "haproxy", &["-db", "-f"], HAPROXY, 9082);
        for way in ["basic", "ntlm"] {
            calls(&host, 9080, way);
        }
        case::ran("HAProxy", "TCP with PROXY protocol version 2: rpcecho by Basic and NTLM");
        for way in ["basic", "ntlm"] {
            calls(&host, 9082, way);
        }
        case::ran("HAProxy", "HTTP with http-no-delay and http-reuse never: rpcecho by Basic and NTLM");
        // The client is seen, and not the front: at another address of this machine, a rule denies it.
        let audit = audit(&host);
        assert!(audit.contains("\"source\":\"127.0.0.1\""), "{audit}");
    }

    fn rules_see_the_client_before_the_front() {
        if !available(&["haproxy", "nginx", "curl"]) || !farcall::available() {
            return;
        }
        let host = host("[[rule]]\nname = \"not from there\"\naction = \"deny\"\nsources = [\"127.0.5.0/24\"]\n");
        let _haproxy = front(&host, "haproxy", &["-db", "-f"], HAPROXY, 9082);
        let _nginx = front(&host, "nginx", &["-c"], NGINX, 9081);
        for port in [9080_u16, 9081, 9082] {
            for (source, status) in [("127.0.5.1", "503"), ("127.0.6.1", "200")] {
                let mut command = Command::new("curl");
                command.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "RPC_OUT_DATA", "--max-time", "3"]);
                // What the client says itself about where it comes from is not believed.
                command.args(["-H", "X-Forwarded-For: 10.9.9.9", "--interface", source, "-u", &format!("{USER}:{USER_PASSWORD}")]);
                let body = format!("@{}", host.scratch.file("a1").display());
                command.args(["--data-binary", &body]).arg(format!("http://127.0.0.1:{port}/rpc/rpcproxy.dll?srv1:593"));
                // CONN/A1 (MS-RPCH section 2.2.4.2), of a cookie of its own.
                let unique = port.to_le_bytes()[0] ^ source.as_bytes()[6];
                let a1 = [
                    &b"\x05\0\x14\x03\x10\0\0\0\x4c\0\0\0\0\0\0\0\0\0\x04\0\x06\0\0\0\x01\0\0\0\x03\0\0\0"[..],
                    &[unique; 16], b"\x03\0\0\0", &[2; 16], b"\0\0\0\0\0\0\x04\0",
                ].concat();
                fs::write(host.scratch.file("a1"), a1).expect("written");
                let said = Process::run("curl", &mut command).expect("run curl").1;
                assert_eq!(said.trim(), status, "{source} through {port}: {}", audit(&host));
            }
        }
        let denied = || audit(&host).matches("\"rule\":\"not from there\"").count();
        let begun = std::time::Instant::now();
        // The log is written aside.
        while denied() < 3 && begun.elapsed().as_secs() < 10 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let audit = audit(&host);
        assert_eq!(audit.matches("\"rule\":\"not from there\"").count(), 3, "{audit}");
        assert!(!audit.contains("10.9.9.9"), "{audit}");
        case::ran("HAProxy", "the client's own address reaches rules and log");
    }

    fn nginx_stands_in_front() {
        if !available(&["nginx"]) || !farcall::available() || !python::samba_available() {
            return;
        }
        let host = host("");
        let _nginx = front(&host, "nginx", &["-c"], NGINX, 9081);
        calls(&host, 9081, "basic");
        case::ran("nginx", "HTTP without buffering: rpcecho by Basic; the client's own address reaches rules and log");
    }
}
