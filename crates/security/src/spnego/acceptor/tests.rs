//! Both sides of SPNEGO over NTLM and over a mechanism that only counts, and what an attacker between them can do.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

use std::sync::Arc;

use super::super::initiator::Initiator;
use super::super::token::{init, mechanism_list};
use super::*;
use crate::account::{Account, Accounts};
use crate::ntlm::{Client, ClientConfig, Server, ServerConfig, nt_hash};
use crate::secret::Password;

struct One;

impl Accounts for One {
    fn find(&self, user: &str, _domain: &str) -> Option<Account> {
        (user == "bob").then(|| Account {
            name: "bob".to_owned(),
            domain: String::new(),
            nt_hash: Some(nt_hash("secret")),
            groups: Vec::new(),
        })
    }
}

fn ntlm_server() -> Offer {
    let config = Arc::new(ServerConfig::new("SERVER", "GROUP", Arc::new(One)));
    Offer {
        mechanism: Mechanism::Ntlm,
        begin: Box::new(|| Ok(Box::new(Server::new(config)))),
    }
}

fn ntlm_client(password: &'static str) -> Offer {
    Offer {
        mechanism: Mechanism::Ntlm,
        begin: Box::new(move || {
            let config = ClientConfig::new("bob", "", &Password::from(password));
            Ok(Box::new(Client::new(config)))
        }),
    }
}

/// In place of Kerberos: one token each way, then an NTLM session whose key everybody knows.
struct Fake {
    client: bool,
    steps: usize,
}

impl Handshake for Fake {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        use crate::ntlm::{Flags, keys::End, session::Session};
        self.steps += 1;
        if self.client && self.steps == 1 {
            return Ok(Progress::Continue(b"\x6e fake request".to_vec()));
        }
        assert_eq!(token.first(), Some(if self.client { &0x6f } else { &0x6e }));
        let end = if self.client {
            End::Client
        } else {
            End::Server
        };
        let peer = farcall_dce::security::Principal {
            mechanism: "fake",
            ..Default::default()
        };
        let session = Session::new(
            Flags::SIGN | Flags::KEY_128,
            crate::Key::default(),
            end,
            peer,
        );
        Ok(Progress::Done {
            token: (!self.client).then(|| b"\x6f fake reply".to_vec()),
            context: Box::new(session),
        })
    }

    fn answer(&mut self, _: Answer) -> Result<Progress, Denied> {
        panic!("nothing is asked");
    }
}

fn fake(client: bool) -> Offer {
    Offer {
        mechanism: Mechanism::Kerberos,
        begin: Box::new(move || Ok(Box::new(Fake { client, steps: 0 }))),
    }
}

type Established = (Box<dyn Context>, Box<dyn Context>);

/// Runs both sides to the end; `change` may change what goes to the server (`true`) and to the client (`false`).
fn exchange(
    client: Vec<Offer>,
    server: Vec<Offer>,
    mut change: impl FnMut(bool, &mut Vec<u8>),
) -> Result<Established, Denied> {
    let mut client = Initiator::new(client);
    let mut server = Acceptor::new(server);
    let (mut at_client, mut at_server) = (None, None);
    let mut token = Vec::new();
    for leg in 0..8 {
        let to_server = leg % 2 == 1;
        let progress = match to_server {
            true => server.step(&token)?.settle(&mut server)?,
            false => client.step(&token)?.settle(&mut client)?,
        };
        let next = match progress {
            Progress::Continue(token) => Some(token),
            Progress::Done { token, context } if to_server => {
                at_server = Some(context);
                token
            }
            Progress::Done { token, context } => {
                at_client = Some(context);
                token
            }
            Progress::Need(_) => panic!("settled"),
        };
        let Some(next) = next else {
            break;
        };
        token = next;
        change(!to_server, &mut token);
    }
    match (at_client, at_server) {
        (Some(client), Some(server)) => Ok((client, server)),
        _ => Err(Denied::new("one side is not done")),
    }
}

fn works((mut client, mut server): Established) -> &'static str {
    for round in 0..3_u8 {
        let mic = client.mic(&[round]).unwrap();
        server.verify_mic(&[round], &mic).unwrap();
        let mic = server.mic(&[round]).unwrap();
        client.verify_mic(&[round], &mic).unwrap();
    }
    assert_eq!(client.peer().mechanism, server.peer().mechanism);
    server.peer().mechanism
}

fn legs(client: Vec<Offer>, server: Vec<Offer>) -> (Result<Established, Denied>, usize) {
    let mut count = 0;
    let result = exchange(client, server, |_, _| count += 1);
    (result, count)
}

#[test]
fn ntlm_takes_four_tokens_and_both_prove_the_list() {
    let mut mics = Vec::new();
    let result = exchange(
        vec![ntlm_client("secret")],
        vec![ntlm_server()],
        |_, token| {
            if let Ok(resp) = Resp::parse(token) {
                mics.push(resp.mic.is_some());
            }
        },
    );
    let established = result.unwrap();
    assert_eq!(established.1.peer().name, "bob");
    assert_eq!(works(established), "ntlm");
    assert_eq!(mics, [false, true, true]);
}

#[test]
fn a_wrong_password_is_refused() {
    let result = exchange(vec![ntlm_client("wrong")], vec![ntlm_server()], |_, _| ());
    assert_eq!(
        result.err().unwrap().reason,
        "unknown user or wrong password"
    );
}

#[test]
fn the_first_choice_needs_no_proof() {
    let (result, count) = legs(
        vec![fake(true), ntlm_client("secret")],
        vec![ntlm_server(), fake(false)],
    );
    assert_eq!((works(result.unwrap()), count), ("fake", 2));
}

