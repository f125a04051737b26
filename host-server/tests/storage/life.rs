//! A task's life through the dispatcher, with scripted agents and a scripted clock.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use claiflow_server::{
    dispatch::{Attach, Dispatch, Order, Timing},
    metrics::Metrics,
    model::{
        ids::Id,
        list::Listing,
        nouns::Session,
        state::State,
        task::{Finish, Lease, Snapshot},
    },
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::world::{World, step};

promises![
    an_offer_that_nobody_takes_is_made_again_with_its_attempt,
    a_task_given_back_keeps_its_attempt,
    a_task_fails_when_three_agents_were_lost_with_it,
    an_effect_in_doubt_waits_for_its_agents_report,
    a_report_of_unknown_is_not_final,
    a_stale_report_is_refused,
    a_result_that_is_too_large_fails_its_own_task,
    the_same_agent_without_its_task_gives_it_back,
    a_restarted_server_gives_agents_the_whole_grace,
    an_agent_that_another_replica_serves_is_not_condemned,
    a_session_is_forgotten_a_day_after_its_stream,
];

/// Past silence and grace.
const LOST: Duration = Duration::from_secs(400);

/// A server's dispatcher whose sweeper moves only when a test says so.
struct Server {
    dispatch: Dispatch,
    stop: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Server {
    async fn start(world: &World) -> Self {
        let stop = CancellationToken::new();
        let timing = Timing { round: Duration::from_secs(300), ..Timing::default() };
        let (store, metrics) = (world.reopened().await, Metrics::register().unwrap());
        Self { dispatch: Dispatch::start(store, world.source.clone(), metrics, timing, &stop), stop }
    }

    /// A round of the sweeper, some time from now.
    async fn sweep(&self, world: &World, later: Duration) {
        let later_us = i64::try_from(later.as_micros()).unwrap();
        self.dispatch.sweep(Instant::now() + later, world.source.now_us() + later_us).await.unwrap();
    }

    async fn agent(&self, world: &World, journal: u8, held: Vec<Id>) -> Agent<'_> {
        let (orders, ordered) = mpsc::unbounded_channel();
        let attach = Attach {
            cluster: world.cluster,
            uuid: format!("{journal:032}"),
            version: "test".into(),
            journal: [journal; 16],
            language_level: 0,
            commands: vec!["helloworld".into()],
            held,
        };
        let (session, gone) = self.dispatch.attach(attach, orders).await.unwrap();
        self.dispatch.credit(session, 1, 100);
        Agent { dispatch: &self.dispatch, session, ordered, gone }
    }
}

struct Agent<'a> {
    dispatch: &'a Dispatch,
    session: u64,
    ordered: mpsc::UnboundedReceiver<Order>,
    gone: Vec<Id>,
}

impl Agent<'_> {
    async fn offer(&mut self) -> Arc<Lease> {
        loop {
            if let Order::Offer { lease, .. } = self.ordered.recv().await.expect("the stream is open") {
                return lease;
            }
        }
    }

    /// Takes the next offer.
    async fn take(&mut self) -> Arc<Lease> {
        let lease = self.offer().await;
        self.dispatch.ack(self.session, lease.id);
        lease
    }

    /// Reports an end; whether the server accepted it.
    async fn report(&mut self, finish: Finish) -> bool {
        let reported = finish.lease.id;
        self.dispatch.finish(self.session, finish).await;
        loop {
            match self.ordered.recv().await.expect("the stream is open") {
                Order::Settled { lease, accepted } if lease == reported => return accepted,
                _ => {}
            }
        }
    }

    fn leave(self) {
        self.dispatch.detach(self.session);
    }
}

async fn create(world: &World, server: &Server, snapshot: &Arc<Snapshot>) -> Id {
    let task = Arc::new(world.task(snapshot));
    server.dispatch.create(vec![Arc::clone(&task)]).await.unwrap();
    task.id
}

fn unknown(world: &World, lease: &Arc<Lease>) -> Finish {
    let error = Some("the connection broke after the call".to_owned());
    Finish { state: State::Unknown as i16, result: None, error, ..world.success(lease) }
}

async fn an_offer_that_nobody_takes_is_made_again_with_its_attempt(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(1).await);
    let mut agent = server.agent(&world, 1, vec![]).await;
    let id = create(&world, &server, &snapshot).await;
    let first = agent.offer().await;
    server.sweep(&world, Duration::from_secs(9)).await;
    assert!(world.store.lease_seen(first.id).await.unwrap().is_some(), "an offer holds for ten seconds");
    server.sweep(&world, Duration::from_secs(11)).await;
    let second = agent.take().await;
    assert_eq!((second.task.id, second.task.attempt, second.task.epoch), (id, 1, 2));
    assert_ne!(second.id, first.id);
    server.sweep(&world, Duration::from_secs(30)).await;
    assert!(agent.report(world.success(&second)).await, "one that was taken stays");
}

