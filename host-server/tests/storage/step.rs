//! Steps: kept under a valid lease, once, and never overwritten by what contradicts them.

use claiflow_server::{
    model::{
        state::State,
        step::{FAILED, NEVER, STARTED, SUCCEEDED},
    },
    storage::Kept,
};

use crate::world::{READ, VERIFY, World, step};

promises![
    a_step_is_kept_only_under_a_valid_lease,
    a_repeated_report_is_a_no_op,
    a_contradicting_report_changes_nothing,
    a_late_start_does_not_undo_an_end,
    another_attempt_goes_on_from_what_was_finished,
    paths_are_told_apart_by_every_byte,
    a_task_does_not_go_back_while_a_step_is_started_that_must_not_happen_twice,
];

async fn a_step_is_kept_only_under_a_valid_lease(world: World) {
    let lease = world.running(&world.snapshot(2).await).await;
    assert_eq!(world.store.keep_step(&lease, &step("0", SUCCEEDED, READ, "1")).await.unwrap(), Kept::Stored);
    world.store.requeue(&lease, true, None).await.unwrap();
    assert_eq!(world.store.keep_step(&lease, &step("1", SUCCEEDED, READ, "2")).await.unwrap(), Kept::Stale);
    assert_eq!(world.number("SELECT COUNT(*) FROM step").await, 1);
}

async fn a_repeated_report_is_a_no_op(world: World) {
    let lease = world.running(&world.snapshot(2).await).await;
    for report in [step("0", STARTED, NEVER, ""), step("0", SUCCEEDED, NEVER, "1")] {
        assert_eq!(world.store.keep_step(&lease, &report).await.unwrap(), Kept::Stored);
        let before = world.store.steps(&lease.task.id, world.cluster).await.unwrap();
        let again = step(&report.path, report.state, report.effect, report.output.as_deref().unwrap_or_default());
        assert_eq!(world.store.keep_step(&lease, &again).await.unwrap(), Kept::Repeated);
        assert_eq!(world.store.steps(&lease.task.id, world.cluster).await.unwrap(), before);
    }
}

async fn a_contradicting_report_changes_nothing(world: World) {
    let lease = world.running(&world.snapshot(2).await).await;
    for (path, first, then) in [
        ("0", (STARTED, NEVER, ""), (STARTED, READ, "")),
        ("1", (SUCCEEDED, READ, "1"), (SUCCEEDED, READ, "2")),
        ("2", (SUCCEEDED, READ, "1"), (FAILED, READ, "")),
        ("3", (FAILED, READ, ""), (SUCCEEDED, READ, "1")),
    ] {
        let kept = step(path, first.0, first.1, first.2);
        assert_eq!(world.store.keep_step(&lease, &kept).await.unwrap(), Kept::Stored);
        let other = step(path, then.0, then.1, then.2);
        assert_eq!(world.store.keep_step(&lease, &other).await.unwrap(), Kept::Conflict, "{path}");
        let stored = world.store.steps(&lease.task.id, world.cluster).await.unwrap();
        assert_eq!(stored.iter().find(|stored| stored.path == path), Some(&kept));
    }
}

async fn a_late_start_does_not_undo_an_end(world: World) {
    let lease = world.running(&world.snapshot(2).await).await;
    let end = step("0", SUCCEEDED, NEVER, "1");
    assert_eq!(world.store.keep_step(&lease, &end).await.unwrap(), Kept::Stored);
    assert_eq!(world.store.keep_step(&lease, &step("0", STARTED, NEVER, "")).await.unwrap(), Kept::Repeated);
    assert_eq!(world.store.steps(&lease.task.id, world.cluster).await.unwrap(), [end]);
}

async fn another_attempt_goes_on_from_what_was_finished(world: World) {
    let snapshot = world.snapshot(3).await;
    let first = world.running(&snapshot).await;
    for report in [step("0", SUCCEEDED, NEVER, "1"), step("1", FAILED, READ, "")] {
        world.store.keep_step(&first, &report).await.unwrap();
    }
    world.store.requeue(&first, true, None).await.unwrap();
    let second = world.claim(&snapshot, 1).await.pop().unwrap();
    assert_eq!(world.store.keep_step(&second, &step("0", SUCCEEDED, NEVER, "9")).await.unwrap(), Kept::Conflict);
    assert_eq!(world.store.keep_step(&second, &step("1", SUCCEEDED, READ, "2")).await.unwrap(), Kept::Stored);
    let outputs: Vec<_> = world.store.steps(&first.task.id, world.cluster).await.unwrap();
    let outputs: Vec<_> = outputs.iter().map(|step| (step.path.as_str(), step.output.as_deref())).collect();
    assert_eq!(outputs, [("0", Some("1")), ("1", Some("2"))]);
}

async fn paths_are_told_apart_by_every_byte(world: World) {
    let lease = world.running(&world.snapshot(1).await).await;
    let paths = ["0/r[1]/a", "0/r[1]/A", "0/r[1]/á", "0/r[10]/a", "0/r[1]/😀"];
    for path in paths {
        assert_eq!(world.store.keep_step(&lease, &step(path, SUCCEEDED, READ, path)).await.unwrap(), Kept::Stored);
    }
    let kept = world.store.steps(&lease.task.id, world.cluster).await.unwrap();
    assert_eq!(kept.len(), paths.len());
    assert!(kept.iter().all(|step| step.output.as_deref() == Some(&*step.path)));
}

async fn a_task_does_not_go_back_while_a_step_is_started_that_must_not_happen_twice(world: World) {
    let lease = world.running(&world.snapshot(2).await).await;
    for spent in [true, false] {
        world.store.keep_step(&lease, &step("0", STARTED, NEVER, "")).await.unwrap();
        assert!(!world.store.requeue(&lease, spent, None).await.unwrap());
        assert_eq!(world.state(lease.task.id).await, State::Running);
    }
    world.store.keep_step(&lease, &step("0", SUCCEEDED, NEVER, "1")).await.unwrap();
    for class in [READ, VERIFY] {
        world.store.keep_step(&lease, &step("1", STARTED, class, "")).await.unwrap();
    }
    assert!(world.store.requeue(&lease, true, None).await.unwrap());
}
