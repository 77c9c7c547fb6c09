//! `farcall nfs3` with the keys of a service: who comes without Kerberos, or with too little of it, is told so and gets
//! nothing; libtirpc's client and ours come in with each of its services, over TCP and UDP.

use std::path::Path;

use farcall_conformance::peer::farcall::{self, Farcall};
use farcall_conformance::peer::kdc::{Kdc, KeyKind, REALM, USER};
use farcall_conformance::peer::{Scratch, available, rpcbind, tirpc};
use farcall_conformance::{case, network_test};

const PRINCIPAL: &str = "nfs@localhost";

/// libtirpc's name of a service, ours, and the pseudo-flavour.
const SERVICES: [(&str, &str, u32); 3] = [
    ("none", "krb5", 390_003),
    ("integrity", "krb5i", 390_004),
    ("privacy", "krb5p", 390_005),
];

fn ready() -> bool {
    let centre = ["krb5kdc", "kadmin.local", "kdb5_util", "kinit"];
    available(&centre) && available(tirpc::NEEDS) && farcall::available()
}

fn centre() -> Kdc {
    let kdc = Kdc::start(KeyKind::AES256).expect("a centre");
    kdc.serve("nfs/localhost").expect("a service");
    kdc.kinit().expect("a ticket");
    kdc
}

/// The server, with what its clients must show.
fn serve(kdc: &Kdc, directory: &Path, more: &[&str]) -> Farcall {
    let keytab = kdc.keytab();
    let (directory, keytab) = (directory.to_str(), keytab.to_str());
    let mut arguments = vec![
        "nfs3",
        directory.expect("text"),
        "--keytab",
        keytab.expect("text"),
    ];
    arguments.extend(more);
    Farcall::start_with(&arguments, &kdc.environment()).expect("the server")
}

/// What our command says to GETATTR of a handle, or why it does not.
fn attributes(kdc: &Kdc, endpoint: &str, handle: &str, auth: &str) -> Result<String, String> {
    let idl = concat!(env!("CARGO_MANIFEST_DIR"), "/../idl/nfs3.x");
    let json = format!("{{\"object\":{{\"data\":{{\"$base64\":\"{handle}\"}}}}}}");
    let mut command = farcall::command(&[
        "call",
        endpoint,
        "NFSPROC3_GETATTR",
        &json,
        "--idl",
        idl,
        "--json",
    ]);
    command.args(["--auth", auth]).envs(kdc.environment());
    if auth.starts_with("krb5") {
        command.args(["--principal", PRINCIPAL]);
    }
    let done = command.output().expect("run our client");
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    }
}

/// The handle of an export's root, which anybody gets.
fn handle(kdc: &Kdc, endpoint: &str) -> String {
    let idl = concat!(env!("CARGO_MANIFEST_DIR"), "/../idl/mount.x");
    let mut command = farcall::command(&[
        "call",
        endpoint,
        "MOUNTPROC3_MNT",
        "\"/\"",
        "--idl",
        idl,
        "--json",
    ]);
    let done = command
        .envs(kdc.environment())
        .output()
        .expect("run our client");
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let handle = answer["mountinfo"]["fhandle"]["$base64"].as_str();
    handle.expect("a handle").to_owned()
}

