//! The audit log: who did what, whence, to what, and what was decided; one line of JSON for each event.
//!
//! A line holds nothing but ASCII without control characters: everything else is escaped, so that no name that a client chose
//! forges a line, a terminal's command or a reading order. Texts are cut at [`MAX_TEXT`] characters. Lines are written by a thread of
//! their own, each with one write to a file opened for appending, so that a file may be renamed under it and
//! [`Audit::reopen`] begins a new one. Where the disk is slower than the clients, the clients wait: what cannot be recorded does
//! not happen. No secret is in an event, and arguments of calls never are.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use serde::{Serialize, Serializer};
use serde_json::ser::{CharEscape, Formatter};

use crate::identity::Identity;

/// Longest text in an event, in characters; what is longer ends with `...`.
pub const MAX_TEXT: usize = 256;

/// Lines that may wait for the disk.
const WAITING: usize = 4096;

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The proxy began to serve.
    #[default]
    Start,
    /// It was told to end.
    Stop,
    /// Its configuration was read again.
    Reload,
    /// A client was authenticated, or was not.
    Login,
    /// An account or a source is refused for a while.
    Lockout,
    /// A client asked for a target.
    Connect,
    /// A client asked for an interface.
    Bind,
    /// A client called an operation.
    Call,
    /// A call has its answer (where all calls are recorded).
    Return,
    /// A virtual connection ended.
    Close,
    /// A client sent what no rule-abiding client sends, and was cut off.
    Violation,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was allowed.
    Allow,
    /// It was denied.
    Deny,
    /// It was allowed, since the policy only records; the rules deny it.
    WouldDeny,
}

impl Verdict {
    /// What a decision came to.
    #[must_use]
    pub const fn of(decision: &crate::policy::Decision) -> Self {
        match (decision.allow, decision.verdict) {
            (false, _) => Self::Deny,
            (true, true) => Self::Allow,
            (true, false) => Self::WouldDeny,
        }
    }
}

/// A text from outside, cut to a bearable length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a>(pub &'a str);

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text)
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.char_indices().nth(MAX_TEXT) {
            None => to.serialize_str(self.0),
            Some((at, _)) => {
                to.collect_str(&format_args!("{}...", self.0.get(..at).unwrap_or_default()))
            }
        }
    }
}

/// One event. What is not known is left out.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Event<'a> {
    /// What happened.
    pub event: Kind,
    /// The virtual connection, by the number that `status` shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<u64>,
    /// Through which listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<Text<'a>>,
    /// Whence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<std::net::IpAddr>,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Text<'a>>,
    /// In which domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Text<'a>>,
    /// How authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<&'static str>,
    /// To what, as the client wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Text<'a>>,
    /// To what, by the target's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Text<'a>>,
    /// Where that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<std::net::SocketAddr>,
    /// The interface by its UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<Shown<farcall_dce::syntax::Uuid>>,
    /// The interface by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface_name: Option<Text<'a>>,
    /// The operation's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opnum: Option<u16>,
    /// The operation's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Text<'a>>,
    /// The call's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<u32>,
    /// The level of authentication in the RPC itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Shown<farcall_dce::security::AuthLevel>>,
    /// What was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Verdict>,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Text<'a>>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<'a>>,
    /// A rule that only records and matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noted: Option<Text<'a>>,
    /// The status of a fault, or of an error that the client was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u32>,
    /// Bytes from the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_in: Option<u64>,
    /// Bytes to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_out: Option<u64>,
    /// How long it took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micros: Option<u64>,
}

impl<'a> Event<'a> {
    /// An event of which nothing else is known yet.
    #[must_use]
    pub fn new(event: Kind) -> Self {
        Self {
            event,
            ..Self::default()
        }
    }

    /// The same, done by somebody.
    #[must_use]
    pub fn by(mut self, who: &'a Identity) -> Self {
        let text = |text: &'a str| Some(Text(text)).filter(|text| !text.0.is_empty());
        self.user = text(&who.name);
        self.domain = text(&who.domain);
        self.authentication = Some(who.kind.word());
        self
    }
}

