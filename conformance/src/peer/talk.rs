//! A child process that is asked line by line: one side of a security mechanism, ours or another's.
//!
//! Each question is a line, and so is each answer: `ok WORDS…` or `error TEXT`. Bytes are hexadecimal, none are `-`.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::process::LIMIT;

/// A running side.
#[derive(Debug)]
pub struct Talk {
    name: String,
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stepped {
    /// What the other side must get.
    pub token: Option<Vec<u8>>,
    /// Who the peer is, once this side is done.
    pub done: Option<String>,
}

impl Talk {
    /// Starts a side.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let questions = child.stdin.take().ok_or_else(no_pipe)?;
        let lines = BufReader::new(child.stdout.take().ok_or_else(no_pipe)?).lines();
        let (sender, answers) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Whoever asked may be gone.
                let _ = sender.send(line);
            }
        });
        let name = name.to_owned();
        Ok(Self {
            name,
            child,
            questions,
            answers,
        })
    }

    /// Asks, and gives the words of the answer.
    ///
    /// # Errors
    /// What it answers to be wrong, or that it does not answer.
    pub fn ask(&mut self, question: &str) -> io::Result<Vec<String>> {
        writeln!(self.questions, "{question}")?;
        let fault = |what: &str| io::Error::other(format!("{}, {question:.20}: {what}", self.name));
        let answer = self.answers.recv_timeout(LIMIT);
        let answer = answer.map_err(|_| fault("no answer"))?;
        match answer.split_once(' ').unwrap_or((&answer, "")) {
            ("ok", words) => Ok(words.split_whitespace().map(str::to_owned).collect()),
            _ => Err(fault(&answer)),
        }
    }

    fn ask_bytes(&mut self, question: &str) -> io::Result<Vec<Vec<u8>>> {
        self.ask(question)?
            .iter()
            .map(|word| from_hex(word))
            .collect()
    }

    /// Gives a token, or none to begin.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn step(&mut self, token: &[u8]) -> io::Result<Stepped> {
        let words = self.ask(&format!("step {}", hex(token)))?;
        let token = from_hex(words.first().map_or("-", String::as_str))?;
        Ok(Stepped {
            token: (!token.is_empty()).then_some(token),
            done: words.get(1).cloned(),
        })
    }

    /// Signs a message.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn sign(&mut self, message: &[u8]) -> io::Result<Vec<u8>> {
        let mut words = self.ask_bytes(&format!("sign {}", hex(message)))?;
        words.pop().ok_or_else(no_pipe)
    }

    /// Checks a signature.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn verify(&mut self, message: &[u8], token: &[u8]) -> io::Result<()> {
        self.ask(&format!("verify {} {}", hex(message), hex(token)))?;
        Ok(())
    }

    /// Seals a body between two parts that are signed with it; gives the body and the token.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn seal(&mut self, parts: [&[u8]; 3]) -> io::Result<[Vec<u8>; 2]> {
        let words = self.ask_bytes(&format!("seal {}", parts.map(hex).join(" ")))?;
        words.try_into().map_err(|_| no_pipe())
    }

    /// Unseals what the other side has sealed; gives the body.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn unseal(&mut self, parts: [&[u8]; 3], token: &[u8]) -> io::Result<Vec<u8>> {
        let question = format!("unseal {} {}", parts.map(hex).join(" "), hex(token));
        let mut words = self.ask_bytes(&question)?;
        words.pop().ok_or_else(no_pipe)
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn no_pipe() -> io::Error {
    io::Error::other("nothing where something must be")
}

/// Exchanges tokens until both are done; who the server says that its client is.
///
/// # Errors
/// What either says to be wrong.
pub fn establish(client: &mut Talk, server: &mut Talk) -> io::Result<String> {
    let (mut client_done, mut peer) = (false, None);
    let mut token = Vec::new();
    for leg in 0..10 {
        let side: &mut Talk = if leg % 2 == 0 { client } else { server };
        let stepped = side.step(&token)?;
        match stepped.done {
            Some(_) if leg % 2 == 0 => client_done = true,
            Some(name) => peer = Some(name),
            None => {}
        }
        token = match stepped.token {
            Some(token) => token,
            None if client_done => break,
            None => Vec::new(),
        };
    }
    match (client_done, peer) {
        (true, Some(peer)) => Ok(peer),
        (client, server) => Err(io::Error::other(format!("not done: {client} {server:?}"))),
    }
}

/// Signs and, if `sealed`, seals both ways, some messages of different lengths.
///
/// # Panics
/// When a side refuses what the other has made.
pub fn protect(client: &mut Talk, server: &mut Talk, sealed: bool) {
    for round in 0..3_usize {
        for direction in 0..2 {
            let (from, to): (&mut Talk, &mut Talk) = match direction {
                0 => (&mut *client, &mut *server),
                _ => (&mut *server, &mut *client),
            };
            let message = vec![7; 40 + round];
            let token = from.sign(&message).expect("sign");
            to.verify(&message, &token).expect("verify");
            if sealed {
                let (before, body, after) = ([1; 24], vec![2; 16 * round + 16], [3; 8]);
                let [hidden, token] = from.seal([&before, &body, &after]).expect("seal");
                assert_ne!(hidden, body);
                let shown = to
                    .unseal([&before, &hidden, &after], &token)
                    .expect("unseal");
                assert_eq!(shown, body);
            }
        }
    }
}

/// Bytes as hexadecimal; none are `-`.
pub fn hex(bytes: &[u8]) -> String {
    match bytes {
        [] => "-".to_owned(),
        bytes => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// The bytes in hexadecimal digits; `-` are none.
///
/// # Errors
/// When they are none.
pub fn from_hex(text: &str) -> io::Result<Vec<u8>> {
    if text == "-" {
        return Ok(Vec::new());
    }
    let pair = |at| {
        text.get(at..at + 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(pair).collect();
    bytes.ok_or_else(|| io::Error::other(format!("{text:?} is not hexadecimal")))
}
