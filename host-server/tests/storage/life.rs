//! A task's life through the dispatcher, with scripted agents and a scripted clock.

use std::{sync::Arc, time::Duration};

use claiflow_server::model::{
    ids::Id,
    list::Listing,
    nouns::Session,
    state::State,
    step::{NEVER, STARTED, SUCCEEDED},
    task::{Finish, Lease, Snapshot, Task},
};
use tokio::time::Instant;

use crate::{
    script::{LOST, Server, ended},
    world::{READ, VERIFY, World, step},
};

promises![
    an_offer_that_nobody_takes_is_made_again_with_its_attempt,
    a_task_given_back_keeps_its_attempt,
    a_task_fails_when_three_agents_were_lost_with_it,
    an_effect_in_doubt_waits_for_its_agents_report,
    a_report_of_unknown_is_not_final,
    a_stale_report_is_refused,
    a_result_that_is_too_large_fails_its_own_task,
    the_same_agent_without_its_task_gives_it_back,
    what_is_in_doubt_can_be_asked_for_by_two_more_attempts,
    a_run_whose_time_is_over_ends_with_its_agent,
    a_task_that_was_cancelled_ends_with_its_agent,
    a_session_is_forgotten_a_day_after_its_stream,
];

async fn create(world: &World, server: &Server, snapshot: &Arc<Snapshot>) -> Id {
    server.create(world.task(snapshot)).await
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
    let later = |seconds| Instant::now() + Duration::from_secs(seconds);
    server.dispatch.lapse(later(5)).await;
    let held = world.store.lease(world.cluster, first.id).await.unwrap();
    assert!(held.is_some(), "an offer holds for ten seconds");
    server.dispatch.lapse(later(11)).await;
    let second = agent.take().await;
    assert_eq!((second.task.id, second.task.attempt, second.task.epoch), (id, 1, 2));
    assert_ne!(second.id, first.id);
    server.dispatch.lapse(later(30)).await;
    assert!(agent.report(world.success(&second)).await, "one that was taken stays");
}

async fn a_task_given_back_keeps_its_attempt(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(1).await);
    let mut agent = server.agent(&world, 1, vec![]).await;
    create(&world, &server, &snapshot).await;
    let first = agent.take().await;
    server.dispatch.handback(agent.session, first.id, "busy").await;
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
        server.dispatch.keep_step(agent.session, &lease, &step("0", SUCCEEDED, NEVER, "1")).await.unwrap();
        agent.leave().await;
        server.pass(&world, Duration::from_secs(300)).await;
        assert_eq!(world.state(id).await, State::Running, "an agent may be silent for a while");
        server.pass(&world, Duration::from_secs(100)).await;
    }
    assert_eq!(ended(&world, id).await, State::Failed);
    let view = world.store.task(world.cluster, &id).await.unwrap().unwrap();
    assert!(view.error.unwrap().starts_with("agent_lost"));
    assert_eq!(world.number("SELECT COUNT(*) FROM step").await, 0);
}

async fn an_effect_in_doubt_waits_for_its_agents_report(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(2).await);
    let id = create(&world, &server, &snapshot).await;
    let mut agent = server.agent(&world, 1, vec![]).await;
    let lease = agent.take().await;
    assert!(server.dispatch.keep_step(agent.session, &lease, &step("0", STARTED, NEVER, "")).await.unwrap());
    agent.leave().await;
    server.pass(&world, LOST).await;
    let view = world.store.task(world.cluster, &id).await.unwrap().unwrap();
    assert_eq!((State::of(view.state), view.ended), (State::Unknown, None));
    assert!(view.error.unwrap().contains("agent_lost"));
    server.pass(&world, LOST * 3).await;
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
    agent.leave().await;
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
    first.leave().await;
    server.pass(&world, LOST).await;
    let mut second = server.agent(&world, 2, vec![]).await;
    let lease = second.take().await;
    let mut first = server.agent(&world, 1, vec![stale.id]).await;
    assert_eq!(first.gone, [stale.id]);
    assert!(server.dispatch.lease(first.session, stale.id).await.unwrap().is_none());
    assert!(!server.dispatch.keep_step(first.session, &stale, &step("0", SUCCEEDED, READ, "1")).await.unwrap());
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
        agent.leave().await;
        // A lost attempt waits a while.
        server.pass(&world, Duration::from_secs(30)).await;
        let again = next.offer().await;
        assert_eq!(again.task.attempt, attempt, "taken: {taken}");
        server.dispatch.handback(next.session, again.id, "busy").await;
        agent = next;
    }
}

