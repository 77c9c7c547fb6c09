//! An established Kerberos context, protecting messages in place.
//!
//! Read first: RFC 4121 section 4.2, RFC 4757 section 7.3 (`GSS_WrapEx`), MS-KILE section 3.4.5.4. In the DCE style a wrap token has no room after
//! the message: everything that is not the message itself stands in the token beside it, rotated there. Its length depends on the
//! kind of key alone, so it is asked for once.

use std::ops::Range;
use std::time::Duration;

use farcall_dce::security::{Principal, ProtectError};
use libgssapi::context::{CtxFlags, SecurityContext};
use libgssapi::error::Error;
use libgssapi::util::{GssIov, GssIovFake, GssIovType};

use crate::context::Context;
use zeroize::Zeroizing;

/// Longest token that is taken, in bytes. AES makes 76.
const MAX_TOKEN: usize = 256;

/// Below these bits of a status stands what is no error (RFC 2744 section 3.9.1).
const SUPPLEMENTARY_BITS: u32 = 16;

/// Length of a wrap token with RC4 (RFC 4757 section 7.3), and of its twin for signatures (section 7.2).
const RC4_TOKENS: (usize, usize) = (45, 37);

/// A context of the library that stands.
pub(super) struct Established<C> {
    context: C,
    flags: CtxFlags,
    peer: Principal,
    dce: bool,
    sealed_len: usize,
    signed_len: usize,
    session_key: Option<Zeroizing<Vec<u8>>>,
}

impl<C: SecurityContext> Established<C> {
    pub(super) fn new(
        mut context: C,
        flags: CtxFlags,
        peer: Principal,
        dce: bool,
    ) -> Result<Self, Error> {
        let (sealed_len, wrapped_len) = (
            token_len(&mut context, true)?,
            token_len(&mut context, false)?,
        );
        // A signature's token is like that of a message wrapped in the clear, but for RC4, which puts a confounder there.
        let signed_len = match wrapped_len == RC4_TOKENS.0 {
            true => RC4_TOKENS.1,
            false => wrapped_len,
        };
        Ok(Self {
            context,
            flags,
            peer,
            dce,
            sealed_len,
            signed_len,
            session_key: None,
        })
    }

    /// The same with the key that both ends share, which the library does not tell.
    pub(super) fn with_session_key(mut self, key: Option<Zeroizing<Vec<u8>>>) -> Self {
        self.session_key = key;
        self
    }
}

/// What the library says a wrap token takes beside its message.
fn token_len<C: SecurityContext>(context: &mut C, sealed: bool) -> Result<usize, Error> {
    let mut sample = [0; 16];
    let data = GssIov::new(GssIovType::Data, &mut sample).as_fake();
    let mut parts = [data, GssIovFake::new(GssIovType::Header)];
    context.wrap_iov_length(sealed, &mut parts)?;
    let [_, header] = parts;
    Ok(header.len())
}

/// The parts of a message as the library wants them: what is only signed, what is encrypted, what is only signed, the token.
fn parts<'a>(
    message: &'a mut [u8],
    body: Range<usize>,
    whole: bool,
    token: &'a mut [u8],
) -> Result<Vec<GssIov<'a>>, ProtectError> {
    let wrong = || ProtectError::Mechanism("the body is not inside its message");
    let (before, rest) = message.split_at_mut_checked(body.start).ok_or_else(wrong)?;
    let len = body.end.checked_sub(body.start).ok_or_else(wrong)?;
    let (body, after) = rest.split_at_mut_checked(len).ok_or_else(wrong)?;
    let mut parts = Vec::with_capacity(4);
    if whole {
        parts.push(GssIov::new(GssIovType::SignOnly, before));
    }
    parts.push(GssIov::new(GssIovType::Data, body));
    if whole {
        parts.push(GssIov::new(GssIovType::SignOnly, after));
    }
    parts.push(GssIov::new(GssIovType::Header, token));
    Ok(parts)
}

