//! Cancels: the first commit wins, wherever the task stands.

use std::sync::Arc;

use claiflow_server::{
    model::{
        state::State,
        step::{NEVER, STARTED},
        task::{Lease, Place, Task, Wish},
    },
    storage::{Ending, Wished},
};

use crate::world::{World, claim, declare, retried, step};

promises![
    what_nobody_holds_ends_at_once,
    what_an_agent_holds_ends_as_cancelled_whatever_it_reports,
    what_is_in_doubt_or_final_or_nobodys_stays,
    a_cancelled_task_is_not_given_back,
    a_cancel_and_an_end_at_once_agree_on_who_was_first,
    a_cancel_and_a_claim_at_once_leave_nothing_behind,
    a_cancel_and_a_resume_at_once_leave_nothing_behind,
    a_deleted_clusters_tasks_are_cancelled_and_what_is_in_doubt_stays,
];

/// Tasks of each race.
const RACES: usize = 24;

fn ending(world: &World) -> Ending<'static> {
    let now_us = world.source.now_us() + 1;
    Ending { state: State::Cancelled, error: "cancelled", timeline: r#"{"steps":[]}"#, now_us }
}

async fn cancel(world: &World, task: &Task) -> Wished {
    retried(|| world.store.cancel(task.cluster, task.id, task.rank(), ending(world))).await
}

/// Whether nothing of any task is left beside the history.
async fn is_over(world: &World) -> bool {
    let left = "SELECT (SELECT COUNT(*) FROM task) + (SELECT COUNT(*) FROM ready) + (SELECT COUNT(*) FROM later) + (SELECT COUNT(*) FROM lease) + (SELECT COUNT(*) FROM step) + (SELECT COUNT(*) FROM slot)";
    world.number(left).await == 0
}

async fn what_nobody_holds_ends_at_once(world: World) {
    let snapshot = world.snapshot(1).await;
    let later = world.source.now_us() + 3_600_000_000;
    for (name, place, paused) in [
        ("ready", Place::Ready, false),
        ("scheduled", Place::Later(later), false),
        ("paused", Place::Ready, true),
        ("scheduled and paused", Place::Later(later), true),
    ] {
        let task = world.waiting(world.task(&snapshot), place).await;
        if paused {
            assert_eq!(world.store.pause(world.cluster, task.id, task.rank()).await.unwrap(), Wished::Done, "{name}");
        }
        assert_eq!(cancel(&world, &task).await, Wished::Done, "{name}");
        let view = world.store.task(world.cluster, &task.id).await.unwrap().unwrap();
        assert_eq!((State::of(view.state), view.error.as_deref()), (State::Cancelled, Some("cancelled")), "{name}");
        assert!(view.ended.unwrap() > view.created, "{name}");
        assert_eq!(cancel(&world, &task).await, Wished::Gone, "{name}: final is final");
    }
    assert!(world.claim(&snapshot, 10).await.is_empty());
    assert!(is_over(&world).await);
}

async fn what_an_agent_holds_ends_as_cancelled_whatever_it_reports(world: World) {
    let snapshot = world.snapshot(1).await;
    for (reported, error) in [
        (State::Succeeded, "cancelled: its last step had ended before it could be stopped"),
        (State::Failed, "cancelled: it broke"),
        (State::TimedOut, "cancelled: it broke"),
        (State::Cancelled, "it broke"),
    ] {
        let lease = world.running(&snapshot).await;
        assert_eq!(cancel(&world, &lease.task).await, Wished::Noted);
        assert_eq!(cancel(&world, &lease.task).await, Wished::Noted, "to ask twice is to ask once");
        assert_eq!(world.store.lease(world.cluster, lease.id).await.unwrap().unwrap().wish, Wish::Cancel);
        let live = world.store.task(world.cluster, &lease.task.id).await.unwrap().unwrap();
        assert_eq!((State::of(live.state), live.cancel_requested), (State::Running, true));
        let mut end = world.success(&lease);
        end.state = reported as i16;
        end.error = (reported != State::Succeeded).then(|| "it broke".to_owned());
        assert_eq!(world.ends(&[end]).await, [(lease.id, State::Cancelled)]);
        let view = world.store.task(world.cluster, &lease.task.id).await.unwrap().unwrap();
        assert_eq!((State::of(view.state), view.result, view.error.as_deref()), (State::Cancelled, None, Some(error)));
    }
    assert!(is_over(&world).await);
}

async fn what_is_in_doubt_or_final_or_nobodys_stays(world: World) {
    let snapshot = world.snapshot(1).await;
    let doubtful = world.running(&snapshot).await;
    assert!(world.store.mark_unknown(&doubtful, "nobody knows").await.unwrap());
    assert_eq!(cancel(&world, &doubtful.task).await, Wished::Stands(State::Unknown));
    assert_eq!(
        world.ends(&[world.success(&doubtful)]).await,
        [(doubtful.id, State::Succeeded)],
        "the wish left no mark"
    );
    assert_eq!(cancel(&world, &doubtful.task).await, Wished::Gone);
    assert_eq!(world.state(doubtful.task.id).await, State::Succeeded);
    assert_eq!(cancel(&world, &world.task(&snapshot)).await, Wished::Gone);
    let foreign = world.running(&snapshot).await;
    let elsewhere = Task { cluster: world.cluster + 1, ..Task::clone(&foreign.task) };
    assert_eq!(cancel(&world, &elsewhere).await, Wished::Gone);
    assert_eq!(world.ends(&[world.success(&foreign)]).await, [(foreign.id, State::Succeeded)]);
}

