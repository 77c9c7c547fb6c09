//! The front over real sockets, with a relay that only writes down what it gets.

use super::connection::Shared;
use super::counts::Counts;
use super::*;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::auth::lockout::Lockout;
use crate::auth::{Authenticator, Failed};
use crate::channel::{Asked, Channels, Direction};
use crate::config::{self, listen::Roles};
use crate::guard::Fault;
use crate::identity::Identity;

const GIB: u32 = 1 << 30;

/// A relay that answers OUT with what came in on it, and tells what comes on IN.
struct Toy {
    tell: mpsc::UnboundedSender<(String, Bytes)>,
}

impl Channels for Toy {
    fn open(&self, mut asked: Asked) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let who = format!(
                "{} {} {} {:?}",
                asked.direction.word(),
                asked.identity,
                asked.target,
                asked.timeout
            );
            match (asked.direction, asked.target.port) {
                (_, 1) => return asked.line.refuse(0x6ba).await,
                (_, 2) => return asked.line.finish().await,
                _ => {}
            }
            loop {
                let data = asked.line.next().await;
                if data.is_empty() {
                    return asked.line.finish().await;
                }
                let _ = self.tell.send((who.clone(), data.clone()));
                if asked.direction == Direction::Out {
                    let mut waiting = VecDeque::from([asked.line.opened(GIB), data]);
                    while !waiting.is_empty() {
                        let sent = poll_fn(|cx| asked.line.poll_send(cx, &mut waiting)).await;
                        sent.expect("sent");
                    }
                }
            }
        })
    }
}

/// What was witnessed, in a line each.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Lines {
    fn add(&self, line: String) {
        self.0.lock().expect("whole").push(line);
    }
}

impl Witness for Lines {
    fn crowded(&self, _: &str, source: IpAddr) {
        self.add(format!("crowded {source}"));
    }
    fn doubtful(&self, _: &str, source: IpAddr, fault: Fault) {
        self.add(format!("doubtful {source} {fault:?}"));
    }
    fn unproved(&self, _: &str, source: IpAddr, failed: &Failed) {
        self.add(format!("unproved {source} {:?}", failed.claimed));
    }
    fn proved(&self, _: &str, source: IpAddr, identity: &Identity) {
        self.add(format!("proved {source} {identity}"));
    }
    fn refused(&self, _: &str, source: IpAddr, _: Option<&Identity>, asked: &str, reason: &str) {
        self.add(format!("refused {source} {asked}: {reason}"));
    }
}

struct Running {
    front: Front,
    at: SocketAddr,
    told: mpsc::UnboundedReceiver<(String, Bytes)>,
    lines: Arc<Lines>,
    _folder: tempfile::TempDir,
}

/// A front with this authentication; `change` makes its listener special.
async fn run(authentication: &str, change: impl FnOnce(&mut Setup)) -> Running {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let passwords = folder.path().join("passwords");
    // The password is `<.S.2K(Zq'`.
    std::fs::write(
        &passwords,
        "alice:$2a$04$VYAclAMpaXY/oqAo9yUpkuWmoYywaPzyhu56HxXpVltnBIfmO9tgu",
    )
    .expect("written");
    std::fs::set_permissions(&passwords, std::fs::Permissions::from_mode(0o600)).expect("closed");
    let text = authentication.replace("PASSWORDS", &format!("{passwords:?}"));
    let settings = toml::from_str(&text).expect("a configuration");
    let lockout = Lockout::new(&config::Lockout::default());
    let mut setup = Setup {
        name: "test".into(),
        roles: Roles::Both,
        tls: None,
        authenticator: Arc::new(Authenticator::new(&settings, lockout).expect("set up")),
        fronts: Vec::new(),
        proxy_protocol: false,
        forwarded: false,
        own_connections: false,
        bindings: Vec::new(),
    };
    change(&mut setup);
    let (tell, told) = mpsc::unbounded_channel();
    let lines = Arc::new(Lines::default());
    let shared = Arc::new(Shared {
        channels: Arc::new(Toy { tell }),
        witness: Arc::<Lines>::clone(&lines),
        counts: Counts::new(8, 4),
        timing: Timing {
            header: Duration::from_secs(5),
        },
        draining: CancellationToken::new(),
        ended: CancellationToken::new(),
    });
    let listener = Listener::bind("127.0.0.1:0".parse().expect("address"), setup)
        .await
        .expect("listens");
    let at = listener.address().expect("an address");
    Running {
        front: Front::start(shared, vec![listener]),
        at,
        told,
        lines,
        _folder: folder,
    }
}