#[test]
fn the_second_choice_is_taken_where_the_first_is_not_served_and_is_proved() {
    let mut asked = None;
    let result = exchange(
        vec![fake(true), ntlm_client("secret")],
        vec![ntlm_server()],
        |_, token| {
            if asked.is_none()
                && let Ok(resp) = Resp::parse(token)
            {
                asked = resp.state;
            }
        },
    );
    assert_eq!(works(result.unwrap()), "ntlm");
    assert_eq!(asked, Some(NegState::RequestMic));
}

#[test]
fn a_mechanism_that_the_server_proves_last_needs_one_round_more() {
    let (result, count) = legs(vec![ntlm_client("secret"), fake(true)], vec![fake(false)]);
    // Offer; request-mic; token; token with proof; proof; done.
    assert_eq!((works(result.unwrap()), count), ("fake", 6));
}

#[test]
fn nothing_is_taken_that_was_not_offered() {
    let (result, _) = legs(vec![ntlm_client("secret")], vec![fake(false)]);
    assert!(
        result
            .err()
            .unwrap()
            .reason
            .contains("none of the client's")
    );
    // A server that names another mechanism all the same.
    let result = exchange(
        vec![ntlm_client("secret")],
        vec![ntlm_server()],
        |to_server, token| {
            if !to_server {
                let resp = Resp::parse(token).unwrap();
                *token = Resp {
                    mechanism: Some(Oid::KERBEROS),
                    ..resp
                }
                .emit();
            }
        },
    );
    assert!(result.err().unwrap().reason.contains("not offered"));
}

#[test]
fn a_list_that_was_shortened_on_its_way_is_noticed() {
    // The attacker takes Kerberos out of the offer, so that NTLM is used.
    let offers = || vec![fake(true), ntlm_client("secret")];
    let servers = || vec![fake(false), ntlm_server()];
    let result = exchange(offers(), servers(), |to_server, token| {
        if to_server && Init::parse(token).is_ok() {
            *token = init(&mechanism_list(&[Oid::NTLM]), None);
        }
    });
    assert!(result.err().unwrap().reason.contains("list of mechanisms"));
    // And the proofs out of the answers too.
    let result = exchange(offers(), servers(), |to_server, token| {
        if to_server && Init::parse(token).is_ok() {
            *token = init(&mechanism_list(&[Oid::NTLM]), None);
        } else if let Ok(resp) = Resp::parse(token) {
            *token = Resp { mic: None, ..resp }.emit();
        }
    });
    assert!(result.err().unwrap().reason.contains("list of mechanisms"));
}

#[test]
fn any_flipped_bit_of_a_proof_is_noticed() {
    for to in [true, false] {
        for bit in 0..128 {
            let result = exchange(
                vec![ntlm_client("secret")],
                vec![ntlm_server()],
                |to_server, token| {
                    if to_server == to
                        && let Ok(resp) = Resp::parse(token)
                        && let Some(mic) = resp.mic
                    {
                        let mut mic = mic.to_vec();
                        mic[bit / 8] ^= 1 << (bit % 8);
                        *token = Resp {
                            mic: Some(&mic),
                            ..resp
                        }
                        .emit();
                    }
                },
            );
            assert!(result.is_err(), "bit {bit}");
        }
    }
}

#[test]
fn bare_tokens_of_a_mechanism_are_served() {
    let mut client = Client::new(ClientConfig::new("bob", "", &Password::from("secret")));
    let mut server = Acceptor::new(vec![fake(false), ntlm_server()]);
    let Progress::Continue(token) = client.step(&[]).unwrap() else {
        panic!("a token");
    };
    let Progress::Continue(token) = server.step(&token).unwrap() else {
        panic!("a challenge");
    };
    let Progress::Done { token, .. } = client.step(&token).unwrap() else {
        panic!("a response");
    };
    let progress = server.step(&token.unwrap()).unwrap();
    let progress = progress.settle(&mut server).unwrap();
    assert!(matches!(progress, Progress::Done { token: None, .. }));
    let mut server = Acceptor::new(vec![fake(false)]);
    let progress = server.step(b"\x6e bare").unwrap();
    assert!(matches!(progress, Progress::Done { token: Some(_), .. }));
    let mut server = Acceptor::new(vec![fake(false)]);
    server.step(b"NTLMSSP\0\x01\0\0\0").unwrap_err();
}

#[test]
fn the_number_of_kerberos_that_was_offered_is_the_one_that_is_answered() {
    for oid in [Oid::KERBEROS, Oid::KERBEROS_WINDOWS] {
        let mut server = Acceptor::new(vec![fake(false)]);
        let offer = init(&mechanism_list(&[oid, Oid::NTLM]), Some(b"\x6e"));
        let Progress::Done { token, .. } = server.step(&offer).unwrap() else {
            panic!("done");
        };
        let reply = token.unwrap();
        let resp = Resp::parse(&reply).unwrap();
        assert_eq!(resp.mechanism, Some(oid));
        assert_eq!(resp.state, Some(NegState::AcceptCompleted));
    }
}

#[test]
fn a_client_that_gives_up_or_says_nothing_is_refused() {
    for answer in [
        Resp {
            state: Some(NegState::Reject),
            ..Resp::default()
        },
        Resp::default(),
    ] {
        let mut server = Acceptor::new(vec![ntlm_server()]);
        let offer = init(&mechanism_list(&[Oid::NTLM]), None);
        assert!(matches!(
            server.step(&offer).unwrap(),
            Progress::Continue(_)
        ));
        server.step(&answer.emit()).unwrap_err();
        server.step(&answer.emit()).unwrap_err();
    }
    let mut server = Acceptor::new(vec![ntlm_server()]);
    server.step(&[]).unwrap_err();
    server.answer(Box::new(())).unwrap_err();
}
