//! What `RPCSEC_GSS` puts into credentials, arguments and results.
//!
//! Read first: RFC 2203 sections 5 (constants), 5.2.2 and 5.2.3 (context creation), 5.3.1 and 5.3.2 (data). Bytes
//! only: nothing is proved here.

use crate::auth::{AuthStat, Flavor, MAX_BODY, OpaqueAuth};
use crate::number::number;
use farcall_wire::cursor::pad_len;
use farcall_wire::{DecodeError, DecodeErrorKind, Encode, EncodeError, Reader, Size, Writer};

/// The only version spoken here (RFC 2203 section 5, `RPCSEC_GSS_VERS_1`).
pub const VERSION: u32 = 1;

/// The first sequence number that may not be used: a context is made anew before (RFC 2203 section 5.3.3.1).
pub const MAX_SEQ: u32 = 0x8000_0000;

/// Longest handle that is taken: what a credential has room for beside its other words.
const MAX_HANDLE: u32 = MAX_BODY - 20;

/// Longest token, in bytes. Kerberos tickets with large authorization data stay far below.
pub const MAX_TOKEN: u32 = 256 << 10;

/// Longest message integrity code, in bytes: it is a verifier.
const MAX_MIC: u32 = MAX_BODY;

/// A context's name on the wire.
pub type Handle = Vec<u8>;

number! {
    /// What a call is for: `rpc_gss_proc_t`.
    Procedure {
        /// A call to a procedure of the program.
        DATA = 0, "RPCSEC_GSS_DATA";
        /// The first token of a new context.
        INIT = 1, "RPCSEC_GSS_INIT";
        /// A further token.
        CONTINUE_INIT = 2, "RPCSEC_GSS_CONTINUE_INIT";
        /// The context will not be used any more.
        DESTROY = 3, "RPCSEC_GSS_DESTROY";
    }
}

number! {
    /// How arguments and results are protected: `rpc_gss_service_t`. The header's integrity is always protected.
    Service {
        /// Not at all.
        NONE = 1, "rpc_gss_svc_none";
        /// Nobody can change them.
        INTEGRITY = 2, "rpc_gss_svc_integrity";
        /// Nobody can read them either.
        PRIVACY = 3, "rpc_gss_svc_privacy";
    }
}

/// The body of a credential, borrowed from the message (RFC 2203 section 5, `rpc_gss_cred_vers_1_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential<'a> {
    /// What the call is for.
    pub procedure: Procedure,
    /// Its place among the calls of the context.
    pub seq: u32,
    /// How its arguments are protected.
    pub service: Service,
    /// The context; empty in the first call of its creation.
    pub handle: &'a [u8],
}

impl<'a> Credential<'a> {
    /// Reads the body of a credential.
    ///
    /// # Errors
    /// The `auth_stat` to answer: `AUTH_REJECTEDCRED` for another version (erratum 4067), `AUTH_BADCRED` for
    /// anything that cannot be decoded or has no meaning.
    // req: onc-2203-5-cred
    pub fn parse(body: &'a [u8]) -> Result<Self, AuthStat> {
        let mut r = Reader::new(body);
        if r.u32().map_err(bad)? != VERSION {
            return Err(AuthStat::REJECTEDCRED);
        }
        let procedure = Procedure(r.u32().map_err(bad)?);
        let seq = r.u32().map_err(bad)?;
        let service = Service(r.u32().map_err(bad)?);
        let handle = r.opaque_var(MAX_HANDLE).map_err(bad)?;
        r.finish().map_err(bad)?;
        if procedure.name().is_none() {
            return Err(AuthStat::BADCRED);
        }
        // The service means nothing while a context is created.
        let creates = matches!(procedure, Procedure::INIT | Procedure::CONTINUE_INIT);
        if service.name().is_none() && !creates {
            return Err(AuthStat::BADCRED);
        }
        Ok(Self {
            procedure,
            seq,
            service,
            handle,
        })
    }
}

