//! Other proxies of the same farm: what one has seen of a client is handed to the one that goes on with the client's channel.
//!
//! Read first: MS-RPCH sections 3.2.3.5.4 to 3.2.3.5.7 (IN_R1). A client may replace its IN channel by one through another inbound proxy. That one has not seen
//! what the client has bound, so it could not judge a call. It therefore asks the others for the virtual connection before it takes anything over; the one
//! that has it promises, and tells what it knows when the client has left it for good. Who asks must ask for the same client, listener and target.
//!
//! Messages are texts of JSON with a code (HMAC-SHA-256) under a secret that all proxies of the farm have, over numbers that either side chose anew: nobody
//! else is believed, and nothing counts twice. They are not encrypted. Everything has a limit: sizes, times, and how many ask at once.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::config::value::PeerAt;
use crate::inspect::Snapshot;

/// Longest message, in bytes: what an inspector knows is at most a third of it.
const MAX_MESSAGE: usize = 64 << 10;

/// Fewest bytes of a secret.
const LEAST_SECRET: usize = 32;

/// How long a question and its answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Proxies that ask at once.
const MOST: usize = 1024;

/// What the code of a message is for, so that none passes for another.
const ASK: &[u8] = b"farcall proxy peers 1: ask";
const ANSWER: &[u8] = b"farcall proxy peers 1: answer";
const HANDED: &[u8] = b"farcall proxy peers 1: handed over";

/// A connection to another proxy.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Which virtual connection, and who wants to go on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The virtual connection's cookie.
    pub cookie: [u8; 16],
    /// How the client was authenticated, by its word.
    pub kind: String,
    /// The client's name.
    pub name: String,
    /// Its domain.
    pub domain: String,
    /// Who vouches for it.
    pub issuer: String,
    /// Through which listener it came.
    pub listener: String,
    /// For which server.
    pub target: String,
}

/// Whoever has virtual connections.
pub trait Holder: Send + Sync + 'static {
    /// Promises to tell what is known of a virtual connection when its client goes on elsewhere. `None`: it is not here, or not this client's. If
    /// the other end is dropped, nobody wants to know any more; if the promise is dropped, the connection has ended otherwise.
    fn promise(&self, claim: &Claim) -> Option<oneshot::Receiver<Snapshot>>;
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    is_here: bool,
}

/// What all proxies of a farm know and nobody else.
#[derive(Clone)]
struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Reads a file that nobody else can read.
    fn read(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let text = format!("mode {mode:03o} lets others at it, expected 600");
            return Err(io::Error::other(text));
        }
        let bytes = Zeroizing::new(std::fs::read(path)?);
        match bytes.len() {
            len if len < LEAST_SECRET => Err(io::Error::other(format!(
                "a secret of {len} bytes, expected {LEAST_SECRET} at least"
            ))),
            _ => Ok(Self(Arc::new(bytes))),
        }
    }
}

/// One exchange: its secret and both sides' numbers.
struct Exchange<S> {
    stream: S,
    secret: Secret,
    numbers: [u8; 64],
}

impl<S: Stream> Exchange<S> {
    fn code(&self, label: &[u8], text: &[u8]) -> io::Result<Hmac<Sha256>> {
        let keyed = Hmac::<Sha256>::new_from_slice(&self.secret.0);
        let mut code = keyed.map_err(|_| io::Error::other("a secret of no use"))?;
        for part in [label, &self.numbers, text] {
            code.update(part);
        }
        Ok(code)
    }

    async fn send(&mut self, label: &[u8], message: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let len = u32::try_from(text.len()).map_err(io::Error::other)?;
        let code = self.code(label, &text)?.finalize().into_bytes();
        let whole = [&len.to_be_bytes()[..], &text, &code].concat();
        self.stream.write_all(&whole).await
    }

    async fn receive<T: DeserializeOwned>(&mut self, label: &[u8]) -> io::Result<T> {
        let len = usize::try_from(self.stream.read_u32().await?).unwrap_or(usize::MAX);
        if len > MAX_MESSAGE {
            return Err(io::Error::other("a message that is too long"));
        }
        let mut text = vec![0; len];
        self.stream.read_exact(&mut text).await?;
        let mut code = [0; 32];
        self.stream.read_exact(&mut code).await?;
        let genuine = self.code(label, &text)?.verify_slice(&code);
        genuine.map_err(|_| io::Error::other("a message of somebody without the secret"))?;
        Ok(serde_json::from_slice(&text)?)
    }
}

fn number() -> io::Result<[u8; 32]> {
    let mut number = [0; 32];
    getrandom::fill(&mut number).map_err(|_| io::Error::other("no random bytes"))?;
    Ok(number)
}

/// The other proxies, as one of them knows them.
pub struct Peers {
    others: Vec<PeerAt>,
    secret: Secret,
}

