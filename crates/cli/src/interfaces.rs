//! Names of interfaces of DCE/RPC that people know, and what an endpoint mapper lists.

use std::collections::BTreeSet;

use farcall::generated::epmapper::{EptLookupHandleT, RPC_C_EP_ALL_ELTS, RPC_C_VERS_ALL, ept};
use farcall::generated::mgmt::mgmt;
use farcall::stub::Interface;
use farcall::{Endpoint, Error, Options, Transport};
use farcall_dce::tower::Tower;
use farcall_wire::Uuid;
use farcall_wire::ndr::{ContextHandle, Full};

use crate::output::Failure;

/// The endpoint mapper's port.
pub(crate) const MAPPER_PORT: u16 = 135;

/// The endpoint mapper's port for RPC over HTTP.
const HTTP_MAPPER_PORT: u16 = 593;

/// The port of the endpoint mapper that is reached as `endpoint` is.
pub(crate) fn mapper_port(endpoint: &Endpoint) -> u16 {
    match endpoint.transport() {
        Transport::NcacnHttp => HTTP_MAPPER_PORT,
        _ => MAPPER_PORT,
    }
}

/// Elements that are asked for at a time.
const PAGE: u32 = 500;

/// Pages that are asked for at most.
const PAGES: usize = 200;

/// `ept_s_not_registered`: nothing, or nothing more.
const NOT_REGISTERED: u32 = 0x16c9_a0d6;

/// Interfaces by their well-known names.
const KNOWN: &[(&str, &str)] = &[
    ("e1af8308-5d1f-11c9-91a4-08002b14a0fa", "epmapper"),
    ("afa8bd80-7d8a-11c9-bef4-08002b102989", "mgmt"),
    ("333a2276-0000-0000-0d00-00809c000000", "conv"),
    ("60a15ec5-4de8-11d7-a637-005056a20182", "rpcecho"),
    ("12345778-1234-abcd-ef00-0123456789ab", "lsarpc"),
    ("12345778-1234-abcd-ef00-0123456789ac", "samr"),
    ("12345678-1234-abcd-ef00-01234567cffb", "netlogon"),
    ("12345678-1234-abcd-ef00-0123456789ab", "spoolss"),
    ("4b324fc8-1670-01d3-1278-5a47bf6ee188", "srvsvc"),
    ("6bffd098-a112-3610-9833-46c3f87e345a", "wkssvc"),
    ("367abb81-9844-35f1-ad32-98f038001003", "svcctl"),
    ("338cd001-2244-31f1-aaaa-900038001003", "winreg"),
    ("3919286a-b10c-11d0-9ba8-00c04fd92ef5", "dssetup"),
    ("9c54e310-a955-4885-bd31-78787147dfa6", "unixinfo"),
    ("e3514235-4b06-11d1-ab04-00c04fc2dcd2", "drsuapi"),
    ("50abc2a4-574d-40b3-9d66-ee4fd5fba076", "dnsserver"),
    ("3dde7c30-165d-11d1-ab8f-00805f14db40", "backupkey"),
    ("4fc742e0-4a10-11cf-8273-00aa004ae673", "netdfs"),
    ("82273fdc-e32a-18c3-3f78-827929dc23ea", "eventlog"),
    ("1ff70682-0a51-30e8-076d-740be8cee98b", "atsvc"),
    (
        "86d35949-83c9-4044-b424-db363231fd0c",
        "ITaskSchedulerService",
    ),
    ("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57", "IActivation"),
    ("99fcfec4-5260-101b-bbcb-00aa0021347a", "IObjectExporter"),
    ("000001a0-0000-0000-c000-000000000046", "ISystemActivator"),
    ("c681d488-d850-11d0-8c52-00c04fd90f7e", "efsrpc"),
    ("f5cc5a18-4264-101a-8c59-08002b2f8426", "nspi"),
    ("d95afe70-a6d5-4259-822e-2c84da1ddb0d", "InitShutdown"),
    ("894de0c0-0d55-11d3-a322-00c04fa321a1", "initshutdown"),
    ("8d9f4e40-a03d-11ce-8f69-08003e30051b", "ntsvcs"),
    ("cb40d179-1b0c-4bc9-b3f4-6cb0c5ae5d72", "witness"),
    ("5ca4a760-ebb1-11cf-8611-00a0245420ed", "winstation"),
];

/// The name of an interface, if it is well known.
pub(crate) fn name(uuid: Uuid) -> Option<&'static str> {
    let text = uuid.to_string();
    let known = KNOWN.iter().find(|(known, _)| *known == text);
    known.map(|(_, name)| *name)
}

/// The interface with a well-known name.
pub(crate) fn uuid(name: &str) -> Option<Uuid> {
    let known = KNOWN
        .iter()
        .find(|(_, known)| known.eq_ignore_ascii_case(name));
    known.and_then(|(uuid, _)| uuid.parse().ok())
}

/// An interface that a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) uuid: Uuid,
    pub(crate) version: (u16, u16),
}

/// What a server has, by its management interface.
pub(crate) async fn offered(server: &Endpoint, options: Options) -> Result<Vec<Offered>, Error> {
    let client = mgmt::Client::connect_with(server, options).await?;
    let out = client.inq_if_ids().await?;
    let all = out
        .if_id_vector
        .value()
        .into_iter()
        .flat_map(|it| &it.if_id);
    let offered = all.filter_map(|id| id.value()).map(|id| Offered {
        uuid: id.uuid,
        version: (id.vers_major, id.vers_minor),
    });
    Ok(offered.collect())
}

