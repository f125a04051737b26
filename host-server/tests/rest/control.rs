//! What people do with a task that an agent holds or held.

use std::sync::Arc;

use claiflow_server::{
    model::{
        ids::{Source, unhex},
        step::{NEVER, STARTED, StepRow},
        task::{Holder, Lease},
    },
    storage::Claim,
};
use serde_json::{Value, json};

use crate::server::{Answer, Server};

const TASKS: &str = "/api/v1/cluster/00000000000000000000000000000000/service";

/// A server, and a task that an agent holds.
async fn held() -> (Server, String, Arc<Lease>) {
    let server = Server::start().await;
    let flow = json!([{"$id": "a", "$command": "helloworld"}, {"$id": "b", "$command": "helloworld"}]);
    server.make("/api/v1/cluster", json!({"uuid": "00000000000000000000000000000000", "name": "c"})).await;
    server.make("/api/v1/template", json!({"uuid": "t", "name": "t", "flow": flow})).await;
    let task = server.make(TASKS, json!({"template_uuid": "t"})).await;
    let uuid = task["uuid"].as_str().unwrap().to_owned();
    let cluster = server.store.cluster("00000000000000000000000000000000").await.unwrap().unwrap().id;
    let view = server.store.task(cluster, &unhex(&uuid).unwrap()).await.unwrap().unwrap();
    let snapshot = server.store.snapshot(&view.snapshot).await.unwrap().unwrap();
    let snapshots = std::iter::once((snapshot.id, snapshot)).collect();
    let holder = &Holder::Streaming([7; 16]);
    let claim =
        Claim { cluster, snapshots: &snapshots, limit: 1, holder, now_us: Source.now_us(), cluster_limit: None };
    let lease = server.store.claim(&claim, &|| Source.random()).await.unwrap().remove(0);
    (server, uuid, lease)
}

/// Puts the task in doubt, with its first step started where `started`.
async fn doubt(server: &Server, lease: &Lease, started: bool) {
    if started {
        let step = StepRow {
            path: "0".into(),
            attempt: 1,
            top: 0,
            state: STARTED,
            effect: NEVER,
            started: Source.now_us(),
            ended: None,
            output: None,
            used: None,
        };
        server.store.keep_step(lease, &step).await.unwrap();
    }
    assert!(server.store.mark_unknown(lease, "agent_lost: nobody knows").await.unwrap());
}

async fn ask(server: &Server, uuid: &str, what: &str, body: Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    server.write("POST", &format!("{TASKS}/{uuid}/{what}"), body).await
}

#[tokio::test]
async fn what_an_agent_holds_shows_what_was_asked_of_it() {
    let (server, uuid, _lease) = held().await;
    for (what, status, requested) in
        [("resume", 409, false), ("pause", 200, false), ("resume", 200, false), ("cancel", 200, true)]
    {
        let answer = ask(&server, &uuid, what, Value::Null).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
        assert_eq!(answer.json()["state"], "running", "{what}");
        assert_eq!(answer.json().get("cancel_requested").is_some(), requested, "{what}");
    }
}

#[tokio::test]
async fn what_is_in_doubt_is_resolved_and_nothing_else() {
    let (server, uuid, lease) = held().await;
    doubt(&server, &lease, true).await;
    let shown = server.get(&format!("{TASKS}/{uuid}")).await.json();
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("unknown"), &json!("agent_lost: nobody knows")));
    for what in ["cancel", "pause", "resume"] {
        let answer = ask(&server, &uuid, what, Value::Null).await;
        assert_eq!((answer.status, &answer.json()["state"]), (409, &json!("unknown")), "{what}");
        assert!(answer.text.contains("resolve"), "{}", answer.text);
    }
    for (body, words) in [
        (json!({}), "`outcome` is required"),
        (json!({"outcome": "rerun"}), "`reason` is required"),
        (json!({"outcome": "rerun", "reason": ""}), "`reason` is required"),
        (json!({"outcome": "maybe", "reason": "r"}), "`outcome` is `succeeded`, `failed` or `rerun`"),
        (json!({"outcome": "rerun", "reason": "r", "path": "1"}), "`path` is the path of a step in doubt: 0"),
        (json!({"outcome": "rerun", "reason": "r", "outputs": 1}), "`outputs` belongs to the outcome `succeeded`"),
        (json!({"outcome": "rerun", "reason": "r", "pfad": "0"}), "pfad"),
    ] {
        let answer = ask(&server, &uuid, "resolve", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert!(answer.text.contains(words), "{body}: {}", answer.text);
    }
    let settled = json!({"outcome": "succeeded", "outputs": {"revision": 7}, "reason": "the release is there"});
    let answer = ask(&server, &uuid, "resolve", settled.clone()).await;
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("ready")), "{}", answer.text);
    assert_eq!(ask(&server, &uuid, "resolve", settled).await.status, 409, "it is settled once");
}

#[tokio::test]
async fn a_task_of_whose_steps_nothing_is_known_is_resolved_as_a_whole() {
    for (outcome, status, state) in [("succeeded", 400, ""), ("failed", 200, "failed"), ("rerun", 200, "ready")] {
        let (server, uuid, lease) = held().await;
        doubt(&server, &lease, false).await;
        let answer = ask(&server, &uuid, "resolve", json!({"outcome": outcome, "reason": "as the log says"})).await;
        assert_eq!(answer.status, status, "{outcome}: {}", answer.text);
        if status == 200 {
            assert_eq!(answer.json()["state"], state, "{outcome}");
        }
        if state == "failed" {
            assert_eq!(answer.json()["error"], "resolved as failed: as the log says");
        }
    }
}
