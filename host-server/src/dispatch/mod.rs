//! Brings tasks to agents and their ends into the database. The lanes write in group commits; the hub knows who is
//! connected here; nothing in it knows gRPC.

mod claim;
mod hub;
mod lanes;
mod sweep;

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    app::lock,
    metrics::Metrics,
    model::{
        ids::{Id, Source},
        task::{Finish, Lease, Task},
    },
    storage::{self, StepRow, Store},
};
use hub::Hub;
pub use hub::{Attach, Order};

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
    pub fn start(store: Store, source: Source, metrics: Metrics, stop: &CancellationToken) -> Self {
        let (creates, create_queue) = mpsc::channel(QUEUE);
        let (finishes, finish_queue) = mpsc::channel(QUEUE);
        let (pokes, poked) = mpsc::unbounded_channel();
        let dispatch =
            Self(Arc::new(Inner { hub: Mutex::new(Hub::default()), store, source, metrics, creates, finishes, pokes }));
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
        let mut kept: Vec<Arc<Lease>> = Vec::new();
        let mut dropped: Vec<Arc<Lease>> = Vec::new();
        for lease in stored.into_iter().map(Arc::new) {
            if held.contains(&lease.id) { kept.push(lease) } else { dropped.push(lease) }
        }
        let gone = held.into_iter().filter(|id| !kept.iter().any(|lease| lease.id == *id)).collect();
        let session = {
            let mut hub = lock(&self.0.hub);
            hub.disconnect_journal(journal);
            hub.attach(attach, orders, kept, Instant::now())
        };
        self.0.metrics.agents_connected.inc();
        // The same agent came back without these: what it ran is lost, what it never saw was not started.
        for lease in dropped {
            let acked = lock(&self.0.hub).orphan_was_acked(lease.id);
            self.lost(&lease, acked).await;
        }
        self.poke(cluster);
        Ok((session, gone))
    }

    /// The stream ended; its leases stay, for when the agent comes back.
    pub fn detach(&self, session: u64) {
        if lock(&self.0.hub).detach(session, Instant::now()) {
            self.0.metrics.agents_connected.dec();
        }
    }

    /// New credit, which is a heartbeat too.
    pub fn credit(&self, session: u64, stamp: u64, limit: u64) {
        let backlog = lock(&self.0.hub).credit(session, stamp, limit);
        if let Some(cluster) = backlog {
            self.poke(cluster);
        }
    }

    /// The agent serves other commands now.
    pub fn inventory(&self, session: u64, commands: Vec<String>) {
        let cluster = lock(&self.0.hub).inventory(session, commands);
        if let Some(cluster) = cluster {
            self.poke(cluster);
        }
    }

    /// The offer was taken.
    pub fn ack(&self, session: u64, lease: Id) {
        lock(&self.0.hub).ack(session, lease);
    }

    /// The offer was not taken; the attempt is kept.
    pub async fn handback(&self, session: u64, lease: Id) {
        let held = lock(&self.0.hub).take(session, lease);
        if let Some(lease) = held {
            self.requeue(&lease, false).await;
        }
    }

    /// Microseconds since 1970, by the server's clock.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.0.source.now_us()
    }

    /// A lease of this session.
    #[must_use]
    pub fn lease(&self, session: u64, lease: Id) -> Option<Arc<Lease>> {
        lock(&self.0.hub).lease(session, lease)
    }

    /// The end of a run; the agent hears of it when it is stored.
    pub async fn finish(&self, session: u64, finish: Finish) {
        if self.0.finishes.send(Ended { session, finish }).await.is_err() {
            tracing::warn!("an outcome arrived while the server stops; the agent will repeat it");
        }
    }

    /// A stale report is answered, and counted.
    pub fn stale(&self) {
        self.0.metrics.stale_reports.inc();
    }

    /// Keeps a step under a valid lease. False: it was not.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine: nothing is known of the lease then, and the agent must not be told that it is gone.
    pub async fn keep_step(&self, lease: &Lease, step: &StepRow) -> Result<bool, storage::Error> {
        lanes::retried(|| self.0.store.keep_step(lease, step)).await
    }

    /// The kept steps of a task.
    pub async fn steps(&self, task: &Task) -> Vec<StepRow> {
        self.0.store.steps(&task.id, task.cluster).await.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "the steps of a task could not be read");
            vec![]
        })
    }

    /// The version of a connected agent of the cluster.
    #[must_use]
    pub fn agent_version(&self, cluster: i64) -> Option<String> {
        lock(&self.0.hub).agent_version(cluster)
    }

    /// Ends the streams of a cluster's agents.
    pub fn disconnect_cluster(&self, cluster: i64) {
        lock(&self.0.hub).disconnect(|session| session.cluster == cluster);
    }

    /// Ends a session's stream.
    pub fn disconnect_session(&self, uuid: &str) {
        lock(&self.0.hub).disconnect(|session| session.uuid == uuid);
    }

    /// Ends all streams: the server stops.
    pub fn disconnect_all(&self) {
        lock(&self.0.hub).disconnect(|_| true);
    }

    fn poke(&self, cluster: i64) {
        // The claimer lives as long as the process; a poke is only a hint.
        let _ = self.0.pokes.send(cluster);
    }

    async fn requeue(&self, lease: &Lease, spent: bool) {
        match self.0.store.requeue(lease, spent).await {
            Ok(true) => {
                self.0.metrics.tasks_requeued.inc();
                lock(&self.0.hub).expect_backlog(lease.task.cluster);
                self.poke(lease.task.cluster);
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a task could not be given back; the sweeper will try again"
                );
                lock(&self.0.hub).orphan(Arc::new(lease.clone()), spent, Instant::now());
            }
        }
    }
}

/// What a closed lane answers.
fn sqlx_closed() -> storage::Cause {
    storage::Cause::PoolClosed
}
