//! A little of lsarpc (MS-LSAD, MS-LSAT): a policy handle that opens, is looked at and closes, and who the caller is.

use farcall::stub::Registered;
use farcall::{Call, Refuse};
use farcall_wire::ndr::WideStr;

use stub::lsarpc::{
    LsarCloseOut, LsarGetUserNameOut, LsarOpenPolicy2Out, LsarOpenPolicyOut,
    LsarQuerySecurityObjectOut, Server,
};
use stub::{
    AccessMask, LsaprHandle, LsaprObjectAttributes, LsaprSrSecurityDescriptor, RpcUnicodeString,
    SecurityInformation,
};

/// The generated stub.
#[allow(dead_code, missing_docs, unreachable_pub, clippy::all)]
mod stub {
    include!(concat!(env!("OUT_DIR"), "/lsarpc.rs"));
}

/// A security descriptor in one piece that says nothing: no owner, no group, no lists (MS-DTYP section 2.4.6).
const NO_SECURITY: [u8; 20] = [
    1, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// What an open policy handle stands for.
struct Policy;

struct Lsarpc;

/// The interface as a service.
pub(super) fn service() -> Registered {
    stub::lsarpc::service(Lsarpc)
}

impl Server for Lsarpc {
    async fn lsar_close(&self, call: &Call, handle: LsaprHandle) -> Result<LsarCloseOut, Refuse> {
        drop(call.held::<Policy>(&handle.0).await?);
        Ok(LsarCloseOut {
            object_handle: LsaprHandle(call.close(&handle.0)?),
            result: 0,
        })
    }

    async fn lsar_query_security_object(
        &self,
        call: &Call,
        handle: LsaprHandle,
        _: SecurityInformation,
    ) -> Result<LsarQuerySecurityObjectOut, Refuse> {
        drop(call.held::<Policy>(&handle.0).await?);
        Ok(LsarQuerySecurityObjectOut {
            security_descriptor: Some(LsaprSrSecurityDescriptor {
                length: NO_SECURITY.len() as u32,
                security_descriptor: Some(NO_SECURITY.to_vec()),
            }),
            result: 0,
        })
    }

    async fn lsar_open_policy(
        &self,
        call: &Call,
        _: Option<u16>,
        _: LsaprObjectAttributes,
        _: AccessMask,
    ) -> Result<LsarOpenPolicyOut, Refuse> {
        Ok(LsarOpenPolicyOut {
            policy_handle: LsaprHandle(call.open(Policy)?),
            result: 0,
        })
    }

    async fn lsar_open_policy2(
        &self,
        call: &Call,
        _: Option<WideStr>,
        _: LsaprObjectAttributes,
        _: AccessMask,
    ) -> Result<LsarOpenPolicy2Out, Refuse> {
        Ok(LsarOpenPolicy2Out {
            policy_handle: LsaprHandle(call.open(Policy)?),
            result: 0,
        })
    }

    async fn lsar_get_user_name(
        &self,
        call: &Call,
        _: Option<WideStr>,
        _: Option<RpcUnicodeString>,
        domain: Option<Option<RpcUnicodeString>>,
    ) -> Result<LsarGetUserNameOut, Refuse> {
        let (user_name, domain_name) = match call.principal() {
            Some(principal) if !principal.anonymous => {
                (principal.name.as_str(), principal.domain.as_str())
            }
            _ => ("ANONYMOUS LOGON", "NT AUTHORITY"),
        };
        Ok(LsarGetUserNameOut {
            user_name: Some(text(user_name)),
            domain_name: domain.map(|_| Some(text(domain_name))),
            result: 0,
        })
    }
}

/// A counted text, cut where its length would not fit 16 bits.
fn text(text: &str) -> RpcUnicodeString {
    let units: Vec<u16> = text.encode_utf16().take(0x7fff).collect();
    let length = u16::try_from(units.len() * 2).unwrap_or(u16::MAX);
    RpcUnicodeString {
        length,
        maximum_length: length,
        buffer: Some(units),
    }
}
