//! The whole proxy over real sockets, with a client in raw bytes and a server that echoes.

use super::*;
use std::path::PathBuf;
use std::sync::Mutex;

use farcall_dce::pdu::bind::{Bind, BindAck, ContextResult};
use farcall_dce::pdu::call::{Request, Response};
use farcall_dce::pdu::{Flags, Header, PacketType, auth as trailer};
use farcall_dce::syntax::{Order, SyntaxId, Uuid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The management interface (C706 appendix Q), which rules know as `mgmt`.
const MGMT: SyntaxId = SyntaxId::new(
    Uuid::new(
        0xafa8_bd80,
        0x7d8a,
        0x11c9,
        [0xbe, 0xf4, 8, 0, 0x2b, 0x10, 0x29, 0x89],
    ),
    1,
    0,
);

const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    folder: tempfile::TempDir,
    proxy: Proxy,
    at: String,
}

impl Running {
    fn file(&self) -> PathBuf {
        self.folder.path().join("proxy.toml")
    }

    fn audit(&self) -> String {
        self.proxy.services.audit.flush();
        std::fs::read_to_string(self.folder.path().join("audit")).expect("an audit log")
    }
}

/// A proxy with an anonymous listener, pages, and this in its file.
async fn start(more: &str) -> Running {
    let folder = tempfile::tempdir().expect("a folder");
    let audit = folder.path().join("audit");
    let text = format!(
        "[audit]\nfile = {audit:?}\n[metrics]\nlisten = \"127.0.0.1:0\"\n[[listen]]\nname = \"outside\"\nendpoint = \"http://127.0.0.1:0\"\n[listen.authentication.anonymous]\nreason = \"a test\"\n{more}"
    );
    let file = folder.path().join("proxy.toml");
    std::fs::write(&file, text).expect("written");
    let proxy = match Proxy::start(&file).await {
        Ok(proxy) => proxy,
        Err(error) => panic!("{error}"),
    };
    let at = proxy.endpoints()[0]
        .strip_prefix("http://")
        .expect("a URL")
        .to_owned();
    Running { folder, proxy, at }
}

fn target(port: u16, rules: &str) -> String {
    format!(
        "[[target]]\nname = \"echo\"\nhosts = [\"server1\"]\nports = [593]\nbridge = \"ncacn_ip_tcp:127.0.0.1[{port}]\"\n{rules}"
    )
}

const ALLOW: &str = "[[rule]]\nname = \"all\"\naction = \"allow\"\ntargets = [\"echo\"]\n";

async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(PATIENCE, stream.read_u8())
            .await
            .expect("in time");
        bytes.push(byte.expect("a head"));
    }
    String::from_utf8(bytes).expect("text")
}

async fn request(to: &str, method: &str, target: &str, length: u64) -> TcpStream {
    request_as(to, method, target, length, "").await
}

