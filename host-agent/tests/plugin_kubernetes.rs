//! What a plugin gets of the cluster's API through the host: the built plugin `probe` makes the calls that a case lists, on a real API
//! server, under a grant.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod kubernetes_parts;
mod plugin_parts;

use std::{sync::Arc, time::Duration};

use claiflow_agent::{
    executor::commands::{
        Applied, CallDone, CallFailed, CallSink, CommandCall, Commands, Effect, LogLevel, PluginState, Verified,
    },
    metrics::Metrics,
};
use kubernetes_parts::Plane;
use plugin_parts::{House, built, call, eventually, outcomes, said};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

/// The probe asks for HTTP too, and is refused without.
const HTTP: &str = "    http: [{url: \"https://example.com\", methods: [GET]}]\n";

/// A namespace on the plane, and an agent that serves the probe.
struct Stage {
    plane: Plane,
    house: House,
    digest: String,
    metrics: Metrics,
}

impl Stage {
    /// Grants the probe this, beside its pin; `NS` is the namespace.
    async fn open(name: &str, grant: &str) -> Option<Self> {
        let bytes = built("probe.wasm")?;
        let plane = Plane::open(name).await?;
        let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let metrics = Metrics::register().unwrap();
        let mut stage = Self { plane, house: House::new(), digest, metrics };
        stage.house.config.cluster = Some(stage.plane.cluster().await);
        stage.house.config.host_calls = stage.metrics.host_calls();
        // A debug build on a busy machine.
        stage.house.config.limits.cpu = Duration::from_secs(30);
        stage.house.config.limits.wall = Duration::from_secs(120);
        stage.house.put("probe.wasm", &bytes);
        stage.grant(grant);
        stage.house.open().await;
        assert_eq!(stage.house.plugin("probe").state, PluginState::Ready, "{:?}", stage.house.plugin("probe"));
        Some(stage)
    }

    fn grants(&self, grant: &str) -> String {
        let grant = grant.replace("NS", &self.plane.namespace);
        format!("plugins:\n  probe:\n    sha256: \"{}\"\n{HTTP}{grant}", self.digest)
    }

    fn grant(&self, grant: &str) {
        self.house.grant(&self.grants(grant));
    }

    fn call(&self, command: &str, calls: Value) -> CommandCall {
        let text = json!({"calls": calls}).to_string().replace("NS", &self.plane.namespace);
        call(command, &text)
    }

    async fn make(&self, call: CommandCall) -> Result<CallDone, CallFailed> {
        self.house.runtime().call(call).await
    }

    /// What each call gave.
    async fn run(&self, calls: Value) -> Vec<Value> {
        outcomes(self.make(self.call("probe.run", calls)).await)
    }

    /// Each call gave the code, with such words; the code `ok` and the JSON text of what it gave.
    async fn expect(&self, cases: &[(Value, &str, &str)]) {
        let outcomes = self.run(cases.iter().map(|(call, ..)| call.clone()).collect()).await;
        for ((call, code, part), outcome) in cases.iter().zip(outcomes) {
            let (said, text) = said(&outcome);
            let part = part.replace("NS", &self.plane.namespace);
            assert!(said == *code && text.contains(&part), "{call}: {outcome}");
        }
    }
}

fn maps() -> Value {
    json!({"version": "v1", "resource": "configmaps", "namespace": "NS"})
}

