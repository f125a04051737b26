//! Lists as callers see them.

use serde_json::{Value, json};

use crate::server::{Answer, Server};

fn uuid(number: usize) -> String {
    format!("{number:032x}")
}

async fn filled(clusters: usize) -> Server {
    let server = Server::start().await;
    for number in 0..clusters {
        let summary = (number % 2 > 0).then(|| format!("summary {}", number % 3));
        let labels = json!({"region": if number % 4 > 0 { "eu" } else { "us" }, "number": number.to_string()});
        let body =
            json!({"uuid": uuid(number), "name": format!("Cluster {number}"), "summary": summary, "labels": labels});
        server.make("/api/v1/cluster", body).await;
    }
    let flow = json!([{"$id": "step1", "$command": "helloworld", "inputs": "$inputs"}]);
    server.make("/api/v1/template", json!({"uuid": "t-1", "name": "T", "flow": flow})).await;
    server
}

fn query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    format!("/api/v1/{path}?{}", query.finish())
}

async fn list(server: &Server, path: &str, parameters: &[(&str, &str)]) -> Vec<Value> {
    let answer = server.get(&query(path, parameters)).await;
    assert_eq!(answer.status, 200, "{path} {parameters:?}: {}", answer.text);
    answer.json().as_array().unwrap().clone()
}

fn next(answer: &Answer) -> Option<String> {
    Some(answer.header("link").strip_prefix('<')?.split_once('>')?.0.to_owned())
}

