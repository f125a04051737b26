//! What operators see: the id of the request behind a task, and whose tasks wait since when.

use claiflow_server::{
    model::{
        state::State,
        task::{Place, Task},
    },
    storage::{Ending, Wished},
};

use crate::world::{World, declare};

promises![
    a_task_keeps_the_id_of_its_request_from_its_creation_to_its_history,
    a_line_is_as_old_as_the_task_that_is_next_and_a_paused_cluster_has_none,
    a_connection_is_free,
];

async fn a_task_keeps_the_id_of_its_request_from_its_creation_to_its_history(world: World) {
    let snapshot = world.snapshot(1).await;
    let id = Some("r".repeat(255));
    let one = || Task { request_id: id.clone(), ..world.task(&snapshot) };
    let finished = world.waiting(one(), Place::Ready).await;
    let lease = world.claim(&snapshot, 1).await.pop().unwrap();
    assert_eq!((lease.task.id, &lease.task.request_id), (finished.id, &id));
    assert_eq!(world.store.task(world.cluster, &finished.id).await.unwrap().unwrap().request_id, id);
    world.store.finish(&[world.success(&lease)]).await.unwrap();
    let cancelled = world.waiting(one(), Place::Ready).await;
    let ending = Ending { state: State::Cancelled, error: "e", timeline: "{}", now_us: cancelled.created + 1 };
    assert_eq!(world.store.cancel(world.cluster, cancelled.id, cancelled.rank(), ending).await.unwrap(), Wished::Done);
    for task in [finished, cancelled] {
        let view = world.store.task(world.cluster, &task.id).await.unwrap().unwrap();
        assert!(view.ended.is_some());
        assert_eq!(view.request_id, id);
    }
}

async fn a_line_is_as_old_as_the_task_that_is_next_and_a_paused_cluster_has_none(world: World) {
    let snapshot = world.snapshot(1).await;
    assert!(world.store.waiting_lines().await.unwrap().is_empty());
    let (mut first, mut urgent) = (world.task(&snapshot), world.task(&snapshot));
    // An id begins with its milliseconds: 1,000 and 2,000.
    first.id[..6].copy_from_slice(&[0, 0, 0, 0, 3, 232]);
    urgent.id[..6].copy_from_slice(&[0, 0, 0, 0, 7, 208]);
    urgent.priority = 1;
    world.waiting(first, Place::Ready).await;
    let cluster = world.store.cluster(&"0".repeat(32)).await.unwrap().unwrap();
    let lines = async || {
        let lines = world.store.waiting_lines().await.unwrap();
        lines.into_iter().map(|line| (line.cluster, line.created_ms, line.agents)).collect::<Vec<_>>()
    };
    assert_eq!(lines().await, [(cluster.uuid.clone(), 1_000, 0)]);
    world.waiting(urgent, Place::Ready).await;
    world.store.agent_attached(world.cluster, [7; 16], "s", [8; 16], 1).await.unwrap();
    assert_eq!(lines().await, [(cluster.uuid, 2_000, 1)]);
    let other = declare(&world.store, &"1".repeat(32)).await;
    let elsewhere = Task { cluster: other, ..world.task(&snapshot) };
    world.waiting(elsewhere, Place::Ready).await;
    assert_eq!(lines().await.len(), 2);
    world.type_sql("UPDATE cluster SET paused = 1").await;
    assert!(lines().await.is_empty());
}

async fn a_connection_is_free(world: World) {
    world.store.connection_is_free().await.unwrap();
}
