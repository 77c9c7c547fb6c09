//! Who a client is, and what it may call.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use farcall_conformance::peer::{Process, farcall};
use farcall_conformance::raw::{EPMAPPER, Heard, NDR, Name, Pdu, RPCECHO, ptype, words};

use super::{
    ACCESS_DENIED, NOBODY, PASSWORD, RTS, Tunnel, USERS, answer, basic, channel, cookie,
    eventually, head, host, of_cookie, of_number, rts, sent,
};

/// NTLM's authentication type, and a NEGOTIATE_MESSAGE (MS-NLMP section 2.2.1.1).
const NTLM: u8 = 10;
const NEGOTIATE: [u8; 32] = *b"NTLMSSP\0\x01\0\0\0\x97\x82\x08\xe2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

#[test]
fn row_4_levels_below_the_minimum() {
    let rules = "[[rule]]\nname = \"sealed\"\naction = \"allow\"\ntargets = [\"echo\"]\ninterfaces = [\"rpcecho\"]\nminimum-level = \"privacy\"\n\
                 [[rule]]\nname = \"nothing else\"\naction = \"deny\"\ntargets = [\"echo\"]\ninterfaces = [\"rpcecho\"]\n";
    let Some(host) = host("", rules) else { return };
    for level in 2..=5 {
        let mut tunnel = Tunnel::open(host.at(NOBODY), cookie(), "");
        let heard = tunnel.ask_pdu(&Pdu::bind(RPCECHO).auth(NTLM, level, 1, &NEGOTIATE));
        assert_eq!(
            heard.fault(),
            Some(ACCESS_DENIED),
            "level {level}: {heard:?}"
        );
    }
    let mut tunnel = Tunnel::open(host.at(NOBODY), cookie(), "");
    let heard = tunnel.ask_pdu(&Pdu::bind(RPCECHO));
    assert_eq!(heard.fault(), Some(ACCESS_DENIED), "none: {heard:?}");
    // At the level that is asked for, it is the server who answers: it has no accounts.
    let mut tunnel = Tunnel::open(host.at(NOBODY), cookie(), "");
    let heard = tunnel.ask_pdu(&Pdu::bind(RPCECHO).auth(NTLM, 6, 1, &NEGOTIATE));
    assert_eq!(heard.fault(), None, "{heard:?}");
    let denied = host.audited("\"event\":\"bind\"", 5);
    assert!(
        denied
            .iter()
            .all(|line| line.contains("\"decision\":\"deny\"")),
        "{denied:?}"
    );
}

/// Interfaces by which servers are made to log in elsewhere, taken over, or robbed; and an operation of each.
const COERCION: [(&str, u16, u16); 16] = [
    ("c681d488-d850-11d0-8c52-00c04fd90f7e", 1, 0), // EFSRPC: EfsRpcOpenFileRaw
    ("df1941c5-fe89-4e79-bf10-463657acf44d", 1, 4), // EFSRPC: EfsRpcEncryptFileSrv
    ("12345678-1234-abcd-ef00-0123456789ab", 1, 65), // RPRN: RemoteFindFirstPrinterChangeNotificationEx
    ("76f03f96-cdfd-44fc-a22c-64950a001209", 1, 0),  // PAR
    ("4fc742e0-4a10-11cf-8273-00aa004ae673", 3, 12), // DFSNM: NetrDfsAddStdRoot
    ("4fc742e0-4a10-11cf-8273-00aa004ae673", 3, 13), // DFSNM: NetrDfsRemoveStdRoot
    ("a8e0653c-2744-4389-a61d-7373df8b2292", 1, 8),  // FSRVP: IsPathSupported
    ("82273fdc-e32a-18c3-3f78-827929dc23ea", 0, 9),  // EVEN: ElfrOpenBELW
    ("e3514235-4b06-11d1-ab04-00c04fc2dcd2", 4, 3),  // DRSUAPI: IDL_DRSGetNCChanges
    ("3dde7c30-165d-11d1-ab8f-00805f14db40", 1, 0),  // BKRP
    ("367abb81-9844-35f1-ad32-98f038001003", 2, 12), // SCMR: RCreateServiceW
    ("86d35949-83c9-4044-b424-db363231fd0c", 1, 1),  // TSCH: SchRpcRegisterTask
    ("1ff70682-0a51-30e8-076d-740be8cee98b", 1, 0),  // ATSVC
    ("338cd001-2244-31f1-aaaa-900038001003", 1, 2),  // RRP: OpenLocalMachine
    ("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57", 0, 0),  // DCOM: IRemoteActivation
    ("894de0c0-0d55-11d3-a322-00c04fa321a1", 1, 0),  // RSP: shutdown
];

