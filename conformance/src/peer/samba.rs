//! A domain controller of Samba: Active Directory's RPC services and KDC, on loopback.
//!
//! It answers over TCP with NTLM, SPNEGO and Kerberos at every level, and its KDC lets real
//! Kerberos clients come to a server of ours. The domain is made once and kept below `target/`;
//! each test starts a copy, in a network of its own ([`network_test!`](crate::network_test)),
//! where ports 88 and 135 are free and host names are what we say.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::LIMIT;
use super::{Process, Scratch, find, python};
use crate::network;

/// The realm of Kerberos, and the DNS name of the domain in capitals.
pub const REALM: &str = "DCE.TEST";

/// The domain, as NTLM names it.
pub const DOMAIN: &str = "DCE";

/// The domain controller.
pub const HOST: &str = "dcedc.dce.test";

/// An administrator of the domain.
pub const ADMINISTRATOR: &str = "Administrator";

/// The administrator's password.
pub const PASSWORD: &str = "Passw0rd!Dce";

/// A user of the domain, who may do little.
pub const USER: &str = "fred";

/// The user's password.
pub const USER_PASSWORD: &str = "Fr3d!Flintstone";

/// A machine of the domain: the one that a server of ours runs on. It has an account with keys of
/// AES, and [`KEYTAB`] has them.
pub const OUR_HOST: &str = "ours.dce.test";

/// Another name of that machine, with an account of its own whose key is of RC4 alone. It is in
/// the same keytab.
pub const OUR_OLD_HOST: &str = "older.dce.test";

/// The keys of [`OUR_HOST`] and [`OUR_OLD_HOST`]: what `KRB5_KTNAME` names in a test's network.
pub const KEYTAB: &str = "/run/krb5.keytab";

/// The programs that this needs.
pub const NEEDS: &[&str] = &["samba", "samba-tool", "kinit"];

/// Changes when domains are made in another way, so that older ones are not used.
const RECIPE: u32 = 2;

/// What a name server would say in the network of a test.
const HOSTS: &str = "\
127.0.0.1 localhost
::1 localhost
127.0.0.1 dcedc.dce.test dcedc
127.0.0.1 ours.dce.test ours
127.0.0.1 older.dce.test older
";

/// A running domain controller.
#[derive(Debug)]
pub struct Domain {
    process: Process,
    scratch: Scratch,
}

impl Domain {
    /// Starts a domain controller with a fresh copy of the domain. Only in a network of a test's
    /// own.
    ///
    /// # Errors
    /// When the domain cannot be made or the controller does not come up.
    pub fn start() -> io::Result<Self> {
        Self::with_services("rpc, kdc")
    }

