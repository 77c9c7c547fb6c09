//! Commands through an RPC proxy: `proxy probe`, `ping`, `call` and `ls`, to a server that speaks RPC over HTTP and to one of TCP.

mod common;

use common::{Daemon, farcall, farcall_with, root};

/// A server, a proxy before it with a listener for nobody and one with passwords, and a folder for their files.
struct Site {
    _folder: tempfile::TempDir,
    _server: Daemon,
    _proxy: Daemon,
    /// `HOST:PORT` of the listeners.
    open: String,
    closed: String,
    password: String,
    /// The server as the proxy is asked for it.
    server: String,
}

fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut server = Daemon::start(&[
        "echo",
        "-l",
        "ncacn_ip_tcp:127.0.0.1[0]",
        "-l",
        "ncacn_http:127.0.0.1[0]",
        "--register",
        "none",
    ]);
    let (one, other) = (server.ready(), server.ready());
    let (tcp, http) = match one.starts_with("ncacn_ip_tcp") {
        true => (one, other),
        false => (other, one),
    };
    let port = |binding: &str| {
        let port = binding.rsplit_once('[').unwrap().1;
        port.trim_end_matches(']').to_owned()
    };
    let (password, users) = (at("password"), at("users"));
    std::fs::write(&password, "secret\n").unwrap();
    farcall_with(
        &["user", "add", &users, r"LAB\alice", "--password-stdin"],
        b"secret\n",
    )
    .ok();
    let audit = at("audit.log");
    let text = format!(
        "[audit]\nfile = {audit:?}\n[[listen]]\nname = \"open\"\nendpoint = \"http://127.0.0.1:0\"\n[listen.authentication.anonymous]\nreason = \"a test\"\n\
         [[listen]]\nname = \"closed\"\nendpoint = \"http://127.0.0.1:0\"\n[listen.authentication.ntlm]\nusers = {users:?}\nchannel-binding = \"off\"\n\
         [[target]]\nname = \"own\"\nhosts = [\"127.0.0.1\"]\nports = [{}]\n\
         [[target]]\nname = \"bridge\"\nhosts = [\"bridged\"]\nports = [593]\nbridge = {tcp:?}\n\
         [[rule]]\nname = \"all\"\naction = \"allow\"\ntargets = [\"own\", \"bridge\"]\n",
        port(&http)
    );
    let file = at("proxy.toml");
    std::fs::write(&file, text).unwrap();
    let mut proxy = Daemon::start(&["proxy", "--config", &file]);
    let listener = |url: String| url.strip_prefix("http://").unwrap().to_owned();
    let (open, closed) = (listener(proxy.ready()), listener(proxy.ready()));
    Site {
        open,
        closed,
        password,
        server: format!("127.0.0.1:{}", port(&http)),
        _folder: folder,
        _server: server,
        _proxy: proxy,
    }
}

#[test]
fn a_probe_says_of_each_step_how_it_went() {
    let site = site();
    for server in [&site.server, "bridged:593"] {
        let url = format!("http://{}/rpc/rpcproxy.dll?{server}", site.open);
        let said = farcall(&["proxy", "probe", &url]).ok();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 7, "{said}");
        for (line, expected) in lines.iter().zip([
            "RPC proxy http://127.0.0.1:",
            "http proxy ",
            "connect ",
            "echo ",
            "authenticate ",
            "open ",
            "management ",
        ]) {
            assert!(line.starts_with(expected), "{said}");
        }
        assert!(said.contains("ok: the server has "), "{said}");
    }
    let closed = format!("http://{}/rpc/rpcproxy.dll?{}", site.closed, site.server);
    let said = farcall(&["proxy", "probe", &closed]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stdout.contains("wants to know who asks: NTLM")
            && said.stdout.contains("hint: --http-user"),
        "{said:?}"
    );
    let user = [
        "--http-user",
        r"LAB\alice",
        "--http-password-file",
        &site.password,
    ];
    let told = |args: &[&str]| {
        let all: Vec<&str> = args.iter().copied().chain(user).collect();
        farcall(&all)
    };
    let json = told(&["proxy", "probe", &closed, "--json"]).json();
    assert_eq!(json["reached"], true, "{json}");
    let verdicts: Vec<_> = json["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(
        verdicts,
        ["skipped", "ok", "ok", "ok", "ok", "ok"],
        "{json}"
    );
    // A target that nobody may reach.
    let forbidden = format!("http://{}?elsewhere:593", site.open);
    let said = farcall(&["proxy", "probe", &forbidden, "--json"]);
    assert_eq!(said.code, 1, "{said:?}");
    let json = said.json();
    let last = json["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["step"], &last["verdict"]),
        (&"open".into(), &"failed".into()),
        "{json}"
    );
    assert!(
        last["hints"][0]
            .as_str()
            .unwrap()
            .contains("does not let this user through"),
        "{json}"
    );
    // Nobody there, and what is no address of a proxy.
    assert_eq!(
        farcall(&["proxy", "probe", "http://127.0.0.1:1?h:593"]).code,
        1
    );
    farcall(&["proxy", "probe", "ncacn_ip_tcp:h[1]"])
        .fails(2, &["does not go through an RPC proxy"]);
}

