//! NFS version 3 with real peers: libnfs's tools against our server, our client against nfs-ganesha, tshark reading along.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use farcall::generated::mount::v3::Client as Mount;
use farcall::generated::nfs3::{self as wire, v3::Client as Nfs};
use farcall::{Client, Gss, Options, Registrar, Server, Transport};
use farcall_conformance::peer::kdc::{Kdc, KeyKind};
use farcall_conformance::peer::{
    Scratch, available, find, ganesha, rpcbind, tirpc, tshark::Capture,
};
use farcall_conformance::{case, network_test};
use farcall_nfs3::Nfs3;
use farcall_nfs3::caller::Squash;
use farcall_onc::gss::Service;
use farcall_security::Credentials;
use farcall_security::kerberos::Identity;
use farcall_wire::Str;
use nix::sys::signal::Signal;
use tokio::runtime::Runtime;

/// Our server for one directory.
struct Ours {
    // Dropped before the runtime that it runs in.
    _server: Server,
    port: u16,
}

impl Ours {
    fn start(runtime: &Runtime, directory: &Path, listen: &str) -> Self {
        let nfs = Nfs3::builder(directory)
            .squash(Squash::None)
            .build()
            .expect("the export");
        let builder = Server::builder()
            .serve(nfs.service())
            .serve(nfs.mount_service())
            .listen(listen);
        let server = runtime.block_on(builder.start()).expect("the server");
        let endpoint = server.endpoint(Transport::Tcp).expect("an endpoint");
        let port = endpoint.port().expect("a port");
        Self {
            _server: server,
            port,
        }
    }

    /// libnfs mounts the path up to the last slash. For a file in the root of the export this must be `/`, not
    /// nothing: of an empty path it thinks the export `/` to be nested in it, and fails. So there are two slashes.
    fn url(&self, path: &str) -> String {
        let port = self.port;
        format!("nfs://127.0.0.1//{path}?nfsport={port}&mountport={port}")
    }
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let program = find(program).expect("the program");
    let done = Command::new(program)
        .args(arguments)
        .output()
        .expect("start it");
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {error}");
    done
}

fn words(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    text.split_whitespace().map(str::to_owned).collect()
}

/// Bytes without a period that a lost or doubled block could hide in.
fn content(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn libnfs_copies_files_of_every_size() {
    if !available(&["nfs-cp", "nfs-cat", "nfs-ls"]) {
        return;
    }
    let (runtime, scratch) = (
        Runtime::new().expect("runtime"),
        Scratch::new("nfs3").expect("scratch"),
    );
    let inside = scratch.file("in");
    std::fs::create_dir_all(inside.join("sub")).expect("directory");
    let ours = Ours::start(&runtime, &inside, "tcp://127.0.0.1:0");
    for (name, len) in [
        ("0", 0),
        ("1", 1),
        ("4KiB", 4 << 10),
        ("1MiB", 1 << 20),
        ("100MiB", 100 << 20),
    ] {
        let (data, from, back) = (content(len), scratch.file("from"), scratch.file("back"));
        std::fs::write(&from, &data).expect("source");
        for path in [name.to_owned(), format!("sub/{name}")] {
            let url = ours.url(&path);
            run("nfs-cp", &[from.to_str().expect("path"), &url]);
            assert!(
                std::fs::read(inside.join(&path)).expect("outside") == data,
                "{path} outside"
            );
            run("nfs-cp", &[&url, back.to_str().expect("path")]);
            assert!(std::fs::read(&back).expect("copy") == data, "{path} back");
            std::fs::remove_file(&back).expect("nfs-cp does not overwrite");
        }
        assert!(
            run("nfs-cat", &[&ours.url(name)]).stdout == data,
            "{name} by nfs-cat"
        );
        case::ran("libnfs", &format!("a file of {name} both ways"));
    }
    let listed = String::from_utf8(run("nfs-ls", &[&ours.url("")]).stdout).expect("text");
    let mut names: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["0", "1", "100MiB", "1MiB", "4KiB", "sub"]);
    let size = |line: &&str| line.contains("104857600");
    assert_eq!(listed.lines().filter(size).count(), 1, "{listed}");
    case::ran("libnfs", "a listing");
}

#[test]
fn libnfs_lists_a_large_directory_completely() {
    if !available(&["nfs-ls"]) {
        return;
    }
    let (runtime, scratch) = (
        Runtime::new().expect("runtime"),
        Scratch::new("nfs3").expect("scratch"),
    );
    for n in 0..5000 {
        std::fs::write(scratch.file(&format!("file-{n}")), b"").expect("file");
    }
    let ours = Ours::start(&runtime, scratch.path(), "tcp://127.0.0.1:0");
    let listed = String::from_utf8(run("nfs-ls", &[&ours.url("")]).stdout).expect("text");
    let mut names: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), listed.lines().count()), (5000, 5000));
    case::ran("libnfs", "a directory of 5000 files");
}

