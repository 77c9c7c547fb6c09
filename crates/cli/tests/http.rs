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
