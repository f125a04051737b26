//! Limits: never more at once than they say, whoever claims, and every end gives its slot back.

use std::{collections::HashMap, sync::Arc};

use claiflow_server::{
    model::{
        ids::{Id, Source},
        step::{NEVER, STARTED},
        task::{Holder, Lease, Place, Snapshot, Task},
    },
    storage::{Claim, Settlement, Store},
};

use crate::world::{World, declare, retried, step};

promises![
    two_claimers_at_once_never_exceed_a_limit,
    every_end_gives_its_slot_back,
    what_is_in_doubt_keeps_its_slot,
    a_limit_holds_back_nothing_else,
    the_least_of_several_limits_counts,
];

async fn claim(
    store: &Store,
    cluster: i64,
    snapshots: &HashMap<Id, Arc<Snapshot>>,
    cluster_limit: Option<u32>,
) -> Vec<Arc<Lease>> {
    let (holder, now_us) = (&Holder::Streaming([7; 16]), Source.now_us());
    let claim = Claim { cluster, snapshots, limit: 10, holder, now_us, cluster_limit };
    retried(|| store.claim(&claim, &|| Source.random())).await
}

fn by_id(snapshots: &[&Arc<Snapshot>]) -> HashMap<Id, Arc<Snapshot>> {
    snapshots.iter().map(|snapshot| (snapshot.id, Arc::clone(snapshot))).collect()
}

async fn wait(world: &World, snapshot: &Arc<Snapshot>, cluster: i64, count: usize) {
    let tasks: Vec<_> =
        (0..count).map(|_| (Arc::new(Task { cluster, ..world.task(snapshot) }), Place::Ready)).collect();
    world.store.create_tasks(&tasks, &[]).await.unwrap();
}

async fn two_claimers_at_once_never_exceed_a_limit(world: World) {
    let other = declare(&world.store, &"1".repeat(32)).await;
    for (template, options, cluster_limit, clusters, most) in [
        ("free", "{}", Some(3), [world.cluster; 2], 3),
        ("narrow", r#"{"concurrency":{"cluster":2}}"#, None, [world.cluster; 2], 2),
        ("narrow on two", r#"{"concurrency":{"cluster":2}}"#, None, [world.cluster, other], 4),
        ("total", r#"{"concurrency":{"total":5}}"#, None, [world.cluster, other], 5),
        ("total on one", r#"{"concurrency":{"total":5}}"#, Some(2), [world.cluster; 2], 2),
    ] {
        let snapshot = world.snapshot_of(1, template, options).await;
        for cluster in clusters {
            wait(&world, &snapshot, cluster, 12).await;
        }
        let mut held = vec![];
        for round in 0..3 {
            let [first, second] = clusters.map(|cluster| {
                let (store, snapshots) = (world.store.clone(), by_id(&[&snapshot]));
                tokio::spawn(async move { claim(&store, cluster, &snapshots, cluster_limit).await })
            });
            let (first, second) = (first.await.unwrap(), second.await.unwrap());
            held.extend(first.into_iter().chain(second));
            assert_eq!(held.len(), most, "{template}, round {round}");
            // One ends in each round, so that one may start in the next.
            let end = held.pop().unwrap();
            world.ends(&[world.success(&end)]).await;
        }
        let ends: Vec<_> = held.iter().map(|lease| world.success(lease)).collect();
        world.ends(&ends).await;
        world.type_sql("DELETE FROM ready").await;
        assert_eq!(world.number("SELECT COUNT(*) FROM slot").await, 0, "{template}");
    }
}

async fn every_end_gives_its_slot_back(world: World) {
    let snapshot = world.snapshot_of(1, "one", r#"{"concurrency":{"cluster":1,"total":1}}"#).await;
    let snapshots = by_id(&[&snapshot]);
    wait(&world, &snapshot, world.cluster, 5).await;
    for end in ["finish", "requeue", "spent requeue", "resolve", "finish"] {
        let held = claim(&world.store, world.cluster, &snapshots, Some(1)).await;
        assert_eq!(held.len(), 1, "{end}");
        assert_eq!(world.number("SELECT COUNT(*) FROM slot").await, 3, "{end}");
        assert!(claim(&world.store, world.cluster, &snapshots, Some(1)).await.is_empty(), "{end}");
        let lease = &held[0];
        match end {
            "requeue" => assert!(world.store.requeue(lease, false, None).await.unwrap()),
            "spent requeue" => assert!(world.store.requeue(lease, true, Some(i64::MAX)).await.unwrap()),
            "resolve" => {
                world.store.keep_step(lease, &step("0", STARTED, NEVER, "")).await.unwrap();
                world.store.mark_unknown(lease, "nobody knows").await.unwrap();
                assert!(world.store.resolve(lease, Some("0"), Settlement::Rerun, 1).await.unwrap());
            }
            _ => assert_eq!(world.ends(&[world.success(lease)]).await.len(), 1),
        }
        assert_eq!(world.number("SELECT COUNT(*) FROM slot").await, 0, "{end}");
    }
}

async fn what_is_in_doubt_keeps_its_slot(world: World) {
    let snapshot = world.snapshot_of(1, "one", r#"{"concurrency":{"total":1}}"#).await;
    wait(&world, &snapshot, world.cluster, 2).await;
    let lease = claim(&world.store, world.cluster, &by_id(&[&snapshot]), None).await.remove(0);
    world.store.mark_unknown(&lease, "nobody knows").await.unwrap();
    assert!(claim(&world.store, world.cluster, &by_id(&[&snapshot]), None).await.is_empty(), "it may still run");
}

async fn a_limit_holds_back_nothing_else(world: World) {
    let limited = world.snapshot_of(1, "limited", r#"{"concurrency":{"cluster":1}}"#).await;
    let free = world.snapshot_of(1, "free", "{}").await;
    wait(&world, &limited, world.cluster, 3).await;
    wait(&world, &free, world.cluster, 3).await;
    let snapshots = by_id(&[&limited, &free]);
    let first = claim(&world.store, world.cluster, &snapshots, None).await;
    assert_eq!(first.len(), 4, "one of the limited template, and all others");
    assert!(claim(&world.store, world.cluster, &snapshots, None).await.is_empty());
    let other = declare(&world.store, &"1".repeat(32)).await;
    wait(&world, &limited, other, 3).await;
    assert_eq!(claim(&world.store, other, &snapshots, None).await.len(), 1, "each cluster has its own");
}

async fn the_least_of_several_limits_counts(world: World) {
    for (options, cluster_limit, most) in [
        (r#"{"concurrency":{"cluster":3,"total":2}}"#, Some(4), 2),
        (r#"{"concurrency":{"cluster":2,"total":4}}"#, Some(3), 2),
        (r#"{"concurrency":{"cluster":4,"total":3}}"#, Some(2), 2),
    ] {
        let snapshot = world.snapshot_of(1, options, options).await;
        wait(&world, &snapshot, world.cluster, 6).await;
        let held = claim(&world.store, world.cluster, &by_id(&[&snapshot]), cluster_limit).await;
        assert_eq!(held.len(), most, "{options}");
        let ends: Vec<_> = held.iter().map(|lease| world.success(lease)).collect();
        world.ends(&ends).await;
    }
}