const fn failed(_: Error) -> ProtectError {
    ProtectError::Mechanism("the Kerberos library cannot protect the message")
}

const fn refused(_: Error) -> ProtectError {
    ProtectError::BadToken
}

impl<C: SecurityContext + Send> Context for Established<C> {
    fn peer(&self) -> &Principal {
        &self.peer
    }

    fn lifetime(&self) -> Option<Duration> {
        self.context.lifetime().ok()
    }

    fn integrity(&self) -> bool {
        self.flags.contains(CtxFlags::GSS_C_INTEG_FLAG)
    }

    fn confidentiality(&self) -> bool {
        self.flags.contains(CtxFlags::GSS_C_CONF_FLAG)
    }

    fn token_len(&self, sealed: bool) -> usize {
        match sealed {
            true => self.sealed_len,
            false => self.signed_len,
        }
    }

    fn sign(&mut self, signed: &[u8], token: &mut [u8]) -> Result<(), ProtectError> {
        let made = self.context.get_mic(signed).map_err(failed)?;
        if made.len() != token.len() {
            return Err(ProtectError::Mechanism(
                "a signature of another length than was said",
            ));
        }
        token.copy_from_slice(&made);
        Ok(())
    }

    fn verify(&mut self, signed: &[u8], token: &[u8]) -> Result<(), ProtectError> {
        self.context.verify_mic(signed, token).map_err(refused)
    }

    fn seal(
        &mut self,
        message: &mut [u8],
        body: Range<usize>,
        whole: bool,
        token: &mut [u8],
    ) -> Result<(), ProtectError> {
        if !self.dce || token.len() != self.sealed_len {
            return Err(ProtectError::Mechanism(
                "sealing in place is for contexts in the DCE style",
            ));
        }
        let mut parts = parts(message, body, whole, token)?;
        self.context.wrap_iov(true, &mut parts).map_err(failed)
    }

    fn unseal(
        &mut self,
        message: &mut [u8],
        body: Range<usize>,
        whole: bool,
        token: &[u8],
    ) -> Result<(), ProtectError> {
        let mut place = [0; MAX_TOKEN];
        let copy = place.get_mut(..token.len()).filter(|_| self.dce);
        let copy = copy.ok_or(ProtectError::BadToken)?;
        copy.copy_from_slice(token);
        let mut parts = parts(message, body, whole, copy)?;
        self.context.unwrap_iov(&mut parts).map_err(refused)
    }

    /// Of whatever length the library makes it.
    fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>, ProtectError> {
        Ok(self.context.get_mic(message).map_err(failed)?.to_vec())
    }

    /// Of whatever length; that messages come in another order is no fault of theirs here.
    fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), ProtectError> {
        match self.context.verify_mic(message, mic) {
            Err(error) if error.major.bits() >> SUPPLEMENTARY_BITS != 0 => Err(refused(error)),
            _ => Ok(()),
        }
    }

    fn wrap(&mut self, message: &[u8], confidential: bool) -> Result<Vec<u8>, ProtectError> {
        let wrapped = self.context.wrap(confidential, message).map_err(failed)?;
        Ok(wrapped.to_vec())
    }

    /// The library does not say whether the message was encrypted; a token of RFC 4121 says it in its flags, and one that does not is
    /// taken as not encrypted.
    fn unwrap(&mut self, message: &[u8]) -> Result<(Vec<u8>, bool), ProtectError> {
        let sealed = matches!(message, [5, 4, flags, ..] if flags & 2 != 0);
        let body = self.context.unwrap(message).map_err(refused)?;
        Ok((body.to_vec(), sealed))
    }

    /// All bytes of the key: 32 with AES-256, else 16. Only of contexts in the DCE style, and of an acceptor's.
    fn session_key(&self) -> Option<&[u8]> {
        self.session_key.as_ref().map(|key| key.as_slice())
    }
}
