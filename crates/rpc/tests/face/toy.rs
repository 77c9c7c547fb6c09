//! A mechanism of security contexts for tests: one leg each way, codes that are checksums, a cipher that is none. It proves
//! nothing; it is as picky as a real one.

use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use farcall_onc::gss::{
    Acceptor, Answer, Broken, Context, Denied, Handshake, Initiator, Principal, Progress,
};

/// Closed, it holds whoever comes.
#[derive(Default)]
pub(crate) struct Gate {
    closed: Mutex<bool>,
    waiting: AtomicUsize,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn set(&self, closed: bool) {
        *self.closed.lock().expect("fine") = closed;
        self.opened.notify_all();
    }

    /// How many it holds.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    fn pass(&self) {
        let mut closed = self.closed.lock().expect("fine");
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while *closed {
            closed = self.opened.wait(closed).expect("fine");
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A server's side: counts the contexts it makes, and may be slow to check the codes of the caller named `slow`.
#[derive(Clone, Default)]
pub(crate) struct Toy {
    pub(crate) made: Arc<AtomicUsize>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) faults: Faults,
}

/// The next of all operations but so many fails, once.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<AtomicUsize>);

impl Faults {
    /// The operation after `good` others fails.
    pub(crate) fn after(&self, good: usize) {
        self.0.store(good + 1, Ordering::SeqCst);
    }

    /// Nothing fails any more.
    pub(crate) fn none(&self) {
        self.0.store(0, Ordering::SeqCst);
    }

    /// Whether it has failed already.
    pub(crate) fn are_over(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }

    fn next(&self) -> Result<(), Broken> {
        let left = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        match left {
            Ok(1) => Err(Broken("the mechanism failed")),
            _ => Ok(()),
        }
    }
}

impl Toy {
    /// How many contexts were made.
    pub(crate) fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }
}

impl Acceptor for Toy {
    fn accept(&self) -> Box<dyn Handshake> {
        Box::new(Server(self.clone()))
    }
}

struct Server(Toy);

impl Handshake for Server {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        let name = String::from_utf8_lossy(token);
        if name.is_empty() {
            return Err(Denied::new("no name"));
        }
        self.0.made.fetch_add(1, Ordering::SeqCst);
        let gate = (name == "slow").then(|| Arc::clone(&self.0.gate));
        Ok(Progress::Done {
            token: Some(b"welcome".to_vec()),
            context: Box::new(Shared::new(&name, gate, self.0.faults.clone())),
        })
    }

    fn answer(&mut self, _: Answer) -> Result<Progress, Denied> {
        Err(Denied::new("nothing was asked"))
    }
}

/// A client's side: who it is.
pub(crate) struct Caller(pub(crate) &'static str);

impl Initiator for Caller {
    fn initiate(&self, _: &str) -> Result<Box<dyn Handshake>, Denied> {
        Ok(Box::new(Client(self.0)))
    }
}

struct Client(&'static str);

impl Handshake for Client {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        match token {
            b"" => Ok(Progress::Continue(self.0.as_bytes().to_vec())),
            b"welcome" => Ok(Progress::Done {
                token: None,
                context: Box::new(Shared::new("server", None, Faults::default())),
            }),
            _ => Err(Denied::new("not a token")),
        }
    }

    fn answer(&mut self, _: Answer) -> Result<Progress, Denied> {
        Err(Denied::new("nothing was asked"))
    }
}

struct Shared {
    peer: Principal,
    gate: Option<Arc<Gate>>,
    faults: Faults,
}

impl Shared {
    fn new(peer: &str, gate: Option<Arc<Gate>>, faults: Faults) -> Self {
        let peer = Principal {
            name: peer.into(),
            mechanism: "toy",
        };
        Self { peer, gate, faults }
    }
}

/// The code over a message.
pub(crate) fn code(message: &[u8]) -> Vec<u8> {
    let mut hasher = DefaultHasher::new();
    hasher.write(message);
    hasher.finish().to_be_bytes().to_vec()
}

impl Context for Shared {
    fn peer(&self) -> &Principal {
        &self.peer
    }

    fn lifetime(&self) -> Option<Duration> {
        None
    }

    fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        self.faults.next()?;
        Ok(code(message))
    }

    fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), Broken> {
        if let Some(gate) = &self.gate {
            gate.pass();
        }
        self.faults.next()?;
        match code(message) == mic {
            true => Ok(()),
            false => Err(Broken("the code is wrong")),
        }
    }

    fn wrap(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        self.faults.next()?;
        let mut wrapped: Vec<u8> = message.iter().map(|byte| byte ^ 0x5a).collect();
        wrapped.extend(code(message));
        Ok(wrapped)
    }

    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Vec<u8>, Broken> {
        self.faults.next()?;
        let split = wrapped.split_last_chunk::<8>();
        let (hidden, mic) = split.ok_or(Broken("too short"))?;
        let message: Vec<u8> = hidden.iter().map(|byte| byte ^ 0x5a).collect();
        match code(&message) == mic {
            true => Ok(message),
            false => Err(Broken("the code is wrong")),
        }
    }
}
