//! Session security: signatures and encryption over one connection's messages.
//!
//! Read first: MS-NLMP sections 3.4.2 to 3.4.4.2 (extended session security, connection-oriented) and 3.4.6 to 3.4.9. A
//! message is encrypted before its signature is, from the same stream; the signature is over the plain text. Streams and
//! counters are per direction, so messages must be checked in the order in which they were protected.

use std::ops::Range;

use farcall_dce::security::{Principal, ProtectError};
use hmac::{Hmac, Mac};
use md5::Md5;
use rc4::{Rc4, StreamCipher};
use subtle::ConstantTimeEq;

use super::flags::Flags;
use super::keys::{End, keyed, rc4, seal_key, sign_key};
use crate::context::Context;
use crate::secret::Key;

/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 16;

/// An established NTLM context.
pub struct Session {
    flags: Flags,
    peer: Principal,
    session_key: Key,
    outgoing: Direction,
    incoming: Direction,
}

impl Session {
    /// A context with the agreed flags and key, at this end.
    #[must_use]
    pub fn new(flags: Flags, session_key: Key, end: End, peer: Principal) -> Self {
        let other = match end {
            End::Client => End::Server,
            End::Server => End::Client,
        };
        Self {
            flags,
            peer,
            outgoing: Direction::new(flags, &session_key, end),
            incoming: Direction::new(flags, &session_key, other),
            session_key,
        }
    }

    /// What was agreed.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        self.flags
    }

    fn needs(&self, flag: Flags, what: &'static str) -> Result<(), ProtectError> {
        match self.flags.any(flag) {
            true => Ok(()),
            false => Err(ProtectError::Mechanism(what)),
        }
    }
}

/// Keys, stream and counter of one direction.
struct Direction {
    signing: Hmac<Md5>,
    sealing_key: Key,
    stream: Rc4,
    sequence: u32,
    /// The signature's checksum is encrypted too: keys were exchanged.
    encrypts_checksum: bool,
}

impl Direction {
    fn new(flags: Flags, session_key: &Key, end: End) -> Self {
        let sealing_key = seal_key(flags, session_key, end);
        Self {
            signing: keyed(&sign_key(session_key, end)),
            stream: rc4(&sealing_key),
            sealing_key,
            sequence: 0,
            encrypts_checksum: flags.has(Flags::KEY_EXCH),
        }
    }

    /// The checksum over a message in the clear, with the next number.
    fn checksum(&self, signed: &[u8]) -> [u8; 8] {
        let mut hmac = self.signing.clone();
        hmac.update(&self.sequence.to_le_bytes());
        hmac.update(signed);
        let whole: [u8; 16] = hmac.finalize().into_bytes().into();
        let [a, b, c, d, e, f, g, h, ..] = whole;
        [a, b, c, d, e, f, g, h]
    }

    /// The signature around a checksum; the message has been encrypted by now, if it is.
    // req: nlmp-3.4.4.2
    fn signature(&mut self, mut checksum: [u8; 8]) -> Result<[u8; SIGNATURE_LEN], ProtectError> {
        if self.encrypts_checksum {
            self.stream.apply_keystream(&mut checksum);
        }
        let [a, b, c, d, e, f, g, h] = checksum;
        let [s0, s1, s2, s3] = self.sequence.to_le_bytes();
        let exhausted = ProtectError::Mechanism("all sequence numbers are used");
        self.sequence = self.sequence.checked_add(1).ok_or(exhausted)?;
        Ok([1, 0, 0, 0, a, b, c, d, e, f, g, h, s0, s1, s2, s3])
    }

    fn make(&mut self, checksum: [u8; 8], token: &mut [u8]) -> Result<(), ProtectError> {
        let place: &mut [u8; SIGNATURE_LEN] = token.try_into().map_err(|_| length())?;
        *place = self.signature(checksum)?;
        Ok(())
    }

    // req: nlmp-3.4.4-order
    fn check(&mut self, checksum: [u8; 8], token: &[u8]) -> Result<(), ProtectError> {
        let expected = self.signature(checksum)?;
        match bool::from(expected.as_slice().ct_eq(token)) {
            true => Ok(()),
            false => Err(ProtectError::BadToken),
        }
    }
}

