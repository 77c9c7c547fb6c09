//! Proxies that ask each other, over sockets in a folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Mutex;

use super::*;
use crate::inspect::Inspector;

/// Has one virtual connection, of which it tells when told to.
struct One {
    claim: Claim,
    tell: Mutex<Option<oneshot::Sender<Snapshot>>>,
}

impl Holder for One {
    fn promise(&self, claim: &Claim) -> Option<oneshot::Receiver<Snapshot>> {
        let mut tell = self.tell.lock().expect("not poisoned");
        if *claim != self.claim {
            return None;
        }
        let (to, from) = oneshot::channel();
        *tell = Some(to);
        Some(from)
    }
}

fn claim(cookie: u8) -> Claim {
    Claim {
        cookie: [cookie; 16],
        kind: "ntlm".to_owned(),
        name: "alice".to_owned(),
        domain: "LAB".to_owned(),
        issuer: String::new(),
        listener: "internet".to_owned(),
        target: "files:593".to_owned(),
    }
}

fn secret(folder: &tempfile::TempDir, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
    path
}

/// A proxy that has the connection of cookie 1 and is asked at `place`.
async fn holder(place: &PeerAt, secret: &Path) -> Arc<One> {
    let one = Arc::new(One {
        claim: claim(1),
        tell: Mutex::new(None),
    });
    let peers = Arc::new(Peers::new(Vec::new(), secret).expect("a secret"));
    let listener = Listener::bind(place).await.expect("bound");
    tokio::spawn(serve(listener, peers, Arc::<One>::clone(&one)));
    one
}

fn place(folder: &tempfile::TempDir, name: &str) -> PeerAt {
    PeerAt::Path(folder.path().join(name))
}

#[tokio::test]
async fn whoever_has_a_connection_tells_what_it_knows_when_the_client_has_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = secret(&folder, "key", &[7; 32], 0o600);
    let at = place(&folder, "one");
    let one = holder(&at, &key).await;
    // One that is not there and one that does not know it do not matter.
    let other = place(&folder, "other");
    let _other = holder(&other, &key).await;
    let others = vec![place(&folder, "nobody"), at, other];
    let asks = Peers::new(others, &key).expect("a secret");
    assert!(asks.find(&claim(2)).await.is_none(), "nobody has it");
    let mut wrong = claim(1);
    "mallory".clone_into(&mut wrong.name);
    assert!(asks.find(&wrong).await.is_none(), "another client's");
    let promised = asks.find(&claim(1)).await.expect("promised");
    let known = Inspector::new().snapshot();
    let tell = loop {
        // Both have it in this test; the first to answer is the one that counts.
        let told = [&one, &_other].map(|it| it.tell.lock().expect("not poisoned").take());
        if let Some(tell) = told.into_iter().flatten().find(|tell| !tell.is_closed()) {
            break tell;
        }
        tokio::task::yield_now().await;
    };
    let _ = tell.send(known.clone());
    assert_eq!(promised.kept().await.expect("kept"), known);
}

#[tokio::test]
async fn a_promise_ends_with_the_connection_and_with_whoever_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = secret(&folder, "key", &[7; 40], 0o600);
    let at = place(&folder, "one");
    let one = holder(&at, &key).await;
    let asks = Peers::new(vec![at], &key).expect("a secret");
    let promised = asks.find(&claim(1)).await.expect("promised");
    drop(one.tell.lock().expect("not poisoned").take());
    assert!(promised.kept().await.is_err(), "the connection has ended");
    let promised = asks.find(&claim(1)).await.expect("promised");
    let mut tell = one
        .tell
        .lock()
        .expect("not poisoned")
        .take()
        .expect("asked");
    drop(promised);
    timeout(PATIENCE, tell.closed()).await.expect("nobody asks");
}

#[tokio::test]
async fn nobody_without_the_secret_is_answered_or_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = secret(&folder, "key", &[7; 32], 0o600);
    let other_key = secret(&folder, "other-key", &[8; 32], 0o600);
    let at = place(&folder, "one");
    let one = holder(&at, &key).await;
    let asks = Peers::new(vec![at.clone()], &other_key).expect("a secret");
    assert!(asks.find(&claim(1)).await.is_none());
    assert!(
        one.tell.lock().expect("not poisoned").is_none(),
        "not even looked up"
    );
    // What somebody has heard is worth nothing a second time: the numbers are new.
    let PeerAt::Path(path) = &at else {
        unreachable!("a path")
    };
    let mut heard = Vec::new();
    {
        let (mut near, mut far) = tokio::io::duplex(4096);
        let mut exchange = Exchange {
            stream: &mut near,
            secret: Secret::read(&key).expect("a secret"),
            numbers: [1; 64],
        };
        exchange.send(ASK, &claim(1)).await.expect("sent");
        drop(exchange);
        drop(near);
        far.read_to_end(&mut heard).await.expect("heard");
    }
    let mut stream = UnixStream::connect(path).await.expect("connected");
    stream.read_exact(&mut [0; 32]).await.expect("a number");
    stream.write_all(&[1; 32]).await.expect("written");
    stream.write_all(&heard).await.expect("written");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{answer:?}");
    assert!(one.tell.lock().expect("not poisoned").is_none());
    // A length that is a lie costs nothing.
    let mut stream = UnixStream::connect(path).await.expect("connected");
    stream.read_exact(&mut [0; 32]).await.expect("a number");
    stream.write_all(&[1; 32]).await.expect("written");
    stream.write_all(&[0xff; 4]).await.expect("written");
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{answer:?}");
}

#[test]
fn a_secret_is_long_and_nobody_elses() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes, mode, why) in [
        ("short", &[7; 31][..], 0o600, "31 bytes"),
        ("open", &[7; 32][..], 0o640, "mode 640"),
    ] {
        let path = secret(&folder, name, bytes, mode);
        let error = Peers::new(Vec::new(), &path).map(drop).expect_err(why);
        assert!(error.to_string().contains(why), "{error}");
    }
    let missing = folder.path().join("missing");
    assert!(Peers::new(Vec::new(), &missing).is_err());
}