    /// The same with winbindd, which `ntlm_auth` asks.
    ///
    /// # Errors
    /// When the domain cannot be made or the controller does not come up.
    pub fn with_winbind() -> io::Result<Self> {
        fs::create_dir_all("/run/samba")?;
        let domain = Self::with_services("rpc, kdc, ldap, winbindd")?;
        let pipe = Path::new("/run/samba/winbindd/pipe");
        let begun = std::time::Instant::now();
        while !pipe.exists() {
            if begun.elapsed() > LIMIT {
                return Err(io::Error::other("winbindd does not come up"));
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Ok(domain)
    }

    fn with_services(services: &str) -> io::Result<Self> {
        let made = made()?;
        network::hosts(HOSTS)?;
        let scratch = Scratch::new("samba")?;
        let copied = Command::new("cp")
            .args(["-a", "--reflink=auto", "--sparse=always"])
            .args([made.join("."), scratch.file("dc")])
            .status()?;
        if !copied.success() {
            return Err(io::Error::other("copy the domain"));
        }
        write_configuration(&scratch.file("dc"), services)?;
        client_configuration(&scratch)?;
        fs::write("/run/krb5.conf", kerberos_configuration())?;
        fs::copy(scratch.file("dc/ours.keytab"), KEYTAB)?;
        let program = find("samba").ok_or_else(|| io::Error::other("no samba"))?;
        let mut command = Command::new(program);
        command.arg("-s").arg(scratch.file("dc/smb.conf"));
        command.args(["-F", "--no-process-group", "-M", "single", "--debug-stdout"]);
        let mut process = Process::start("samba", &mut command)?;
        for port in [135, 88] {
            process.port(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        }
        Ok(Self { process, scratch })
    }

    /// The configuration for clients of Samba's.
    pub fn client_configuration(&self) -> PathBuf {
        self.scratch.file("client.conf")
    }

    /// The configuration of the controller, for its own tools.
    pub fn configuration(&self) -> PathBuf {
        self.scratch.file("dc/smb.conf")
    }

    /// A folder for more files.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// What the controller has printed so far.
    pub fn printed(&self) -> String {
        self.process.output()
    }

    /// Gets a ticket for a user: from now on, Kerberos clients of this test are that user.
    ///
    /// # Errors
    /// When the KDC gives none.
    pub fn log_in(&self, user: &str, password: &str) -> io::Result<()> {
        let given = self.scratch.file("given");
        fs::write(&given, format!("{password}\n"))?;
        let mut command = Command::new("kinit");
        command.arg(format!("{user}@{REALM}"));
        let done = command.stdin(File::open(&given)?).output()?;
        fs::remove_file(&given)?;
        if done.status.success() {
            return Ok(());
        }
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        Err(io::Error::other(format!("kinit: {error}")))
    }
}

/// Writes a configuration for clients of Samba's to `client.conf` in a folder, and says where it
/// lies. Clients need no domain controller for it.
///
/// # Errors
/// What the file system says.
pub fn client_configuration(scratch: &Scratch) -> io::Result<PathBuf> {
    let own = scratch.file("client");
    fs::create_dir_all(&own)?;
    let place = scratch.file("client.conf");
    let own = own.display();
    let text = format!(
        "[global]\n workgroup = {DOMAIN}\n realm = {REALM}\n interfaces = lo\n private dir = {own}\n \
         lock directory = {own}\n state directory = {own}\n cache directory = {own}\n \
         pid directory = {own}\n ncalrpc dir = {own}\n"
    );
    fs::write(&place, text)?;
    Ok(place)
}

fn kerberos_configuration() -> String {
    format!(
        "[libdefaults]\n default_realm = {REALM}\n dns_lookup_realm = false\n \
         dns_lookup_kdc = false\n rdns = false\n udp_preference_limit = 1\n[realms]\n {REALM} = \
         {{\n  kdc = 127.0.0.1\n }}\n[domain_realm]\n .dce.test = {REALM}\n"
    )
}

/// Writes the controller's configuration into its folder.
fn write_configuration(folder: &Path, services: &str) -> io::Result<()> {
    for part in ["cache", "lock", "run", "ncalrpc"] {
        fs::create_dir_all(folder.join(part))?;
    }
    let at = folder.display();
    let text = format!(
        "[global]\n workgroup = {DOMAIN}\n realm = {REALM}\n netbios name = DCEDC\n \
         server role = active directory domain controller\n server services = {services}\n \
         bind interfaces only = yes\n interfaces = lo\n private dir = {at}/private\n \
         state directory = {at}/state\n cache directory = {at}/cache\n \
         lock directory = {at}/lock\n pid directory = {at}/run\n ncalrpc dir = {at}/ncalrpc\n \
         binddns dir = {at}/bind-dns\n log file = {at}/log\n tls enabled = no\n \
         allow dcerpc auth level connect = yes\n"
    );
    fs::write(folder.join("smb.conf"), text)
}

/// The folder of the domain, which is made if this machine has none yet. Only one test makes it;
/// others wait.
fn made() -> io::Result<PathBuf> {
    let cache = super::cache();
    fs::create_dir_all(&cache)?;
    let place = cache.join(format!("domain-{}-{RECIPE}", version()?));
    let lock = File::create(cache.join("domain.lock"))?;
    lock.lock()?;
    if !place.is_dir() {
        let unfinished = cache.join("domain.unfinished");
        if unfinished.is_dir() {
            fs::remove_dir_all(&unfinished)?;
        }
        make(&unfinished)?;
        fs::rename(&unfinished, &place)?;
    }
    Ok(place)
}

/// The version of Samba, such as `4.17.12-Debian`.
fn version() -> io::Result<String> {
    let (_, printed) = Process::run("samba", Command::new("samba").arg("--version"))?;
    let version = printed.split_whitespace().last();
    Ok(version.unwrap_or("unknown").to_owned())
}

/// Makes the domain: the controller, the user, and our machine with its keys.
fn make(folder: &Path) -> io::Result<()> {
    let mut target = std::ffi::OsString::from("--targetdir=");
    target.push(folder);
    let mut command = Command::new("samba-tool");
    command.args([
        "domain",
        "provision",
        "--server-role=dc",
        "--host-name=dcedc",
    ]);
    command.args(["--host-ip=127.0.0.1", "--dns-backend=NONE"]);
    command.args([
        "--option=bind interfaces only=yes",
        "--option=interfaces=lo",
    ]);
    command
        .arg(format!("--realm={REALM}"))
        .arg(format!("--domain={DOMAIN}"));
    command.arg(format!("--adminpass={PASSWORD}")).arg(target);
    tool(&mut command)?;
    write_configuration(folder, "rpc, kdc")?;
    let mut command = python::samba_script("samba_domain.py");
    command.args([folder.join("smb.conf"), folder.join("ours.keytab")]);
    command.args([USER, USER_PASSWORD, OUR_HOST, OUR_OLD_HOST]);
    tool(&mut command)
}

/// Runs a step of making the domain, which must succeed.
fn tool(command: &mut Command) -> io::Result<()> {
    let (status, printed) = Process::run_within("make a domain", command, LIMIT * 6)?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("make a domain: {printed}")))
}
