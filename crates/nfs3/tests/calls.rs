//! The services through the library: our client, our server, the real directory looked at from outside.

use std::path::Path;

use farcall::generated::mount::{self, v3::Client as Mount};
use farcall::generated::nfs3::{self as wire, v3::Client as Nfs};
use farcall::{Cause, Client, Server, Transport};
use farcall_nfs3::Nfs3;
use farcall_nfs3::caller::Identity;
use farcall_onc::auth::{AuthStat, AuthSys, Flavor};
use farcall_wire::Str;
use wire::Nfsstat3 as Stat;

async fn start(nfs: &Nfs3, socket: &Path) -> Server {
    Server::builder()
        .serve(nfs.service())
        .serve(nfs.mount_service())
        .listen("tcp://127.0.0.1:0")
        .listen("udp://127.0.0.1:0")
        .listen(format!("unix://{}", socket.display()))
        .start()
        .await
        .unwrap()
}

fn build(directory: &Path, state: &Path) -> Nfs3 {
    let builder = Nfs3::builder(directory)
        .state_dir(state)
        .identity(Identity::Server);
    builder.build().unwrap()
}

async fn mounted(mount: &Mount, path: &str) -> Result<wire::NfsFh3, mount::Mountstat3> {
    match mount.mnt(&Str::from(path)).await.unwrap() {
        mount::Mountres3::Mnt3Ok(ok) => {
            assert_eq!(ok.auth_flavors, [1, 0]);
            Ok(wire::NfsFh3 { data: ok.fhandle })
        }
        mount::Mountres3::Default(status) => Err(status),
    }
}

async fn getattr(nfs: &Nfs, data: Vec<u8>) -> Result<wire::Fattr3, Stat> {
    let args = wire::Getattr3Args {
        object: wire::NfsFh3 { data },
    };
    match nfs.getattr(&args).await.unwrap() {
        wire::Getattr3Res::Nfs3Ok(ok) => Ok(ok.obj_attributes),
        wire::Getattr3Res::Default(status) => Err(status),
    }
}

async fn read(nfs: &Nfs, file: &wire::NfsFh3, count: u32) -> (Vec<u8>, bool) {
    let args = wire::Read3Args {
        file: file.clone(),
        offset: 0,
        count,
    };
    match nfs.read(&args).await.unwrap() {
        wire::Read3Res::Nfs3Ok(ok) => (ok.data.to_vec(), ok.eof),
        wire::Read3Res::Default(status, _) => panic!("{status:?}"),
    }
}

async fn lookup(nfs: &Nfs, dir: &wire::NfsFh3, name: &[u8]) -> Result<wire::NfsFh3, Stat> {
    let what = wire::Diropargs3 {
        dir: dir.clone(),
        name: Str::from(name.to_vec()),
    };
    match nfs.lookup(&wire::Lookup3Args { what }).await.unwrap() {
        wire::Lookup3Res::Nfs3Ok(ok) => Ok(ok.object),
        wire::Lookup3Res::Default(status, fail) => {
            assert!(matches!(fail.dir_attributes, wire::PostOpAttr::True(_)));
            Err(status)
        }
    }
}

#[tokio::test]
async fn every_transport_reads_and_writes_the_directory() {
    let place = tempfile::tempdir().unwrap();
    let inside = place.path().join("in");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(inside.join("f"), vec![7; 100_000]).unwrap();
    let server = start(
        &build(&inside, &place.path().join("state")),
        &place.path().join("s"),
    )
    .await;
    for endpoint in server.endpoints() {
        let mount = Mount::connect(endpoint).await.unwrap();
        let nfs = Nfs::connect(endpoint).await.unwrap();
        let root = mounted(&mount, "/").await.unwrap();
        let file = lookup(&nfs, &root, b"f").await.unwrap();
        let (data, eof) = read(&nfs, &file, 1 << 20).await;
        let datagram = endpoint.transport() == Transport::Udp;
        assert_eq!(
            (data.len(), eof),
            if datagram {
                (32 << 10, false)
            } else {
                (100_000, true)
            }
        );
        let args = wire::Write3Args {
            file,
            offset: 3,
            count: 2,
            stable: wire::StableHow::FileSync,
            data: b"hi, not meant".to_vec().into(),
        };
        let done = nfs.write(&args).await.unwrap();
        let wire::Write3Res::Nfs3Ok(ok) = done else {
            panic!("{done:?}")
        };
        assert_eq!((ok.count, ok.committed), (2, wire::StableHow::FileSync));
        let outside = std::fs::read(inside.join("f")).unwrap();
        assert_eq!(outside[..7], [7, 7, 7, b'h', b'i', 7, 7]);
        std::fs::write(inside.join("f"), vec![7; 100_000]).unwrap();
        mount.umntall().await.unwrap();
        assert_eq!(mount.dump().await.unwrap(), []);
    }
}

