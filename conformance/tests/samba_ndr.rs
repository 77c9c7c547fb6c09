//! Samba's NDR as a byte oracle: random messages of the interfaces in `idl/`, as our generated code
//! writes them, must be read by Samba's, and come out of it as the same bytes in both syntaxes
//! and both orders.

// Most of it is generated code, which is looked at elsewhere.
#![cfg(not(clippy))]

#[path = "../../crates/idl/tests/compiled/messages.rs"]
mod messages;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use farcall_conformance::case;
use farcall_conformance::peer::python;
use farcall_wire::ndr::{Order, Syntax};

use messages::{Dice, MODES, Message, Transcode, again, make};

/// The interfaces: Samba's name for the module, how many operations are looked at, and our code.
macro_rules! interfaces {
    ($($file:ident $module:ident $samba:literal;)*) => {
        $(#[allow(unreachable_pub, clippy::pedantic, unused, clippy::all)]
        #[rustfmt::skip]
        mod $file {
            include!(concat!(env!("OUT_DIR"), "/codecs/", stringify!($file), ".rs"));
        })*
        const INTERFACES: &[(&str, Transcode)] = &[
            $(($samba, $file::$module::codec::transcode),)*
        ];
    };
}

interfaces! {
    rpcecho rpcecho "echo";
    epmapper ept "epmapper";
    mgmt mgmt "mgmt";
    lsarpc lsarpc "lsa";
    samr samr "samr";
    srvsvc srvsvc "srvsvc";
    svcctl svcctl "svcctl";
    winreg winreg "winreg";
    netlogon logon "netlogon";
    unixinfo unixinfo "unixinfo";
}

/// Messages that are made of each kind, at most.
const MESSAGES: usize = 12;

/// Fewest messages that must have been compared.
const EXPECTED: usize = 3500;

/// Operations whose published definition is another one than Samba's, with what is different.
const DIFFERENT: &[(&str, &[u16], &str)] = &[
    (
        "epmapper",
        &[2],
        "a varying array's offset and count are fields of 32 bits, in NDR64 too",
    ),
    (
        "lsa",
        &[6, 27, 29, 30, 42, 43, 44, 51],
        "lengths are of 64 bits in NDR64, where the standard has an unsigned long",
    ),
    ("lsa", &[8], "the auditing mode has 32 bits, not 8"),
    (
        "lsa",
        &[46, 53],
        "the information class has 16 bits, not those of an enumeration",
    ),
    (
        "lsa",
        &[74],
        "the kind of a collision has 32 bits, not those of an enumeration",
    ),
    (
        "mgmt",
        &[0],
        "an interface's version is one number, not two",
    ),
    (
        "netlogon",
        &[2],
        "the information class has 16 bits, not those of an enumeration",
    ),
    (
        "netlogon",
        &[30],
        "an encrypted password is bytes, not characters",
    ),
    (
        "samr",
        &[9],
        "a time is one number of 64 bits, not two of 32",
    ),
    ("srvsvc", &[23], "a varying string's counts are fields"),
    ("winreg", &[13], "names are unique pointers, not references"),
];

/// Samba's code, which answers lines.
struct Oracle {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Oracle {
    fn start() -> Self {
        let mut child = python::samba_script("samba_ndr.py")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the oracle");
        let to = child.stdin.take().expect("its input");
        let from = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, to, from }
    }

    fn ask(&mut self, line: &str) -> String {
        writeln!(self.to, "{line}").expect("ask");
        let mut answer = String::new();
        self.from.read_line(&mut answer).expect("an answer");
        answer.trim_end().to_owned()
    }

    fn end(mut self) {
        drop(self.to);
        self.child.wait().expect("the oracle ends");
    }
}

fn hex(bytes: &[u8]) -> String {
    match bytes {
        [] => "-".to_owned(),
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.trim_matches('-').as_bytes();
    let byte = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("digits")
    };
    digits.chunks(2).map(byte).collect()
}

/// What Samba writes where an embedded reference pointer lies, whose value says nothing.
const REFERENCE: [u8; 4] = [0xae, 0xf1, 0xae, 0xf1];

/// Whether both are the same, the identifiers of reference and full pointers left out: Samba's
/// are of other numbers, which mean nothing.
fn same(ours: &[u8], theirs: &[u8]) -> bool {
    let mut swapped = REFERENCE;
    swapped.reverse();
    let full = |our: &[u8], their: &[u8]| match (our, their) {
        ([_, 0, 2, 0], [id, 0, 0, 0]) | ([0, 2, 0, _], [0, 0, 0, id]) => *id != 0,
        _ => false,
    };
    ours.len() == theirs.len()
        && ours.chunks(4).zip(theirs.chunks(4)).all(|(our, their)| {
            our == their || their == REFERENCE || their == swapped || full(our, their)
        })
}

