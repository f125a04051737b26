//! Servers whose sweeper moves only when a test says so, and scripted agents.

use std::{sync::Arc, time::Duration};

use claiflow_server::{
    dispatch::{Attach, Dispatch, NewTask, Order, Round, Timing},
    metrics::Metrics,
    model::{
        ids::Id,
        inventory::Inventory,
        state::State,
        task::{Finish, Lease, Task},
    },
};
use tokio::{
    sync::{Mutex, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::world::{World, serving};

/// Past silence and grace.
pub(crate) const LOST: Duration = Duration::from_secs(400);

pub(crate) struct Server {
    pub(crate) dispatch: Dispatch,
    stop: CancellationToken,
    began: Instant,
    /// Its sweeper's memory, and the time that has passed for it.
    rounds: Mutex<(Round, Duration)>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Server {
    pub(crate) async fn start(world: &World) -> Self {
        Self::start_with(world, Duration::from_secs(300)).await
    }

    /// One whose rounds should be so long. The first one is over.
    pub(crate) async fn start_with(world: &World, round: Duration) -> Self {
        let stop = CancellationToken::new();
        let timing = Timing { round, ..Timing::default() };
        let (store, metrics) = (world.reopened().await, Metrics::register().unwrap());
        let dispatch = Dispatch::start(store, world.source.clone(), metrics, timing, &stop);
        let server = Self { dispatch, stop, began: Instant::now(), rounds: Mutex::default() };
        server.pass(world, Duration::ZERO).await;
        server
    }

    /// Time passes in which only this server lives, and a round of its sweeper ends it.
    pub(crate) async fn pass(&self, world: &World, time: Duration) {
        self.pass_beside(world, &[], time).await;
    }

    /// Time passes in which others live too.
    pub(crate) async fn pass_beside(&self, world: &World, others: &[&Self], time: Duration) {
        let mut rounds = self.rounds.lock().await;
        let (round, passed) = &mut *rounds;
        *passed += time;
        let alive: Vec<Id> = others.iter().chain(&[self]).map(|server| server.dispatch.replica()).collect();
        let now_us = world.source.now_us() + i64::try_from(passed.as_micros()).unwrap();
        self.dispatch.sweep(round, &alive, self.began + *passed, now_us).await.unwrap();
    }

    pub(crate) async fn agent(&self, world: &World, journal: u8, held: Vec<Id>) -> Agent<'_> {
        let (orders, ordered) = mpsc::unbounded_channel();
        let attach = Attach {
            cluster: world.cluster,
            uuid: format!("{journal:032}"),
            name: "a".into(),
            version: "test".into(),
            journal: [journal; 16],
            language_level: 0,
            inventory: serving(&["helloworld"]),
            held,
        };
        let (session, gone) = self.dispatch.attach(attach, orders).await.unwrap();
        self.dispatch.credit(session, 1, 100);
        Agent { dispatch: &self.dispatch, session, ordered, gone }
    }

    pub(crate) async fn create(&self, task: Task) -> Id {
        let task = Arc::new(task);
        let id = task.id;
        self.dispatch.create(vec![NewTask { task, due: None, in_turn: false }], None).await.unwrap();
        id
    }
}

pub(crate) struct Agent<'a> {
    dispatch: &'a Dispatch,
    pub(crate) session: u64,
    ordered: mpsc::UnboundedReceiver<Order>,
    /// Leases that it named and that are gone.
    pub(crate) gone: Vec<Id>,
}

impl Agent<'_> {
    /// The next order that a test waits for.
    pub(crate) async fn hears<T>(&mut self, mut which: impl FnMut(Order) -> Option<T>) -> T {
        loop {
            if let Some(found) = which(self.ordered.recv().await.expect("the stream is open")) {
                return found;
            }
        }
    }

    pub(crate) async fn offer(&mut self) -> Arc<Lease> {
        self.hears(|order| if let Order::Offer { lease, .. } = order { Some(lease) } else { None }).await
    }

    /// Takes the next offer.
    pub(crate) async fn take(&mut self) -> Arc<Lease> {
        let lease = self.offer().await;
        self.dispatch.ack(self.session, lease.id);
        lease
    }

    /// Reports an end; whether the server accepted it.
    pub(crate) async fn report(&mut self, finish: Finish) -> bool {
        let reported = finish.lease.id;
        self.dispatch.finish(self.session, finish).await;
        self.hears(|order| match order {
            Order::Settled { lease, accepted } if lease == reported => Some(accepted),
            _ => None,
        })
        .await
    }

    /// It serves something else from now on.
    pub(crate) fn serves(&self, inventory: Inventory) {
        self.dispatch.inventory(self.session, inventory);
    }

    pub(crate) async fn leave(self) {
        self.dispatch.detach(self.session).await;
    }
}

/// Waits for an end that goes through a writer lane.
pub(crate) async fn ended(world: &World, id: Id) -> State {
    loop {
        let state = world.state(id).await;
        if state.is_final() {
            return state;
        }
        tokio::task::yield_now().await;
    }
}
