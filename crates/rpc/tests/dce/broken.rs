//! A mechanism that fails while it protects a response.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use farcall::client::Credentials;
use farcall::{Client, Options, Server};
use farcall_dce::security::{
    Acceptor, Answer, AuthLevel, AuthType, Denied, Exchange, Initiator, Principal, ProtectError,
    Protection, Step,
};

use crate::calls::TCP;
use crate::echo::{self, ECHO, Echo};

/// A mechanism that proves nothing and whose tokens are sixteen zeros; it protects so many PDUs, then it fails.
#[derive(Clone, Copy)]
struct Brittle(usize);

const TYPE: AuthType = AuthType(0x44);

struct Context(Principal, usize);

impl Context {
    fn new(pdus: usize) -> Box<Self> {
        let principal = Principal {
            name: "alice".into(),
            domain: "TOY".into(),
            mechanism: "brittle",
            anonymous: false,
            groups: Vec::new(),
        };
        Box::new(Self(principal, pdus))
    }
}

impl Protection for Context {
    fn principal(&self) -> &Principal {
        &self.0
    }

    fn token_len(&self, _level: AuthLevel, _protected: usize) -> usize {
        16
    }

    fn protect(
        &mut self,
        _level: AuthLevel,
        _pdu: &mut [u8],
        _stub: Range<usize>,
        _sign_header: bool,
        token: &mut [u8],
    ) -> Result<(), ProtectError> {
        let left = self.1.checked_sub(1);
        self.1 = left.ok_or(ProtectError::Mechanism("the ticket is over"))?;
        token.fill(0);
        Ok(())
    }

    fn verify(
        &mut self,
        _level: AuthLevel,
        _pdu: &mut [u8],
        _stub: Range<usize>,
        _sign_header: bool,
        _token: &[u8],
    ) -> Result<(), ProtectError> {
        Ok(())
    }

    fn session_key(&self) -> Option<&[u8]> {
        None
    }
}

/// The server says one word, and both are done.
struct Talk {
    pdus: usize,
    asks: bool,
}

impl Exchange for Talk {
    fn step(&mut self, token: &[u8]) -> Result<Step, Denied> {
        if self.asks && token.is_empty() {
            return Ok(Step::Continue(b"hello".to_vec()));
        }
        Ok(Step::Done {
            token: (!self.asks).then(|| b"welcome".to_vec()),
            protection: Context::new(self.pdus),
        })
    }

    fn answer(&mut self, _answer: Answer) -> Result<Step, Denied> {
        Err(Denied::new("nothing was asked"))
    }
}

impl Acceptor for Brittle {
    fn accept(&self, auth_type: AuthType, _level: AuthLevel) -> Option<Box<dyn Exchange>> {
        let talk = Talk {
            pdus: self.0,
            asks: false,
        };
        (auth_type == TYPE).then(|| Box::new(talk) as Box<dyn Exchange>)
    }

    fn principal_name(&self, _auth_type: AuthType) -> Option<String> {
        None
    }
}

impl Initiator for Brittle {
    fn auth_type(&self) -> AuthType {
        TYPE
    }

    fn initiate(&self, _target: &str, _level: AuthLevel) -> Result<Box<dyn Exchange>, Denied> {
        Ok(Box::new(Talk {
            pdus: self.0,
            asks: true,
        }))
    }
}

#[tokio::test]
async fn a_response_that_cannot_be_protected_ends_the_connection_and_the_caller_hears_of_it() {
    let builder = Server::builder()
        .serve(echo::guarded(&Echo::default()))
        .authenticate_with(Arc::new(Brittle(2)))
        .listen(TCP);
    let server = builder.start().await.expect("starts");
    let options = Options {
        credentials: Some(Credentials::new(
            Arc::new(Brittle(usize::MAX)),
            AuthLevel::INTEGRITY,
        )),
        timeout: Duration::from_secs(3600),
        ..Options::default()
    };
    let endpoint = server.endpoints()[0].clone();
    let client = Client::connect_interface_with(&endpoint, &ECHO, options);
    let client = client.await.expect("connects");
    for number in 0..2 {
        assert_eq!(
            echo::add_one(&client, number).await.expect("added"),
            number + 1
        );
    }
    let error = tokio::time::timeout(Duration::from_secs(60), echo::add_one(&client, 2));
    let error = error.await.expect("told at once").expect_err("no answer");
    assert!(error.may_have_executed(), "{error}");
    // The next call begins anew.
    assert_eq!(echo::add_one(&client, 3).await.expect("added"), 4);
}
