//! SPNEGO tokens that parse say the same after they are written and read again; any row of tokens leaves both sides without a context.
//!
//! An input is a row of tokens, each behind its length in two bytes.
#![no_main]

use std::sync::Arc;

use farcall_security::ntlm::{Client, ClientConfig, Server, ServerConfig};
use farcall_security::spnego::token::{self, Init, Resp};
use farcall_security::spnego::{Acceptor, Initiator, Mechanism, Offer};
use farcall_security::{Account, Accounts, Handshake, Password, Progress};
use libfuzzer_sys::fuzz_target;

struct Nobody;

impl Accounts for Nobody {
    fn find(&self, _: &str, _: &str) -> Option<Account> {
        None
    }
}

fn tokens(mut input: &[u8]) -> Vec<&[u8]> {
    let mut tokens = Vec::new();
    while let Some((len, rest)) = input.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len)).min(rest.len());
        let (token, rest) = rest.split_at(len);
        tokens.push(token);
        input = rest;
    }
    tokens
}

fn parsed(bytes: &[u8]) {
    if let Ok(init) = Init::parse(bytes) {
        let again = token::init(init.mechanism_list, init.token);
        let again = Init::parse(&again).expect("our own");
        assert_eq!(
            (again.mechanism_list, again.token),
            (init.mechanism_list, init.token)
        );
        assert_eq!(token::mechanism_list(&init.mechanisms), init.mechanism_list);
    }
    if let Ok(resp) = Resp::parse(bytes) {
        assert_eq!(Resp::parse(&resp.emit()), Ok(resp));
    }
}

fn row(side: &mut dyn Handshake, tokens: &[&[u8]]) {
    for token in tokens {
        match side.step(token).and_then(|progress| progress.settle(side)) {
            Ok(Progress::Continue(_)) => {}
            Ok(other) => panic!("let in: {other:?}"),
            Err(_) => return,
        }
    }
}

fuzz_target!(|input: &[u8]| {
    parsed(input);
    let tokens = tokens(input);
    tokens.iter().for_each(|token| parsed(token));
    let config = Arc::new(ServerConfig::new("SERVER", "GROUP", Arc::new(Nobody)));
    let offer = Offer {
        mechanism: Mechanism::Ntlm,
        begin: Box::new(|| Ok(Box::new(Server::new(config)))),
    };
    row(&mut Acceptor::new(vec![offer]), &tokens);
    let offer = Offer {
        mechanism: Mechanism::Ntlm,
        begin: Box::new(|| {
            Ok(Box::new(Client::new(ClientConfig::new(
                "u",
                "d",
                &Password::from("p"),
            ))))
        }),
    };
    let mut client = Initiator::new(vec![offer]);
    let _ = client.step(&[]);
    row(&mut client, &tokens);
});
