//! `binder`, `nfs3` and `ls`: daemons that say when they are ready, are found, and end in order.

mod common;

use common::{Daemon, farcall};
use farcall::generated::rpcbind::{CallArgs, CallResult, Mapping, Pmaplist, v2};
use farcall::{Call, Refuse, Server};
use serde_json::json;

/// The programs, versions and netids that a binder lists.
fn listed(binder: &str) -> Vec<(u64, u64, String)> {
    let told = farcall(&["ls", binder, "--json"]).json();
    let rows = told["registered"].as_array().expect("a list");
    let row = |row: &serde_json::Value| {
        let number = |key: &str| row[key].as_u64().expect("a number");
        (
            number("program"),
            number("version"),
            row["netid"].as_str().expect("a name").to_owned(),
        )
    };
    rows.iter().map(row).collect()
}

#[test]
fn a_binder_is_ready_lists_itself_and_drains() {
    let mut binder = Daemon::start(&[
        "binder",
        "-l",
        "tcp://127.0.0.1:0",
        "-l",
        "udp://127.0.0.1:0",
    ]);
    let (tcp, udp) = (binder.ready(), binder.ready());
    assert!(tcp.starts_with("tcp://127.0.0.1:") && udp.starts_with("udp://127.0.0.1:"));
    for way in [&tcp, &udp] {
        assert_eq!(listed(way).len(), 6, "three versions over two transports");
        let short = farcall(&["ls", "-s", way]).ok();
        assert_eq!(
            short.lines().next(),
            Some("PROGRAM  VERSIONS  NETIDS   NAME     OWNER")
        );
        assert!(
            short.contains("\n100000   2,3,4     tcp,udp  rpcbind  "),
            "{short}"
        );
    }
    let one = farcall(&["ls", &tcp, "-p", "nfs"]);
    assert_eq!((one.code, one.stdout.as_str()), (1, ""));
    let described = farcall(&["describe", &tcp]).ok();
    assert_eq!(described, "program 100000 (rpcbind) versions 2 to 4\n");
    binder.signal("HUP");
    assert!(
        farcall(&["ping", &tcp, "rpcbind", "-c", "1"]).code == 0,
        "a hang-up ends nothing"
    );
    binder.signal("TERM");
    assert_eq!(binder.code(), Some(0));
    farcall(&["ls", &tcp]).fails(2, &["Connection refused", "hint: no rpcbind listens there"]);
}

#[test]
fn nfs3_registers_serves_and_unregisters() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("hello.txt"), "hello, world\n").unwrap();
    let mut binder = Daemon::start(&["binder", "--loopback", "-l", "tcp://127.0.0.1:0"]);
    let registry = binder.ready();
    let before = listed(&registry);
    let folder = place.path().to_str().unwrap();
    let mut nfs = Daemon::start(&["nfs3", folder, "--read-only", "--register", &registry]);
    let (tcp, _udp) = (nfs.ready(), nfs.ready());
    let during = listed(&registry);
    for netid in ["tcp", "udp"] {
        assert!(
            during.contains(&(100_003, 3, netid.to_owned())),
            "{during:?}"
        );
        assert!(
            during.contains(&(100_005, 3, netid.to_owned())),
            "{during:?}"
        );
    }
    read_hello(&tcp);
    nfs.signal("INT");
    assert_eq!(nfs.code(), Some(0));
    assert_eq!(listed(&registry), before);
}

/// Mounts, looks up and reads a file with the command alone.
fn read_hello(endpoint: &str) {
    let call = |idl: &str, procedure: &str, arguments: serde_json::Value| {
        let text = arguments.to_string();
        farcall(&["call", endpoint, "--idl", idl, procedure, &text, "--json"]).json()
    };
    let mounted = call("idl/mount.x", "mnt", json!("/"));
    assert_eq!(mounted["fhs_status"], "MNT3_OK");
    let root = &mounted["mountinfo"]["fhandle"];
    let what = json!({ "what": { "dir": { "data": root }, "name": "hello.txt" } });
    let found = call("idl/nfs3.x", "lookup", what);
    assert_eq!(found["status"], "NFS3_OK", "{found}");
    let file = &found["resok"]["object"];
    let read = call(
        "idl/nfs3.x",
        "read",
        json!({ "file": file, "offset": 7, "count": 5 }),
    );
    assert_eq!(
        read["resok"]["data"],
        json!({ "$hex": "776f726c64" }),
        "{read}"
    );
    let gone = call(
        "idl/nfs3.x",
        "remove",
        json!({ "object": { "dir": { "data": root }, "name": "hello.txt" } }),
    );
    assert_eq!(gone["status"], "NFS3ERR_ROFS", "{gone}");
}

