//! One replica leads, and what it writes counts only while it does.

use std::time::Duration;

use claiflow_server::{
    model::{ids::Source, replica::Term},
    storage::Store,
};

use crate::world::World;

promises![
    one_of_many_leads_and_its_epoch_grows_with_each_holder,
    a_lead_that_is_over_is_another_ones_and_the_former_leader_writes_nothing,
    a_heartbeat_is_one_row_in_the_databases_time,
];

const LONG_US: i64 = 60_000_000;

async fn lead(store: &Store, holder: u8) -> Option<Term> {
    store.lead("work", [holder; 16], LONG_US).await.unwrap()
}

async fn one_of_many_leads_and_its_epoch_grows_with_each_holder(world: World) {
    let mut standing = Vec::new();
    for holder in 1..=5 {
        let store = world.reopened().await;
        standing.push(tokio::spawn(async move { lead(&store, holder).await }));
    }
    let mut terms = Vec::new();
    for stand in standing {
        terms.extend(stand.await.unwrap());
    }
    let [term] = terms.as_slice() else { panic!("{terms:?}") };
    assert_eq!(term.epoch, 1);
    assert!(world.store.leads(term).await.unwrap() && world.store.renew(term, LONG_US).await.unwrap());
    assert!(world.store.lead("other work", [9; 16], LONG_US).await.unwrap().is_some());
    assert!(world.store.resign(term).await.unwrap());
    assert!(!world.store.leads(term).await.unwrap());
    assert_eq!(lead(&world.store, 6).await.unwrap().epoch, 2);
}

async fn a_lead_that_is_over_is_another_ones_and_the_former_leader_writes_nothing(world: World) {
    let former = lead(&world.store, 1).await.unwrap();
    world.store.beat([3; 16], "").await.unwrap();
    // The database's time is past it: what happens when a replica is paused.
    world.type_sql("UPDATE leader SET until = until - 120000000; UPDATE replica SET seen = seen - 120000000").await;
    assert!(!world.store.leads(&former).await.unwrap());
    let next = lead(&world.store, 2).await.unwrap();
    assert_eq!(next.epoch, former.epoch + 1);
    assert!(!world.store.renew(&former, LONG_US).await.unwrap());
    assert!(!world.store.resign(&former).await.unwrap());
    assert_eq!(world.store.purge_replicas(&former, 1).await.unwrap(), 0);
    assert_eq!(world.store.purge_replicas(&next, 1).await.unwrap(), 1);
    assert!(world.store.extend_history(&former, 14, claiflow_server::storage::Patience::None).await.is_err());
    assert!(world.store.leads(&next).await.unwrap());
}

async fn a_heartbeat_is_one_row_in_the_databases_time(world: World) {
    for (holder, address) in [(1, "127.0.0.1:1"), (2, ""), (1, "127.0.0.1:2")] {
        world.store.beat([holder; 16], address).await.unwrap();
    }
    let (now, mut peers) = world.store.replicas(LONG_US).await.unwrap();
    peers.sort_by_key(|peer| peer.id);
    let seen: Vec<_> = peers.iter().map(|peer| (peer.id[0], peer.address.as_str())).collect();
    assert_eq!(seen, [(1, "127.0.0.1:2"), (2, "")]);
    let near = Duration::from_secs(3_600).as_micros();
    assert!(u128::from((now - Source.now_us()).unsigned_abs()) < near, "{now} is no time in microseconds");
    world.type_sql("UPDATE replica SET seen = seen - 120000000 WHERE address = ''").await;
    assert_eq!(world.store.replicas(LONG_US).await.unwrap().1.len(), 1);
    world.store.forget_replica([1; 16]).await.unwrap();
    assert!(world.store.replicas(LONG_US).await.unwrap().1.is_empty());
}
