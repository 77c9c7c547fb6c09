//! A little of samr (MS-SAMR): a server handle that opens and closes, in the forms in which clients ask for one.

use farcall::stub::Registered;
use farcall::{Call, Refuse};
use farcall_wire::ndr::WideStr;

use stub::samr::{
    SamrCloseHandleOut, SamrConnect2Out, SamrConnect4Out, SamrConnect5Out, SamrConnectOut, Server,
};
use stub::{SamprHandle, SamprRevisionInfo, SamprRevisionInfoV1};

/// The generated stub.
#[allow(dead_code, missing_docs, unreachable_pub, clippy::all)]
mod stub {
    include!(concat!(env!("OUT_DIR"), "/samr.rs"));
}

/// The revision of clients and servers since Windows XP.
const REVISION: u32 = 3;

/// What an open server handle stands for.
struct Accounts;

struct Samr;

/// The interface as a service.
pub(super) fn service() -> Registered {
    stub::samr::service(Samr)
}

fn open(call: &Call) -> Result<SamprHandle, Refuse> {
    call.open(Accounts).map(SamprHandle)
}

impl Server for Samr {
    async fn samr_connect(
        &self,
        call: &Call,
        _: Option<u16>,
        _: u32,
    ) -> Result<SamrConnectOut, Refuse> {
        Ok(SamrConnectOut {
            server_handle: open(call)?,
            result: 0,
        })
    }

    async fn samr_connect2(
        &self,
        call: &Call,
        _: Option<WideStr>,
        _: u32,
    ) -> Result<SamrConnect2Out, Refuse> {
        Ok(SamrConnect2Out {
            server_handle: open(call)?,
            result: 0,
        })
    }

    async fn samr_connect4(
        &self,
        call: &Call,
        _: Option<WideStr>,
        _: u32,
        _: u32,
    ) -> Result<SamrConnect4Out, Refuse> {
        Ok(SamrConnect4Out {
            server_handle: open(call)?,
            result: 0,
        })
    }

    async fn samr_connect5(
        &self,
        call: &Call,
        _: Option<WideStr>,
        _: u32,
        _: u32,
        _: SamprRevisionInfo,
    ) -> Result<SamrConnect5Out, Refuse> {
        Ok(SamrConnect5Out {
            out_version: 1,
            out_revision_info: SamprRevisionInfo::V1(SamprRevisionInfoV1 {
                revision: REVISION,
                supported_features: 0,
            }),
            server_handle: open(call)?,
            result: 0,
        })
    }

    async fn samr_close_handle(
        &self,
        call: &Call,
        handle: SamprHandle,
    ) -> Result<SamrCloseHandleOut, Refuse> {
        drop(call.held::<Accounts>(&handle.0).await?);
        Ok(SamrCloseHandleOut {
            sam_handle: SamprHandle(call.close(&handle.0)?),
            result: 0,
        })
    }
}
