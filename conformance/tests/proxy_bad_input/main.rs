//! What `farcall proxy` does with input that is wrong, hostile or too much.
//!
//! Each row is a failure that some proxy of RPC over HTTP, or what stands where one stands, has had. The proxy runs as a user runs it, in front of
//! `farcall echo`; the bytes are written by hand, and after each test a good client must be served as before.
//!
//! | failure | test |
//! |---|---|
//! | 1. an open pivot: any host, any port | `targets::row_1_open_pivot` |
//! | 2. servers that speak no RPC | `targets::row_2_other_servers`; `farcall-proxy`: `proxy::tests::a_server_that_does_not_say_what_it_is_gets_nothing` |
//! | 3. the backend chosen, or a user believed, by path or header (ProxyLogon, ProxyShell, ProxyToken) | `requests::row_3_confused_paths_and_headers` |
//! | 4. relayed logins (ESC8, ESC11) | `people::row_4_levels_below_the_minimum`; `farcall-proxy`: `tests/relayed_logins.rs` |
//! | 5. coercion and theft of credentials through the edge | `people::row_5_coercion` |
//! | 6. guessed passwords | `people::row_6_guessed_passwords` |
//! | 7. names that a challenge reveals | `people::row_7_neutral_challenges` |
//! | 8. stolen cookies | `people::row_8_stolen_cookies` |
//! | 9. smuggled requests | `requests::row_9_smuggled_requests`; `farcall-proxy`: `guard` |
//! | 10. slow and half-open clients | `limits::row_10_ten_thousand_half_open_sockets`, `limits::row_10_every_wait_ends`, `limits::row_10_caps` |
//! | 11. windows and lifetimes that are not kept | `limits::row_11_windows_ignored`, `limits::row_11_lifetime_overrun` |
//! | 12. malformed PDUs (CVE-2021-41159 and its kind) | `pdus::row_12_malformed_rts`, `pdus::row_12_malformed_rpc`; the fuzz targets |
//! | 13. lines forged in logs and answers | `targets::row_13_forged_lines` |
//! | 14. forged addresses of clients | `requests::row_14_forged_addresses` |
//! | 15. nobody, and in clear text, by one switch | `people::row_15_nobody_needs_a_reason` |
//! | 16. version 1 and other methods | `requests::row_16_version_1` |
//!
//! `daemon` shows what its keeper may do to it while clients are there: files that are wrong, signals, logs that are moved.

mod daemon;
mod limits;
mod pdus;
mod people;
mod requests;
mod targets;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use farcall_conformance::peer::Scratch;
use farcall_conformance::peer::farcall::{self, Farcall};
use farcall_conformance::raw::{ANSWER, Heard, Line, Pdu, RPCECHO, words};

/// Operations of rpcecho.
const ADD_ONE: u16 = 0;
const SOURCE_DATA: u16 = 3;

/// `nca_s_fault_access_denied`, as Windows and Samba say it.
const ACCESS_DENIED: u32 = 5;

/// RTS PDUs are of this type (MS-RPCH section 2.2.3.1).
const RTS: u8 = 20;

/// A proxy, and the server behind it.
struct Host {
    proxy: Farcall,
    _echo: Farcall,
    scratch: Scratch,
}

/// The listeners of a host.
const NOBODY: usize = 0;
const USERS: usize = 1;

/// A proxy with a listener for nobody, one for `alice` and `bob` (Basic and NTLM), pages, the target `srv1:593` and this in its file; `rules`
/// stand before the one that allows everything.
fn host(more: &str, rules: &str) -> Option<Host> {
    farcall::available().then(|| {
        let echo = [
            "echo",
            "-l",
            "ncacn_ip_tcp:127.0.0.1[0]",
            "--register",
            "none",
        ];
        let echo = Farcall::start(&echo, 1).expect("farcall echo");
        let scratch = Scratch::new("proxy-bad-input").expect("a folder");
        let text = configuration(&scratch, echo.port(), more, rules);
        let file = scratch.file("proxy.toml");
        fs::write(&file, text).expect("written");
        let proxy = ["proxy", "--config", &file.display().to_string()];
        let listeners = more.matches("[[listen]]").count();
        let proxy = Farcall::start(&proxy, 3 + listeners).expect("farcall proxy");
        Host {
            proxy,
            _echo: echo,
            scratch,
        }
    })
}

