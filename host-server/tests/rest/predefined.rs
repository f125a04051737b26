//! The server's own templates, as a caller meets them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{lists::walk, server::Server};

const CLUSTER: &str = "00000000000000000000000000000000";
const PODS_GET: &str = "/api/v1/template/00000000000000000000000000000001";

async fn with_templates() -> Server {
    let server = Server::start().await;
    server.app.bring_templates().await.unwrap();
    server
}

#[tokio::test]
async fn they_are_listed_by_origin_page_by_page() {
    let server = with_templates().await;
    for (origin, count) in [("predefined", 229), ("system", 6), ("userdefined", 0), ("PREDEFINED", 229)] {
        let whole = server.get(&format!("/api/v1/template?origin={origin}")).await.json();
        assert_eq!(whole.as_array().unwrap().len(), count, "{origin}");
        if count > 0 {
            let pages = walk(&server, format!("/api/v1/template?origin={origin}&limit=50")).await;
            assert_eq!(Value::from(pages), whole, "{origin}");
        }
    }
    let all = server.get("/api/v1/template").await.json();
    let uuids: BTreeSet<&str> = all.as_array().unwrap().iter().map(|row| row["uuid"].as_str().unwrap()).collect();
    assert_eq!(uuids.len(), 235);
}

#[tokio::test]
async fn a_task_s_inputs_are_held_to_what_the_command_takes() {
    let server = with_templates().await;
    server.make("/api/v1/cluster", json!({"uuid": CLUSTER, "name": "c"})).await;
    let create = async |template: &str, inputs: Value| {
        let task = json!({"template_uuid": template, "cluster_uuid": CLUSTER, "inputs": inputs});
        server.write("POST", "/api/v1/service", task.to_string()).await
    };
    let answer = create("00000000000000000000000000000001", json!({"name": "web-1"})).await;
    assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!("/inputs")), "{}", answer.text);
    assert!(answer.text.contains("namespace"), "{}", answer.text);
    let answer = create("00000000000000000000000000000009", json!({"name": "node-1", "namespace": "shop"})).await;
    assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!("/inputs/namespace")));
    let answer = create("00000000000000000000000000000001", json!({"name": "web-1", "namespace": "shop"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let task = &answer.json()[0];
    assert_eq!((&task["name"], &task["summary"]), (&json!("kubernetes_pods_get"), &json!("Reads a Pod")));
}

#[tokio::test]
async fn whoever_changes_one_has_it_and_whoever_deletes_one_is_rid_of_it() {
    let server = with_templates().await;
    assert_eq!(server.get(PODS_GET).await.json()["origin"], "predefined");
    let answer = server.write("PUT", PODS_GET, json!({"summary": "as our runbook says"}).to_string()).await;
    assert_eq!((answer.status, &answer.json()["origin"]), (200, &json!("userdefined")), "{}", answer.text);
    server.app.bring_templates().await.unwrap();
    assert_eq!(server.get(PODS_GET).await.json()["summary"], "as our runbook says");
    assert_eq!(server.write("DELETE", PODS_GET, "").await.status, 200);
    server.app.bring_templates().await.unwrap();
    assert_eq!(server.get(PODS_GET).await.status, 404);
}