async fn a_cancelled_task_is_not_given_back(world: World) {
    let snapshot = world.snapshot(1).await;
    let lease = world.running(&snapshot).await;
    cancel(&world, &lease.task).await;
    for spent in [false, true] {
        assert!(!world.store.requeue(&lease, spent, None).await.unwrap());
    }
    assert!(world.claim(&snapshot, 10).await.is_empty());
    assert_eq!(world.ends(&[world.success(&lease)]).await, [(lease.id, State::Cancelled)]);
}

async fn a_cancel_and_an_end_at_once_agree_on_who_was_first(world: World) {
    let snapshot = world.snapshot(1).await;
    let in_order = world.running(&snapshot).await;
    assert_eq!(world.ends(&[world.success(&in_order)]).await, [(in_order.id, State::Succeeded)]);
    assert_eq!(cancel(&world, &in_order.task).await, Wished::Gone, "the end was first");
    for _ in 0..RACES {
        let lease = world.running(&snapshot).await;
        let end = [world.success(&lease)];
        let ends = retried(|| world.store.finish(&end));
        let (wished, ended) = tokio::join!(cancel(&world, &lease.task), ends);
        let expected = if wished == Wished::Gone { State::Succeeded } else { State::Cancelled };
        assert_eq!((ended.get(&lease.id), world.state(lease.task.id).await), (Some(&expected), expected), "{wished:?}");
    }
    assert!(is_over(&world).await);
    assert_eq!(world.number("SELECT COUNT(*) FROM history").await, i64::try_from(RACES).unwrap() + 1);
}

async fn a_cancel_and_a_claim_at_once_leave_nothing_behind(world: World) {
    let snapshot = world.snapshot(1).await;
    for _ in 0..RACES {
        let task = world.waiting(world.task(&snapshot), Place::Ready).await;
        let (wished, claimed) = tokio::join!(cancel(&world, &task), world.claim(&snapshot, 10));
        let held: Vec<&Arc<Lease>> = claimed.iter().collect();
        match (wished, held.as_slice()) {
            (Wished::Done, []) => {}
            (Wished::Noted, [lease]) => {
                assert_eq!(world.ends(&[world.success(lease)]).await, [(lease.id, State::Cancelled)]);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(world.state(task.id).await, State::Cancelled);
    }
    assert!(is_over(&world).await);
}

async fn a_cancel_and_a_resume_at_once_leave_nothing_behind(world: World) {
    let snapshot = world.snapshot(1).await;
    for _ in 0..RACES {
        let task = world.waiting(world.task(&snapshot), Place::Ready).await;
        assert_eq!(world.store.pause(world.cluster, task.id, task.rank()).await.unwrap(), Wished::Done);
        let resumed = retried(|| world.store.resume(&task));
        let (cancelled, resumed) = tokio::join!(cancel(&world, &task), resumed);
        assert_eq!(cancelled, Wished::Done);
        assert!(matches!(resumed, Wished::Done | Wished::Gone), "{resumed:?}");
        assert_eq!(world.state(task.id).await, State::Cancelled);
    }
    assert!(is_over(&world).await);
}

async fn a_deleted_clusters_tasks_are_cancelled_and_what_is_in_doubt_stays(world: World) {
    let snapshot = world.snapshot(1).await;
    let (held, doubtful) = (world.running(&snapshot).await, world.running(&snapshot).await);
    world.store.keep_step(&doubtful, &step("0", STARTED, NEVER, "")).await.unwrap();
    assert!(world.store.mark_unknown(&doubtful, "nobody knows").await.unwrap());
    let other = declare(&world.store, &"1".repeat(32)).await;
    let elsewhere = world.waiting(Task { cluster: other, ..world.task(&snapshot) }, Place::Ready).await;
    let ready = world.waiting(world.task(&snapshot), Place::Ready).await;
    let scheduled = world.waiting(world.task(&snapshot), Place::Later(i64::MAX)).await;
    let paused = world.waiting(world.task(&snapshot), Place::Ready).await;
    world.store.pause(world.cluster, paused.id, paused.rank()).await.unwrap();

    let ending = Ending { error: "its cluster was deleted", ..ending(&world) };
    assert_eq!(world.store.cancel_cluster(world.cluster, ending).await.unwrap(), 3);
    for task in [&ready, &scheduled, &paused] {
        let view = world.store.task(world.cluster, &task.id).await.unwrap().unwrap();
        assert_eq!((State::of(view.state), view.ended), (State::Cancelled, Some(ending.now_us)));
        assert_eq!(view.error.as_deref(), Some("its cluster was deleted"));
    }
    assert_eq!(world.state(held.task.id).await, State::Running);
    assert_eq!(world.state(doubtful.task.id).await, State::Unknown);
    let ends = [world.success(&held), world.success(&doubtful)];
    let settled = world.store.finish(&ends).await.unwrap();
    assert_eq!(settled.get(&held.id), Some(&State::Cancelled));
    assert_eq!(settled.get(&doubtful.id), Some(&State::Succeeded));
    assert_eq!(world.store.cancel_cluster(world.cluster, ending).await.unwrap(), 0);
    assert_eq!(claim(&world.store, elsewhere.cluster, &snapshot, 10).await.len(), 1);
}
