//! Pauses: before the next step, and until somebody says that the task may go on.

use claiflow_server::{
    dispatch::Order,
    model::{
        state::State,
        step::{NEVER, SUCCEEDED},
        task::{Place, Task, Wish},
    },
    storage::{Ending, Wished},
};

use crate::{
    script::Server,
    world::{World, step},
};

promises![
    what_waits_is_paused_and_goes_on,
    what_runs_is_paused_when_its_agent_gives_it_back,
    a_wish_to_pause_can_be_taken_back,
    a_cancel_is_stronger_than_a_pause,
    a_pause_means_nothing_to_what_is_final_or_in_doubt,
    an_agent_is_told_and_told_again_on_its_next_stream,
    a_task_that_was_let_go_on_does_not_expire,
];

async fn pause(world: &World, task: &Task) -> Wished {
    world.store.pause(task.cluster, task.id, task.rank()).await.unwrap()
}

async fn resume(world: &World, task: &Task) -> Wished {
    world.store.resume(task).await.unwrap()
}

async fn what_waits_is_paused_and_goes_on(world: World) {
    let snapshot = world.snapshot(1).await;
    for place in [Place::Ready, Place::Later(i64::MAX)] {
        let task = world.waiting(world.task(&snapshot), place).await;
        assert_eq!(resume(&world, &task).await, Wished::Stands(world.state(task.id).await));
        for _ in 0..2 {
            assert_eq!(pause(&world, &task).await, Wished::Done);
            assert_eq!(world.state(task.id).await, State::Paused);
        }
        assert!(world.claim(&snapshot, 10).await.is_empty());
        assert!(world.store.due(i64::MAX).await.unwrap().is_empty());
        assert_eq!(resume(&world, &task).await, Wished::Done);
        let lease = world.claim(&snapshot, 10).await.pop().unwrap();
        assert_eq!((lease.task.id, lease.task.attempt), (task.id, 1));
    }
}

async fn what_runs_is_paused_when_its_agent_gives_it_back(world: World) {
    let snapshot = world.snapshot(2).await;
    for (spent, attempt) in [(false, 1), (true, 2)] {
        let lease = world.running(&snapshot).await;
        assert_eq!(pause(&world, &lease.task).await, Wished::Noted);
        assert_eq!(world.state(lease.task.id).await, State::Running);
        world.store.keep_step(&lease, &step("0", SUCCEEDED, NEVER, "1")).await.unwrap();
        assert!(world.store.requeue(&lease, spent, None).await.unwrap());
        assert_eq!(world.state(lease.task.id).await, State::Paused);
        assert!(world.claim(&snapshot, 10).await.is_empty());
        assert_eq!(resume(&world, &lease.task).await, Wished::Done);
        let again = world.claim(&snapshot, 10).await.pop().unwrap();
        assert_eq!((again.task.id, again.task.attempt), (lease.task.id, attempt));
        assert_eq!(world.store.steps(&lease.task.id, world.cluster).await.unwrap().len(), 1);
        world.ends(&[world.success(&again)]).await;
    }
}

async fn a_wish_to_pause_can_be_taken_back(world: World) {
    let snapshot = world.snapshot(1).await;
    let lease = world.running(&snapshot).await;
    assert_eq!(pause(&world, &lease.task).await, Wished::Noted);
    assert_eq!(resume(&world, &lease.task).await, Wished::Noted);
    assert_eq!(resume(&world, &lease.task).await, Wished::Stands(State::Running), "nobody wishes a pause any more");
    assert_eq!(world.store.lease(world.cluster, lease.id).await.unwrap().unwrap().wish, Wish::None);
    assert!(world.store.requeue(&lease, false, None).await.unwrap());
    assert_eq!(world.state(lease.task.id).await, State::Ready);
}

