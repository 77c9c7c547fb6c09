//! The server against the specification's client, against ours, and against everything that is not quite a client.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::super::client::{Client, ClientConfig};
use super::super::keys::nt_hash;
use super::super::message::tests::{AUTHENTICATE, hex};
use super::super::target::encode;
use super::*;
use crate::context::Context;
use crate::secret::Password;

/// One account, whatever it is asked for, if the name is right.
struct One(&'static str, &'static str);

impl Accounts for One {
    fn find(&self, user: &str, domain: &str) -> Option<Account> {
        let (name, _) = crate::account::split(user, domain);
        let known = name.eq_ignore_ascii_case(self.0);
        known.then(|| Account {
            name: self.0.to_owned(),
            domain: "HERE".to_owned(),
            nt_hash: Some(nt_hash(self.1)),
            groups: vec!["operators".to_owned()],
        })
    }
}

const NOW: u64 = 133_500_000_000_000_000;

/// Random bytes that are not, and a time that stands.
const FIXED: Environment = Environment {
    random: |bytes| {
        for (to, from) in bytes
            .iter_mut()
            .zip(b"\x01\x23\x45\x67\x89\xab\xcd\xef".iter().cycle())
        {
            *to = *from;
        }
        Ok(())
    },
    filetime: || NOW,
};

fn config() -> ServerConfig {
    let mut config = ServerConfig::new("SERVER", "GROUP", Arc::new(One("User", "Password")));
    config.environment = FIXED;
    config
}

fn user(password: &str) -> ClientConfig {
    ClientConfig::new("User", "Domain", &Password::from(password))
}

type Established = (Box<dyn Context>, Box<dyn Context>);

/// Runs an exchange; `change` may change each message on its way.
fn exchange(
    client: ClientConfig,
    server: ServerConfig,
    change: impl Fn(u8, &mut Vec<u8>),
) -> Result<Established, Denied> {
    let mut client = Client::new(client);
    let mut server = Server::new(Arc::new(server));
    let mut token = sent(client.step(&[])?);
    change(1, &mut token);
    let mut token = sent(server.step(&token)?);
    change(2, &mut token);
    let Progress::Done { token, context } = client.step(&token)? else {
        panic!("the client is done");
    };
    let mut token = token.unwrap();
    change(3, &mut token);
    let progress = server.step(&token)?.settle(&mut server)?;
    let Progress::Done {
        token: None,
        context: at_server,
    } = progress
    else {
        panic!("the server is done");
    };
    Ok((context, at_server))
}

fn sent(progress: Progress) -> Vec<u8> {
    match progress {
        Progress::Continue(token) => token,
        other => panic!("a token, not {other:?}"),
    }
}

fn plain(client: ClientConfig, server: ServerConfig) -> Result<Established, Denied> {
    exchange(client, server, |_, _| ())
}

fn denial(result: Result<Established, Denied>) -> String {
    match result {
        Ok(_) => panic!("let in"),
        Err(denied) => denied.reason,
    }
}

/// The client of MS-NLMP section 4.2.4, which sends no MIC.
fn specified(config: ServerConfig, message: &[u8]) -> Result<Box<dyn Context>, Denied> {
    let mut server = Server::new(Arc::new(config));
    let flags = Flags(0xe288_8235);
    let challenge = sent(server.step(&Negotiate { flags }.emit())?);
    assert_eq!(challenge[24..32], hex("0123456789abcdef"));
    match server.step(message)?.settle(&mut server)? {
        Progress::Done { context, .. } => Ok(context),
        other => panic!("{other:?}"),
    }
}

fn of_1601() -> ServerConfig {
    ServerConfig {
        lifetime: None,
        ..config()
    }
}

#[test]
fn the_specifications_client_is_let_in() {
    let mut context = specified(of_1601(), &hex(AUTHENTICATE)).unwrap();
    assert_eq!(context.peer().to_string(), "HERE\\User");
    assert_eq!(context.peer().groups, ["operators"]);
    assert_eq!(context.session_key(), Some(&[0x55; 16][..]));
    let wrapped = hex("010000007fb38ec5c55d497600000000 54e50165bf1936dc996020c1811b0f06fb5f");
    let plaintext = hex("50006c00610069006e007400650078007400");
    assert_eq!(context.unwrap(&wrapped).unwrap(), (plaintext, true));
}

