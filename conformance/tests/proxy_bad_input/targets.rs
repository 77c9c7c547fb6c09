//! Where a client may not get to, and what it may not write into logs.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use super::{NOBODY, Tunnel, USERS, answer, basic, cookie, head, host, rest, sent};

/// Nobody has connected.
fn unreached(silent: &TcpListener) {
    silent.set_nonblocking(true).expect("set");
    // Whatever was refused was refused before: an answer has come for it.
    let reached = silent.accept();
    assert!(reached.is_err(), "{reached:?}");
}

#[test]
fn row_1_open_pivot() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = silent.local_addr().expect("an address").port();
    let Some(mut host) = host("", "") else { return };
    let asked = [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("0x7f.1:{port}"),
        format!("127.1:{port}"),
        format!("2130706433:{port}"),
        "127.0.0.1:22".to_owned(),
        "169.254.169.254:80".to_owned(),
        "srv1:00593".to_owned(),
        "srv1:593:80".to_owned(),
        "srv1%00:593".to_owned(),
        "srv1.:593".to_owned(),
        "srv1:594".to_owned(),
        "srv2:593".to_owned(),
        String::new(),
    ];
    for (at, asked) in asked.iter().enumerate() {
        for method in ["RPC_IN_DATA", "RPC_OUT_DATA"] {
            let length = if method == "RPC_IN_DATA" { 1 << 30 } else { 76 };
            let mut client = sent(host.at(NOBODY), head(method, asked, length, "").as_bytes());
            let head = answer(&mut client);
            assert!(
                head.starts_with("HTTP/1.1 503 RPC Error: 5\r\n"),
                "{asked}: {head}"
            );
        }
        host.audited("\"decision\":\"deny\"", 2 * (at + 1));
    }
    unreached(&silent);
    host.serves();
}

#[test]
fn row_2_other_servers() {
    let web = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = web.local_addr().expect("an address").port();
    let more = format!(
        "[limits]\npairing = \"2s\"\n[[target]]\nname = \"web\"\nhosts = [\"127.0.0.1\"]\nports = [{port}]\n"
    );
    let rule = "[[rule]]\nname = \"web\"\naction = \"allow\"\ntargets = [\"web\"]\n";
    let Some(mut host) = host(&more, rule) else {
        return;
    };
    // A web server that is quick to answer, and one that greets like mail does.
    for greeting in [
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "220 mail ESMTP\r\n",
    ] {
        let mut client = Tunnel::to(
            host.at(NOBODY),
            &format!("127.0.0.1:{port}"),
            cookie(),
            "",
            1 << 30,
        );
        for _ in 0..2 {
            let (mut stream, _) = web.accept().expect("reached");
            stream.write_all(greeting.as_bytes()).expect("sent");
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .expect("a limit");
            let mut got = Vec::new();
            let read = stream.read_to_end(&mut got);
            assert!(got.is_empty(), "{read:?}: {got:?}");
        }
        let head = answer(&mut client.out.0);
        assert!(head.starts_with("HTTP/1.1 503 RPC Error: "), "{head}");
    }
    host.serves();
}

#[test]
fn row_13_forged_lines() {
    let Some(mut host) = host("", "") else { return };
    let evil = [
        "srv1%0d%0aX-Evil:%201:593",
        "srv1:593%0d%0aX-Evil:%201",
        "srv1%00:593",
        "%22,%22decision%22:%22allow:593",
        "\u{202e}srv1:593",
    ];
    for asked in evil {
        let mut client = sent(
            host.at(NOBODY),
            head("RPC_OUT_DATA", asked, 76, "").as_bytes(),
        );
        let head = answer(&mut client);
        assert!(
            head.starts_with("HTTP/1.1 503 ") || head.starts_with("HTTP/1.1 400 "),
            "{head}"
        );
        assert!(!head.contains("Evil"), "{head}");
    }
    let names = [
        "a\r\nb",
        "a\u{1b}[31mb",
        "\",\"decision\":\"allow",
        "a\u{2028}b",
        "a\u{202e}b",
    ];
    for name in names {
        let request = head("RPC_OUT_DATA", "srv1:593", 76, &basic(name, "wrong"));
        let mut client = sent(host.at(USERS), request.as_bytes());
        let head = answer(&mut client);
        assert!(head.starts_with("HTTP/1.1 401 "), "{name:?}: {head}");
        assert!(!head.contains(name) && !head.contains('\u{1b}'), "{head}");
    }
    // A line break in a header is not one request.
    let broken = "RPC_OUT_DATA /rpc/rpcproxy.dll?srv1:593 HTTP/1.1\r\nHost: h\r\nUser-Agent: a\rX: b\r\nContent-Length: 76\r\n\r\n";
    let mut client = sent(host.at(NOBODY), broken.as_bytes());
    assert!(String::from_utf8_lossy(&rest(&mut client)).starts_with("HTTP/1.1 400 "));
    host.serves();
    host.audited("\"event\":\"login\"", names.len());
    for line in host.audit().lines() {
        assert!(
            line.is_ascii() && !line.contains(char::is_control),
            "{line:?}"
        );
        let event: serde_json::Value = serde_json::from_str(line).expect("one event in each line");
        let forged = event["decision"] == "allow"
            && event["event"] == "login"
            && event["listener"] == "users";
        assert!(!forged, "{line}");
    }
}