/// What came of an operation's messages.
#[derive(Default)]
struct Tally {
    compared: usize,
    refused: usize,
    reason: String,
    wrong: Vec<String>,
}

fn compare(
    oracle: &mut Oracle,
    (samba, transcode): (&str, Transcode),
    (opnum, reply): (u16, bool),
    request: &Message,
    message: &Message,
    tally: &mut Tally,
) {
    let direction = if reply { "out" } else { "in" };
    let (request_hex, hex_message) = (hex(&request.bytes), hex(&message.bytes));
    let line = format!("{samba} {opnum} {direction} 00 {request_hex} {hex_message}");
    let answer = oracle.ask(&line);
    if answer == "unknown" {
        return;
    }
    if answer.starts_with("refused") {
        tally.refused += 1;
        tally.reason = format!("{answer}\n  {line}");
        return;
    }
    let theirs: Vec<Vec<u8>> = answer.split(' ').map(unhex).collect();
    let known = &request.known;
    // Samba computes some lengths itself, and two of them need not agree then.
    let recomputed = !same(&message.bytes, &theirs[0]);
    let read = again(
        transcode,
        opnum,
        reply,
        known,
        &theirs[0],
        (MODES[0], MODES[0]),
    );
    if recomputed && read.is_err() {
        return;
    }
    tally.compared += 1;
    for (mode, expected) in MODES.into_iter().zip(&theirs) {
        if mode == (Syntax::Ndr64, Order::Big) && samba != "echo" {
            // There is no such message (MS-RPCE 2.2.5), and Samba's enumerations that choose
            // arms have 16 bits where ours have 32.
            continue;
        }
        for (from, to, bytes, expected) in [
            (MODES[0], mode, &theirs[0], expected),
            (mode, MODES[0], expected, &theirs[0]),
        ] {
            match again(transcode, opnum, reply, known, bytes, (from, to)) {
                Ok(ours) if same(&ours, expected) => {}
                other => {
                    let other = other.map(|ours| hex(&ours));
                    tally.wrong.push(format!(
                        "{samba} {opnum} {direction} {from:?} to {to:?}\n  of     {}\n  \
                         theirs {}\n  ours   {other:?}",
                        hex(bytes),
                        hex(expected)
                    ));
                    return;
                }
            }
        }
    }
}

#[test]
fn random_messages_are_the_same_bytes_in_samba() {
    if !python::samba_available() {
        return;
    }
    let mut oracle = Oracle::start();
    let mut dice = Dice(1);
    let mut all: BTreeMap<String, Tally> = BTreeMap::new();
    for (samba, transcode) in INTERFACES {
        let differs = |opnum: u16| {
            let mut all = DIFFERENT.iter();
            all.any(|(name, opnums, _)| name == samba && opnums.contains(&opnum))
        };
        for opnum in (0..200).filter(|opnum| !differs(*opnum)) {
            for _ in 0..MESSAGES {
                let Some(request) = make(*transcode, opnum, false, &[], &mut dice) else {
                    continue;
                };
                let code = (*samba, *transcode);
                let key = format!("{samba} {opnum:3} in");
                let tally = all.entry(key).or_default();
                compare(&mut oracle, code, (opnum, false), &request, &request, tally);
                let reply = make(*transcode, opnum, true, &request.known, &mut dice);
                let tally = all.entry(format!("{samba} {opnum:3} out")).or_default();
                if let Some(reply) = reply {
                    compare(&mut oracle, code, (opnum, true), &request, &reply, tally);
                }
            }
        }
    }
    oracle.end();
    let mut wrong = 0;
    for (key, tally) in &all {
        println!(
            "{key}: {} compared, {} refused",
            tally.compared, tally.refused
        );
        if tally.compared == 0 && tally.refused > 0 {
            println!("  {}", tally.reason);
        }
        for one in tally.wrong.iter().take(1) {
            println!("  WRONG {} of {}: {one}", tally.wrong.len(), tally.compared);
        }
        wrong += usize::from(!tally.wrong.is_empty());
    }
    let compared: usize = all.values().map(|tally| tally.compared).sum();
    println!("{compared} messages of {} kinds compared", all.len());
    assert_eq!(wrong, 0);
    assert!(
        compared >= EXPECTED,
        "only {compared} messages were compared"
    );
    case::ran(
        "samba-ndr",
        "random messages are the same bytes in both syntaxes and both orders",
    );
}