network_test! {
    fn tshark_finds_nothing_malformed() {
        if !available(&["nfs-cp", "nfs-cat", "nfs-ls", "tshark"]) {
            return;
        }
        let (runtime, scratch) = (Runtime::new().expect("runtime"), Scratch::new("nfs3").expect("scratch"));
        let inside = scratch.file("in");
        std::fs::create_dir(&inside).expect("directory");
        let from = scratch.file("from");
        std::fs::write(&from, content(100_000)).expect("source");
        let ours = Ours::start(&runtime, &inside, "tcp://127.0.0.1:2049");
        let capture = Capture::of_onc("tcp", 2049).expect("tshark");
        run("nfs-cp", &[from.to_str().expect("path"), &ours.url("f")]);
        run("nfs-ls", &[&ours.url("")]);
        run("nfs-cat", &[&ours.url("f")]);
        let missing = Command::new("nfs-cat").arg(ours.url("none")).output().expect("nfs-cat");
        let said = String::from_utf8_lossy(&missing.stderr).into_owned();
        assert!(!missing.status.success() && said.contains("NOENT"), "{said}");
        let captured = capture.stop().expect("stop tshark");
        let malformed = captured.fields("_ws.malformed || _ws.expert.severity >= 8388608", &["frame.number", "_ws.col.Info"]);
        assert_eq!(malformed.expect("read the capture"), [""; 0]);
        let replies = captured.fields("nfs && rpc.msgtyp == 1", &["nfs.procedure_v3", "nfs.status3"]).expect("read the capture");
        assert!(replies.len() > 10, "{replies:?}");
        assert!(replies.iter().any(|reply| reply.ends_with("\t2")), "one NOENT in {replies:?}");
        case::ran("tshark", "NFS version 3 and MOUNT of our server");
    }

    fn clients_find_our_server_through_rpcbind() {
        if !available(&["rpcbind", "showmount", "nfs-ls"]) {
            return;
        }
        let rpcbind = rpcbind::start().expect("rpcbind");
        let (runtime, scratch) = (
            Runtime::new().expect("runtime"),
            Scratch::new("nfs3").expect("scratch"),
        );
        std::fs::create_dir(scratch.file("sub")).expect("directory");
        std::fs::write(scratch.file("sub/f"), b"content").expect("file");
        let nfs = Nfs3::builder(scratch.path()).name("/data").squash(Squash::None);
        let nfs = nfs.build().expect("the export");
        let builder = Server::builder()
            .serve(nfs.service())
            .serve(nfs.mount_service())
            .listen("tcp://127.0.0.1:0")
            .listen("udp://127.0.0.1:0")
            .register_with(Registrar::at("tcp://127.0.0.1:111").expect("an endpoint"));
        let server = runtime.block_on(builder.start()).expect("the server");
        let shown = run("showmount", &["--no-headers", "-e", "127.0.0.1"]).stdout;
        assert_eq!(words(&shown), ["/data", "127.0.0.0/8,::1/128"]);
        let listed = run("nfs-ls", &["nfs://127.0.0.1/data"]).stdout;
        assert_eq!(words(&listed).last().map(String::as_str), Some("sub"));
        let read = run("nfs-cat", &["nfs://127.0.0.1/data/sub/f"]).stdout;
        assert_eq!(read, b"content");
        let shown = run("showmount", &["--no-headers", "-a", "127.0.0.1"]).stdout;
        assert!(words(&shown).iter().all(|mount| mount.starts_with("127.0.0.1:/data")));
        runtime.block_on(server.drain(Duration::from_secs(5)));
        rpcbind.stop(Signal::SIGTERM).expect("stop rpcbind");
        case::ran("showmount", "our exports and mounts, found through rpcbind");
        case::ran("libnfs", "our server, found through rpcbind");
    }

    fn our_client_works_with_ganesha() {
        if !available(&["ganesha.nfsd", "rpcbind"]) {
            return;
        }
        let _rpcbind = rpcbind::start().expect("rpcbind");
        let mut ganesha = ganesha::start().expect("start ganesha");
        for port in [2049, 20048] {
            ganesha.port(([127, 0, 0, 1], port).into()).expect("ganesha listens");
        }
        let runtime = Runtime::new().expect("runtime");
        runtime.block_on(with_ganesha(&Options::default()));
        ganesha.stop(Signal::SIGTERM).expect("stop ganesha");
        case::ran("nfs-ganesha", "create, write, commit, read, list, rename, remove");
    }
}

