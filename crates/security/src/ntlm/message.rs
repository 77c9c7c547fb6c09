//! The three messages of NTLM as bytes: parsed without trust, written plainly.
//!
//! Read first: MS-NLMP sections 2.2.1.1 to 2.2.1.3. A field is a length, a second length that nobody reads, and an
//! offset from the start of the message; fields may overlap and stand in any order. Nothing here proves anything.

use farcall_dce::security::Denied;

use super::flags::Flags;
use super::target::{decode, encode};

/// What every message begins with.
pub const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// Longest message that is looked at, in bytes. Real ones stay far below 2,000.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// Where the MIC stands in the last message.
const MIC: std::ops::Range<usize> = 72..88;

/// What stands in the version fields: NTLM revision 15 of nothing in particular.
const VERSION: [u8; 8] = [10, 0, 0, 0, 0, 0, 0, 15];

/// Whether these bytes begin as a message of NTLM does.
#[must_use]
pub fn is_ntlm(token: &[u8]) -> bool {
    token.starts_with(SIGNATURE)
}

/// The first message, `NEGOTIATE_MESSAGE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiate {
    /// What the client can and wants.
    pub flags: Flags,
}

impl Negotiate {
    /// Reads one. The names of domain and workstation are not read: nothing may depend on them.
    ///
    /// # Errors
    /// [`Denied`] if it is none.
    pub fn parse(message: &[u8]) -> Result<Self, Denied> {
        let body = body(message, 1)?;
        let flags = Flags(u32_at(body, 0)?);
        Ok(Self { flags })
    }

    /// The bytes, with empty names.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut message = head(1);
        message.extend_from_slice(&self.flags.0.to_le_bytes());
        for _ in 0..2 {
            message.extend_from_slice(&field(0, 40));
        }
        message.extend_from_slice(&version(self.flags));
        message
    }
}

/// The second message, `CHALLENGE_MESSAGE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// What the server agrees to.
    pub flags: Flags,
    /// Its nonce.
    pub server_challenge: [u8; 8],
    /// The name of its domain, or its own.
    pub target_name: String,
    /// Its attribute pairs.
    pub target_info: Vec<u8>,
}

impl Challenge {
    /// Reads one.
    ///
    /// # Errors
    /// [`Denied`] if it is none, or its text is not Unicode.
    pub fn parse(message: &[u8]) -> Result<Self, Denied> {
        let body = body(message, 2)?;
        let flags = Flags(u32_at(body, 8)?);
        let server_challenge = *body
            .get(12..20)
            .and_then(|bytes| bytes.first_chunk())
            .ok_or_else(short)?;
        let target_info = match flags.has(Flags::TARGET_INFO) {
            true => payload(message, body, 28)?.to_vec(),
            false => Vec::new(),
        };
        let target_name = match flags.has(Flags::UNICODE) {
            true => text(payload(message, body, 0)?)?,
            false => String::new(),
        };
        Ok(Self {
            flags,
            server_challenge,
            target_name,
            target_info,
        })
    }

    /// The bytes.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let name = encode(&self.target_name);
        let mut message = head(2);
        message.extend_from_slice(&field(name.len(), 56));
        message.extend_from_slice(&self.flags.0.to_le_bytes());
        message.extend_from_slice(&self.server_challenge);
        message.extend_from_slice(&[0; 8]);
        let at = name.len().saturating_add(56);
        message.extend_from_slice(&field(self.target_info.len(), at));
        message.extend_from_slice(&version(self.flags));
        message.extend_from_slice(&name);
        message.extend_from_slice(&self.target_info);
        message
    }
}

/// The third message, `AUTHENTICATE_MESSAGE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticate<'a> {
    /// What was agreed, as the client says.
    pub flags: Flags,
    /// `LmChallengeResponse`.
    pub lm_response: &'a [u8],
    /// `NtChallengeResponse`.
    pub nt_response: &'a [u8],
    /// The domain of the user, as the client wrote it.
    pub domain: String,
    /// The user, as the client wrote it.
    pub user: String,
    /// The client's machine.
    pub workstation: String,
    /// `EncryptedRandomSessionKey`.
    pub session_key: &'a [u8],
}