#[test]
fn a_daemon_with_nothing_to_do_drains_at_once() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().to_str().unwrap();
    let mut nfs = Daemon::start(&[
        "nfs3",
        folder,
        "--register",
        "none",
        "--grace",
        "60",
        "-l",
        "tcp://127.0.0.1:0",
    ]);
    nfs.ready();
    nfs.signal("TERM");
    assert!(
        matches!(nfs.code(), Some(0)),
        "nothing was running, so there was nothing to wait for"
    );
}

#[test]
fn what_cannot_be_served_is_said() {
    let none = ["nfs3", "/no/such/folder", "--register", "none"];
    farcall(&none).fails(2, &["error: cannot export /no/such/folder"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", taken.local_addr().unwrap());
    farcall(&["binder", "-l", &endpoint]).fails(2, &["serve: Address already in use"]);
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().to_str().unwrap();
    farcall(&["nfs3", folder, "--register", "tcp://127.0.0.1:1"])
        .fails(2, &["register: ", "hint: is rpcbind running?"]);
    farcall(&["nfs3", folder, "--allow", "everybody"]).fails(2, &["`everybody` is no network"]);
}

/// A port mapper of old, which has version 2 and nothing else, and lists one program.
struct Old;

impl v2::Server for Old {
    async fn set(&self, _: &Call, _: Mapping) -> Result<bool, Refuse> {
        Ok(false)
    }
    async fn unset(&self, _: &Call, _: Mapping) -> Result<bool, Refuse> {
        Ok(false)
    }
    async fn getport(&self, _: &Call, _: Mapping) -> Result<u32, Refuse> {
        Ok(2049)
    }
    async fn dump(&self, _: &Call) -> Result<Vec<Pmaplist>, Refuse> {
        let map = Mapping {
            prog: 0x2000_0c41,
            vers: 3,
            prot: 17,
            port: 2049,
        };
        Ok(vec![Pmaplist { map }])
    }
    async fn callit(&self, _: &Call, _: CallArgs) -> Result<CallResult, Refuse> {
        Err(Refuse::NoReply)
    }
}

#[test]
fn a_binder_that_speaks_only_version_2_is_listed_too() {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    let old = Server::builder()
        .serve(v2::service(Old))
        .listen("tcp://127.0.0.1:0");
    let old = runtime.block_on(old.start()).expect("it starts");
    let endpoint = old.endpoints()[0].to_string();
    let told = farcall(&["ls", &endpoint, "--json"]).json();
    assert_eq!(told["rpcbind_versions"], json!([2]));
    let row = &told["registered"][0];
    assert_eq!(
        (&row["program"], &row["version"]),
        (&json!(0x2000_0c41), &json!(3))
    );
    assert_eq!(
        (&row["netid"], &row["address"]),
        (&json!("udp"), &json!("0.0.0.0:2049"))
    );
    assert_eq!(row["name"], json!(null));
    // The table that `gen --names` writes has names for it.
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().to_str().unwrap();
    farcall(&["gen", "--names", "idl/calc.x", "-o", folder]).ok();
    let names = place.path().join("names.json");
    let table = farcall(&["ls", &endpoint, "--names", names.to_str().unwrap()]).ok();
    assert!(table.contains("CALC_PROG"), "{table}");
    farcall(&["ls", &endpoint, "--names", "idl/calc.x"]).fails(2, &["is no table of names"]);
    farcall(&["ls", &endpoint, "-p", "99"]).fails(1, &["program 99 is not registered at "]);
}
