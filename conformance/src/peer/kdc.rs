//! An MIT key distribution centre for one test, at a port of its own on loopback, with its own configuration.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use super::{Process, Scratch, find};

/// Its realm.
pub const REALM: &str = "FARCALL.TEST";

/// The service that tests ask for.
pub const SERVICE: &str = "host/farcall.test";

/// The user that tests are.
pub const USER: &str = "alice";

/// And her password.
pub const PASSWORD: &str = "Correct-horse-7";

/// A kind of key, in the names that MIT gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyKind(pub &'static str);

impl KeyKind {
    /// AES with 256 bits and SHA-1.
    pub const AES256: Self = Self("aes256-cts-hmac-sha1-96");
    /// AES with 128 bits and SHA-1.
    pub const AES128: Self = Self("aes128-cts-hmac-sha1-96");
    /// AES with 256 bits and SHA-2.
    pub const AES256_SHA2: Self = Self("aes256-cts-hmac-sha384-192");
    /// AES with 128 bits and SHA-2.
    pub const AES128_SHA2: Self = Self("aes128-cts-hmac-sha256-128");
    /// RC4.
    pub const RC4: Self = Self("arcfour-hmac");
}

/// A running centre with one user and one service.
#[derive(Debug)]
pub struct Kdc {
    _process: Process,
    scratch: Scratch,
    address: SocketAddr,
}

impl Kdc {
    /// Starts one that knows this kind of key alone.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(kind: KeyKind) -> io::Result<Self> {
        Self::start_at(kind, free()?.port())
    }

    /// The same at a port of the caller's choice.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_at(kind: KeyKind, port: u16) -> io::Result<Self> {
        let scratch = Scratch::new("kdc")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        configure(&scratch, address, kind)?;
        let run = |program: &str, arguments: &[&str]| {
            let mut command = tool(&scratch, program)?;
            let done = command.args(["-r", REALM]).args(arguments).output()?;
            let error = String::from_utf8_lossy(&done.stderr);
            match done.status.success() {
                true => Ok(()),
                false => Err(io::Error::other(format!("{program}: {error}"))),
            }
        };
        run("kdb5_util", &["create", "-s", "-P", "master"])?;
        let keytab = scratch.file("keytab");
        for query in [
            format!("addprinc +requires_preauth -pw {PASSWORD} {USER}"),
            format!("addprinc -randkey {SERVICE}"),
            format!("ktadd -k {} {SERVICE}", keytab.display()),
        ] {
            run("kadmin.local", &["-q", &query])?;
        }
        let mut command = tool(&scratch, "krb5kdc")?;
        let mut process = Process::start("krb5kdc", command.arg("-n"))?;
        process.port(address)?;
        Ok(Self {
            _process: process,
            scratch,
            address,
        })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes another service, whose keys go into the same file.
    ///
    /// # Errors
    /// When the centre's tools refuse.
    pub fn serve(&self, service: &str) -> io::Result<()> {
        let keytab = self.keytab();
        for query in [
            format!("addprinc -randkey {service}"),
            format!("ktadd -k {} {service}", keytab.display()),
        ] {
            let mut command = tool(&self.scratch, "kadmin.local")?;
            let done = command.args(["-r", REALM, "-q", &query]).output()?;
            if !done.status.success() {
                let error = String::from_utf8_lossy(&done.stderr).into_owned();
                return Err(io::Error::other(error));
            }
        }
        Ok(())
    }

    /// Puts configuration, keys and tickets where processes of a [network of the test's own](crate::network::KERBEROS)
    /// look for them, this one included.
    ///
    /// # Errors
    /// What the system says.
    pub fn adopt(&self) -> io::Result<()> {
        let theirs = self.environment();
        for (name, to) in crate::network::KERBEROS {
            let from = theirs.iter().find(|(other, _)| *other == name);
            let from = from.map(|(_, value)| value.as_str()).unwrap_or_default();
            let path = |value: &'static str| value.trim_start_matches("FILE:");
            let from = from.trim_start_matches("FILE:");
            if std::path::Path::new(from).exists() {
                std::fs::copy(from, path(to))?;
            }
        }
        Ok(())
    }

    /// Gets the user a ticket, where the [environment](Self::environment) has tickets.
    ///
    /// # Errors
    /// When the centre gives none.
    pub fn kinit(&self) -> io::Result<()> {
        self.kinit_for("1h")
    }

    /// As [`kinit`](Self::kinit), for a ticket that lives this long, in the notation of `kinit -l`.
    ///
    /// # Errors
    /// When the centre gives none.
    pub fn kinit_for(&self, life: &str) -> io::Result<()> {
        let mut command = tool(&self.scratch, "kinit")?;
        command.envs(self.environment()).args(["-l", life, USER]);
        command.stdin(std::process::Stdio::piped());
        let mut kinit = command.spawn()?;
        if let Some(mut stdin) = kinit.stdin.take() {
            writeln!(stdin, "{PASSWORD}")?;
        }
        match kinit.wait()?.success() {
            true => Ok(()),
            false => Err(io::Error::other("kinit failed")),
        }
    }

    /// Gets the user a ticket that is good for a second, and waits until it is not any more.
    ///
    /// # Errors
    /// When the centre gives none.
    pub fn kinit_expired(&self) -> io::Result<()> {
        let mut command = tool(&self.scratch, "kinit")?;
        command.envs(self.environment()).args(["-l", "1s", USER]);
        command.stdin(std::process::Stdio::piped());
        let mut kinit = command.spawn()?;
        if let Some(mut stdin) = kinit.stdin.take() {
            writeln!(stdin, "{PASSWORD}")?;
        }
        if !kinit.wait()?.success() {
            return Err(io::Error::other("kinit failed"));
        }
        // klist calls a ticket old in its last second, in which the library still takes it: it is the library that is asked.
        let started = std::time::Instant::now();
        loop {
            let mut command = tool(&self.scratch, "kvno")?;
            let asked = command.envs(self.environment()).arg(SERVICE).output()?;
            let said = String::from_utf8_lossy(&asked.stderr).into_owned();
            if said.contains("expired") {
                return Ok(());
            }
            if started.elapsed() > std::time::Duration::from_secs(30) {
                return Err(io::Error::other(format!(
                    "the ticket is still good: {said}"
                )));
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    /// Gives the service new keys, which are added to its keytab.
    ///
    /// # Errors
    /// When the centre makes none.
    pub fn new_service_keys(&self) -> io::Result<()> {
        let query = format!("ktadd -k {} {SERVICE}", self.keytab().display());
        let mut command = tool(&self.scratch, "kadmin.local")?;
        let done = command.args(["-r", REALM, "-q", &query]).output()?;
        match done.status.success() {
            true => Ok(()),
            false => Err(io::Error::other("kadmin.local failed")),
        }
    }

    /// The service's keys.
    pub fn keytab(&self) -> PathBuf {
        self.scratch.file("keytab")
    }

    /// The service's key as bytes, for peers that read no keytab.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn service_key(&self) -> io::Result<Vec<u8>> {
        let done = Command::new(find("klist").unwrap_or_default())
            .args(["-K", "-k"])
            .arg(self.keytab())
            .output()?;
        let text = String::from_utf8_lossy(&done.stdout);
        let key = text
            .split_once("(0x")
            .and_then(|(_, rest)| rest.split(')').next());
        super::talk::from_hex(key.unwrap_or("no key"))
    }

    /// What a process needs in its environment to use it, as a client or as the service. No tickets are found but those in a file that
    /// is not there yet.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let file = |name: &str| self.scratch.file(name).display().to_string();
        vec![
            ("KRB5_CONFIG", file("krb5.conf")),
            ("KRB5_KTNAME", format!("FILE:{}", file("keytab"))),
            ("KRB5CCNAME", format!("FILE:{}", file("tickets"))),
            ("KRB5RCACHEDIR", self.scratch.path().display().to_string()),
        ]
    }
}

