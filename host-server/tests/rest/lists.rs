//! Pages neither skip nor repeat a row, whatever the resource, the order and the size of the page.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::server::{Answer, Server};

const CLUSTERS: usize = 5;
const TASKS: usize = 3;

fn uuid(number: usize) -> String {
    format!("{number:032x}")
}

/// Five clusters with a token each, six templates, and three tasks that run on every cluster.
async fn filled() -> Server {
    let server = Server::start().await;
    for number in 0..CLUSTERS {
        server.make("/api/v1/cluster", json!({"uuid": uuid(number), "name": format!("cluster {}", number % 2)})).await;
        let token = json!({"uuid": uuid(number), "name": "token", "cluster_uuid": uuid(number), "token": "secret"});
        server.make("/api/v1/cluster_token", token).await;
        server.app.authenticate(&uuid(number), "secret", "0.1.0").await.unwrap();
    }
    for number in 0..6 {
        let flow = json!([{"$id": "step1", "$command": "helloworld", "inputs": "$inputs"}]);
        server.make("/api/v1/template", json!({"uuid": format!("t.{number}"), "name": "T", "flow": flow})).await;
    }
    let clusters: Vec<String> = (0..CLUSTERS).map(uuid).collect();
    for number in 0..TASKS {
        let task = json!({"template_uuid": format!("t.{number}"), "cluster_uuids": clusters, "name": format!("Task {number}")});
        server.make("/api/v1/service", task).await;
    }
    server
}

fn next(answer: &Answer) -> Option<String> {
    let (path, rest) = answer.header("link").strip_prefix('<')?.split_once('>')?;
    assert_eq!(rest, "; rel=\"next\"");
    Some(path.to_owned())
}

/// All rows, page after page.
pub(crate) async fn walk(server: &Server, first: String) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut page = Some(first);
    while let Some(path) = page {
        let answer = server.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let list = answer.json();
        assert!(!list.as_array().unwrap().is_empty(), "{path} led to an empty page");
        rows.extend(list.as_array().unwrap().clone());
        page = next(&answer);
    }
    rows
}

fn keys(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| format!("{}{}", row["uuid"], row["cluster_uuid"])).collect()
}

#[tokio::test]
async fn pages_of_any_size_and_order_give_each_row_once() {
    let server = filled().await;
    for (path, count) in [
        ("/api/v1/cluster?", CLUSTERS),
        ("/api/v1/cluster?name=CLUSTER+1&", 2),
        ("/api/v1/cluster_token?", CLUSTERS),
        ("/api/v1/session?", CLUSTERS),
        ("/api/v1/template?origin=userdefined&", 6),
        ("/api/v1/service?", CLUSTERS * TASKS),
        ("/api/v1/service?name=task+1&", CLUSTERS),
        ("/api/v1/service?state=ready&template_uuid=t.2&", CLUSTERS),
        ("/api/v1/service?status=0&created_after=2020-01-01T00:00:00Z&", CLUSTERS * TASKS),
        ("/api/v1/service?cluster_uuid=00000000-0000-0000-0000-000000000003&", TASKS),
    ] {
        let whole = keys(&walk(&server, format!("{path}limit=1000&order=asc")).await);
        assert_eq!(whole.len(), count, "{path}");
        assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), count, "{path} repeats");
        for limit in 1..=count {
            let pages = keys(&walk(&server, format!("{path}limit={limit}&order=asc")).await);
            assert_eq!(pages, whole, "{path} by {limit}");
            let mut back = keys(&walk(&server, format!("{path}limit={limit}&order=desc")).await);
            back.reverse();
            assert_eq!(back, whole, "{path} by {limit}, from the end");
        }
    }
}

#[tokio::test]
async fn a_list_without_paging_gives_all_rows_and_twenty_tasks() {
    let server = filled().await;
    for number in TASKS..TASKS + 2 {
        let clusters: Vec<String> = (0..CLUSTERS).map(uuid).collect();
        server
            .make(
                "/api/v1/service",
                json!({"template_uuid": "t.0", "cluster_uuids": clusters, "name": format!("{number}")}),
            )
            .await;
    }
    for (path, count) in
        [("cluster", CLUSTERS), ("cluster_token", CLUSTERS), ("session", CLUSTERS), ("template", 6), ("service", 20)]
    {
        let answer = server.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.json().as_array().unwrap().len(), count, "{path}");
        assert_eq!(next(&answer).is_some(), path == "service", "{path}: {}", answer.header("link"));
    }
}

#[tokio::test]
async fn a_filter_without_an_index_sees_a_day_and_its_pages_keep_that_window() {
    let server = filled().await;
    let answer = server.get("/api/v1/service?name=task+1&limit=1&created_before=2020-01-02T00:00:00Z").await;
    assert_eq!(answer.json(), json!([]));
    let first = server.get("/api/v1/service?name=task+1&limit=1").await;
    assert!(next(&first).unwrap().contains("created_after="), "{}", first.header("link"));
    let first = server.get("/api/v1/service?limit=1").await;
    assert!(!next(&first).unwrap().contains("created_after="), "{}", first.header("link"));
}
