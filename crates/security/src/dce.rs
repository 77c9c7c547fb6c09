//! Mechanisms behind the traits of the DCE core: an exchange at one level, and protection of PDUs in place.
//!
//! Read first: MS-RPCE section 3.3.1.5.2.2 (which levels sign, which seal, and over what). The level decides what a context must
//! be able to do, and one that cannot is refused when it is established, not at the first call.

use std::ops::Range;

use farcall_dce::security::{
    Answer, AuthLevel, Denied, Exchange, Principal, ProtectError, Protection, Step,
};

use crate::context::{Context, Handshake, Progress};

/// An exchange that must end in a context fit for a level.
pub struct AtLevel {
    handshake: Box<dyn Handshake>,
    level: AuthLevel,
    /// A server lets a context without integrity be, and none of its requests pass: what its peers expect.
    accepts: bool,
}

impl AtLevel {
    /// This handshake, for this level.
    #[must_use]
    pub fn new(handshake: Box<dyn Handshake>, level: AuthLevel) -> Self {
        Self {
            handshake,
            level,
            accepts: false,
        }
    }

    /// A server's handshake, for this level. A context that cannot sign although the level signs is not refused when it
    /// is established, as no server of Windows or Samba does: each of its requests is.
    #[must_use]
    pub fn accepting(handshake: Box<dyn Handshake>, level: AuthLevel) -> Self {
        Self {
            accepts: true,
            ..Self::new(handshake, level)
        }
    }

    fn step_of(&self, progress: Progress) -> Result<Step, Denied> {
        Ok(match progress {
            Progress::Continue(token) => Step::Continue(token),
            Progress::Need(query) => Step::Need(query),
            Progress::Done { token, context } => Step::Done {
                token,
                protection: match self.accepts && self.level != AuthLevel::PRIVACY {
                    true => Box::new(OfPdus(context)),
                    false => protection(context, self.level)?,
                },
            },
        })
    }
}

/// A context that protects PDUs, if it is fit for `level`.
///
/// # Errors
/// [`Denied`] if what was negotiated is too little.
pub fn protection(
    context: Box<dyn Context>,
    level: AuthLevel,
) -> Result<Box<dyn Protection>, Denied> {
    let fit = match level {
        AuthLevel::PRIVACY => context.confidentiality(),
        AuthLevel::PKT | AuthLevel::INTEGRITY => context.integrity(),
        _ => true,
    };
    match fit {
        true => Ok(Box::new(OfPdus(context))),
        false => Err(Denied::package(format!(
            "what was negotiated is too little for level {level}"
        ))),
    }
}

impl Exchange for AtLevel {
    fn step(&mut self, token: &[u8]) -> Result<Step, Denied> {
        let progress = self.handshake.step(token)?;
        self.step_of(progress)
    }

    fn answer(&mut self, answer: Answer) -> Result<Step, Denied> {
        let progress = self.handshake.answer(answer)?;
        self.step_of(progress)
    }
}

/// Protection of PDUs by a context.
struct OfPdus(Box<dyn Context>);

impl Protection for OfPdus {
    fn principal(&self) -> &Principal {
        self.0.peer()
    }

    fn token_len(&self, level: AuthLevel, _protected: usize) -> usize {
        match level {
            AuthLevel::PRIVACY => self.0.token_len(true),
            AuthLevel::PKT | AuthLevel::INTEGRITY => self.0.token_len(false),
            _ => 0,
        }
    }

    fn protect(
        &mut self,
        level: AuthLevel,
        pdu: &mut [u8],
        stub: Range<usize>,
        sign_header: bool,
        token: &mut [u8],
    ) -> Result<(), ProtectError> {
        let sign_header = sign_header || self.0.proves_whole();
        match level {
            AuthLevel::PRIVACY => self.0.seal(pdu, stub, sign_header, token),
            AuthLevel::PKT | AuthLevel::INTEGRITY => {
                self.0.sign(signed(pdu, stub, sign_header)?, token)
            }
            AuthLevel::CONNECT => Ok(()),
            level => Err(ProtectError::Level(level)),
        }
    }

    /// At level connect a token proves nothing and may be anything; some clients of NTLM send 16 bytes.
    fn verify(
        &mut self,
        level: AuthLevel,
        pdu: &mut [u8],
        stub: Range<usize>,
        sign_header: bool,
        token: &[u8],
    ) -> Result<(), ProtectError> {
        let sign_header = sign_header || self.0.proves_whole();
        match level {
            AuthLevel::PRIVACY => self.0.unseal(pdu, stub, sign_header, token),
            AuthLevel::PKT | AuthLevel::INTEGRITY => {
                self.0.verify(signed(pdu, stub, sign_header)?, token)
            }
            AuthLevel::CONNECT => Ok(()),
            level => Err(ProtectError::Level(level)),
        }
    }

    fn session_key(&self) -> Option<&[u8]> {
        self.0.session_key()
    }
}

fn signed(pdu: &[u8], stub: Range<usize>, sign_header: bool) -> Result<&[u8], ProtectError> {
    match sign_header {
        true => Ok(pdu),
        false => pdu
            .get(stub)
            .ok_or(ProtectError::Mechanism("the stub is not inside its PDU")),
    }
}