const ANONYMOUS: &str = "[anonymous]\nreason = \"a test\"\n";
const BASIC: &str = "[basic]\nusers = PASSWORDS\n";
const ALICE: &str = "Authorization: Basic YWxpY2U6PC5TLjJLKFpxJw==\r\n";

struct Client(TcpStream, Vec<u8>);

impl Client {
    async fn connect(to: &Running) -> Self {
        Self(
            TcpStream::connect(to.at).await.expect("connects"),
            Vec::new(),
        )
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("sent");
    }

    /// The next response: its head, and as much of its body as it declares, but no more than 76 bytes.
    async fn response(&mut self) -> (String, Vec<u8>) {
        let end = loop {
            if let Some(at) = self.1.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(
                self.more().await,
                "the connection ended: {}",
                String::from_utf8_lossy(&self.1)
            );
        };
        let head = String::from_utf8(self.1.drain(..end).collect()).expect("text");
        let lower = head.to_ascii_lowercase();
        let length = lower
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let length = length.unwrap_or(0).min(76);
        while self.1.len() < length && self.more().await {}
        let body = self.1.drain(..length.min(self.1.len())).collect();
        (head, body)
    }

    async fn more(&mut self) -> bool {
        let mut chunk = [0; 4096];
        let reading = tokio::time::timeout(Duration::from_secs(10), self.0.read(&mut chunk));
        let len = reading.await.expect("in time").unwrap_or(0);
        self.1.extend_from_slice(&chunk[..len]);
        len > 0
    }

    async fn ended(&mut self) -> bool {
        while self.more().await {}
        self.1.is_empty()
    }

    async fn status(&mut self, request: &str) -> String {
        self.send(request).await;
        let (head, _) = self.response().await;
        head.lines().next().unwrap_or_default().to_owned()
    }
}

fn request(method: &str, target: &str, length: u64, more: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{more}Content-Length: {length}\r\n\r\n")
}

#[tokio::test]
async fn an_echo_request_is_answered_with_the_echo_pdu_and_the_connection_goes_on() {
    let running = run(ANONYMOUS, |_| {}).await;
    let mut client = Client::connect(&running).await;
    for (length, body) in [
        (0, ""),
        (4, "\u{1}\u{2}\u{3}\u{4}"),
        (16, "0123456789abcdef"),
    ] {
        client
            .send(&request(
                "RPC_IN_DATA",
                "/Rpc/RpcProxy.dll?h:593",
                length,
                "",
            ))
            .await;
        client.send(body).await;
        let (head, body) = client.response().await;
        assert!(head.starts_with("HTTP/1.1 200 Success\r\n"), "{head}");
        assert!(
            head.to_ascii_lowercase()
                .contains("content-type: application/rpc"),
            "{head}"
        );
        assert_eq!(body, answers::ECHO);
    }
}

#[tokio::test]
async fn other_paths_and_methods_have_their_answers_and_reach_nobody() {
    let mut running = run(ANONYMOUS, |setup| setup.roles = Roles::In).await;
    for (method, target, line) in [
        ("GET", "/", "HTTP/1.1 404 Not Found"),
        (
            "RPC_IN_DATA",
            "/rpc/rpcproxy.dll/?h:1",
            "HTTP/1.1 404 Not Found",
        ),
        (
            "RPC_IN_DATA",
            "/rpc/../rpc/rpcproxy.dll?h:1",
            "HTTP/1.1 404 Not Found",
        ),
        (
            "RPC_IN_DATA",
            "/rpc%2frpcproxy.dll?h:1",
            "HTTP/1.1 404 Not Found",
        ),
        (
            "RPC_IN_DATA",
            "//rpc/rpcproxy.dll?h:1",
            "HTTP/1.1 404 Not Found",
        ),
        (
            "GET",
            "/rpc/rpcproxy.dll?h:1",
            "HTTP/1.1 405 Method Not Allowed",
        ),
        (
            "rpc_in_data",
            "/rpc/rpcproxy.dll?h:1",
            "HTTP/1.1 405 Method Not Allowed",
        ),
        (
            "RPC_OUT_DATA",
            "/rpc/rpcproxy.dll?h:1",
            "HTTP/1.1 405 Method Not Allowed",
        ),
        (
            "RPC_CONNECT",
            "/rpc/rpcproxy.dll?h:1",
            "HTTP/1.1 501 Not Implemented",
        ),
    ] {
        let mut client = Client::connect(&running).await;
        assert_eq!(
            client.status(&request(method, target, 0, "")).await,
            line,
            "{method} {target}"
        );
        assert!(client.ended().await, "{method} {target}");
    }
    assert!(running.told.try_recv().is_err());
}

