//! Authentication as the message carries it: a flavour and up to 400 bytes that belong to it.
//!
//! Read first: RFC 5531 section 8.2 ("Authentication, Integrity and Privacy"), section 9 (`opaque_auth`,
//! `auth_stat`), section 13 and appendix A (`AUTH_SYS`, `AUTH_SHORT`). The flavours themselves stand in
//! [`sys`] and [`short`]; `AUTH_NONE` is only an empty body. Nothing here decides who may do what.

pub mod short;
pub mod sys;

use crate::number::number;
use farcall_wire::{Encode, EncodeError, Size, Writer};

pub use short::{Handle as ShortHandle, ShortConfig, ShortTable, Shortened};
pub use sys::{AuthSys, SysRef};

/// Longest body of a credential or verifier, in bytes (RFC 5531 section 8.2, `opaque_auth`).
// req: onc-5531-8.2-body
pub const MAX_BODY: u32 = 400;

number! {
    /// An authentication flavour (RFC 5531 section 8.2 and the IANA registry).
    Flavor {
        /// No authentication.
        NONE = 0, "AUTH_NONE";
        /// Unix user and groups, as the caller claims them.
        SYS = 1, "AUTH_SYS";
        /// A short handle for an earlier `AUTH_SYS` credential.
        SHORT = 2, "AUTH_SHORT";
        /// Diffie-Hellman; obsolete, recognised and refused.
        DH = 3, "AUTH_DH";
        /// `RPCSEC_GSS` (RFC 2203).
        GSS = 6, "RPCSEC_GSS";
        /// The probe for RPC-with-TLS (RFC 9289).
        TLS = 7, "AUTH_TLS";
        /// A pseudo-flavour (RFC 2623 section 2.2.1): `RPCSEC_GSS` with Kerberos. In lists of MOUNT and SECINFO only.
        KRB5 = 390_003, "krb5";
        /// As [`KRB5`](Self::KRB5), with integrity.
        KRB5I = 390_004, "krb5i";
        /// As [`KRB5`](Self::KRB5), with privacy.
        KRB5P = 390_005, "krb5p";
    }
}

number! {
    /// Why authentication failed: `auth_stat` (RFC 5531 section 9, RFC 2203 section 5.3.3.3, RFC 7861).
    AuthStat {
        /// No failure.
        OK = 0, "AUTH_OK";
        /// The credential cannot be understood.
        BADCRED = 1, "AUTH_BADCRED";
        /// The client must begin a new session: flavour not accepted, or handle unknown.
        REJECTEDCRED = 2, "AUTH_REJECTEDCRED";
        /// The verifier cannot be understood.
        BADVERF = 3, "AUTH_BADVERF";
        /// The verifier expired or was replayed.
        REJECTEDVERF = 4, "AUTH_REJECTEDVERF";
        /// A stronger flavour is required.
        TOOWEAK = 5, "AUTH_TOOWEAK";
        /// The server's verifier was wrong (found by the client).
        INVALIDRESP = 6, "AUTH_INVALIDRESP";
        /// Any other reason.
        FAILED = 7, "AUTH_FAILED";
        /// Kerberos generic error.
        KERB_GENERIC = 8, "AUTH_KERB_GENERIC";
        /// Kerberos credential expired.
        TIMEEXPIRE = 9, "AUTH_TIMEEXPIRE";
        /// Problem with a ticket file.
        TKT_FILE = 10, "AUTH_TKT_FILE";
        /// The authenticator cannot be decoded.
        DECODE = 11, "AUTH_DECODE";
        /// The ticket holds the wrong network address.
        NET_ADDR = 12, "AUTH_NET_ADDR";
        /// The GSS context handle or its checksum is not known.
        GSS_CREDPROBLEM = 13, "RPCSEC_GSS_CREDPROBLEM";
        /// The GSS context must be made anew.
        GSS_CTXPROBLEM = 14, "RPCSEC_GSS_CTXPROBLEM";
    }
}

impl Flavor {
    /// Whether it is a pseudo-flavour: it names a mechanism and a service in a list, and no credential has it.
    #[must_use]
    pub fn is_pseudo(self) -> bool {
        matches!(self, Self::KRB5 | Self::KRB5I | Self::KRB5P)
    }

    /// The flavour of credentials that a list means by it.
    #[must_use]
    pub fn on_the_wire(self) -> Self {
        match self.is_pseudo() {
            true => Self::GSS,
            false => self,
        }
    }
}

/// A credential or a verifier, borrowed from the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpaqueAuth<'a> {
    /// What the body means.
    pub flavor: Flavor,
    /// At most [`MAX_BODY`] bytes.
    pub body: &'a [u8],
}

impl OpaqueAuth<'_> {
    /// `AUTH_NONE` with an empty body.
    pub const NONE: Self = Self {
        flavor: Flavor::NONE,
        body: &[],
    };
}

impl Encode for OpaqueAuth<'_> {
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(4);
        size.opaque_var(self.body.len(), MAX_BODY)
    }
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.flavor.0);
        w.opaque_var(self.body);
    }
}

/// The credential and verifier of a client's calls, encoded once for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthBlock(Vec<u8>);

impl AuthBlock {
    /// `AUTH_NONE` for both.
    #[must_use]
    pub fn none() -> Self {
        Self(vec![0; 16])
    }

    /// This credential with this verifier.
    ///
    /// # Errors
    /// `TooLong` if a body is over [`MAX_BODY`].
    pub fn new(credential: OpaqueAuth<'_>, verifier: OpaqueAuth<'_>) -> Result<Self, EncodeError> {
        let mut bytes = farcall_wire::xdr::to_vec(&credential)?;
        bytes.extend(farcall_wire::xdr::to_vec(&verifier)?);
        Ok(Self(bytes))
    }

    /// `AUTH_SYS` with an empty verifier.
    ///
    /// # Errors
    /// `TooLong` if the machine name or the groups are over their bounds.
    pub fn sys(credential: &AuthSys) -> Result<Self, EncodeError> {
        let body = farcall_wire::xdr::to_vec(credential)?;
        Self::new(
            OpaqueAuth {
                flavor: Flavor::SYS,
                body: &body,
            },
            OpaqueAuth::NONE,
        )
    }

    /// `AUTH_SHORT` with the handle a server issued, and an empty verifier.
    ///
    /// # Errors
    /// `TooLong` if the handle is over [`MAX_BODY`].
    pub fn short(handle: &[u8]) -> Result<Self, EncodeError> {
        Self::new(
            OpaqueAuth {
                flavor: Flavor::SHORT,
                body: handle,
            },
            OpaqueAuth::NONE,
        )
    }

    /// Whether it is `AUTH_NONE` for both.
    #[inline]
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0 == [0; 16]
    }

    /// The encoded bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Default for AuthBlock {
    fn default() -> Self {
        Self::none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudo_flavours_stand_in_lists_and_gss_on_the_wire() {
        // RFC 2623 section 2.2.1 gives the numbers.
        for (flavor, name) in [(390_003, "krb5"), (390_004, "krb5i"), (390_005, "krb5p")] {
            let flavor = Flavor(flavor);
            assert_eq!(
                (flavor.to_string().as_str(), flavor.is_pseudo()),
                (name, true)
            );
            assert_eq!(flavor.on_the_wire(), Flavor::GSS);
        }
        for flavor in [Flavor::NONE, Flavor::SYS, Flavor::GSS, Flavor(390_006)] {
            assert!(!flavor.is_pseudo() && flavor.on_the_wire() == flavor);
        }
    }
}
