//! Targets, heads, reasons and pragmas.

use super::request::{direction, method};
use super::response::{echo_head, error, out_head};
use super::*;
use crate::direction::Direction;

fn target(text: &str) -> Result<(String, u16), NotRpc> {
    let resource = Resource::parse(&format!("/rpc/rpcproxy.dll?{text}"))?;
    let target = resource.target.unwrap();
    Ok((target.server, target.port))
}

#[test]
fn targets_that_are_read() {
    for (text, server, port) in [
        ("srv1:593", "srv1", 593),
        ("127.0.0.1:6001", "127.0.0.1", 6001),
        ("::1:593", "::1", 593),
        ("[::ffff:127.0.0.1]:593", "::ffff:127.0.0.1", 593),
        ("MAIL_1.example.org:65535", "MAIL_1.example.org", 65535),
        (
            "4b7f9b4f-2bd6-4d31-8a4c-97b1c20c8c2f@example.org:6004",
            "4b7f9b4f-2bd6-4d31-8a4c-97b1c20c8c2f@example.org",
            6004,
        ),
        ("0x7f.1:593", "0x7f.1", 593),
    ] {
        assert_eq!(target(text), Ok((server.to_owned(), port)), "{text}");
    }
}

#[test]
fn targets_that_are_refused() {
    let long = format!("{}:1", "a".repeat(1024));
    for (text, why) in [
        ("h", NotRpc::NoPort),
        ("h:00593", NotRpc::Port),
        ("h:0", NotRpc::Port),
        ("h:", NotRpc::Port),
        ("h:65536", NotRpc::Port),
        ("h:1234567", NotRpc::Port),
        ("h:+80", NotRpc::Port),
        ("h: 80", NotRpc::Port),
        ("h:593:80", NotRpc::Server),
        (":593", NotRpc::Server),
        ("h%00:593", NotRpc::Server),
        ("h/../x:593", NotRpc::Server),
        ("h?x:593", NotRpc::Server),
        ("h#x:593", NotRpc::Server),
        ("hé:593", NotRpc::Server),
        ("h\r\nX:593", NotRpc::Server),
        ("[::1:593", NotRpc::Server),
        ("[h]:593", NotRpc::Server),
        ("fe80::1%25eth0:593", NotRpc::Server),
        (long.as_str(), NotRpc::Server),
    ] {
        assert_eq!(target(text), Err(why), "{text}");
    }
}

#[test]
fn two_literal_paths() {
    assert!(!Resource::parse("/RPC/RpcProxy.dll?a:1").unwrap().with_cert);
    assert!(
        Resource::parse("/rpcwithcert/rpcproxy.dll?a:1")
            .unwrap()
            .with_cert
    );
    // impacket leaves the target out while it authenticates.
    assert_eq!(Resource::parse("/rpc/rpcproxy.dll").unwrap().target, None);
    for path in [
        "/rpc/rpcproxy%2edll?a:1",
        "/rpc//rpcproxy.dll?a:1",
        "/x/../rpc/rpcproxy.dll?a:1",
        "rpc/rpcproxy.dll",
        "http://h/rpc/rpcproxy.dll?a:1",
        "",
    ] {
        assert_eq!(Resource::parse(path), Err(NotRpc::Path), "{path}");
    }
    assert_eq!(
        Resource::parse("/RPC/rpcproxy.dll?a:1")
            .unwrap()
            .to_string(),
        "/rpc/rpcproxy.dll?a:1"
    );
}

#[test]
fn pragmas_come_one_by_one_or_as_a_list() {
    let one = Pragmas::parse([
        "No-cache",
        "MinConnTimeout=120",
        "ResourceTypeUuid=44e265dd-7daf-42cd-8560-3cdb6e7a2729",
    ]);
    let list = Pragmas::parse([
        "ResourceTypeUuid=44e265dd-7daf-42cd-8560-3cdb6e7a2729, minconntimeout=120",
    ]);
    assert_eq!(one, list);
    assert_eq!(one.min_connection_timeout, Some(120));
    assert_eq!(
        one.resource_type.unwrap().to_string(),
        "44e265dd-7daf-42cd-8560-3cdb6e7a2729"
    );
    assert_eq!(
        Pragmas::parse(["MinConnTimeout=119", "SessionId=x"]),
        Pragmas::default()
    );
}

