//! A mechanism for tests: three tokens, a checksum with a sequence number, and an exclusive-or for encryption.
//!
//! The client says `hello NAME`, the server `prove it`, the client `PASSWORD`; two legs more if asked for. It protects
//! nothing from anybody.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use crate::security::{
    Acceptor, Answer, AuthLevel, AuthType, Denied, Exchange, Initiator, Principal, ProtectError,
    Protection, Query, Step,
};
use std::ops::Range;

/// How the toy behaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Toy {
    /// The server must ask somebody whether the password is right.
    pub(crate) asks: bool,
    /// The server has a last token, so that the client must send its second with an alter_context.
    pub(crate) mutual: bool,
    /// The client gives the wrong password.
    pub(crate) wrong: bool,
    /// The length of signatures.
    pub(crate) token: usize,
}

pub(crate) const TOY: AuthType = AuthType(10);

struct Server(Toy, String);

impl Exchange for Server {
    fn step(&mut self, token: &[u8]) -> Result<Step, Denied> {
        if let Some(name) = token.strip_prefix(b"hello ") {
            if !self.1.is_empty() {
                return Err(Denied::package("hello twice"));
            }
            self.1 = String::from_utf8_lossy(name).into_owned();
            return Ok(Step::Continue(b"prove it".to_vec()));
        }
        if self.1.is_empty() {
            return Err(Denied::package("no hello"));
        }
        let token = token.to_vec();
        if self.0.asks {
            return Ok(Step::Need(Query(Box::new(move || {
                Box::new(token == b"PASSWORD") as Answer
            }))));
        }
        self.verdict(token == b"PASSWORD")
    }

    fn answer(&mut self, answer: Answer) -> Result<Step, Denied> {
        self.verdict(*answer.downcast::<bool>().unwrap())
    }
}

impl Server {
    fn verdict(&self, right: bool) -> Result<Step, Denied> {
        if !right {
            return Err(Denied::new("wrong password"));
        }
        Ok(Step::Done {
            token: self.0.mutual.then(|| b"I am the server".to_vec()),
            protection: Box::new(Guarding::new(&self.1, self.0.token)),
        })
    }
}

struct Client(Toy, u8);

impl Exchange for Client {
    fn step(&mut self, token: &[u8]) -> Result<Step, Denied> {
        self.1 += 1;
        let protection = || Box::new(Guarding::new("server", self.0.token));
        match (self.1, token) {
            (1, b"") => Ok(Step::Continue(b"hello alice".to_vec())),
            (2, b"prove it") => {
                let password = if self.0.wrong { "password" } else { "PASSWORD" };
                let password = password.as_bytes().to_vec();
                match self.0.mutual {
                    true => Ok(Step::Continue(password)),
                    false => Ok(Step::Done {
                        token: Some(password),
                        protection: protection(),
                    }),
                }
            }
            (3, b"I am the server") => Ok(Step::Done {
                token: None,
                protection: protection(),
            }),
            _ => Err(Denied::new("not the server")),
        }
    }

    fn answer(&mut self, _answer: Answer) -> Result<Step, Denied> {
        Err(Denied::new("nothing was asked"))
    }
}

impl Acceptor for Toy {
    fn accept(&self, auth_type: AuthType, _level: AuthLevel) -> Option<Box<dyn Exchange>> {
        (auth_type == TOY).then(|| Box::new(Server(*self, String::new())) as Box<dyn Exchange>)
    }

    fn principal_name(&self, _auth_type: AuthType) -> Option<String> {
        None
    }
}

impl Initiator for Toy {
    fn auth_type(&self) -> AuthType {
        TOY
    }

    fn initiate(&self, _target: &str, _level: AuthLevel) -> Result<Box<dyn Exchange>, Denied> {
        Ok(Box::new(Client(*self, 0)))
    }
}

/// Signs with a sum over what is covered and the sequence number of the direction.
pub(crate) struct Guarding {
    principal: Principal,
    token: usize,
    sent: u32,
    received: u32,
}

impl Guarding {
    pub(crate) fn new(name: &str, token: usize) -> Self {
        Self {
            principal: Principal {
                name: name.to_owned(),
                domain: "TOY".into(),
                mechanism: "toy",
                anonymous: name == "nobody",
                groups: Vec::new(),
            },
            token: token.max(16),
            sent: 0,
            received: 0,
        }
    }
}

fn sum(
    level: AuthLevel,
    pdu: &[u8],
    stub: Range<usize>,
    sign_header: bool,
    number: u32,
) -> [u8; 8] {
    let covered = if sign_header { pdu } else { &pdu[stub] };
    let mut sum = 0x1234_5678_u64 ^ u64::from(number) ^ (u64::from(level.0) << 32);
    for byte in covered {
        sum = sum.rotate_left(7) ^ u64::from(*byte);
        sum = sum.wrapping_mul(0x0100_0000_01b3);
    }
    sum.to_le_bytes()
}

impl Protection for Guarding {
    fn principal(&self) -> &Principal {
        &self.principal
    }

    fn token_len(&self, _level: AuthLevel, _protected: usize) -> usize {
        self.token
    }

    fn protect(
        &mut self,
        level: AuthLevel,
        pdu: &mut [u8],
        stub: Range<usize>,
        sign_header: bool,
        token: &mut [u8],
    ) -> Result<(), ProtectError> {
        assert_eq!(token.len(), self.token);
        assert!(stub.end <= pdu.len() && stub.len().is_multiple_of(16));
        token[..8].copy_from_slice(&sum(level, pdu, stub.clone(), sign_header, self.sent));
        self.sent += 1;
        if level == AuthLevel::PRIVACY {
            pdu[stub].iter_mut().for_each(|byte| *byte ^= 0xaa);
        }
        Ok(())
    }

    fn verify(
        &mut self,
        level: AuthLevel,
        pdu: &mut [u8],
        stub: Range<usize>,
        sign_header: bool,
        token: &[u8],
    ) -> Result<(), ProtectError> {
        if level == AuthLevel::PRIVACY {
            pdu[stub.clone()].iter_mut().for_each(|byte| *byte ^= 0xaa);
        }
        let expected = sum(level, pdu, stub, sign_header, self.received);
        self.received += 1;
        match token.get(..8) == Some(&expected) {
            true => Ok(()),
            false => Err(ProtectError::BadToken),
        }
    }

    fn session_key(&self) -> Option<&[u8]> {
        Some(b"toy key")
    }
}