/// A server that has every interface: it takes all contexts, and a request that comes to it is a failure.
fn agreeable() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = socket.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = socket.accept() {
            std::thread::spawn(move || agree(stream));
        }
    });
    port
}

/// Answers one `bind` of one context (C706 section 12.6.4.4), and waits for the end.
fn agree(mut stream: TcpStream) -> std::io::Result<()> {
    let mut bind = [0; 72];
    stream.read_exact(&mut bind)?;
    let mut body = [
        words(&[0x10b8_10b8, 7]),
        b"\x04\x00593\0\0\0\x01\0\0\0\0\0\0\0".to_vec(),
    ]
    .concat();
    body.extend(NDR.bytes());
    stream.write_all(&Pdu::new(ptype::BIND_ACK, 1, &body).bytes())?;
    let mut more = Vec::new();
    stream.read_to_end(&mut more)?;
    assert!(
        more.is_empty(),
        "a denied call came to the server: {more:x?}"
    );
    Ok(())
}

#[test]
fn row_5_coercion() {
    // Everything is allowed, were it not for the pack, which is on unless it is switched off.
    let port = agreeable();
    let more = format!(
        "[[target]]\nname = \"all\"\nhosts = [\"all\"]\nports = [135]\nbridge = \"ncacn_ip_tcp:127.0.0.1[{port}]\"\n"
    );
    let rule = "[[rule]]\ninclude = \"deny-pack\"\n[[rule]]\nname = \"all\"\naction = \"allow\"\ntargets = [\"all\"]\n";
    let Some(mut host) = host(&more, rule) else {
        return;
    };
    for (uuid, version, opnum) in COERCION {
        let mut tunnel = Tunnel::to(host.at(NOBODY), "all:135", cookie(), "", 1 << 30);
        tunnel.opened();
        let heard = match tunnel.ask_pdu(&Pdu::bind(Name(uuid, version, 0))) {
            // Some operations of it are allowed.
            Heard::Pdu(ptype::BIND_ACK, ..) => {
                tunnel.ask_pdu(&Pdu::request(7, opnum, &words(&[0])))
            }
            heard => heard,
        };
        assert_eq!(
            heard.fault(),
            Some(ACCESS_DENIED),
            "{uuid} {opnum}: {heard:?}"
        );
    }
    let denied = host.audited("\"rule\":\"deny-pack: ", COERCION.len());
    assert!(
        denied
            .iter()
            .all(|line| line.contains("\"decision\":\"deny\"")),
        "{denied:?}"
    );
    host.serves();
}

/// Sends an empty request with these credentials over a connection that is there; its answer without the date.
fn guess(stream: &mut TcpStream, user: &str, password: &str) -> String {
    let request = head("RPC_IN_DATA", "srv1:593", 0, &basic(user, password));
    stream.write_all(request.as_bytes()).expect("sent");
    let answer = answer(stream);
    let lines = answer.lines().filter(|line| !line.starts_with("date: "));
    lines.collect::<Vec<_>>().join("\n")
}

fn source(last: u16) -> Ipv4Addr {
    let [high, low] = last.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// A connection from this address.
fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(from.into(), 0)).expect("bound");
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
    stream
}

#[test]
fn row_6_guessed_passwords() {
    let Some(mut host) = host("", "") else { return };
    let to = host.at(USERS);
    // A thousand from one source: of one account, and of a thousand that are there or not.
    let mut one = connect_from(source(1), to);
    let first = guess(&mut one, "alice", "wrong");
    assert!(first.starts_with("HTTP/1.1 401 "), "{first}");
    for each in 1..500 {
        assert_eq!(guess(&mut one, "alice", &format!("wrong{each}")), first);
        assert_eq!(guess(&mut one, &format!("user{each}"), "wrong"), first);
    }
    // The right password does not help who is locked out, neither from there nor from elsewhere; and the answer is the same.
    assert_eq!(guess(&mut one, "alice", PASSWORD), first);
    assert_eq!(
        guess(&mut connect_from(source(2), to), "alice", PASSWORD),
        first
    );
    assert_eq!(
        guess(&mut one, "bob", PASSWORD),
        first,
        "the source is locked out"
    );
    // A thousand from two hundred sources, of one account: as few are looked at.
    for each in 0..200 {
        let mut stream = connect_from(source(100 + each), to);
        for password in 0..5 {
            assert_eq!(
                guess(&mut stream, "bob", &format!("wrong{password}")),
                first
            );
        }
    }
    assert_eq!(
        guess(&mut connect_from(source(400), to), "bob", PASSWORD),
        first
    );
    // Who guesses nothing is let in.
    let head = guess(&mut connect_from(source(401), to), "carol", PASSWORD);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    host.audited("\"event\":\"lockout\"", 1900);
    let looked_at = host
        .audit()
        .matches("unknown user or wrong password")
        .count();
    assert!(
        (2..=61).contains(&looked_at),
        "{looked_at} of 2000 guesses were looked at"
    );
    assert!(host.metric("denials_total{why=\"lockout\"}") >= 1900);
    host.serves();
}