#[test]
fn commands_reach_a_server_through_a_proxy() {
    let site = site();
    let (host, port) = site.server.split_once(':').unwrap();
    let open = format!(
        "ncacn_http:{host}[{port},RpcProxy={},HttpUseTls=0]",
        site.open
    );
    let said = farcall(&["ping", &open, "-c", "1"]).ok();
    assert!(said.contains("1 calls, 1 answered"), "{said}");
    let idl = root().join("idl/rpcecho.idl");
    let idl = idl.to_str().unwrap();
    let bridged = format!(
        "ncacn_http:bridged[593,RpcProxy={},HttpUseTls=0]",
        site.closed
    );
    let call = |more: &[&str]| {
        let fixed = ["call", &bridged, "AddOne", "41", "--idl", idl];
        farcall(
            &fixed
                .into_iter()
                .chain(more.iter().copied())
                .collect::<Vec<_>>(),
        )
    };
    let said = call(&[
        "--http-user",
        r"LAB\alice",
        "--http-password-file",
        &site.password,
    ])
    .ok();
    assert!(said.contains("\"out_data\": 42"), "{said}");
    call(&[]).fails(2, &["401", "hint:"]);
    // The same user for both, and a way that the binding names.
    let named = bridged.replace(']', ",HttpAuthOption=ntlm]");
    let said = farcall(&[
        "call",
        &named,
        "AddOne",
        "41",
        "--idl",
        idl,
        "-U",
        r"LAB\alice",
        "--password-file",
        &site.password,
    ])
    .ok();
    assert!(said.contains("\"out_data\": 42"), "{said}");
    let spelled = farcall(&[
        "ping",
        "ncacn_http:bridged[593]",
        "--rpc-proxy",
        &site.open,
        "--http-plain",
        "-c",
        "1",
    ]);
    assert_eq!(spelled.code, 0, "{spelled:?}");
    farcall(&["ping", "ncacn_http:h[593,HttpUseTsl=0]"])
        .fails(2, &["HttpUseTsl", "RpcProxy, HttpProxy"]);
}