#[tokio::test]
async fn what_is_no_target_is_an_rpc_error_and_the_certificates_path_needs_one() {
    let running = run(ANONYMOUS, |_| {}).await;
    for target in [
        "/rpc/rpcproxy.dll",
        "/rpc/rpcproxy.dll?",
        "/rpc/rpcproxy.dll?h",
        "/rpc/rpcproxy.dll?h:00593",
        "/rpc/rpcproxy.dll?0x7f.1:593",
        "/rpc/rpcproxy.dll?h%00:593",
        "/rpc/rpcproxy.dll?h:593:80",
        "/rpcwithcert/rpcproxy.dll?h:593",
    ] {
        let mut client = Client::connect(&running).await;
        let line = client
            .status(&request("RPC_IN_DATA", target, u64::from(GIB), ""))
            .await;
        assert_eq!(line, "HTTP/1.1 503 RPC Error: 5", "{target}");
        assert!(client.ended().await, "{target}");
    }
    assert_eq!(
        running
            .lines
            .0
            .lock()
            .expect("whole")
            .iter()
            .filter(|line| line.starts_with("refused"))
            .count(),
        8
    );
}

#[tokio::test]
async fn an_in_channel_goes_to_the_relay_and_is_not_answered() {
    let mut running = run(BASIC, |_| {}).await;
    let mut client = Client::connect(&running).await;
    let more = format!("{ALICE}Pragma: No-cache\r\nPragma: a=b, MinConnTimeout=300\r\n");
    client
        .send(&request(
            "RPC_IN_DATA",
            "/rpc/rpcproxy.dll?H:593",
            u64::from(GIB),
            &more,
        ))
        .await;
    client.send("some bytes").await;
    let (who, bytes) = running.told.recv().await.expect("told");
    assert_eq!(
        (who.as_str(), &bytes[..]),
        ("in alice h:593 Some(300s)", &b"some bytes"[..])
    );
    drop(running.front);
    assert!(client.ended().await, "not a byte in answer");
}

#[tokio::test]
async fn an_out_channel_is_success_with_its_lifetime_and_then_bytes() {
    let mut running = run(ANONYMOUS, |_| {}).await;
    for version in ["1.0", "1.1"] {
        let mut client = Client::connect(&running).await;
        client.send(&format!("RPC_OUT_DATA /rpc/rpcproxy.dll?h:593 HTTP/{version}\r\nConnection: Keep-Alive\r\nContent-Length: 76\r\n\r\n")).await;
        client.send(&"x".repeat(76)).await;
        let (head, body) = client.response().await;
        assert!(
            head.starts_with(&format!("HTTP/{version} 200 Success\r\n")),
            "{head}"
        );
        let lower = head.to_ascii_lowercase();
        assert!(lower.contains("content-length: 1073741824\r\n"), "{head}");
        assert!(!lower.contains("transfer-encoding"), "{head}");
        assert_eq!(body, "x".repeat(76).as_bytes());
        assert!(
            running
                .told
                .recv()
                .await
                .expect("told")
                .0
                .starts_with("out anonymous")
        );
    }
}

#[tokio::test]
async fn errors_of_the_relay_are_told_and_end_the_connection() {
    let running = run(ANONYMOUS, |_| {}).await;
    let mut client = Client::connect(&running).await;
    let line = client
        .status(&request("RPC_OUT_DATA", "/rpc/rpcproxy.dll?h:1", 76, ""))
        .await;
    assert_eq!(line, "HTTP/1.1 503 RPC Error: 6ba");
    assert!(client.ended().await);
    let mut client = Client::connect(&running).await;
    client
        .send(&request(
            "RPC_IN_DATA",
            "/rpc/rpcproxy.dll?h:2",
            u64::from(GIB),
            "",
        ))
        .await;
    assert!(client.ended().await, "no answer at all");
}

