//! What agents serve: written when it differs, by the agent's last stream alone, and gone with the agent.

use std::time::Duration;

use claiflow_server::{
    model::{
        ids::Id,
        inventory::{Command, Inventory, Of},
    },
    storage::InventoryRow,
};

use crate::{
    script::Server,
    world::{World, serving},
};

promises![
    what_an_agent_serves_is_written_where_it_differs,
    a_stream_that_another_one_followed_says_nothing_more,
    agents_of_other_clusters_are_not_listed,
    the_largest_inventory_is_kept_whole,
    an_agent_that_is_forgotten_takes_along_what_it_served,
    an_agent_connects_changes_leaves_and_comes_back,
    what_could_not_be_written_is_written_later,
    of_many_agents_the_connected_ones_are_listed_first,
];

const JOURNAL: Id = [1; 16];

fn row(world: &World, session: &str, at: i64, inventory: Inventory) -> InventoryRow {
    let (name, version) = ("pod-é".into(), "0.1.0".into());
    InventoryRow { cluster: world.cluster, journal: JOURNAL, session: session.into(), name, version, at, inventory }
}

async fn attach(world: &World, journal: Id, session: &str, at: i64) {
    world.store.agent_attached(world.cluster, journal, session, [9; 16], at).await.unwrap();
}

async fn listed(world: &World) -> Vec<Of<Command>> {
    world.store.commands(world.cluster).await.unwrap()
}

/// Waits until the agents' commands are as wanted: they are written beside the streams.
async fn until(world: &World, what: &str, wanted: impl Fn(&[Of<Command>]) -> bool) {
    let seen = async {
        while !wanted(&listed(world).await) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), seen).await.is_err() {
        panic!("{what} did not come; there is {:?}", listed(world).await);
    }
}

fn names(of: &Of<Command>) -> Vec<&str> {
    of.list.iter().map(|command| command.name.as_str()).collect()
}

async fn what_an_agent_serves_is_written_where_it_differs(world: World) {
    attach(&world, JOURNAL, "s", 1).await;
    let (one, two) = (serving(&["one"]), serving(&["two"]));
    for (at, inventory, is_written, since) in
        [(10, &one, true, 10), (20, &one, false, 10), (30, &two, true, 30), (40, &one, true, 40)]
    {
        let row = row(&world, "s", at, inventory.clone());
        assert_eq!(world.store.keep_inventory(&row).await.unwrap(), is_written, "at {at}");
        let plugins = world.store.plugins(world.cluster).await.unwrap();
        let (agent, version) = ("pod-é".into(), "0.1.0".into());
        let list = inventory.plugins.clone();
        assert_eq!(plugins, [Of { journal: JOURNAL, agent, version, connected: true, at: since, list }], "at {at}");
        assert_eq!(listed(&world).await[0].list, inventory.commands, "at {at}");
    }
    let renamed = InventoryRow { name: String::new(), ..row(&world, "s", 50, one) };
    assert!(world.store.keep_inventory(&renamed).await.unwrap());
    assert_eq!(listed(&world).await[0].agent, "01".repeat(16));
}

async fn a_stream_that_another_one_followed_says_nothing_more(world: World) {
    assert!(!world.store.keep_inventory(&row(&world, "first", 1, serving(&["early"]))).await.unwrap());
    attach(&world, JOURNAL, "first", 1).await;
    assert!(world.store.keep_inventory(&row(&world, "first", 2, serving(&["one"]))).await.unwrap());
    attach(&world, JOURNAL, "second", 3).await;
    assert!(!world.store.keep_inventory(&row(&world, "first", 4, serving(&["late"]))).await.unwrap());
    assert_eq!(names(&listed(&world).await[0]), ["one"]);
    assert!(world.store.keep_inventory(&row(&world, "second", 5, serving(&["two"]))).await.unwrap());
    assert_eq!(names(&listed(&world).await[0]), ["two"]);
}

