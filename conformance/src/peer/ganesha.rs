//! nfs-ganesha with its file system in memory. It uses fixed ports and `/run`, so it belongs into a
//! [network](crate::network) of the test's own, beside an rpcbind or a binder.

use std::io;
use std::process::Command;

use super::{Process, find};

const GANESHA: &str = "
NFS_CORE_PARAM { Protocols = 3; NFS_Port = 2049; MNT_Port = 20048; Enable_NLM = false;
    Enable_RQUOTA = false; mount_path_pseudo = false; }
NFS_KRB5 { Active_krb5 = false; }
NFSv4 { Grace_Period = 5; Lease_Lifetime = 5; RecoveryRoot = \"/run/ganesha/rec\"; }
EXPORT { Export_ID = 77; Path = \"/mem\"; Pseudo = \"/mem\"; Access_Type = RW; Squash = No_Root_Squash;
    SecType = sys,none; Protocols = 3; Transports = TCP,UDP; Filesystem_id = 7.7; FSAL { Name = MEM; } }
MEM { Inode_Size = 1114112; }
";

/// Starts it: NFS at port 2049, MOUNT at 20048, the export `/mem`. Its files lie below the `/run` of this test's own.
///
/// # Errors
/// When it is not installed.
pub fn start() -> io::Result<Process> {
    std::fs::create_dir_all("/run/ganesha/rec")?;
    std::fs::write("/run/ganesha/conf", GANESHA)?;
    let program = find("ganesha.nfsd").ok_or_else(|| io::Error::other("no ganesha.nfsd"))?;
    let mut command = Command::new(program);
    let (conf, log, pid) = ("/run/ganesha/conf", "/run/ganesha/log", "/run/ganesha/pid");
    command.args(["-F", "-f", conf, "-L", log, "-p", pid]);
    Process::start("ganesha", &mut command)
}