#[tokio::test]
async fn nobody_comes_to_a_channel_without_being_proved() {
    let mut running = run(BASIC, |_| {}).await;
    for more in [
        "",
        "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n",
        "Authorization: Negotiate AAAA\r\n",
        "X-Forwarded-User: alice\r\n",
    ] {
        let mut client = Client::connect(&running).await;
        let line = client
            .status(&request(
                "RPC_IN_DATA",
                "/rpc/rpcproxy.dll?h:593",
                u64::from(GIB),
                more,
            ))
            .await;
        assert_eq!(line, "HTTP/1.1 401 Unauthorized", "{more}");
        let mut client = Client::connect(&running).await;
        client
            .send(&request("RPC_OUT_DATA", "/rpc/rpcproxy.dll", 0, more))
            .await;
        let (head, _) = client.response().await;
        assert!(
            head.to_ascii_lowercase()
                .contains("www-authenticate: basic realm=\"rpc\""),
            "{head}"
        );
        let line = client
            .status(&request("RPC_OUT_DATA", "/rpc/rpcproxy.dll", 0, ALICE))
            .await;
        assert_eq!(
            line, "HTTP/1.1 200 Success",
            "the connection is good for another leg"
        );
        let line = client
            .status(&request("RPC_OUT_DATA", "/rpc/rpcproxy.dll?h:1", 76, ""))
            .await;
        assert_eq!(
            line, "HTTP/1.1 503 RPC Error: 6ba",
            "and who it is stays with it"
        );
    }
    assert!(running.told.try_recv().is_err());
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_it_only_when_it_is_known() {
    let mut running = run(BASIC, |_| {}).await;
    let expect = "Expect: 100-continue\r\n";
    let mut client = Client::connect(&running).await;
    let line = client
        .status(&request(
            "RPC_IN_DATA",
            "/rpc/rpcproxy.dll?h:593",
            u64::from(GIB),
            expect,
        ))
        .await;
    assert_eq!(line, "HTTP/1.1 401 Unauthorized");
    let mut client = Client::connect(&running).await;
    let more = format!("{expect}{ALICE}");
    let line = client
        .status(&request(
            "RPC_IN_DATA",
            "/rpc/rpcproxy.dll?h:593",
            u64::from(GIB),
            &more,
        ))
        .await;
    assert_eq!(line, "HTTP/1.1 100 Continue");
    client.send("b1").await;
    assert_eq!(&running.told.recv().await.expect("told").1[..], b"b1");
}

#[tokio::test]
async fn a_request_with_two_meanings_ends_its_connection_and_nothing_of_it_is_served() {
    let mut running = run(ANONYMOUS, |_| {}).await;
    for head in [
        "Transfer-Encoding: chunked\r\nContent-Length: 1073741824\r\n",
        "Content-Length: 1073741824\r\nContent-Length: 5\r\n",
        "Content-Length: 1073741824\r\n folded\r\n",
        "Content-Length: 1073741824\nX: y\r\n",
    ] {
        let mut client = Client::connect(&running).await;
        let line = client
            .status(&format!(
                "RPC_IN_DATA /rpc/rpcproxy.dll?h:593 HTTP/1.1\r\n{head}\r\n"
            ))
            .await;
        assert_eq!(line, "HTTP/1.1 400 Bad Request", "{head:?}");
        assert!(client.ended().await);
    }
    assert!(running.told.try_recv().is_err());
    let lines = running.lines.0.lock().expect("whole").clone();
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.starts_with("doubtful 127.0.0.1"))
            .count(),
        4,
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_request_behind_a_channels_body_is_not_served() {
    let mut running = run(ANONYMOUS, |_| {}).await;
    let mut client = Client::connect(&running).await;
    client
        .send(&request("RPC_OUT_DATA", "/rpc/rpcproxy.dll?h:593", 76, ""))
        .await;
    client.send(&"x".repeat(76)).await;
    client
        .send(&request("RPC_OUT_DATA", "/rpc/rpcproxy.dll?h:594", 76, ""))
        .await;
    client.response().await;
    assert!(running.told.recv().await.expect("told").0.contains("h:593"));
    drop(client);
    running.front.drain(Duration::from_millis(200)).await;
    assert!(
        running.told.try_recv().is_err(),
        "the second request is never seen"
    );
}

#[tokio::test]
async fn sources_have_their_number_of_connections() {
    let running = run(ANONYMOUS, |_| {}).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(&running).await;
        client
            .status(&request("RPC_IN_DATA", "/rpc/rpcproxy.dll", 0, ""))
            .await;
        clients.push(client);
    }
    assert!(Client::connect(&running).await.ended().await, "the fifth");
    assert_eq!(running.front.connections(), 4);
}

