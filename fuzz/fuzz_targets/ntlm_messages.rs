//! NTLM messages that parse say the same after they are written and read again; whatever a client sends, a server that does not know
//! its password lets nobody in.
#![no_main]

use std::sync::Arc;

use farcall_security::ntlm::message::{Authenticate, Challenge, Negotiate, mic, with_mic};
use farcall_security::ntlm::target::Pairs;
use farcall_security::ntlm::{Client, ClientConfig, Server, ServerConfig, nt_hash};
use farcall_security::{Account, Accounts, Handshake, Password, Progress};
use libfuzzer_sys::fuzz_target;

/// Everybody is there, with a password that no fuzzer finds.
struct Everybody;

impl Accounts for Everybody {
    fn find(&self, user: &str, domain: &str) -> Option<Account> {
        Some(Account {
            name: user.to_owned(),
            domain: domain.to_owned(),
            nt_hash: Some(nt_hash("e0b1a1d8f3")),
            groups: Vec::new(),
        })
    }
}

fn messages(bytes: &[u8]) {
    if let Ok(message) = Negotiate::parse(bytes) {
        assert_eq!(Negotiate::parse(&message.emit()), Ok(message));
    }
    if let Ok(message) = Challenge::parse(bytes)
        && message.target_info.len() + message.target_name.len() < 10_000
    {
        let again = Challenge::parse(&message.emit()).expect("our own");
        assert_eq!(again.flags, message.flags);
        assert_eq!(again.target_info, message.target_info);
        if let Ok(pairs) = Pairs::parse(&message.target_info) {
            assert!(pairs.iter().count() <= 64);
        }
    }
    if let Ok(message) = Authenticate::parse(bytes)
        && message.nt_response.len() < 4_000
    {
        let wire = message.emit();
        if wire.len() < 16 * 1024 {
            assert_eq!(Authenticate::parse(&wire).as_ref(), Ok(&message));
            assert_eq!(mic(&with_mic(&wire, &[7; 16])), Some([7; 16]));
        }
    }
}

fn exchange(bytes: &[u8]) {
    let config = ServerConfig::new("SERVER", "GROUP", Arc::new(Everybody));
    let mut server = Server::new(Arc::new(config));
    let first = Negotiate {
        flags: farcall_security::ntlm::Flags(u32::MAX),
    };
    let challenge = match server.step(&first.emit()) {
        Ok(Progress::Continue(challenge)) => challenge,
        other => panic!("{other:?}"),
    };
    if let Ok(progress) = server.step(bytes) {
        assert!(progress.settle(&mut server).is_err(), "let in");
    }
    // A server that sends anything gets an answer or a refusal.
    let mut client = Client::new(ClientConfig::new("u", "d", &Password::from("p")));
    let _ = client.step(&[]);
    let _ = client.step(bytes);
    let mut server_of_bytes =
        Server::new(Arc::new(ServerConfig::new("S", "G", Arc::new(Everybody))));
    let _ = server_of_bytes.step(bytes);
    assert!(Challenge::parse(&challenge).is_ok());
}

fuzz_target!(|bytes: &[u8]| {
    messages(bytes);
    exchange(bytes);
});
