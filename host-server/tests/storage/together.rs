//! Single tasks that many ask for at once.

use claiflow_server::model::{
    ids::{Id, Source},
    state::State,
    task::{Place, Task, View},
};

use crate::world::{World, declare};

promises![
    whoever_asks_at_once_gets_their_own_task,
    a_task_that_took_days_is_found,
    what_was_stored_before_the_question_is_in_the_answer,
    a_reader_who_goes_away_takes_nobodys_answer_along,
    what_fails_fails_for_each_and_later_reads_go_on,
];

async fn whoever_asks_at_once_gets_their_own_task(world: World) {
    let snapshot = world.snapshot(1).await;
    let other = "0000000000000000000000000000000f";
    let beyond = declare(&world.store, other).await;
    let home = "0".repeat(32);
    let mut wanted: Vec<(String, Id, Option<State>)> = vec![];
    for number in 0..120 {
        // A fan-out has the same id on each of its clusters.
        let lease = world.running(&snapshot).await;
        let twin = Task { cluster: beyond, ..world.task(&snapshot) };
        let twin = Task { id: lease.task.id, uuid: lease.task.uuid.clone(), ..twin };
        world.waiting(twin, Place::Ready).await;
        let is_final = number % 3 == 0;
        if is_final {
            world.ends(&[world.success(&lease)]).await;
        }
        wanted.push((home.clone(), lease.task.id, Some(if is_final { State::Succeeded } else { State::Running })));
        wanted.push((other.to_owned(), lease.task.id, Some(State::Ready)));
        wanted.push((home.clone(), Source.random(), None));
    }
    let mut reads = tokio::task::JoinSet::new();
    for (cluster, id, state) in wanted.iter().cloned().chain(wanted.clone()) {
        let store = world.store.clone();
        reads.spawn(async move {
            let found = store.task_of(&cluster, id).await.unwrap();
            assert_eq!(found.as_ref().map(|view| State::of(view.state)), state);
            assert!(found.is_none_or(|view| view.id == id && view.cluster_uuid == cluster));
        });
    }
    let mut count = 0;
    while let Some(outcome) = reads.join_next().await {
        outcome.unwrap();
        count += 1;
    }
    assert_eq!(count, 720);
}

async fn a_task_that_took_days_is_found(world: World) {
    let snapshot = world.snapshot(1).await;
    let mut task = world.task(&snapshot);
    let made_ms = task.created / 1_000 - 3 * 86_400_000;
    task.id[..6].copy_from_slice(&made_ms.to_be_bytes()[2..]);
    let id = task.id;
    world.waiting(task, Place::Ready).await;
    let lease = world.claim(&snapshot, 1).await.pop().unwrap();
    world.ends(&[world.success(&lease)]).await;
    let found = world.store.task_of(&"0".repeat(32), id).await.unwrap().unwrap();
    assert_eq!((State::of(found.state), found.id), (State::Succeeded, id.to_vec()));
}

async fn what_was_stored_before_the_question_is_in_the_answer(world: World) {
    let snapshot = world.snapshot(1).await;
    let home = "0".repeat(32);
    let mut readers = tokio::task::JoinSet::new();
    // Others keep statements under way all the time.
    let asked = Source.random();
    for _ in 0..8 {
        let (store, home) = (world.store.clone(), home.clone());
        readers.spawn(async move {
            loop {
                store.task_of(&home, asked).await.unwrap();
            }
        });
    }
    for _ in 0..100 {
        let lease = world.running(&snapshot).await;
        let state = |found: Option<View>| State::of(found.unwrap().state);
        assert_eq!(state(world.store.task_of(&home, lease.task.id).await.unwrap()), State::Running);
        world.ends(&[world.success(&lease)]).await;
        assert_eq!(state(world.store.task_of(&home, lease.task.id).await.unwrap()), State::Succeeded);
    }
    readers.shutdown().await;
}

async fn a_reader_who_goes_away_takes_nobodys_answer_along(world: World) {
    let lease = world.running(&world.snapshot(1).await).await;
    let home = "0".repeat(32);
    for _ in 0..100 {
        let mut reads = tokio::task::JoinSet::new();
        for reader in 0..16 {
            let (store, home, id) = (world.store.clone(), home.clone(), lease.task.id);
            reads.spawn(async move {
                let read = store.task_of(&home, id);
                if reader % 2 == 0 {
                    // It has asked, and waits for nothing.
                    let _ = tokio::time::timeout(std::time::Duration::ZERO, read).await;
                } else {
                    assert!(read.await.unwrap().is_some());
                }
            });
        }
        while let Some(outcome) = reads.join_next().await {
            outcome.unwrap();
        }
    }
}

async fn what_fails_fails_for_each_and_later_reads_go_on(world: World) {
    let lease = world.running(&world.snapshot(1).await).await;
    let home = "0".repeat(32);
    for (before, after) in [("ALTER TABLE history RENAME TO away", "ALTER TABLE away RENAME TO history"); 3] {
        world.type_sql(before).await;
        let mut reads = tokio::task::JoinSet::new();
        for _ in 0..32 {
            let (store, home, id) = (world.store.clone(), home.clone(), lease.task.id);
            reads.spawn(async move { store.task_of(&home, id).await.is_err() });
        }
        while let Some(outcome) = reads.join_next().await {
            assert!(outcome.unwrap());
        }
        world.type_sql(after).await;
        assert!(world.store.task_of(&home, lease.task.id).await.unwrap().is_some());
    }
}
