//! Virtual connections, by their cookie: who they belong to, and which halves of them are here.
//!
//! Read first: MS-RPCH sections 3.2.3.5.3 and 3.2.4.5.3. Whoever knows a cookie could join; so a newcomer must be the same client, want the same target
//! and, if it recycles a channel, come through the same listener. A newcomer that is refused changes nothing for who is there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use farcall_rpch::First;
use farcall_rpch::rts::Cookie;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::half::Command;
use crate::channel::{Asked, Direction, code};
use crate::identity::Identity;
use crate::inspect::{Inspector, Snapshot};
use crate::metrics::{Metrics, Phase};
use crate::peers::Claim;
use crate::status::{self, Row};
use crate::tap::Flow;
use crate::target::Target;

/// All virtual connections.
pub(super) struct Table {
    most: usize,
    most_per_user: usize,
    next: AtomicU64,
    all: Mutex<All>,
    empty: Notify,
}

#[derive(Default)]
struct All {
    by_cookie: HashMap<Cookie, Arc<Virtual>>,
    users: HashMap<String, usize>,
}

/// One virtual connection.
pub(super) struct Virtual {
    /// Its number in logs.
    pub(super) number: u64,
    cookie: Cookie,
    user: String,
    /// Who it belongs to.
    pub(super) identity: Arc<Identity>,
    /// Whence it came first.
    pub(super) source: SocketAddr,
    /// Through which listener it came first.
    pub(super) listener: Arc<str>,
    /// Where it goes.
    pub(super) target: Target,
    /// What rules call that.
    pub(super) target_name: String,
    /// Since when.
    pub(super) since: Instant,
    /// What goes through it, followed.
    pub(super) inspector: Mutex<Inspector>,
    /// Bytes of RPC from the client and to it.
    pub(super) bytes: [AtomicU64; 2],
    /// Calls that were forwarded.
    pub(super) calls: AtomicU64,
    /// Calls and binds that were denied.
    pub(super) denied: AtomicU64,
    /// How full each direction is, as its half said last: from the client, to it.
    pub(super) ways: [Fill; 2],
    phase: Mutex<Option<Phase>>,
    /// Its place in a capture, if it is captured.
    pub(super) flow: Mutex<Option<Flow>>,
    /// Another proxy waits for what is known here.
    heir: Mutex<Option<oneshot::Sender<Snapshot>>>,
    halves: Mutex<Halves>,
    table: Weak<Table>,
}

/// How full one direction is.
#[derive(Debug, Default)]
pub(super) struct Fill {
    pub(super) window: AtomicU64,
    pub(super) queued: AtomicU64,
    pub(super) lifetime: AtomicU64,
    pub(super) recycled: AtomicU64,
}

#[derive(Default)]
struct Halves {
    r#in: Option<HalfOf>,
    out: Option<HalfOf>,
    /// The inbound half has been here: what the client asked for is known.
    followed: bool,
    /// The client understands RTS PDUs that come unasked.
    spoken: bool,
}

struct HalfOf {
    listener: Arc<str>,
    commands: mpsc::UnboundedSender<Command>,
    task: Option<AbortHandle>,
}

/// What a newcomer's first PDU leads to.
pub(super) enum Joined {
    /// A new half of this virtual connection, to be driven; commands for it come from here.
    Half(Arc<Virtual>, mpsc::UnboundedReceiver<Command>),
    /// A channel for a half that is there.
    Attach(mpsc::UnboundedSender<Command>),
}

