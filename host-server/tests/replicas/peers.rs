//! Two servers on one database, each with its agents' port: what one hears of the other.

use std::{sync::Arc, time::Duration};

use claiflow_flow_worker::Pool;
use claiflow_server::{
    app::App,
    dispatch::{Attach, Dispatch, NewTask, Order, Timing},
    grpc,
    metrics::Metrics,
    model::{ids::Source, nouns::Session},
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use crate::world::{World, serving};

promises![
    a_task_that_was_created_elsewhere_is_offered_at_once,
    a_session_that_was_revoked_elsewhere_ends_here,
    a_cluster_that_was_deleted_elsewhere_loses_its_agents_here,
    a_revocation_that_was_not_heard_is_found_when_the_replicas_meet,
    who_does_not_know_the_secret_is_refused,
];

pub(crate) struct Replica {
    pub(crate) app: App,
    stop: CancellationToken,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop.cancel();
        self.app.dispatch().disconnect_all();
    }
}

impl Replica {
    pub(crate) async fn start(world: &World) -> Self {
        let (stop, metrics, store) = (CancellationToken::new(), Metrics::register().unwrap(), world.reopened().await);
        let dispatch = Dispatch::start(store.clone(), Source, metrics.clone(), Timing::default(), &stop);
        let jq = Pool::new(env!("CARGO_BIN_EXE_claiflow-server").into(), 1);
        let app = App::open(store, Source, dispatch, jq, metrics).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        app.reached_at(address);
        tokio::spawn(grpc::serve(app.clone(), listener, None, stop.clone()));
        Self { app, stop }
    }

    pub(crate) async fn agent(&self, world: &World, uuid: &str) -> mpsc::UnboundedReceiver<Order> {
        let (orders, ordered) = mpsc::unbounded_channel();
        let attach = Attach {
            cluster: world.cluster,
            uuid: uuid.into(),
            name: "a".into(),
            version: "test".into(),
            journal: Source.random(),
            language_level: 0,
            inventory: serving(&["helloworld"]),
            held: vec![],
        };
        let (session, _) = self.app.dispatch().attach(attach, orders).await.unwrap();
        self.app.dispatch().credit(session, 1, 100);
        ordered
    }
}

/// Both have heard of each other.
async fn meet(first: &Replica, second: &Replica) {
    first.app.beat().await.unwrap();
    second.app.beat().await.unwrap();
    first.app.beat().await.unwrap();
    for replica in [first, second] {
        while replica.app.metrics().peers_connected.get() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// What an agent is told that a test waits for.
async fn told(ordered: &mut mpsc::UnboundedReceiver<Order>, which: impl Fn(&Order) -> bool) -> Order {
    loop {
        let order = ordered.recv().await.expect("the stream is open");
        if which(&order) {
            return order;
        }
    }
}

/// Waits until an agent's stream is ended.
pub(crate) async fn closed(ordered: &mut mpsc::UnboundedReceiver<Order>) {
    told(ordered, |order| matches!(order, Order::Close)).await;
}

async fn session(world: &World, uuid: &str) {
    let (cluster_uuid, token_uuid) = ("0".repeat(32), "t".into());
    let session = Session {
        id: 0,
        uuid: uuid.into(),
        cluster_uuid,
        token_uuid,
        agent_version: "test".into(),
        issued_at: 1,
        expires_at: i64::MAX,
        created: 1,
        updated: 1,
        deleted: None,
    };
    world.store.insert_session(&session).await.unwrap();
}

async fn a_task_that_was_created_elsewhere_is_offered_at_once(world: World) {
    let (here, there) = (Replica::start(&world).await, Replica::start(&world).await);
    session(&world, &"1".repeat(32)).await;
    meet(&here, &there).await;
    let mut agent = there.agent(&world, &"1".repeat(32)).await;
    let snapshot = world.snapshot(1).await;
    // What the other serves is told by the time that a hint arrives.
    while there.app.metrics().peer_events.get() == 0 {
        let task = Arc::new(world.task(&snapshot));
        here.app
            .dispatch()
            .create(vec![NewTask { task: Arc::clone(&task), due: None, in_turn: false }], None)
            .await
            .unwrap();
        let Order::Offer { lease, .. } = told(&mut agent, |order| matches!(order, Order::Offer { .. })).await else {
            panic!("no offer")
        };
        assert_eq!(lease.task.id, task.id);
    }
}

async fn a_session_that_was_revoked_elsewhere_ends_here(world: World) {
    let (here, there) = (Replica::start(&world).await, Replica::start(&world).await);
    meet(&here, &there).await;
    let uuid = "2".repeat(32);
    session(&world, &uuid).await;
    let mut agent = there.agent(&world, &uuid).await;
    here.app.revoke_session(&uuid).await.unwrap();
    told(&mut agent, |order| matches!(order, Order::Close)).await;
}

async fn a_cluster_that_was_deleted_elsewhere_loses_its_agents_here(world: World) {
    let (here, there) = (Replica::start(&world).await, Replica::start(&world).await);
    meet(&here, &there).await;
    let mut agent = there.agent(&world, &"3".repeat(32)).await;
    here.app.delete_cluster(&"0".repeat(32)).await.unwrap();
    told(&mut agent, |order| matches!(order, Order::Close)).await;
}

async fn a_revocation_that_was_not_heard_is_found_when_the_replicas_meet(world: World) {
    let (here, there) = (Replica::start(&world).await, Replica::start(&world).await);
    let uuid = "4".repeat(32);
    session(&world, &uuid).await;
    let mut agent = there.agent(&world, &uuid).await;
    here.app.revoke_session(&uuid).await.unwrap();
    meet(&here, &there).await;
    told(&mut agent, |order| matches!(order, Order::Close)).await;
}

async fn who_does_not_know_the_secret_is_refused(world: World) {
    let (here, there) = (Replica::start(&world).await, Replica::start(&world).await);
    let token = here.app.peer_token(there.app.replica_id()).unwrap();
    assert_eq!(there.app.peer_of(&token).unwrap(), here.app.replica_id());
    // A token for another replica, an agent's session, nothing, and one that was changed.
    let to_another = here.app.peer_token([1; 16]).unwrap();
    let session = "eyJhbGciOiJIUzI1NiJ9.eyJmcm9tIjoiIn0.AAAA";
    let changed = format!("{}x", token.trim_end_matches(|c| c != '.'));
    for wrong in [to_another.as_str(), session, "", &changed] {
        assert!(there.app.peer_of(wrong).is_err(), "{wrong}");
    }
    // A replica with another secret is not heard, and hears nothing.
    world.type_sql("UPDATE global_variable SET value = 'c29tZXRoaW5nIGVsc2U='").await;
    let stranger = Replica::start(&world).await;
    assert!(there.app.peer_of(&stranger.app.peer_token(there.app.replica_id()).unwrap()).is_err());
}
