//! The PDUs that make and change an association: bind, alter_context, and their answers.
//!
//! Read first: C706 sections 12.6.4.3 to 12.6.4.5 and 12.6.4.1 to 12.6.4.2, and MS-RPCE section 2.2.2.4 (results
//! that negotiate). `bind` and `alter_context` have one layout, and so have `bind_ack` and `alter_context_resp`. This
//! file does not decide what to accept.

use crate::pdu::cursor::{Input, Output, hint, widen};
use crate::pdu::header::Header;
use crate::syntax::{Order, SyntaxId};
use core::fmt;
use farcall_wire::DecodeError;

/// An interface that a client would like to call, and the transfer syntaxes it would take (`p_cont_elem_t`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentationContext {
    /// What requests name it by (`p_cont_id`); any number.
    pub context_id: u16,
    /// The interface.
    pub interface: SyntaxId,
    /// The transfer syntaxes, in the client's order of preference.
    pub transfers: Vec<SyntaxId>,
}

/// The body of a `bind` or an `alter_context`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Largest fragment that the client sends (`max_xmit_frag`).
    pub max_xmit_frag: u16,
    /// Largest fragment that it receives (`max_recv_frag`).
    pub max_recv_frag: u16,
    /// The association group to join, 0 for a new one.
    pub assoc_group_id: u32,
    /// The presentation contexts, at most 255.
    pub contexts: Vec<PresentationContext>,
}

impl Bind {
    /// Reads the body.
    ///
    /// # Errors
    /// [`DecodeError`]; offsets are from the end of the header. Bytes behind the last context are passed over.
    // req: dce-706-12.6.4-bind
    pub fn parse(body: &[u8], order: Order) -> Result<Self, DecodeError> {
        let mut input = Input::new(body, order);
        let max_xmit_frag = input.u16()?;
        let max_recv_frag = input.u16()?;
        let assoc_group_id = input.u32()?;
        let count = input.u8()?;
        input.slice(3)?;
        let mut contexts = Vec::new();
        for index in 0..count {
            let context = context(&mut input).map_err(|e| e.at_index(usize::from(index)))?;
            contexts.push(context);
        }
        Ok(Self {
            max_xmit_frag,
            max_recv_frag,
            assoc_group_id,
            contexts,
        })
    }

    /// Appends the body. Contexts and transfer syntaxes beyond 255 are left out.
    pub fn emit(&self, bytes: &mut Vec<u8>, order: Order) {
        let mut out = Output { bytes, order };
        out.u16(self.max_xmit_frag);
        out.u16(self.max_recv_frag);
        out.u32(self.assoc_group_id);
        out.u8(count(self.contexts.len()));
        out.zeros(3);
        for context in self.contexts.iter().take(255) {
            out.u16(context.context_id);
            out.u8(count(context.transfers.len()));
            out.zeros(1);
            out.syntax(&context.interface);
            for transfer in context.transfers.iter().take(255) {
                out.syntax(transfer);
            }
        }
    }
}

fn context(input: &mut Input<'_>) -> Result<PresentationContext, DecodeError> {
    let context_id = input.u16()?;
    let count = input.u8()?;
    input.slice(1)?;
    let interface = input.syntax()?;
    let transfers = (0..count)
        .map(|_| input.syntax())
        .collect::<Result<_, _>>()?;
    Ok(PresentationContext {
        context_id,
        interface,
        transfers,
    })
}

fn count(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

/// What became of a presentation context (`p_cont_def_result_t`). Open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ResultCode(pub u16);

impl ResultCode {
    /// It may be called.
    pub const ACCEPTANCE: Self = Self(0);
    /// The server's program does not want it.
    pub const USER_REJECTION: Self = Self(1);
    /// The server's run-time cannot do it.
    pub const PROVIDER_REJECTION: Self = Self(2);
    /// It was a question about features; the reason holds those granted (MS-RPCE section 2.2.2.4).
    pub const NEGOTIATE_ACK: Self = Self(3);
}

/// Why a presentation context was rejected (`p_provider_reason_t`). Open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reason(pub u16);

impl Reason {
    /// None given.
    pub const NOT_SPECIFIED: Self = Self(0);
    /// The interface is not served.
    pub const ABSTRACT_SYNTAX: Self = Self(1);
    /// No transfer syntax that was proposed is spoken.
    pub const TRANSFER_SYNTAXES: Self = Self(2);
    /// A limit is reached.
    pub const LOCAL_LIMIT: Self = Self(3);
}

/// The answer to one presentation context (`p_result_t`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextResult {
    /// What became of it.
    pub result: ResultCode,
    /// Why.
    pub reason: Reason,
    /// The transfer syntax accepted; all zero if none.
    pub transfer: SyntaxId,
}

impl ContextResult {
    /// Accepted with this transfer syntax.
    #[must_use]
    pub fn accepted(transfer: SyntaxId) -> Self {
        Self {
            transfer,
            ..Self::default()
        }
    }

    /// Rejected by the run-time.
    #[must_use]
    pub fn rejected(reason: Reason) -> Self {
        Self {
            result: ResultCode::PROVIDER_REJECTION,
            reason,
            transfer: SyntaxId::NIL,
        }
    }
}

/// The body of a `bind_ack` or an `alter_context_resp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAck {
    /// Largest fragment that the server sends.
    pub max_xmit_frag: u16,
    /// Largest fragment that it receives.
    pub max_recv_frag: u16,
    /// The association group.
    pub assoc_group_id: u32,
    /// The secondary address (`sec_addr`) without its closing NUL: a port in decimal, or the name of a pipe. An
    /// empty one is sent as no bytes at all, as `alter_context_resp` has it.
    pub secondary_address: Vec<u8>,
    /// The answers, in the order of the contexts.
    pub results: Vec<ContextResult>,
}

