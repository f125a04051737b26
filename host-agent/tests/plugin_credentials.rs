//! Credentials as plugins reach them: the built plugin `claiflow` changes them, the built plugin `probe` uses one without seeing it,
//! and a guest sees one only where that is granted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod http_parts;
mod plugin_parts;

use std::{sync::Arc, time::Duration};

use claiflow_agent::{
    credentials::{KeyFile, Stores, Volume},
    executor::commands::{CallFailed, CallSink, Commands as _, Effect, Inventory, PluginState, Verified},
    http::Client,
    metrics::Metrics,
};
use http_parts::{Names, Server};
use plugin_parts::{Guest, Heard, House, built, call, outcomes, said};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Never seen but by the server that it is for.
const PLANTED: &str = "planted-0f7c2a19";

/// Answers what `reveal` gives: the result of the one is laid out as that of the other.
fn revealer() -> Vec<u8> {
    Guest::new("revealer", r#"[{"name":"see","effect":"read"}]"#)
        .imports(
            "import claiflow:plugin/credentials-reveal@1.0.0;",
            r#"(import "claiflow:plugin/credentials-reveal@1.0.0" "reveal" (func $reveal (param i32 i32 i32)))"#,
        )
        .items(r#"(data (i32.const 300) "shop")"#)
        .run("(call $reveal (i32.const 300) (i32.const 4) (i32.const 64)) (i32.const 64)")
        .build()
}

struct Stage {
    server: Server,
    house: House,
    metrics: Metrics,
    heard: Arc<Heard>,
}

impl Stage {
    async fn open() -> Option<Self> {
        let (claiflow, probe) = (built("claiflow.wasm")?, built("probe.wasm")?);
        let (names, metrics, server) = (Names::default(), Metrics::register().unwrap(), Server::plain().await);
        names.lead("shop.test", &[&["127.0.0.1"]]);
        let mut house = House::new();
        let root = house.root.path();
        let volume = Volume::new(root.join("volume"), KeyFile::new(root.join("key")), None);
        let stores = Arc::new(Stores::new(None, Some(volume), None));
        house.config.http = Arc::new(Client::new(Arc::new(names), stores.clone()));
        house.config.credentials = stores;
        house.config.host_calls = metrics.host_calls();
        // A debug build on a busy machine.
        house.config.limits.cpu = Duration::from_secs(60);
        house.config.limits.wall = Duration::from_secs(120);
        house.put("claiflow.wasm", &claiflow);
        house.put("probe.wasm", &probe);
        house.put("revealer.wasm", &revealer());
        let mut stage = Self { server, house, metrics, heard: Arc::default() };
        stage.grant("[credentials, agent]", "{shop: {reveal: true}}");
        stage.house.open().await;
        for plugin in ["claiflow", "probe", "revealer"] {
            let plugin = stage.house.plugin(plugin);
            assert_eq!(plugin.state, PluginState::Ready, "{plugin:?}");
        }
        Some(stage)
    }

    fn grant(&self, system: &str, seen: &str) {
        let pin = |file: &str| {
            let bytes = std::fs::read(self.house.mount.join(file)).unwrap();
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let (claiflow, probe, revealer) = (pin("claiflow.wasm"), pin("probe.wasm"), pin("revealer.wasm"));
        let port = self.server.port();
        self.house.grant(&format!(
            "plugins:
  claiflow: {{sha256: \"{claiflow}\", commands: [\"claiflow.*\", \"credstor.*\"], system: {system}}}
  revealer: {{sha256: \"{revealer}\", credentials: {seen}}}
  probe:
    sha256: \"{probe}\"
    identity: agent
    kubernetes: [{{groups: [\"\"], resources: [pods], verbs: [get], namespaces: [shop]}}]
    http: [{{url: \"http://shop.test:{port}\", methods: [GET], addresses: [127.0.0.1/32]}}]
    credentials: {{shop: {{hosts: [\"http://shop.test:{port}\"], methods: [GET]}}}}
"
        ));
    }

    async fn make(&self, command: &str, effect: Effect, inputs: &Value) -> Result<Value, CallFailed> {
        let mut call = call(command, &inputs.to_string());
        call.effect = effect;
        call.sink = self.heard.clone() as Arc<dyn CallSink>;
        let done = self.house.runtime().call(call).await?;
        Ok(serde_json::from_str(&done.output).unwrap())
    }

    async fn changes(&self, verb: &str, inputs: Value) -> Result<Value, CallFailed> {
        self.make(&format!("claiflow.credential.{verb}"), Effect::Verify, &inputs).await
    }

    async fn lists(&self, name: &str) -> Result<Value, CallFailed> {
        self.make(&format!("{name}.credential.get"), Effect::Read, &json!({})).await
    }

    /// What the probe is answered, and what reached the server with its request.
    async fn uses(&self) -> (Value, Option<String>) {
        let url = format!("http://shop.test:{}/x", self.server.port());
        let calls = json!({"calls": [{"http": {"url": url, "credential": "shop"}}]});
        let outcome = outcomes(self.house.call("probe.run", &calls.to_string()).await).remove(0);
        (outcome, self.server.seen().last().and_then(|seen| seen.headers.get("authorization").cloned()))
    }

    /// Waits until the grants count.
    async fn granted(&self, system: &str, seen: &str) {
        let mut grants = self.house.runtime().grants();
        grants.mark_unchanged();
        self.grant(system, seen);
        grants.changed().await.unwrap();
    }
}

fn shop(data: &Value) -> Value {
    json!({"credentials": {"shop": {"type": "openstack", "storage": "volume", "data": data}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_added_used_changed_and_removed_and_its_words_are_nowhere() {
    let Some(stage) = Stage::open().await else { return };
    let keys = json!({"credential_keys": [{"key": "shop", "storage": "volume"}]});
    let of = |word: &str| json!({"username": "u", "password": format!("{PLANTED}{word}")});
    let mut all = Vec::new();

    all.push(stage.changes("add", shop(&of(""))).await.unwrap());
    let again = stage.changes("add", shop(&of(""))).await.unwrap_err();
    assert_eq!(again.code, "exists", "{again:?}");
    all.push(json!(format!("{again:?}")));
    let listed = stage.lists("credstor").await.unwrap();
    assert_eq!(listed, json!([{"key": "shop", "storage": "volume"}]));

    let (outcome, carried) = stage.uses().await;
    assert_eq!(said(&outcome).0, "ok", "{outcome}");
    assert_eq!(carried.unwrap(), "Basic dTpwbGFudGVkLTBmN2MyYTE5");
    all.push(outcome);
    // What is changed counts from the next request on.
    all.push(stage.changes("update", shop(&of("-new"))).await.unwrap());
    let (outcome, carried) = stage.uses().await;
    assert_eq!(carried.unwrap(), "Basic dTpwbGFudGVkLTBmN2MyYTE5LW5ldw==");
    all.push(outcome);
    // No header can carry it, and the error names its type.
    all.push(stage.changes("update", shop(&json!({"token": PLANTED}))).await.unwrap());
    let (outcome, _) = stage.uses().await;
    assert!(said(&outcome).0 == "unavailable" && said(&outcome).1.contains("`openstack` holds neither"), "{outcome}");
    all.push(outcome);

    all.push(stage.changes("remove", keys.clone()).await.unwrap());
    assert_eq!(said(&stage.uses().await.0).0, "denied");
    assert_eq!(stage.changes("remove", keys).await.unwrap_err().code, "not-found");

    let inventory = format!("{:?}", stage.house.runtime().inventory().borrow());
    let heard = format!("{:?} {:?}", stage.heard.lines.lock().unwrap(), stage.heard.notes.lock().unwrap());
    let metrics = stage.metrics.text(&stage.house.runtime().inventory().borrow().clone()).unwrap();
    for part in [
        r#"claiflow_agent_host_calls_total{outcome="ok",plugin="claiflow",resource="credentials",verb="put"} 3"#,
        r#"claiflow_agent_host_calls_total{outcome="ok",plugin="claiflow",resource="credentials",verb="remove"} 1"#,
    ] {
        assert!(metrics.contains(part), "{part}: {metrics}");
    }
    for said in [Value::from(all).to_string(), inventory, heard, metrics] {
        assert!(!said.contains(PLANTED) && !said.contains("cGxhbnRlZ"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_is_refused_and_what_is_withdrawn_ends_at_once() {
    let Some(stage) = Stage::open().await else { return };
    stage.changes("add", shop(&json!({"value": 7}))).await.unwrap();
    let see = async || stage.house.call("see", "{}").await;
    assert_eq!(see().await.unwrap().output, r#"{"value":7}"#);

    stage.granted("[agent]", "{shop: {hosts: [\"https://shop.test\"], methods: [GET]}}").await;
    // A plugin whose import nobody grants any more either is refused whole or, until then, is denied each call.
    let lists = async || stage.lists("claiflow").await.map(drop).unwrap_err();
    for (failed, plugin, part) in
        [(see().await.unwrap_err(), "revealer", "reveal: true"), (lists().await, "claiflow", "system: [credentials]")]
    {
        let is_said = |inventory: &Inventory| {
            inventory.plugins.iter().any(|entry| entry.name == plugin && entry.reason.contains(part))
        };
        if !failed.message.contains(part) {
            stage.house.until("the reason", is_said).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_and_reading_calls_change_nothing() {
    let Some(stage) = Stage::open().await else { return };
    let add = shop(&json!({"value": 7}));
    let failed = stage.make("claiflow.credential.add", Effect::Read, &add).await.unwrap_err();
    assert!(failed.code == "denied" && failed.message.contains("effect is `read`"), "{failed:?}");
    assert_eq!(stage.lists("claiflow").await.unwrap(), json!([]));

    stage.changes("add", add.clone()).await.unwrap();
    let notes = stage.heard.notes.lock().unwrap().clone();
    let verify = async |notes: Vec<String>| {
        let mut call = call("claiflow.credential.add", &add.to_string());
        (call.effect, call.notes) = (Effect::Verify, notes);
        stage.house.runtime().verify(call).await
    };
    assert!(matches!(verify(Vec::new()).await, Verified::NotDone), "before its note a call changes nothing");
    let last = notes.last().cloned().into_iter().collect();
    let done = verify(last).await;
    assert!(matches!(done, Verified::Done(_)), "{done:?}");
}
