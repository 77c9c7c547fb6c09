//! nfs-ganesha with its file system in memory. It uses fixed ports and `/run`, so it belongs into a
//! [network](crate::network) of the test's own, beside an rpcbind or a binder.

use std::io;
use std::process::Command;

use super::{Process, find};

/// Who may come, and as whom: the parts of its configuration that differ.
const PLAIN: [&str; 2] = ["Active_krb5 = false;", "sys,none"];

fn configuration([kerberos, security]: [&str; 2]) -> String {
    format!(
        "
NFS_CORE_PARAM {{ Protocols = 3; NFS_Port = 2049; MNT_Port = 20048; Enable_NLM = false;
    Enable_RQUOTA = false; mount_path_pseudo = false; }}
NFS_KRB5 {{ {kerberos} }}
NFSv4 {{ Grace_Period = 5; Lease_Lifetime = 5; RecoveryRoot = \"/run/ganesha/rec\"; }}
EXPORT {{ Export_ID = 77; Path = \"/mem\"; Pseudo = \"/mem\"; Access_Type = RW; Squash = No_Root_Squash;
    SecType = {security}; Protocols = 3; Transports = TCP,UDP; Filesystem_id = 7.7; FSAL {{ Name = MEM; }} }}
MEM {{ Inode_Size = 1114112; }}
"
    )
}

/// Starts it: NFS at port 2049, MOUNT at 20048, the export `/mem`. Its files lie below the `/run` of this test's own.
///
/// # Errors
/// When it is not installed.
pub fn start() -> io::Result<Process> {
    start_with(&configuration(PLAIN), &[])
}

/// As [`start`], for callers that Kerberos has proved alone; `service` is the first part of the principal whose keys the
/// environment's keytab has, such as `nfs`.
///
/// # Errors
/// When it is not installed.
pub fn start_guarded(service: &str, environment: &[(&str, String)]) -> io::Result<Process> {
    let keytab = environment.iter().find(|(name, _)| *name == "KRB5_KTNAME");
    let keytab = keytab.map(|(_, value)| value.trim_start_matches("FILE:"));
    let kerberos = format!(
        "Active_krb5 = true; PrincipalName = \"{service}\"; KeytabPath = \"{}\"; CCacheDir = \"/run/ganesha\";",
        keytab.unwrap_or_default()
    );
    start_with(&configuration([&kerberos, "krb5,krb5i,krb5p"]), environment)
}

fn start_with(configuration: &str, environment: &[(&str, String)]) -> io::Result<Process> {
    std::fs::create_dir_all("/run/ganesha/rec")?;
    std::fs::write("/run/ganesha/conf", configuration)?;
    let program = find("ganesha.nfsd").ok_or_else(|| io::Error::other("no ganesha.nfsd"))?;
    let mut command = Command::new(program);
    let (conf, log, pid) = ("/run/ganesha/conf", "/run/ganesha/log", "/run/ganesha/pid");
    command.args(["-F", "-f", conf, "-L", log, "-p", pid]);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    Process::start("ganesha", &mut command)
}