/// A value that is written as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<T>(pub T);

impl<T: std::fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// An event with its time.
#[derive(Serialize)]
struct Line<'a> {
    time: Shown<jiff::Timestamp>,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

/// JSON in ASCII.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        text: &str,
    ) -> io::Result<()> {
        for c in text.chars() {
            match c {
                ' '..='~' => to.write_all(&[u8::try_from(c).unwrap_or(b'?')])?,
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(to, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Quote => to.write_all(b"\\\""),
            CharEscape::ReverseSolidus => to.write_all(b"\\\\"),
            CharEscape::Solidus => to.write_all(b"/"),
            CharEscape::Backspace => to.write_all(b"\\b"),
            CharEscape::FormFeed => to.write_all(b"\\f"),
            CharEscape::LineFeed => to.write_all(b"\\n"),
            CharEscape::CarriageReturn => to.write_all(b"\\r"),
            CharEscape::Tab => to.write_all(b"\\t"),
            CharEscape::AsciiControl(byte) => write!(to, "\\u{byte:04x}"),
        }
    }
}

/// The line of an event, its line feed included.
#[must_use]
pub fn line(event: &Event<'_>, time: jiff::Timestamp) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let mut to = serde_json::Serializer::with_formatter(&mut bytes, Ascii);
    let line = Line {
        time: Shown(time),
        event,
    };
    // Nothing in an event can fail to be written to memory.
    let _ = line.serialize(&mut to);
    bytes.push(b'\n');
    bytes
}

/// What the writing thread is told.
enum Told {
    Line(Vec<u8>),
    /// Everything before is to be on its way to the disk.
    Flushed(SyncSender<()>),
}

/// The audit log.
#[derive(Debug)]
pub struct Audit {
    to: Option<SyncSender<Told>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    reopen: AtomicBool,
    failed: AtomicU64,
}

impl Audit {
    /// A log that appends to `file`, or writes to standard output.
    ///
    /// # Errors
    /// Those of opening the file.
    pub fn open(file: Option<&Path>) -> io::Result<Self> {
        let place = match file {
            Some(path) => Place::File(path.to_owned(), append(path)?),
            None => Place::Output,
        };
        let shared = Arc::new(Shared::default());
        let (to, from) = sync_channel(WAITING);
        let known = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let thread = thread.spawn(move || write_all(place, &from, &known))?;
        Ok(Self {
            to: Some(to),
            thread: Some(thread),
            shared,
        })
    }

    /// Writes an event down, as of now. Waits if the disk is behind.
    pub fn record(&self, event: &Event<'_>) {
        self.tell(Told::Line(line(event, jiff::Timestamp::now())));
    }

    /// The file is opened anew before the next line: it was renamed, to be kept.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
    }

    /// Waits until every line so far is written.
    pub fn flush(&self) {
        let (done, waits) = sync_channel(1);
        self.tell(Told::Flushed(done));
        let _ = waits.recv();
    }

    /// Lines that could not be written, since the disk is full or the file cannot be opened.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    fn tell(&self, told: Told) {
        if let Some(to) = &self.to {
            let _ = to.send(told);
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.to = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

enum Place {
    File(PathBuf, File),
    Output,
}

/// Opens a file for appending; one that is new is its owner's alone, and the group may read it.
fn append(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

fn write_all(mut place: Place, from: &Receiver<Told>, shared: &Shared) {
    while let Ok(told) = from.recv() {
        let line = match told {
            Told::Line(line) => line,
            Told::Flushed(done) => {
                let _ = done.send(());
                continue;
            }
        };
        if shared.reopen.swap(false, Ordering::AcqRel)
            && let Place::File(path, file) = &mut place
        {
            match append(path) {
                Ok(new) => *file = new,
                Err(error) => {
                    tracing::error!(file = %path.display(), %error, "the audit log cannot be opened anew")
                }
            }
        }
        let written = match &mut place {
            Place::File(_, file) => file.write_all(&line),
            Place::Output => io::stdout().lock().write_all(&line),
        };
        if let Err(error) = written {
            let failed = shared.failed.fetch_add(1, Ordering::Relaxed);
            // Once, and then once in a thousand: a full disk must not fill another one.
            if failed.is_multiple_of(1000) {
                tracing::error!(%error, "an audit line cannot be written");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::AuthKind;

    fn shown(event: &Event<'_>) -> String {
        let time = jiff::Timestamp::from_second(1_795_428_000).expect("a time");
        String::from_utf8(line(event, time)).expect("ASCII")
    }

    #[test]
    fn a_line_says_what_is_known() {
        let who = Identity::new(AuthKind::Ntlm, "alice".into(), "DOM".into());
        let event = Event {
            source: Some([192, 0, 2, 1].into()),
            target: Some("files".into()),
            opnum: Some(5),
            level: Some(Shown(farcall_dce::security::AuthLevel::PRIVACY)),
            decision: Some(Verdict::Deny),
            ..Event::new(Kind::Call)
        };
        assert_eq!(
            shown(&event.by(&who)),
            "{\"time\":\"2026-11-23T10:00:00Z\",\"event\":\"call\",\"source\":\"192.0.2.1\",\"user\":\"alice\",\"domain\":\"DOM\",\
             \"authentication\":\"ntlm\",\"target\":\"files\",\"opnum\":5,\"level\":\"privacy\",\"decision\":\"deny\"}\n"
        );
    }

    #[test]
    fn no_text_forges_a_line_or_a_terminals_command() {
        let evil = "a\r\n{\"event\":\"start\"}\u{1b}[2J\u{7f}\u{85}\u{202e}\u{2028}é😀\"\\\0";
        let text = shown(&Event {
            asked: Some(evil.into()),
            ..Event::default()
        });
        assert_eq!(text.matches('\n').count(), 1);
        assert!(
            text.trim_end()
                .bytes()
                .all(|byte| (b' '..=b'~').contains(&byte)),
            "{text}"
        );
        // And it is all there.
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["asked"], evil);
    }

    #[test]
    fn a_long_text_is_cut() {
        let long = "é".repeat(10_000);
        let text = shown(&Event {
            asked: Some(Text(&long)),
            ..Event::default()
        });
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let asked = read["asked"].as_str().expect("a text");
        assert_eq!(
            (asked.chars().count(), asked.ends_with("é...")),
            (MAX_TEXT + 3, true)
        );
    }

    #[test]
    fn a_file_that_was_renamed_is_begun_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, old) = (
            folder.path().join("a.jsonl"),
            folder.path().join("a.jsonl.1"),
        );
        let audit = Audit::open(Some(&file)).expect("a log");
        let lines = |path: &Path| {
            std::fs::read_to_string(path)
                .expect("a file")
                .lines()
                .count()
        };
        audit.record(&Event::new(Kind::Start));
        audit.record(&Event::new(Kind::Reload));
        audit.flush();
        std::fs::rename(&file, &old).expect("renamed");
        audit.record(&Event::new(Kind::Reload));
        audit.flush();
        assert_eq!(lines(&old), 3);
        audit.reopen();
        audit.record(&Event::new(Kind::Stop));
        drop(audit);
        assert_eq!((lines(&old), lines(&file)), (3, 1));
        // What is there is kept.
        let audit = Audit::open(Some(&file)).expect("a log");
        audit.record(&Event::new(Kind::Start));
        drop(audit);
        assert_eq!(lines(&file), 2);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let audit = Audit::open(Some(Path::new("/dev/full"))).expect("a log");
        audit.record(&Event::new(Kind::Start));
        audit.flush();
        assert_eq!(audit.failed(), 1);
        assert!(Audit::open(Some(Path::new("/no/such/folder/a"))).is_err());
    }
}
