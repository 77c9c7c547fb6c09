//! An MIT key distribution centre for the rows under `RPCSEC_GSS`, with one user and one service, below `target/kdc`.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::house::available;

const REALM: &str = "BENCH.TEST";

/// The service that clients ask for, as GSS-API names it.
pub(crate) const SERVICE: &str = "bench@bench.test";

/// A running centre; it ends with this.
pub(crate) struct Kdc {
    process: Child,
    /// What both ends need in their environment.
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Drop for Kdc {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Starts one and gets the user a ticket, or says why there is none.
pub(crate) fn start() -> Result<Result<Kdc, String>> {
    if !cfg!(feature = "kerberos") {
        return Ok(Err("built without --features kerberos".to_owned()));
    }
    let tools = ["kdb5_util", "kadmin.local", "krb5kdc", "kinit"];
    if let Some(tool) = tools.iter().find(|tool| !available(tool)) {
        return Ok(Err(format!("{tool} is not installed")));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kdc");
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder)?;
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    configure(&folder, &address.to_string())?;
    let file = |name: &str| folder.join(name).display().to_string();
    let environment = vec![
        ("KRB5_CONFIG", file("krb5.conf")),
        ("KRB5_KDC_PROFILE", file("kdc.conf")),
        ("KRB5_KTNAME", format!("FILE:{}", file("keytab"))),
        ("KRB5CCNAME", format!("FILE:{}", file("tickets"))),
        // What is measured is RPCSEC_GSS, not a file of replays.
        ("KRB5RCACHENAME", "none:".to_owned()),
        ("KRB5RCACHETYPE", "none".to_owned()),
    ];
    let tool = |program: &str, arguments: &[&str]| -> Result<Command> {
        let mut command = Command::new(program);
        command.args(arguments).envs(environment.iter().cloned());
        Ok(command)
    };
    let keep = format!("ktadd -k {} bench/bench.test", file("keytab"));
    for (program, arguments) in [
        (
            "kdb5_util",
            vec!["-r", REALM, "create", "-s", "-P", "master"],
        ),
        (
            "kadmin.local",
            vec!["-r", REALM, "-q", "addprinc -pw secret alice"],
        ),
        (
            "kadmin.local",
            vec!["-r", REALM, "-q", "addprinc -randkey bench/bench.test"],
        ),
        ("kadmin.local", vec!["-r", REALM, "-q", &keep]),
    ] {
        let done = tool(program, &arguments)?.output();
        let done = done.with_context(|| program.to_owned())?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "{program}: {said}");
    }
    let mut serving = tool("krb5kdc", &["-n", "-r", REALM])?;
    serving.stdout(Stdio::null()).stderr(Stdio::null());
    let kdc = Kdc {
        process: serving.spawn().context("krb5kdc")?,
        environment: environment.clone(),
    };
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        ensure!(
            begun.elapsed() < Duration::from_secs(30),
            "krb5kdc does not listen"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut kinit = tool("kinit", &["alice"])?;
    kinit.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut kinit = kinit.spawn().context("kinit")?;
    if let Some(mut input) = kinit.stdin.take() {
        writeln!(input, "secret")?;
    }
    ensure!(kinit.wait()?.success(), "kinit got no ticket");
    Ok(Ok(kdc))
}

fn configure(folder: &Path, address: &str) -> Result<()> {
    let file = |name: &str| -> PathBuf { folder.join(name) };
    let client = format!(
        "[libdefaults]\n\
         default_realm = {REALM}\n\
         dns_lookup_kdc = false\n\
         dns_lookup_realm = false\n\
         rdns = false\n\
         dns_canonicalize_hostname = false\n\
         permitted_enctypes = aes256-cts-hmac-sha1-96\n\
         [realms]\n\
         {REALM} = {{\n\
         kdc = {address}\n\
         }}\n\
         [domain_realm]\n\
         bench.test = {REALM}\n"
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
         }}\n",
        file("principal").display(),
        file("stash").display(),
        file("acl").display(),
    );
    std::fs::write(file("krb5.conf"), client)?;
    std::fs::write(file("kdc.conf"), centre)?;
    Ok(())
}
