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

// req: rpce-3.3.1.5.2.2-levels
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use crate::ntlm::keys::End;
    use crate::ntlm::{Flags, session::Session};
    use crate::secret::Key;

    fn session(flags: Flags, end: End) -> Session {
        Session::new(flags, Key::new([9; 16]), end, Principal::default())
    }

    fn context(flags: Flags, end: End) -> Box<dyn Context> {
        Box::new(session(flags, end))
    }

    const ALL: Flags = Flags(Flags::SIGN.0 | Flags::SEAL.0 | Flags::KEY_128.0 | Flags::KEY_EXCH.0);

    fn ends(level: AuthLevel) -> [Box<dyn Protection>; 2] {
        [End::Client, End::Server].map(|end| protection(context(ALL, end), level).unwrap())
    }

    /// A mechanism that signs headers only where both ends agreed to it, as Kerberos does.
    struct Narrow(Session);

    impl Context for Narrow {
        fn peer(&self) -> &Principal {
            self.0.peer()
        }

        fn integrity(&self) -> bool {
            true
        }

        fn confidentiality(&self) -> bool {
            true
        }

        fn token_len(&self, sealed: bool) -> usize {
            self.0.token_len(sealed)
        }

        fn sign(&mut self, signed: &[u8], token: &mut [u8]) -> Result<(), ProtectError> {
            self.0.sign(signed, token)
        }

        fn verify(&mut self, signed: &[u8], token: &[u8]) -> Result<(), ProtectError> {
            self.0.verify(signed, token)
        }

        fn seal(
            &mut self,
            message: &mut [u8],
            body: Range<usize>,
            whole: bool,
            token: &mut [u8],
        ) -> Result<(), ProtectError> {
            self.0.seal(message, body, whole, token)
        }

        fn unseal(
            &mut self,
            message: &mut [u8],
            body: Range<usize>,
            whole: bool,
            token: &[u8],
        ) -> Result<(), ProtectError> {
            self.0.unseal(message, body, whole, token)
        }

        fn wrap(&mut self, message: &[u8], confidential: bool) -> Result<Vec<u8>, ProtectError> {
            self.0.wrap(message, confidential)
        }

        fn unwrap(&mut self, message: &[u8]) -> Result<(Vec<u8>, bool), ProtectError> {
            self.0.unwrap(message)
        }

        fn session_key(&self) -> Option<&[u8]> {
            None
        }
    }

    fn narrow_ends(level: AuthLevel) -> [Box<dyn Protection>; 2] {
        [End::Client, End::Server]
            .map(|end| protection(Box::new(Narrow(session(ALL, end))), level).unwrap())
    }

    #[test]
    fn each_level_protects_what_it_says() {
        for level in [AuthLevel::PKT, AuthLevel::INTEGRITY, AuthLevel::PRIVACY] {
            for sign_header in [false, true] {
                for changed in [None, Some(3), Some(30), Some(50)] {
                    let in_stub = changed.is_some_and(|at| (24..48).contains(&at));
                    let covered = changed.is_some() && (sign_header || in_stub);
                    let refused = is_refused(narrow_ends(level), level, sign_header, changed);
                    assert_eq!(refused, covered, "{level} {sign_header} {changed:?}");
                    // NTLM's peers sign all in any case.
                    let refused = is_refused(ends(level), level, sign_header, changed);
                    assert_eq!(refused, changed.is_some());
                }
            }
        }
    }

    /// Sends a PDU, changed on its way in one place or none, and tells whether it is refused.
    fn is_refused(
        ends: [Box<dyn Protection>; 2],
        level: AuthLevel,
        sign_header: bool,
        changed: Option<usize>,
    ) -> bool {
        // Header, stub with padding, security trailer.
        let pdu: Vec<u8> = (0..56).collect();
        let stub = 24..48;
        let [mut client, mut server] = ends;
        let mut sent = pdu.clone();
        let mut token = vec![0; client.token_len(level, stub.len())];
        assert_eq!(token.len(), 16);
        client
            .protect(level, &mut sent, stub.clone(), sign_header, &mut token)
            .unwrap();
        assert_eq!((&sent[..24], &sent[48..]), (&pdu[..24], &pdu[48..]));
        assert_eq!(sent[24..48] != pdu[24..48], level == AuthLevel::PRIVACY);
        if let Some(at) = changed {
            sent[at] ^= 1;
        }
        let checked = server.verify(level, &mut sent, stub, sign_header, &token);
        if changed.is_none() {
            assert_eq!(sent, pdu);
        }
        checked.is_err()
    }

    #[test]
    fn at_level_connect_nothing_is_protected_and_any_token_is_taken() {
        let [mut client, mut server] = ends(AuthLevel::CONNECT);
        let mut pdu = [7; 40];
        assert_eq!(client.token_len(AuthLevel::CONNECT, 16), 0);
        client
            .protect(AuthLevel::CONNECT, &mut pdu, 24..32, true, &mut [])
            .unwrap();
        for token in [&[][..], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            server
                .verify(AuthLevel::CONNECT, &mut pdu, 24..32, true, token)
                .unwrap();
        }
        assert_eq!(pdu, [7; 40]);
        server
            .verify(AuthLevel::CALL, &mut pdu, 24..32, true, &[])
            .unwrap_err();
    }

    #[test]
    fn a_context_that_is_too_weak_for_a_level_is_refused_at_once() {
        for (flags, integrity, privacy) in [
            (Flags::default(), false, false),
            (Flags::SIGN, true, false),
            (Flags::SIGN | Flags::SEAL, true, true),
        ] {
            let fit = |level| protection(context(flags, End::Server), level).is_ok();
            assert!(fit(AuthLevel::CONNECT));
            assert_eq!(fit(AuthLevel::PKT), integrity);
            assert_eq!(fit(AuthLevel::INTEGRITY), integrity);
            assert_eq!(fit(AuthLevel::PRIVACY), privacy);
        }
    }

    #[test]
    fn a_stub_outside_its_pdu_is_refused() {
        let [mut client, _] = narrow_ends(AuthLevel::INTEGRITY);
        client
            .protect(
                AuthLevel::INTEGRITY,
                &mut [0; 8],
                4..12,
                false,
                &mut [0; 16],
            )
            .unwrap_err();
        client
            .protect(AuthLevel::PRIVACY, &mut [0; 8], 4..12, true, &mut [0; 16])
            .unwrap_err();
    }
}
