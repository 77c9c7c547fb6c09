//! Whatever a server answers under `RPCSEC_GSS`, a client makes a context only of what its mechanism proved, takes no
//! results that nobody proved, and uses no number twice.
//!
//! An input is how calls are protected, and a row of replies, each behind its length in two bytes. The mechanism is one
//! for this target alone: its codes are the sums of what they prove, so that a fuzzer can find them.
#![no_main]

use std::time::Duration;

use farcall_onc::auth::Flavor;
use farcall_onc::gss::client::Next;
use farcall_onc::gss::message::parse_integrity;
use farcall_onc::gss::{
    Answer, Broken, Context, Denied, Established, Handshake, InitResult, Initiation, Principal,
    Progress, ReplyFault, Service,
};
use farcall_onc::msg::{ReplyBody, Target, parse_call, parse_reply};
use libfuzzer_sys::fuzz_target;

/// The longest row of tokens that is gone through.
const ROUNDS: usize = 32;

const TARGET: Target = Target {
    program: 0x2000_0099,
    version: 1,
    procedure: 2,
};

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

/// A client's side that goes on while the server's tokens begin with `c`, and is done at any other.
struct Tokens;

impl Handshake for Tokens {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        match token.first() {
            None => Ok(Progress::Continue(b"first".to_vec())),
            Some(b'c') => Ok(Progress::Continue(token.to_vec())),
            Some(b'x') => Err(Denied::new("not a token")),
            Some(_) => Ok(Progress::Done {
                token: (token.len() > 1).then(|| b"last".to_vec()),
                context: Box::new(Sums(Principal {
                    name: "fuzz".into(),
                    mechanism: "sums",
                })),
            }),
        }
    }

    fn answer(&mut self, _: Answer) -> Result<Progress, Denied> {
        Err(Denied::new("nothing was asked"))
    }
}

/// The replies of an input, one after the other.
struct Replies<'a>(&'a [u8]);

impl<'a> Iterator for Replies<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, more) = self.0.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_be_bytes(*len)).min(more.len());
        let (reply, rest) = more.split_at(len);
        self.0 = rest;
        Some(reply)
    }
}

/// A context, if the replies make one.
fn establish(service: Service, replies: &mut Replies<'_>) -> Option<Established> {
    let mut initiation = Initiation::new(Box::new(Tokens), service);
    let (mut next, mut proved) = (Next::Step(Vec::new()), None);
    for xid in 0..ROUNDS {
        next = match next {
            Next::Step(token) => {
                let progress = initiation.handshake().step(&token).ok()?;
                let xid = u32::try_from(xid).expect("few");
                initiation.call(xid, TARGET, progress).ok()?
            }
            Next::Call(message) => {
                let (header, _) = parse_call(&message).expect("our own");
                assert_eq!(
                    (header.procedure, header.credential.flavor),
                    (0, Flavor::GSS)
                );
                let reply = replies.next()?;
                let (header, at) = parse_reply(reply).ok()?;
                let results = reply.get(at..).unwrap_or_default();
                if let Ok(result) = InitResult::parse(results)
                    && result.major == InitResult::COMPLETE
                {
                    let code = sum(&result.window.to_be_bytes());
                    proved =
                        Some(header.verifier.flavor == Flavor::GSS && header.verifier.body == code);
                }
                initiation.handle_reply(&header, results).ok()?
            }
            Next::Established(established) => {
                assert_eq!(proved, Some(true), "a window that nobody proved");
                assert!(established.window() > 0);
                return Some(*established);
            }
        };
    }
    None
}

/// One call, sent twice, and what is taken from its reply.
fn called(established: &mut Established, xid: u32, last: &mut u32, reply: &[u8]) {
    let mut seqs = Vec::new();
    for _ in 0..2 {
        let made = established.call(xid, TARGET, &[0, 0, 0, 7]);
        let (message, seq) = made.expect("few");
        assert!(seq > *last, "a number twice");
        *last = seq;
        seqs.push(seq);
        assert!(parse_call(&message).is_ok());
    }
    let Ok((header, at)) = parse_reply(reply) else {
        return;
    };
    let results = reply.get(at..).unwrap_or_default();
    let service = established.service();
    let proved = seqs.iter().any(|seq| {
        header.verifier.flavor == Flavor::GSS && header.verifier.body == sum(&seq.to_be_bytes())
    });
    match established.open(&seqs, &header, results) {
        Ok(opened) if header.body == ReplyBody::Success => {
            assert!(proved, "results that nobody proved");
            assert!(opened.len() <= results.len());
            if service == Service::INTEGRITY {
                let (protected, mic) = parse_integrity(results).expect("opened");
                assert_eq!(
                    (sum(protected), protected.get(4..)),
                    (mic.to_vec(), Some(&*opened))
                );
            }
        }
        Ok(opened) => assert!(opened.is_empty() && (proved || !header.body.is_accepted())),
        Err(ReplyFault::Context(_)) => assert!(!header.body.is_accepted()),
        Err(ReplyFault::Verifier) => assert!(!proved && header.body.is_accepted()),
        Err(ReplyFault::Results) => assert!(proved),
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((how, rest)) = input.split_first() else {
        return;
    };
    let service = match how % 3 {
        0 => Service::NONE,
        1 => Service::INTEGRITY,
        _ => Service::PRIVACY,
    };
    let mut replies = Replies(rest);
    let Some(mut established) = establish(service, &mut replies) else {
        return;
    };
    let mut last = 0;
    for (xid, reply) in (100..).zip(replies) {
        called(&mut established, xid, &mut last, reply);
    }
    assert!(established.destroy(1, TARGET).is_ok());
});
