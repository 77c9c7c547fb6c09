//! Daemons of ONC RPC under TLS, and the commands that call them: who is let in, and certificates that are exchanged.

mod common;

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use common::{Daemon, Ran, farcall};
use farcall::generated::calc;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

/// Files of certificates are made this long, so that only their content tells one from another.
const LONG: usize = 4096;

/// An authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("signed"))
    }

    /// Puts the authority into `ca.pem`.
    fn trusted(&self, place: &Path, name: &str) -> String {
        put(place, name, &self.0.pem())
    }

    /// Puts a certificate for this machine, and its key, into `NAME.pem` and `NAME.key`.
    fn issue(&self, place: &Path, name: &str) -> [String; 2] {
        self.issue_until(place, name, 2090)
    }

    fn issue_until(&self, place: &Path, name: &str, year: i32) -> [String; 2] {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("signed").pem();
        [
            put(place, &format!("{name}.pem"), &certificate),
            put(place, &format!("{name}.key"), &key.serialize_pem()),
        ]
    }
}

/// Writes a file that has the length and the time of all others of these tests.
fn put(place: &Path, name: &str, text: &str) -> String {
    let path = place.join(name);
    std::fs::write(&path, format!("{text:\n<LONG$}")).expect("written");
    let file = File::options().append(true).open(&path).expect("there");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("old");
    path.to_str().expect("text").to_owned()
}

/// A daemon that shows the certificate `server` of this authority.
fn daemon(args: &[&str], place: &Path, authority: &Authority, more: &[&str]) -> (Daemon, String) {
    let [cert, key] = authority.issue(place, "server");
    let tls = ["--tls-cert", &cert, "--tls-key", &key];
    let listen = ["-l", "tls://127.0.0.1:0"];
    Daemon::start(&[args, &listen, &tls, more].concat()).with_endpoint()
}

fn run(args: &[&str], more: &[&str]) -> Ran {
    farcall(&[args, more].concat())
}

#[test]
fn the_binder_and_the_echo_server_are_called_under_tls_by_every_command() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let authority = Authority::new();
    let ca = ["--ca", &authority.trusted(place, "ca.pem")];
    let mutual = ["--tls-ca", ca[1], "--tls-policy", "mutual"];
    let [cert, key] = authority.issue(place, "alice");
    let alice = [&ca[..], &["--cert", &cert, "--key", &key]].concat();
    let (_binder, binder) = daemon(&["binder"], place, &authority, &mutual);
    // Whoever does not say what is called finds a program through which TLS can be asked for, in a version that there is.
    run(&["ping", &binder, "-c", "1"], &alice).ok();
    run(&["ping", &binder, "rpcbind", "-c", "1"], &alice).ok();
    run(&["trace", &binder, "rpcbind"], &alice).ok();
    let told = run(&["describe", &binder], &alice).ok();
    assert!(
        told.contains("program 100000 (rpcbind) versions 2 to 4"),
        "{told}"
    );
    run(&["ping", &binder, "nfs", "3", "-c", "1"], &alice).fails(
        2,
        &[
            "secure: program unavailable",
            "hint: it was asked for TLS through program 100003 version 3",
        ],
    );
    let echo = ["echo", "--register", "none", "--no-anonymous"];
    let (_echo, echo) = daemon(&echo, place, &authority, &["--tls-ca", ca[1]]);
    let told = run(&["ls", &binder], &alice).ok();
    assert!(told.contains("rpcbind"), "{told}");
    run(&["ping", &binder, "rpcbind", "4", "-c", "1"], &alice).ok();
    // The server says so when the handshake is over, and what is called then gets no answer.
    run(&["ping", &binder, "rpcbind", "4", "-c", "1"], &ca).fails(2, &["certificate", "hint: "]);
    let add = ["call", &echo, "--idl", "idl/calc.x", "ADD", "[40, 2]"];
    assert_eq!(run(&add, &alice).ok().trim(), "42");
    run(&add, &ca).fails(1, &["AUTH_TOOWEAK"]);
    let sys = [&ca[..], &["--auth", "sys"]].concat();
    run(&add, &sys).fails(1, &["AUTH_TOOWEAK"]);
    let load = ["bench", &echo, "--idl", "idl/calc.x", "--op", "ADD"];
    let load = [&load[..], &["--args", "[1, 2]", "-d", "0.1", "--json"]].concat();
    let load = run(&load, &alice).json();
    assert!(load["answered"].as_u64() > Some(0) && load["failed"] == 0);
    let [cert, key] = authority.issue_until(place, "late", 2001);
    let late = [&ca[..], &["--cert", &cert, "--key", &key]].concat();
    run(&add, &late).fails(2, &["expired"]);
    run(&add, &[]).fails(2, &["certificate", "hint: "]);
    let clear = echo.replace("tls://", "tcp://");
    let add = ["call", &clear, "--idl", "idl/calc.x", "ADD", "[40, 2]"];
    run(&add, &[]).fails(1, &["AUTH_TOOWEAK"]);
}

#[test]
fn on_sighup_certificates_are_read_again_and_what_is_wrong_with_them_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let (old, new) = (Authority::new(), Authority::new());
    let trusts = |authority: &Authority, name| ["--ca".to_owned(), authority.trusted(place, name)];
    let (with_old, with_new) = (trusts(&old, "old.pem"), trusts(&new, "new.pem"));
    let calculator = calc::v1::PROGRAM.number.to_string();
    for (args, program) in [
        (&["binder"][..], "rpcbind"),
        (&["echo", "--register", "none"], &calculator),
        (
            &["nfs3", place.to_str().unwrap(), "--register", "none"],
            "nfs",
        ),
    ] {
        let (daemon, endpoint) = daemon(args, place, &old, &[]);
        let ping = |trust: &[String; 2]| {
            run(
                &["ping", &endpoint, program, "-c", "1"],
                &trust.each_ref().map(String::as_str),
            )
            .code
        };
        assert_eq!((ping(&with_old), ping(&with_new)), (0, 2), "{args:?}");
        new.issue(place, "server");
        // A key that is another certificate's.
        let right = std::fs::read_to_string(place.join("server.key")).unwrap();
        put(
            place,
            "server.key",
            &KeyPair::generate().unwrap().serialize_pem(),
        );
        daemon.signal("HUP");
        assert_eq!((ping(&with_old), ping(&with_new)), (0, 2), "{args:?}");
        put(place, "server.key", right.trim_end());
        daemon.signal("HUP");
        let end = Instant::now() + Duration::from_secs(60);
        while ping(&with_new) != 0 {
            assert!(Instant::now() < end, "{args:?}: not read again");
        }
        assert_eq!(ping(&with_old), 2, "{args:?}");
        daemon.signal("TERM");
        assert_eq!(daemon.code(), Some(0), "{args:?}");
    }
}
