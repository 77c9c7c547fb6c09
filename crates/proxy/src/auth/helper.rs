//! Accounts of a domain, by Samba's `ntlm_auth`: a program that is asked in lines.
//!
//! Read first: the manual page of ntlm_auth, and the protocols of Squid's helpers (`squid-2.5-basic`, `squid-2.5-ntlmssp`, `gss-spnego`).
//! A process serves one exchange at a time, since it remembers the challenge; how many there are is bounded, and one that says
//! something else than it should, or nothing for too long, is ended. The program answers for who is right; which groups they are
//! in it does not say.

use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farcall_security::Password;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::listen::Helper as Settings;

/// How long an answer, or a free process, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest line that is read, in bytes: a token with many groups in it.
const MAX_LINE: u64 = 128 * 1024;

/// What a program is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Check a name and a password.
    Basic,
    /// NTLM, bare.
    Ntlm,
    /// Negotiate.
    Spnego,
}

impl Protocol {
    const fn word(self) -> &'static str {
        match self {
            Self::Basic => "squid-2.5-basic",
            Self::Ntlm => "squid-2.5-ntlmssp",
            Self::Spnego => "gss-spnego",
        }
    }
}

/// The processes of one program.
#[derive(Debug)]
pub struct Helper {
    settings: Settings,
    protocol: Protocol,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Process>>,
}

#[derive(Debug)]
struct Process {
    // Killed when this is dropped.
    _child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// What a program says to a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// This token goes to the client.
    Continue(Vec<u8>),
    /// This account is proved; a last token may go to the client.
    Proved(String, Option<Vec<u8>>),
    /// It is not proved, for this reason.
    Denied(String),
}

/// An exchange with a process of its own.
#[derive(Debug)]
pub struct Conversation {
    helper: Arc<Helper>,
    process: Option<Process>,
    begun: bool,
    _permit: OwnedSemaphorePermit,
}

impl Helper {
    /// A program that is started when it is needed.
    #[must_use]
    pub fn new(settings: &Settings, protocol: Protocol) -> Arc<Self> {
        Arc::new(Self {
            settings: settings.clone(),
            protocol,
            permits: Arc::new(Semaphore::new(settings.processes.max(1))),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Begins an exchange, when a process is free.
    ///
    /// # Errors
    /// What the system says, or `TimedOut`.
    pub async fn begin(self: &Arc<Self>) -> io::Result<Conversation> {
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(PATIENCE, permit).await?;
        let permit = permit.map_err(io::Error::other)?;
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let process = match idle {
            Some(process) => process,
            None => self.start()?,
        };
        Ok(Conversation {
            helper: Arc::clone(self),
            process: Some(process),
            begun: false,
            _permit: permit,
        })
    }

    fn start(&self) -> io::Result<Process> {
        let mut command = Command::new(&self.settings.program);
        match self.settings.arguments.as_slice() {
            [] => command.arg(format!("--helper-protocol={}", self.protocol.word())),
            arguments => command.args(arguments),
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (to, from) = pipes.ok_or_else(|| io::Error::other("the program has no pipes"))?;
        Ok(Process {
            _child: child,
            to,
            from: BufReader::new(from),
        })
    }

    /// Whether a password is the user's: the user as written.
    ///
    /// # Errors
    /// What the system says, or `InvalidData` for an answer that is none.
    pub async fn password(self: &Arc<Self>, user: &str, password: &Password) -> io::Result<bool> {
        let mut conversation = self.begin().await?;
        let line = format!("{} {}", escaped(user), escaped(password.expose()));
        let answer = conversation.ask(&line).await?;
        match answer.split(' ').next() {
            Some("OK") => Ok(true),
            Some("ERR") => Ok(false),
            _ => Err(conversation.nonsense()),
        }
    }
}

impl Conversation {
    /// Gives the program the client's token.
    ///
    /// # Errors
    /// What the system says, or `InvalidData` for an answer that is none; the exchange is over then.
    pub async fn step(&mut self, token: &[u8]) -> io::Result<Said> {
        let verb = if std::mem::replace(&mut self.begun, true) {
            "KK"
        } else {
            "YR"
        };
        let answer = self
            .ask(&format!("{verb} {}", STANDARD.encode(token)))
            .await?;
        match read_answer(&answer, self.helper.protocol) {
            Some(said) => Ok(said),
            None => Err(self.nonsense()),
        }
    }

    async fn ask(&mut self, line: &str) -> io::Result<String> {
        // Taken out meanwhile: whoever does not wait for the answer does not leave it to the next.
        let mut process = self
            .process
            .take()
            .ok_or_else(|| io::Error::other("the exchange is over"))?;
        let asking = async {
            process.to.write_all(format!("{line}\n").as_bytes()).await?;
            process.to.flush().await?;
            let mut answer = String::new();
            (&mut process.from)
                .take(MAX_LINE)
                .read_line(&mut answer)
                .await?;
            Ok::<_, io::Error>(answer)
        };
        let answer = tokio::time::timeout(PATIENCE, asking).await??;
        let Some(answer) = answer.strip_suffix('\n') else {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the program ended",
            ));
        };
        let answer = answer.trim_end_matches('\r').to_owned();
        self.process = Some(process);
        Ok(answer)
    }

    fn nonsense(&mut self) -> io::Error {
        self.process = None;
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the program's answer is none of its protocol",
        )
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            let mut idle = self
                .helper
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            idle.push(process);
        }
    }
}