const MAPS: &str = "    identity: agent
    kubernetes:
      - {groups: [\"\"], resources: [configmaps], verbs: [get, list, watch, create, apply, update, patch, delete], namespaces: [NS]}
";

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_passes_through_the_grant() {
    let grant = "    identity: agent
    kubernetes:
      - {groups: [\"\"], resources: [configmaps], verbs: [get, list, watch, create, apply, update, patch, delete], namespaces: [NS]}
      - {groups: [\"\"], resources: [pods, pods/log], verbs: [get], namespaces: [NS]}
      - {groups: [\"\"], resources: [pods/exec], verbs: [create], namespaces: [NS], dangerous: true}
      - {groups: [apps], resources: [deployments], verbs: [list], namespaces: [NS]}
";
    let Some(stage) = Stage::open("grant", grant).await else { return };
    stage
        .plane
        .pod(
            "web-1",
            &["first", "second"],
            json!({"annotations": {"kubectl.kubernetes.io/default-container": "second"}}),
        )
        .await;
    let (at, pods) = (maps(), json!({"version": "v1", "resource": "pods", "namespace": "NS"}));
    let body = |value: &str| json!({"metadata": {"name": "a"}, "data": {"k": value}});
    let patch = |kind: &str, body: Value| json!({"patch": {"at": at, "name": "a", "kind": kind, "body": body}});
    let all = json!({"version": "v1", "resource": "configmaps", "namespace": "*"});
    let echo = json!(["echo", "it ran"]);
    stage
        .expect(&[
            (json!({"create": {"at": at, "body": body("1")}}), "ok", "\"k\":\"1\""),
            (json!({"create": {"at": at, "body": body("1")}}), "exists", "already exists"),
            (json!({"get": {"at": at, "name": "a"}}), "ok", "\"k\":\"1\""),
            (json!({"get": {"at": at, "name": "a", "query": {"fields": ["data"]}}}), "ok", "{\"k\":\"1\"}"),
            (json!({"get": {"at": at, "name": "b"}}), "not-found", "not found"),
            (patch("merge", json!({"data": {"k": "2"}})), "ok", "\"k\":\"2\""),
            (patch("json", json!([{"op": "replace", "path": "/data/k", "value": "3"}])), "ok", "\"k\":\"3\""),
            (patch("strategic", json!({"data": {"k": "4"}})), "ok", "\"k\":\"4\""),
            (patch("json", json!({"data": {}})), "invalid", "patch"),
            (json!({"apply": {"at": at, "name": "b", "body": {"data": {"k": "1"}}}}), "ok", "\"name\":\"b\""),
            (json!({"list": {"at": at, "query": {"field_selector": "metadata.name=b"}}}), "ok", "{\"count\":1,\"names\":[\"b\"]}"),
            (json!({"list": {"at": all, "query": {"limit": 1}}}), "ok", "\"count\":1"),
            (json!({"list": {"at": all, "query": {"metadata_only": true, "field_selector": "metadata.name=a"}}}), "ok", "\"a\""),
            (json!({"watch": {"at": at, "query": {"field_selector": "metadata.name=a"}, "events": 1, "patience_ms": 60000}}), "ok", "[[\"ADDED\",\"a\"]]"),
            (json!({"remove": {"at": at, "name": "b", "options": {"uid": "00000000-0000-0000-0000-000000000000"}}}), "conflict", ""),
            (json!({"remove": {"at": at, "name": "b"}}), "ok", ""),
            (json!({"log": {"at": pods, "pod": "web-1"}}), "ok", "hello from this pod"),
            (json!({"exec": {"at": pods, "pod": "web-1", "command": echo}}), "ok", "it ran"),
            (json!({"list": {"at": {"version": "apps/v1", "resource": "deployments", "namespace": "NS"}}}), "ok", "\"count\":0"),
        ])
        .await;
    let seen = stage.run(json!([{"get": {"at": at, "name": "a"}}])).await;
    assert!(seen[0]["ok"]["metadata"].get("managedFields").is_none(), "{seen:?}");
    let map = stage.plane.api("v1", "ConfigMap", "configmaps").get("a").await.unwrap();
    let version = map.metadata.resource_version.unwrap();
    let replace = |version: Value| {
        let body = json!({"metadata": {"resourceVersion": version}, "data": {"k": "5"}});
        json!({"replace": {"at": at, "name": "a", "body": body}})
    };
    stage
        .expect(&[
            (replace(Value::Null), "invalid", "resourceVersion"),
            (replace(version.as_str().into()), "ok", "\"k\":\"5\""),
            (replace(version.as_str().into()), "conflict", ""),
        ])
        .await;
    let text = stage.metrics.text(&stage.house.runtime().inventory().borrow()).unwrap();
    for line in [
        r#"claiflow_agent_host_calls_total{outcome="ok",plugin="probe",resource="configmaps",verb="create"} 1"#,
        r#"claiflow_agent_host_calls_total{outcome="exists",plugin="probe",resource="configmaps",verb="create"} 1"#,
        r#"claiflow_agent_host_calls_total{outcome="ok",plugin="probe",resource="pods/exec",verb="exec"}"#,
        r#"claiflow_agent_host_call_seconds_count{plugin="probe",resource="configmaps",verb="patch"} 3"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    stage.plane.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_or_not_there_is_told_before_anything_is_sent() {
    let grant = "    identity: agent
    kubernetes:
      - {groups: [\"\"], resources: [configmaps], verbs: [get, list], namespaces: [NS], names: [\"web-*\"], read: [metadata, data.open]}
";
    let Some(stage) = Stage::open("deny", grant).await else { return };
    stage.plane.config_map("web-1", json!({"open": "seen", "closed": "hidden"})).await;
    stage.plane.config_map("db", json!({"open": "hidden"})).await;
    let at = |resource: &str, namespace: Value| json!({"version": "v1", "resource": resource, "namespace": namespace});
    let get = |at: Value, name: &str| json!({"get": {"at": at, "name": name}});
    let own = at("configmaps", json!("NS"));
    stage
        .expect(&[
            (get(own.clone(), "web-1"), "ok", "{\"open\":\"seen\"}"),
            (json!({"list": {"at": own}}), "ok", "{\"count\":1,\"names\":[\"web-1\"]}"),
            (get(own.clone(), "db"), "denied", "kubernetes:"),
            (get(at("configmaps", json!("kube-system")), "web-1"), "denied", "kube-system"),
            (get(at("secrets", json!("NS")), "web-1"), "denied", "secrets"),
            (get(own.clone(), "web-1/status"), "invalid", "path segment"),
            (get(own.clone(), "../secrets/db"), "invalid", "path segment"),
            (get(own.clone(), ".."), "invalid", ""),
            (get(at("configmaps", json!("NS/pods")), "web-1"), "invalid", "namespace"),
            (get(at("configmaps", json!("")), "web-1"), "invalid", "namespace"),
            (get(at("configmaps", Value::Null), "web-1"), "invalid", "namespace"),
            (get(at("nodes", json!("NS")), "web-1"), "invalid", "cluster-scoped"),
            (get(at("pods/exec?command=sh", json!("NS")), "web-1"), "invalid", "subresource"),
            (get(at("pods/exec", json!("NS")), "web-1"), "invalid", "kubernetes-exec"),
            (json!({"list": {"at": at("pods/log", json!("NS"))}}), "invalid", ""),
            (json!({"list": {"at": at("pods/status", json!("NS"))}}), "invalid", "pods/status"),
            (get(at("configmap", json!("NS")), "web-1"), "not-found", "the nearest is `configmaps`"),
            (
                get(json!({"version": "v7", "resource": "configmaps", "namespace": "NS"}), "web-1"),
                "not-found",
                "in `v1`",
            ),
            (json!({"list": {"at": own, "query": {"field_selector": "data.closed=x"}}}), "denied", "data.closed"),
            (json!({"remove": {"at": own, "name": "web-1"}}), "denied", "delete"),
            (json!({"create": {"at": own, "body": {"metadata": {"name": "web-2"}}}}), "denied", "create"),
            (
                json!({"granted": {}}),
                "ok",
                "[\"\",\"v1\",\"configmaps\",\"ConfigMap\",[\"get\",\"list\"],[\"NS\"],[\"web-*\"]]",
            ),
        ])
        .await;
    if let Some(audited) = stage.plane.audited() {
        let others = audited.iter().filter(|event| event["objectRef"]["name"] == "db" && event["verb"] == "get");
        assert_eq!(others.count(), 0, "what is denied never reaches the API server");
    }
    stage.plane.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_of_the_plugin_is_what_the_api_server_sees() {
    let grant = "    kubernetes:
      - {groups: [\"\"], resources: [configmaps], verbs: [get, patch], namespaces: [NS]}
";
    let Some(stage) = Stage::open("token", grant).await else { return };
    stage.plane.config_map("a", json!({})).await;
    let get = json!({"get": {"at": maps(), "name": "a"}});
    stage
        .expect(&[(get.clone(), "denied", "`claiflow-plugin-probe` of the namespace `NS`, which does not exist")])
        .await;
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]);
    stage.plane.account("claiflow-plugin-probe", rules).await;
    let patch = json!({"patch": {"at": maps(), "name": "a", "kind": "merge", "body": {"data": {"k": "1"}}}});
    let user = "User \"system:serviceaccount:NS:claiflow-plugin-probe\" cannot patch resource \"configmaps\"";
    stage.expect(&[(get, "ok", ""), (patch, "denied", user)]).await;
    stage.plane.close().await;
}

/// Answers a note once the grants are others.
struct Withdraws {
    stage: Arc<Stage>,
    grant: &'static str,
}

#[async_trait::async_trait]
impl CallSink for Withdraws {
    fn log(&self, _: LogLevel, _: &str, _: &[(String, String)]) {}

    fn progress(&self, _: u64, _: u64, _: &str) {}

    async fn note(&self, _: String) -> bool {
        let mut grants = self.stage.house.runtime().grants();
        grants.mark_unchanged();
        self.stage.grant(self.grant);
        tokio::time::timeout(Duration::from_secs(60), grants.changed()).await.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_withdrawn_counts_from_the_next_host_call_on() {
    let Some(stage) = Stage::open("withdraw", MAPS).await else { return };
    let stage = Arc::new(stage);
    stage.plane.config_map("a", json!({"k": "1"})).await;
    let patch = json!({"patch": {"at": maps(), "name": "a", "kind": "merge", "body": {"data": {"k": "2"}}}});
    let get = json!({"get": {"at": maps(), "name": "a"}});
    let grant = "    identity: agent
    kubernetes: [{groups: [\"\"], resources: [configmaps], verbs: [get], namespaces: [NS]}]
";
    let sink = Arc::new(Withdraws { stage: stage.clone(), grant });
    let call = CommandCall { sink, ..stage.call("probe.run", json!([get, {"note": {"text": "now"}}, get, patch])) };
    let done = stage.make(call).await.unwrap();
    let outcomes: Vec<Value> = serde_json::from_str(&done.output).unwrap();
    let codes: Vec<_> = outcomes.iter().map(|outcome| outcome["error"]["code"].as_str().unwrap_or("ok")).collect();
    assert_eq!(codes, ["ok", "ok", "ok", "denied"], "{outcomes:?}");
    let map = stage.plane.api("v1", "ConfigMap", "configmaps").get("a").await.unwrap();
    assert_eq!(map.data["data"]["k"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_write_writes_nothing_and_who_did_says_so() {
    let Some(stage) = Stage::open("effect", MAPS).await else { return };
    stage.plane.config_map("a", json!({"k": "1"})).await;
    let patch = |options: Value| json!({"patch": {"at": maps(), "name": "a", "kind": "merge", "body": {"data": {"k": "2"}}, "options": options}});
    let (write, dry, trap) = (patch(json!({})), patch(json!({"dry_run": true})), json!({"trap": {}}));

    // A call of class `read` is made again after a crash without anybody being asked.
    let read = CommandCall { effect: Effect::Read, ..stage.call("probe.read", json!([write, dry])) };
    let outcomes: Vec<Value> = serde_json::from_str(&stage.make(read).await.unwrap().output).unwrap();
    assert_eq!(outcomes[0]["error"]["code"], "denied", "{outcomes:?}");
    assert!(outcomes[0]["error"]["message"].as_str().unwrap().contains("`read`"), "{outcomes:?}");
    assert_eq!(outcomes[1]["ok"]["data"]["k"], "2", "a dry run leaves nothing behind");

    let inputs = json!({"calls": [], "verify": [write, dry, {"get": {"at": maps(), "name": "a"}}]}).to_string();
    let asked = call("probe.run", &inputs.replace("NS", &stage.plane.namespace));
    let Verified::Unknown(why) = stage.house.runtime().verify(asked).await else { panic!("the probe never knows") };
    assert_eq!(why.matches("`verify` leaves nothing behind").count(), 2, "{why}");
    assert!(why.contains(r#"{"k":"1"}"#), "reads go on: {why}");

    let conflict = json!({"create": {"at": maps(), "body": {"metadata": {"name": "a"}}}});
    for (calls, applied) in [
        (json!([trap]), Applied::No),
        (json!([{"get": {"at": maps(), "name": "a"}}, trap]), Applied::No),
        (json!([dry, trap]), Applied::No),
        (json!([conflict, trap]), Applied::No),
        (json!([write, conflict, trap]), Applied::Maybe),
        (json!([write, trap]), Applied::Maybe),
    ] {
        let failed = stage.make(stage.call("probe.run", calls.clone())).await.unwrap_err();
        assert!(failed.applied == applied && failed.message.contains("trapped"), "{calls}: {failed:?}");
    }

    let stop = CancellationToken::new();
    let sink = Arc::new(Stops(stop.clone()));
    let call = stage.call("probe.run", json!([{"note": {"text": "now"}}, write, {"get": {"at": maps(), "name": "a"}}]));
    let outcomes: Vec<Value> =
        serde_json::from_str(&stage.make(CommandCall { stop, sink, ..call }).await.unwrap().output).unwrap();
    let codes: Vec<_> = outcomes.iter().map(|outcome| outcome["error"]["code"].as_str().unwrap_or("ok")).collect();
    assert_eq!(codes, ["ok", "stopped", "ok"], "{outcomes:?}");
    stage.plane.close().await;
}

/// Cancels the call when it leaves a note.
struct Stops(CancellationToken);

#[async_trait::async_trait]
impl CallSink for Stops {
    fn log(&self, _: LogLevel, _: &str, _: &[(String, String)]) {}

    fn progress(&self, _: u64, _: u64, _: &str) {}

    async fn note(&self, _: String) -> bool {
        self.0.cancel();
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_hold_over_host_calls_and_what_they_answer() {
    let grant = format!("{MAPS}    limits: {{host_calls: 20, memory: 24Mi}}\n");
    let Some(stage) = Stage::open("budget", &grant).await else { return };
    stage.plane.config_map("a", json!({})).await;
    let often = json!({"times": {"times": 21, "act": {"get": {"at": maps(), "name": "a"}}}});
    stage.expect(&[(often, "budget", "20 host calls")]).await;

    // 16 MiB of objects, of which the guest sees names: neither side ever holds them all.
    let large = "x".repeat(512 << 10);
    for index in 0..32 {
        stage.plane.config_map(&format!("large-{index:02}"), json!({"k": large})).await;
    }
    // Each namespace gets this one a moment after it was made.
    let maps_there = stage.plane.api("v1", "ConfigMap", "configmaps");
    eventually("the authority's certificate", async || maps_there.get("kube-root-ca.crt").await.is_ok()).await;
    let list = |fields: Value| json!([{"list": {"at": maps(), "query": {"fields": fields}}}]);
    let done = stage.make(stage.call("probe.run", list(json!(["metadata.name"])))).await.unwrap();
    assert!(done.output.contains("\"count\":34"), "{}", done.output);
    // A page waits in the host while its objects are handed over.
    assert!(done.usage.memory_bytes < 24 << 20 && done.usage.memory_bytes > 2 << 20, "{:?}", done.usage);
    assert!(done.usage.host_calls < 20, "{:?}", done.usage);
    stage.plane.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_a_cluster_says_so() {
    let Some(bytes) = built("probe.wasm") else { return };
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut house = House::new();
    house.put("probe.wasm", &bytes);
    house.grant(&format!("plugins:\n  probe:\n    sha256: \"{digest}\"\n{HTTP}{}", MAPS.replace("NS", "a")));
    house.open().await;
    let inputs = json!({"calls": [{"granted": {}}]}).to_string();
    let done = house.runtime().call(call("probe.run", &inputs)).await.unwrap();
    assert!(done.output.contains("unavailable") && done.output.contains("--kubeconfig"), "{}", done.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_to_which_nobody_granted_its_imports_is_refused_with_what_would_allow_it() {
    let Some(bytes) = built("probe.wasm") else { return };
    let refused = House::verdict("probe.wasm", &bytes, "plugins: {}").await;
    assert_eq!(refused.state, PluginState::Refused);
    assert!(refused.reason.contains("claiflow:plugin/kubernetes") && refused.reason.contains("sha256"), "{refused:?}");
}