network_test! {
    fn an_export_for_privacy_takes_nothing_less() {
        if !ready() {
            return;
        }
        let (kdc, scratch) = (centre(), Scratch::new("nfs3").expect("scratch"));
        let _binder = rpcbind::start().expect("rpcbind");
        let server = serve(&kdc, scratch.path(), &["--sec", "krb5p"]);
        let (endpoint, client) = (&server.endpoints[0], tirpc::NfsClient::build().expect("a client"));
        let root = handle(&kdc, endpoint);
        for weak in ["none", "sys", "krb5", "krb5i"] {
            let said = attributes(&kdc, endpoint, &root, weak).expect_err("too little");
            assert!(said.contains("AUTH_TOOWEAK"), "{weak}: {said}");
        }
        let good = attributes(&kdc, endpoint, &root, "krb5p").expect("attributes");
        assert!(good.contains("NF3DIR"), "{good}");
        for (name, _, _) in SERVICES {
            let said = client.run("tcp", "/", &[name, PRINCIPAL], &kdc.environment()).expect("its client");
            assert!(said.contains("mount: RPC: Success 0 flavors 390005\n"), "{said}");
            let let_in = said.contains("attributes: RPC: Success 0 type 2\n");
            assert_eq!(let_in, name == "privacy", "{name}: {said}");
            assert!(let_in || said.contains("Authentication error"), "{name}: {said}");
        }
        let said = client.run("tcp", "/", &["sys"], &kdc.environment()).expect("its client");
        assert!(said.contains("why = Client credential too weak"), "{said}");
        case::ran("libtirpc", "its client is told by our NFS server that its credential is too weak");
    }

    fn libtirpcs_client_uses_our_nfs_server_with_each_service() {
        if !ready() {
            return;
        }
        let (kdc, scratch) = (centre(), Scratch::new("nfs3").expect("scratch"));
        let _binder = rpcbind::start().expect("rpcbind");
        let _server = serve(&kdc, scratch.path(), &[]);
        let client = tirpc::NfsClient::build().expect("a client");
        for netid in ["tcp", "udp"] {
            for (name, _, _) in SERVICES {
                let said = client.run(netid, "/", &[name, PRINCIPAL], &kdc.environment()).expect("its client");
                let listed = "mount: RPC: Success 0 flavors 390005 390004 390003\n";
                assert!(said.contains(listed), "{name} over {netid}: {said}");
                assert!(said.contains("attributes: RPC: Success 0 type 2\n"), "{name} over {netid}: {said}");
                case::ran("libtirpc", &format!("its client, our NFS server, RPCSEC_GSS {name}, {netid}"));
            }
        }
    }
}

network_test! {
    fn proved_users_of_the_realm_have_their_own_rights_and_no_others() {
        if !ready() || !nix::unistd::geteuid().is_root() {
            return;
        }
        let (kdc, scratch) = (centre(), Scratch::new("nfs3").expect("scratch"));
        let inside = scratch.file("in");
        std::fs::create_dir(&inside).expect("a directory");
        // The user of the tests is nobody on this machine: what she may is what the anonymous user may.
        let idl = concat!(env!("CARGO_MANIFEST_DIR"), "/../idl/nfs3.x");
        let access = |server: &Farcall| {
            let endpoint = &server.endpoints[0];
            let root = handle(&kdc, endpoint);
            let json = format!("{{\"object\":{{\"data\":{{\"$base64\":\"{root}\"}}}},\"access\":63}}");
            let arguments = ["call", endpoint, "NFSPROC3_ACCESS", &json, "--idl", idl, "--json", "--auth", "krb5i"];
            let mut command = farcall::command(&arguments);
            command.args(["--principal", PRINCIPAL]).envs(kdc.environment());
            let done = command.output().expect("run our client");
            let answer: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
            answer["resok"]["access"].as_u64().unwrap_or_else(|| panic!("{answer}"))
        };
        let mode = |mode: u32| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(mode)).expect("a mode");
        };
        assert_eq!(USER, "alice");
        std::os::unix::fs::chown(&inside, Some(4711), Some(4711)).expect("an owner");
        std::fs::copy("/etc/passwd", scratch.file("passwd")).expect("a copy");
        add_user(&scratch);
        mode(0o700);
        let stranger = serve(&kdc, &inside, &["--register", "none"]);
        assert_eq!(access(&stranger), 0, "nobody in particular");
        drop(stranger);
        let known = serve(&kdc, &inside, &["--register", "none", "--realm", REALM]);
        assert_ne!(access(&known), 0, "the owner");
        mode(0o077);
        assert_eq!(access(&known) & 1, 0, "the owner has no right here");
        drop(known);
        mode(0o700);
        let other = serve(&kdc, &inside, &["--register", "none", "--realm", "OTHER.TEST"]);
        assert_eq!(access(&other), 0, "a user of another realm");
    }
}

/// Alice is user 4711, in this test's own mount namespace alone.
fn add_user(scratch: &Scratch) {
    let path = scratch.file("passwd");
    let mut text = std::fs::read_to_string(&path).expect("users");
    text.push_str("alice:x:4711:4711::/nonexistent:/bin/false\n");
    std::fs::write(&path, text).expect("users");
    let mut command = std::process::Command::new("mount");
    let done = command.arg("--bind").arg(&path).arg("/etc/passwd").status();
    assert!(done.expect("mount").success(), "its own /etc/passwd");
}
