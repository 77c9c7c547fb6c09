//! unixinfo, of the Samba project: what the user database says of users.

use std::os::unix::ffi::OsStrExt;

use farcall::stub::Registered;
use farcall::{Call, Refuse};
use farcall_wire::Str;
use nix::unistd::{Uid, User};

use stub::UnixinfoGetPwUidInfo;
use stub::unixinfo::{GetPwUidOut, Server};

/// The generated stub.
#[allow(dead_code, missing_docs, unreachable_pub, clippy::all)]
mod stub {
    include!(concat!(env!("OUT_DIR"), "/unixinfo.rs"));
}

/// `STATUS_NO_SUCH_USER`.
const NO_SUCH_USER: i32 = 0xc000_0064_u32.cast_signed();

struct Unixinfo;

/// The interface as a service.
pub(super) fn service() -> Registered {
    // The user database may be a file or a far server.
    stub::unixinfo::service(Unixinfo).blocking(&[4])
}

impl Server for Unixinfo {
    async fn get_pw_uid(
        &self,
        _: &Call,
        count: u32,
        uids: Vec<u64>,
    ) -> Result<GetPwUidOut, Refuse> {
        Ok(GetPwUidOut {
            count,
            infos: uids.into_iter().map(info).collect(),
            result: 0,
        })
    }
}

fn info(uid: u64) -> UnixinfoGetPwUidInfo {
    let user = u32::try_from(uid).ok().map(Uid::from_raw);
    let Some(Ok(Some(user))) = user.map(User::from_uid) else {
        return UnixinfoGetPwUidInfo {
            status: NO_SUCH_USER,
            ..UnixinfoGetPwUidInfo::default()
        };
    };
    let text = |path: &std::path::Path| Some(Str::from(path.as_os_str().as_bytes().to_vec()));
    UnixinfoGetPwUidInfo {
        status: 0,
        homedir: text(&user.dir),
        shell: text(&user.shell),
    }
}