#[tokio::test]
async fn hostile_handles_and_names_get_their_status() {
    let place = tempfile::tempdir().unwrap();
    let inside = place.path().join("in");
    std::fs::create_dir_all(inside.join("d")).unwrap();
    let server = start(
        &build(&inside, &place.path().join("state")),
        &place.path().join("s"),
    )
    .await;
    let other = start(
        &build(&inside, &place.path().join("other")),
        &place.path().join("o"),
    )
    .await;
    let mount = Mount::from(Client::in_process(&server).unwrap());
    let nfs = Nfs::from(Client::in_process(&server).unwrap());
    let root = mounted(&mount, "/").await.unwrap();
    for length in 0..=64 {
        let mut forged = root.data.clone();
        forged.resize(length, 0);
        if length != root.data.len() {
            assert_eq!(
                getattr(&nfs, forged).await.unwrap_err(),
                Stat::Nfs3ErrBadhandle
            );
        }
    }
    for at in 0..root.data.len() {
        let mut forged = root.data.clone();
        forged[at] ^= 0x10;
        assert_eq!(
            getattr(&nfs, forged).await.unwrap_err(),
            Stat::Nfs3ErrBadhandle
        );
    }
    let theirs = Nfs::from(Client::in_process(&other).unwrap());
    let foreign = getattr(&theirs, root.data.clone()).await.unwrap_err();
    assert_eq!(foreign, Stat::Nfs3ErrBadhandle);
    for name in [&b""[..], b"a/b", b"../../etc", b"\0", b"/"] {
        assert_eq!(
            lookup(&nfs, &root, name).await.unwrap_err(),
            Stat::Nfs3ErrAcces
        );
    }
    let long = lookup(&nfs, &root, &[b'x'; 4096]).await.unwrap_err();
    assert_eq!(long, Stat::Nfs3ErrNametoolong);
    assert_eq!(lookup(&nfs, &root, b"..").await.unwrap(), root);
    assert_eq!(
        mounted(&mount, "/../etc").await.unwrap_err(),
        mount::Mountstat3::Mnt3ErrAcces
    );
    assert_eq!(
        mounted(&mount, "/none").await.unwrap_err(),
        mount::Mountstat3::Mnt3ErrNoent
    );
    // A handle above the interface's 64 bytes is no handle: the call itself is refused.
    let args = wire::Getattr3Args {
        object: wire::NfsFh3 { data: vec![0; 65] },
    };
    assert!(nfs.getattr(&args).await.is_err());
}

#[tokio::test]
async fn a_restart_is_seen_by_the_write_verifier_alone() {
    let place = tempfile::tempdir().unwrap();
    let (inside, state) = (place.path().join("in"), place.path().join("state"));
    std::fs::create_dir_all(inside.join("a/b")).unwrap();
    std::fs::write(inside.join("a/b/f"), b"before").unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let server = start(&build(&inside, &state), &place.path().join("s")).await;
        let nfs = Nfs::from(Client::in_process(&server).unwrap());
        let file = match seen.last() {
            None => {
                let mount = Mount::from(Client::in_process(&server).unwrap());
                let directory = mounted(&mount, "/a/b").await.unwrap();
                lookup(&nfs, &directory, b"f").await.unwrap()
            }
            // Not mounted, not looked up: the handle alone.
            Some((file, _)) => wire::NfsFh3::clone(file),
        };
        assert_eq!(read(&nfs, &file, 100).await, (b"before".to_vec(), true));
        let args = wire::Commit3Args {
            file: file.clone(),
            offset: 0,
            count: 0,
        };
        let done = nfs.commit(&args).await.unwrap();
        let wire::Commit3Res::Nfs3Ok(ok) = done else {
            panic!("{done:?}")
        };
        seen.push((file, ok.verf));
    }
    assert_ne!(seen[0].1, seen[1].1);
}

