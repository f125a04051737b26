//! Filters and orders give on either engine the rows that the reference gives.

use claiflow_server::model::{
    list::Listing,
    nouns::Cluster,
    query::{Filter, Order, Resource, Value},
};

use crate::{
    any::{self, NUMBERS, TEXTS},
    reference::{Row, holds, ordered},
    world::World,
};

promises![filters_show_the_rows_that_the_reference_shows, letters_have_the_same_case_as_in_the_reference,];

const FILTERS: usize = 600;
const COLUMNS: [&str; 6] = ["id", "uuid", "name", "summary", "created", "updated"];

fn listing(filter: Filter, order: Vec<Order>) -> Listing<i64> {
    Listing { equal: vec![], filter, order, after: None, descending: false, limit: None, offset: 0 }
}

/// A cluster for each pair of texts that stand beside each other; every third has no summary.
async fn filled(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, name) in TEXTS.iter().enumerate() {
        let summary = (index % 3 > 0).then(|| TEXTS[(index + 1) % TEXTS.len()].to_owned());
        let times = [1_700_000_000_000_000 + index as i64 % 4, NUMBERS[index % NUMBERS.len()] + 1_000];
        let cluster = Cluster {
            id: 0,
            uuid: if index == 5 { "00001".into() } else { format!("{:032x}", index + 1) },
            name: (*name).to_owned(),
            summary: summary.clone(),
            labels: None,
            paused: false,
            concurrency: None,
            created: times[0],
            updated: times[1],
            deleted: None,
        };
        world.store.insert_cluster(&cluster).await.unwrap();
        // A cluster is declared with one time; it changes later.
        world.store.update_cluster(&cluster).await.unwrap();
    }
    for cluster in world.store.clusters(&listing(Filter::default(), vec![])).await.unwrap() {
        let mut row = Row::from([
            ("id", Value::Integer(cluster.id)),
            ("uuid", Value::Text(cluster.uuid)),
            ("name", Value::Text(cluster.name)),
            ("created", Value::Integer(cluster.created)),
            ("updated", Value::Integer(cluster.updated)),
        ]);
        row.extend(cluster.summary.map(|summary| ("summary", Value::Text(summary))));
        rows.push(row);
    }
    rows
}

async fn filters_show_the_rows_that_the_reference_shows(world: World) {
    let rows = filled(&world).await;
    let times = [1_700_000_000_000_001, 1_700_000_000_000_002, 1_000, 1_005];
    let uuids = [format!("{:032X}", 11), "00001".into(), "0".repeat(32), "nobody's".into()];
    let some = any::some(
        FILTERS,
        &any::filter(Resource::Cluster, &COLUMNS, &times, &uuids),
        &any::order(Resource::Cluster, &COLUMNS),
    );
    let mut shown_rows = 0;
    for (filter, order) in some {
        let mut right: Vec<&Row> = rows.iter().filter(|row| holds(&filter, row) == Some(true)).collect();
        right.sort_by(|one, other| ordered(&order, one, other));
        let right: Vec<&Value> = right.into_iter().map(|row| &row["id"]).collect();
        let shown = world.store.clusters(&listing(filter.clone(), order.clone())).await.unwrap();
        let shown: Vec<Value> = shown.into_iter().map(|cluster| Value::Integer(cluster.id)).collect();
        let text = any::in_sexpr(&filter);
        assert_eq!(shown.iter().collect::<Vec<_>>(), right, "{text} in the order {order:?}");
        shown_rows += shown.len();
        let some = Listing { limit: Some(3), offset: 2, ..listing(filter, order) };
        let some = world.store.clusters(&some).await.unwrap();
        let some: Vec<Value> = some.into_iter().map(|cluster| Value::Integer(cluster.id)).collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), right.into_iter().skip(2).take(3).collect::<Vec<_>>(), "{text}");
    }
    assert!(shown_rows > FILTERS, "the filters show too little to mean anything");
}

/// Each letter beside its small form, as far as the engine can be asked.
async fn letters_have_the_same_case_as_in_the_reference(world: World) {
    use claiflow_server::model::query::{Comparison, Pattern, Test, fold};
    let name = Resource::Cluster.column("name").unwrap();
    let cased: Vec<char> = ('\u{1}'..='\u{FFFF}').filter(|c| fold(*c) != *c).collect();
    assert_eq!(cased.len(), 696);
    for some in cased.chunks(200) {
        let capitals: String = some.iter().collect();
        let small: String = some.iter().map(|c| fold(*c)).collect();
        let uuid = format!("{:032x}", 0xfff);
        let cluster = Cluster {
            id: 0,
            uuid: uuid.clone(),
            name: capitals.clone(),
            summary: None,
            labels: None,
            paused: false,
            concurrency: None,
            created: 1,
            updated: 1,
            deleted: None,
        };
        if world.store.cluster(&uuid).await.unwrap().is_some() {
            world.store.update_cluster(&cluster).await.unwrap();
        } else {
            world.store.insert_cluster(&cluster).await.unwrap();
        }
        for test in [
            Test::Compare(Comparison::Equal, Value::Text(small.clone())),
            Test::Like(Pattern::read(&small)),
            Test::Like(Pattern::read(&capitals)),
        ] {
            let shown = world.store.clusters(&listing(Filter::Is(name, test), vec![])).await.unwrap();
            let differing: Vec<String> = if shown.is_empty() { differing(&world, some).await } else { vec![] };
            assert_eq!(shown.len(), 1, "{differing:?}");
        }
    }
}

/// The letters of these that the engine does not take for their small forms.
async fn differing(world: &World, letters: &[char]) -> Vec<String> {
    use claiflow_server::model::query::{Comparison, Test, fold};
    let name = Resource::Cluster.column("name").unwrap();
    let mut differing = Vec::new();
    for c in letters {
        let cluster = world.store.cluster(&format!("{:032x}", 0xfff)).await.unwrap().unwrap();
        world.store.update_cluster(&Cluster { name: c.to_string(), ..cluster }).await.unwrap();
        let test = Test::Compare(Comparison::Equal, Value::Text(fold(*c).to_string()));
        if world.store.clusters(&listing(Filter::Is(name, test), vec![])).await.unwrap().is_empty() {
            differing.push(format!("{:04x}", u32::from(*c)));
        }
    }
    differing
}
