//! Silence: counted in the database, agent by agent, and only while servers were healthy.

use std::time::Duration;

use claiflow_server::model::state::State;
use tokio::time::Instant;

use crate::{
    script::{LOST, Server},
    world::World,
};

promises![
    a_restart_neither_forgets_silence_nor_counts_its_own,
    an_agent_that_another_replica_serves_is_not_condemned,
    time_without_rounds_counts_for_two_rounds_at_most,
    an_agent_that_comes_back_begins_anew,
    an_agent_that_holds_nothing_is_no_suspect_and_is_forgotten,
    a_template_says_how_long_its_agents_may_be_silent,
    an_agent_whose_row_was_lost_is_silent_from_then_on,
    a_lease_that_nobody_knows_of_is_taken_back_from_an_agent_that_lives,
];

const SECOND: Duration = Duration::from_secs(1);

async fn a_restart_neither_forgets_silence_nor_counts_its_own(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(1).await);
    let id = server.create(world.task(&snapshot)).await;
    let mut agent = server.agent(&world, 1, vec![]).await;
    let lease = agent.take().await;
    agent.leave().await;
    server.pass(&world, 300 * SECOND).await;
    drop(server);
    let server = Server::start(&world).await;
    for (seconds, state) in [(0, State::Running), (40, State::Running), (10, State::Ready)] {
        server.pass(&world, seconds * SECOND).await;
        assert_eq!(world.state(id).await, state, "{seconds} s");
    }
    let again = server.agent(&world, 2, vec![]).await.take().await;
    assert_eq!((again.task.id, again.task.attempt), (id, 2));
    assert_ne!(again.id, lease.id);
}

async fn an_agent_that_another_replica_serves_is_not_condemned(world: World) {
    let (here, there) = (Server::start(&world).await, Server::start(&world).await);
    let id = here.create(world.task(&world.snapshot(1).await)).await;
    let mut agent = here.agent(&world, 1, vec![]).await;
    let lease = agent.take().await;
    agent.leave().await;
    let agent = there.agent(&world, 1, vec![lease.id]).await;
    for _ in 0..3 {
        here.pass_beside(&world, &[&there], LOST).await;
        assert_eq!(world.state(id).await, State::Running);
    }
    // The other replica dies with its stream: this one still looks after the task.
    drop(agent);
    drop(there);
    for (seconds, state) in [(340, State::Running), (10, State::Ready)] {
        here.pass(&world, seconds * SECOND).await;
        assert_eq!(world.state(id).await, state, "{seconds} s");
    }
}

async fn time_without_rounds_counts_for_two_rounds_at_most(world: World) {
    let server = Server::start_with(&world, 60 * SECOND).await;
    let id = server.create(world.task(&world.snapshot(1).await)).await;
    let mut agent = server.agent(&world, 1, vec![]).await;
    agent.take().await;
    agent.leave().await;
    // The sweeper, or its database, was away for a day each time.
    for (silent_s, state) in [(120, State::Running), (240, State::Running), (360, State::Ready)] {
        server.pass(&world, 86_400 * SECOND).await;
        assert_eq!(world.number("SELECT silent_us FROM agent").await, silent_s * 1_000_000);
        assert_eq!(world.state(id).await, state, "{silent_s} s");
    }
}

async fn an_agent_that_comes_back_begins_anew(world: World) {
    let server = Server::start(&world).await;
    let id = server.create(world.task(&world.snapshot(1).await)).await;
    let mut agent = server.agent(&world, 1, vec![]).await;
    let lease = agent.take().await;
    for _ in 0..3 {
        agent.leave().await;
        server.pass(&world, 340 * SECOND).await;
        agent = server.agent(&world, 1, vec![lease.id]).await;
        assert!(agent.gone.is_empty());
        assert_eq!(world.number("SELECT silent_us FROM agent").await, 0);
    }
    server.pass(&world, LOST).await;
    assert_eq!(world.state(id).await, State::Running, "a stream that is open here is not silence");
}

async fn an_agent_that_holds_nothing_is_no_suspect_and_is_forgotten(world: World) {
    let server = Server::start(&world).await;
    let busy = server.create(world.task(&world.snapshot(1).await)).await;
    let mut agent = server.agent(&world, 1, vec![]).await;
    agent.take().await;
    agent.leave().await;
    server.agent(&world, 2, vec![]).await.leave().await;
    server.pass(&world, 50 * SECOND).await;
    let suspects = world.store.agents_suspect(45_000_000).await.unwrap();
    assert_eq!(suspects.iter().map(|agent| &*agent.journal).collect::<Vec<_>>(), [[1; 16]]);
    assert!(world.store.agents_suspect(51_000_000).await.unwrap().is_empty());
    assert_eq!(world.store.purge_agents(45_000_000).await.unwrap(), 1);
    assert_eq!(world.number("SELECT COUNT(*) FROM agent").await, 1, "whoever holds a task is remembered");
    assert_eq!(world.state(busy).await, State::Running);
}

async fn a_template_says_how_long_its_agents_may_be_silent(world: World) {
    let server = Server::start(&world).await;
    let snapshots = [
        world.snapshot_of(1, "hasty", r#"{"grace":"0s"}"#).await,
        world.snapshot(1).await,
        world.snapshot_of(1, "patient", r#"{"grace":"1h"}"#).await,
    ];
    let mut tasks = vec![];
    let mut agent = server.agent(&world, 1, vec![]).await;
    for snapshot in &snapshots {
        tasks.push(server.create(world.task(snapshot)).await);
        agent.take().await;
    }
    agent.leave().await;
    use State::{Ready, Running};
    for (seconds, states) in [
        (44, [Running, Running, Running]),
        (2, [Ready, Running, Running]),
        (300, [Ready, Ready, Running]),
        (600, [Ready, Ready, Running]),
    ] {
        server.pass(&world, seconds * SECOND).await;
        for (task, state) in tasks.iter().zip(states) {
            assert_eq!(world.state(*task).await, state, "{seconds} s");
        }
    }
}

async fn an_agent_whose_row_was_lost_is_silent_from_then_on(world: World) {
    let server = Server::start(&world).await;
    let lease = world.running(&world.snapshot(1).await).await;
    server.pass(&world, LOST).await;
    assert_eq!(world.state(lease.task.id).await, State::Running, "nothing says that it is silent");
    for count in [1, 0] {
        assert_eq!(world.store.agents_unknown(1).await.unwrap(), count);
    }
    server.pass(&world, LOST).await;
    assert_eq!(world.state(lease.task.id).await, State::Ready);
}

async fn a_lease_that_nobody_knows_of_is_taken_back_from_an_agent_that_lives(world: World) {
    let (server, snapshot) = (Server::start(&world).await, world.snapshot(1).await);
    let mut agent = server.agent(&world, 7, vec![]).await;
    let known = server.create(world.task(&snapshot)).await;
    agent.take().await;
    // As after a COMMIT whose answer was lost.
    let orphan = world.running(&snapshot).await.task.id;
    let (now, offer) = (Instant::now(), server.dispatch.timing().offer);
    for (time, state) in [(Duration::ZERO, State::Running), (offer, State::Ready)] {
        server.dispatch.look_for_orphans(now + time).await.unwrap();
        assert_eq!(world.state(orphan).await, state, "{time:?}");
        assert_eq!(world.state(known).await, State::Running, "{time:?}");
    }
}
