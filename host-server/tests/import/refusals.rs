//! What is no database of the first version, or no place for its content, is refused with what would be right.

use claiflow_server::import::Error;

use crate::world::World;

promises![what_cannot_be_imported_is_said, a_target_that_is_in_use_is_refused];

async fn what_cannot_be_imported_is_said(world: World) {
    for (change, undo, words) in [
        (
            "UPDATE schema_migrations SET version = 10",
            "UPDATE schema_migrations SET version = 11",
            "schema_migrations.version is 10, not 11",
        ),
        ("UPDATE schema_migrations SET dirty = 1", "UPDATE schema_migrations SET dirty = 0", "left half done"),
        (
            "RENAME TABLE schema_migrations TO aside",
            "RENAME TABLE aside TO schema_migrations",
            "not a database of the first version",
        ),
        ("RENAME TABLE service TO aside", "RENAME TABLE aside TO service", "the table service"),
        (
            "ALTER TABLE service CHANGE flow flown TEXT",
            "ALTER TABLE service CHANGE flown flow TEXT",
            "the column service.flow",
        ),
        (
            "ALTER TABLE cluster_client_token CHANGE token word TEXT",
            "ALTER TABLE cluster_client_token CHANGE word token TEXT",
            "the column cluster_client_token.token",
        ),
    ] {
        world.sql(change);
        let said = world.import(true).await.unwrap_err().to_string();
        world.sql(undo);
        assert!(said.contains(words), "{change}: {said}");
        assert!(!said.contains(&world.original.password), "{said}");
    }
    // Nothing was begun by all that.
    assert!(world.store().await.unfinished_import().await.unwrap().is_none());
    assert!(world.import(true).await.unwrap().complete);
}

async fn a_target_that_is_in_use_is_refused(world: World) {
    // A server that has only been started once has templates and variables of its own, which give way.
    world.serve().await.close().await;
    let server = world.serve().await;
    let (status, made) = server.post("/api/v1/cluster", &serde_json::json!({"name": "somebody's"})).await;
    assert_eq!(status, 200);
    server.close().await;
    assert!(matches!(world.import(true).await, Err(Error::InUse)));
    let server = world.serve().await;
    let uuid = made["uuid"].as_str().unwrap();
    assert_eq!(server.get(&format!("/api/v1/cluster/{uuid}")).await, (200, made.clone()));
}