#[test]
fn without_a_mic_the_proof_alone_decides() {
    let wire = hex(AUTHENTICATE);
    // Names of the user and every byte of the response are proved; the rest is not, without a MIC.
    let proved = (0x48..0x5c).chain(0x84..0xd8);
    for at in proved {
        for bit in 0..8 {
            let mut changed = wire.clone();
            changed[at] ^= 1 << bit;
            let case_only = (0x54..0x5c).contains(&at) && bit == 5 && at % 2 == 0;
            let result = specified(of_1601(), &changed);
            assert_eq!(result.is_ok(), case_only, "byte {at:#x} bit {bit}");
        }
    }
    let strict = ServerConfig {
        require_mic: true,
        ..of_1601()
    };
    assert_eq!(
        specified(strict, &wire).err().unwrap().reason,
        "the client sent no MIC"
    );
    let old = ServerConfig {
        lifetime: Some(3600),
        ..config()
    };
    assert!(
        specified(old, &wire)
            .err()
            .unwrap()
            .reason
            .contains("too old")
    );
}

#[test]
fn the_right_password_and_no_other() {
    let (client, server) = plain(user("Password"), config()).unwrap();
    assert_eq!(client.session_key(), server.session_key());
    assert_eq!(server.peer().to_string(), "HERE\\User");
    assert_eq!(client.peer().name, "SERVER");
    assert_eq!(server.peer().mechanism, "ntlm");
    let wrong = denial(plain(user("password"), config()));
    let unknown = denial(plain(
        ClientConfig::new("nobody", "Domain", &Password::from("Password")),
        config(),
    ));
    assert_eq!(wrong, "unknown user or wrong password");
    assert_eq!(wrong, unknown);
}

#[test]
fn no_password_at_all_is_wrong_too() {
    struct Locked;
    impl Accounts for Locked {
        fn find(&self, _: &str, _: &str) -> Option<Account> {
            Some(Account::default())
        }
    }
    for password in ["", "Password"] {
        let config = ServerConfig {
            accounts: Arc::new(Locked),
            ..config()
        };
        assert_eq!(
            denial(plain(user(password), config)),
            "unknown user or wrong password"
        );
    }
}

#[test]
fn users_are_found_by_every_form_of_their_name() {
    for (name, domain) in [
        ("user", ""),
        ("USER", "x"),
        ("DOM\\User", ""),
        ("user@dom.test", ""),
    ] {
        let client = ClientConfig::new(name, domain, &Password::from("Password"));
        plain(client, config()).unwrap();
    }
}

#[test]
fn every_combination_of_flags_gives_a_working_session() {
    for bits in 0..32_u8 {
        let mut client = user("Password");
        client.sign = bits & 1 != 0;
        client.seal = bits & 2 != 0;
        client.key_exchange = bits & 4 != 0;
        client.key_128 = bits & 8 != 0;
        client.key_56 = bits & 16 != 0;
        let (mut at_client, mut at_server) = plain(client, config()).unwrap();
        assert_eq!(at_client.integrity(), bits & 3 != 0, "{bits:#x}");
        assert_eq!(at_server.integrity(), at_client.integrity());
        assert_eq!(at_server.confidentiality(), bits & 2 != 0);
        assert_eq!(at_client.session_key(), at_server.session_key());
        for round in 0..3_u8 {
            if at_client.integrity() {
                let mic = at_client.mic(&[round]).unwrap();
                at_server.verify_mic(&[round], &mic).unwrap();
            }
            if at_server.confidentiality() {
                let wrapped = at_server.wrap(b"text", true).unwrap();
                assert_eq!(at_client.unwrap(&wrapped).unwrap().0, b"text");
            }
        }
    }
}