#[test]
fn row_7_neutral_challenges() {
    let Some(host) = host("", "") else { return };
    let request = head(
        "RPC_IN_DATA",
        "srv1:593",
        0,
        &format!("Authorization: NTLM {}\r\n", super::base64(&NEGOTIATE)),
    );
    let answer = answer(&mut sent(host.at(USERS), request.as_bytes()));
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("www-authenticate: NTLM "));
    let challenge = unbase64(line.unwrap_or_else(|| panic!("{answer}")));
    // MS-NLMP section 2.2.1.2: the fields of the target's name at 12 and of what is said about it at 40.
    let field = |at: usize| {
        let number = |at: usize, len: usize| {
            challenge[at..at + len]
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
        };
        &challenge[number(at + 4, 4)..number(at + 4, 4) + number(at, 2)]
    };
    let text = |bytes: &[u8]| {
        let units: Vec<u16> = bytes
            .chunks(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
            .collect();
        String::from_utf16(&units).expect("text")
    };
    assert_eq!(text(field(12)), "RPC");
    let (mut pairs, mut names) = (field(40), Vec::new());
    while let [id, 0, low, high, more @ ..] = pairs {
        let (value, rest) = more.split_at(usize::from(u16::from_le_bytes([*low, *high])));
        pairs = rest;
        match id {
            0 => break,
            1..=5 => names.push((*id, text(value))),
            _ => {}
        }
    }
    names.sort();
    let say = |id: u8, name: &str| (id, name.to_owned());
    assert_eq!(
        names,
        [say(1, "RPC"), say(2, "RPC"), say(3, "rpc"), say(4, "rpc")]
    );
}

fn unbase64(text: &str) -> Vec<u8> {
    let letters: Vec<u32> = text
        .trim_end_matches('=')
        .bytes()
        .map(|letter| {
            (0..64)
                .find(|at| super::base64(&[(at << 2) as u8]).as_bytes()[0] == letter)
                .expect("base64")
        })
        .collect();
    let bytes = letters.chunks(4).flat_map(|chunk| {
        let number = chunk.iter().fold(0, |sum, six| sum << 6 | six) << (6 * (4 - chunk.len()));
        number.to_be_bytes()[1..chunk.len()].to_vec()
    });
    bytes.collect()
}

