//! Brings tasks to agents and their ends into the database. The lanes write in group commits; the hub knows who is
//! connected here; nothing in it knows gRPC.

mod claim;
mod hub;
mod lanes;
mod report;
mod sweep;

use std::{sync::Arc, time::Instant};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use crate::model::timing::Timing;
use crate::{
    metrics::Metrics,
    model::{
        ids::{Id, Source},
        lifecycle::Event,
        task::{Finish, Task},
    },
    storage::{self, Store},
};
use hub::Hub;
pub use hub::{Attach, Order};

/// Stands for a session where the sweeper ends a task: no session has this number.
const GIVEN_UP: u64 = 0;
/// How many requests may wait for a write lane.
const QUEUE: usize = 4_096;

/// See the module.
#[derive(Clone)]
pub struct Dispatch(Arc<Inner>);

struct Inner {
    hub: Mutex<Hub>,
    store: Store,
    source: Source,
    metrics: Metrics,
    creates: mpsc::Sender<Create>,
    finishes: mpsc::Sender<Ended>,
    pokes: mpsc::UnboundedSender<i64>,
    timing: Timing,
    /// The leases of the process's predecessor were read.
    /// When the leases that nobody looks after were last read.
    recalled: Mutex<Option<Instant>>,
}

struct Create {
    tasks: Vec<Arc<Task>>,
    reply: oneshot::Sender<Result<(), storage::Error>>,
}

struct Ended {
    session: u64,
    finish: Finish,
}

impl Dispatch {
    /// Starts the lanes, the claimer and the sweeper; they end with `stop`.
    #[must_use]
    pub fn start(store: Store, source: Source, metrics: Metrics, timing: Timing, stop: &CancellationToken) -> Self {
        let (creates, create_queue) = mpsc::channel(QUEUE);
        let (finishes, finish_queue) = mpsc::channel(QUEUE);
        let (pokes, poked) = mpsc::unbounded_channel();
        let (hub, recalled) = (Mutex::default(), Mutex::default());
        let dispatch =
            Self(Arc::new(Inner { hub, store, source, metrics, creates, finishes, pokes, timing, recalled }));
        tokio::spawn(lanes::creates(dispatch.clone(), create_queue));
        tokio::spawn(lanes::finishes(dispatch.clone(), finish_queue));
        tokio::spawn(claim::run(dispatch.clone(), poked, stop.clone()));
        tokio::spawn(sweep::run(dispatch.clone(), stop.clone()));
        dispatch
    }

    /// Stores tasks durably; offers go out after the commit.
    ///
    /// # Errors
    /// [`storage::Error`]; nothing is stored then.
    pub async fn create(&self, tasks: Vec<Arc<Task>>) -> Result<(), storage::Error> {
        let (reply, answer) = oneshot::channel();
        let closed = || storage::Error::Engine(sqlx_closed());
        self.0.creates.send(Create { tasks, reply }).await.map_err(|_| closed())?;
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
        let stored = self.0.store.leases_of(attach.cluster, attach.journal).await?;
        let (cluster, journal, held) = (attach.cluster, attach.journal, attach.held.clone());
        let (kept, dropped): (Vec<_>, Vec<_>) = stored.into_iter().partition(|(lease, _)| held.contains(&lease.id));
        let gone = held.into_iter().filter(|id| !kept.iter().any(|(lease, _)| lease.id == *id)).collect();
        let session = {
            let mut hub = self.0.hub.lock();
            hub.disconnect(|session| session.cluster == cluster && session.journal == journal);
            hub.attach(attach, orders, kept, Instant::now())
        };
        self.0.metrics.agents_connected.inc();
        // The same agent came back without these: what it ran is lost, what it never saw was not started.
        for (lease, stored) in dropped {
            let state = self.0.hub.lock().forget(lease.id).unwrap_or(stored);
            self.lost(&lease, state).await;
        }
        self.poke(cluster);
        Ok((session, gone))
    }

    /// The stream ended; its leases stay, for when the agent comes back.
    pub fn detach(&self, session: u64) {
        if self.0.hub.lock().detach(session, Instant::now()) {
            self.0.metrics.agents_connected.dec();
        }
    }

    /// New credit, which is a heartbeat too.
    pub fn credit(&self, session: u64, stamp: u64, limit: u64) {
        let backlog = self.0.hub.lock().credit(session, stamp, limit);
        if let Some(cluster) = backlog {
            self.poke(cluster);
        }
    }

    /// The agent serves other commands now.
    pub fn inventory(&self, session: u64, commands: Vec<String>) {
        let cluster = self.0.hub.lock().inventory(session, commands);
        if let Some(cluster) = cluster {
            self.poke(cluster);
        }
    }

    /// The offer was taken.
    pub fn ack(&self, session: u64, lease: Id) {
        self.0.hub.lock().ack(session, lease);
    }

    /// The offer was not taken; the attempt is kept.
    pub async fn handback(&self, session: u64, lease: Id) {
        let held = self.0.hub.lock().take(session, lease);
        if let Some(held) = held {
            // The stream may end meanwhile, which must not leave the task with nobody.
            let dispatch = self.clone();
            let taking =
                tokio::spawn(async move { dispatch.take_back(&held.lease, held.state, Event::Returned).await });
            if let Err(error) = taking.await {
                tracing::error!(%error, "a task that was handed back could not be taken; the sweeper will find it");
            }
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
    }

    /// Ends a session's stream.
    pub fn disconnect_session(&self, uuid: &str) {
        self.0.hub.lock().disconnect(|session| session.uuid == uuid);
    }

    /// Ends all streams: the server stops.
    pub fn disconnect_all(&self) {
        self.0.hub.lock().disconnect(|_| true);
    }

    fn poke(&self, cluster: i64) {
        // The claimer lives as long as the process; a poke is only a hint.
        let _ = self.0.pokes.send(cluster);
    }
}

/// What a closed lane answers.
fn sqlx_closed() -> storage::Cause {
    storage::Cause::PoolClosed
}
