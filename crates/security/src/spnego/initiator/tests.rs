//! What a client refuses of a server; the usual ways stand in the tests of the acceptor.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::super::token::Init;
use super::*;
use crate::ntlm::{Client, ClientConfig};
use crate::secret::Password;

fn client() -> Initiator {
    let begin = || {
        let config = ClientConfig::new("bob", "", &Password::from("secret"));
        let client: Box<dyn Handshake> = Box::new(Client::new(config));
        Ok(client)
    };
    Initiator::new(vec![Offer {
        mechanism: Mechanism::Ntlm,
        begin: Box::new(begin),
    }])
}

fn started() -> Initiator {
    let mut client = client();
    let Progress::Continue(offer) = client.step(&[]).unwrap() else {
        panic!("an offer");
    };
    let offer = Init::parse(&offer).unwrap();
    assert_eq!(offer.mechanisms, [Oid::NTLM]);
    assert!(offer.token.unwrap().starts_with(b"NTLMSSP\0"));
    client
}

#[test]
fn a_server_that_refuses_stops_or_hurries_is_refused() {
    for resp in [
        Resp {
            state: Some(NegState::Reject),
            ..Resp::default()
        },
        Resp {
            state: Some(NegState::AcceptCompleted),
            ..Resp::default()
        },
        Resp {
            state: Some(NegState::AcceptIncomplete),
            ..Resp::default()
        },
        Resp {
            mechanism: Some(Oid::SPNEGO),
            ..Resp::default()
        },
    ] {
        let mut client = started();
        client.step(&resp.emit()).unwrap_err();
        client.step(&resp.emit()).unwrap_err();
    }
}

#[test]
fn what_is_no_token_is_refused() {
    started().step(b"").unwrap_err();
    started().step(b"NTLMSSP\0").unwrap_err();
    started().answer(Box::new(())).unwrap_err();
    Initiator::new(Vec::new()).step(&[]).unwrap_err();
}