#[test]
fn every_command_that_calls_goes_through_a_proxy_and_proves_itself_to_it() {
    let site = site();
    let idl = root().join("idl/rpcecho.idl");
    let idl = idl.to_str().unwrap();
    let bridged = format!(
        "ncacn_http:bridged[593,RpcProxy={},HttpUseTls=0]",
        site.closed
    );
    let (user, password) = (r"LAB\alice", site.password.as_str());
    let proved = |args: &[&str]| {
        let who = ["--http-user", user, "--http-password-file", password];
        let all: Vec<&str> = args.iter().copied().chain(who).collect();
        farcall(&all)
    };
    for (args, said) in [
        (
            &["ping", &bridged, "-c", "2"][..],
            &["2 calls, 2 answered"][..],
        ),
        (
            &["trace", &bridged],
            &["client packs", "not measured", "caller has the result"],
        ),
        (
            &["trace", &bridged, "AddOne", "41", "--idl", idl],
            &["operation 0", "caller has the result"],
        ),
        (&["describe", &bridged], &["rpcecho"]),
    ] {
        let printed = proved(args).ok();
        for part in said {
            assert!(printed.contains(part), "{args:?}: no {part:?} in {printed}");
        }
        // Nobody is told to prove himself, by every command in the same way.
        farcall(args).fails(2, &["the RPC proxy answered 401: it takes NTLM", "hint:"]);
    }
    // The shell reads its calls from standard input.
    let shell = ["shell", &bridged, "--idl", idl, "--http-user", user];
    let shell: Vec<&str> = shell
        .into_iter()
        .chain(["--http-password-file", password])
        .collect();
    let said = farcall_with(
        &shell,
        b"AddOne {\"in_data\": 41}\nAddOne {\"in_data\": 1}\n",
    )
    .ok();
    assert!(said.contains("42") && said.contains('2'), "{said}");
    let said = farcall_with(&shell[..4], b"AddOne {\"in_data\": 41}\n");
    said.fails(2, &["the RPC proxy answered 401"]);
    // What is behind this proxy at that port is a server and no endpoint mapper.
    let listed = proved(&["ls", &bridged]);
    assert_ne!(listed.code, 0, "{listed:?}");
    assert!(listed.stderr.contains("interface"), "{listed:?}");
}

#[test]
fn wrong_input_for_the_way_through_a_proxy_is_told() {
    let site = site();
    let closed = format!("ncacn_http:bridged[593,RpcProxy={}]", site.closed);
    let ping = |more: &[&str]| {
        let fixed = ["ping", &closed, "-c", "1"];
        let all: Vec<&str> = fixed.into_iter().chain(more.iter().copied()).collect();
        farcall(&all)
    };
    let missing = "no-such-file";
    for (more, parts) in [
        // No TLS is spoken there.
        (&[][..], &["TLS", "HttpUseTls"][..]),
        (&["--http-plain"], &["401", "it takes NTLM"]),
        (
            &["--http-plain", "--http-auth", "digest"],
            &["digest", "basic"],
        ),
        (
            &["--http-plain", "--http-auth", "ntlm"],
            &["a user, and none is named", "--http-user"],
        ),
        (
            &["--http-plain", "--http-auth", "bearer"],
            &["a token, and none is named", "--http-token-file"],
        ),
        (&["--http-plain", "--http-token-file", missing], &[missing]),
        (
            &[
                "--http-plain",
                "--http-user",
                r"LAB\alice",
                "--http-password-file",
                missing,
            ],
            &[missing],
        ),
        (
            &[
                "--http-plain",
                "--http-auth",
                "basic",
                "--http-user",
                "alice",
                "--http-password-file",
                &site.password,
            ],
            &["401", "it takes NTLM"],
        ),
        (
            &[
                "--http-plain",
                "--http-user",
                r"LAB\bob",
                "--http-password-file",
                &site.password,
            ],
            &["401", "are the user, the domain and the password"],
        ),
        (
            &["--http-plain", "--rpc-proxy", "host:port"],
            &["host:port"],
        ),
        (&["--http-proxy-always"], &["--http-proxy"]),
    ] {
        let said = ping(more);
        assert_eq!(said.code, 2, "{more:?}: {said:?}");
        for part in parts {
            assert!(
                said.stderr.contains(part),
                "{more:?}: no {part:?} in {said:?}"
            );
        }
    }
    for (binding, parts) in [
        ("ncacn_http:h[593,RpcProxy=]", &["RpcProxy"][..]),
        ("ncacn_http:h[593,HttpUseTls=maybe]", &["HttpUseTls"]),
        (
            "ncacn_http:h[593,HttpAuthOption=magic]",
            &["HttpAuthOption"],
        ),
        ("ncacn_http:h[0]", &["port"]),
        ("ncacn_http:h[65536]", &["port"]),
        ("ncacn_http:[593]", &["host"]),
        ("ncacn_ip_tcp:h[593,RpcProxy=p]", &["RpcProxy"]),
    ] {
        let said = farcall(&["ping", binding, "-c", "1"]);
        assert_eq!(said.code, 2, "{binding}: {said:?}");
        for part in parts {
            assert!(
                said.stderr.contains(part),
                "{binding}: no {part:?} in {said:?}"
            );
        }
    }
}
