//! Tasks, live and final, are filtered, ordered and paged as one.

use std::sync::Arc;

use claiflow_server::model::{
    list::TaskListing,
    query::{Filter, Resource, Value},
    task::{Place, Task},
};

use crate::{
    any::{self, NUMBERS, TEXTS},
    reference::{Row, holds, ordered},
    world::{World, declare},
};

promises![filters_show_the_tasks_that_the_reference_shows, a_uuid_leads_to_its_tasks_on_every_cluster,];

const FILTERS: usize = 300;
const COLUMNS: [&str; 12] = [
    "pdate",
    "cluster_uuid",
    "uuid",
    "name",
    "summary",
    "template_uuid",
    "flow",
    "inputs",
    "step_max",
    "subscribed_channel",
    "priority",
    "created",
];
const ORDERED: [&str; 9] =
    ["pdate", "cluster_uuid", "uuid", "name", "summary", "template_uuid", "step_max", "subscribed_channel", "priority"];
const DAY_US: i64 = 86_400_000_000;
const CHANNEL: &str = "0000000000000000000000000000abcd";

type Key = (Vec<u8>, i64);

/// Tasks of two clusters and two templates; every second one is final.
async fn filled(world: &World) -> Vec<(Key, Row)> {
    let other = declare(&world.store, "00002").await;
    let snapshots = [world.snapshot_of(1, "T-one", "{}").await, world.snapshot_of(5, "t.two", "{}").await];
    let mut rows = Vec::new();
    for (index, name) in TEXTS.iter().enumerate() {
        let (cluster, cluster_uuid) =
            if index % 3 == 0 { (other, "00002".to_owned()) } else { (world.cluster, "0".repeat(32)) };
        let snapshot = &snapshots[index % 4 / 2];
        let task = Task {
            cluster,
            name: (*name).to_owned(),
            summary: (index % 3 > 0).then(|| TEXTS[(index + 1) % TEXTS.len()].to_owned()),
            channel: (index % 2 > 0).then(|| CHANNEL.to_owned()),
            priority: i32::try_from(NUMBERS[index % NUMBERS.len()]).unwrap(),
            inputs: format!("{{\"a\":{index}}}"),
            ..world.task(snapshot)
        };
        let mut row = Row::from([
            ("pdate", Value::Integer(task.created - task.created % DAY_US)),
            ("cluster_uuid", Value::Text(cluster_uuid)),
            ("uuid", Value::Text(task.uuid.clone())),
            ("name", Value::Text(task.name.clone())),
            ("template_uuid", Value::Text(snapshot.template_uuid.clone())),
            ("flow", Value::Text(snapshot.flow.clone())),
            ("inputs", Value::Text(task.inputs.clone())),
            ("step_max", Value::Integer(snapshot.step_max as i64)),
            ("priority", Value::Integer(task.priority.into())),
            ("created", Value::Integer(task.created)),
        ]);
        row.extend(task.summary.clone().map(|text| ("summary", Value::Text(text))));
        row.extend(task.channel.clone().map(|text| ("subscribed_channel", Value::Text(text))));
        rows.push(((task.id.to_vec(), task.cluster), row));
        let lease = world.lease_of(&Arc::new(task));
        match index % 4 {
            0 => drop(world.waiting(lease.task.as_ref().clone(), Place::Ready).await),
            1 => world.store.create_tasks(&[(Arc::clone(&lease.task), Place::Lease(lease))], &[]).await.unwrap(),
            _ => {
                let row = (Arc::clone(&lease.task), Place::Lease(Arc::clone(&lease)));
                world.store.create_tasks(&[row], &[]).await.unwrap();
                world.store.finish(&[world.success(&lease)]).await.unwrap();
            }
        }
    }
    rows
}

async fn filters_show_the_tasks_that_the_reference_shows(world: World) {
    let rows = filled(&world).await;
    let created: Vec<i64> = rows.iter().map(|(_, row)| integer(&row["created"])).collect();
    let times = [created[3], created[10], created[20] + 1, created[0] - created[0] % DAY_US, 0];
    let uuids =
        [CHANNEL.into(), text(&rows[4].1["uuid"]), "00002".into(), "0".repeat(32), "t-ONE".into(), "t.two".into()];
    let some = any::some(
        FILTERS,
        &any::filter(Resource::Service, &COLUMNS, &times, &uuids),
        &any::order(Resource::Service, &ORDERED),
    );
    for (filter, order) in some {
        let mut right: Vec<&(Key, Row)> = rows.iter().filter(|(_, row)| holds(&filter, row) == Some(true)).collect();
        right.sort_by(|(key, one), (other_key, other)| ordered(&order, one, other).then_with(|| key.cmp(other_key)));
        let right: Vec<&Key> = right.into_iter().map(|(key, _)| key).collect();
        let text = any::in_sexpr(&filter);
        let all = TaskListing {
            limit: 100,
            oldest_first: true,
            filter: filter.clone(),
            order: order.clone(),
            ..TaskListing::default()
        };
        assert_eq!(keys(&world, &all).await.iter().collect::<Vec<_>>(), right, "{text} in the order {order:?}");
        let page = keys(&world, &TaskListing { limit: 4, offset: 3, ..all }).await;
        assert_eq!(page.iter().collect::<Vec<_>>(), right.into_iter().skip(3).take(4).collect::<Vec<_>>(), "{text}");
    }
    // A state stands beside everything else.
    let done = TaskListing { state: Some(4), limit: 100, offset: 1, ..TaskListing::default() };
    assert_eq!(keys(&world, &done).await.len(), 13);
}

async fn a_uuid_leads_to_its_tasks_on_every_cluster(world: World) {
    let other = declare(&world.store, "00002").await;
    let snapshot = world.snapshot(1).await;
    let chosen = Task { uuid: "chosen".into(), request: Some([1; 32]), ..world.task(&snapshot) };
    let tasks = [chosen.clone(), Task { cluster: other, ..chosen }, world.task(&snapshot)];
    for task in &tasks {
        world.waiting(task.clone(), Place::Ready).await;
    }
    for (uuid, count) in [("chosen", 2), (tasks[2].uuid.as_str(), 1)] {
        let ids = world.store.ids_of(uuid).await.unwrap();
        assert!(ids.is_some(), "{uuid}");
        let uuid = Filter::one_of(Resource::Service.column("uuid").unwrap(), [uuid.to_owned()]);
        let listing = TaskListing { ids, filter: uuid, limit: 10, ..TaskListing::default() };
        assert!(!listing.needs_window());
        assert_eq!(keys(&world, &listing).await.len(), count);
    }
    assert_eq!(world.store.ids_of("nobody").await.unwrap(), None);
}

async fn keys(world: &World, listing: &TaskListing) -> Vec<Key> {
    world.store.tasks(listing).await.unwrap().into_iter().map(|view| (view.id, view.cluster)).collect()
}

fn integer(value: &Value) -> i64 {
    match value {
        Value::Integer(integer) => *integer,
        Value::Text(text) => panic!("{text}"),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Integer(integer) => panic!("{integer}"),
    }
}