/// The part that a signature covers.
fn covered<'a>(
    message: &'a [u8],
    body: &Range<usize>,
    whole: bool,
) -> Result<&'a [u8], ProtectError> {
    match whole {
        true => Ok(message),
        false => message.get(body.clone()).ok_or_else(length),
    }
}

fn length() -> ProtectError {
    ProtectError::Mechanism("a message or token of the wrong length")
}

impl Context for Session {
    fn peer(&self) -> &Principal {
        &self.peer
    }

    fn integrity(&self) -> bool {
        self.flags.any(Flags::SIGN | Flags::SEAL)
    }

    fn confidentiality(&self) -> bool {
        self.flags.has(Flags::SEAL)
    }

    fn proves_whole(&self) -> bool {
        true
    }

    fn token_len(&self, _sealed: bool) -> usize {
        SIGNATURE_LEN
    }

    fn sign(&mut self, signed: &[u8], token: &mut [u8]) -> Result<(), ProtectError> {
        self.needs(Flags::SIGN | Flags::SEAL, "signing was not negotiated")?;
        let checksum = self.outgoing.checksum(signed);
        self.outgoing.make(checksum, token)
    }

    fn verify(&mut self, signed: &[u8], token: &[u8]) -> Result<(), ProtectError> {
        self.needs(Flags::SIGN | Flags::SEAL, "signing was not negotiated")?;
        let checksum = self.incoming.checksum(signed);
        self.incoming.check(checksum, token)
    }

    fn seal(
        &mut self,
        message: &mut [u8],
        body: Range<usize>,
        whole: bool,
        token: &mut [u8],
    ) -> Result<(), ProtectError> {
        self.needs(Flags::SEAL, "sealing was not negotiated")?;
        let checksum = self.outgoing.checksum(covered(message, &body, whole)?);
        let body = message.get_mut(body).ok_or_else(length)?;
        self.outgoing.stream.apply_keystream(body);
        self.outgoing.make(checksum, token)
    }

    fn unseal(
        &mut self,
        message: &mut [u8],
        body: Range<usize>,
        whole: bool,
        token: &[u8],
    ) -> Result<(), ProtectError> {
        self.needs(Flags::SEAL, "sealing was not negotiated")?;
        let place = message.get_mut(body.clone()).ok_or_else(length)?;
        self.incoming.stream.apply_keystream(place);
        let checksum = self.incoming.checksum(covered(message, &body, whole)?);
        self.incoming.check(checksum, token)
    }

    /// The signature, then the message. It is encrypted whenever sealing was negotiated, since the peer has no other way
    /// to know.
    fn wrap(&mut self, message: &[u8], confidential: bool) -> Result<Vec<u8>, ProtectError> {
        let mut body = message.to_vec();
        let mut wrapped = vec![0; SIGNATURE_LEN];
        if confidential || self.confidentiality() {
            let all = 0..body.len();
            self.seal(&mut body, all, false, &mut wrapped)?;
        } else {
            self.sign(&body, &mut wrapped)?;
        }
        wrapped.append(&mut body);
        Ok(wrapped)
    }

    fn unwrap(&mut self, message: &[u8]) -> Result<(Vec<u8>, bool), ProtectError> {
        let (token, body) = message.split_at_checked(SIGNATURE_LEN).ok_or_else(length)?;
        let mut body = body.to_vec();
        let sealed = self.confidentiality();
        if sealed {
            let all = 0..body.len();
            self.unseal(&mut body, all, false, token)?;
        } else {
            self.verify(&body, token)?;
        }
        Ok((body, sealed))
    }

    fn session_key(&self) -> Option<&[u8]> {
        Some(self.session_key.as_bytes())
    }

    // req: spng-3.3.5.1
    fn mechanisms_agreed(&mut self) {
        for direction in [&mut self.outgoing, &mut self.incoming] {
            direction.stream = rc4(&direction.sealing_key);
        }
    }
}

#[cfg(test)]
mod tests;
