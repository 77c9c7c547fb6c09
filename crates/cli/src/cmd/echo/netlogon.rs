//! A little of netlogon (MS-NRPC): the first step to a secure channel, which is not gone further.

use farcall::stub::Registered;
use farcall::{Call, Refuse};
use farcall_wire::ndr::WideStr;

use stub::NetlogonCredential;
use stub::logon::{NetrServerReqChallengeOut, Server};

/// The generated stub.
#[allow(dead_code, missing_docs, unreachable_pub, clippy::all)]
mod stub {
    include!(concat!(env!("OUT_DIR"), "/netlogon.rs"));
}

/// `STATUS_INVALID_PARAMETER`.
const INVALID_PARAMETER: i32 = 0xc000_000d_u32.cast_signed();

struct Netlogon;

/// The interface as a service.
pub(super) fn service() -> Registered {
    stub::logon::service(Netlogon)
}

impl Server for Netlogon {
    async fn netr_server_req_challenge(
        &self,
        _: &Call,
        _: Option<WideStr>,
        _: WideStr,
        challenge: NetlogonCredential,
    ) -> Result<NetrServerReqChallengeOut, Refuse> {
        // A challenge whose first five bytes are alike is how CVE-2020-1472 begins.
        let [first, head @ .., _, _, _] = challenge.data;
        if head.iter().all(|byte| *byte == first) {
            return Ok(NetrServerReqChallengeOut {
                server_challenge: NetlogonCredential::default(),
                result: INVALID_PARAMETER,
            });
        }
        let mut data = [0; 8];
        getrandom::fill(&mut data).map_err(|error| Refuse::SystemErr(error.to_string()))?;
        Ok(NetrServerReqChallengeOut {
            server_challenge: NetlogonCredential { data },
            result: 0,
        })
    }
}