async fn agents_of_other_clusters_are_not_listed(world: World) {
    attach(&world, JOURNAL, "s", 1).await;
    world.store.keep_inventory(&row(&world, "s", 1, serving(&["one"]))).await.unwrap();
    let other = crate::world::declare(&world.store, &"1".repeat(32)).await;
    assert_eq!(world.store.commands(other).await.unwrap(), []);
    assert_eq!(world.store.plugins(other).await.unwrap(), []);
}

async fn the_largest_inventory_is_kept_whole(world: World) {
    attach(&world, JOURNAL, "s", 1).await;
    let command = |n: usize| Command {
        name: format!("{n:04}"),
        plugin: "tool".into(),
        inputs: format!("{{\"title\":\"{}\"}}", "é".repeat(220)),
        ..Command::default()
    };
    let (inventory, left_out) = Inventory { commands: (0..3_500).map(command).collect(), plugins: vec![] }.bounded();
    assert_eq!(left_out, 0);
    assert!(!inventory.commands[0].inputs.is_empty(), "there is room for the schemas");
    assert!(world.store.keep_inventory(&row(&world, "s", 1, inventory.clone())).await.unwrap());
    assert_eq!(listed(&world).await[0].list, inventory.commands);
}

async fn an_agent_that_is_forgotten_takes_along_what_it_served(world: World) {
    let count = "SELECT COUNT(*) FROM inventory";
    for (journal, session) in [(JOURNAL, "a"), ([2; 16], "b")] {
        attach(&world, journal, session, 1).await;
        let row = InventoryRow { journal, ..row(&world, session, 1, serving(&["one"])) };
        world.store.keep_inventory(&row).await.unwrap();
    }
    world.store.agent_detached(world.cluster, JOURNAL, "a", 2).await.unwrap();
    world.store.agents_silent(&[[9; 16]], 100).await.unwrap();
    world.store.purge_agents(101).await.unwrap();
    assert_eq!(world.number(count).await, 2);
    world.store.purge_agents(100).await.unwrap();
    assert_eq!(world.number(count).await, 1);
    assert_eq!(listed(&world).await[0].journal, [2; 16]);
}

async fn an_agent_connects_changes_leaves_and_comes_back(world: World) {
    let server = Server::start(&world).await;
    let agent = server.agent(&world, 1, vec![]).await;
    until(&world, "the agent", |all| matches!(all, [one] if one.connected && names(one) == ["helloworld"])).await;
    agent.serves(serving(&["passing"]));
    agent.serves(serving(&["two", "three"]));
    until(&world, "the change", |all| names(&all[0]) == ["three", "two"]).await;
    agent.leave().await;
    until(&world, "the end", |all| matches!(all, [one] if !one.connected && names(one) == ["three", "two"])).await;
    let _agent = server.agent(&world, 1, vec![]).await;
    until(&world, "the return", |all| matches!(all, [one] if one.connected && names(one) == ["helloworld"])).await;
}

async fn what_could_not_be_written_is_written_later(world: World) {
    let server = Server::start(&world).await;
    world.type_sql("ALTER TABLE inventory RENAME TO away").await;
    let agent = server.agent(&world, 1, vec![]).await;
    agent.serves(serving(&["two"]));
    world.type_sql("ALTER TABLE away RENAME TO inventory").await;
    until(&world, "the last word", |all| matches!(all, [one] if names(one) == ["two"])).await;
}

async fn of_many_agents_the_connected_ones_are_listed_first(world: World) {
    for n in 0..40_u8 {
        let session = format!("{n}");
        attach(&world, [n; 16], &session, i64::from(n)).await;
        let row = InventoryRow { journal: [n; 16], ..row(&world, &session, 1, serving(&["one"])) };
        world.store.keep_inventory(&row).await.unwrap();
        if n != 5 {
            world.store.agent_detached(world.cluster, [n; 16], &session, 100).await.unwrap();
        }
    }
    let listed = listed(&world).await;
    assert_eq!((listed.len(), listed[0].journal, listed[0].connected), (32, [5; 16], true));
    assert!(listed[1..].iter().all(|agent| !agent.connected && agent.journal[0] >= 9));
}