/// The other half of `a_client_that_protects_nothing_exchanges_no_key`: clients of Samba offer it all the same.
#[test]
fn a_key_is_exchanged_only_where_messages_are_protected() {
    let flags = |asked: Flags| {
        let always = Flags::UNICODE | Flags::EXTENDED_SESSIONSECURITY | Flags::KEY_128;
        let granted = Server::new(Arc::new(config())).offer(asked | always);
        granted.unwrap().has(Flags::KEY_EXCH)
    };
    assert!(!flags(Flags::KEY_EXCH));
    assert!(flags(Flags::KEY_EXCH | Flags::SIGN));
    assert!(flags(Flags::KEY_EXCH | Flags::SEAL));
    assert!(!flags(Flags::SIGN));
}

#[test]
fn any_flipped_bit_of_the_last_message_is_noticed() {
    let len = std::cell::Cell::new(0);
    let counted = exchange(user("Password"), config(), |leg, token| {
        if leg == 3 {
            len.set(token.len());
        }
    });
    counted.unwrap();
    assert!(len.get() > 200);
    for bit in 0..len.get() * 8 {
        let result = exchange(user("Password"), config(), |leg, token| {
            if leg == 3 {
                token[bit / 8] ^= 1 << (bit % 8);
            }
        });
        assert!(result.is_err(), "bit {bit}");
    }
}

#[test]
fn any_flipped_bit_of_an_earlier_message_is_noticed() {
    for leg in [1, 2] {
        // Both are shorter than this.
        for bit in 0..200 * 8 {
            let changed = std::cell::Cell::new(false);
            let result = exchange(user("Password"), config(), |now, token| {
                if now == leg
                    && let Some(byte) = token.get_mut(bit / 8)
                {
                    *byte ^= 1 << (bit % 8);
                    changed.set(true);
                }
            });
            assert_eq!(result.is_err(), changed.get(), "leg {leg} bit {bit}");
        }
    }
}

#[test]
fn a_mic_that_is_taken_away_is_missed() {
    // Fields moved over the MIC's place: the message says that there is one, and there is none.
    let result = exchange(user("Password"), config(), |leg, token| {
        if leg == 3 {
            token[0x2c..0x34].copy_from_slice(&hex("0200020048000000"));
        }
    });
    assert!(denial(result).contains("MIC"));
}

#[test]
fn version_1_is_refused_whatever_it_holds() {
    for len in [1, 24, 47] {
        let message = Authenticate {
            flags: Flags(0xe288_8235),
            lm_response: &[1; 24],
            nt_response: &vec![1; len],
            domain: String::new(),
            user: "User".to_owned(),
            workstation: String::new(),
            session_key: &[0; 16],
        };
        let refused = specified(of_1601(), &message.emit()).err().unwrap();
        assert!(refused.reason.contains("not of NTLM version 2"));
    }
}

#[test]
fn an_lm_response_alone_is_refused() {
    let mut message = Authenticate {
        flags: Flags(0xe288_8235),
        lm_response: &[1; 24],
        nt_response: &[],
        domain: String::new(),
        user: "User".to_owned(),
        workstation: String::new(),
        session_key: &[0; 16],
    };
    specified(of_1601(), &message.emit()).err().unwrap();
    // Nor is somebody without a name nobody, if a response is there.
    message.user = String::new();
    let lenient = ServerConfig {
        anonymous: true,
        ..of_1601()
    };
    specified(lenient, &message.emit()).err().unwrap();
}

#[test]
fn nobody_is_let_in_only_where_that_is_allowed() {
    assert!(denial(plain(ClientConfig::anonymous(), config())).contains("anonymous"));
    let lenient = ServerConfig {
        anonymous: true,
        ..config()
    };
    let (mut client, mut server) = plain(ClientConfig::anonymous(), lenient).unwrap();
    assert!(server.peer().anonymous);
    let wrapped = client.wrap(b"text", true).unwrap();
    assert_eq!(server.unwrap(&wrapped).unwrap().0, b"text");
}

#[test]
fn weak_clients_are_refused_before_a_challenge() {
    for flags in [
        Flags::UNICODE,
        Flags::EXTENDED_SESSIONSECURITY,
        Flags::OEM | Flags::EXTENDED_SESSIONSECURITY,
        Flags::default(),
    ] {
        let mut server = Server::new(Arc::new(config()));
        server.step(&Negotiate { flags }.emit()).unwrap_err();
    }
    let mut client = user("Password");
    client.key_128 = false;
    let strict = ServerConfig {
        require_128: true,
        ..config()
    };
    denial(plain(client, strict));
}

