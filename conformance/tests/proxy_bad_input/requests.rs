//! Requests that mean two things, or are not for this proxy.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};

use super::{NOBODY, Tunnel, a1, answer, cookie, head, host, rest, sent};

#[test]
fn row_3_confused_paths_and_headers() {
    let Some(mut host) = host("", "") else { return };
    let paths = [
        "/rpc/rpcproxy.dll/?srv1:593",
        "/rpc//rpcproxy.dll?srv1:593",
        "//rpc/rpcproxy.dll?srv1:593",
        "/rpc/%72pcproxy.dll?srv1:593",
        "/rpc/x/../rpcproxy.dll?srv1:593",
        "/rpc/./rpcproxy.dll?srv1:593",
        "/rpc/rpcproxy.dll;x?srv1:593",
        "/rpc/rpcproxy.dll%3fsrv1:593",
        "/rpc\\rpcproxy.dll?srv1:593",
        "/rpc/rpcproxy.dll/autodiscover.xml?srv1:593",
        "/status",
        "/",
        "*",
    ];
    for path in paths {
        let request =
            format!("RPC_OUT_DATA {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 76\r\n\r\n");
        let mut client = sent(host.at(NOBODY), request.as_bytes());
        let head = answer(&mut client);
        assert!(
            head.starts_with("HTTP/1.1 404 ") || head.starts_with("HTTP/1.1 400 "),
            "{path}: {head}"
        );
    }
    // The path of clients with a certificate needs one.
    let request = "RPC_OUT_DATA /rpcwithcert/rpcproxy.dll?srv1:593 HTTP/1.1\r\nHost: h\r\nContent-Length: 76\r\n\r\n";
    let head = answer(&mut sent(host.at(NOBODY), request.as_bytes()));
    assert!(head.starts_with("HTTP/1.1 503 RPC Error: 5\r\n"), "{head}");
    // What other proxies take for the backend, or for a user, is nothing here: neither does it open what is forbidden, nor does it lead astray.
    let inert = "X-BEResource: srv1:593\r\nCookie: X-BEResource=srv1~593; X-AnonResource=true\r\nX-Original-URL: /rpc/rpcproxy.dll?srv1:593\r\n\
                 X-Rewrite-URL: /rpc/rpcproxy.dll?srv1:593\r\nX-Forwarded-Host: srv1\r\nX-HTTP-Method-Override: RPC_IN_DATA\r\nX-Remote-User: alice\r\n\
                 X-CommonAccessToken: alice\r\nX-ARR-ClientCert: AAAA\r\nX-SSL-Client-Verify: SUCCESS\r\nRemote-User: alice\r\n";
    let request = self::head("RPC_OUT_DATA", "other:593", 76, inert);
    let head = answer(&mut sent(host.at(NOBODY), request.as_bytes()));
    assert!(head.starts_with("HTTP/1.1 503 RPC Error: 5\r\n"), "{head}");
    let request = self::head("RPC_OUT_DATA", "srv1:593", 76, inert);
    let head = answer(&mut sent(host.at(super::USERS), request.as_bytes()));
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    let mut tunnel = Tunnel::open(
        host.at(NOBODY),
        cookie(),
        &inert.replace("srv1:593", "127.0.0.1:1"),
    );
    tunnel.bind();
    tunnel.add_one(1);
    host.serves();
}

