//! Several hosts: which is used, and what becomes of work when it is not usable any more.

use std::{sync::Arc, time::Duration};

use claiflow_server::storage::{Error, Maria, Store};

use crate::{
    proxy::Proxy,
    world::{Engine, World, shell},
};

promises![
    a_host_that_is_away_is_passed_over,
    a_host_that_vanishes_without_a_word_is_left_and_no_work_hangs,
    two_servers_that_start_together_make_one_schema,
];

/// The address of nobody.
const NOBODY: (&str, u16) = ("127.0.0.1", 1);

fn through(maria: &Maria, hosts: &[(&str, u16)]) -> Maria {
    Maria { hosts: hosts.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect(), ..maria.clone() }
}

async fn a_host_that_is_away_is_passed_over(world: World) {
    let Engine::Maria(maria) = &world.engine else { return };
    let (host, port) = maria.hosts[0].clone();
    let store = Store::maria(&through(maria, &[NOBODY, (&host, port)])).await.unwrap();
    store.ping().await.unwrap();
}

async fn a_host_that_vanishes_without_a_word_is_left_and_no_work_hangs(world: World) {
    let Engine::Maria(maria) = &world.engine else { return };
    let (host, port) = maria.hosts[0].clone();
    let proxy = Proxy::to(&host, port).await;
    let store = Store::maria(&through(maria, &[("127.0.0.1", proxy.port), (&host, port)])).await.unwrap();
    let snapshot = world.snapshot(1).await;
    store.ping().await.unwrap();
    proxy.swallow();
    // One commit through each kind of connection: none may wait for ever, and each may be tried again.
    let lease = world.lease_of(&Arc::new(world.task(&snapshot)));
    let end = [world.success(&lease)];
    let (created, finished, read) = tokio::join!(world.store_running(&store, &lease), store.finish(&end), store.ping());
    for outcome in [created, finished.map(drop), read] {
        assert!(outcome.as_ref().is_err_and(Error::may_pass), "{outcome:?}");
    }
    // As the lanes do: a busy machine may need another try.
    while let Err(error) = world.store_running(&store, &lease).await {
        if matches!(error, Error::Duplicate) {
            // The try before did it, and its answer was lost.
            break;
        }
        assert!(error.may_pass(), "{error:?}");
    }
    assert!(store.finish(&end).await.unwrap().contains_key(&lease.id));
    store.ping().await.unwrap();
}

async fn two_servers_that_start_together_make_one_schema(world: World) {
    let Engine::Maria(maria) = &world.engine else { return };
    let database = format!("{}_twice", maria.dbname);
    shell(maria, "", &format!("CREATE DATABASE {database}"));
    let maria = Maria { dbname: database.clone(), ..maria.clone() };
    let both = tokio::time::timeout(Duration::from_secs(60), async {
        tokio::join!(Store::maria(&maria), Store::maria(&maria), Store::maria(&maria))
    });
    let (first, second, third) = both.await.unwrap();
    for store in [first, second, third] {
        store.unwrap().ping().await.unwrap();
    }
    shell(&maria, "", &format!("DROP DATABASE {database}"));
}
