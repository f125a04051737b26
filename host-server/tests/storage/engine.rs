//! What the server says to an engine before it uses it.

use claiflow_server::{
    model::nouns::Cluster,
    storage::{Error, Store},
};

use crate::world::{Engine, World, shell};

promises![
    the_schema_is_made_once_and_stays,
    a_value_that_does_not_fit_is_refused_and_never_cut,
    a_database_of_the_first_version_is_left_as_it_is,
];

async fn the_schema_is_made_once_and_stays(world: World) {
    let lease = world.running(&world.snapshot(1).await).await;
    let again = world.reopened().await;
    again.ping().await.unwrap();
    assert!(again.task(world.cluster, &lease.task.id).await.unwrap().is_some());
}

async fn a_value_that_does_not_fit_is_refused_and_never_cut(world: World) {
    let name = "x".repeat(300);
    let cluster = Cluster {
        id: 0,
        uuid: "1".repeat(32),
        name: name.clone(),
        summary: None,
        labels: None,
        paused: false,
        concurrency: None,
        created: 1,
        updated: 1,
        deleted: None,
    };
    let stored = world.store.insert_cluster(&cluster).await.is_ok();
    let read = world.store.cluster(&cluster.uuid).await.unwrap();
    assert_eq!(read.map(|cluster| cluster.name), stored.then_some(name));
}

async fn a_database_of_the_first_version_is_left_as_it_is(world: World) {
    let Engine::Maria(maria) = &world.engine else { return };
    world.store.close().await;
    let tables: Vec<String> = shell(maria, &maria.dbname, "SHOW TABLES").lines().map(str::to_owned).collect();
    shell(maria, &maria.dbname, &format!("SET foreign_key_checks = 0; DROP TABLE `{}`", tables.join("`, `")));
    let original = "CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, dirty BOOLEAN NOT NULL); INSERT INTO schema_migrations VALUES (11, 0)";
    shell(maria, &maria.dbname, original);
    let refusal = Store::maria(maria).await.map(drop).unwrap_err();
    assert!(matches!(refusal, Error::Unfit(_)), "{refusal:?}");
    let said = refusal.to_string();
    assert!(said.contains("schema_migrations.version = 11") && said.contains("claiflow-server import"), "{said}");
    assert_eq!(shell(maria, &maria.dbname, "SHOW TABLES").trim(), "schema_migrations");
}