#[test]
fn row_9_smuggled_requests() {
    let Some(mut host) = host("", "") else { return };
    let start = "RPC_IN_DATA /rpc/rpcproxy.dll?srv1:593 HTTP/1.1\r\nHost: h\r\n";
    let hidden =
        "RPC_OUT_DATA /rpc/rpcproxy.dll?hidden:1 HTTP/1.1\r\nHost: h\r\nContent-Length: 76\r\n\r\n";
    let corpus = [
        format!("{start}Content-Length: 4\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("{start}Content-Length: 4\r\nContent-Length: 4\r\n\r\nAAAA{hidden}"),
        format!("{start}Content-Length: 4, 4\r\n\r\nAAAA{hidden}"),
        format!("{start}Content-Length: +4\r\n\r\nAAAA{hidden}"),
        format!("{start}Content-Length: 0x4\r\n\r\nAAAA{hidden}"),
        format!("{start}Content-Length : 4\r\n\r\nAAAA{hidden}"),
        format!("{start}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("{start}Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}transfer-encoding: xchunked\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("{start}X: a\r\n Content-Length: 4\r\n\r\n{hidden}"),
        format!("{start}X: a\r\n\tTransfer-Encoding: chunked\r\n\r\n{hidden}"),
        format!("{start}X: a\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("{start}X: a\rContent-Length: 0\r\n\r\n{hidden}"),
        format!("{start}Content-Length: 0\n\n{hidden}"),
        format!("{start}X\0: a\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("{start}: a\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("{start}Host: i\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("{start}Content-Length: 99999999999999999999\r\n\r\n{hidden}"),
        format!(
            "{start}Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAAA\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}"
        ),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{hidden}"),
        format!(
            "RPC_IN_DATA  /rpc/rpcproxy.dll?srv1:593 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n{hidden}"
        ),
        format!("RPC_IN_DATA /rpc/rpcproxy.dll?srv1:593\r\n{hidden}"),
    ];
    for request in &corpus {
        let mut client = sent(host.at(NOBODY), request.as_bytes());
        let _ = client.shutdown(std::net::Shutdown::Write);
        let answers = String::from_utf8_lossy(&rest(&mut client)).into_owned();
        assert!(
            answers.matches("HTTP/1.1 ").count() <= 1,
            "{request}\n{answers}"
        );
        assert!(!answers.starts_with("HTTP/1.1 2"), "{request}\n{answers}");
    }
    // A request behind the body of one that failed is not served either.
    let mut client = sent(
        host.at(NOBODY),
        head("RPC_IN_DATA", "other:593", 1 << 30, "").as_bytes(),
    );
    let _ = client.write_all(hidden.as_bytes());
    let answers = String::from_utf8_lossy(&rest(&mut client)).into_owned();
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    assert!(
        !host.audit().contains("hidden"),
        "nothing hidden was seen as a request"
    );
    host.serves();
}

/// PROXY protocol, version 2: a client at 10.1.2.3:4711 (its specification, section 2.2).
const PROXIED: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x01\x02\x03\x7f\0\0\x01\x12\x67\x01\xbb";

/// Sends from this address.
fn from(source: Ipv4Addr, to: SocketAddr, bytes: &[u8]) -> std::net::TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket
            .bind(SocketAddr::new(source.into(), 0))
            .expect("bound");
        socket
            .connect(to)
            .await
            .expect("connect")
            .into_std()
            .expect("a socket")
    });
    stream.set_nonblocking(false).expect("set");
    stream
        .set_read_timeout(Some(farcall_conformance::raw::ANSWER))
        .expect("a limit");
    let mut stream = stream;
    stream.write_all(bytes).expect("sent");
    stream
}

#[test]
fn row_14_forged_addresses() {
    let listener = |name: &str, what: &str| {
        format!(
            "[[listen]]\nname = \"{name}\"\nendpoint = \"http://127.0.0.1:0\"\n[listen.authentication.anonymous]\nreason = \"a test\"\n\
             [listen.front]\ntrusted = [\"127.0.9.0/24\"]\n{what} = true\n"
        )
    };
    let more = format!(
        "{}{}",
        listener("balanced", "proxy-protocol"),
        listener("forwarded", "forwarded")
    );
    let rules = "[[rule]]\nname = \"from elsewhere\"\naction = \"deny\"\nlisteners = [\"balanced\", \"forwarded\"]\nsources = [\"127.0.0.0/8\"]\n";
    let Some(mut host) = host(&more, rules) else {
        return;
    };
    let (balanced, forwarded) = (host.at(2), host.at(3));
    let (stranger, front) = (Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 9, 1));
    let claims = "X-Forwarded-For: 10.1.2.3\r\nForwarded: for=10.1.2.3\r\nX-Real-IP: 10.1.2.3\r\nTrue-Client-IP: 10.1.2.3\r\nVia: 1.1 front\r\n";
    let asked = head("RPC_OUT_DATA", "srv1:593", 76, claims);
    // From outside, a header counts for nothing, and PROXY protocol is no HTTP.
    let head = answer(&mut from(stranger, forwarded, asked.as_bytes()));
    assert!(head.starts_with("HTTP/1.1 503 RPC Error: 5\r\n"), "{head}");
    let said = rest(&mut from(
        stranger,
        balanced,
        &[PROXIED, asked.as_bytes()].concat(),
    ));
    assert!(
        !said.starts_with(b"HTTP/1.1 2"),
        "{}",
        String::from_utf8_lossy(&said)
    );
    let head = answer(&mut from(stranger, balanced, asked.as_bytes()));
    assert!(head.starts_with("HTTP/1.1 503 RPC Error: 5\r\n"), "{head}");
    // A front that says nothing is not served where it must.
    let said = rest(&mut from(front, balanced, asked.as_bytes()));
    assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
    // From a front they are believed: rules and the log see the client.
    let last_two = asked.replace("10.1.2.3\r\nForwarded", "127.0.0.1, 10.1.2.3\r\nForwarded");
    for (to, begin) in [(balanced, PROXIED), (forwarded, b"")] {
        let mut client = from(
            front,
            to,
            &[begin, last_two.as_bytes(), &a1(cookie())].concat(),
        );
        let head = answer(&mut client);
        assert!(head.starts_with("HTTP/1.1 200 Success\r\n"), "{head}");
    }
    host.audited("\"source\":\"10.1.2.3\"", 4);
    host.serves();
}

#[test]
fn row_16_version_1() {
    let Some(mut host) = host("", "") else { return };
    let answers = [
        ("RPC_CONNECT srv1:593", "501"),
        ("RPC_CONNECT /rpc/rpcproxy.dll?srv1:593", "501"),
        ("GET /rpc/rpcproxy.dll?srv1:593", "405"),
        ("POST /rpc/rpcproxy.dll?srv1:593", "405"),
        ("CONNECT srv1:593", "40"),
        ("OPTIONS /rpc/rpcproxy.dll", "405"),
        ("RDG_OUT_DATA /remoteDesktopGateway/", "404"),
    ];
    for (request, status) in answers {
        let request = format!(
            "{request} HTTP/1.1\r\nHost: h\r\nPragma: No-cache\r\nUser-Agent: RPC\r\nContent-Length: 0\r\n\r\n"
        );
        let head = answer(&mut sent(host.at(NOBODY), request.as_bytes()));
        let refused =
            head.starts_with(&format!("HTTP/1.1 {status}")) || head.starts_with("HTTP/1.1 40");
        assert!(refused, "{request}: {head}");
    }
    host.serves();
}