impl Table {
    /// None is here. Of one user there are at most `most_per_user`.
    pub(super) fn new(most: usize, most_per_user: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_user,
            next: AtomicU64::new(1),
            all: Mutex::default(),
            empty: Notify::new(),
        })
    }

    /// Finds the place of a newcomer, or why there is none: a code for the client, and words for the log.
    pub(super) fn join(
        self: &Arc<Self>,
        first: &First,
        asked: &Asked,
        target_name: &str,
    ) -> Result<Joined, (u32, &'static str)> {
        let cookie = first.virtual_connection();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = match all.by_cookie.get(&cookie) {
            Some(shared) => {
                let shared = Arc::clone(shared);
                if !shared.identity.same(&asked.identity) {
                    return Err((code::ACCESS_DENIED, "another client's cookie"));
                }
                if shared.target != asked.target {
                    return Err((code::ACCESS_DENIED, "a cookie of another target"));
                }
                shared
            }
            None => {
                let shared = self.virtual_connection(&mut all, cookie, asked, target_name)?;
                all.by_cookie.insert(cookie, Arc::clone(&shared));
                shared
            }
        };
        drop(all);
        shared.take(first, asked)
    }

    fn virtual_connection(
        self: &Arc<Self>,
        all: &mut All,
        cookie: Cookie,
        asked: &Asked,
        target_name: &str,
    ) -> Result<Arc<Virtual>, (u32, &'static str)> {
        let user = format!("{} {}", asked.identity.kind, asked.identity);
        let of_user = all.users.get(&user).copied().unwrap_or_default();
        if all.by_cookie.len() >= self.most {
            return Err((code::SERVER_TOO_BUSY, "too many virtual connections"));
        }
        if of_user >= self.most_per_user {
            return Err((
                code::SERVER_TOO_BUSY,
                "too many virtual connections of one user",
            ));
        }
        all.users.insert(user.clone(), of_user + 1);
        Ok(Arc::new(Virtual {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            cookie,
            user,
            identity: Arc::clone(&asked.identity),
            source: asked.source,
            listener: Arc::clone(&asked.listener),
            target: asked.target.clone(),
            target_name: target_name.to_owned(),
            since: Instant::now(),
            inspector: Mutex::new(Inspector::new()),
            bytes: Default::default(),
            calls: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            ways: Default::default(),
            phase: Mutex::default(),
            flow: Mutex::new(None),
            heir: Mutex::new(None),
            halves: Mutex::default(),
            table: Arc::downgrade(self),
        }))
    }

    /// Promises to tell another proxy what is known of a virtual connection, if it is here and belongs to the same client.
    pub(super) fn promise(&self, claim: &Claim) -> Option<oneshot::Receiver<Snapshot>> {
        let shared = {
            let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.by_cookie.get(&Cookie(claim.cookie))?)
        };
        let who = &shared.identity;
        let same = who.kind.word() == claim.kind
            && who.name == claim.name
            && who.domain == claim.domain
            && who.issuer == claim.issuer
            && shared.target.to_string() == claim.target;
        let halves = shared.halves.lock().unwrap_or_else(PoisonError::into_inner);
        // A channel that has only come, and waits to be told itself, knows nothing.
        let half = halves.r#in.as_ref().filter(|half| half.task.is_some());
        let listener = half.map(|half| &*half.listener);
        if !same || listener != Some(&*claim.listener) {
            tracing::info!(connection = shared.number, "another proxy is told nothing");
            return None;
        }
        let mut heir = shared.heir.lock().unwrap_or_else(PoisonError::into_inner);
        // One at a time, unless it has gone.
        if heir.as_ref().is_some_and(|heir| !heir.is_closed()) {
            return None;
        }
        let (tell, told) = oneshot::channel();
        *heir = Some(tell);
        Some(told)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .by_cookie
            .len()
    }

    /// All of them, in the order of their numbers.
    pub(super) fn list(&self) -> Vec<Arc<Virtual>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = all.by_cookie.values().cloned().collect();
        list.sort_by_key(|shared| shared.number);
        list
    }

    /// Ends all of them with this code for their clients.
    pub(super) fn close_all(&self, code: u32) {
        let why = "the proxy ends";
        for shared in self.list() {
            shared.tell(Direction::In, Command::Close(code, why));
            shared.tell(Direction::Out, Command::Close(code, why));
        }
    }

    /// Ends all of them without a word.
    pub(super) fn abort_all(&self) {
        for shared in self.list() {
            let mut halves = shared.halves.lock().unwrap_or_else(PoisonError::into_inner);
            let Halves { r#in, out, .. } = &mut *halves;
            let tasks = [r#in, out].map(|half| half.as_mut()?.task.take());
            drop(halves);
            tasks.iter().flatten().for_each(AbortHandle::abort);
        }
    }

    /// Waits until none is left.
    pub(super) async fn emptied(&self) {
        loop {
            let empty = self.empty.notified();
            tokio::pin!(empty);
            empty.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            empty.await;
        }
    }
}

impl Virtual {
    fn take(self: Arc<Self>, first: &First, asked: &Asked) -> Result<Joined, (u32, &'static str)> {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = halves.of(asked.direction);
        match (slot.as_ref(), first.is_establishing()) {
            (Some(_), true) => Err((code::PROTOCOL_ERROR, "a cookie that is used already")),
            (Some(half), false) if half.listener != asked.listener => {
                Err((code::ACCESS_DENIED, "a cookie of another listener"))
            }
            (Some(half), false) => Ok(Joined::Attach(half.commands.clone())),
            (None, _) => {
                let (commands, from) = mpsc::unbounded_channel();
                *slot = Some(HalfOf {
                    listener: Arc::clone(&asked.listener),
                    commands,
                    task: None,
                });
                halves.followed |= asked.direction == Direction::In && first.is_establishing();
                drop(halves);
                Ok(Joined::Half(self, from))
            }
        }
    }

    /// A half is driven by this task.
    pub(super) fn runs(&self, direction: Direction, task: AbortHandle) {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(half) = halves.of(direction) {
            half.task = Some(task);
        }
    }

    /// The client goes on at another proxy, if it has gone on at all: whoever waits for it is told what is known here.
    pub(super) fn hand_over(&self, goes_on: bool) {
        let heir = self
            .heir
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if !goes_on {
            return;
        }
        self.halves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .followed = false;
        if let Some(heir) = heir {
            let inspector = self
                .inspector
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            // Whoever waited may have gone.
            let _ = heir.send(inspector.snapshot());
        }
    }

    /// Goes on with what another proxy knew.
    pub(super) fn resume(&self, inspector: Inspector) {
        *self
            .inspector
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = inspector;
    }

    /// Whether what the server answers comes through here.
    pub(super) fn hears(&self) -> bool {
        self.halves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .out
            .is_some()
    }

    /// Whether all that the client sent came through here, so that what the server sends can be followed.
    pub(super) fn is_followed(&self) -> bool {
        self.halves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .followed
    }

    /// The client understands RTS PDUs that come unasked.
    pub(super) fn speaks(&self) {
        self.halves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spoken = true;
        self.tell(Direction::Out, Command::MayPing);
    }

    /// Whether the client understands such, or nobody here can tell.
    pub(super) fn has_spoken(&self) -> bool {
        let halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.spoken || halves.r#in.is_none()
    }

    /// Tells a half something, if it is here.
    pub(super) fn tell(&self, direction: Direction, command: Command) -> bool {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        match halves.of(direction) {
            Some(half) => half.commands.send(command).is_ok(),
            None => false,
        }
    }

    /// A half has ended. True if none is left.
    pub(super) fn left(&self, direction: Direction) -> bool {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        *halves.of(direction) = None;
        if halves.r#in.is_some() || halves.out.is_some() {
            return false;
        }
        drop(halves);
        self.forget();
        true
    }

    fn forget(&self) {
        let Some(table) = self.table.upgrade() else {
            return;
        };
        let mut all = table.all.lock().unwrap_or_else(PoisonError::into_inner);
        // Another of the same cookie may have taken the place.
        let own = all
            .by_cookie
            .get(&self.cookie)
            .is_some_and(|it| std::ptr::eq(&raw const **it, self));
        if own {
            all.by_cookie.remove(&self.cookie);
            if let Some(count) = all.users.get_mut(&self.user) {
                *count -= 1;
                if *count == 0 {
                    all.users.remove(&self.user);
                }
            }
        }
        drop(all);
        table.empty.notify_waiters();
    }
}

