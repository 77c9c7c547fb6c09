//! A mechanism for tests: two legs, codes that are checksums under a shared key, a cipher that is none. It proves
//! nothing; it is as picky as a real one.

use super::mechanism::{Acceptor, Answer, Broken, Context, Denied, Handshake, Principal, Progress};
use crate::seed::Seed;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// A server's side of the mechanism.
pub(super) struct Toy {
    pub(super) lifetime: Option<Duration>,
}

impl Acceptor for Toy {
    fn accept(&self) -> Box<dyn Handshake> {
        Box::new(Server {
            heard: 0,
            lifetime: self.lifetime,
        })
    }
}

struct Server {
    heard: usize,
    lifetime: Option<Duration>,
}

impl Handshake for Server {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        self.heard = self.heard.saturating_add(1);
        match (self.heard, token) {
            (1, b"hello") => Ok(Progress::Continue(b"who?".to_vec())),
            (2, b"alice") => Ok(Progress::Done {
                token: None,
                context: Box::new(Shared::new("alice", self.lifetime)),
            }),
            _ => Err(Denied::new("not a token")),
        }
    }

    fn answer(&mut self, _: Answer) -> Result<Progress, Denied> {
        Err(Denied::new("nothing was asked"))
    }
}

/// A client's side.
#[derive(Default)]
pub(super) struct Client {
    heard: usize,
}

impl Handshake for Client {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        self.heard = self.heard.saturating_add(1);
        match (self.heard, token) {
            (1, b"") => Ok(Progress::Continue(b"hello".to_vec())),
            (2, b"who?") => Ok(Progress::Done {
                token: Some(b"alice".to_vec()),
                context: Box::new(Shared::new("server", None)),
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
    lifetime: Option<Duration>,
}

impl Shared {
    fn new(peer: &str, lifetime: Option<Duration>) -> Self {
        Self {
            peer: Principal {
                name: peer.into(),
                mechanism: "toy",
            },
            lifetime,
        }
    }
}

fn code(message: &[u8]) -> [u8; 8] {
    let mut hasher = Seed::replay(7).build_hasher();
    hasher.write(message);
    hasher.finish().to_be_bytes()
}

impl Context for Shared {
    fn peer(&self) -> &Principal {
        &self.peer
    }

    fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        Ok(code(message).to_vec())
    }

    fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), Broken> {
        match code(message) == *mic {
            true => Ok(()),
            false => Err(Broken("the code is wrong")),
        }
    }

    fn wrap(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut wrapped: Vec<u8> = message.iter().map(|byte| byte ^ 0x5a).collect();
        wrapped.extend(code(message));
        Ok(wrapped)
    }

    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Vec<u8>, Broken> {
        let split = wrapped.split_last_chunk::<8>();
        let (hidden, mic) = split.ok_or(Broken("too short"))?;
        let message: Vec<u8> = hidden.iter().map(|byte| byte ^ 0x5a).collect();
        self.verify_mic(&message, mic)?;
        Ok(message)
    }
}
