//! Whatever calls come under `RPCSEC_GSS`, a server's contexts stay within their bounds, no number is taken twice, and
//! nothing is admitted that its key did not prove.
//!
//! An input is a row of calls, each behind its length in two bytes. The mechanism is one for this target alone: its
//! codes are the sums of what they prove, so that a fuzzer can find them.
#![no_main]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use farcall_onc::gss::message::{parse_integrity, parse_privacy, parse_token};
use farcall_onc::gss::{
    Acceptor, Answer, Broken, Context, Contexts, Credential, Denied, GssConfig, Handshake,
    InitResult, Principal, Progress, Verdict,
};
use farcall_onc::msg::parse_call;
use farcall_onc::seed::Seed;
use farcall_wire::xdr;
use libfuzzer_sys::fuzz_target;

struct Sums(Principal);

fn sum(message: &[u8]) -> Vec<u8> {
    vec![
        message
            .iter()
            .fold(0, |sum: u8, byte| sum.wrapping_add(*byte)),
    ]
}

impl Context for Sums {
    fn peer(&self) -> &Principal {
        &self.0
    }

    fn lifetime(&self) -> Option<Duration> {
        None
    }

    fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        Ok(sum(message))
    }

    fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), Broken> {
        match sum(message) == mic {
            true => Ok(()),
            false => Err(Broken("another sum")),
        }
    }

    fn wrap(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        Ok([message, &sum(message)].concat())
    }

    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Vec<u8>, Broken> {
        let (mic, message) = wrapped.split_last().ok_or(Broken("nothing"))?;
        self.verify_mic(message, &[*mic])?;
        Ok(message.to_vec())
    }
}

struct AtOnce;

impl Acceptor for AtOnce {
    fn accept(&self) -> Box<dyn Handshake> {
        Box::new(Self)
    }
}

impl Handshake for AtOnce {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        match token.first() {
            Some(b'c') => Ok(Progress::Continue(Vec::new())),
            Some(_) => Ok(Progress::Done {
                token: None,
                context: Box::new(Sums(Principal {
                    name: "fuzz".into(),
                    mechanism: "sums",
                })),
            }),
            None => Err(Denied::new("no token")),
        }
    }

    fn answer(&mut self, _: Answer) -> Result<Progress, Denied> {
        Err(Denied::new("nothing was asked"))
    }
}

fn parsed(bytes: &[u8]) {
    if let Ok(credential) = Credential::parse(bytes) {
        // Padding may have been anything.
        assert_eq!(
            Credential::parse(&xdr::to_vec(&credential).expect("our own")),
            Ok(credential)
        );
    }
    if let Ok(result) = InitResult::parse(bytes) {
        assert_eq!(
            InitResult::parse(&xdr::to_vec(&result).expect("our own")),
            Ok(result)
        );
    }
    let _ = (
        parse_integrity(bytes),
        parse_privacy(bytes),
        parse_token(bytes),
    );
}

fuzz_target!(|input: &[u8]| {
    parsed(input);
    let config = GssConfig {
        contexts: 4,
        establishing: 2,
        ..GssConfig::default()
    };
    let mut contexts = Contexts::new(config, Arc::new(AtOnce), Seed::replay(1));
    let now = Instant::now();
    let (mut rest, mut taken) = (input, BTreeSet::new());
    while let Some((len, more)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len)).min(more.len());
        let (message, more) = more.split_at(len);
        rest = more;
        let Ok((header, args)) = parse_call(message) else {
            continue;
        };
        match contexts.admit(now, message, &header, args) {
            Verdict::Establish(mut establishing, token) => {
                let progress = establishing.handshake().step(token);
                contexts.finish(now, establishing, progress);
            }
            Verdict::Call(arrived) => {
                let credential = Credential::parse(header.credential.body).expect("admitted");
                assert!(
                    taken.insert((credential.handle.to_vec(), arrived.seq)),
                    "taken twice"
                );
                let results = arrived
                    .held
                    .seal(arrived.seq, arrived.service, &arrived.arguments);
                results.expect("a sum");
            }
            Verdict::Destroyed(_) | Verdict::Denied(_) | Verdict::Garbage(_) | Verdict::Silent => {}
        }
        assert!(contexts.len() <= config.contexts + config.establishing);
    }
});
