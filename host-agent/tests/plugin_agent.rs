//! What the agent's own plugin gets of the agent: the built plugin `claiflow` under its grant.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod plugin_parts;

use std::time::Duration;

use claiflow_agent::{
    control::{Control, Orders, Rested},
    executor::commands::{CallDone, CallFailed, CommandCall, Commands, Effect, PluginState, Verified},
    plugin::Identity,
};
use plugin_parts::{Guest, House, PATIENCE, built, call, eventually};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

const REBOUNCE: &str = "claiflow.client_pod.rebounce";

/// An agent with the plugin, and the other end of what that asks for.
struct Stage {
    house: House,
    orders: Orders,
    leave: CancellationToken,
    digest: String,
}

impl Stage {
    async fn open() -> Option<Self> {
        let bytes = built("claiflow.wasm")?;
        let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let leave = CancellationToken::new();
        let (control, orders) = Control::new(leave.clone());
        let mut stage = Self { house: House::new(), orders, leave, digest };
        stage.house.config.control = Some(control);
        stage.house.config.identity =
            Identity { cluster: "0".repeat(32), namespace: "claiflowclient".into(), pod: "claiflow-client-0".into() };
        // A debug build on a busy machine.
        stage.house.config.limits.cpu = Duration::from_secs(30);
        stage.house.config.limits.wall = Duration::from_secs(120);
        stage.house.put("claiflow.wasm", &bytes);
        stage.grant("system: [agent, credentials]");
        stage.house.open().await;
        assert_eq!(stage.house.plugin("claiflow").state, PluginState::Ready, "{:?}", stage.house.plugin("claiflow"));
        Some(stage)
    }

    fn grant(&self, system: &str) {
        let grant = format!("{{sha256: \"{}\", commands: [\"claiflow.*\", \"credstor.*\"], {system}}}", self.digest);
        self.house.grant(&format!("plugins: {{claiflow: {grant}}}"));
    }

    async fn run(&self, command: &str, effect: Effect) -> Result<CallDone, CallFailed> {
        self.house.runtime().call(CommandCall { effect, ..call(command, "{}") }).await
    }

    async fn told(&self, command: &str, effect: Effect) -> Value {
        let done = self.run(command, effect).await.unwrap_or_else(|failed| panic!("{command}: {failed:?}"));
        serde_json::from_str(&done.output).unwrap()
    }
}

fn names(plugins: &Value) -> Vec<&str> {
    plugins["plugins"].as_array().unwrap().iter().map(|plugin| plugin["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebounce_waits_for_its_agent_and_then_asks_it_to_leave() {
    let Some(mut stage) = Stage::open().await else { return };
    let runtime = stage.house.runtime();
    let running = tokio::spawn(async move {
        let rebounce = CommandCall { effect: Effect::Idempotent, ..call(REBOUNCE, "{}") };
        runtime.call(rebounce).await
    });
    let rest = tokio::time::timeout(PATIENCE, stage.orders.next()).await.expect("rest is asked for").unwrap();
    assert_eq!(rest.task, "0123456789abcdef0123456789abcdef");
    assert_eq!(rest.grace, Duration::from_secs(30));
    assert!(!stage.leave.is_cancelled(), "it left before the others had ended");
    rest.done.send(Rested { handed_back: 1, leased: 0 }).unwrap();
    let done = running.await.unwrap().unwrap();
    assert!(stage.leave.is_cancelled());
    let said: String = serde_json::from_str(&done.output).unwrap();
    assert!(said.contains("claiflow-client-0"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_the_agent_is_refused_to_reads_and_to_whoever_is_not_granted_it() {
    let Some(stage) = Stage::open().await else { return };
    // A call that may be made again at any time leaves nothing behind.
    for command in [REBOUNCE, "claiflow.plugin.reload"] {
        let failed = stage.run(command, Effect::Read).await.unwrap_err();
        assert_eq!(failed.code, "denied", "{failed:?}");
    }
    let upgrade = || CommandCall { effect: Effect::Verify, ..call("claiflow.client.upgrade", r#"{"image_tag": "1"}"#) };
    let Verified::NotDone = stage.house.runtime().verify(upgrade()).await else { panic!("it left no note") };
    // There is no cluster here: it fails before anything is changed.
    let failed = stage.house.runtime().call(upgrade()).await.unwrap_err();
    assert_eq!(format!("{:?}", failed.applied), "No", "{failed:?}");
    assert!(!stage.leave.is_cancelled());
    // Another part of the agent is granted alone: it loads, and this part is refused at the call.
    stage.grant("system: [credentials]");
    eventually("the agent is not granted any more", async || {
        let listed = stage.run("claiflow.plugin.list", Effect::Read).await;
        listed.is_err_and(|failed| failed.code == "denied" && failed.message.contains("system: [agent]"))
    })
    .await;
    // A grant that is withdrawn sets it aside: its imports are not granted any more.
    stage.grant("system: []");
    stage
        .house
        .until("it is refused", |inventory| inventory.plugins.iter().all(|it| it.state == PluginState::Refused))
        .await;
    let plugin = stage.house.plugin("claiflow");
    assert!(plugin.reason.contains("which nobody granted"), "{plugin:?}");
    assert!(plugin.missing.iter().any(|import| import.starts_with("claiflow:plugin/agent-control")), "{plugin:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_are_told_as_they_are_and_looked_at_when_somebody_asks() {
    let Some(stage) = Stage::open().await else { return };
    let listed = stage.told("claiflow.plugin.list", Effect::Read).await;
    assert_eq!(names(&listed), ["claiflow"]);
    let own = &listed["plugins"][0];
    assert_eq!((own["state"].as_str(), own["sha256"].as_str()), (Some("ready"), Some(stage.digest.as_str())));
    let commands = own["commands"].as_array().unwrap();
    assert!([REBOUNCE, "claiflow.client.upgrade"].iter().all(|it| commands.contains(&json!(it))), "{own}");

    // A new file is served when the call answers, whether the directory's watch saw it first or not.
    stage.house.put("tool.wasm", &Guest::new("tool", r#"[{"name":"tool.run"}]"#).build());
    let reloaded = stage.told("claiflow.plugin.reload", Effect::Idempotent).await;
    assert_eq!(names(&reloaded), ["claiflow", "tool"]);
    assert_eq!(reloaded["plugins"][1]["commands"], json!(["tool.run"]));
    assert!(stage.house.call("tool.run", "{}").await.is_ok());
    // What changes nothing changes nothing.
    let again = stage.told("claiflow.plugin.reload", Effect::Idempotent).await;
    assert_eq!(again["changes"], json!([]));

    // What is refused says why, and takes nobody's place.
    stage.house.put("tool.wasm", b"no component");
    let broken = stage.told("claiflow.plugin.reload", Effect::Idempotent).await;
    assert_eq!(broken["plugins"][1]["state"], "kept");
    assert!(!broken["plugins"][1]["reason"].as_str().unwrap().is_empty(), "{broken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_serves_tasks_there_is_nobody_to_leave() {
    let Some(mut stage) = Stage::open().await else { return };
    stage.orders = Orders::none();
    let failed = stage.run(REBOUNCE, Effect::Idempotent).await.unwrap_err();
    assert_eq!(failed.code, "unavailable", "{failed:?}");
    assert!(!stage.leave.is_cancelled());
}