async fn a_task_given_back_keeps_its_attempt(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(1).await);
    let mut agent = server.agent(&world, 1, vec![]).await;
    create(&world, &server, &snapshot).await;
    let first = agent.take().await;
    server.dispatch.handback(agent.session, first.id).await;
    let second = agent.take().await;
    assert_eq!((second.task.attempt, second.task.epoch), (1, 2));
}

async fn a_task_fails_when_three_agents_were_lost_with_it(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(2).await);
    let id = create(&world, &server, &snapshot).await;
    for attempt in 1..=3 {
        assert_eq!(world.state(id).await, State::Ready);
        let mut agent = server.agent(&world, attempt, vec![]).await;
        let lease = agent.take().await;
        assert_eq!(lease.task.attempt, i32::from(attempt));
        server.dispatch.keep_step(agent.session, &lease, &step("0", 2, 4, "1")).await.unwrap();
        agent.leave();
        server.sweep(&world, Duration::from_secs(300)).await;
        assert_eq!(world.state(id).await, State::Running, "an agent may be silent for a while");
        server.sweep(&world, LOST).await;
    }
    // The end goes through the writer lane.
    while world.state(id).await == State::Running {
        tokio::task::yield_now().await;
    }
    let view = world.store.task(world.cluster, &id).await.unwrap().unwrap();
    assert_eq!(State::of(view.state), State::Failed);
    assert!(view.error.unwrap().starts_with("agent_lost"));
    assert_eq!(world.number("SELECT COUNT(*) FROM step").await, 0);
}

async fn an_effect_in_doubt_waits_for_its_agents_report(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(2).await);
    let id = create(&world, &server, &snapshot).await;
    let mut agent = server.agent(&world, 1, vec![]).await;
    let lease = agent.take().await;
    assert!(server.dispatch.keep_step(agent.session, &lease, &step("0", 1, 4, "")).await.unwrap());
    agent.leave();
    server.sweep(&world, LOST).await;
    let view = world.store.task(world.cluster, &id).await.unwrap().unwrap();
    assert_eq!((State::of(view.state), view.ended), (State::Unknown, None));
    assert!(view.error.unwrap().contains("agent_lost"));
    server.sweep(&world, LOST * 3).await;
    assert_eq!(world.state(id).await, State::Unknown);
    let mut agent = server.agent(&world, 1, vec![lease.id]).await;
    assert!(agent.gone.is_empty());
    assert!(agent.report(world.success(&lease)).await);
    assert_eq!(world.state(id).await, State::Succeeded);
}

async fn a_report_of_unknown_is_not_final(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(1).await);
    let id = create(&world, &server, &snapshot).await;
    let mut agent = server.agent(&world, 1, vec![]).await;
    let lease = agent.take().await;
    assert!(agent.report(unknown(&world, &lease)).await);
    let view = world.store.task(world.cluster, &id).await.unwrap().unwrap();
    assert_eq!((State::of(view.state), view.ended), (State::Unknown, None));
    assert_eq!(view.error.as_deref(), Some("the connection broke after the call"));
    assert!(agent.report(unknown(&world, &lease)).await, "a repeated report is a no-op");
    agent.leave();
    // The agent has let go of it, which says nothing about the effect.
    let mut agent = server.agent(&world, 1, vec![]).await;
    assert_eq!(world.state(id).await, State::Unknown);
    let found = server.dispatch.lease(agent.session, lease.id).await.unwrap().expect("its lease id still counts");
    assert!(agent.report(world.success(&found)).await);
    assert_eq!(world.state(id).await, State::Succeeded);
    assert_eq!(world.number("SELECT COUNT(*) FROM history").await, 1);
}

async fn a_stale_report_is_refused(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(1).await);
    let id = create(&world, &server, &snapshot).await;
    let mut first = server.agent(&world, 1, vec![]).await;
    let stale = first.take().await;
    first.leave();
    server.sweep(&world, LOST).await;
    let mut second = server.agent(&world, 2, vec![]).await;
    let lease = second.take().await;
    let mut first = server.agent(&world, 1, vec![stale.id]).await;
    assert_eq!(first.gone, [stale.id]);
    assert!(server.dispatch.lease(first.session, stale.id).await.unwrap().is_none());
    assert!(!server.dispatch.keep_step(first.session, &stale, &step("0", 2, 1, "1")).await.unwrap());
    assert!(!first.report(world.success(&stale)).await);
    assert_eq!(world.state(id).await, State::Running);
    assert!(second.report(world.success(&lease)).await);
}

