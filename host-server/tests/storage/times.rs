//! Times that come: what becomes due, what expires before its first start, and how long a lost task waits.

use std::{sync::Arc, time::Duration};

use claiflow_server::{
    dispatch::NewTask,
    model::{
        state::State,
        step::SUCCEEDED,
        task::{Holder, Place, Task},
    },
    storage::Claim,
};

use crate::{
    script::{LOST, Server},
    world::{READ, World, declare, step},
};

promises![
    what_is_scheduled_becomes_ready_when_it_is_due,
    what_nobody_started_expires,
    a_claim_never_gives_what_has_expired,
    validity_concerns_the_first_start_only,
    a_scheduled_task_is_offered_when_its_time_comes,
    a_lost_task_waits_longer_each_time,
];

const SECOND_US: i64 = 1_000_000;

async fn what_is_scheduled_becomes_ready_when_it_is_due(world: World) {
    let (snapshot, now) = (world.snapshot(1).await, world.source.now_us());
    let other = declare(&world.store, &"1".repeat(32)).await;
    let mut tasks = vec![];
    for (cluster, due_s) in [(world.cluster, 10), (other, 20), (world.cluster, 30)] {
        let task = Task { cluster, ..world.task(&snapshot) };
        tasks.push(world.waiting(task, Place::Later(now + due_s * SECOND_US)).await);
        assert_eq!(world.store.task(cluster, &tasks.last().unwrap().id).await.unwrap().unwrap().state, 256);
    }
    for (at_s, clusters, ready) in
        [(9, vec![], 0), (10, vec![world.cluster], 1), (10, vec![], 1), (31, vec![world.cluster, other], 3)]
    {
        let due: Vec<i64> = world.store.due(now + at_s * SECOND_US).await.unwrap().into_iter().collect();
        assert_eq!(due, clusters, "{at_s} s");
        assert_eq!(world.number("SELECT COUNT(*) FROM ready").await, ready, "{at_s} s");
        assert_eq!(world.number("SELECT COUNT(*) FROM later").await, 3 - ready, "{at_s} s");
    }
    assert_eq!(world.state(tasks[0].id).await, State::Ready);
    assert_eq!(world.claim(&snapshot, 10).await.len(), 2);
}

async fn what_nobody_started_expires(world: World) {
    let (snapshot, now) = (world.snapshot(1).await, world.source.now_us());
    let valid = |seconds: i64| Task { valid_until: Some(now + seconds * SECOND_US), ..world.task(&snapshot) };
    let early = world.waiting(valid(10), Place::Ready).await;
    let late = world.waiting(valid(20), Place::Ready).await;
    let endless = world.waiting(world.task(&snapshot), Place::Ready).await;
    let scheduled = world.waiting(valid(10), Place::Later(now + 5 * SECOND_US)).await;
    for (at_s, expired) in [(9, 0), (10, 1), (10, 0), (20, 1)] {
        assert_eq!(world.store.expire("expired: too late", now + at_s * SECOND_US).await.unwrap(), expired, "{at_s} s");
    }
    for task in [&early, &late] {
        let view = world.store.task(world.cluster, &task.id).await.unwrap().unwrap();
        assert_eq!((State::of(view.state), view.error.as_deref()), (State::Expired, Some("expired: too late")));
        assert_eq!(view.started, None);
    }
    assert_eq!(world.state(endless.id).await, State::Ready);
    world.store.due(now + 20 * SECOND_US).await.unwrap();
    assert_eq!(world.store.expire("expired: too late", now + 20 * SECOND_US).await.unwrap(), 1);
    assert_eq!(world.state(scheduled.id).await, State::Expired);
    assert_eq!(world.claim(&snapshot, 10).await.len(), 1);
}

async fn a_claim_never_gives_what_has_expired(world: World) {
    let (snapshot, now) = (world.snapshot(1).await, world.source.now_us());
    let task = world.waiting(Task { valid_until: Some(now + 100), ..world.task(&snapshot) }, Place::Ready).await;
    let snapshots = std::iter::once((snapshot.id, Arc::clone(&snapshot))).collect();
    let holder = &Holder::Streaming([7; 16]);
    for (now_us, taken) in [(now + 101, 0), (now + 100, 0), (now + 99, 1)] {
        let claim =
            Claim { cluster: world.cluster, snapshots: &snapshots, limit: 1, holder, now_us, cluster_limit: None };
        assert_eq!(
            world.store.claim(&claim, &|| world.source.random()).await.unwrap().len(),
            taken,
            "{}",
            now_us - now
        );
    }
    assert_eq!(world.store.expire("late", now + 1_000).await.unwrap(), 0, "what has started does not expire");
    assert_eq!(world.state(task.id).await, State::Running);
}

async fn validity_concerns_the_first_start_only(world: World) {
    let (snapshot, now) = (world.snapshot(2).await, world.source.now_us());
    // Given back untouched it has not started; a lost attempt and one that did a step have.
    for (spent, stepped, expired) in [(false, false, 1), (true, false, 0), (false, true, 0)] {
        world.waiting(Task { valid_until: Some(now + 3_600 * SECOND_US), ..world.task(&snapshot) }, Place::Ready).await;
        let lease = world.claim(&snapshot, 1).await.pop().unwrap();
        if stepped {
            world.store.keep_step(&lease, &step("0", SUCCEEDED, READ, "1")).await.unwrap();
        }
        assert!(world.store.requeue(&lease, spent, None).await.unwrap());
        // A later offer that nobody takes does not bring the validity back.
        if expired == 0 {
            let lease = world.claim(&snapshot, 1).await.pop().unwrap();
            assert!(world.store.requeue(&lease, false, None).await.unwrap());
        }
        assert_eq!(world.store.expire("late", i64::MAX).await.unwrap(), expired, "{spent} {stepped}");
        for lease in world.claim(&snapshot, 1).await {
            world.ends(&[world.success(&lease)]).await;
        }
    }
}

async fn a_scheduled_task_is_offered_when_its_time_comes(world: World) {
    let server = Server::start(&world).await;
    let task = Arc::new(world.task(&world.snapshot(1).await));
    let due = Some(world.source.now_us() + 3_600 * SECOND_US);
    server.dispatch.create(vec![NewTask { task: Arc::clone(&task), due, in_turn: false }], None).await.unwrap();
    let mut agent = server.agent(&world, 1, vec![]).await;
    server.pass(&world, Duration::from_secs(3_500)).await;
    assert_eq!(world.state(task.id).await, State::Scheduled);
    server.pass(&world, Duration::from_secs(200)).await;
    assert_eq!(agent.take().await.task.id, task.id);
}

async fn a_lost_task_waits_longer_each_time(world: World) {
    let server = Server::start(&world).await;
    server.create(world.task(&world.snapshot(1).await)).await;
    for (attempt, wait_s) in [(1, 5), (2, 10)] {
        let mut agent = server.agent(&world, attempt, vec![]).await;
        let lease = agent.take().await;
        let before = world.source.now_us();
        server.dispatch.handback(agent.session, lease.id, "restarted").await;
        let due = world.number("SELECT due FROM later").await;
        assert!(due >= before + wait_s * SECOND_US, "attempt {attempt}");
        assert!(due <= world.source.now_us() + wait_s * SECOND_US, "attempt {attempt}");
        agent.leave().await;
        server.pass(&world, LOST).await;
    }
}
