//! Lists: live and final tasks as one, whatever moves meanwhile.

use std::{collections::HashSet, sync::Arc};

use claiflow_server::model::{
    list::TaskListing,
    state::State,
    task::{Place, Task},
};

use crate::world::{Engine, World, declare, on_mariadb, shell};

promises![live_and_final_tasks_are_one_list_the_newest_first, a_task_that_ends_while_the_list_is_read_is_shown_once,];

async fn live_and_final_tasks_are_one_list_the_newest_first(world: World) {
    let snapshot = world.snapshot(1).await;
    let mut ids = Vec::new();
    for index in 0..6 {
        let lease = world.running(&snapshot).await;
        if index % 2 == 0 {
            world.store.finish(&[world.success(&lease)]).await.unwrap();
        }
        ids.insert(0, lease.task.id.to_vec());
    }
    let listed = world.store.tasks(&TaskListing { limit: 4, ..TaskListing::default() }).await.unwrap();
    assert_eq!(listed.iter().map(|view| view.id.clone()).collect::<Vec<_>>(), ids[..4]);
    let states: Vec<_> = listed.iter().map(|view| State::of(view.state)).collect();
    assert_eq!(states, [State::Running, State::Succeeded, State::Running, State::Succeeded]);
}

async fn a_task_that_ends_while_the_list_is_read_is_shown_once(world: World) {
    // Half of the tasks are one fan-out, which shares an id.
    const CLUSTERS: usize = 40;
    let snapshot = world.snapshot(1).await;
    let shared = world.task(&snapshot);
    let mut clusters = vec![world.cluster];
    for index in 1..CLUSTERS {
        clusters.push(declare(&world.store, &format!("{index:032}")).await);
    }
    let fan_out = clusters.iter().map(|cluster| Task { cluster: *cluster, ..shared.clone() });
    let alone = clusters.iter().map(|cluster| Task { cluster: *cluster, ..world.task(&snapshot) });
    let leases: Vec<_> = fan_out.chain(alone).map(|task| world.lease_of(&Arc::new(task))).collect();
    let rows: Vec<_> = leases.iter().map(|lease| (Arc::clone(&lease.task), Place::Lease(Arc::clone(lease)))).collect();
    world.store.create_tasks(&rows, &[]).await.unwrap();
    let ends: Vec<_> = leases.iter().map(|lease| world.success(lease)).collect();
    let store = world.store.clone();
    let ending = tokio::spawn(async move {
        for end in ends {
            store.finish(&[end]).await.unwrap();
        }
    });
    let mut ended = false;
    while !ended {
        // Asked before the read, so that the last list shows every end.
        ended = ending.is_finished();
        let listed = world.store.tasks(&TaskListing { limit: 1_000, ..TaskListing::default() }).await.unwrap();
        let shown: HashSet<_> = listed.iter().map(|view| (view.id.clone(), view.cluster)).collect();
        assert_eq!((listed.len(), shown.len()), (leases.len(), leases.len()));
        assert!(listed.is_sorted_by(|a, b| a.id >= b.id));
        assert!(!ended || listed.iter().all(|view| view.state == 4));
    }
    ending.await.unwrap();
}

/// A page that began at `cluster`, or that was sorted, would read them all.
#[test]
fn a_page_reads_few_of_many_stored_tasks() {
    const TASKS: usize = 2_000;
    const CLUSTERS: usize = 20;
    const PAGE: i64 = 20;
    on_mariadb(|world| async move {
        let Engine::Maria(maria) = &world.engine else { return };
        let snapshot = world.snapshot(1).await;
        let mut clusters = vec![world.cluster];
        for index in 1..CLUSTERS {
            clusters.push(declare(&world.store, &format!("{index:032}")).await);
        }
        let tasks =
            clusters.iter().cycle().take(TASKS).map(|cluster| Task { cluster: *cluster, ..world.task(&snapshot) });
        let leases: Vec<_> = tasks.map(|task| world.lease_of(&Arc::new(task))).collect();
        for some in leases.chunks(500) {
            let rows: Vec<_> =
                some.iter().map(|lease| (Arc::clone(&lease.task), Place::Lease(Arc::clone(lease)))).collect();
            world.store.create_tasks(&rows, &[]).await.unwrap();
            // One of ten goes on living.
            let ends: Vec<_> = some.iter().skip(50).map(|lease| world.success(lease)).collect();
            world.store.finish(&ends).await.unwrap();
        }
        shell(maria, "", "SET GLOBAL userstat = 1");
        let read = || -> i64 {
            let query =
                "SELECT COALESCE(SUM(rows_read), 0) FROM information_schema.table_statistics WHERE table_schema = ";
            shell(maria, "", &format!("{query}'{}'", maria.dbname)).trim().parse().unwrap()
        };
        let middle = leases[TASKS / 2].task.as_ref();
        let newest = TaskListing { limit: PAGE, ..TaskListing::default() };
        for (which, page) in [
            ("the newest", newest.clone()),
            ("the oldest", TaskListing { oldest_first: true, ..newest.clone() }),
            ("from the middle on", TaskListing { after: Some((middle.id.to_vec(), middle.cluster)), ..newest.clone() }),
            ("one cluster's", TaskListing { cluster: Some(world.cluster), ..newest.clone() }),
            ("one state's", TaskListing { state: Some(State::Succeeded as i16), ..newest.clone() }),
            ("a numbered one", TaskListing { offset: PAGE, ..newest }),
        ] {
            let before = read();
            assert_eq!(i64::try_from(world.store.tasks(&page).await.unwrap().len()).unwrap(), PAGE, "{which}");
            let rows = read() - before;
            // A numbered page passes over those before it.
            let end = page.offset + PAGE;
            assert!((PAGE..=10 * end).contains(&rows), "{which}: {rows} rows were read for a page that ends at {end}");
        }
    });
}
