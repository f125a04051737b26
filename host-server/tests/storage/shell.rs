//! Templates as an operator types them into a database shell: the server checks and runs them like its own.

use claiflow_flow_worker::Pool;
use claiflow_server::{
    app::{App, Error, service::Create},
    dispatch::{Attach, Dispatch, Order, Timing},
    metrics::Metrics,
    model::{
        list::{Listing, TaskListing},
        state::State,
    },
    storage::Store,
};
use tokio_util::sync::CancellationToken;

use crate::world::{Engine, World, serving};

promises![
    typed_templates_run,
    a_typed_flow_that_is_wrong_is_refused_with_its_place,
    a_typed_change_is_seen_by_the_next_task,
    typed_times_are_read_as_utc,
    a_typed_time_that_is_none_hides_nothing,
];

const TYPED: &[(&str, &str, &str)] = &[
    ("example_simple", r#"[{"$id":"step1","$command":"helloworld","inputs":"$inputs"}]"#, r#"{"name":"world"}"#),
    (
        "example_iter",
        r#"[{"$id":"step1","$range":"$inputs.x_list","$steps":[{"$id":"step2","$command":"math_pow","inputs":{"x":"$step1.val","y":2}}]}]"#,
        r#"{"x_list":[1,2,3,4,5]}"#,
    ),
    (
        "example_pass_val",
        r#"[{"$id":"step1","$command":"swap_command","inputs":{"param1":"$inputs.input1","param2":"$inputs.input2"}},{"$id":"step2","$command":"swap_command","inputs":{"param1":"$step1.outputs.value1","param2":"$step1.outputs.value2"}}]"#,
        r#"{"input1":"foo","input2":"bar"}"#,
    ),
];

/// The line of the manual, as it stands there. SQLite calls the time by its standard name.
async fn replace(world: &World, name: &str, flow: &str) {
    let now = if matches!(world.engine, Engine::Maria(_)) { "NOW()" } else { "CURRENT_TIMESTAMP" };
    let line = format!(
        "REPLACE INTO `template` (`uuid`, `name`, `summary`, `flow`, `inputs`, `origin`, `created`) VALUES ('{name}', '{name}', '', '{flow}', '{{}}', 'userdefined', {now});"
    );
    world.type_sql(&line).await;
}

async fn serve(world: &World) -> (App, CancellationToken) {
    serve_on(world, world.store.clone()).await
}

/// A replica of its own connections.
pub(crate) async fn serve_on(world: &World, store: Store) -> (App, CancellationToken) {
    let (stop, metrics) = (CancellationToken::new(), Metrics::register().unwrap());
    let dispatch = Dispatch::start(store.clone(), world.source.clone(), metrics.clone(), Timing::default(), &stop);
    let jq = Pool::new(env!("CARGO_BIN_EXE_claiflow-server").into(), 1);
    let app = App::open(store, world.source.clone(), dispatch, jq, metrics).await.unwrap();
    (app, stop)
}

fn request(template: &str, inputs: &str) -> Create {
    Create {
        template_uuid: template.into(),
        cluster_uuids: vec!["0".repeat(32)],
        inputs: serde_json::from_str(inputs).unwrap(),
        ..Create::default()
    }
}

async fn typed_templates_run(world: World) {
    let (app, stop) = serve(&world).await;
    let (orders, mut ordered) = tokio::sync::mpsc::unbounded_channel();
    let attach = Attach {
        cluster: world.cluster,
        uuid: "s".into(),
        name: "a".into(),
        version: "test".into(),
        journal: [3; 16],
        language_level: 0,
        inventory: serving(&["helloworld", "math_pow", "swap_command"]),
        held: vec![],
    };
    let (session, _) = app.dispatch().attach(attach, orders).await.unwrap();
    app.dispatch().credit(session, 1, 100);
    for (name, flow, inputs) in TYPED {
        replace(&world, name, flow).await;
        let created = app.create_tasks(request(name, inputs)).await.unwrap().pop().unwrap();
        assert_eq!((&*created.view.name, created.view.summary.as_deref()), (*name, Some("")));
        let lease = loop {
            if let Order::Offer { lease, .. } = ordered.recv().await.unwrap() {
                break lease;
            }
        };
        assert_eq!((&*lease.task.snapshot.flow, &*lease.task.inputs), (*flow, *inputs));
        app.dispatch().ack(session, lease.id);
        app.dispatch().finish(session, world.success(&lease)).await;
        while !matches!(ordered.recv().await.unwrap(), Order::Settled { accepted: true, .. }) {}
        let shown = app.task(&"0".repeat(32), &created.view.uuid).await.unwrap();
        assert_eq!(State::of(shown.view.state), State::Succeeded);
    }
    stop.cancel();
}

async fn a_typed_flow_that_is_wrong_is_refused_with_its_place(world: World) {
    let (app, stop) = serve(&world).await;
    for (flow, place) in [
        ("not JSON", "/flow"),
        ("{}", "/flow"),
        (r#"[{"$command":"helloworld"}]"#, "/flow/0"),
        (r#"[{"$id":"a","$command":"c","inputs":{"x":"$b.outputs"}}]"#, "/flow/0/inputs/x"),
    ] {
        replace(&world, "wrong", flow).await;
        // Another flow under the same name would be read again only after a moment.
        let (fresh, ended) = serve(&world).await;
        let refusal = fresh.create_tasks(request("wrong", "{}")).await.map(drop).unwrap_err();
        ended.cancel();
        let Error::Invalid { errors, .. } = &refusal else { panic!("{flow}: {refusal:?}") };
        assert!(errors.iter().any(|(pointer, words)| pointer.starts_with(place) && !words.is_empty()), "{errors:?}");
    }
    let unknown = app.create_tasks(request("nothing", "{}")).await.map(drop);
    assert!(matches!(unknown, Err(Error::NotFound(_))), "{unknown:?}");
    assert!(world.store.tasks(&TaskListing { limit: 10, ..TaskListing::default() }).await.unwrap().is_empty());
    stop.cancel();
}

async fn a_typed_change_is_seen_by_the_next_task(world: World) {
    let (app, stop) = serve(&world).await;
    let flow = |command: &str| format!(r#"[{{"$id":"a","$command":"{command}"}}]"#);
    replace(&world, "changing", &flow("one")).await;
    let first = app.create_tasks(request("changing", "{}")).await.unwrap().pop().unwrap();
    replace(&world, "changing", &flow("two")).await;
    // A checked template is used for a second before its row is read again.
    let changed = loop {
        let next = app.create_tasks(request("changing", "{}")).await.unwrap().pop().unwrap();
        if next.snapshot.flow != first.snapshot.flow {
            break next;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(changed.snapshot.flow, flow("two"));
    let shown = app.task(&"0".repeat(32), &first.view.uuid).await.unwrap();
    assert_eq!(shown.snapshot.flow, flow("one"), "a task runs what it was created from");
    stop.cancel();
}

async fn typed_times_are_read_as_utc(world: World) {
    let zone = if matches!(world.engine, Engine::Maria(_)) { "SET time_zone = '+09:00';" } else { "" };
    world
        .type_sql(&format!(
            "{zone} REPLACE INTO `template` (`uuid`, `name`, `flow`, `created`, `updated`) VALUES ('zoned', 'z', '[]', '2026-11-23 09:51:46', '2026-11-24 00:00:00')"
        ))
        .await;
    let template = world.store.template("zoned").await.unwrap().unwrap();
    assert_eq!(template.created, Some("2026-11-23T09:51:46".parse().unwrap()));
    assert_eq!(template.updated, Some("2026-11-24T00:00:00".parse().unwrap()));
    assert_eq!((&*template.origin, template.summary, template.inputs), ("userdefined", None, None));
}

async fn a_typed_time_that_is_none_hides_nothing(world: World) {
    // What a client writes whose session is not strict.
    let (loose, typed) = if matches!(world.engine, Engine::Maria(_)) {
        let typed =
            vec![("0000-00-00", None), ("2026-02-00 10:00:00", None), ("2026-02-01", Some("2026-02-01T00:00:00"))];
        ("SET sql_mode = '';", typed)
    } else {
        let typed = vec![
            ("yesterday", None),
            ("", None),
            ("2026-02-01", Some("2026-02-01T00:00:00")),
            ("2026-02-01T10:00:00.5Z", Some("2026-02-01T10:00:00")),
            ("2026-02-01 10:00:00+02:00", Some("2026-02-01T08:00:00")),
            ("1769940000", Some("2026-02-01T10:00:00")),
        ];
        ("", typed)
    };
    for (uuid, (text, _)) in typed.iter().enumerate() {
        let line = format!(
            "INSERT INTO template (uuid, name, flow, created, updated) VALUES ('t{uuid}', 'n', '[]', '{text}', '{text}')"
        );
        world.type_sql(&format!("{loose} {line}")).await;
    }
    let listing = Listing { equal: vec![("name", "n".into())], ..Listing::default() };
    let listed = world.store.templates(&listing).await.unwrap();
    let expected: Vec<_> = typed.iter().map(|(_, time)| time.map(|time| time.parse().unwrap())).collect();
    assert_eq!(listed.iter().map(|template| template.created).collect::<Vec<_>>(), expected);
    assert_eq!(listed.iter().map(|template| template.updated).collect::<Vec<_>>(), expected);
}