#[test]
fn methods_and_lengths() {
    for way in [Direction::In, Direction::Out] {
        assert_eq!(direction(method(way)), Some(way));
    }
    assert_eq!(direction("rpc_in_data"), None);
    assert_eq!(
        [0, 16, 17, 76].map(Class::of),
        [Class::Echo, Class::Echo, Class::Channel, Class::Channel]
    );
}

// MS-RPCH sections 2.1.2.1.1 and 2.1.2.1.2: the fields and their values.
#[test]
fn the_head_of_a_request() {
    let resource = Resource::parse("/rpc/rpcproxy.dll?srv:593").unwrap();
    let head = RequestHead {
        direction: Direction::Out,
        resource: &resource,
        host: "proxy.example\r\nX: y",
        content_length: request::OUT_NEW,
        authorization: Some("Basic eA=="),
        absolute: false,
        proxy_authorization: None,
        pragmas: Pragmas {
            min_connection_timeout: Some(120),
            ..Pragmas::default()
        },
    };
    let expected = "RPC_OUT_DATA /rpc/rpcproxy.dll?srv:593 HTTP/1.1\r\nAccept: application/rpc\r\n\
        Cache-Control: no-cache\r\nConnection: Keep-Alive\r\nContent-Length: 76\r\nHost: proxy.exampleX: y\r\n\
        Pragma: No-cache\r\nPragma: MinConnTimeout=120\r\nUser-Agent: MSRPC\r\nAuthorization: Basic eA==\r\n\r\n";
    assert_eq!(head.emit(), expected);
    // RFC 9112 section 3.2.2: a proxy is told the whole address.
    let forwarded = RequestHead {
        host: "proxy.example:8080",
        absolute: true,
        proxy_authorization: Some("Basic eQ=="),
        ..head
    }
    .emit();
    let line = "RPC_OUT_DATA http://proxy.example:8080/rpc/rpcproxy.dll?srv:593 HTTP/1.1\r\n";
    assert!(forwarded.starts_with(line), "{forwarded}");
    assert!(
        forwarded.ends_with("Proxy-Authorization: Basic eQ==\r\n\r\n"),
        "{forwarded}"
    );
}

#[test]
fn reasons_both_ways() {
    for (text, code) in [
        ("RPC Error: 6ba", 0x6ba),
        ("RPC Error: 5", 5),
        ("RPC Error:0x6c0", 0x6c0),
    ] {
        assert_eq!(RpcError::parse(text), Some(RpcError::new(code)), "{text}");
    }
    let with = RpcError::parse("RPC Error: 6be, EEInfo: AAAA").unwrap();
    assert_eq!(with.ee_info.as_deref(), Some("AAAA"));
    assert_eq!(with.to_string(), "RPC Error: 6be, EEInfo: AAAA");
    for text in [
        "Service Unavailable",
        "RPC Error:",
        "RPC Error: xyz",
        "RPC Error: +5",
        "RPC Error: 123456789",
    ] {
        assert_eq!(RpcError::parse(text), None, "{text}");
    }
    assert!(RpcError::parse(&format!("RPC Error: 5, EEInfo: {}", "A".repeat(1024))).is_none());
    let hostile = RpcError {
        code: 5,
        ee_info: Some("a\r\nSet-Cookie: x".into()),
    };
    assert_eq!(hostile.to_string(), "RPC Error: 5");
    assert!(error(&RpcError::new(5)).starts_with("HTTP/1.0 503 RPC Error: 5\r\n"));
}

#[test]
fn status_lines() {
    let line = StatusLine::parse(b"HTTP/1.0 503 RPC Error: 6be").unwrap();
    assert_eq!((line.status, line.error().unwrap().code), (503, 0x6be));
    assert_eq!(StatusLine::parse(b"HTTP/1.1 200").unwrap().status, 200);
    for bad in [
        &b"HTTP/2 200 OK"[..],
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 +20 OK",
        b"\xff",
        b"",
    ] {
        assert_eq!(StatusLine::parse(bad), None);
    }
}

#[test]
fn success_and_echo() {
    assert_eq!(
        out_head(1 << 30),
        "HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\nContent-Length: 1073741824\r\n\r\n"
    );
    assert!(echo_head().contains("Content-Length: 20\r\n"));
    assert_eq!(
        crate::rts::Message::parse(ECHO),
        Ok(crate::rts::Message::Echo)
    );
}
