//! Ends: fenced by the lease id, once, and never undone.

use std::sync::Arc;

use claiflow_server::model::{
    ids::Source,
    state::State,
    task::{Finish, Lease},
};

use crate::world::{World, step};

promises![
    an_end_moves_a_task_to_the_history,
    a_stale_lease_changes_nothing_and_the_rest_of_its_batch_goes_on,
    final_is_final,
    a_requeue_counts_the_attempt_only_when_it_was_spent,
    an_ended_lease_requeues_nothing,
    an_end_takes_the_kept_steps_with_it,
    a_task_in_doubt_keeps_its_lease_and_is_settled_under_it,
    an_ended_task_cannot_be_put_in_doubt,
    an_error_of_any_length_is_stored,
];

async fn an_end_moves_a_task_to_the_history(world: World) {
    let lease = world.running(&world.snapshot(1).await).await;
    assert_eq!(world.state(lease.task.id).await, State::Running);
    let end = world.success(&lease);
    assert_eq!(world.ends(std::slice::from_ref(&end)).await, [(lease.id, State::Succeeded)]);
    let view = world.store.task(world.cluster, &lease.task.id).await.unwrap().unwrap();
    assert_eq!(
        (view.state, view.result.as_deref(), view.ended, view.created),
        (4, Some("1"), Some(end.ended), lease.task.created)
    );
    for table in ["SELECT COUNT(*) FROM task", "SELECT COUNT(*) FROM lease", "SELECT COUNT(*) FROM ready"] {
        assert_eq!(world.number(table).await, 0, "{table}");
    }
}

async fn a_stale_lease_changes_nothing_and_the_rest_of_its_batch_goes_on(world: World) {
    let snapshot = world.snapshot(1).await;
    let stale = world.running(&snapshot).await;
    assert!(world.store.requeue(&stale, true, None).await.unwrap());
    let again = world.claim(&snapshot, 1).await.pop().unwrap();
    let valid = world.running(&snapshot).await;
    // Another agent's lease with the same epoch is as stale: the id is the fence.
    let forged = Arc::new(Lease { id: Source.random(), ..Lease::clone(&again) });
    let ends = [world.success(&stale), world.success(&forged), world.success(&valid)];
    assert_eq!(world.ends(&ends).await, [(valid.id, State::Succeeded)]);
    assert_eq!(world.state(stale.task.id).await, State::Running);
    assert_eq!(world.state(valid.task.id).await, State::Succeeded);
}

async fn final_is_final(world: World) {
    let lease = world.running(&world.snapshot(1).await).await;
    world.store.finish(&[world.success(&lease)]).await.unwrap();
    let failure = Finish { state: State::Failed as i16, result: None, ..world.success(&lease) };
    assert!(world.store.finish(&[failure]).await.unwrap().is_empty());
    assert!(!world.store.requeue(&lease, false, None).await.unwrap());
    assert_eq!(world.state(lease.task.id).await, State::Succeeded);
    assert_eq!(world.number("SELECT COUNT(*) FROM history").await, 1);
}

async fn a_requeue_counts_the_attempt_only_when_it_was_spent(world: World) {
    let snapshot = world.snapshot(1).await;
    let mut lease = world.running(&snapshot).await;
    for (spent, attempt) in [(false, 1), (true, 2), (false, 2), (true, 3)] {
        assert!(world.store.requeue(&lease, spent, None).await.unwrap());
        assert_eq!(world.state(lease.task.id).await, State::Ready);
        lease = world.claim(&snapshot, 1).await.pop().unwrap();
        assert_eq!(lease.task.attempt, attempt, "spent: {spent}");
    }
}

async fn an_ended_lease_requeues_nothing(world: World) {
    let lease = world.running(&world.snapshot(1).await).await;
    assert!(world.store.requeue(&lease, false, None).await.unwrap());
    assert!(!world.store.requeue(&lease, true, None).await.unwrap());
    assert_eq!(world.number("SELECT COUNT(*) FROM ready").await, 1);
    assert_eq!(world.number("SELECT attempt + 0 FROM task").await, 1);
}

async fn an_end_takes_the_kept_steps_with_it(world: World) {
    let snapshot = world.snapshot(1).await;
    let (lease, other) = (world.running(&snapshot).await, world.running(&snapshot).await);
    for lease in [&lease, &other] {
        world.store.keep_step(lease, &step("0/r[0]/p", 2, 1, "1")).await.unwrap();
    }
    world.store.finish(&[world.success(&lease)]).await.unwrap();
    assert_eq!(world.number("SELECT COUNT(*) FROM step").await, 1);
    assert_eq!(world.store.steps(&other.task.id, world.cluster).await.unwrap().len(), 1);
}

async fn a_task_in_doubt_keeps_its_lease_and_is_settled_under_it(world: World) {
    let lease = world.running(&world.snapshot(1).await).await;
    assert!(world.store.mark_unknown(&lease, "nobody knows").await.unwrap());
    let view = world.store.task(world.cluster, &lease.task.id).await.unwrap().unwrap();
    assert_eq!((view.state, view.error.as_deref(), view.ended), (64, Some("nobody knows"), None));
    assert_eq!(world.number("SELECT COUNT(*) FROM history").await, 0);
    let leased = world.store.lease(world.cluster, lease.id).await.unwrap().unwrap();
    let found = leased.lease;
    assert_eq!((found.id, found.task.id, leased.state), (lease.id, lease.task.id, State::Unknown));
    assert!(world.store.lease(world.cluster + 1, lease.id).await.unwrap().is_none());
    assert_eq!(world.store.leases_of(world.cluster, lease.journal).await.unwrap()[0].state, State::Unknown);
    assert!(world.store.leases_of(world.cluster + 1, lease.journal).await.unwrap().is_empty());
    assert_eq!(world.ends(&[world.success(&found)]).await, [(lease.id, State::Succeeded)]);
    let view = world.store.task(world.cluster, &lease.task.id).await.unwrap().unwrap();
    assert_eq!((view.state, view.error), (4, None));
}

async fn an_ended_task_cannot_be_put_in_doubt(world: World) {
    let lease = world.running(&world.snapshot(1).await).await;
    assert_eq!(world.store.lease(world.cluster, lease.id).await.unwrap().unwrap().state, State::Running);
    world.store.finish(&[world.success(&lease)]).await.unwrap();
    assert!(!world.store.mark_unknown(&lease, "late").await.unwrap());
    assert_eq!(world.state(lease.task.id).await, State::Succeeded);
}

async fn an_error_of_any_length_is_stored(world: World) {
    let snapshot = world.snapshot(1).await;
    let (lease, doubted) = (world.running(&snapshot).await, world.running(&snapshot).await);
    let words = "é".repeat(100_000);
    let end = Finish { state: State::Failed as i16, result: None, error: Some(words.clone()), ..world.success(&lease) };
    assert_eq!(world.ends(&[end]).await, [(lease.id, State::Failed)]);
    assert!(world.store.mark_unknown(&doubted, &words).await.unwrap());
    for task in [lease.task.id, doubted.task.id] {
        let error = world.store.task(world.cluster, &task).await.unwrap().unwrap().error.unwrap();
        assert!(error.len() >= 50_000 && words.starts_with(&error));
    }
}