async fn what_is_in_doubt_can_be_asked_for_by_two_more_attempts(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(2).await);
    let id = create(&world, &server, &snapshot).await;
    for (attempt, left) in [(1, State::Ready), (2, State::Ready), (3, State::Unknown)] {
        let mut agent = server.agent(&world, attempt, vec![]).await;
        let lease = agent.take().await;
        assert_eq!(lease.task.attempt, i32::from(attempt));
        server.dispatch.keep_step(agent.session, &lease, &step("0", STARTED, VERIFY, "")).await.unwrap();
        agent.leave().await;
        server.pass(&world, LOST).await;
        assert_eq!(world.state(id).await, left, "attempt {attempt}");
    }
}

/// What was reported of a step before its agent was lost: its state and its effect.
type Begun = Option<(i16, i16)>;

/// An agent takes a task, reports a step, and is lost with it.
async fn lost_after(world: &World, server: &Server, task: Task, begun: Begun, cancelled: bool) -> Id {
    let id = server.create(task.clone()).await;
    let mut agent = server.agent(world, 1, vec![]).await;
    let lease = agent.take().await;
    if let Some((state, effect)) = begun {
        server.dispatch.keep_step(agent.session, &lease, &step("0", state, effect, "")).await.unwrap();
    }
    if cancelled {
        server.dispatch.cancel(&task, "cancelled").await.unwrap();
    }
    agent.leave().await;
    server.pass(world, LOST).await;
    id
}

async fn a_run_whose_time_is_over_ends_with_its_agent(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(2).await);
    for (begun, end) in [
        (None, State::TimedOut),
        (Some((STARTED, READ)), State::TimedOut),
        (Some((SUCCEEDED, NEVER)), State::TimedOut),
        (Some((STARTED, VERIFY)), State::Unknown),
        (Some((STARTED, NEVER)), State::Unknown),
    ] {
        let task = Task { run_timeout_ms: 0, ..world.task(&snapshot) };
        let id = lost_after(&world, &server, task, begun, false).await;
        let found = if end.is_final() { ended(&world, id).await } else { world.state(id).await };
        assert_eq!(found, end, "{begun:?}");
        let error = world.store.task(world.cluster, &id).await.unwrap().unwrap().error.unwrap();
        assert!(error.starts_with(if end == State::TimedOut { "timeout" } else { "agent_lost" }), "{error}");
    }
}

async fn a_task_that_was_cancelled_ends_with_its_agent(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(2).await);
    for (begun, end) in [
        (None, State::Cancelled),
        (Some((STARTED, READ)), State::Cancelled),
        (Some((SUCCEEDED, NEVER)), State::Unknown),
        (Some((STARTED, NEVER)), State::Unknown),
    ] {
        let id = lost_after(&world, &server, world.task(&snapshot), begun, true).await;
        let found = if end.is_final() { ended(&world, id).await } else { world.state(id).await };
        assert_eq!(found, end, "{begun:?}");
    }
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
    // Whoever has a stream is noted from time to time.
    server.dispatch.touch_sessions().await.unwrap();
    server.dispatch.purge(now).await.unwrap();
    let newest_first = Listing { descending: true, ..Listing::default() };
    let left: Vec<_> =
        world.store.sessions(&newest_first).await.unwrap().into_iter().map(|session| session.uuid).collect();
    assert_eq!(left, [format!("{:032}", 3), format!("{:032}", 1)]);
    agent.leave().await;
    server.dispatch.purge(now + 25 * hour).await.unwrap();
    assert_eq!(world.number("SELECT COUNT(*) FROM session").await, 0);
}
