//! What is written into the outbox: every status of a task that has a webhook, once, in the transaction that makes it.

use claiflow_server::{
    model::{ids::Source, state::State},
    storage::{Ending, Settlement},
};

use crate::world::{HOOK, World, step};

promises![
    a_run_tells_each_status_once,
    steps_that_come_with_the_end_are_told_too,
    a_lost_attempt_is_registered_again,
    a_task_that_nobody_took_tells_how_it_ended,
    a_task_in_doubt_tells_so_once_and_goes_on,
    what_is_rolled_back_tells_nothing,
    tasks_without_a_webhook_tell_nobody,
];

async fn a_run_tells_each_status_once(world: World) {
    world.hook("http://receiver.test/".into(), |_| {}).await;
    let id = world.whole_run(world.task()).await;
    assert_eq!(world.told(id).await, [(0, 0, 0), (1, 0, 1), (2, 0, 2), (2, 0, 4), (2, 1, 2), (4, 1, 4)]);
}

async fn steps_that_come_with_the_end_are_told_too(world: World) {
    world.hook("http://receiver.test/".into(), |_| {}).await;
    let task = world.waits(world.task()).await;
    let lease = world.claim().await.pop().unwrap();
    world.ends(&lease, State::Failed, &[step("0", 2), step("1", 3)]).await;
    assert_eq!(world.told(task.id).await, [(0, 0, 0), (1, 0, 1), (2, 0, 2), (2, 0, 4), (2, 1, 2), (8, 1, 8)]);
}

async fn a_lost_attempt_is_registered_again(world: World) {
    world.hook("http://receiver.test/".into(), |_| {}).await;
    let lease = world.runs(world.task()).await;
    world.store.keep_step(&lease, &step("0", 2)).await.unwrap();
    assert!(world.store.requeue(&lease, true, None).await.unwrap());
    let again = world.claim().await.pop().unwrap();
    world.ends(&again, State::Cancelled, &[step("0", 2)]).await;
    let expected = [(0, 0, 0), (1, 0, 1), (2, 0, 2), (2, 0, 4), (0, 0, 0), (1, 0, 1), (16, 0, 16)];
    assert_eq!(world.told(lease.task.id).await, expected);
}

async fn a_task_that_nobody_took_tells_how_it_ended(world: World) {
    world.hook("http://receiver.test/".into(), |_| {}).await;
    let mut task = world.task();
    task.valid_until = Some(1);
    let expired = world.waits(task).await;
    assert_eq!(world.store.expire("nobody took it", Source.now_us()).await.unwrap(), 1);
    assert_eq!(world.told(expired.id).await, [(0, 0, 0), (32, 0, 32)]);
    let cancelled = world.waits(world.task()).await;
    let ending = Ending { state: State::Cancelled, error: "", timeline: r#"{"steps":[]}"#, now_us: Source.now_us() };
    world.store.cancel(world.cluster, cancelled.id, cancelled.rank(), ending).await.unwrap();
    assert_eq!(world.told(cancelled.id).await, [(0, 0, 0), (16, 0, 16)]);
    let with_cluster = world.waits(world.task()).await;
    assert_eq!(world.store.cancel_cluster(world.cluster, ending).await.unwrap(), 1);
    assert_eq!(world.told(with_cluster.id).await, [(0, 0, 0), (16, 0, 16)]);
}

async fn a_task_in_doubt_tells_so_once_and_goes_on(world: World) {
    world.hook("http://receiver.test/".into(), |_| {}).await;
    let lease = world.runs(world.task()).await;
    world.store.keep_step(&lease, &step("0", 1)).await.unwrap();
    for _ in 0..2 {
        assert!(world.store.mark_unknown(&lease, "nobody knows").await.unwrap());
    }
    let done = Settlement::Succeeded { output: "1" };
    assert!(world.store.resolve(&lease, Some("0"), done, Source.now_us()).await.unwrap());
    assert_eq!(world.told(lease.task.id).await, [(0, 0, 0), (1, 0, 1), (2, 0, 2), (64, 0, 64), (0, 0, 0)]);
}

async fn what_is_rolled_back_tells_nothing(world: World) {
    world.hook("http://receiver.test/".into(), |_| {}).await;
    let mut task = world.task();
    task.request = Some([1; 32]);
    let stored = world.waits(task.clone()).await;
    task.id = Source.id();
    let again = (std::sync::Arc::new(task), claiflow_server::model::task::Place::Ready);
    assert!(world.store.create_tasks(&[again], &[]).await.is_err(), "the uuid is taken");
    assert_eq!(world.deliveries().await.len(), 1);
    let lease = world.claim().await.pop().unwrap();
    world.ends(&lease, State::Succeeded, &[]).await;
    let before = world.told(stored.id).await;
    // Its lease is gone.
    assert!(!world.store.requeue(&lease, true, None).await.unwrap());
    world.store.keep_step(&lease, &step("0", 1)).await.unwrap();
    assert_eq!(world.told(stored.id).await, before);
}

async fn tasks_without_a_webhook_tell_nobody(world: World) {
    world.whole_run(world.task_of(None)).await;
    world.whole_run(world.task()).await;
    world.hook("http://receiver.test/".into(), |_| {}).await;
    assert_eq!(world.deliveries().await.len(), 0, "there was no webhook when they ran");
    world.whole_run(world.task()).await;
    world.store.delete_webhook(HOOK).await.unwrap();
    assert_eq!(world.deliveries().await.len(), 0, "what was to be sent goes with it");
}