fn read_answer(answer: &str, protocol: Protocol) -> Option<Said> {
    let (verb, rest) = answer.split_once(' ').unwrap_or((answer, ""));
    let token = |text: &str| STANDARD.decode(text).ok();
    match (verb, protocol) {
        ("TT", Protocol::Ntlm) => token(rest).map(Said::Continue),
        // Negotiate's answers have a place for what comes with a refusal, `*` for nothing.
        ("TT", _) => token(rest.split(' ').next()?).map(Said::Continue),
        ("AF", Protocol::Ntlm) => {
            Some(Said::Proved(rest.to_owned(), None)).filter(|_| !rest.is_empty())
        }
        ("AF", _) => {
            let (last, account) = rest.split_once(' ')?;
            let last = match last {
                "*" => None,
                last => Some(token(last)?),
            };
            (!account.is_empty()).then(|| Said::Proved(account.to_owned(), last))
        }
        ("NA" | "BH", _) => Some(Said::Denied(rest.to_owned())),
        _ => None,
    }
}

/// What the program takes apart at spaces and lines, in percent signs (RFC 1738 section 2.2).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02x}"),
        })
        .collect()
}

/// The account that an NTLM message of type 3 names, alone or somewhere inside Negotiate: `DOMAIN\name`. For counting only: it is not
/// proved yet.
#[must_use]
pub fn claimed(token: &[u8]) -> Option<String> {
    let at = token.windows(8).position(|window| window == b"NTLMSSP\0")?;
    let message = token.get(at..)?;
    if message.get(8..12) != Some(&[3, 0, 0, 0]) {
        return None;
    }
    let number = |at: usize| {
        message
            .get(at..at + 2)?
            .first_chunk()
            .copied()
            .map(u16::from_le_bytes)
    };
    // NTLMSSP_NEGOTIATE_UNICODE (MS-NLMP section 2.2.2.5); without it, texts are in the client's own bytes.
    let unicode = number(60)? & 1 != 0;
    let field = |at: usize| {
        let (len, start) = (usize::from(number(at)?), usize::from(number(at + 4)?));
        let bytes = message.get(start..start.checked_add(len)?)?;
        if !unicode {
            return Some(String::from_utf8_lossy(bytes).into_owned());
        }
        let units: Vec<u16> = bytes
            .as_chunks()
            .0
            .iter()
            .copied()
            .map(u16::from_le_bytes)
            .collect();
        Some(String::from_utf16_lossy(&units))
    };
    Some(format!("{}\\{}", field(28)?, field(36)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program in place of ntlm_auth that answers each line by a rule of its own.
    fn program(script: &str, protocol: Protocol, processes: usize) -> Arc<Helper> {
        let settings = Settings {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            processes,
        };
        Helper::new(&settings, protocol)
    }

    #[tokio::test]
    async fn a_password_is_asked_for_in_one_line_whatever_is_in_it() {
        let script = r#"while read -r line; do case "$line" in "DOM%5cbob p%20%25%0aq") echo OK;; *) echo "ERR no";; esac; done"#;
        let helper = program(script, Protocol::Basic, 1);
        let password = |text: &str| Password::new(text.to_owned());
        assert!(
            helper
                .password("DOM\\bob", &password("p %\nq"))
                .await
                .expect("answered")
        );
        assert!(
            !helper
                .password("DOM\\bob", &password("other"))
                .await
                .expect("answered")
        );
    }

    #[tokio::test]
    async fn an_exchange_has_a_process_for_itself() {
        // "a" is YQ==, "b" is Yg==.
        let script = r#"read -r a; [ "$a" = "YR YQ==" ] && echo "TT Yg=="; read -r b; [ "$b" = "KK YQ==" ] && printf 'AF DOM%sbob\n' '\'; read -r c; echo "NA NT_STATUS_WRONG_PASSWORD""#;
        let helper = program(script, Protocol::Ntlm, 1);
        let mut one = helper.begin().await.expect("begun");
        assert_eq!(
            one.step(b"a").await.expect("said"),
            Said::Continue(b"b".to_vec())
        );
        assert_eq!(
            one.step(b"a").await.expect("said"),
            Said::Proved("DOM\\bob".to_owned(), None)
        );
        drop(one);
        let mut two = helper.begin().await.expect("the same process");
        assert_eq!(
            two.step(b"a").await.expect("said"),
            Said::Denied("NT_STATUS_WRONG_PASSWORD".to_owned())
        );
        assert!(two.step(b"a").await.is_err(), "it has ended");
    }

    #[test]
    fn answers_of_negotiate_carry_a_last_token() {
        let read = |text| read_answer(text, Protocol::Spnego);
        assert_eq!(read("TT YQ== *"), Some(Said::Continue(b"a".to_vec())));
        assert_eq!(
            read("AF YQ== DOM\\bob"),
            Some(Said::Proved("DOM\\bob".to_owned(), Some(b"a".to_vec())))
        );
        assert_eq!(read("AF * bob"), Some(Said::Proved("bob".to_owned(), None)));
        assert_eq!(read("AF *"), None);
        assert_eq!(read("BH broken"), Some(Said::Denied("broken".to_owned())));
        assert_eq!(read("OK"), None);
        assert_eq!(read("TT !"), None);
    }

    /// By hand, after MS-NLMP section 2.2.1.3: type 3 with a domain at 64 and a user behind it; flags stand at 60.
    fn authenticate(flags: u8, domain: &[u8], user: &[u8]) -> Vec<u8> {
        let field = |len: usize, at: usize| {
            let (len, at) = (len as u8, at as u8);
            [len, 0, len, 0, at, 0, 0, 0]
        };
        let mut message = b"xxNTLMSSP\0\x03\0\0\0".to_vec();
        message.extend_from_slice(&[0; 16]);
        message.extend_from_slice(&field(domain.len(), 64));
        message.extend_from_slice(&field(user.len(), 64 + domain.len()));
        message.extend_from_slice(&[0; 16]);
        message.extend_from_slice(&[flags, 0, 0, 0]);
        message.extend_from_slice(domain);
        message.extend_from_slice(user);
        message
    }

    #[test]
    fn the_claimed_account_is_found_inside_other_bytes() {
        for message in [
            authenticate(1, b"D\0", b"b\0o\0b\0"),
            authenticate(2, b"D", b"bob"),
        ] {
            assert_eq!(claimed(&message).as_deref(), Some("D\\bob"));
            for len in 0..message.len() {
                assert_eq!(claimed(&message[..len]), None, "{len} bytes");
            }
        }
    }
}