/// The highest version in which an interface can be reached at an endpoint, with or without a port.
pub(crate) async fn version(
    endpoint: &Endpoint,
    uuid: Uuid,
    options: Options,
) -> Result<Option<(u16, u16)>, Error> {
    let is_whole = endpoint.port().is_some() || endpoint.host().is_none();
    if is_whole {
        let offered = offered(endpoint, options).await?;
        let same = offered.iter().filter(|it| it.uuid == uuid);
        return Ok(same.map(|it| it.version).max());
    }
    let mapper = options.mapper.clone();
    let mapper = mapper.unwrap_or_else(|| endpoint.with_port(mapper_port(endpoint)));
    let listed = list(&mapper, options).await?;
    let same = listed.iter().filter(|it| it.uuid == uuid);
    Ok(same.map(|it| it.version).max())
}

/// What a command binds that only wants to hear from a server, and where: the interface that the user names, by UUID or
/// well-known name, in the version that the user says or the highest that there is; without a name the management
/// interface, which every server has and whose own port is the endpoint mapper's.
pub(crate) async fn asked(
    endpoint: &Endpoint,
    wanted: Option<&str>,
    version: Option<&str>,
    options: Options,
) -> Result<(Endpoint, &'static Interface), Failure> {
    match wanted {
        Some(wanted) => {
            let interface = named(endpoint, wanted, version, options).await?;
            Ok((endpoint.clone(), interface))
        }
        None if endpoint.port().is_none() && endpoint.host().is_some() => {
            Ok((endpoint.with_port(mapper_port(endpoint)), &mgmt::INTERFACE))
        }
        None => Ok((endpoint.clone(), &mgmt::INTERFACE)),
    }
}

async fn named(
    endpoint: &Endpoint,
    wanted: &str,
    version: Option<&str>,
    options: Options,
) -> Result<&'static Interface, Failure> {
    let uuid = uuid(wanted)
        .or_else(|| wanted.parse().ok())
        .ok_or_else(|| {
            Failure::new(format!(
                "'{wanted}' is neither a UUID nor a name that is known"
            ))
        })?;
    let (major, minor) = match version {
        Some(version) => parsed(version)?,
        None => {
            let found = self::version(endpoint, uuid, options).await;
            // Whatever is wrong shows when it is bound.
            found.ok().flatten().unwrap_or((1, 0))
        }
    };
    Ok(Box::leak(Box::new(Interface {
        uuid,
        major,
        minor,
        name: String::leak(wanted.to_owned()),
        operations: &[],
        endpoints: &[],
    })))
}

/// `MAJOR` or `MAJOR.MINOR`.
fn parsed(version: &str) -> Result<(u16, u16), Failure> {
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    let number = |text: &str| {
        text.parse()
            .map_err(|_| Failure::new(format!("version '{text}' is not a number")))
    };
    Ok((number(major)?, number(minor)?))
}

/// A way to an interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) uuid: Uuid,
    pub(crate) version: (u16, u16),
    pub(crate) protseq: String,
    /// `10.0.0.1[49664]`, `[name]`; what the mapper said if it is no way that is known.
    pub(crate) address: String,
    pub(crate) object: Option<Uuid>,
    pub(crate) annotation: String,
}

/// Everything that the endpoint mapper at `mapper` lists.
pub(crate) async fn list(mapper: &Endpoint, options: Options) -> Result<BTreeSet<Row>, Error> {
    let client = ept::Client::connect_with(mapper, options).await?;
    let mut rows = BTreeSet::new();
    let mut handle = EptLookupHandleT::default();
    for _ in 0..PAGES {
        let page = client
            .lookup(
                RPC_C_EP_ALL_ELTS,
                &Full::Null,
                &Full::Null,
                RPC_C_VERS_ALL,
                handle,
                PAGE,
            )
            .await?;
        let towers = page.entries.iter().filter_map(|entry| {
            let tower = Tower::parse(&entry.tower.value()?.tower_octet_string).ok()?;
            row(&tower, entry.object, &entry.annotation)
        });
        rows.extend(towers);
        handle = page.entry_handle;
        // Some tell the end by a null handle, some by the status.
        if handle.0 == ContextHandle::default() || page.status == NOT_REGISTERED {
            break;
        }
    }
    Ok(rows)
}

fn row(tower: &Tower, object: Uuid, annotation: &[u8]) -> Option<Row> {
    let interface = tower.interface()?;
    let endpoint = tower.endpoint().unwrap_or_default();
    let host = tower.address().filter(|host| !host.is_unspecified());
    let host = host.map_or_else(String::new, |host| host.to_string());
    Some(Row {
        uuid: interface.uuid,
        version: (interface.major, interface.minor),
        protseq: tower.protseq().map_or("-", |it| it.name()).to_owned(),
        address: format!("{host}[{endpoint}]"),
        object: Some(object).filter(|object| !object.is_nil()),
        annotation: String::from_utf8_lossy(annotation)
            .chars()
            .filter(|c| !c.is_control())
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_uuids_and_no_uuid_has_two() {
        let mut seen = BTreeSet::new();
        for (uuid, _) in KNOWN {
            let parsed: Uuid = uuid.parse().expect(uuid);
            assert_eq!(parsed.to_string(), *uuid);
            assert!(seen.insert(parsed), "{uuid} twice");
        }
        assert_eq!(name(ept::INTERFACE.uuid), Some("epmapper"));
        assert_eq!(name(Uuid::NIL), None);
    }
}
