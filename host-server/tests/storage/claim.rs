//! Claiming: the right tasks, in the right order, each to one claimer.

use std::{collections::HashSet, sync::Arc};

use claiflow_server::model::task::{Place, Task};

use crate::world::{Engine, World, claim, declare, mysql};

promises![
    tasks_are_taken_by_priority_and_then_by_age,
    only_what_the_agent_can_run_is_taken,
    only_the_clusters_own_tasks_are_taken,
    two_claimers_take_disjoint_tasks_and_none_is_left,
    each_lease_has_a_greater_epoch_and_another_id,
    the_claim_reads_the_order_from_its_key,
];

async fn tasks_are_taken_by_priority_and_then_by_age(world: World) {
    let snapshot = world.snapshot(1).await;
    let second = 1_000_000;
    let now = world.source.now_us();
    let task = |name: &str, priority, age_s: i64| {
        let task = Task { name: name.into(), priority, created: now - age_s * second, ..world.task(&snapshot) };
        (Arc::new(task), Place::Ready)
    };
    // A point of priority is worth ten minutes of age.
    let tasks =
        [task("late", 0, 1), task("urgent", 5, 2), task("early", 0, 60), task("aged", 0, 4_000), task("low", -1, 3)];
    world.store.create_tasks(&tasks, &[]).await.unwrap();
    let mut names = Vec::new();
    for limit in [2, 1, 10] {
        names.extend(world.claim(&snapshot, limit).await.iter().map(|lease| lease.task.name.clone()));
    }
    assert_eq!(names, ["aged", "urgent", "early", "late", "low"]);
}

async fn only_what_the_agent_can_run_is_taken(world: World) {
    let (wanted, other) = (world.snapshot(1).await, world.snapshot(1).await);
    let tasks: Vec<_> = [&other, &other, &wanted, &other, &wanted]
        .into_iter()
        .map(|snapshot| (Arc::new(world.task(snapshot)), Place::Ready))
        .collect();
    world.store.create_tasks(&tasks, &[]).await.unwrap();
    let leases = world.claim(&wanted, 10).await;
    assert_eq!(leases.len(), 2);
    assert!(leases.iter().all(|lease| lease.task.snapshot.id == wanted.id));
    assert_eq!(world.number("SELECT COUNT(*) FROM ready").await, 3);
    for limit in [None, Some(1), Some(1_000)] {
        assert_eq!(world.store.needs(world.cluster, limit).await.unwrap(), [other.id.to_vec()]);
    }
}

async fn only_the_clusters_own_tasks_are_taken(world: World) {
    let snapshot = world.snapshot(1).await;
    let other = declare(&world.store, &"1".repeat(32)).await;
    let foreign = Task { cluster: other, ..world.task(&snapshot) };
    world.store.create_tasks(&[(Arc::new(foreign), Place::Ready)], &[]).await.unwrap();
    assert!(world.claim(&snapshot, 10).await.is_empty());
    assert_eq!(claim(&world.store, other, &snapshot, 10).await.len(), 1);
}

async fn two_claimers_take_disjoint_tasks_and_none_is_left(world: World) {
    const TASKS: usize = 400;
    let snapshot = world.snapshot(1).await;
    let tasks: Vec<_> = (0..TASKS).map(|_| (Arc::new(world.task(&snapshot)), Place::Ready)).collect();
    world.store.create_tasks(&tasks, &[]).await.unwrap();
    let start = Arc::new(tokio::sync::Barrier::new(2));
    let claimers: Vec<_> = (0..2)
        .map(|_| {
            let (store, snapshot, start) = (world.store.clone(), Arc::clone(&snapshot), Arc::clone(&start));
            let cluster = world.cluster;
            tokio::spawn(async move {
                start.wait().await;
                let mut taken = claim(&store, cluster, &snapshot, 20).await;
                let first = taken.len();
                start.wait().await;
                loop {
                    let more = claim(&store, cluster, &snapshot, 20).await;
                    if more.is_empty() {
                        return (first, taken);
                    }
                    taken.extend(more);
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for claimer in claimers {
        let (first, taken) = claimer.await.unwrap();
        assert_eq!(first, 20, "a claimer beside another one gets something");
        all.extend(taken);
    }
    assert_eq!(all.len(), TASKS);
    assert_eq!(all.iter().map(|lease| lease.task.id).collect::<HashSet<_>>().len(), TASKS);
    assert_eq!(world.number("SELECT COUNT(*) FROM lease").await, i64::try_from(TASKS).unwrap());
}

async fn each_lease_has_a_greater_epoch_and_another_id(world: World) {
    let snapshot = world.snapshot(1).await;
    let mut lease = world.running(&snapshot).await;
    for epoch in 2..5 {
        assert!(world.store.requeue(&lease, false, None).await.unwrap());
        let again = world.claim(&snapshot, 1).await.pop().unwrap();
        assert_eq!((again.task.id, again.task.epoch), (lease.task.id, epoch));
        assert_ne!(again.id, lease.id);
        lease = again;
    }
}

async fn the_claim_reads_the_order_from_its_key(world: World) {
    // SQLite has one writer: an order that is not read from a key costs time there and locks nothing.
    let Engine::Maria(maria) = &world.engine else { return };
    let (snapshot, other) = (world.snapshot(1).await, declare(&world.store, &"1".repeat(32)).await);
    for cluster in [world.cluster, other] {
        let tasks: Vec<_> =
            (0..500).map(|_| (Arc::new(Task { cluster, ..world.task(&snapshot) }), Place::Ready)).collect();
        world.store.create_tasks(&tasks, &[]).await.unwrap();
    }
    let mut connection = mysql(maria).await;
    sqlx::query("ANALYZE TABLE ready").fetch_all(&mut connection).await.unwrap();
    let rows = sqlx::query(
        "EXPLAIN SELECT id, `rank`, need FROM ready WHERE cluster = ? AND need IN (?, ?) AND (valid_until IS NULL OR valid_until > ?) ORDER BY `rank`, id LIMIT 64 FOR UPDATE SKIP LOCKED",
    )
    .bind(world.cluster)
    .bind(snapshot.id.to_vec())
    .bind(vec![1_u8; 16])
    .bind(world.source.now_us())
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let column = |name: &str| {
        let bytes: Option<Vec<u8>> = sqlx::Row::try_get_unchecked(&rows[0], name).unwrap();
        String::from_utf8(bytes.unwrap_or_default()).unwrap()
    };
    assert_eq!(rows.len(), 1);
    assert_eq!((column("key"), column("ref")), ("PRIMARY".into(), "const".into()));
    assert!(!column("Extra").contains("filesort"), "{}", column("Extra"));
}