/// The same with more headers.
async fn request_as(to: &str, method: &str, target: &str, length: u64, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.expect("connects");
    let head = format!(
        "{method} /rpc/rpcproxy.dll?{target} HTTP/1.1\r\nHost: h\r\n{more}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream
}

/// A virtual connection as a client has it.
struct Client {
    r#in: TcpStream,
    out: TcpStream,
}

impl Client {
    /// Opens one, as Samba does: bytes of its CONN/A1 and CONN/B1 with these cookies.
    async fn open(to: &str, target: &str, vc: u8) -> Self {
        Self::open_as(to, target, vc, "").await
    }

    async fn open_as(to: &str, target: &str, vc: u8, more: &str) -> Self {
        let mut r#in = request_as(to, "RPC_IN_DATA", target, 1 << 30, more).await;
        let mut out = request_as(to, "RPC_OUT_DATA", target, 76, more).await;
        let mut a1 =
            b"\x05\0\x14\x03\x10\0\0\0\x4c\0\0\0\0\0\0\0\0\0\x04\0\x06\0\0\0\x01\0\0\0\x03\0\0\0"
                .to_vec();
        a1.extend_from_slice(&[vc; 16]);
        a1.extend_from_slice(b"\x03\0\0\0");
        a1.extend_from_slice(&[vc ^ 0x55; 16]);
        a1.extend_from_slice(b"\0\0\0\0\0\0\x04\0");
        let mut b1 =
            b"\x05\0\x14\x03\x10\0\0\0\x68\0\0\0\0\0\0\0\0\0\x06\0\x06\0\0\0\x01\0\0\0\x03\0\0\0"
                .to_vec();
        b1.extend_from_slice(&[vc; 16]);
        b1.extend_from_slice(b"\x03\0\0\0");
        b1.extend_from_slice(&[vc ^ 0xaa; 16]);
        b1.extend_from_slice(b"\x04\0\0\0\0\0\0\x40\x05\0\0\0\xe0\x93\x04\0\x0c\0\0\0");
        b1.extend_from_slice(&[9; 16]);
        out.write_all(&a1).await.expect("sent");
        r#in.write_all(&b1).await.expect("sent");
        Self { r#in, out }
    }

    /// Waits for success, CONN/A3 and CONN/C2, and checks them.
    async fn opened(&mut self) {
        let head = head(&mut self.out).await;
        assert!(head.starts_with("HTTP/1.1 200 Success\r\n"), "{head}");
        // Section 2.2.4.4: the connection timeout, 120 s.
        let a3 = pdu(&mut self.out).await;
        assert_eq!(
            a3,
            b"\x05\0\x14\x03\x10\0\0\0\x1c\0\0\0\0\0\0\0\0\0\x01\0\x02\0\0\0\xc0\xd4\x01\0"
        );
        // Section 2.2.4.9: version, window of the in-proxy (256 KiB), connection timeout.
        let c2 = pdu(&mut self.out).await;
        assert_eq!(
            c2,
            b"\x05\0\x14\x03\x10\0\0\0\x2c\0\0\0\0\0\0\0\0\0\x03\0\x06\0\0\0\x01\0\0\0\0\0\0\0\0\0\x04\0\x02\0\0\0\xc0\xd4\x01\0"
        );
    }

    async fn bind(&mut self, interface: SyntaxId) -> Vec<u8> {
        let mut body = Vec::new();
        let context = farcall_dce::pdu::bind::PresentationContext {
            context_id: 0,
            interface,
            transfers: vec![SyntaxId::NDR],
        };
        let bind = Bind {
            max_xmit_frag: 4280,
            max_recv_frag: 4280,
            assoc_group_id: 0,
            contexts: vec![context],
        };
        bind.emit(&mut body, Order::Little);
        self.r#in
            .write_all(&whole(body, PacketType::BIND, 1))
            .await
            .expect("sent");
        self.answer().await
    }

    async fn call(&mut self, call_id: u32, opnum: u16, stub: &[u8]) -> Vec<u8> {
        let request = Request {
            alloc_hint: 0,
            context_id: 0,
            opnum,
            object: None,
        };
        let mut body = request.emit(Order::Little).to_vec();
        body.extend_from_slice(stub);
        self.r#in
            .write_all(&whole(body, PacketType::REQUEST, call_id))
            .await
            .expect("sent");
        self.answer().await
    }

    /// The next PDU that is none of RTS.
    async fn answer(&mut self) -> Vec<u8> {
        loop {
            let pdu = pdu(&mut self.out).await;
            if pdu[2] != 20 {
                return pdu;
            }
        }
    }
}

async fn pdu(stream: &mut TcpStream) -> Vec<u8> {
    let mut pdu = vec![0; 16];
    let reading = async {
        stream.read_exact(&mut pdu).await?;
        pdu.resize(usize::from(u16::from_le_bytes([pdu[8], pdu[9]])), 0);
        stream.read_exact(&mut pdu[16..]).await
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("in time")
        .expect("a PDU");
    pdu
}

fn whole(mut pdu: Vec<u8>, ptype: PacketType, call_id: u32) -> Vec<u8> {
    let header = Header::new(ptype, Flags::WHOLE, Order::Little, call_id);
    pdu.splice(0..0, header.emit());
    assert!(trailer::finish(&mut pdu, 0, 0));
    pdu
}

/// A server of DCE/RPC over TCP that takes any bind and answers each request with its own stub; it tells which operations it saw.
async fn server() -> (u16, Arc<Mutex<Vec<u16>>>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let port = socket.local_addr().expect("an address").port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&told)));
        }
    });
    (port, seen)
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<u16>>>) {
    loop {
        let mut pdu = vec![0; 16];
        if stream.read_exact(&mut pdu).await.is_err() {
            return;
        }
        pdu.resize(usize::from(u16::from_le_bytes([pdu[8], pdu[9]])), 0);
        stream.read_exact(&mut pdu[16..]).await.expect("the rest");
        let header = Header::parse(pdu[..16].try_into().expect("16 bytes")).expect("a header");
        let mut body = Vec::new();
        let answer = match header.ptype {
            PacketType::BIND => {
                let ack = BindAck {
                    max_xmit_frag: 4280,
                    max_recv_frag: 4280,
                    assoc_group_id: 7,
                    secondary_address: b"593".to_vec(),
                    results: vec![ContextResult::accepted(SyntaxId::NDR)],
                };
                ack.emit(&mut body, Order::Little);
                whole(body, PacketType::BIND_ACK, header.call_id)
            }
            PacketType::REQUEST => {
                let request = Request::parse(&pdu[16..], &header).expect("a request");
                seen.lock().expect("whole").push(request.opnum);
                let response = Response {
                    alloc_hint: 0,
                    context_id: 0,
                    cancel_count: 0,
                };
                body.extend_from_slice(&response.emit(Order::Little));
                body.extend_from_slice(&pdu[24..]);
                whole(body, PacketType::RESPONSE, header.call_id)
            }
            other => panic!("{other:?} at the server"),
        };
        stream.write_all(&answer).await.expect("sent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_target_of_the_file_is_refused_and_not_even_reached() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let port = silent.local_addr().expect("an address").port();
    let running = start(&target(1, ALLOW)).await;
    for asked in [
        format!("127.0.0.1:{port}"),
        "169.254.169.254:80".to_owned(),
        format!("[::ffff:127.0.0.1]:{port}"),
        "server1:80".to_owned(),
    ] {
        let mut client = request(&running.at, "RPC_IN_DATA", &asked, 1 << 30).await;
        let head = head(&mut client).await;
        assert!(
            head.starts_with("HTTP/1.1 503 RPC Error: 5\r\n"),
            "{asked}: {head}"
        );
    }
    let reached = tokio::time::timeout(Duration::from_millis(50), silent.accept()).await;
    assert!(reached.is_err(), "nobody connected");
    let audit = running.audit();
    assert_eq!(audit.matches("\"decision\":\"deny\"").count(), 4, "{audit}");
    assert!(
        audit.contains("\"asked\":\"169.254.169.254:80\""),
        "{audit}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_wrong_changes_nothing_and_pages_say_what_is_in_force() {
    let running = start(&target(1, ALLOW)).await;
    let page = running.proxy.endpoints().last().expect("a page").clone();
    let at = page
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix("/status"))
        .expect("a URL")
        .to_owned();
    let get = async |path: &str| {
        let mut stream = TcpStream::connect(&at).await.expect("connects");
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes())
            .await
            .expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("read");
        text
    };
    assert!(get("/status").await.contains("configuration 1, "));
    assert!(
        get("/metrics").await.contains("farcall_proxy"),
        "names of metrics"
    );
    assert!(get("/other").await.starts_with("HTTP/1.1 404"));
    let good = std::fs::read_to_string(running.file()).expect("read");
    std::fs::write(running.file(), "[[rule]]\nnonsense = 1\n").expect("written");
    let error = running.proxy.reload().expect_err("nonsense");
    assert!(error.to_string().contains("nonsense"), "{error}");
    assert!(get("/status").await.contains("configuration 1, "));
    std::fs::write(
        running.file(),
        format!("{good}\n[[rule]]\nname = \"other\"\naction = \"deny\"\n"),
    )
    .expect("written");
    let change = running.proxy.reload().expect("read again");
    assert_eq!(change.generation, 2);
    assert!(get("/status").await.contains("configuration 2, "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_tcp_is_called_over_http_by_a_bridge() {
    let (port, seen) = server().await;
    let running = start(&target(port, ALLOW)).await;
    let mut client = Client::open(&running.at, "server1:593", 1).await;
    client.opened().await;
    assert_eq!(client.bind(MGMT).await[2], PacketType::BIND_ACK.0);
    for call in 2..200_u32 {
        let stub = vec![call as u8; 4000];
        let answer = client.call(call, (call % 5) as u16, &stub).await;
        assert_eq!(answer[2], PacketType::RESPONSE.0);
        assert_eq!(&answer[24..], stub, "call {call}");
    }
    assert_eq!(seen.lock().expect("whole").len(), 198);
    drop(client);
    tokio::time::timeout(PATIENCE, running.proxy.drain(Some(Duration::from_secs(10))))
        .await
        .expect("ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forbidden_operation_gets_a_fault_and_the_connection_lives() {
    let (port, seen) = server().await;
    let deny = "[[rule]]\nname = \"no stop\"\naction = \"deny\"\ntargets = [\"echo\"]\ninterfaces = [\"mgmt\"]\noperations = [3]\nreason = \"servers are not stopped from outside\"\n";
    let running = start(&target(port, &format!("{deny}{ALLOW}"))).await;
    let mut client = Client::open(&running.at, "server1:593", 2).await;
    client.opened().await;
    assert_eq!(client.bind(MGMT).await[2], PacketType::BIND_ACK.0);
    let answer = client.call(2, 3, b"stub").await;
    assert_eq!(
        (answer[2], &answer[12..16], &answer[24..28]),
        (PacketType::FAULT.0, &[2, 0, 0, 0][..], &[5, 0, 0, 0][..])
    );
    let answer = client.call(3, 0, b"stub").await;
    assert_eq!(
        (answer[2], &answer[24..]),
        (PacketType::RESPONSE.0, &b"stub"[..])
    );
    assert_eq!(
        *seen.lock().expect("whole"),
        [0],
        "the denied call never came to the server"
    );
    let audit = running.audit();
    let denied: Vec<&str> = audit
        .lines()
        .filter(|line| line.contains("\"event\":\"call\""))
        .collect();
    assert_eq!(denied.len(), 1, "{audit}");
    assert!(
        denied[0].contains("\"rule\":\"no stop\"") && denied[0].contains("\"opnum\":3"),
        "{}",
        denied[0]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_say_what_it_is_gets_nothing() {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let port = socket.local_addr().expect("an address").port();
    let text = format!(
        "[limits]\npairing = \"1s\"\n[[target]]\nname = \"web\"\nhosts = [\"127.0.0.1\"]\nports = [{port}]\n[[rule]]\nname = \"all\"\naction = \"allow\"\ntargets = [\"web\"]\n"
    );
    let running = start(&text).await;
    let mut client = Client::open(&running.at, &format!("127.0.0.1:{port}"), 3).await;
    let mut got = Vec::new();
    for _ in 0..2 {
        let (mut stream, _) = tokio::time::timeout(PATIENCE, socket.accept())
            .await
            .expect("in time")
            .expect("reached");
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut got))
            .await
            .expect("in time")
            .expect("read");
    }
    assert!(got.is_empty(), "{got:?}");
    let head = head(&mut client.out).await;
    assert!(head.starts_with("HTTP/1.1 503 RPC Error: "), "{head}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_clients_cookie_opens_nothing_and_harms_nobody() {
    let (port, _) = server().await;
    let running = start(&target(port, ALLOW)).await;
    let mut client = Client::open(&running.at, "server1:593", 4).await;
    client.opened().await;
    // The same cookie once more, by the same client: a connection is established once.
    let mut thief = Client::open(&running.at, "server1:593", 4).await;
    let refused = head(&mut thief.out).await;
    assert!(
        refused.starts_with("HTTP/1.1 503 RPC Error: 6c0\r\n"),
        "{refused}"
    );
    assert_eq!(
        client.bind(MGMT).await[2],
        PacketType::BIND_ACK.0,
        "who was there first goes on"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_in_place_of_a_pdu_ends_the_connection_and_is_written_down() {
    let (port, seen) = server().await;
    let running = start(&target(port, ALLOW)).await;
    let mut client = Client::open(&running.at, "server1:593", 5).await;
    client.opened().await;
    // A PDU of version 6, 16 bytes long.
    let garbage = b"\x06\0\0\x03\x10\0\0\0\x10\0\0\0\x01\0\0\0";
    client.r#in.write_all(garbage).await.expect("sent");
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, client.out.read_to_end(&mut rest))
        .await
        .expect("in time")
        .expect("the end");
    assert!(seen.lock().expect("whole").is_empty());
    let mut client = request(&running.at, "RPC_OUT_DATA", "server1:593", 76).await;
    client.write_all(&[0x41; 76]).await.expect("sent");
    let refused = head(&mut client).await;
    assert!(
        refused.starts_with("HTTP/1.1 503 RPC Error: 6c0\r\n"),
        "{refused}"
    );
    assert!(running.audit().contains("\"event\":\"violation\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_without_its_first_pdu_or_its_twin_is_given_up() {
    let (port, _) = server().await;
    let running = start(&format!(
        "[limits]\nfirst-rts = \"1s\"\npairing = \"1s\"\n{}",
        target(port, ALLOW)
    ))
    .await;
    let mut silent = request(&running.at, "RPC_IN_DATA", "server1:593", 1 << 30).await;
    assert!(
        head(&mut silent)
            .await
            .starts_with("HTTP/1.1 503 RPC Error: 6be\r\n")
    );
    let mut client = Client::open(&running.at, "server1:593", 6).await;
    drop(client.r#in);
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, client.out.read_to_end(&mut rest))
        .await
        .expect("in time")
        .expect("the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_user_with_a_stolen_cookie_is_refused_and_the_victim_goes_on() {
    use std::os::unix::fs::PermissionsExt;
    // The password is `<.S.2K(Zq'`.
    const HASH: &str = "$2a$04$VYAclAMpaXY/oqAo9yUpkuWmoYywaPzyhu56HxXpVltnBIfmO9tgu";
    let folder = tempfile::tempdir().expect("a folder");
    let passwords = folder.path().join("passwords");
    std::fs::write(&passwords, format!("alice:{HASH}\nbob:{HASH}\n")).expect("written");
    std::fs::set_permissions(&passwords, std::fs::Permissions::from_mode(0o600)).expect("closed");
    let (port, _) = server().await;
    let listener = format!(
        "[[listen]]\nname = \"users\"\nendpoint = \"http://127.0.0.1:0\"\n[listen.authentication.basic]\nusers = {passwords:?}\n{}",
        target(port, ALLOW)
    );
    let running = start(&listener).await;
    let at = running.proxy.endpoints()[1]
        .strip_prefix("http://")
        .expect("a URL")
        .to_owned();
    let alice = "Authorization: Basic YWxpY2U6PC5TLjJLKFpxJw==\r\n";
    let bob = {
        use base64::Engine;
        let value = base64::engine::general_purpose::STANDARD.encode("bob:<.S.2K(Zq'");
        format!("Authorization: Basic {value}\r\n")
    };
    let mut victim = Client::open_as(&at, "server1:593", 7, alice).await;
    victim.opened().await;
    let mut thief = Client::open_as(&at, "server1:593", 7, &bob).await;
    for stream in [&mut thief.r#in, &mut thief.out] {
        let refused = head(stream).await;
        assert!(
            refused.starts_with("HTTP/1.1 503 RPC Error: 5\r\n"),
            "{refused}"
        );
    }
    assert_eq!(victim.bind(MGMT).await[2], PacketType::BIND_ACK.0);
    assert!(running.audit().contains("another client's cookie"));
}
