//! What the agent answers for its health, asked over real HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod executor_parts;

use std::{net::SocketAddr, sync::Arc};

use claiflow_agent::{
    executor::{
        Report,
        commands::{CommandEntry, Commands, Inventory, PluginEntry, PluginState},
    },
    health::Health,
    metrics::{Counted, Metrics},
};
use executor_parts::{Heard, PATIENCE, Script, Signals, executor, task};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
};

/// Status and body.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn inventory() -> Inventory {
    let plugin = |name: &str, state, reason: &str| PluginEntry {
        name: name.into(),
        version: "1.2.0".into(),
        digest: [0xab; 32],
        state,
        reason: reason.into(),
        grants: vec![],
        missing: vec![],
        signed_by: vec![],
        built_by: String::new(),
    };
    Inventory {
        commands: vec![CommandEntry {
            name: "restart.run".into(),
            pattern: false,
            plugin: "good".into(),
            summary: "Restarts".into(),
            inputs_schema: String::new(),
            outputs_schema: String::new(),
            effect: "never".into(),
        }],
        plugins: vec![
            plugin("bad", PluginState::Refused, "it is no component"),
            plugin("good", PluginState::Ready, ""),
        ],
    }
}

#[tokio::test]
async fn an_agent_is_ready_when_its_plugins_are_settled_and_the_server_is_there() {
    let metrics = Arc::new(Metrics::register().unwrap());
    let (_sender, receiver) = watch::channel(Arc::new(inventory()));
    let health = Health::new(metrics, receiver);
    let address = health.clone().listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    assert_eq!(get(address, "/healthz").await, (200, "ok\n".into()));
    let ready = get(address, "/readyz").await;
    assert_eq!(ready, (503, r#"{"connected":false,"plugins_settled":false,"journal_writable":false}"#.into()));
    health.settled();
    let ready = get(address, "/readyz").await;
    assert_eq!(ready, (503, r#"{"connected":false,"plugins_settled":true,"journal_writable":false}"#.into()));
    assert_eq!(get(address, "/nothing").await.0, 404);
}

#[tokio::test]
async fn plugins_are_shown_with_the_reason_why_one_does_not_serve() {
    let (_sender, receiver) = watch::channel(Arc::new(inventory()));
    let health = Health::new(Arc::new(Metrics::register().unwrap()), receiver);
    let address = health.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (status, body) = get(address, "/plugins").await;
    let shown: Value = serde_json::from_str(&body).unwrap();
    let sha256 = "ab".repeat(32);
    let expected = json!({
        "plugins": [
            {"name": "bad", "version": "1.2.0", "sha256": sha256, "state": "refused", "reason": "it is no component"},
            {"name": "good", "version": "1.2.0", "sha256": sha256, "state": "ready"},
        ],
        "commands": [{"name": "restart.run", "plugin": "good", "summary": "Restarts", "effect": "never"}],
    });
    assert_eq!((status, shown), (200, expected));
}

#[tokio::test]
async fn calls_are_counted_by_plugin_command_and_outcome() {
    let metrics = Arc::new(Metrics::register().unwrap());
    let doubtful = json!({"fails": "budget", "applied": "maybe"});
    let answers =
        json!([{"ok": 1}, {"ok": 2}, {"fails": "denied"}, {"fails": "made up"}, doubtful, doubtful, doubtful]);
    let verdicts = json!([{"done": 3}, {"not-done": true}, {"unknown": "it is gone"}]);
    let signals = Signals::default();
    let script = Arc::new(Script::new(
        &json!({"c": {"effect": "verify", "answers": answers, "verify": verdicts}}),
        signals.clone(),
    ));
    let counted: Arc<dyn Commands> = Arc::new(Counted::new(script, metrics.clone()));
    let flow = json!([{"$id": "a", "$command": "c"}]);
    for _ in 0..7 {
        let report: Arc<dyn Report> = Arc::new(Heard::new(true));
        executor(counted.clone(), &flow).run(&task(&json!({}), PATIENCE, &signals), &report).await;
    }
    let text = metrics.text(&inventory()).unwrap();
    for line in [
        r#"claiflow_agent_calls_total{command="c",outcome="ok",plugin="tool"} 2"#,
        r#"claiflow_agent_calls_total{command="c",outcome="denied",plugin="tool"} 1"#,
        r#"claiflow_agent_calls_total{command="c",outcome="failed",plugin="tool"} 1"#,
        r#"claiflow_agent_calls_total{command="c",outcome="budget",plugin="tool"} 3"#,
        r#"claiflow_agent_calls_total{command="c",outcome="verified-done",plugin="tool"} 1"#,
        r#"claiflow_agent_calls_total{command="c",outcome="verified-not-done",plugin="tool"} 1"#,
        r#"claiflow_agent_calls_total{command="c",outcome="verified-unknown",plugin="tool"} 1"#,
        r#"claiflow_agent_call_seconds_count{command="c",plugin="tool"} 10"#,
        r#"claiflow_agent_plugin_state{plugin="bad",state="refused"} 1"#,
        "# HELP claiflow_agent_slots Tasks that may run at once.",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
    }
}