fn configuration(scratch: &Scratch, port: u16, more: &str, rules: &str) -> String {
    let users = farcall::users(scratch).expect("a file of users");
    let passwords = scratch.file("passwords");
    let hash = bcrypt::hash(PASSWORD, 4).expect("a hash");
    fs::write(
        &passwords,
        format!("alice:{hash}\nbob:{hash}\ncarol:{hash}\n"),
    )
    .expect("written");
    fs::set_permissions(&passwords, fs::Permissions::from_mode(0o600)).expect("closed");
    let audit = scratch.file("audit");
    format!(
        "[audit]\nfile = {audit:?}\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
         [[listen]]\nname = \"nobody\"\nendpoint = \"http://127.0.0.1:0\"\n[listen.authentication.anonymous]\nreason = \"a test\"\n\
         [[listen]]\nname = \"users\"\nendpoint = \"http://127.0.0.1:0\"\n[listen.authentication.basic]\nusers = {passwords:?}\n\
         [listen.authentication.ntlm]\nusers = {users:?}\nchannel-binding = \"off\"\n\
         [[target]]\nname = \"echo\"\nhosts = [\"srv1\"]\nports = [593]\nbridge = \"ncacn_ip_tcp:127.0.0.1[{port}]\"\n\
         {more}\n{rules}\n[[rule]]\nname = \"everything\"\naction = \"allow\"\ntargets = [\"echo\"]\n"
    )
}

/// The password of all who have one.
const PASSWORD: &str = "<.S.2K(Zq'";

impl Host {
    /// The address of a listener; the last is that of the pages.
    fn at(&self, listener: usize) -> SocketAddr {
        let text = &self.proxy.endpoints[listener];
        let rest = text.split_once("://").expect("a URL").1;
        rest.split('/')
            .next()
            .expect("an address")
            .parse()
            .expect("an address")
    }

    /// What the audit log has.
    fn audit(&self) -> String {
        fs::read_to_string(self.scratch.file("audit")).expect("an audit log")
    }

    /// The audit log, when it has this many lines with these words.
    fn audited(&self, words: &str, count: usize) -> Vec<String> {
        let mut found = Vec::new();
        eventually(&format!("{count} lines with {words}"), || {
            let audit = self.audit();
            let with = audit.lines().filter(|line| line.contains(words));
            found = with.map(str::to_owned).collect();
            found.len() >= count
        });
        found
    }

    /// A page for people or machines inside.
    fn page(&self, path: &str) -> String {
        let at = self.at(self.proxy.endpoints.len() - 1);
        let mut stream = TcpStream::connect(at).expect("connect");
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("a page");
        text
    }

    /// The number behind this name in `/metrics`.
    fn metric(&self, name: &str) -> i64 {
        let page = self.page("/metrics");
        let name = format!("farcall_proxy_{name} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in {page}"))
    }

    /// A good client is served, and the proxy runs.
    fn serves(&mut self) {
        assert!(
            self.proxy.process.is_running().expect("look"),
            "{}",
            self.proxy.process.output()
        );
        let mut tunnel = Tunnel::open(self.at(NOBODY), cookie(), "");
        tunnel.bind();
        tunnel.add_one(41);
    }
}

/// Waits until this is so: for what a proxy does of itself, and tells nobody.
fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        if is() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("not so: {what}");
}

/// A cookie that no other virtual connection of the test has.
fn cookie() -> [u8; 16] {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut cookie = [7; 16];
    cookie[..8].copy_from_slice(&next.to_le_bytes());
    cookie
}

/// An RTS PDU by hand (MS-RPCH section 2.2.3.6): flags, how many commands, and the commands.
fn rts(flags: u16, count: u16, commands: &[u8]) -> Vec<u8> {
    let mut pdu = b"\x05\0\x14\x03\x10\0\0\0".to_vec();
    let length = u16::try_from(20 + commands.len()).expect("short");
    pdu.extend(length.to_le_bytes());
    pdu.extend([0; 6]);
    pdu.extend(flags.to_le_bytes());
    pdu.extend(count.to_le_bytes());
    pdu.extend_from_slice(commands);
    pdu
}

/// A command of one number: 0 ReceiveWindowSize, 4 ChannelLifetime, 5 ClientKeepalive, 6 Version.
fn of_number(command: u32, value: u32) -> Vec<u8> {
    words(&[command, value])
}

/// A cookie's command; 12 is that of the association group, 3 any other.
fn of_cookie(command: u32, cookie: [u8; 16]) -> Vec<u8> {
    [&command.to_le_bytes()[..], &cookie].concat()
}

/// The cookie of a channel of a virtual connection.
fn channel(vc: [u8; 16], mask: u8) -> [u8; 16] {
    vc.map(|byte| byte ^ mask)
}

