//! Brings tasks to agents and their ends into the database. The lanes write in group commits; the hub knows who is
//! connected here; nothing in it knows gRPC.

mod back;
mod cancel;
mod claim;
mod former;
mod hub;
mod inventory;
mod lanes;
mod log;
mod orphans;
mod peers;
mod report;
mod sweep;
mod tasks;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub use crate::model::timing::Timing;
use crate::{
    metrics::Metrics,
    model::{
        ids::{Id, Ids},
        lifecycle::Event,
        replica::PeerEvent,
        state::State,
        task::{Finish, RequestKey, Snapshot, Task, Wish},
    },
    storage::{self, Leased},
};
use former::Polls;
pub use former::{End, Poll, Taken};
pub use hub::{Attach, Order};
use hub::{Hub, Speaker};
pub use log::Said;
pub use peers::{Peers, Served};
pub use sweep::Round;
pub use tasks::Tasks;

/// Stands for a session where the sweeper ends a task: no session has this number.
const GIVEN_UP: u64 = 0;
/// How many requests may wait for a write lane.
const QUEUE: usize = 4_096;

/// See the module.
#[derive(Clone)]
pub struct Dispatch(Arc<Inner>);

struct Inner {
    /// This process, among those that serve the same database.
    replica: Id,
    hub: Mutex<Hub>,
    polls: Mutex<Polls>,
    store: Arc<dyn Tasks>,
    source: Arc<dyn Ids>,
    metrics: Metrics,
    creates: mpsc::Sender<Create>,
    finishes: mpsc::Sender<Ended>,
    pokes: mpsc::UnboundedSender<i64>,
    timing: Timing,
    peers: Peers,
    /// Streams that ended and are not written down yet.
    departed: Mutex<Vec<Departed>>,
    orphans: Mutex<orphans::Seen>,
    inventories: inventory::Said,
    lines: mpsc::Sender<log::Line>,
    places: log::Places,
    stop: CancellationToken,
}

struct Departed {
    cluster: i64,
    journal: Id,
    session: String,
    at_us: i64,
}

struct Create {
    tasks: Vec<NewTask>,
    key: Option<RequestKey>,
    reply: oneshot::Sender<Result<(), storage::Error>>,
}

/// A task to store.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// The task.
    pub task: Arc<Task>,
    /// It waits until this time, microseconds since 1970.
    pub due: Option<i64>,
    /// A limit or a pause concerns it, so it waits in the database for its turn.
    pub in_turn: bool,
}

struct Ended {
    session: u64,
    finish: Finish,
}

impl Dispatch {
    /// Starts the lanes, the claimer and the look-out for offers that nobody takes; they end with `stop`.
    #[must_use]
    pub fn start(
        store: impl Tasks,
        source: impl Ids,
        metrics: Metrics,
        timing: Timing,
        stop: &CancellationToken,
    ) -> Self {
        let (creates, create_queue) = mpsc::channel(QUEUE);
        let (finishes, finish_queue) = mpsc::channel(QUEUE);
        let (pokes, poked) = mpsc::unbounded_channel();
        let (lines, said) = mpsc::channel(log::QUEUE);
        let (places, stop_all) = (log::Places::default(), stop.clone());
        let replica = source.random();
        let (hub, polls, departed, peers) = (Mutex::default(), Mutex::default(), Mutex::default(), Peers::default());
        let (store, source) = (Arc::new(store), Arc::new(source));
        let dispatch = Self(Arc::new(Inner {
            replica,
            hub,
            polls,
            store,
            source,
            metrics,
            creates,
            finishes,
            pokes,
            timing,
            peers,
            departed,
            orphans: Mutex::default(),
            inventories: inventory::Said::default(),
            lines,
            places,
            stop: stop_all,
        }));
        tokio::spawn(lanes::creates(dispatch.clone(), create_queue));
        tokio::spawn(lanes::finishes(dispatch.clone(), finish_queue));
        tokio::spawn(log::run(dispatch.clone(), said));
        tokio::spawn(inventory::run(dispatch.clone(), stop.clone()));
        tokio::spawn(claim::run(dispatch.clone(), poked, stop.clone()));
        tokio::spawn(sweep::run(dispatch.clone(), stop.clone()));
        dispatch
    }

    /// This process, among those that serve the same database.
    #[must_use]
    pub fn replica(&self) -> Id {
        self.0.replica
    }