async fn a_cancel_is_stronger_than_a_pause(world: World) {
    let snapshot = world.snapshot(1).await;
    for cancel_first in [true, false] {
        let lease = world.running(&snapshot).await;
        let task = &lease.task;
        let now_us = world.source.now_us() + 1;
        let ending = Ending { state: State::Cancelled, error: "cancelled", timeline: "{}", now_us };
        if !cancel_first {
            assert_eq!(pause(&world, task).await, Wished::Noted);
        }
        assert_eq!(world.store.cancel(task.cluster, task.id, task.rank(), ending).await.unwrap(), Wished::Noted);
        pause(&world, task).await;
        resume(&world, task).await;
        assert_eq!(world.store.lease(world.cluster, lease.id).await.unwrap().unwrap().wish, Wish::Cancel);
        assert!(!world.store.requeue(&lease, false, None).await.unwrap());
    }
}

async fn a_pause_means_nothing_to_what_is_final_or_in_doubt(world: World) {
    let snapshot = world.snapshot(1).await;
    let lease = world.running(&snapshot).await;
    assert!(world.store.mark_unknown(&lease, "nobody knows").await.unwrap());
    assert_eq!(pause(&world, &lease.task).await, Wished::Stands(State::Unknown));
    assert_eq!(resume(&world, &lease.task).await, Wished::Stands(State::Unknown));
    world.ends(&[world.success(&lease)]).await;
    assert_eq!(pause(&world, &lease.task).await, Wished::Gone);
    assert_eq!(resume(&world, &lease.task).await, Wished::Gone);
    assert_eq!(world.state(lease.task.id).await, State::Succeeded);
}

/// The pause or cancel that an agent is told of.
fn wish(order: Order) -> Option<(Wish, bool)> {
    match order {
        Order::Pause { paused, .. } => Some((Wish::Pause, paused)),
        Order::Cancel { .. } => Some((Wish::Cancel, true)),
        _ => None,
    }
}

async fn an_agent_is_told_and_told_again_on_its_next_stream(world: World) {
    let server = Server::start(&world).await;
    let task = world.task(&world.snapshot(1).await);
    server.create(task.clone()).await;
    let mut agent = server.agent(&world, 1, vec![]).await;
    let lease = agent.take().await;
    for (paused, said) in [(true, true), (false, false), (true, true)] {
        let wished = if paused { server.dispatch.pause(&task).await } else { server.dispatch.resume(&task).await };
        assert_eq!(wished.unwrap(), Wished::Noted);
        assert_eq!(agent.hears(wish).await, (Wish::Pause, said));
    }
    agent.leave().await;
    let mut agent = server.agent(&world, 1, vec![lease.id]).await;
    assert_eq!(agent.hears(wish).await, (Wish::Pause, true));
    server.dispatch.handback(agent.session, lease.id, "paused").await;
    assert_eq!(world.state(task.id).await, State::Paused);
    assert_eq!(server.dispatch.resume(&task).await.unwrap(), Wished::Done);
    let lease = agent.take().await;
    assert_eq!((lease.task.id, lease.task.attempt, lease.task.epoch), (task.id, 1, 2));
    assert_eq!(server.dispatch.cancel(&task, "cancelled").await.unwrap(), Wished::Noted);
    assert_eq!(agent.hears(wish).await, (Wish::Cancel, true));
    assert!(agent.report(world.success(&lease)).await);
    assert_eq!(world.state(task.id).await, State::Cancelled);
}

async fn a_task_that_was_let_go_on_does_not_expire(world: World) {
    let snapshot = world.snapshot(1).await;
    let now = world.source.now_us();
    let task =
        world.waiting(Task { valid_until: Some(now + 1_000_000_000), ..world.task(&snapshot) }, Place::Ready).await;
    pause(&world, &task).await;
    assert_eq!(world.store.expire("expired", i64::MAX).await.unwrap(), 0, "a pause outlasts the validity");
    resume(&world, &task).await;
    assert_eq!(world.store.expire("expired", i64::MAX).await.unwrap(), 0);
    let lease = world.claim(&snapshot, 1).await.pop().unwrap();
    assert!(world.store.requeue(&lease, false, None).await.unwrap());
    assert_eq!(world.store.expire("expired", i64::MAX).await.unwrap(), 0);
}
