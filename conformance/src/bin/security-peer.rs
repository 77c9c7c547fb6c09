//! One side of a security mechanism of ours, asked line by line (see `peer::talk`), in a process of its own, since Kerberos takes
//! its configuration from the environment.
//!
//! Arguments: `accept` or `initiate`, then `ntlm`, `krb5`, `spnego` (NTLM inside), `spnego-krb5` or `spnego-both`, then options as
//! `NAME=TEXT`.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use farcall_conformance::peer::talk::{from_hex, hex};
use farcall_security::kerberos::{Identity, Service};
use farcall_security::ntlm::{Bindings, ClientConfig, ServerConfig};
use farcall_security::spnego::Mechanism;
use farcall_security::{
    ChannelBindings, Context, Credentials, Handshake, Mechanisms, Password, Progress, Users,
};

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().unwrap_or_default();
    let mechanism = arguments.next().unwrap_or_default();
    let options: BTreeMap<String, String> = arguments
        .filter_map(|argument| {
            argument
                .split_once('=')
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
        })
        .collect();
    let handshake = match role.as_str() {
        "accept" => acceptor(&mechanism, &options)?,
        _ => initiator(&mechanism, &options)?,
    };
    let mut side = Side {
        handshake,
        context: None,
    };
    for line in io::stdin().lock().lines() {
        let line = line?;
        match side.answer(&line) {
            Ok(words) => println!("ok {words}"),
            Err(fault) => println!("error {fault}"),
        }
        io::stdout().flush()?;
    }
    Ok(())
}

fn option<'a>(options: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    options.get(name).map_or("", String::as_str)
}

fn channel(options: &BTreeMap<String, String>) -> Option<ChannelBindings> {
    let name = options.get("channel")?;
    Some(ChannelBindings::new(name.clone().into_bytes()))
}

fn acceptor(
    mechanism: &str,
    options: &BTreeMap<String, String>,
) -> Result<Box<dyn Handshake>, Fault> {
    let mut mechanisms = Mechanisms::new();
    if !mechanism.ends_with("krb5") {
        let mut users = Users::default();
        let password = Password::from(option(options, "password"));
        users.add(
            option(options, "user"),
            option(options, "domain"),
            &password,
            &[],
        )?;
        let mut config = ServerConfig::new("FARCALL", "GROUP", Arc::new(users));
        config.dns_computer = "farcall.group.test".to_owned();
        if let Some(channel) = channel(options) {
            config.bindings = Bindings::Require(channel);
        }
        mechanisms = mechanisms.with_ntlm(config);
    }
    if mechanism.contains("krb5") || mechanism.ends_with("both") {
        let keytab = options.get("keytab").map(Path::new);
        mechanisms = mechanisms.with_kerberos(Service::open(keytab, None)?);
    }
    let bare = match mechanism {
        "ntlm" => Some(Mechanism::Ntlm),
        "krb5" => Some(Mechanism::Kerberos),
        _ => None,
    };
    Ok(mechanisms.begin(bare)?)
}

fn initiator(
    mechanism: &str,
    options: &BTreeMap<String, String>,
) -> Result<Box<dyn Handshake>, Fault> {
    let password = Password::from(option(options, "password"));
    let (user, domain) = (option(options, "user"), option(options, "domain"));
    let off = |name| option(options, name) == "no";
    let mut ntlm = ClientConfig::new(user, domain, &password);
    ntlm.key_exchange = !off("exchange");
    ntlm.key_128 = !off("128");
    ntlm.key_56 = !off("56");
    let identity = Identity {
        principal: options.get("principal").cloned(),
        password: options.contains_key("password").then_some(password),
    };
    let mut credentials = match mechanism {
        "ntlm" => Credentials::of_ntlm(ntlm),
        "krb5" => Credentials::kerberos(identity),
        "spnego" => Credentials::spnego().or_ntlm(ntlm),
        "spnego-krb5" => Credentials::spnego().or_kerberos(identity),
        _ => Credentials::spnego().or_kerberos(identity).or_ntlm(ntlm),
    };
    if let Some(channel) = channel(options) {
        credentials = credentials.with_bindings(channel);
    }
    let target = option(options, "target");
    Ok(credentials.begin(target, !off("seal"), !off("dce"))?)
}

struct Side {
    handshake: Box<dyn Handshake>,
    context: Option<Box<dyn Context>>,
}

impl Side {
    fn answer(&mut self, line: &str) -> Result<String, Fault> {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let bytes: Vec<Vec<u8>> = words.map(from_hex).collect::<Result<_, _>>()?;
        let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        if let ("step", [token]) = (verb, &*bytes) {
            return self.step(token);
        }
        let context = self.context.as_mut().ok_or("no context yet")?;
        match (verb, &*bytes) {
            ("sign", [message]) => Ok(hex(&context.mic(message)?)),
            ("verify", [message, token]) => {
                context.verify_mic(message, token)?;
                Ok(String::new())
            }
            ("seal", [before, body, after]) => {
                let mut message = [*before, body, after].concat();
                let place = before.len()..before.len() + body.len();
                let mut token = vec![0; context.token_len(true)];
                context.seal(&mut message, place.clone(), true, &mut token)?;
                Ok(format!("{} {}", hex(&message[place]), hex(&token)))
            }
            ("unseal", [before, body, after, token]) => {
                let mut message = [*before, body, after].concat();
                let place = before.len()..before.len() + body.len();
                context.unseal(&mut message, place.clone(), true, token)?;
                Ok(hex(&message[place]))
            }
            ("wrap", [message]) => Ok(hex(&context.wrap(message, true)?)),
            ("unwrap", [message]) => Ok(hex(&context.unwrap(message)?.0)),
            ("key", []) => Ok(hex(context.session_key().unwrap_or_default())),
            _ => Err(format!("no question {verb:?}").into()),
        }
    }

    fn step(&mut self, token: &[u8]) -> Result<String, Fault> {
        let progress = self.handshake.step(token)?.settle(&mut *self.handshake)?;
        Ok(match progress {
            Progress::Continue(token) => hex(&token),
            Progress::Done { token, context } => {
                let peer = context.peer();
                let shown = format!("{}:{peer}", peer.mechanism);
                self.context = Some(context);
                format!("{} {shown}", hex(&token.unwrap_or_default()))
            }
            Progress::Need(_) => return Err("a question that was not answered".into()),
        })
    }
}
