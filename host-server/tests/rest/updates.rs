//! In an update, absent and null both mean "no change", for every field of every resource: `updates.json` names them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::server::Server;

const CLUSTER: &str = "00000000000000000000000000000000";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    path: String,
    /// What makes the resource.
    body: Option<Value>,
    /// One that is there.
    uuid: Option<String>,
    /// Each field that can change, with another value.
    changes: BTreeMap<String, Value>,
    /// Values that are shown by leaving the field out.
    #[serde(default)]
    absent_when: BTreeMap<String, Value>,
}

/// A resource without the time of its last change, and a template without whose it is.
fn content(mut row: Value) -> Map<String, Value> {
    let row = row.as_object_mut().unwrap();
    row.remove("updated");
    row.remove("origin");
    std::mem::take(row)
}

#[tokio::test]
async fn absent_and_null_change_nothing_and_what_is_given_changes_alone() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("updates.json")).unwrap();
    for case in cases {
        let server = Server::start().await;
        server.make("/api/v1/cluster", json!({"uuid": CLUSTER, "name": "c"})).await;
        let uuid = match (&case.uuid, &case.body) {
            (Some(uuid), _) => uuid.clone(),
            (None, body) => {
                let body = body.as_ref().unwrap().to_string().replace("\"CLUSTER\"", &format!("\"{CLUSTER}\""));
                let made = server.make(&case.path, serde_json::from_str(&body).unwrap()).await;
                made["uuid"].as_str().unwrap().to_owned()
            }
        };
        let path = format!("{}/{uuid}", case.path);
        let put = async |body: Value| {
            let answer = server.write("PUT", &path, body.to_string()).await;
            assert_eq!(answer.status, 200, "PUT {path} {body}: {}", answer.text);
            assert_eq!(answer.header("warning"), "", "PUT {path} {body}");
            let stored = content(server.get(&path).await.json());
            assert_eq!(content(answer.json()), stored, "PUT {path} {body}: the answer is what is stored");
            stored
        };
        let before = content(server.get(&path).await.json());
        assert_eq!(put(json!({})).await, before, "{path}: nothing was given");
        let all_null: Map<String, Value> = case.changes.keys().map(|name| (name.clone(), Value::Null)).collect();
        assert_eq!(put(all_null.into()).await, before, "{path}: all is null");
        let mut expected = before;
        for (name, value) in &case.changes {
            let mut body: Map<String, Value> = case.changes.keys().map(|name| (name.clone(), Value::Null)).collect();
            body.insert(name.clone(), value.clone());
            if case.absent_when.get(name) == Some(value) {
                expected.remove(name);
            } else {
                expected.insert(name.clone(), value.clone());
            }
            assert_eq!(put(body.into()).await, expected, "{path}: only `{name}` was given");
        }
    }
}