async fn a_result_that_is_too_large_fails_its_own_task(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(1).await);
    let id = create(&world, &server, &snapshot).await;
    let mut agent = server.agent(&world, 1, vec![]).await;
    let lease = agent.take().await;
    let result = Some(format!("\"{}\"", "x".repeat(17 << 20)));
    assert!(agent.report(Finish { result, ..world.success(&lease) }).await);
    let view = world.store.task(world.cluster, &id).await.unwrap().unwrap();
    assert_eq!((State::of(view.state), view.result), (State::Failed, None));
    assert!(view.error.unwrap().starts_with("too_large"));
}

async fn the_same_agent_without_its_task_gives_it_back(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(1).await);
    create(&world, &server, &snapshot).await;
    let mut agent = server.agent(&world, 1, vec![]).await;
    for (taken, attempt) in [(false, 1), (true, 2), (false, 2)] {
        let lease = agent.offer().await;
        if taken {
            server.dispatch.ack(agent.session, lease.id);
        }
        // The old stream may still be open when the agent opens its next one.
        let mut next = server.agent(&world, 1, vec![]).await;
        agent.leave();
        let again = next.offer().await;
        assert_eq!(again.task.attempt, attempt, "taken: {taken}");
        server.dispatch.handback(next.session, again.id).await;
        agent = next;
    }
}

async fn a_restarted_server_gives_agents_the_whole_grace(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(1).await);
    let id = create(&world, &server, &snapshot).await;
    let lease = server.agent(&world, 1, vec![]).await.take().await;
    drop(server);
    let server = Server::start(&world).await;
    server.sweep(&world, Duration::ZERO).await;
    server.sweep(&world, Duration::from_secs(340)).await;
    assert_eq!(world.state(id).await, State::Running);
    server.sweep(&world, LOST).await;
    assert_eq!(world.state(id).await, State::Ready);
    let again = server.agent(&world, 2, vec![]).await.take().await;
    assert_eq!((again.task.id, again.task.attempt), (id, 2));
    assert_ne!(again.id, lease.id);
}

async fn an_agent_that_another_replica_serves_is_not_condemned(world: World) {
    let (here, there) = (Server::start(&world).await, Server::start(&world).await);
    let snapshot = world.snapshot(1).await;
    let id = create(&world, &here, &snapshot).await;
    let mut agent = here.agent(&world, 1, vec![]).await;
    let lease = agent.take().await;
    agent.leave();
    let agent = there.agent(&world, 1, vec![lease.id]).await;
    there.sweep(&world, LOST).await;
    here.sweep(&world, LOST + Duration::from_secs(1)).await;
    assert_eq!(world.state(id).await, State::Running);
    // The other replica dies with its stream: this one still looks after the task.
    drop(agent);
    drop(there);
    here.sweep(&world, LOST * 3).await;
    assert_eq!(world.state(id).await, State::Ready);
}

async fn a_session_is_forgotten_a_day_after_its_stream(world: World) {
    let server = Server::start(&world).await;
    let hour: i64 = 3_600_000_000;
    let now = world.source.now_us();
    for (number, age_hours) in [(1, 48), (2, 48), (3, 23)] {
        let issued_at = now - age_hours * hour;
        let session = Session {
            id: 0,
            uuid: format!("{number:032}"),
            cluster_uuid: "0".repeat(32),
            token_uuid: "0".repeat(32),
            agent_version: "test".into(),
            issued_at,
            expires_at: issued_at + 60_000_000,
            created: issued_at,
            updated: issued_at,
            deleted: None,
        };
        world.store.insert_session(&session).await.unwrap();
    }
    let agent = server.agent(&world, 1, vec![]).await;
    assert_eq!(server.dispatch.purge_sessions(now).await.unwrap(), 1);
    let newest_first = Listing { equal: vec![], after: None, descending: true, limit: None };
    let left: Vec<_> =
        world.store.sessions(&newest_first).await.unwrap().into_iter().map(|session| session.uuid).collect();
    assert_eq!(left, [format!("{:032}", 3), format!("{:032}", 1)]);
    agent.leave();
    assert_eq!(server.dispatch.purge_sessions(now + 25 * hour).await.unwrap(), 2);
}