fn bad(_: DecodeError) -> AuthStat {
    AuthStat::BADCRED
}

impl Encode for Credential<'_> {
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(16);
        size.opaque_var(self.handle.len(), MAX_HANDLE)
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(VERSION);
        w.u32(self.procedure.0);
        w.u32(self.seq);
        w.u32(self.service.0);
        w.opaque_var(self.handle);
    }
}

/// A verifier with this code as its body.
#[must_use]
pub fn verifier(mic: &[u8]) -> OpaqueAuth<'_> {
    OpaqueAuth {
        flavor: Flavor::GSS,
        body: mic,
    }
}

/// The arguments of a call that creates a context: one token, and nothing behind it.
///
/// # Errors
/// They are something else, or the token is longer than [`MAX_TOKEN`].
pub fn parse_token(arguments: &[u8]) -> Result<&[u8], DecodeError> {
    let mut r = Reader::new(arguments);
    let token = r.opaque_var(MAX_TOKEN)?;
    r.finish()?;
    Ok(token)
}

/// The results of a call that creates a context (RFC 2203 section 5.2.3.1, `rpc_gss_init_res`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitResult {
    /// The context's name from now on.
    pub handle: Handle,
    /// The GSS-API's major status: 0 complete, 1 continue, anything else failed.
    pub major: u32,
    /// The mechanism's own status.
    pub minor: u32,
    /// How far apart sequence numbers in flight may be.
    pub window: u32,
    /// For the client's mechanism; empty if there is none.
    pub token: Vec<u8>,
}

impl InitResult {
    /// `GSS_S_COMPLETE` (RFC 2744 section 3.9.1).
    pub const COMPLETE: u32 = 0;
    /// `GSS_S_CONTINUE_NEEDED`.
    pub const CONTINUE_NEEDED: u32 = 1;
    /// `GSS_S_FAILURE`.
    pub const FAILURE: u32 = 13 << 16;

    /// Reads the results.
    ///
    /// # Errors
    /// They are something else.
    pub fn parse(results: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(results);
        let result = Self {
            handle: r.opaque_vec(MAX_HANDLE)?,
            major: r.u32()?,
            minor: r.u32()?,
            window: r.u32()?,
            token: r.opaque_vec(MAX_TOKEN)?,
        };
        r.finish()?;
        Ok(result)
    }
}

impl Encode for InitResult {
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.opaque_var(self.handle.len(), MAX_HANDLE)?;
        size.add(12);
        size.opaque_var(self.token.len(), MAX_TOKEN)
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.opaque_var(&self.handle);
        w.u32(self.major);
        w.u32(self.minor);
        w.u32(self.window);
        w.opaque_var(&self.token);
    }
}

/// A body under [`Service::INTEGRITY`] (RFC 2203 section 5.3.2.2): what is protected, and the code over it.
///
/// # Errors
/// It is something else, or what is protected is no whole number of words.
pub fn parse_integrity(body: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let mut r = Reader::new(body);
    let protected = r.opaque_var(u32::MAX)?;
    let mic = r.opaque_var(MAX_MIC)?;
    r.finish()?;
    if !protected.len().is_multiple_of(4) {
        return Err(r.error(DecodeErrorKind::Invalid(
            "protected data is no whole number of words",
        )));
    }
    Ok((protected, mic))
}

/// A body under [`Service::PRIVACY`] (RFC 2203 section 5.3.2.3): one wrapped message.
///
/// # Errors
/// It is something else.
pub fn parse_privacy(body: &[u8]) -> Result<&[u8], DecodeError> {
    let mut r = Reader::new(body);
    let wrapped = r.opaque_var(u32::MAX)?;
    r.finish()?;
    Ok(wrapped)
}

/// The sequence number before the arguments or results that are protected, and they.
#[must_use]
pub fn split_seq(protected: &[u8]) -> Option<(u32, &[u8])> {
    let (seq, rest) = protected.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*seq), rest))
}