impl Peers {
    /// Reads the secret.
    ///
    /// # Errors
    /// The file cannot be read, others can read it, or it is too short.
    pub fn new(others: Vec<PeerAt>, secret: &Path) -> io::Result<Self> {
        Ok(Self {
            others,
            secret: Secret::read(secret)?,
        })
    }

    /// Asks all of them at once who has a virtual connection.
    pub async fn find(&self, claim: &Claim) -> Option<Promised> {
        let (found, mut first) = mpsc::channel(1);
        for other in &self.others {
            let (other, claim, secret) = (other.clone(), claim.clone(), self.secret.clone());
            let found = found.clone();
            tokio::spawn(async move {
                match timeout(PATIENCE, ask(&other, secret, &claim)).await {
                    // Only one has it; if nobody waits for it any more, it is told so by the end of this.
                    Ok(Ok(Some(promised))) => drop(found.send(promised).await),
                    Ok(Ok(None)) => {}
                    Ok(Err(error)) => tracing::warn!(%other, %error, "another proxy was not asked"),
                    Err(_) => tracing::warn!(%other, "another proxy does not answer"),
                }
            });
        }
        drop(found);
        first.recv().await
    }
}

async fn ask(other: &PeerAt, secret: Secret, claim: &Claim) -> io::Result<Option<Promised>> {
    let stream: Box<dyn Stream> = match other {
        PeerAt::Address(address) => Box::new(TcpStream::connect(address).await?),
        PeerAt::Path(path) => Box::new(UnixStream::connect(path).await?),
    };
    let mut exchange = Exchange {
        stream,
        secret,
        numbers: [0; 64],
    };
    let (theirs, ours) = exchange.numbers.split_at_mut(32);
    exchange.stream.read_exact(theirs).await?;
    ours.copy_from_slice(&number()?);
    exchange.stream.write_all(ours).await?;
    exchange.send(ASK, claim).await?;
    let answer: Answer = exchange.receive(ANSWER).await?;
    Ok(answer.is_here.then_some(Promised(exchange)))
}

/// Another proxy has it, and will tell what it knows.
pub struct Promised(Exchange<Box<dyn Stream>>);

impl Promised {
    /// Waits for it.
    ///
    /// # Errors
    /// The virtual connection has ended, or the other proxy has.
    pub async fn kept(mut self) -> io::Result<Snapshot> {
        self.0.receive(HANDED).await
    }
}

/// Where others ask.
pub enum Listener {
    /// Over TCP.
    Tcp(TcpListener),
    /// On this machine.
    Unix(UnixListener),
}

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(at: &PeerAt) -> io::Result<Self> {
        match at {
            PeerAt::Address(address) => Ok(Self::Tcp(TcpListener::bind(address).await?)),
            PeerAt::Path(path) => {
                // What a process that has ended left behind; one that lives is still connected to.
                if UnixStream::connect(path).await.is_err() && path.exists() {
                    std::fs::remove_file(path)?;
                }
                Ok(Self::Unix(UnixListener::bind(path)?))
            }
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

/// Answers the others, for as long as it is polled.
pub async fn serve(listener: Listener, peers: Arc<Peers>, holder: Arc<dyn Holder>) {
    let room = Arc::new(Semaphore::new(MOST));
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "another proxy was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            continue;
        };
        let (secret, holder) = (peers.secret.clone(), Arc::clone(&holder));
        tokio::spawn(async move {
            if let Err(error) = answer(stream, secret, &*holder).await {
                tracing::info!(%error, "another proxy was not answered");
            }
            drop(place);
        });
    }
}

async fn answer(stream: Box<dyn Stream>, secret: Secret, holder: &dyn Holder) -> io::Result<()> {
    let mut exchange = Exchange {
        stream,
        secret,
        numbers: [0; 64],
    };
    let asking = async {
        let (ours, theirs) = exchange.numbers.split_at_mut(32);
        ours.copy_from_slice(&number()?);
        exchange.stream.write_all(ours).await?;
        exchange.stream.read_exact(theirs).await?;
        let claim: Claim = exchange.receive(ASK).await?;
        let promise = holder.promise(&claim);
        let is_here = promise.is_some();
        exchange.send(ANSWER, &Answer { is_here }).await?;
        Ok::<_, io::Error>(promise)
    };
    let asked = timeout(PATIENCE, asking).await;
    let Some(promise) = asked.map_err(|_| io::ErrorKind::TimedOut)?? else {
        return Ok(());
    };
    let snapshot = tokio::select! {
        kept = promise => kept.ok(),
        // Whoever asked has gone, or says what nobody says there.
        _ = exchange.stream.read_u8() => None,
    };
    match snapshot {
        Some(snapshot) => timeout(PATIENCE, exchange.send(HANDED, &snapshot))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
