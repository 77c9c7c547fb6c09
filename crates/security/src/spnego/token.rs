//! The tokens of SPNEGO.
//!
//! Read first: RFC 4178 section 4.2, MS-SPNG section 2.2.1 (`NegTokenInit2`). Read strictly, with the liberties that peers take: a
//! list of mechanisms is kept as the bytes that were sent, since the code over it is over those.

use std::fmt;

use farcall_dce::security::Denied;

use super::der::{
    self, APPLICATION_0, ENUMERATED, OCTET_STRING, Reader, SEQUENCE, context, element,
};

/// Most mechanisms in a list that is accepted.
const MAX_MECHANISMS: usize = 32;

/// Longest token that is looked at, in bytes: a Kerberos ticket with many groups and what is around it.
pub const MAX_TOKEN: usize = 128 * 1024;

/// An object identifier, as its DER content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Oid<'a>(pub &'a [u8]);

impl Oid<'static> {
    /// SPNEGO itself, 1.3.6.1.5.5.2.
    pub const SPNEGO: Self = Self(&[0x2b, 6, 1, 5, 5, 2]);
    /// Kerberos 5, 1.2.840.113554.1.2.2.
    pub const KERBEROS: Self = Self(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2]);
    /// Kerberos 5 under the number that Windows 2000 gave it by mistake and all since kept, 1.2.840.48018.1.2.2.
    pub const KERBEROS_WINDOWS: Self = Self(&[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2]);
    /// NTLM, 1.3.6.1.4.1.311.2.2.10.
    pub const NTLM: Self = Self(&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x0a]);
}

impl fmt::Debug for Oid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Oid(")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// A mechanism that SPNEGO can agree on here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// Kerberos 5.
    Kerberos,
    /// NTLM.
    Ntlm,
}

impl Mechanism {
    /// The mechanism with this identifier, if we know it.
    #[must_use]
    pub fn of(oid: Oid<'_>) -> Option<Self> {
        match oid {
            Oid::KERBEROS | Oid::KERBEROS_WINDOWS => Some(Self::Kerberos),
            Oid::NTLM => Some(Self::Ntlm),
            _ => None,
        }
    }

    /// The identifiers under which it is offered, best first.
    #[must_use]
    pub const fn oids(self) -> &'static [Oid<'static>] {
        match self {
            Self::Kerberos => &[Oid::KERBEROS, Oid::KERBEROS_WINDOWS],
            Self::Ntlm => &[Oid::NTLM],
        }
    }
}

/// How far the negotiation is (`negState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NegState {
    /// The context stands.
    AcceptCompleted,
    /// More tokens are needed.
    AcceptIncomplete,
    /// No.
    Reject,
    /// The mechanism was not the first choice, so the list must be proved.
    RequestMic,
}

impl NegState {
    fn of(value: &[u8]) -> Result<Self, Denied> {
        Ok(match value {
            [0] => Self::AcceptCompleted,
            [1] => Self::AcceptIncomplete,
            [2] => Self::Reject,
            [3] => Self::RequestMic,
            _ => return Err(Denied::package("negState is none of the four")),
        })
    }

    const fn code(self) -> u8 {
        match self {
            Self::AcceptCompleted => 0,
            Self::AcceptIncomplete => 1,
            Self::Reject => 2,
            Self::RequestMic => 3,
        }
    }
}

/// The first token: `NegTokenInit`, or `NegTokenInit2` with its hints left aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init<'a> {
    /// `MechTypeList` as it was sent, tag and length included: what the code is over.
    pub mechanism_list: &'a [u8],
    /// The mechanisms in it, in order.
    pub mechanisms: Vec<Oid<'a>>,
    /// A first token for the first of them.
    pub token: Option<&'a [u8]>,
    /// A code over the list.
    pub mic: Option<&'a [u8]>,
}