/// MS-NLMP sections 2.2.1.2 and 3.2.5.1.1; every flag asked for, of which unknown ones, LM keys and datagrams are not granted.
#[test]
fn the_challenge_grants_what_is_served_and_says_who_we_are() {
    let mut config = config();
    config.dns_computer = "server.group.test".to_owned();
    let mut server = Server::new(Arc::new(config));
    let token = sent(
        server
            .step(
                &Negotiate {
                    flags: Flags(u32::MAX),
                }
                .emit(),
            )
            .unwrap(),
    );
    let challenge = Challenge::parse(&token).unwrap();
    assert_eq!(challenge.flags, Flags(0xe29a_8235));
    assert_eq!(challenge.target_name, "SERVER");
    let pairs = Pairs::parse(&challenge.target_info).unwrap();
    let ids: Vec<u16> = pairs.iter().map(|pair| pair.0.0).collect();
    assert_eq!(ids, [2, 1, 3, 7]);
    assert_eq!(
        pairs.value(AvId::DNS_COMPUTER_NAME),
        Some(&*encode("server.group.test"))
    );
    assert_eq!(pairs.timestamp(), Some(NOW));
}

#[test]
fn channels_are_compared_as_the_policy_says() {
    let channel = |name: &[u8]| ChannelBindings::new(name.to_vec());
    let ask = |bindings: Bindings, sent: Option<&[u8]>| {
        let client = ClientConfig {
            bindings: sent.map(channel),
            ..user("Password")
        };
        plain(
            client,
            ServerConfig {
                bindings,
                ..config()
            },
        )
        .is_ok()
    };
    let ours = channel(b"ours");
    for (policy, none, same, other) in [
        (Bindings::Off, true, true, true),
        (Bindings::Allow(ours.clone()), true, true, false),
        (Bindings::Require(ours), false, true, false),
    ] {
        assert_eq!(ask(policy.clone(), None), none, "{policy:?}");
        assert_eq!(ask(policy.clone(), Some(b"ours")), same, "{policy:?}");
        assert_eq!(ask(policy.clone(), Some(b"theirs")), other, "{policy:?}");
    }
}

#[test]
fn targets_are_compared_as_the_policy_says() {
    let ask = |targets: Targets, sent: Option<&str>| {
        let client = ClientConfig {
            target: sent.map(str::to_owned),
            ..user("Password")
        };
        plain(
            client,
            ServerConfig {
                targets,
                ..config()
            },
        )
        .is_ok()
    };
    let ours = vec!["host/Server".to_owned()];
    for (policy, none, same, other) in [
        (Targets::Any, true, true, true),
        (Targets::Allow(ours.clone()), true, true, false),
        (Targets::Require(ours), false, true, false),
    ] {
        assert_eq!(ask(policy.clone(), None), none, "{policy:?}");
        assert_eq!(ask(policy.clone(), Some("HOST/server")), same, "{policy:?}");
        assert_eq!(ask(policy.clone(), Some("host/other")), other, "{policy:?}");
    }
}

#[test]
fn steps_out_of_order_are_refused() {
    let mut server = Server::new(Arc::new(config()));
    server.answer(Box::new(())).unwrap_err();
    let mut server = Server::new(Arc::new(config()));
    server.step(&hex(AUTHENTICATE)).unwrap_err();
    let mut server = Server::new(Arc::new(of_1601()));
    let flags = Flags(0xe288_8235);
    server.step(&Negotiate { flags }.emit()).unwrap();
    let Progress::Need(query) = server.step(&hex(AUTHENTICATE)).unwrap() else {
        panic!("a question");
    };
    drop(query);
    server.answer(Box::new("not this")).unwrap_err();
    server.step(&hex(AUTHENTICATE)).unwrap_err();
}

#[test]
fn a_session_key_of_another_length_is_refused() {
    let mut wire = hex(AUTHENTICATE);
    wire[0x34..0x36].copy_from_slice(&[15, 0]);
    assert!(
        specified(of_1601(), &wire)
            .err()
            .unwrap()
            .reason
            .contains("16 bytes")
    );
}