impl Halves {
    fn of(&mut self, direction: Direction) -> &mut Option<HalfOf> {
        match direction {
            Direction::In => &mut self.r#in,
            Direction::Out => &mut self.out,
        }
    }
}

/// How far it has come.
impl Virtual {
    /// How far it has come, if a half is here.
    pub(super) fn phase(&self) -> Option<Phase> {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has come so far, unless it is further already.
    pub(super) fn advance(&self, metrics: &Metrics, to: Phase) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if phase.is_none_or(|now| now < to) {
            if let Some(before) = phase.replace(to) {
                metrics.phases.of(before).add(-1);
            }
            metrics.phases.of(to).add(1);
        }
    }

    /// It is over.
    pub(super) fn over(&self, metrics: &Metrics) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = phase.take() {
            metrics.phases.of(before).add(-1);
        }
    }
}

impl Virtual {
    /// Bytes of RPC from the client and to it.
    pub(super) fn counted(&self) -> [u64; 2] {
        [0, 1].map(|at: usize| {
            self.bytes
                .get(at)
                .map_or(0, |count| count.load(Ordering::Relaxed))
        })
    }
}

impl Virtual {
    /// Its line for people.
    pub(super) fn row(&self) -> Row {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let [sent, received] = self.counted();
        let [inward, outward] = &self.ways;
        let way = |bytes, fill: &Fill| status::Direction {
            bytes,
            window: count(&fill.window),
            queued: count(&fill.queued),
            lifetime: count(&fill.lifetime),
            recycled: count(&fill.recycled),
        };
        let inspector = self
            .inspector
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Row {
            id: self.number,
            who: self.identity.to_string(),
            source: self.source.ip(),
            listener: self.listener.to_string(),
            target: self.target_name.clone(),
            phase: self.phase().unwrap_or(Phase::Reaching),
            age: self.since.elapsed(),
            calls: count(&self.calls),
            denied: count(&self.denied),
            open: inspector.open().len(),
            inward: way(sent, inward),
            outward: way(received, outward),
        }
    }
}
