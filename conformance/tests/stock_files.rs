//! Interface files that others wrote and Debian ships, called in both directions: rpcgen's client against a server that
//! is only the file and answers, our command against rpcgen's server.

use std::path::Path;
use std::process::Command;

use ::farcall::server::Builder;
use ::farcall::testkit::Fake;
use ::farcall::{Refuse, Registrar, Server};
use farcall_conformance::peer::{Process, Scratch, available, farcall, rpcbind, tirpc};
use farcall_conformance::{case, network_test};
use serde_json::json;

const RUSERS: &str = "/usr/include/rpcsvc/rusers.x";
const SPRAY: &str = "/usr/include/rpcsvc/spray.x";

/// rpcgen's parts of a stock file, in this folder.
fn generate(folder: &Path, file: &str, parts: &[(&str, &str)]) {
    for (flag, output) in parts {
        run(folder, "rpcgen", &["-C", flag, "-o", output, file]);
    }
}

fn run(folder: &Path, program: &str, arguments: &[&str]) {
    let done = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output();
    let done = done.expect("it starts");
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {arguments:?}: {error}");
}

/// The programs of both peers.
fn build(folder: &Path) {
    std::fs::write(
        folder.join("client.c"),
        include_str!("../peers/stock_client.c"),
    )
    .expect("written");
    std::fs::write(
        folder.join("server.c"),
        include_str!("../peers/stock_server.c"),
    )
    .expect("written");
    generate(
        folder,
        RUSERS,
        &[("-h", "rusers.h"), ("-c", "rusers_xdr.c")],
    );
    generate(folder, SPRAY, &[("-h", "spray.h"), ("-c", "spray_xdr.c")]);
    let server = ["-C", "-s", "tcp", "-s", "udp", "-o", "spray_svc.c", SPRAY];
    run(folder, "rpcgen", &server);
    let gcc = |output: &str, sources: &[&str]| {
        let mut arguments = vec![
            "-I/usr/include/tirpc",
            "-I.",
            "-w",
            "-DRPC_SVC_FG",
            "-o",
            output,
        ];
        arguments.extend(sources);
        arguments.push("-ltirpc");
        run(folder, "gcc", &arguments);
    };
    gcc("client", &["client.c", "rusers_xdr.c", "spray_xdr.c"]);
    gcc("server", &["server.c", "spray_svc.c", "spray_xdr.c"]);
}

network_test! {
    fn programs_of_stock_files_are_called_by_both_sides() {
        if !available(tirpc::NEEDS) || !farcall::available() {
            return;
        }
        let scratch = Scratch::new("stock").expect("scratch");
        build(scratch.path());
        let _binder = rpcbind::start().expect("rpcbind");
        their_client(scratch.path());
        their_server(scratch.path());
    }
}

/// rpcgen's client, a fake of both files.
fn their_client(folder: &Path) {
    let user = json!({"ut_user": "alice", "ut_line": "pts/1", "ut_host": "far", "ut_type": 7, "ut_time": -5, "ut_idle": 3});
    let users = Fake::from_file(RUSERS).expect("an interface");
    let users = users
        .answer("RUSERSPROC_NUM", json!(1))
        .answer("RUSERSPROC_NAMES", json!([user]));
    let spray = Fake::from_file(SPRAY).expect("an interface");
    let sum = json!({"counter": 1, "clock": {"sec": 2, "usec": 4_000_000_000_u32}});
    let spray = spray
        .refuse("SPRAYPROC_SPRAY", Refuse::NoReply)
        .answer("SPRAYPROC_GET", sum);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let services = users.services().into_iter().chain(spray.services());
    let builder = services.fold(Server::builder(), Builder::serve);
    let builder = builder
        .listen("tcp://127.0.0.1:0")
        .listen("udp://127.0.0.1:0");
    let server = runtime.block_on(builder.register_with(Registrar::local()).start());
    let _server = server.expect("it starts");
    let done = Command::new(folder.join("client"))
        .output()
        .expect("run it");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    for line in [
        "num: RPC: Success 1\n",
        "names: RPC: Success alice@far -5 3\n",
        "spray: RPC: Timed out\n",
        "get: RPC: Success 1 2.4000000000\n",
    ] {
        assert!(said.contains(line), "no {line:?} in {said}");
    }
    let sprayed = &spray.calls()[0];
    assert_eq!(sprayed.0, "SPRAYPROC_SPRAY", "{sprayed:?}");
    case::ran(
        "libtirpc",
        "rpcgen's client of stock files, a server made of the files",
    );
}

/// rpcgen's server, our command.
fn their_server(folder: &Path) {
    let mut server =
        Process::start("spray", &mut Command::new(folder.join("server"))).expect("it starts");
    let call = |procedure: &str, more: &[&str]| {
        let mut arguments = vec![
            "call",
            "tcp://127.0.0.1",
            procedure,
            "--idl",
            SPRAY,
            "--json",
        ];
        arguments.extend(more);
        farcall::run(&arguments)
    };
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while let Err(error) = call("SPRAYPROC_CLEAR", &[]) {
        assert!(std::time::Instant::now() < end, "{error}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let bytes = r#"{"$base64":"c3ByYXk="}"#;
    call("SPRAYPROC_SPRAY", &[bytes, "--timeout", "0.2"]).expect_err("it never answers");
    let sum = call("SPRAYPROC_GET", &[]).expect("an answer");
    let wanted = r#"{"counter":1,"clock":{"sec":7,"usec":8}}"#;
    assert!(sum.contains(wanted), "{sum}");
    assert!(server.is_running().expect("a state"));
    case::ran("libtirpc", "our client, rpcgen's server of a stock file");
}
