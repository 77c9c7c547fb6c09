//! dssetup (MS-DSSP): which part this machine plays. It is a server on its own.

use farcall::stub::Registered;
use farcall::{Call, Refuse};

use stub::dssetup::{DsRolerGetPrimaryDomainInformationOut, Server};
use stub::{
    DsroleMachineRole, DsroleOperationState, DsroleOperationStateInfo,
    DsrolePrimaryDomainInfoLevel, DsroleServerState, DsroleUpgradeStatusInfo,
    DsrolerPrimaryDomainInfoBasic, DsrolerPrimaryDomainInformation,
};

/// The generated stub.
#[allow(dead_code, missing_docs, unreachable_pub, clippy::all)]
mod stub {
    include!(concat!(env!("OUT_DIR"), "/dssetup.rs"));
}

/// `ERROR_INVALID_PARAMETER`.
const INVALID_PARAMETER: u32 = 87;

struct Dssetup;

/// The interface as a service.
pub(super) fn service() -> Registered {
    stub::dssetup::service(Dssetup)
}

impl Server for Dssetup {
    async fn ds_roler_get_primary_domain_information(
        &self,
        _: &Call,
        level: DsrolePrimaryDomainInfoLevel,
    ) -> Result<DsRolerGetPrimaryDomainInformationOut, Refuse> {
        let domain_info = information(level);
        let result = match domain_info {
            Some(_) => 0,
            None => INVALID_PARAMETER,
        };
        Ok(DsRolerGetPrimaryDomainInformationOut {
            domain_info,
            result,
        })
    }
}

fn information(level: DsrolePrimaryDomainInfoLevel) -> Option<DsrolerPrimaryDomainInformation> {
    use DsrolerPrimaryDomainInformation as Information;
    Some(match level.0 {
        1 => Information::DomainInfoBasic(DsrolerPrimaryDomainInfoBasic {
            machine_role: DsroleMachineRole::ROLE_STANDALONE_SERVER,
            domain_name_flat: Some("WORKGROUP".into()),
            ..DsrolerPrimaryDomainInfoBasic::default()
        }),
        2 => Information::UpgradStatusInfo(DsroleUpgradeStatusInfo {
            operation_state: 0,
            previous_server_state: DsroleServerState(0),
        }),
        3 => Information::OperationStateInfo(DsroleOperationStateInfo {
            operation_state: DsroleOperationState(0),
        }),
        _ => return None,
    })
}