impl BindAck {
    /// Reads the body.
    ///
    /// # Errors
    /// [`DecodeError`]; offsets are from the end of the header.
    // req: dce-706-12.6.4-ack
    pub fn parse(body: &[u8], order: Order) -> Result<Self, DecodeError> {
        let mut input = Input::new(body, order);
        let max_xmit_frag = input.u16()?;
        let max_recv_frag = input.u16()?;
        let assoc_group_id = input.u32()?;
        let len = input.u16()?;
        let address = input.slice(widen(len))?;
        let address = address.strip_suffix(&[0]).unwrap_or(address);
        // The header is a multiple of four, so the body's alignment is the PDU's.
        input.align4()?;
        let count = input.u8()?;
        input.slice(3)?;
        let results = (0..count)
            .map(|_| result(&mut input))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            max_xmit_frag,
            max_recv_frag,
            assoc_group_id,
            secondary_address: address.to_vec(),
            results,
        })
    }

    /// Appends the body.
    pub fn emit(&self, bytes: &mut Vec<u8>, order: Order) {
        let start = bytes.len();
        let mut out = Output { bytes, order };
        out.u16(self.max_xmit_frag);
        out.u16(self.max_recv_frag);
        out.u32(self.assoc_group_id);
        let address = self
            .secondary_address
            .get(..1024)
            .unwrap_or(&self.secondary_address);
        if address.is_empty() {
            out.u16(0);
        } else {
            let len = address.len().saturating_add(1);
            out.u16(u16::try_from(hint(len)).unwrap_or(u16::MAX));
            out.bytes.extend_from_slice(address);
            out.u8(0);
        }
        out.align4(start);
        out.u8(count(self.results.len()));
        out.zeros(3);
        for result in self.results.iter().take(255) {
            out.u16(result.result.0);
            out.u16(result.reason.0);
            out.syntax(&result.transfer);
        }
    }
}

fn result(input: &mut Input<'_>) -> Result<ContextResult, DecodeError> {
    Ok(ContextResult {
        result: ResultCode(input.u16()?),
        reason: Reason(input.u16()?),
        transfer: input.syntax()?,
    })
}

/// Why a bind was refused as a whole (`p_reject_reason_t` with MS-RPCE section 2.2.2.5). Open.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NakReason(pub u16);

impl NakReason {
    /// None given.
    pub const NOT_SPECIFIED: Self = Self(0);
    /// The server is busy.
    pub const TEMPORARY_CONGESTION: Self = Self(1);
    /// A limit is reached.
    pub const LOCAL_LIMIT_EXCEEDED: Self = Self(2);
    /// The header or the verifier is not of this version.
    pub const PROTOCOL_VERSION_NOT_SUPPORTED: Self = Self(4);
    /// The type of authentication is not served.
    pub const AUTHENTICATION_TYPE_NOT_RECOGNIZED: Self = Self(8);
    /// The authentication token is not valid.
    pub const INVALID_CHECKSUM: Self = Self(9);
}

impl fmt::Display for NakReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::NOT_SPECIFIED => "reason not specified",
            Self::TEMPORARY_CONGESTION => "temporary congestion",
            Self::LOCAL_LIMIT_EXCEEDED => "local limit exceeded",
            Self::PROTOCOL_VERSION_NOT_SUPPORTED => "protocol version not supported",
            Self::AUTHENTICATION_TYPE_NOT_RECOGNIZED => "authentication type not recognized",
            Self::INVALID_CHECKSUM => "invalid checksum",
            Self(other) => return write!(f, "reject reason {other}"),
        })
    }
}

impl fmt::Debug for NakReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NakReason({}: {self})", self.0)
    }
}

/// The body of a `bind_nak`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindNak {
    /// Why.
    pub reason: NakReason,
    /// The versions that the server speaks, as far as it says.
    pub versions: Vec<(u8, u8)>,
}

impl BindNak {
    /// A refusal by a server of version 5.0.
    #[must_use]
    pub fn new(reason: NakReason) -> Self {
        Self {
            reason,
            versions: vec![(5, 0)],
        }
    }

    /// Reads the body. Some servers leave the versions out; then there are none.
    ///
    /// # Errors
    /// [`DecodeError`]; offsets are from the end of the header.
    // req: dce-706-12.6.4-nak
    pub fn parse(body: &[u8], order: Order) -> Result<Self, DecodeError> {
        let mut input = Input::new(body, order);
        let reason = NakReason(input.u16()?);
        let mut versions = Vec::new();
        if !input.rest().is_empty() {
            for _ in 0..input.u8()? {
                versions.push((input.u8()?, input.u8()?));
            }
        }
        Ok(Self { reason, versions })
    }

    /// Appends the body, padded to four bytes from the PDU's start.
    pub fn emit(&self, bytes: &mut Vec<u8>, order: Order) {
        let start = bytes.len();
        let mut out = Output { bytes, order };
        out.u16(self.reason.0);
        out.u8(count(self.versions.len()));
        for (major, minor) in self.versions.iter().take(255) {
            out.u8(*major);
            out.u8(*minor);
        }
        // 5 bytes for one version and 3 of padding.
        debug_assert!(Header::LEN.is_multiple_of(4));
        out.align4(start);
    }
}