impl<'a> Authenticate<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// [`Denied`] if it is none, or its text is not Unicode.
    pub fn parse(message: &'a [u8]) -> Result<Self, Denied> {
        let body = body(message, 3)?;
        let part = |at| payload(message, body, at);
        Ok(Self {
            flags: Flags(u32_at(body, 48)?),
            lm_response: part(0)?,
            nt_response: part(8)?,
            domain: text(part(16)?)?,
            user: text(part(24)?)?,
            workstation: text(part(32)?)?,
            session_key: part(40)?,
        })
    }

    /// The bytes, with a MIC of zeros.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let domain = encode(&self.domain);
        let user = encode(&self.user);
        let workstation = encode(&self.workstation);
        let (lm, nt) = (self.lm_response, self.nt_response);
        // In this order after the fixed part, named below in the order of the fields.
        let parts: [&[u8]; 6] = [&domain, &user, &workstation, lm, nt, self.session_key];
        let mut at = MIC.end;
        let placed = parts.map(|part| {
            let here = field(part.len(), at);
            at = at.saturating_add(part.len());
            here
        });
        let [domain_at, user_at, workstation_at, lm_at, nt_at, key_at] = placed;
        let mut message = head(3);
        for here in [lm_at, nt_at, domain_at, user_at, workstation_at, key_at] {
            message.extend_from_slice(&here);
        }
        message.extend_from_slice(&self.flags.0.to_le_bytes());
        message.extend_from_slice(&version(self.flags));
        message.extend_from_slice(&[0; 16]);
        for part in parts {
            message.extend_from_slice(part);
        }
        message
    }
}

/// The MIC of a third message; `None` if a field begins where it would stand, or the message is too short.
#[must_use]
pub fn mic(message: &[u8]) -> Option<[u8; 16]> {
    let body = body(message, 3).ok()?;
    for at in [0, 8, 16, 24, 32, 40] {
        let (len, offset) = field_at(body, at).ok()?;
        if len > 0 && offset < MIC.end {
            return None;
        }
    }
    message.get(MIC)?.first_chunk().copied()
}

/// The same message with another MIC; as it is if it is too short for one.
#[must_use]
pub fn with_mic(message: &[u8], mic: &[u8; 16]) -> Vec<u8> {
    let mut message = message.to_vec();
    if let Some(place) = message.get_mut(MIC) {
        place.copy_from_slice(mic);
    }
    message
}

/// Signature and type, with which a message begins.
fn head(kind: u32) -> Vec<u8> {
    let mut message = SIGNATURE.to_vec();
    message.extend_from_slice(&kind.to_le_bytes());
    message
}

fn version(flags: Flags) -> [u8; 8] {
    match flags.has(Flags::VERSION) {
        true => VERSION,
        false => [0; 8],
    }
}

/// A field: its length twice and where it lies.
fn field(len: usize, at: usize) -> [u8; 8] {
    let [l0, l1] = u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes();
    let [a0, a1, a2, a3] = u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes();
    [l0, l1, l0, l1, a0, a1, a2, a3]
}

/// What follows signature and type, once these are right.
fn body(message: &[u8], kind: u32) -> Result<&[u8], Denied> {
    if message.len() > MAX_MESSAGE {
        let len = message.len();
        return Err(Denied::package(format!(
            "NTLM message of {len} bytes, limit {MAX_MESSAGE}"
        )));
    }
    let rest = message
        .strip_prefix(SIGNATURE)
        .ok_or_else(|| Denied::package("not an NTLM message"))?;
    match u32_at(rest, 0)? {
        found if found == kind => rest.get(4..).ok_or_else(short),
        found => Err(Denied::package(format!(
            "NTLM message of type {found}, expected {kind}"
        ))),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Denied> {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().map(u32::from_le_bytes).ok_or_else(short)
}

/// Length and offset of the field whose description stands `at` in the body.
fn field_at(body: &[u8], at: usize) -> Result<(usize, usize), Denied> {
    let field: &[u8; 8] = body
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .ok_or_else(short)?;
    let [l0, l1, _, _, a0, a1, a2, a3] = *field;
    let offset = usize::try_from(u32::from_le_bytes([a0, a1, a2, a3])).map_err(|_| short())?;
    Ok((usize::from(u16::from_le_bytes([l0, l1])), offset))
}

/// The bytes of the field whose description stands `at` in the body. An empty one may lie anywhere.
fn payload<'a>(message: &'a [u8], body: &[u8], at: usize) -> Result<&'a [u8], Denied> {
    let (len, offset) = field_at(body, at)?;
    if len == 0 {
        return Ok(&[]);
    }
    let end = offset.checked_add(len).ok_or_else(short)?;
    message.get(offset..end).ok_or_else(short)
}

fn text(bytes: &[u8]) -> Result<String, Denied> {
    decode(bytes).ok_or_else(|| Denied::package("NTLM message with text that is not UTF-16"))
}

fn short() -> Denied {
    Denied::package("NTLM message is cut off")
}

#[cfg(test)]
pub(in crate::ntlm) mod tests;