#[tokio::test]
async fn a_listing_over_the_wire_is_complete_and_within_its_counts() {
    let place = tempfile::tempdir().unwrap();
    for n in 0..300 {
        std::fs::write(place.path().join(format!("file-{n}")), b"").unwrap();
    }
    let nfs = Nfs3::builder(place.path())
        .identity(Identity::Server)
        .build()
        .unwrap();
    let server = Server::builder()
        .serve(nfs.service())
        .serve(nfs.mount_service())
        .start();
    let server = server.await.unwrap();
    let mount = Mount::from(Client::in_process(&server).unwrap());
    let dir = mounted(&mount, "/").await.unwrap();
    let listed = mount.export().await.unwrap();
    assert_eq!(
        (
            listed.len(),
            listed[0].ex_dir.as_bytes(),
            listed[0].ex_groups.len()
        ),
        (1, &b"/"[..], 2)
    );
    assert_eq!(mount.dump().await.unwrap().len(), 1);
    let nfs = Nfs::from(Client::in_process(&server).unwrap());
    let (mut cookie, mut cookieverf, mut count) = (0, [0; 8], 0);
    loop {
        let args = wire::Readdirplus3Args {
            dir: dir.clone(),
            cookie,
            cookieverf,
            dircount: 1024,
            maxcount: 4096,
        };
        let done = nfs.readdirplus(&args).await.unwrap();
        let wire::Readdirplus3Res::Nfs3Ok(ok) = done else {
            panic!("{done:?}")
        };
        assert!(farcall_wire::xdr::to_vec(&ok).unwrap().len() <= 4096);
        count += ok.reply.entries.len();
        if ok.reply.eof {
            break;
        }
        (cookie, cookieverf) = (ok.reply.entries.last().unwrap().cookie, ok.cookieverf);
    }
    assert_eq!(count, 302);
}

#[tokio::test]
async fn calls_of_a_flavour_that_is_not_listed_are_refused_and_mount_says_which_are() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("closed")).unwrap();
    let nfs = Nfs3::builder(place.path())
        .identity(Identity::Server)
        .export(place.path().join("closed"))
        .name("/closed")
        .flavors([Flavor::KRB5P, Flavor::KRB5I])
        .build()
        .unwrap();
    let server = Server::builder()
        .serve(nfs.service())
        .serve(nfs.mount_service())
        .start();
    let server = server.await.unwrap();
    let mount = Mount::from(Client::in_process(&server).unwrap());
    let listed = |path: &'static str| {
        let mount = &mount;
        async move {
            match mount.mnt(&Str::from(path)).await.unwrap() {
                mount::Mountres3::Mnt3Ok(ok) => (ok.auth_flavors, ok.fhandle),
                refused => panic!("{refused:?}"),
            }
        }
    };
    let (open, handle) = listed("/").await;
    assert_eq!(open, [1, 0]);
    let client = Nfs::from(Client::in_process(&server).unwrap());
    assert!(getattr(&client, handle.clone()).await.is_ok());
    let (closed, secret) = listed("/closed").await;
    assert_eq!(closed, [390_005, 390_004]);
    let sys = AuthSys {
        machine: "m".into(),
        ..AuthSys::default()
    };
    let plain = Client::in_process(&server).unwrap();
    let claimed = plain.with_auth(farcall_onc::auth::AuthBlock::sys(&sys).unwrap());
    for client in [plain, claimed] {
        let object = wire::NfsFh3 {
            data: secret.clone(),
        };
        let refused = Nfs::from(client)
            .getattr(&wire::Getattr3Args { object })
            .await;
        let error = refused.unwrap_err();
        let weak = Cause::Authentication(AuthStat::TOOWEAK);
        assert!(
            matches!(error.cause(), cause if format!("{cause:?}") == format!("{weak:?}")),
            "{error}"
        );
        assert!(!error.may_have_executed(), "{error}");
    }
}
