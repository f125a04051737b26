//! A list that takes too long ends, says so, and leaves its connection as good as before.

use claiflow_server::{
    model::{
        list::{Listing, TaskListing},
        query::{Filter, Pattern, Resource, Test},
    },
    storage::Error,
};

use crate::world::{Engine, World};

promises![a_list_that_takes_too_long_is_ended_by_the_engine,];

/// Clusters with long summaries, and a filter that looks at each of them very often.
async fn a_list_that_takes_too_long_is_ended_by_the_engine(world: World) {
    let numbers = match &world.engine {
        Engine::Maria(_) => "SELECT seq AS n FROM seq_1_to_3000",
        Engine::Sqlite(_) => {
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 3000) SELECT n FROM s"
        }
    };
    let (uuid, text) = match &world.engine {
        Engine::Maria(_) => ("LPAD(n, 32, 'f')", "REPEAT('ab', 30000)"),
        Engine::Sqlite(_) => ("printf('f%031d', n)", "replace(hex(zeroblob(30000)), '00', 'ab')"),
    };
    let insert = format!(
        "INSERT INTO cluster (uuid, name, summary, created, updated) SELECT {uuid}, 'n', {text}, 1, 1 FROM ({numbers}) AS numbers"
    );
    world.type_sql(&insert).await;
    let summary = Resource::Cluster.column("summary").unwrap();
    let slow = || Filter::Is(summary, Test::Like(Pattern::read("%a%b%a%b%a%b%a_b_a_b_c%")));
    let listing = Listing::<i64> {
        equal: vec![],
        filter: Filter::Any((0..100).map(|_| slow()).collect()),
        order: vec![],
        after: None,
        descending: false,
        limit: Some(10),
        offset: 0,
    };
    // More often than there are connections.
    for _ in 0..3 {
        let outcome = world.store.clusters(&listing).await;
        assert!(matches!(outcome, Err(Error::TooSlow)), "{outcome:?}");
    }
    for _ in 0..3 {
        let quick = Listing { filter: Filter::default(), ..listing.clone() };
        assert_eq!(world.store.clusters(&quick).await.unwrap().len(), 10);
        world.store.tasks(&TaskListing { limit: 1, ..TaskListing::default() }).await.unwrap();
    }
}
