//! A little of drsuapi (MS-DRSR): a binding that is made and ended.

use farcall::stub::Registered;
use farcall::{Call, Refuse};

use stub::drsuapi::{IdlDrsBindOut, IdlDrsUnbindOut, Server};
use stub::{DrsExtensions, DrsHandle, Guid};

/// The generated stub.
#[allow(dead_code, missing_docs, unreachable_pub, clippy::all)]
mod stub {
    include!(concat!(env!("OUT_DIR"), "/drsuapi.rs"));
}

/// `DRS_EXT_BASE`: nothing but what every server has.
const BASE: u32 = 1;

/// Length of `DRS_EXTENSIONS_INT` as far as it is used: flags, site, process, epoch.
const EXTENSIONS: usize = 4 + 16 + 4 + 4;

/// What an open handle stands for.
struct Bound;

struct Drsuapi;

/// The interface as a service.
pub(super) fn service() -> Registered {
    stub::drsuapi::service(Drsuapi)
}

impl Server for Drsuapi {
    async fn idl_drs_bind(
        &self,
        call: &Call,
        _: Option<Guid>,
        _: Option<DrsExtensions>,
    ) -> Result<IdlDrsBindOut, Refuse> {
        let mut rgb = BASE.to_le_bytes().to_vec();
        rgb.resize(EXTENSIONS, 0);
        Ok(IdlDrsBindOut {
            ppext_server: Some(DrsExtensions {
                cb: EXTENSIONS as u32,
                rgb,
            }),
            ph_drs: DrsHandle(call.open(Bound)?),
            result: 0,
        })
    }

    async fn idl_drs_unbind(
        &self,
        call: &Call,
        handle: DrsHandle,
    ) -> Result<IdlDrsUnbindOut, Refuse> {
        drop(call.held::<Bound>(&handle.0).await?);
        Ok(IdlDrsUnbindOut {
            ph_drs: DrsHandle(call.close(&handle.0)?),
            result: 0,
        })
    }
}