/// The services of RPCSEC_GSS by libtirpc's names.
const SERVICES: [(&str, Service); 3] = [
    ("none", Service::NONE),
    ("integrity", Service::INTEGRITY),
    ("privacy", Service::PRIVACY),
];

network_test! {
    fn our_client_works_with_ganesha_under_kerberos() {
        let needs = ["ganesha.nfsd", "rpcbind", "krb5kdc", "kadmin.local", "kdb5_util", "kinit"];
        if !available(&needs) || !available(tirpc::NEEDS) {
            return;
        }
        let kdc = Kdc::start(KeyKind::AES256).expect("a centre");
        kdc.serve("nfs/localhost").expect("a service");
        kdc.kinit().expect("a ticket");
        kdc.adopt().expect("its files");
        let _rpcbind = rpcbind::start().expect("rpcbind");
        let mut ganesha = ganesha::start_guarded("nfs", &kdc.environment()).expect("start ganesha");
        for port in [2049, 20048] {
            ganesha.port(([127, 0, 0, 1], port).into()).expect("ganesha listens");
        }
        let runtime = Runtime::new().expect("runtime");
        runtime.block_on(nobody_proved());
        for (name, service) in SERVICES {
            runtime.block_on(with_ganesha(&proved(service)));
            case::ran("nfs-ganesha", &format!("RPCSEC_GSS {name}: create, write, commit, read, list, rename, remove"));
        }
        their_datagrams(&kdc, &runtime);
        ganesha.stop(Signal::SIGTERM).expect("stop ganesha");
    }
}

/// Anybody may mount, since only then does he learn what else he must show; a file is not for anybody.
async fn nobody_proved() {
    let nobody = Options::default();
    let object = root_of_ganesha(&nobody).await.expect("the root");
    let nfs = Nfs::from(connect("tcp://127.0.0.1:2049", 100_003, &nobody).await);
    let refused = nfs.getattr(&wire::Getattr3Args { object }).await;
    let error = refused.expect_err("nobody is proved").to_string();
    assert!(error.contains("AUTH_TOOWEAK"), "{error}");
}

/// Over UDP Ganesha 4.3 proves its replies in the clear, and fails to wrap any: libtirpc's own client sees the same.
fn their_datagrams(kdc: &Kdc, runtime: &Runtime) {
    let theirs = tirpc::NfsClient::build().expect("libtirpc's client");
    for (name, service) in SERVICES {
        let options = proved(service);
        let options = Options {
            timeout: Duration::from_secs(3),
            ..options
        };
        let ours = runtime.block_on(async {
            let mount = Mount::from(connect("udp://127.0.0.1:20048", 100_005, &options).await);
            mount.mnt(&Str::from("/mem")).await.is_ok()
        });
        let auth = [name, "nfs@localhost"];
        let said = theirs.run("udp", "/mem", &auth, &kdc.environment());
        let theirs = said.is_ok_and(|said| said.contains("mount: RPC: Success 0"));
        assert_eq!(
            (ours, theirs),
            (name == "none", name == "none"),
            "{name} over UDP"
        );
    }
    case::ran(
        "nfs-ganesha",
        "RPCSEC_GSS none over UDP, and no more than libtirpc's client has",
    );
}

/// Options of a client with a ticket.
fn proved(service: Service) -> Options {
    let credentials = Credentials::kerberos(Identity::default());
    let gss = Gss {
        initiator: Arc::new(credentials),
        service,
        target: Some("nfs@localhost".into()),
    };
    Options {
        gss: Some(gss),
        ..Options::default()
    }
}

async fn connect(endpoint: &str, program: u32, options: &Options) -> Client {
    let connecting = Client::connect_with(endpoint, program, 3, options.clone());
    connecting.await.expect("the service")
}

async fn root_of_ganesha(options: &Options) -> Result<wire::NfsFh3, String> {
    let mount = Mount::from(connect("tcp://127.0.0.1:20048", 100_005, options).await);
    let mounted = mount.mnt(&Str::from("/mem")).await;
    match mounted.map_err(|error| error.to_string())? {
        farcall::generated::mount::Mountres3::Mnt3Ok(mounted) => Ok(wire::NfsFh3 {
            data: mounted.fhandle,
        }),
        refused => Err(format!("{refused:?}")),
    }
}

