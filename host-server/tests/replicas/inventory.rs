//! What agents serve is answered by every replica, whichever they are connected to.

use std::time::Duration;

use claiflow_server::{
    app::inventory::{CommandFilter, PluginFilter},
    dispatch::{Attach, Order},
    model::{list::Listing, query::Filter},
};
use tokio::sync::mpsc;

use crate::{
    peers::Replica,
    world::{World, serving},
};

promises![
    a_replica_answers_for_agents_of_another_one,
    an_agent_that_moves_is_listed_as_it_is_where_it_went,
    an_agent_whose_replica_died_is_not_connected,
];

const CLUSTER: &str = "00000000000000000000000000000000";
const LISTING: Listing<String> = Listing {
    equal: vec![],
    filter: Filter::All(vec![]),
    order: vec![],
    after: None,
    descending: false,
    limit: None,
    offset: 0,
};

async fn connect(replica: &Replica, world: &World, uuid: &str, command: &str) -> (u64, mpsc::UnboundedReceiver<Order>) {
    let (orders, ordered) = mpsc::unbounded_channel();
    let attach = Attach {
        cluster: world.cluster,
        uuid: uuid.into(),
        name: "pod".into(),
        version: "0.1.0".into(),
        journal: [1; 16],
        language_level: 0,
        inventory: serving(&[command]),
        held: vec![],
    };
    let (session, _) = replica.app.dispatch().attach(attach, orders).await.unwrap();
    (session, ordered)
}

/// Waits until a replica answers with one command of these agents.
async fn shows(replica: &Replica, command: &str, agents: &[&str]) {
    let seen = async {
        loop {
            let listed = replica.app.commands(CLUSTER, &CommandFilter::default(), &LISTING).await.unwrap();
            if matches!(&listed[..], [one] if one.command.name == command && one.agents == agents) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), seen).await.expect("the command is listed");
}

async fn a_replica_answers_for_agents_of_another_one(world: World) {
    let (here, there) = (Replica::start(&world).await, Replica::start(&world).await);
    assert!(here.app.commands(CLUSTER, &CommandFilter::default(), &LISTING).await.unwrap().is_empty());
    let _stream = connect(&there, &world, &"1".repeat(32), "one").await;
    shows(&here, "one", &["pod"]).await;
    shows(&there, "one", &["pod"]).await;
}

async fn an_agent_that_moves_is_listed_as_it_is_where_it_went(world: World) {
    let (here, there) = (Replica::start(&world).await, Replica::start(&world).await);
    let (session, _before) = connect(&there, &world, &"1".repeat(32), "one").await;
    shows(&here, "one", &["pod"]).await;
    let _after = connect(&here, &world, &"2".repeat(32), "two").await;
    shows(&there, "two", &["pod"]).await;
    // The stream that it left speaks once more, and then ends.
    there.app.dispatch().inventory(session, serving(&["late"]));
    there.app.dispatch().detach(session).await;
    shows(&here, "two", &["pod"]).await;
}

async fn an_agent_whose_replica_died_is_not_connected(world: World) {
    let (here, there) = (Replica::start(&world).await, Replica::start(&world).await);
    let _stream = connect(&there, &world, &"1".repeat(32), "one").await;
    shows(&here, "one", &["pod"]).await;
    world.store.agents_silent(&[here.app.replica_id()], 1).await.unwrap();
    shows(&here, "one", &[]).await;
    let filter = PluginFilter { connected: Some(true), ..PluginFilter::default() };
    assert!(here.app.plugins(CLUSTER, &filter, &LISTING).await.unwrap().is_empty());
}