fn names(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_query_joins_plain_filters_orders_and_pages() {
    let server = filled(12).await;
    let all = list(&server, "cluster", &[("q", "(LIKE name \"cluster 1%\")"), ("o", "{\"DESC\":[\"name\"]}")]).await;
    assert_eq!(names(&all), ["Cluster 11", "Cluster 10", "Cluster 1"]);
    let one = list(&server, "cluster", &[("q", "{\"LIKE\":{\"name\":\"%1%\"}}"), ("name", "cluster 11")]).await;
    assert_eq!(names(&one), ["Cluster 11"]);
    let page = list(&server, "cluster", &[("o", "{\"DESC\":[\"name\"]}"), ("p", "{\"limit\":\"2\",\"page\":2}")]).await;
    assert_eq!(names(&page), ["Cluster 7", "Cluster 6"]);
    let absent = list(&server, "cluster", &[("q", "(AND (ISNULL summary) (LTE created 2999-01-01))")]).await;
    assert_eq!(absent.len(), 6);
    let labelled = list(&server, "cluster", &[("labels", "region=us")]).await;
    assert_eq!(names(&labelled), ["Cluster 0", "Cluster 4", "Cluster 8"]);
    let labelled = list(&server, "cluster", &[("labels", "region=US,number=4")]).await;
    assert_eq!(names(&labelled), ["Cluster 4"]);
    let early = list(&server, "cluster", &[("created_before", "2020-01-01T00:00:00Z")]).await;
    assert!(early.is_empty());
}

#[tokio::test]
async fn pages_by_cursor_and_by_number_give_each_row_once() {
    let server = filled(9).await;
    for (parameters, with) in [
        (vec![("q", "(LIKE name \"cluster %\")"), ("limit", "2")], "cursor="),
        (vec![("q", "(NOT (EQ name x))"), ("o", "{\"DESC\":[\"summary\",\"name\"]}"), ("limit", "2")], "p="),
        (vec![("p", "{\"limit\":4}")], "p="),
    ] {
        let (mut path, mut rows) = (Some(query("cluster", &parameters)), Vec::new());
        while let Some(page) = path {
            let answer = server.get(&page).await;
            assert_eq!(answer.status, 200, "{page}: {}", answer.text);
            rows.extend(answer.json().as_array().unwrap().clone());
            path = next(&answer);
            assert!(path.as_ref().is_none_or(|path| path.contains(with)), "{path:?}");
        }
        let mut names = names(&rows);
        names.sort_unstable();
        names.dedup();
        assert_eq!((rows.len(), names.len()), (9, 9), "{parameters:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_answered_is_told_by_parameter_and_place() {
    let server = filled(1).await;
    for (path, parameters, words) in [
        ("cluster", vec![("q", "(EQ nam a)")], vec!["`q`, character 5", "did you mean `name`"]),
        ("cluster", vec![("q", "(EQ name a))")], vec!["character 12"]),
        ("session", vec![("o", "{\"ASC\":[\"nam\"]}")], vec!["`o`, character 9"]),
        ("template", vec![("p", "{\"limit\":0}")], vec!["`p`, character 10"]),
        ("service", vec![("p", "{\"limit\":100,\"page\":101}")], vec!["`p`", "10000"]),
        ("service", vec![("p", "{\"page\":1}"), ("cursor", "1")], vec!["`p` and `cursor`"]),
        ("cluster", vec![("o", "{}"), ("cursor", "1")], vec!["`o` and `cursor`"]),
        ("cluster", vec![("o", "{}"), ("order", "asc")], vec!["`o` and `order`"]),
        ("cluster", vec![("p", "{\"limit\":1}"), ("limit", "1")], vec!["`p` and `limit`"]),
        ("cluster_token", vec![("q", "(LIKE token \"%\")")], vec!["`token`", "EQ alone"]),
        ("cluster", vec![("labels", "region")], vec!["`labels`", "region=eu"]),
        ("service", vec![("labels", "a=b,%=c")], vec!["`%=c`"]),
        ("cluster", vec![("qq", "1")], vec!["`qq`", "did you mean `q`"]),
        ("cluster/00000000000000000000000000000000/plugin", vec![("q", "()")], vec!["`q` is unknown"]),
    ] {
        let answer = server.get(&query(path, &parameters)).await;
        assert_eq!(answer.status, 400, "{path} {parameters:?}: {}", answer.text);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        for word in words {
            assert!(detail.contains(word), "{path} {parameters:?}: {detail} does not say {word}");
        }
    }
}

#[tokio::test]
async fn a_secret_is_found_by_the_whole_of_it_alone() {
    let server = filled(1).await;
    let token = json!({"name": "t", "cluster_uuid": uuid(0), "token": "The Secret"});
    server.make("/api/v1/cluster_token", token).await;
    assert_eq!(list(&server, "cluster_token", &[("q", "(EQ token \"The Secret\")")]).await.len(), 1);
    assert!(list(&server, "cluster_token", &[("q", "(EQ token \"the secret\")")]).await.is_empty());
    server.app.authenticate(&uuid(0), "The Secret", "0.1.0").await.unwrap();
    assert_eq!(list(&server, "session", &[("q", "(GT id 0)")]).await.len(), 1);
    assert!(list(&server, "session", &[("q", "(EQ token \"********\")")]).await.is_empty());
}

#[tokio::test]
async fn a_long_list_is_sent_in_pieces_and_is_whole() {
    const CLUSTERS: usize = 1_203;
    let server = filled(CLUSTERS).await;
    let answer = server.get("/api/v1/cluster").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let rows = answer.json();
    let rows: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["uuid"].as_str().unwrap()).collect();
    assert_eq!(rows, (0..CLUSTERS).map(uuid).collect::<Vec<_>>());
    let some = list(&server, "cluster", &[("q", "(LIKE name \"%0\")"), ("order", "desc")]).await;
    assert_eq!(some.len(), CLUSTERS.div_ceil(10));
    assert_eq!(list(&server, "cluster", &[("o", "{\"ASC\":[\"name\"]}")]).await.len(), CLUSTERS);
}

#[tokio::test]
async fn tasks_are_found_by_what_an_index_serves_and_else_within_a_window() {
    let server = filled(3).await;
    for number in 0..3 {
        let clusters = [uuid(0), uuid(1)];
        let body = json!({"template_uuid": "t-1", "cluster_uuids": clusters, "name": format!("task {number}"), "priority": number, "uuid": uuid(100 + number)});
        server.make("/api/v1/service", body).await;
    }
    let (fan_out, cluster) = (format!("(EQ uuid {})", uuid(101)), format!("(EQ cluster_uuid {})", uuid(1)));
    for (parameters, count, is_confined) in [
        (vec![], 6, false),
        (vec![("q", "(GT created 2020-01-01)")], 6, false),
        (vec![("q", "(BETWEEN pdate 2020-01-01 2999-01-01)")], 6, false),
        (vec![("q", cluster.as_str())], 3, false),
        (vec![("q", fan_out.as_str())], 2, false),
        (vec![("q", fan_out.as_str()), ("name", "TASK 1")], 2, false),
        (vec![("state", "ready")], 6, false),
        (vec![("state", "failed")], 0, false),
        (vec![("name", "Task 1")], 2, true),
        (vec![("q", "(EQ template_uuid T-1)")], 6, true),
        (vec![("q", "(NOT (GT created 2999-01-01))")], 6, true),
        (vec![("q", "(AND (EQ priority 2) (GT created 2020-01-01))")], 2, false),
        (vec![("o", "{\"DESC\":[\"priority\"]}")], 6, true),
    ] {
        assert_eq!(list(&server, "service", &parameters).await.len(), count, "{parameters:?}");
        // The window stands in the link to the next page.
        let mut first = parameters.clone();
        first.push(("limit", "1"));
        let answer = server.get(&query("service", &first)).await;
        if count > 1 {
            let link = next(&answer).unwrap_or_else(|| panic!("{parameters:?}"));
            assert_eq!(link.contains("created_after="), is_confined, "{parameters:?}: {link}");
        }
    }
    let urgent =
        list(&server, "service", &[("o", "{\"DESC\":[\"priority\",\"cluster_uuid\"]}"), ("p", "{\"limit\":3}")]).await;
    let urgent: Vec<_> =
        urgent.iter().map(|row| (row["priority"].as_i64().unwrap(), row["cluster_uuid"].as_str().unwrap())).collect();
    assert_eq!(urgent, [(2, uuid(1).as_str()), (2, uuid(0).as_str()), (1, uuid(1).as_str())]);
    let before = [("created_before", "2020-01-02T00:00:00Z"), ("q", "(EQ priority 2)")];
    assert!(list(&server, "service", &before).await.is_empty());
}

#[tokio::test]
async fn a_caller_whose_scope_is_narrow_is_shown_what_is_in_it() {
    use claiflow_server::model::{
        list::{Listing, TaskListing},
        people::Scope,
        query::{Filter, Resource, parse},
    };
    let server = filled(3).await;
    let body = json!({"template_uuid": "t-1", "cluster_uuids": [uuid(0), uuid(1)], "name": "n"});
    server.make("/api/v1/service", body).await;
    let scope = Scope { clusters: Some(vec![uuid(1).to_uppercase(), uuid(2)]), templates: Some(vec!["T-1".into()]) };
    let asked = parse(Resource::Cluster, "(OR (EQ name \"cluster 0\") (EQ name \"cluster 1\"))").unwrap();
    let all = Listing::<i64> {
        equal: vec![],
        filter: asked.and(Resource::Cluster.within(&scope)),
        order: vec![],
        after: None,
        descending: false,
        limit: None,
        offset: 0,
    };
    let shown = server.store.clusters(&all).await.unwrap();
    assert_eq!(shown.iter().map(|cluster| cluster.name.as_str()).collect::<Vec<_>>(), ["Cluster 1"]);
    for (scope, count) in [
        (scope, 1),
        (Scope { clusters: None, templates: Some(vec![]) }, 0),
        (Scope { clusters: Some(vec![]), templates: None }, 0),
        (Scope::default(), 2),
    ] {
        let listing = TaskListing {
            filter: Filter::default().and(Resource::Service.within(&scope)),
            limit: 10,
            ..TaskListing::default()
        };
        assert_eq!(server.store.tasks(&listing).await.unwrap().len(), count, "{scope:?}");
    }
}
