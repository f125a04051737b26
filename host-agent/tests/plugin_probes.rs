//! The same calls into the host from Rust, JavaScript, Python and Go, on a real API server and over HTTP: whoever reads the outcomes cannot
//! tell the language. `cargo xtask test` builds the probes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod http_parts;
mod kubernetes_parts;
mod plugin_parts;

use std::{path::PathBuf, sync::Arc, time::Duration};

use claiflow_agent::{
    credentials::Stores,
    executor::commands::{Commands, PluginState},
    http::Client,
    plugin::{Runtime, SystemClock},
};
use http_parts::{Names, Server};
use kubernetes_parts::Plane;
use plugin_parts::{House, built, call, outcomes};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// An interpreter takes a minute to compile where other tests want the processors too.
const PATIENCE: Duration = Duration::from_secs(600);
/// What is another one each time.
const OF_THE_MOMENT: [&str; 5] = ["uid", "resourceVersion", "creationTimestamp", "managedFields", "date"];

const GRANT: &str = "    identity: agent
    kubernetes: [{groups: [\"\"], resources: [configmaps], verbs: [get, list, create, patch, delete], namespaces: [NS]}]
    http: [{url: \"http://shop.test:PORT\", methods: [GET, POST], addresses: [127.0.0.1/32]}]
    credentials: {shop: {hosts: [\"http://shop.test:PORT\"], methods: [GET]}}
";

fn calls() -> Value {
    let at = json!({"version": "v1", "resource": "configmaps", "namespace": "NS"});
    let elsewhere = json!({"version": "v1", "resource": "configmaps", "namespace": "kube-system"});
    json!([
        {"create": {"at": at, "body": {"metadata": {"name": "one"}, "data": {"a": "1", "b": "ü ☃"}}}},
        {"create": {"at": at, "body": {"metadata": {"name": "one"}, "data": {}}}},
        {"get": {"at": at, "name": "one", "query": {"fields": ["metadata.name", "data"]}}},
        {"patch": {"at": at, "name": "one", "kind": "merge", "body": {"data": {"a": "2"}}}},
        {"patch": {"at": at, "name": "one", "kind": "json", "body": {"no": "list"}}},
        {"list": {"at": at, "query": {"labels": {"nobody": "has"}}}},
        {"get": {"at": at, "name": "two"}},
        {"get": {"at": at, "name": "one/status"}},
        {"get": {"at": elsewhere, "name": "one"}},
        {"get": {"at": {"version": "v1", "resource": "secrets", "namespace": "NS"}, "name": "one"}},
        {"get": {"at": {"version": "v9", "resource": "configmaps", "namespace": "NS"}, "name": "one"}},
        {"remove": {"at": at, "name": "one"}},
        {"http": {"url": "http://shop.test:PORT/echo?a=1", "credential": "shop"}},
        {"http": {"method": "POST", "url": "http://shop.test:PORT/orders", "body": "two ☃"}},
        {"http": {"method": "POST", "url": "http://shop.test:PORT/counted", "body": "x".repeat(20_000)}},
        {"http": {"method": "POST", "url": "http://shop.test:PORT/orders", "body": "in 3,000 chunks ".repeat(600)}},
        {"http": {"method": "DELETE", "url": "http://shop.test:PORT/orders"}},
        {"http": {"url": "http://other.test/"}},
        {"http": {"url": "no url"}}
    ])
}

/// What each call gave to this probe.
async fn probed(plane: &Plane, server: &Server, name: &str, bytes: &[u8]) -> Vec<Value> {
    let filled = |text: &str| text.replace("PORT", &server.port().to_string()).replace("NS", &plane.namespace);
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let names = Arc::new(Names::default());
    names.lead("shop.test", &[&["127.0.0.1"]]);
    let mut house = House::new();
    let credentials = house.root.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(credentials.join("shop"), "Bearer abcdef123456\n").unwrap();
    house.config.http = Arc::new(Client::new(names, Arc::new(Stores::new(Some(credentials), None, None))));
    house.config.cluster = Some(plane.cluster().await);
    house.config.cache = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("plugin-languages"));
    // A debug build on a busy machine.
    house.config.limits.cpu = Duration::from_secs(60);
    house.config.limits.wall = Duration::from_secs(120);
    house.put(&format!("{name}.wasm"), bytes);
    house.grant(&format!("plugins:\n  {name}:\n    sha256: \"{digest}\"\n{}", filled(GRANT)));
    let runtime = Runtime::open(house.config.clone(), Arc::new(SystemClock::new())).unwrap();
    tokio::time::timeout(PATIENCE, runtime.settled()).await.expect("the first round ends");
    house.runtime = Some(runtime);
    assert_eq!(house.plugin(name).state, PluginState::Ready, "{:?}", house.plugin(name));
    let inputs = filled(&json!({"calls": calls()}).to_string());
    let mut given = outcomes(house.runtime().call(call("probe.run", &inputs)).await);
    given.iter_mut().for_each(|outcome| forget(outcome, name));
    given
}

/// Takes out what is another one each time, empty details, and the plugin's own name.
fn forget(value: &mut Value, name: &str) {
    match value {
        Value::Object(fields) => {
            fields.retain(|field, _| !OF_THE_MOMENT.contains(&field.as_str()));
            // No details at all, or none that anybody said.
            fields.retain(|field, value| field != "details" || !(value.is_null() || *value == json!({})));
            fields.values_mut().for_each(|value| forget(value, name));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| forget(value, name)),
        Value::String(text) => *text = text.replace(name, "PROBE"),
        _ => {}
    }
}

/// `fetch` has no codes, and no length: what is left of an outcome of a request.
fn fetched(outcome: &Value) -> Value {
    match outcome.get("ok") {
        Some(answer) => json!({"status": answer["status"], "body": answer["body"]}),
        None => json!("an error"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_answers_every_language_alike() {
    let Some(plane) = Plane::open("languages").await else { return };
    let files = [
        ("probe", "probe.wasm"),
        ("probe-js", "languages/probe-js.wasm"),
        ("probe-py", "languages/probe-py.wasm"),
        ("probe-go", "languages/probe-go.wasm"),
    ];
    let Some(components) = files.iter().map(|(_, file)| built(file)).collect::<Option<Vec<_>>>() else { return };
    let server = Server::plain().await;
    let mut all = Vec::new();
    for ((name, _), bytes) in files.iter().zip(&components) {
        all.push(probed(&plane, &server, name, bytes).await);
    }
    let calls = calls();
    let (rust, others) = all.split_first().unwrap();
    let codes: Vec<&str> = rust.iter().map(|outcome| outcome["error"]["code"].as_str().unwrap_or("ok")).collect();
    let expected = [
        "ok",
        "exists",
        "ok",
        "ok",
        "invalid",
        "ok",
        "not-found",
        "invalid",
        "denied",
        "denied",
        "not-found",
        "ok",
        "ok",
        "ok",
        "ok",
        "ok",
        "denied",
        "denied",
        "invalid",
    ];
    assert_eq!(codes, expected, "{rust:?}");
    for ((name, _), outcomes) in files.iter().skip(1).zip(others) {
        for ((call, rust), outcome) in calls.as_array().unwrap().iter().zip(rust).zip(outcomes) {
            if *name == "probe-js" && call.get("http").is_some() {
                assert_eq!(fetched(outcome), fetched(rust), "{name}: {call}");
            } else {
                assert_eq!(outcome, rust, "{name}: {call}");
            }
        }
    }
    plane.close().await;
}
