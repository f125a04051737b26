//! Requests that come again under a key: one creation, one answer, for a day.

use std::sync::Arc;

use claiflow_flow_worker::Pool;
use claiflow_server::{
    app::{App, Error, service::Create, template},
    dispatch::Dispatch,
    metrics::Metrics,
    model::{
        task::{Place, RequestKey},
        timing::Timing,
    },
    storage,
};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::world::World;

promises![
    a_key_is_stored_with_its_tasks_or_not_at_all,
    a_request_that_comes_again_is_answered_as_it_was,
    another_request_under_the_same_key_is_a_conflict,
    requests_at_the_same_time_create_once,
    a_key_is_forgotten_after_a_day,
    a_key_has_a_form,
];

const DAY_US: i64 = 24 * 3_600_000_000;

async fn app(world: &World) -> (App, DropGuard) {
    let (stop, metrics, store) = (CancellationToken::new(), Metrics::register().unwrap(), world.reopened().await);
    let dispatch = Dispatch::start(store.clone(), world.source.clone(), metrics.clone(), Timing::default(), &stop);
    let jq = Pool::new(env!("CARGO_BIN_EXE_claiflow-server").into(), 1);
    let app = App::open(store, world.source.clone(), dispatch, jq, metrics).await.unwrap();
    let template = template::Declare {
        uuid: Some("t".into()),
        name: Some("t".into()),
        flow: Some(r#"[{"$id":"a","$command":"helloworld"}]"#.into()),
        options: Some(r#"{"needs_agent":true}"#.into()),
        ..template::Declare::default()
    };
    app.declare_template(template, false).await.unwrap();
    (app, stop.drop_guard())
}

fn request(key: &str, inputs: Value) -> Create {
    let Value::Object(inputs) = inputs else { panic!("{inputs}") };
    Create {
        template_uuid: "t".into(),
        cluster_uuids: vec!["0".repeat(32)],
        inputs,
        key: Some(key.into()),
        ..Create::default()
    }
}

/// Another replica says that an agent of the cluster is connected to it.
async fn agent_elsewhere(world: &World) {
    world.store.agent_attached(world.cluster, [1; 16], "s", [9; 16], world.source.now_us()).await.unwrap();
}

async fn uuid(app: &App, create: Create) -> Result<String, Error> {
    let shown = app.create_tasks(create).await?;
    assert_eq!(shown.len(), 1);
    Ok(shown[0].view.uuid.clone())
}

async fn a_key_is_stored_with_its_tasks_or_not_at_all(world: World) {
    let snapshot = world.snapshot(1).await;
    let key = |world: &World| RequestKey {
        caller: String::new(),
        digest: [1; 32],
        request: [2; 32],
        id: world.source.id(),
        created: world.source.now_us(),
    };
    let first = key(&world);
    let task = || (Arc::new(world.task(&snapshot)), Place::Ready);
    world.store.create_tasks(&[task()], std::slice::from_ref(&first)).await.unwrap();
    let again = world.store.create_tasks(&[task()], &[key(&world)]).await;
    assert!(matches!(again, Err(storage::Error::Duplicate)), "{again:?}");
    assert_eq!(world.number("SELECT COUNT(*) FROM task").await, 1);
    let stored = world.store.request_of("", [1; 32]).await.unwrap();
    assert_eq!(stored, Some((vec![2; 32], first.id.to_vec())));
    assert_eq!(world.store.request_of("somebody else", [1; 32]).await.unwrap(), None);
    let other = RequestKey { caller: "somebody else".into(), ..key(&world) };
    world.store.create_tasks(&[task()], &[other]).await.unwrap();
}

async fn a_request_that_comes_again_is_answered_as_it_was(world: World) {
    let (app, _stop) = app(&world).await;
    agent_elsewhere(&world).await;
    let first = uuid(&app, request("k", json!({"x": 1}))).await.unwrap();
    assert_eq!(uuid(&app, request("k", json!({"x": 1}))).await.unwrap(), first);
    assert_ne!(uuid(&app, request("another", json!({"x": 1}))).await.unwrap(), first);
    // What a request without a key would be refused for meanwhile.
    world.store.agent_detached(world.cluster, [1; 16], "s", world.source.now_us()).await.unwrap();
    assert!(matches!(uuid(&app, request("third", json!({"x": 1}))).await, Err(Error::Invalid { .. })));
    assert_eq!(uuid(&app, request("k", json!({"x": 1}))).await.unwrap(), first);
    assert_eq!(world.number("SELECT COUNT(*) FROM task").await, 2);
}

async fn another_request_under_the_same_key_is_a_conflict(world: World) {
    let (app, _stop) = app(&world).await;
    agent_elsewhere(&world).await;
    uuid(&app, request("k", json!({"x": 1}))).await.unwrap();
    for other in [
        request("k", json!({"x": 2})),
        Create { priority: 1, ..request("k", json!({"x": 1})) },
        Create { name: Some("n".into()), ..request("k", json!({"x": 1})) },
        Create { uuid: Some("a".repeat(32)), ..request("k", json!({"x": 1})) },
    ] {
        let refused = uuid(&app, other).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    }
    assert_eq!(world.number("SELECT COUNT(*) FROM task").await, 1);
}

async fn requests_at_the_same_time_create_once(world: World) {
    let (app, _stop) = app(&world).await;
    let (other, _stop) = self::app(&world).await;
    agent_elsewhere(&world).await;
    for key in ["a", "b", "c", "d"] {
        let calls = [&app, &other, &app, &other].map(|app| {
            let (app, create) = (app.clone(), request(key, json!({"x": key})));
            tokio::spawn(async move { uuid(&app, create).await.unwrap() })
        });
        let mut uuids = vec![];
        for call in calls {
            uuids.push(call.await.unwrap());
        }
        uuids.dedup();
        assert_eq!(uuids.len(), 1, "{key}");
    }
    assert_eq!(world.number("SELECT COUNT(*) FROM task").await, 4);
}

async fn a_key_is_forgotten_after_a_day(world: World) {
    let (app, _stop) = app(&world).await;
    agent_elsewhere(&world).await;
    let first = uuid(&app, request("k", json!({}))).await.unwrap();
    let now = world.source.now_us();
    app.dispatch().purge(now + DAY_US - 60_000_000).await.unwrap();
    assert_eq!(uuid(&app, request("k", json!({}))).await.unwrap(), first);
    app.dispatch().purge(now + DAY_US + 60_000_000).await.unwrap();
    assert_ne!(uuid(&app, request("k", json!({}))).await.unwrap(), first);
}

async fn a_key_has_a_form(world: World) {
    let (app, _stop) = app(&world).await;
    agent_elsewhere(&world).await;
    for (key, is_right) in [("", false), ("k", true), (&"k".repeat(255), true), (&"k".repeat(256), false)] {
        let outcome = uuid(&app, request(key, json!({}))).await;
        assert_eq!(outcome.is_ok(), is_right, "{key}");
        assert!(is_right || matches!(outcome, Err(Error::Malformed(_))), "{outcome:?}");
    }
}
