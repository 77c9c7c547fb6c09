//! What every mechanism is, whoever uses it: an exchange of tokens, and what the established context does to bytes.
//!
//! Read first: RFC 2743 sections 1.2.7 and 2.3 (per-message services of the GSS-API) for the shape. Nothing here
//! knows DCE PDUs, RPCSEC_GSS or HTTP; [`dce`](crate::dce) puts a [`Handshake`] and a [`Context`] behind the traits
//! that the DCE core defines, and others do the same for their protocol.

use std::ops::Range;
use std::time::Duration;

use farcall_dce::security::{Answer, Denied, Principal, ProtectError, Query};

/// One side of one exchange. Sans-io: what would block is asked for as a [`Query`].
pub trait Handshake: Send {
    /// Takes the peer's token; an initiator's first step has an empty one.
    ///
    /// # Errors
    /// [`Denied`]; the exchange is over then.
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied>;

    /// Takes the output of the [`Query`] that the last step asked for.
    ///
    /// # Errors
    /// [`Denied`]; the exchange is over then.
    fn answer(&mut self, answer: Answer) -> Result<Progress, Denied>;
}

/// What a step came to.
pub enum Progress {
    /// This token goes to the peer, and its answer to the next step.
    Continue(Vec<u8>),
    /// The context stands; a last token may still have to go to the peer.
    Done {
        /// What the peer must get, if anything.
        token: Option<Vec<u8>>,
        /// The established context.
        context: Box<dyn Context>,
    },
    /// Run this and give its output to [`Handshake::answer`].
    Need(Query),
}

impl Progress {
    /// Runs every query in place until there is none. For callers that may block, and for tests.
    ///
    /// # Errors
    /// As the exchange's.
    pub fn settle(self, handshake: &mut dyn Handshake) -> Result<Self, Denied> {
        let mut progress = self;
        while let Self::Need(query) = progress {
            progress = handshake.answer((query.0)())?;
        }
        Ok(progress)
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Continue(token) => write!(f, "Continue({} bytes)", token.len()),
            Self::Done { token, .. } => {
                let len = token.as_ref().map(Vec::len);
                write!(f, "Done({len:?} bytes)")
            }
            Self::Need(_) => f.write_str("Need(..)"),
        }
    }
}

/// An established security context: it protects messages, one sequence per direction.
///
/// The four operations on messages in place take a *token* of exactly [`token_len`](Self::token_len) bytes that travels beside
/// the message. [`mic`](Self::mic), [`wrap`](Self::wrap) and their twins are the same services for whole messages.
pub trait Context: Send {
    /// Who was proved to be at the other end. For an initiator this is the acceptor, as far as the mechanism proves one.
    fn peer(&self) -> &Principal;

    /// How long the context is good from now on; `None` where the mechanism sets no end.
    fn lifetime(&self) -> Option<Duration> {
        None
    }

    /// Whether [`sign`](Self::sign) works: integrity was negotiated.
    fn integrity(&self) -> bool;

    /// Whether [`seal`](Self::seal) works: confidentiality was negotiated.
    fn confidentiality(&self) -> bool;

    /// Whether a token proves all of a PDU even where its ends did not agree to sign headers. NTLM's does: its peers sign
    /// the whole PDU whatever was negotiated, and encrypt the stub alone.
    fn proves_whole(&self) -> bool {
        false
    }

    /// Bytes of the token that [`sign`](Self::sign) or, if `sealed`, [`seal`](Self::seal) makes.
    fn token_len(&self, sealed: bool) -> usize;

    /// Makes the token that proves `signed`.
    ///
    /// # Errors
    /// [`ProtectError`] if integrity was not negotiated, or the mechanism fails.
    fn sign(&mut self, signed: &[u8], token: &mut [u8]) -> Result<(), ProtectError>;

    /// Checks the token that proves `signed`.
    ///
    /// # Errors
    /// [`ProtectError::BadToken`] if it does not.
    fn verify(&mut self, signed: &[u8], token: &[u8]) -> Result<(), ProtectError>;

    /// Encrypts `message[body]` in place and makes the token, which proves all of `message` if `whole` and otherwise the body alone.
    ///
    /// # Errors
    /// [`ProtectError`] if confidentiality was not negotiated, or the mechanism fails.
    fn seal(
        &mut self,
        message: &mut [u8],
        body: Range<usize>,
        whole: bool,
        token: &mut [u8],
    ) -> Result<(), ProtectError>;

    /// Decrypts `message[body]` in place and checks the token.
    ///
    /// # Errors
    /// [`ProtectError::BadToken`] if it does not prove the message; nothing of it may be used then.
    fn unseal(
        &mut self,
        message: &mut [u8],
        body: Range<usize>,
        whole: bool,
        token: &[u8],
    ) -> Result<(), ProtectError>;

    /// A message integrity code over `message`, as RPCSEC_GSS and SPNEGO carry it.
    ///
    /// # Errors
    /// As [`sign`](Self::sign).
    fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>, ProtectError> {
        let mut token = vec![0; self.token_len(false)];
        self.sign(message, &mut token)?;
        Ok(token)
    }

    /// Checks a code that the peer made with [`mic`](Self::mic).
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), ProtectError> {
        self.verify(message, mic)
    }

    /// A message with its protection, as one piece; encrypted if `confidential`.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    fn wrap(&mut self, message: &[u8], confidential: bool) -> Result<Vec<u8>, ProtectError>;

    /// The message inside what the peer made with [`wrap`](Self::wrap), and whether it was encrypted.
    ///
    /// # Errors
    /// As [`unseal`](Self::unseal).
    fn unwrap(&mut self, message: &[u8]) -> Result<(Vec<u8>, bool), ProtectError>;

    /// The key both ends share, for protocols that use it themselves.
    fn session_key(&self) -> Option<&[u8]>;

    /// Called after SPNEGO has exchanged codes over its mechanism list (MS-SPNG section 3.3.5.1): NTLM begins its key
    /// streams anew and goes on counting; others do nothing.
    fn mechanisms_agreed(&mut self) {}
}
