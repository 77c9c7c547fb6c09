//! MOUNT version 3 for the library's server (RFC 1813, appendix I): from a path to a handle.
//!
//! Versions 1 and 2 hand out the shorter handles of NFS version 2, which is not served here.

use farcall::generated::mount as wire;
use farcall::stub::Registered;
use farcall::{Call, Refuse};
use farcall_onc::auth::Flavor;
use farcall_wire::Str;

use crate::nfs::{address, flavor};
use crate::server::Nfs3;
use crate::status::Status;

/// MNT looks at the disk; the rest does not.
const MNT: u32 = 1;

impl Nfs3 {
    /// The MOUNT service, program 100005 version 3.
    pub fn mount_service(&self) -> Registered {
        wire::v3::service(Service(self.clone())).blocking(&[MNT])
    }
}

/// A flavor as MOUNT writes it, in a signed number.
fn number(flavor: Flavor) -> i32 {
    i32::from_be_bytes(flavor.0.to_be_bytes())
}

struct Service(Nfs3);

impl wire::v3::Server for Service {
    async fn mnt(&self, call: &Call, path: Str) -> Result<wire::Mountres3, Refuse> {
        let (exports, peer) = (&self.0.exports, address(call));
        let mounted = exports
            .mount(path.as_bytes(), peer, self.0.user(call), flavor(call))
            .and_then(|handle| Ok((handle, exports.open(&handle, peer)?.0)));
        let host = host(call);
        tracing::info!(%host, ?peer, path = %path, refused = ?mounted.as_ref().err(), "mount");
        Ok(match mounted {
            Ok((handle, export)) => {
                self.0.mounts.add(&host, path.as_bytes());
                wire::Mountres3::Mnt3Ok(wire::Mountres3Ok {
                    fhandle: handle.to_vec(),
                    auth_flavors: export.flavors().iter().map(|it| number(*it)).collect(),
                })
            }
            Err(status) => wire::Mountres3::Default(stat(status)),
        })
    }

    async fn dump(&self, _: &Call) -> Result<wire::Mountlist, Refuse> {
        let mounts = self.0.mounts.list().into_iter();
        Ok(mounts
            .map(|mount| wire::Mountbody {
                ml_hostname: Str::from(mount.host.as_str()),
                ml_directory: Str::from(mount.path),
            })
            .collect())
    }

    async fn umnt(&self, call: &Call, path: Str) -> Result<(), Refuse> {
        self.0.mounts.remove(&host(call), Some(path.as_bytes()));
        Ok(())
    }

    async fn umntall(&self, call: &Call) -> Result<(), Refuse> {
        self.0.mounts.remove(&host(call), None);
        Ok(())
    }

    async fn export(&self, _: &Call) -> Result<wire::Exports, Refuse> {
        let exports = self.0.exports.iter();
        Ok(exports
            .map(|export| wire::Exportnode {
                ex_dir: Str::from(export.name().to_vec()),
                ex_groups: groups(export),
            })
            .collect())
    }
}

/// The networks of an export as clients list them; no entry means everybody.
fn groups(export: &crate::export::Export) -> wire::Groups {
    if export.is_for_all() {
        return Vec::new();
    }
    let networks = export.networks().iter();
    networks
        .map(|network| wire::Groupnode {
            gr_name: Str::from(network.to_string().as_str()),
        })
        .collect()
}

/// By what a caller is remembered.
fn host(call: &Call) -> String {
    address(call).map_or_else(|| "localhost".to_owned(), |address| address.to_string())
}

fn stat(status: Status) -> wire::Mountstat3 {
    use wire::Mountstat3 as To;
    match status {
        Status::Perm => To::Mnt3ErrPerm,
        Status::NoEnt => To::Mnt3ErrNoent,
        Status::Io => To::Mnt3ErrIo,
        Status::Acces => To::Mnt3ErrAcces,
        Status::NotDir => To::Mnt3ErrNotdir,
        Status::Inval => To::Mnt3ErrInval,
        Status::NameTooLong => To::Mnt3ErrNametoolong,
        Status::NotSupp => To::Mnt3ErrNotsupp,
        _ => To::Mnt3ErrServerfault,
    }
}