/// What [`split_seq`] takes apart.
#[must_use]
pub fn join_seq(seq: u32, plain: &[u8]) -> Vec<u8> {
    let mut protected = Vec::with_capacity(plain.len().saturating_add(4));
    protected.extend(seq.to_be_bytes());
    protected.extend(plain);
    protected
}

/// Appends opaque data of variable length: its length, its bytes, its padding. What is over 4 GiB does not exist:
/// records are bounded far below.
pub(super) fn put_opaque(out: &mut Vec<u8>, data: &[u8]) {
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    out.extend(len.to_be_bytes());
    out.extend(data);
    out.resize(out.len().saturating_add(pad_len(data.len())), 0);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use farcall_wire::xdr;

    /// Of a libtirpc client's first calls: RFC 2203 section 5, in hexadecimal by hand.
    const INIT: [u8; 20] = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];

    #[test]
    fn a_credential_is_five_fields() {
        let credential = Credential::parse(&INIT).unwrap();
        let wanted = Credential {
            procedure: Procedure::INIT,
            seq: 0,
            service: Service::NONE,
            handle: &[],
        };
        assert_eq!(credential, wanted);
        assert_eq!(xdr::to_vec(&wanted).unwrap(), INIT);
    }

    #[test]
    fn every_truncation_of_a_credential_is_a_bad_credential() {
        for len in 0..INIT.len() {
            assert_eq!(Credential::parse(&INIT[..len]), Err(AuthStat::BADCRED));
        }
        let longer = [INIT.as_slice(), &[0; 4]].concat();
        assert_eq!(Credential::parse(&longer), Err(AuthStat::BADCRED));
    }

    #[test]
    fn another_version_is_rejected_and_not_bad() {
        let mut body = INIT;
        body[3] = 2;
        assert_eq!(Credential::parse(&body), Err(AuthStat::REJECTEDCRED));
    }

    #[test]
    fn procedures_and_services_without_meaning_are_bad() {
        let mut body = INIT;
        body[7] = 4;
        assert_eq!(Credential::parse(&body), Err(AuthStat::BADCRED));
        let mut body = INIT;
        body[15] = 9;
        assert!(
            Credential::parse(&body).is_ok(),
            "a creation has no service"
        );
        body[7] = 0;
        assert_eq!(Credential::parse(&body), Err(AuthStat::BADCRED));
    }

    #[test]
    fn results_of_a_creation_come_back_and_no_truncation_of_them_does() {
        let result = InitResult {
            handle: vec![1, 2, 3],
            major: InitResult::CONTINUE_NEEDED,
            minor: 7,
            window: 1024,
            token: vec![9; 5],
        };
        let bytes = xdr::to_vec(&result).unwrap();
        assert_eq!(InitResult::parse(&bytes).unwrap(), result);
        for len in 0..bytes.len() {
            assert!(InitResult::parse(&bytes[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn bodies_are_taken_apart_whole_or_not_at_all() {
        let mut body = Vec::new();
        put_opaque(&mut body, &join_seq(7, &[1, 2, 3, 4]));
        put_opaque(&mut body, b"mic");
        let (protected, mic) = parse_integrity(&body).unwrap();
        assert_eq!(split_seq(protected), Some((7, [1, 2, 3, 4].as_slice())));
        assert_eq!(mic, b"mic");
        for len in 0..body.len() {
            assert!(parse_integrity(&body[..len]).is_err(), "{len} bytes");
        }
        body.push(0);
        assert!(parse_integrity(&body).is_err());
        let mut odd = Vec::new();
        put_opaque(&mut odd, &[0; 5]);
        put_opaque(&mut odd, b"mic");
        assert!(parse_integrity(&odd).is_err());
        assert_eq!(split_seq(&[0; 3]), None);
    }
}
