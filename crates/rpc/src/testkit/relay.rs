//! A UDP relay on this machine that loses, repeats and delays datagrams, by a seed.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use farcall_onc::seed::Seed;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// How a [`Relay`] treats datagrams, both ways. Chances are in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loss {
    /// How many are lost.
    pub lost: u8,
    /// How many come twice.
    pub repeated: u8,
    /// How much later each comes, at most; so they also overtake each other.
    pub delay: Duration,
    /// The same seed and traffic give the same losses.
    pub seed: u64,
}

/// A relay between UDP clients and one server. It ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    dropped: Arc<AtomicU64>,
    _task: JoinSet<()>,
}

impl Relay {
    /// Relays between whoever sends to [`address`](Self::address) and `server`.
    ///
    /// # Errors
    /// No socket can be bound on the loopback address.
    pub async fn start(server: SocketAddr, loss: Loss) -> io::Result<Self> {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let address = front.local_addr()?;
        let dropped = Arc::new(AtomicU64::new(0));
        let mut task = JoinSet::new();
        let chance = Chance {
            seed: Seed::replay(loss.seed),
            drawn: AtomicU64::new(0),
        };
        let road = Arc::new(Road {
            loss,
            chance,
            dropped: Arc::clone(&dropped),
        });
        task.spawn(async move {
            let _ = relay(front, server, road).await;
        });
        Ok(Self {
            address,
            dropped,
            _task: task,
        })
    }

    /// Where clients send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Datagrams lost so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Draws numbers below 100.
struct Chance {
    seed: Seed,
    drawn: AtomicU64,
}

impl Chance {
    fn percent(&self) -> u64 {
        self.seed.draw(self.drawn.fetch_add(1, Ordering::Relaxed)) % 100
    }
}

/// What happens to a datagram on its way.
struct Road {
    loss: Loss,
    chance: Chance,
    dropped: Arc<AtomicU64>,
}

impl Road {
    /// Sends a datagram on, or not, or twice, or later.
    fn travel(self: &Arc<Self>, socket: &Arc<UdpSocket>, bytes: Vec<u8>, to: SocketAddr) {
        if self.chance.percent() < self.loss.lost.into() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let copies = 1 + u32::from(self.chance.percent() < self.loss.repeated.into());
        for _ in 0..copies {
            let late = self.loss.delay * u32::try_from(self.chance.percent()).unwrap_or(0) / 100;
            let (socket, bytes) = (Arc::clone(socket), bytes.clone());
            tokio::spawn(async move {
                tokio::time::sleep(late).await;
                let _ = socket.send_to(&bytes, to).await;
            });
        }
    }
}

async fn relay(front: Arc<UdpSocket>, server: SocketAddr, road: Arc<Road>) -> io::Result<()> {
    let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut answers = JoinSet::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let (len, client) = front.recv_from(&mut buffer).await?;
        let bytes = buffer.get(..len).unwrap_or_default().to_vec();
        let back = match backs.get(&client) {
            Some(back) => Arc::clone(back),
            None => {
                let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
                backs.insert(client, Arc::clone(&back));
                let (front, road) = (Arc::clone(&front), Arc::clone(&road));
                answers.spawn(answer(Arc::clone(&back), front, client, road));
                back
            }
        };
        road.travel(&back, bytes, server);
    }
}

/// Relays what the server answers to one client.
async fn answer(back: Arc<UdpSocket>, front: Arc<UdpSocket>, client: SocketAddr, road: Arc<Road>) {
    let mut buffer = vec![0; 65_536];
    while let Ok((len, _)) = back.recv_from(&mut buffer).await {
        road.travel(
            &front,
            buffer.get(..len).unwrap_or_default().to_vec(),
            client,
        );
    }
}