#[tokio::test]
async fn the_proxy_protocol_is_demanded_of_fronts_and_believed_from_nobody_else() {
    const HEADER: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x12\x34\x01\xbb";
    let ask = request("GET", "/", 0, "");
    let with_front = |front: &'static str| {
        run(ANONYMOUS, move |setup| {
            setup.fronts = vec![front.parse().expect("a network")];
            setup.proxy_protocol = true;
        })
    };
    let running = with_front("127.0.0.0/8").await;
    let mut client = Client::connect(&running).await;
    client.0.write_all(HEADER).await.expect("sent");
    assert_eq!(client.status(&ask).await, "HTTP/1.1 404 Not Found");
    assert_eq!(
        running.lines.0.lock().expect("whole")[0],
        "refused 192.0.2.7 GET /: another path"
    );
    let mut client = Client::connect(&running).await;
    client.send(&ask).await;
    assert!(client.ended().await, "a front without a header");
    let running = with_front("192.0.2.0/24").await;
    let mut client = Client::connect(&running).await;
    client.0.write_all(HEADER).await.expect("sent");
    client.send(&ask).await;
    assert_eq!(
        client.response().await.0.lines().next(),
        Some("HTTP/1.1 400 Bad Request"),
        "a header from nobody"
    );
}

#[tokio::test]
async fn forwarded_addresses_are_believed_from_fronts_only() {
    let ask = request("GET", "/", 0, "X-Forwarded-For: 203.0.113.5\r\n");
    for (front, seen) in [
        ("127.0.0.0/8", "203.0.113.5"),
        ("192.0.2.0/24", "127.0.0.1"),
    ] {
        let running = run(ANONYMOUS, |setup| {
            setup.fronts = vec![front.parse().expect("a network")];
            setup.forwarded = true;
        })
        .await;
        Client::connect(&running).await.status(&ask).await;
        let line = running.lines.0.lock().expect("whole")[0].clone();
        assert_eq!(line, format!("refused {seen} GET /: another path"));
    }
}

#[tokio::test]
async fn a_drain_lets_what_is_there_end_and_ends_it_then() {
    let running = run(ANONYMOUS, |_| {}).await;
    let mut idle = Client::connect(&running).await;
    idle.status(&request("RPC_IN_DATA", "/rpc/rpcproxy.dll", 0, ""))
        .await;
    let mut out = Client::connect(&running).await;
    out.send(&request("RPC_OUT_DATA", "/rpc/rpcproxy.dll?h:593", 76, ""))
        .await;
    out.send(&"x".repeat(76)).await;
    out.response().await;
    running.front.drain(Duration::from_millis(200)).await;
    assert!(idle.ended().await);
    assert!(out.ended().await);
    assert!(
        TcpStream::connect(running.at).await.is_err(),
        "nobody listens"
    );
}

#[tokio::test]
async fn a_client_that_goes_is_noticed_while_its_out_channel_is_idle() {
    let mut running = run(ANONYMOUS, |_| {}).await;
    let mut client = Client::connect(&running).await;
    client
        .send(&request("RPC_OUT_DATA", "/rpc/rpcproxy.dll?h:593", 76, ""))
        .await;
    client.send(&"x".repeat(76)).await;
    client.response().await;
    assert!(running.told.recv().await.is_some());
    drop(client);
    // Returns as soon as the connection's task has ended; its grace is far away.
    let drained = running.front.drain(Duration::from_secs(60));
    tokio::time::timeout(Duration::from_secs(10), drained)
        .await
        .expect("noticed");
}