#[test]
fn row_8_stolen_cookies() {
    let Some(mut host) = host("", "") else { return };
    let (alice, bob) = (basic("alice", PASSWORD), basic("bob", PASSWORD));
    let vc = cookie();
    let mut victim = Tunnel::open(host.at(USERS), vc, &alice);
    victim.bind();
    // The cookie of the connection, by another user, by nobody, and by the victim for another connection.
    let mut thief = Tunnel::ask(host.at(USERS), vc, &bob);
    for stream in [&mut thief.r#in, &mut thief.out.0] {
        let head = answer(stream);
        assert!(head.starts_with("HTTP/1.1 503 RPC Error: 5\r\n"), "{head}");
    }
    let head = answer(&mut Tunnel::ask(host.at(NOBODY), vc, "").out.0);
    assert!(head.starts_with("HTTP/1.1 503 RPC Error: 5\r\n"), "{head}");
    let head = answer(&mut Tunnel::ask(host.at(USERS), vc, &alice).out.0);
    assert!(
        head.starts_with("HTTP/1.1 503 RPC Error: 6c0\r\n"),
        "{head}"
    );
    // Both channels' successors (IN_R1/A1 and OUT_R1/A3, sections 2.2.4.10 and 2.2.4.26): the cookies are right, the user is not, or the
    // user is right and a cookie is not.
    let succession = |predecessor: [u8; 16]| {
        [
            of_number(6, 1),
            of_cookie(3, vc),
            of_cookie(3, predecessor),
            of_cookie(3, [3; 16]),
        ]
        .concat()
    };
    let (into, out) = (
        succession(channel(vc, 0xaa)),
        [succession(channel(vc, 0x55)), of_number(0, 0x4_0000)].concat(),
    );
    for (method, length, pdu) in [
        ("RPC_IN_DATA", 1 << 30, rts(4, 4, &into)),
        ("RPC_OUT_DATA", 120, rts(4, 5, &out)),
    ] {
        let request = super::head(method, "srv1:593", length, &bob);
        let mut stream = sent(host.at(USERS), &[request.as_bytes(), &pdu].concat());
        let head = answer(&mut stream);
        assert!(
            head.starts_with("HTTP/1.1 503 RPC Error: 5\r\n"),
            "{method}: {head}"
        );
    }
    let wrong = rts(4, 4, &succession([8; 16]));
    let request = super::head("RPC_IN_DATA", "srv1:593", 1 << 30, &alice);
    let head = answer(&mut sent(
        host.at(USERS),
        &[request.as_bytes(), &wrong].concat(),
    ));
    assert!(head.starts_with("HTTP/1.1 503 RPC Error: "), "{head}");
    // The victim has noticed nothing.
    victim.add_one(1);
    host.audited("another client's cookie", 5);
    // And recycles its IN channel: A4 comes on the OUT channel.
    let request = super::head("RPC_IN_DATA", "srv1:593", 1 << 30, &alice);
    let mut successor = sent(
        host.at(USERS),
        &[request.as_bytes(), &rts(4, 4, &into)].concat(),
    );
    loop {
        match victim.out.hear(farcall_conformance::raw::ANSWER) {
            // A command of a destination, FDClient, first (section 2.2.4.13).
            Heard::Pdu(RTS, _, body) if body[4..12] == words(&[13, 0])[..] => break,
            Heard::Pdu(RTS, ..) => {}
            other => panic!("{other:?}"),
        }
    }
    victim
        .r#in
        .write_all(&rts(0, 1, &of_cookie(3, [3; 16])))
        .expect("A5");
    std::mem::swap(&mut victim.r#in, &mut successor);
    victim.add_one(2);
    eventually("one recycling is counted", || {
        host.metric("recycles_total{kind=\"in-r2\"}") == 1
    });
    host.serves();
}

#[test]
fn row_15_nobody_needs_a_reason() {
    let Some(host) = host("", "") else { return };
    let check = |text: &str| {
        let file = host.scratch.file("lint.toml");
        std::fs::write(&file, text).expect("written");
        let mut command = farcall::command(&["proxy", "check", "--offline"]);
        Process::run("farcall proxy check", command.arg(file)).expect("run")
    };
    let listener = "[[listen]]\nname = \"outside\"\nendpoint = \"http://0.0.0.0:80\"\n";
    let (status, said) = check(&format!("{listener}[listen.authentication.anonymous]\n"));
    assert!(!status.success() && said.contains("reason"), "{said}");
    let (status, said) = check(&format!(
        "{listener}[listen.authentication.anonymous]\nreason = \"\"\n"
    ));
    assert!(!status.success() && said.contains("reason"), "{said}");
    // With a reason it is right, but unwise; and that there is no TLS is another matter, and another warning.
    let (status, said) = check(&format!(
        "{listener}[listen.authentication.anonymous]\nreason = \"a laboratory\"\n"
    ));
    assert!(status.success(), "{said}");
    assert!(said.matches("warning: ").count() >= 2, "{said}");
    assert!(
        said.contains("without TLS") && said.contains("anyone gets in"),
        "{said}"
    );
    // Switching TLS off lets nobody in without being somebody.
    let request = head("RPC_OUT_DATA", "srv1:593", 76, "");
    let refused = answer(&mut sent(host.at(USERS), request.as_bytes()));
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    // People see it.
    assert!(
        host.page("/status").contains("WARNING "),
        "{}",
        host.page("/status")
    );
    // A listener of nobody's cannot be asked for more by saying who one is.
    let mut tunnel = Tunnel::open(host.at(NOBODY), cookie(), &basic("alice", PASSWORD));
    let heard = tunnel.ask_pdu(&Pdu::bind(EPMAPPER));
    assert!(heard.results().is_some(), "{heard:?}");
    host.audited("\"authentication\":\"anonymous\"", 1);
}
