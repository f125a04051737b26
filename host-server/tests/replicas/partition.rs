//! The history by days: made ahead, kept, and removed.

use std::sync::Arc;

use claiflow_server::{
    model::{
        ids::{Id, Source},
        replica::Term,
        task::{Finish, Task},
    },
    storage::{DAY_US, Patience},
};
use sqlx::Connection as _;

use crate::world::{Engine, World, mysql};

promises![
    days_are_made_ahead_once_and_no_row_is_lost,
    what_ended_before_a_day_goes_with_its_aliases_and_the_rest_stays,
    an_open_read_is_waited_for_and_holds_nobody_up,
];

async fn term(world: &World) -> Term {
    world.store.lead("history", [1; 16], 600_000_000).await.unwrap().unwrap()
}

/// A final task that ended some days ago, with an alias.
async fn ended(world: &World, days_ago: i64) -> Id {
    let snapshot = world.snapshot(1).await;
    let at = Source.now_us() - days_ago * DAY_US;
    let mut id = Source.id();
    id[..6].copy_from_slice(&(at / 1_000).to_be_bytes()[2..]);
    let uuid = claiflow_server::model::ids::hex(&id);
    let task = Task { id, uuid, created: at, request: Some([1; 32]), ..world.task(&snapshot) };
    let lease = world.lease_of(&Arc::new(task));
    world.store_running(&world.store, &lease).await.unwrap();
    world.store.finish(&[Finish { ended: at + 1, ..world.success(&lease) }]).await.unwrap();
    id
}

async fn is_there(world: &World, id: Id) -> (bool, bool) {
    let alias = world.store.alias(world.cluster, &claiflow_server::model::ids::hex(&id)).await.unwrap();
    (world.store.task(world.cluster, &id).await.unwrap().is_some(), alias.is_some())
}

async fn days_are_made_ahead_once_and_no_row_is_lost(world: World) {
    let old = ended(&world, 40).await;
    let term = term(&world).await;
    for _ in 0..2 {
        world.store.extend_history(&term, 14, Patience::Second).await.unwrap();
        match world.store.history_days_ahead().await.unwrap() {
            Some(days) => assert!((14..=15).contains(&days), "{days} days"),
            None => assert!(matches!(world.engine, Engine::Sqlite(_))),
        }
    }
    let fresh = ended(&world, 0).await;
    assert_eq!((is_there(&world, old).await, is_there(&world, fresh).await), ((true, true), (true, true)));
    if matches!(world.engine, Engine::Maria(_)) {
        assert_eq!(world.number("SELECT COUNT(*) FROM history PARTITION (p_last)").await, 0);
        world.store.extend_history(&term, 20, Patience::Second).await.unwrap();
        assert!(world.store.history_days_ahead().await.unwrap() >= Some(20));
    }
}

async fn what_ended_before_a_day_goes_with_its_aliases_and_the_rest_stays(world: World) {
    let (old, older) = (ended(&world, 40).await, ended(&world, 41).await);
    let term = term(&world).await;
    if let Engine::Maria(_) = &world.engine {
        // The days as they were made when they came.
        let end = |days: i64| Source.now_us() / DAY_US * DAY_US - days * DAY_US;
        world
            .type_sql(&format!(
                "ALTER TABLE history REORGANIZE PARTITION p_last INTO (PARTITION p1 VALUES LESS THAN ({}), PARTITION p2 VALUES LESS THAN ({}), PARTITION p_last VALUES LESS THAN (MAXVALUE))",
                end(39),
                end(4)
            ))
            .await;
    }
    world.store.extend_history(&term, 14, Patience::Second).await.unwrap();
    let kept = [ended(&world, 20).await, ended(&world, 0).await];
    let before = Source.now_us() - 30 * DAY_US;
    assert_eq!(world.store.retire_history(&term, before, Patience::Second).await.unwrap(), 2);
    for id in [old, older] {
        assert_eq!(is_there(&world, id).await, (false, false));
    }
    for id in kept {
        assert_eq!(is_there(&world, id).await, (true, true));
    }
    assert_eq!(world.store.retire_history(&term, before, Patience::Second).await.unwrap(), 0);
}

async fn an_open_read_is_waited_for_and_holds_nobody_up(world: World) {
    let Engine::Maria(maria) = &world.engine else { return };
    let term = term(&world).await;
    let mut reader = mysql(maria).await;
    let mut open = reader.begin().await.unwrap();
    sqlx::query("SELECT COUNT(*) FROM history").execute(&mut *open).await.unwrap();
    for patience in [Patience::None, Patience::Second] {
        let refused = world.store.extend_history(&term, 14, patience).await.unwrap_err();
        assert!(refused.may_pass(), "{refused:?}");
        let id = ended(&world, 0).await;
        assert_eq!(is_there(&world, id).await, (true, true));
    }
    open.rollback().await.unwrap();
    world.store.extend_history(&term, 14, Patience::Second).await.unwrap();
}