/// A port that nothing listens at now.
fn free() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn tool(scratch: &Scratch, program: &str) -> io::Result<Command> {
    let path = find(program).ok_or_else(|| io::Error::other(format!("no {program}")))?;
    let mut command = Command::new(path);
    command
        .env("KRB5_CONFIG", scratch.file("krb5.conf"))
        .env("KRB5_KDC_PROFILE", scratch.file("kdc.conf"));
    Ok(command)
}

fn configure(scratch: &Scratch, address: SocketAddr, kind: KeyKind) -> io::Result<()> {
    let kind = kind.0;
    let file = |name: &str| scratch.file(name).display().to_string();
    let client = format!(
        "[libdefaults]\n\
         default_realm = {REALM}\n\
         dns_lookup_kdc = false\n\
         dns_lookup_realm = false\n\
         rdns = false\n\
         dns_canonicalize_hostname = false\n\
         allow_weak_crypto = true\n\
         allow_rc4 = true\n\
         permitted_enctypes = {kind}\n\
         [realms]\n\
         {REALM} = {{\n\
         kdc = {address}\n\
         }}\n\
         [domain_realm]\n\
         farcall.test = {REALM}\n"
    );
    let centre = format!(
        "[kdcdefaults]\n\
         kdc_listen = {address}\n\
         kdc_tcp_listen = {address}\n\
         [realms]\n\
         {REALM} = {{\n\
         database_name = {}\n\
         key_stash_file = {}\n\
         acl_file = {}\n\
         master_key_type = aes256-cts-hmac-sha1-96\n\
         supported_enctypes = {kind}:normal\n\
         }}\n\
         [logging]\n\
         kdc = STDERR\n",
        file("principal"),
        file("stash"),
        file("acl"),
    );
    std::fs::write(scratch.file("krb5.conf"), client)?;
    std::fs::write(scratch.file("kdc.conf"), centre)
}