async fn with_ganesha(options: &Options) {
    let root = root_of_ganesha(options).await.expect("the root");
    let nfs = Nfs::from(connect("tcp://127.0.0.1:2049", 100_003, options).await);
    nfs.null().await.expect("null");
    let file = created(&nfs, &root).await;
    let data = content(1 << 20);
    write(&nfs, &file, &data).await;
    assert!(read(&nfs, &file).await == data, "read back");
    rename_and_remove(&nfs, &root).await;
}

/// Creates a file; for some seconds after its start the server asks to come again.
async fn created(nfs: &Nfs, root: &wire::NfsFh3) -> wire::NfsFh3 {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let attributes = wire::Sattr3 {
            mode: wire::SetMode3::True(0o640),
            uid: wire::SetUid3::False,
            gid: wire::SetGid3::False,
            size: wire::SetSize3::False,
            atime: wire::SetAtime::Default(wire::TimeHow::DontChange),
            mtime: wire::SetMtime::Default(wire::TimeHow::DontChange),
        };
        let args = wire::Create3Args {
            r#where: wire::Diropargs3 {
                dir: root.clone(),
                name: Str::from("file"),
            },
            how: wire::Createhow3::Unchecked(attributes),
        };
        match nfs.create(&args).await.expect("an answer") {
            wire::Create3Res::Nfs3Ok(ok) => {
                let wire::PostOpFh3::True(file) = ok.obj else {
                    panic!("no handle")
                };
                return file;
            }
            wire::Create3Res::Default(status, _) => {
                assert!(Instant::now() < end, "create: {status:?}");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    }
}

async fn write(nfs: &Nfs, file: &wire::NfsFh3, data: &[u8]) {
    for (n, piece) in data.chunks(256 << 10).enumerate() {
        let args = wire::Write3Args {
            file: file.clone(),
            offset: (n * (256 << 10)) as u64,
            count: piece.len() as u32,
            stable: wire::StableHow::Unstable,
            data: piece.to_vec().into(),
        };
        let wire::Write3Res::Nfs3Ok(ok) = nfs.write(&args).await.expect("an answer") else {
            panic!("write at {n}");
        };
        assert_eq!(ok.count as usize, piece.len());
    }
    let args = wire::Commit3Args {
        file: file.clone(),
        offset: 0,
        count: 0,
    };
    let done = nfs.commit(&args).await.expect("an answer");
    assert!(matches!(done, wire::Commit3Res::Nfs3Ok(_)), "{done:?}");
}

async fn read(nfs: &Nfs, file: &wire::NfsFh3) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        let args = wire::Read3Args {
            file: file.clone(),
            offset: data.len() as u64,
            count: 128 << 10,
        };
        let wire::Read3Res::Nfs3Ok(ok) = nfs.read(&args).await.expect("an answer") else {
            panic!("read at {}", data.len());
        };
        data.extend_from_slice(&ok.data);
        if ok.eof {
            return data;
        }
    }
}

async fn rename_and_remove(nfs: &Nfs, root: &wire::NfsFh3) {
    let place = |name: &str| wire::Diropargs3 {
        dir: root.clone(),
        name: Str::from(name),
    };
    let args = wire::Rename3Args {
        from: place("file"),
        to: place("renamed"),
    };
    let done = nfs.rename(&args).await.expect("an answer");
    assert!(matches!(done, wire::Rename3Res::Nfs3Ok(_)), "{done:?}");
    assert_eq!(names(nfs, root).await, ["renamed"]);
    let args = wire::Lookup3Args {
        what: place("file"),
    };
    let done = nfs.lookup(&args).await.expect("an answer");
    assert!(
        matches!(
            done,
            wire::Lookup3Res::Default(wire::Nfsstat3::Nfs3ErrNoent, _)
        ),
        "{done:?}"
    );
    let args = wire::Remove3Args {
        object: place("renamed"),
    };
    let done = nfs.remove(&args).await.expect("an answer");
    assert!(matches!(done, wire::Remove3Res::Nfs3Ok(_)), "{done:?}");
    assert_eq!(names(nfs, root).await, [""; 0]);
}

async fn names(nfs: &Nfs, root: &wire::NfsFh3) -> Vec<String> {
    let args = wire::Readdirplus3Args {
        dir: root.clone(),
        cookie: 0,
        cookieverf: [0; 8],
        dircount: 8192,
        maxcount: 32768,
    };
    let wire::Readdirplus3Res::Nfs3Ok(ok) = nfs.readdirplus(&args).await.expect("an answer") else {
        panic!("readdirplus");
    };
    assert!(ok.reply.eof);
    let names = ok.reply.entries.iter().map(|entry| entry.name.to_string());
    names
        .filter(|name| !matches!(name.as_str(), "." | ".."))
        .collect()
}
