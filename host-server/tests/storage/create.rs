//! Creating tasks: all or nothing, once, whatever their number and size.

use std::sync::Arc;

use claiflow_server::{
    model::task::{Finish, Place, Task},
    storage::Error,
};

use crate::world::{World, declare};

promises![
    a_batch_is_stored_whole_or_not_at_all,
    a_callers_uuid_is_stored_once_in_a_cluster,
    a_task_that_starts_with_its_lease_is_not_ready,
    a_fan_out_to_ten_thousand_clusters_is_one_creation,
    large_inputs_of_one_batch_are_stored,
    a_repeated_snapshot_is_a_no_op,
    stored_tasks_are_there_for_another_process,
];

async fn a_batch_is_stored_whole_or_not_at_all(world: World) {
    let snapshot = world.snapshot(1).await;
    let task = Arc::new(world.task(&snapshot));
    let fresh = Arc::new(world.task(&snapshot));
    world.store.create_tasks(&[(Arc::clone(&task), Place::Ready)], &[]).await.unwrap();
    let outcome = world.store.create_tasks(&[(fresh, Place::Ready), (task, Place::Ready)], &[]).await;
    assert!(matches!(outcome, Err(Error::Duplicate)), "{outcome:?}");
    assert_eq!(world.number("SELECT COUNT(*) FROM task").await, 1);
    assert_eq!(world.number("SELECT COUNT(*) FROM ready").await, 1);
}

async fn a_callers_uuid_is_stored_once_in_a_cluster(world: World) {
    let snapshot = world.snapshot(1).await;
    let other = declare(&world.store, &"1".repeat(32)).await;
    let named = |cluster| {
        let task = Task { cluster, uuid: "ab".repeat(16), request: Some([5; 32]), ..world.task(&snapshot) };
        [(Arc::new(task), Place::Ready)]
    };
    let first = named(world.cluster);
    world.store.create_tasks(&first, &[]).await.unwrap();
    assert!(matches!(world.store.create_tasks(&named(world.cluster), &[]).await, Err(Error::Duplicate)));
    world.store.create_tasks(&named(other), &[]).await.unwrap();
    assert_eq!(world.number("SELECT COUNT(*) FROM task").await, 2);
    let (id, request) = world.store.alias(world.cluster, &"ab".repeat(16)).await.unwrap().unwrap();
    assert_eq!((id, request), (first[0].0.id.to_vec(), vec![5; 32]));
}

async fn a_task_that_starts_with_its_lease_is_not_ready(world: World) {
    let snapshot = world.snapshot(1).await;
    world.running(&snapshot).await;
    assert_eq!(world.number("SELECT COUNT(*) FROM ready").await, 0);
    assert!(world.claim(&snapshot, 10).await.is_empty());
}

async fn a_fan_out_to_ten_thousand_clusters_is_one_creation(world: World) {
    let snapshot = world.snapshot(1).await;
    let one = world.task(&snapshot);
    let tasks: Vec<_> = (1..=10_000)
        .map(|cluster| (Arc::new(Task { cluster, request: Some([1; 32]), ..one.clone() }), Place::Ready))
        .collect();
    world.store.create_tasks(&tasks, &[]).await.unwrap();
    for table in
        ["SELECT COUNT(*) FROM task", "SELECT COUNT(*) FROM ready", "SELECT COUNT(DISTINCT cluster) FROM alias"]
    {
        assert_eq!(world.number(table).await, 10_000, "{table}");
    }
    assert_eq!(world.store.clusters_with_ready().await.unwrap().len(), 10_000);
}

async fn large_inputs_of_one_batch_are_stored(world: World) {
    let snapshot = world.snapshot(1).await;
    let inputs = format!("{{\"x\":\"{}\"}}", "é".repeat(2 << 20));
    let tasks: Vec<_> =
        (0..6).map(|_| (Arc::new(Task { inputs: inputs.clone(), ..world.task(&snapshot) }), Place::Ready)).collect();
    world.store.create_tasks(&tasks, &[]).await.unwrap();
    let leases = world.claim(&snapshot, 10).await;
    assert_eq!(leases.len(), 6);
    assert!(leases.iter().all(|lease| lease.task.inputs == inputs));
    let ends: Vec<_> =
        leases.iter().map(|lease| Finish { result: Some(inputs.clone()), ..world.success(lease) }).collect();
    assert_eq!(world.store.finish(&ends).await.unwrap().len(), 6);
}

async fn a_repeated_snapshot_is_a_no_op(world: World) {
    let snapshot = world.snapshot(3).await;
    world.store.keep_snapshot(&snapshot).await.unwrap();
    assert_eq!(world.number("SELECT COUNT(*) FROM snapshot").await, 1);
    let read = world.reopened().await.snapshot(&snapshot.id).await.unwrap().unwrap();
    assert_eq!((read.step_max, &read.commands, &read.flow), (3, &snapshot.commands, &snapshot.flow));
    assert!(world.store.snapshot(&[9; 16]).await.unwrap().is_none());
}

async fn stored_tasks_are_there_for_another_process(world: World) {
    let snapshot = world.snapshot(1).await;
    let lease = world.running(&snapshot).await;
    let other = world.reopened().await;
    let leases = other.leases_of(world.cluster, lease.journal).await.unwrap();
    assert_eq!(leases.len(), 1);
    let found = &leases[0].lease;
    assert_eq!((found.id, found.journal, found.task.cluster), (lease.id, lease.journal, world.cluster));
    assert_eq!((found.task.id, found.task.created), (lease.task.id, lease.task.created));
}