impl<'a> Init<'a> {
    /// Reads one in its frame of RFC 2743 section 3.1.
    ///
    /// # Errors
    /// [`Denied`] if it is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Denied> {
        let mut frame = Reader::new(der::only(limited(bytes)?, APPLICATION_0)?);
        if Oid(frame.expect(der::OID)?) != Oid::SPNEGO {
            return Err(Denied::package("the token is of another mechanism"));
        }
        let choice = der::only(frame.rest(), context(0))?;
        let mut fields = Reader::new(der::only(choice, SEQUENCE)?);
        let mechanism_list = fields.expect(context(0))?;
        // Flags are obsolete and not looked at (section 4.2.1).
        fields.optional(context(1))?;
        let token = octets(fields.optional(context(2))?)?;
        let third = fields.optional(context(3))?;
        let fourth = octets(fields.optional(context(4))?)?;
        fields.end()?;
        // In the second form the third field is a sequence of hints, and the code is the fourth.
        let mic = match third {
            Some(hints) if hints.first() == Some(&SEQUENCE) => fourth,
            third => octets(third)?,
        };
        let mechanisms = parse_list(mechanism_list)?;
        Ok(Self {
            mechanism_list,
            mechanisms,
            token,
            mic,
        })
    }
}

/// The bytes of a first token. `list` is what [`mechanism_list`] made.
#[must_use]
pub fn init(list: &[u8], token: Option<&[u8]>) -> Vec<u8> {
    let mut fields = element(context(0), list);
    fields.extend(optional(2, token));
    let choice = element(context(0), &element(SEQUENCE, &fields));
    let mut frame = element(der::OID, Oid::SPNEGO.0);
    frame.extend(choice);
    element(APPLICATION_0, &frame)
}

/// `MechTypeList`.
#[must_use]
pub fn mechanism_list(oids: &[Oid<'_>]) -> Vec<u8> {
    let all: Vec<u8> = oids
        .iter()
        .flat_map(|oid| element(der::OID, oid.0))
        .collect();
    element(SEQUENCE, &all)
}

fn parse_list(list: &[u8]) -> Result<Vec<Oid<'_>>, Denied> {
    let mut reader = Reader::new(der::only(list, SEQUENCE)?);
    let mut oids = Vec::new();
    while !reader.is_empty() && oids.len() < MAX_MECHANISMS {
        oids.push(Oid(reader.expect(der::OID)?));
    }
    reader.end()?;
    match oids.is_empty() {
        true => Err(Denied::package("no mechanism is offered")),
        false => Ok(oids),
    }
}

/// All other tokens: `NegTokenResp`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resp<'a> {
    /// How far the negotiation is.
    pub state: Option<NegState>,
    /// The mechanism that was taken.
    pub mechanism: Option<Oid<'a>>,
    /// A token of that mechanism.
    pub token: Option<&'a [u8]>,
    /// A code over the list of mechanisms.
    pub mic: Option<&'a [u8]>,
}

impl<'a> Resp<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// [`Denied`] if it is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Denied> {
        let choice = der::only(limited(bytes)?, context(1))?;
        let mut fields = Reader::new(der::only(choice, SEQUENCE)?);
        let inside =
            |field: Option<&'a [u8]>, tag| field.map(|field| der::only(field, tag)).transpose();
        let state = inside(fields.optional(context(0))?, ENUMERATED)?;
        let mechanism = inside(fields.optional(context(1))?, der::OID)?;
        let token = octets(fields.optional(context(2))?)?;
        let mic = octets(fields.optional(context(3))?)?;
        fields.end()?;
        // Windows 2000 sends the token a second time where the code should be.
        let mic = mic.filter(|mic| Some(*mic) != token);
        Ok(Self {
            state: state.map(NegState::of).transpose()?,
            mechanism: mechanism.map(Oid),
            token,
            mic,
        })
    }

    /// The bytes.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        if let Some(state) = self.state {
            fields.extend(element(context(0), &element(ENUMERATED, &[state.code()])));
        }
        if let Some(oid) = self.mechanism {
            fields.extend(element(context(1), &element(der::OID, oid.0)));
        }
        fields.extend(optional(2, self.token));
        fields.extend(optional(3, self.mic));
        element(context(1), &element(SEQUENCE, &fields))
    }
}

fn octets(field: Option<&[u8]>) -> Result<Option<&[u8]>, Denied> {
    field
        .map(|field| der::only(field, OCTET_STRING))
        .transpose()
}

fn optional(number: u8, value: Option<&[u8]>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| {
        element(context(number), &element(OCTET_STRING, value))
    })
}

fn limited(bytes: &[u8]) -> Result<&[u8], Denied> {
    match bytes.len() {
        0..=MAX_TOKEN => Ok(bytes),
        len => Err(Denied::package(format!(
            "SPNEGO token of {len} bytes, limit {MAX_TOKEN}"
        ))),
    }
}

#[cfg(test)]
mod tests;