    /// Stores tasks durably; offers go out after the commit.
    ///
    /// # Errors
    /// [`storage::Error`]; nothing is stored then.
    pub async fn create(&self, tasks: Vec<NewTask>, key: Option<RequestKey>) -> Result<(), storage::Error> {
        let (reply, answer) = oneshot::channel();
        let closed = || storage::Error::Engine(sqlx_closed());
        self.0.creates.send(Create { tasks, key, reply }).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// An agent's stream begins. Answers its number, and which of the leases that it holds are gone.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine.
    pub async fn attach(
        &self,
        attach: Attach,
        orders: mpsc::UnboundedSender<Order>,
    ) -> Result<(u64, Vec<Id>), storage::Error> {
        let (cluster, journal, uuid) = (attach.cluster, attach.journal, attach.uuid.clone());
        let (speaker, served) = (Speaker::of(&attach), attach.inventory.clone());
        // An earlier stream of this agent that ends here ends now, and says nothing more.
        self.evict(cluster, journal);
        let before = self.0.store.agent(cluster, journal).await?;
        self.0.store.agent_attached(cluster, journal, &uuid, self.0.replica, self.0.source.now_us()).await?;
        let stored = self.0.store.leases_of(cluster, journal).await?;
        let held = attach.held.clone();
        let (kept, dropped): (Vec<_>, Vec<_>) = stored.into_iter().partition(|leased| held.contains(&leased.lease.id));
        let gone = held.into_iter().filter(|id| !kept.iter().any(|leased| leased.lease.id == *id)).collect();
        let wishes: Vec<_> = kept.iter().filter(|leased| leased.wish != Wish::None).cloned().collect();
        let evicted;
        let session = {
            let mut hub = self.0.hub.lock();
            // Another stream of the agent may have begun while the database was asked.
            evicted = hub.evict(cluster, journal);
            let session = hub.attach(attach, orders, kept, Instant::now());
            for leased in wishes {
                hub.tell(leased.lease.id, cancel::wish_order(leased.lease.id, leased.wish));
            }
            session
        };
        self.note_inventory(speaker, served);
        self.0.metrics.agents_connected.inc();
        self.0.peers.gained(cluster);
        self.count_evicted(cluster, evicted);
        let is_closed = before.is_none_or(|row| row.detached.is_some() || row.replica == self.0.replica);
        if is_closed {
            self.dropped(dropped).await;
        } else if !dropped.is_empty() {
            // Its stream on another replica may still be open there. When the lease's time is over, nothing starts under it.
            let (dispatch, wait) = (self.clone(), self.0.timing.lease_ttl);
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                dispatch.dropped(dropped).await;
            });
        }
        self.poke(cluster);
        Ok((session, gone))
    }

    /// Ends the streams of an agent that end here.
    fn evict(&self, cluster: i64, journal: Id) {
        let evicted = self.0.hub.lock().evict(cluster, journal);
        self.count_evicted(cluster, evicted);
    }

    fn count_evicted(&self, cluster: i64, evicted: usize) {
        self.0.metrics.agents_connected.sub(i64::try_from(evicted).unwrap_or_default());
        (0..evicted).for_each(|_| self.0.peers.lost(cluster));
    }

    /// The same agent came back without these: what it ran is lost, what it never saw was not started.
    async fn dropped(&self, dropped: Vec<Leased>) {
        for leased in dropped.into_iter().filter(|leased| leased.state != State::Unknown) {
            let state = {
                let mut hub = self.0.hub.lock();
                if hub.is_held(leased.lease.id) {
                    continue;
                }
                hub.forget(leased.lease.id).unwrap_or(leased.state)
            };
            self.lost(&leased.lease, state).await;
        }
    }

    /// The stream ended; its leases stay, for when the agent comes back.
    pub async fn detach(&self, session: u64) {
        let Some((cluster, journal, session)) = self.0.hub.lock().detach(session) else { return };
        self.0.metrics.agents_connected.dec();
        self.0.peers.lost(cluster);
        let at_us = self.0.source.now_us();
        self.0.departed.lock().push(Departed { cluster, journal, session, at_us });
        self.note_departures().await;
    }

    /// Writes down which streams have ended. What cannot be written is written by a later round.
    async fn note_departures(&self) {
        let departed = std::mem::take(&mut *self.0.departed.lock());
        for one in departed {
            let noted = self.0.store.agent_detached(one.cluster, one.journal, &one.session, one.at_us).await;
            if let Err(error) = noted {
                tracing::warn!(error = &error as &dyn std::error::Error, "the end of a stream is not written down yet");
                self.0.departed.lock().push(one);
            }
        }
    }

    /// New credit, which is a heartbeat too.
    pub fn credit(&self, session: u64, stamp: u64, limit: u64) {
        let backlog = self.0.hub.lock().credit(session, stamp, limit);
        if let Some(cluster) = backlog {
            self.poke(cluster);
        }
    }

    /// The offer was taken.
    pub fn ack(&self, session: u64, lease: Id) {
        self.0.hub.lock().ack(session, lease);
    }

    /// The agent gives a task back: an offer that it does not take, a task before its first step, one that was paused, or
    /// one that ended with the agent's own process.
    pub async fn handback(&self, session: u64, lease: Id, reason: &str) {
        let Some(held) = self.0.hub.lock().take(session, lease) else { return };
        // The stream may end meanwhile, which must not leave the task with nobody.
        let (dispatch, event) = (self.clone(), Returned::of(reason));
        let taking = tokio::spawn(async move {
            match event {
                Returned::Lost => dispatch.lost(&held.lease, State::Running).await,
                Returned::Stopped => dispatch.take_back(&held.lease, held.state, Event::Stopped).await,
                Returned::Unstarted => dispatch.take_back(&held.lease, held.state, Event::Returned).await,
            }
        });
        if let Err(error) = taking.await {
            tracing::error!(%error, "a task that was handed back could not be taken; its agent's next stream tells of it");
        }
    }

    /// How long things may take.
    #[must_use]
    pub fn timing(&self) -> &Timing {
        &self.0.timing
    }

    /// Microseconds since 1970, by the server's clock.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.0.source.now_us()
    }

    /// A stale report is answered, and counted.
    pub fn stale(&self) {
        self.0.metrics.stale_reports.inc();
    }

    /// The version of a connected agent of the cluster.
    #[must_use]
    pub fn agent_version(&self, cluster: i64) -> Option<String> {
        self.0.hub.lock().agent_version(cluster)
    }

    /// Ends the streams of a cluster's agents.
    pub fn disconnect_cluster(&self, cluster: i64) {
        self.0.hub.lock().disconnect(|session| session.cluster == cluster);
        self.0.polls.lock().end_cluster(cluster);
    }

    /// Ends a session's stream.
    pub fn disconnect_session(&self, uuid: &str) {
        self.0.hub.lock().disconnect(|session| session.uuid == uuid);
        self.0.polls.lock().end_session(uuid);
    }

    /// Ends all streams and waiting calls of agents, which then authenticate again.
    pub fn disconnect_agents(&self) {
        self.0.hub.lock().disconnect(|_| true);
        self.0.polls.lock().end_open();
    }

    /// Ends all streams: the server stops.
    pub fn disconnect_all(&self) {
        self.0.hub.lock().disconnect(|_| true);
        self.0.polls.lock().end_all();
        self.0.peers.close();
    }

    /// What this replica and the others tell each other.
    #[must_use]
    pub fn peers(&self) -> &Peers {
        &self.0.peers
    }

    /// The sessions that have a stream here, by their uuids.
    #[must_use]
    pub fn session_uuids(&self) -> Vec<String> {
        self.0.hub.lock().session_uuids()
    }

    /// Waits until the server stops.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.stop.clone().cancelled_owned()
    }

    /// Why a task of the cluster that is ready waits, as far as this replica knows.
    #[must_use]
    pub fn why_waiting(&self, cluster: i64, snapshot: &Snapshot) -> Option<String> {
        self.0.hub.lock().why_waiting(cluster, snapshot)
    }

    /// Whether an agent of the cluster has a stream here.
    #[must_use]
    pub fn is_connected(&self, cluster: i64) -> bool {
        self.0.hub.lock().is_connected(cluster)
    }

    /// Tells all agents that this server stops: they finish what runs, and connect again after a while.
    pub fn drain(&self, reconnect_ms: u64) {
        self.0.hub.lock().drain("the server stops", reconnect_ms);
    }

    /// Tasks of a cluster wait, for agents here or on other replicas: all look at them soon.
    pub fn look_at(&self, cluster: i64) {
        self.look_here(cluster);
        self.0.peers.tell(&PeerEvent::Waiting(cluster));
    }

    /// Tasks of a cluster wait, as another replica says: looks at them soon.
    pub fn look_here(&self, cluster: i64) {
        self.0.hub.lock().expect_backlog(cluster);
        self.poke(cluster);
    }

    fn poke(&self, cluster: i64) {
        // The claimer lives as long as the process; a poke is only a hint.
        let _ = self.0.pokes.send(cluster);
    }
}

/// Why an agent gives a task back.
enum Returned {
    /// Its process was restarted.
    Lost,
    /// It stopped before its next step, as it was asked to.
    Stopped,
    /// Nothing of it that counts had begun.
    Unstarted,
}

impl Returned {
    /// As in the protocol: `restarted`, `paused`, or anything else.
    fn of(reason: &str) -> Self {
        match reason {
            "restarted" => Self::Lost,
            "paused" => Self::Stopped,
            _ => Self::Unstarted,
        }
    }
}

/// What a closed lane answers.
fn sqlx_closed() -> storage::Cause {
    storage::Cause::PoolClosed
}