/// CONN/A1 with a window of 256 KiB (section 2.2.4.2).
fn a1(vc: [u8; 16]) -> Vec<u8> {
    let commands = [
        of_number(6, 1),
        of_cookie(3, vc),
        of_cookie(3, channel(vc, 0x55)),
        of_number(0, 0x4_0000),
    ];
    rts(0, 4, &commands.concat())
}

/// CONN/B1 with this lifetime (section 2.2.4.5).
fn b1(vc: [u8; 16], lifetime: u32) -> Vec<u8> {
    let commands = [
        of_number(6, 1),
        of_cookie(3, vc),
        of_cookie(3, channel(vc, 0xaa)),
        of_number(4, lifetime),
        of_number(5, 300_000),
        of_cookie(12, [9; 16]),
    ];
    rts(0, 6, &commands.concat())
}

/// A request's head.
fn head(method: &str, target: &str, length: u64, more: &str) -> String {
    format!(
        "{method} /rpc/rpcproxy.dll?{target} HTTP/1.1\r\nHost: h\r\n{more}Content-Length: {length}\r\n\r\n"
    )
}

/// Sends bytes over a connection of their own.
fn sent(to: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(to).expect("connect");
    stream.set_nodelay(true).expect("no delay");
    stream.set_read_timeout(Some(ANSWER)).expect("a limit");
    stream.write_all(bytes).expect("sent");
    stream
}

/// The head of a response; empty if the connection ends instead.
fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => bytes.push(byte[0]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error} after {}", String::from_utf8_lossy(&bytes)),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Everything until the connection ends.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error} after {bytes:?}"),
    }
    bytes
}

/// A virtual connection as a client has it.
struct Tunnel {
    r#in: TcpStream,
    out: Line,
}

impl Tunnel {
    /// Asks for `srv1:593`, with these headers.
    fn ask(to: SocketAddr, vc: [u8; 16], more: &str) -> Self {
        Self::to(to, "srv1:593", vc, more, 1 << 30)
    }

    /// Asks for a target, with an IN channel of this lifetime.
    fn to(to: SocketAddr, target: &str, vc: [u8; 16], more: &str, lifetime: u32) -> Self {
        let mut r#in = sent(
            to,
            head("RPC_IN_DATA", target, lifetime.into(), more).as_bytes(),
        );
        let mut out = sent(to, head("RPC_OUT_DATA", target, 76, more).as_bytes());
        out.write_all(&a1(vc)).expect("sent");
        r#in.write_all(&b1(vc, lifetime)).expect("sent");
        Self {
            r#in,
            out: Line(out),
        }
    }

    /// The same, and it is let in.
    fn open(to: SocketAddr, vc: [u8; 16], more: &str) -> Self {
        let mut tunnel = Self::ask(to, vc, more);
        tunnel.opened();
        tunnel
    }

    /// Success, CONN/A3 and CONN/C2.
    fn opened(&mut self) {
        let head = answer(&mut self.out.0);
        assert!(head.starts_with("HTTP/1.1 200 Success\r\n"), "{head}");
        for pdu in ["CONN/A3", "CONN/C2"] {
            let heard = self.out.hear(ANSWER);
            assert!(matches!(heard, Heard::Pdu(RTS, ..)), "{pdu}: {heard:?}");
        }
    }

    fn send(&mut self, pdu: &Pdu) {
        // A connection that was closed meanwhile shows in what is heard.
        let _ = self.r#in.write_all(&pdu.bytes());
    }

    /// The next PDU that is none of RTS.
    fn hear(&mut self) -> Heard {
        loop {
            match self.out.hear(ANSWER) {
                Heard::Pdu(RTS, ..) => {}
                other => return other,
            }
        }
    }

    fn ask_pdu(&mut self, pdu: &Pdu) -> Heard {
        self.send(pdu);
        self.hear()
    }

    /// Binds to rpcecho.
    fn bind(&mut self) {
        let heard = self.ask_pdu(&Pdu::bind(RPCECHO));
        assert!(heard.bound().is_some(), "{heard:?}");
    }

    /// A call, with its right result.
    fn add_one(&mut self, value: u32) {
        let heard = self.ask_pdu(&Pdu::request(7, ADD_ONE, &words(&[value])));
        assert_eq!(heard.stub(), Some(&words(&[value + 1])[..]), "{heard:?}");
    }
}

/// `Authorization: Basic` of a user.
fn basic(user: &str, password: &str) -> String {
    format!(
        "Authorization: Basic {}\r\n",
        base64(format!("{user}:{password}").as_bytes())
    )
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk
            .iter()
            .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * at) & 63) as usize];
            text.push(if at > chunk.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    text
}
