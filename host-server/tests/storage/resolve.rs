//! A person settles what is in doubt, and no report that comes later changes it.

use std::sync::Arc;

use claiflow_server::{
    model::{
        state::State,
        step::{NEVER, STARTED, SUCCEEDED},
        task::{Lease, Place, Task},
    },
    storage::{Ending, Kept, Settlement},
};

use crate::world::{World, step};

promises![
    a_step_that_has_happened_is_not_run_again,
    a_step_that_has_not_happened_runs_again,
    a_step_that_failed_ends_the_task,
    what_is_settled_ends_the_lease_and_a_late_report_changes_nothing,
    only_a_step_in_doubt_of_a_task_in_doubt_is_settled,
    a_task_of_whose_steps_nothing_is_known_is_settled_as_a_whole,
    a_settled_task_does_not_expire,
];

/// A task in doubt: step 0 has succeeded, step 1 has started.
async fn in_doubt(world: &World) -> Arc<Lease> {
    let lease = world.running(&world.snapshot(3).await).await;
    for report in [step("0", SUCCEEDED, NEVER, "1"), step("1", STARTED, NEVER, "")] {
        world.store.keep_step(&lease, &report).await.unwrap();
    }
    assert!(world.store.mark_unknown(&lease, "nobody knows").await.unwrap());
    lease
}

async fn resolve(world: &World, lease: &Lease, path: Option<&str>, settlement: Settlement<'_>) -> bool {
    world.store.resolve(lease, path, settlement, world.source.now_us()).await.unwrap()
}

fn failed(world: &World) -> Settlement<'static> {
    let now_us = world.source.now_us() + 1;
    Settlement::Failed(Ending { state: State::Failed, error: "resolved as failed", timeline: "{}", now_us })
}

/// What the next attempt finds: paths, states and outputs.
async fn found(world: &World, lease: &Lease) -> Vec<(String, i16, Option<String>)> {
    let steps = world.store.steps(&lease.task.id, world.cluster).await.unwrap();
    steps.into_iter().map(|step| (step.path, step.state, step.output)).collect()
}

async fn a_step_that_has_happened_is_not_run_again(world: World) {
    let lease = in_doubt(&world).await;
    assert!(resolve(&world, &lease, Some("1"), Settlement::Succeeded { output: "[7]" }).await);
    assert_eq!(world.state(lease.task.id).await, State::Ready);
    let again = world.claim(&lease.task.snapshot, 1).await.pop().unwrap();
    assert_eq!((again.task.id, again.task.attempt, again.task.epoch), (lease.task.id, 1, 2));
    let kept = [("0", "1"), ("1", "[7]")].map(|(path, output)| (path.to_owned(), SUCCEEDED, Some(output.to_owned())));
    assert_eq!(found(&world, &lease).await, kept);
}

async fn a_step_that_has_not_happened_runs_again(world: World) {
    let lease = in_doubt(&world).await;
    assert!(resolve(&world, &lease, Some("1"), Settlement::Rerun).await);
    assert_eq!(found(&world, &lease).await, [("0".to_owned(), SUCCEEDED, Some("1".to_owned()))]);
    let again = world.claim(&lease.task.snapshot, 1).await.pop().unwrap();
    assert_eq!(world.store.keep_step(&again, &step("1", STARTED, NEVER, "")).await.unwrap(), Kept::Stored);
}

async fn a_step_that_failed_ends_the_task(world: World) {
    let lease = in_doubt(&world).await;
    assert!(resolve(&world, &lease, Some("1"), failed(&world)).await);
    let view = world.store.task(world.cluster, &lease.task.id).await.unwrap().unwrap();
    assert_eq!((State::of(view.state), view.error.as_deref()), (State::Failed, Some("resolved as failed")));
    let left = "SELECT (SELECT COUNT(*) FROM task) + (SELECT COUNT(*) FROM lease) + (SELECT COUNT(*) FROM step) + (SELECT COUNT(*) FROM ready)";
    assert_eq!(world.number(left).await, 0);
}

async fn what_is_settled_ends_the_lease_and_a_late_report_changes_nothing(world: World) {
    for (settlement, state) in [
        (Settlement::Succeeded { output: "null" }, State::Ready),
        (Settlement::Rerun, State::Ready),
        (failed(&world), State::Failed),
    ] {
        let lease = in_doubt(&world).await;
        assert!(resolve(&world, &lease, Some("1"), settlement).await);
        assert!(world.ends(&[world.success(&lease)]).await.is_empty());
        let late = step("1", SUCCEEDED, NEVER, "9");
        assert_eq!(world.store.keep_step(&lease, &late).await.unwrap(), Kept::Stale);
        assert!(!world.store.mark_unknown(&lease, "again").await.unwrap());
        assert!(!world.store.requeue(&lease, false, None).await.unwrap());
        assert!(!resolve(&world, &lease, Some("1"), settlement).await, "it is settled once");
        assert_eq!(world.state(lease.task.id).await, state);
    }
}

async fn only_a_step_in_doubt_of_a_task_in_doubt_is_settled(world: World) {
    let lease = in_doubt(&world).await;
    for path in [Some("0"), Some("2"), Some(""), None] {
        for settlement in [Settlement::Succeeded { output: "1" }, Settlement::Rerun, failed(&world)] {
            assert!(!resolve(&world, &lease, path, settlement).await, "{path:?} {settlement:?}");
        }
    }
    assert_eq!(world.state(lease.task.id).await, State::Unknown);
    assert_eq!(found(&world, &lease).await.len(), 2);
    let running = world.running(&lease.task.snapshot).await;
    world.store.keep_step(&running, &step("1", STARTED, NEVER, "")).await.unwrap();
    assert!(!resolve(&world, &running, Some("1"), Settlement::Rerun).await, "an agent is at it");
    assert_eq!(world.state(running.task.id).await, State::Running);
}

async fn a_task_of_whose_steps_nothing_is_known_is_settled_as_a_whole(world: World) {
    for (settlement, state) in [(Settlement::Rerun, State::Ready), (failed(&world), State::Failed)] {
        let lease = world.running(&world.snapshot(1).await).await;
        world.store.mark_unknown(&lease, "silent").await.unwrap();
        assert!(!resolve(&world, &lease, Some("0"), settlement).await);
        assert!(resolve(&world, &lease, None, settlement).await);
        assert_eq!(world.state(lease.task.id).await, state);
    }
}

async fn a_settled_task_does_not_expire(world: World) {
    let snapshot = world.snapshot(1).await;
    let valid_until = Some(world.source.now_us() + 1_000_000_000);
    world.waiting(Task { valid_until, ..world.task(&snapshot) }, Place::Ready).await;
    let lease = world.claim(&snapshot, 1).await.pop().unwrap();
    world.store.mark_unknown(&lease, "silent").await.unwrap();
    assert!(resolve(&world, &lease, None, Settlement::Rerun).await);
    assert_eq!(world.store.expire("expired", i64::MAX).await.unwrap(), 0);
    let again = world.claim(&snapshot, 1).await.pop().unwrap();
    assert!(world.store.requeue(&again, false, None).await.unwrap());
    assert_eq!(world.store.expire("expired", i64::MAX).await.unwrap(), 0);
}
