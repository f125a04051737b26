//! The audit trail: a row for every change, with no secret in it.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::{
    stage::{A, B, Stage},
    world::World,
};

promises![
    every_change_has_a_row_that_names_who_and_what,
    what_was_denied_has_a_row_too,
    the_trail_is_listed_by_pages_and_exported_as_lines,
];

async fn every_change_has_a_row_that_names_who_and_what(world: World) {
    let stage = Stage::start(&world).await;
    let secret = "A-SECRET-OF-AGENTS";
    stage.furnish().await;
    let task = stage.task(A, "t").await;
    let token = stage.make("/api/v1/cluster_token", json!({"name": "n", "cluster_uuid": A, "token": secret})).await;
    let token = token["uuid"].as_str().unwrap();
    let session = stage.app.authenticate(A, secret, "1").await.unwrap();
    let session = stage.app.session_of(&session.0).await.unwrap().0.uuid;
    let person = stage.make("/api/v1/api_token", json!({"name": "p", "role": "viewer"})).await;
    let shown = person["token"].as_str().unwrap();
    let person = person["uuid"].as_str().unwrap();
    let before = stage.trail().await.len();
    let task_path = format!("/api/v1/cluster/{A}/service/{task}");
    let changes = [
        (format!("PUT /api/v1/cluster/{A}"), json!({"summary": "s"}), "change_cluster", "cluster", A),
        (
            format!("PUT /api/v1/cluster_token/{token}"),
            json!({"token": "ANOTHER-SECRET"}),
            "change_token",
            "cluster_token",
            token,
        ),
        (format!("PUT /api/v1/cluster_token/{token}/refresh"), Value::Null, "refresh_token", "cluster_token", token),
        (format!("DELETE /api/v1/session/{session}"), Value::Null, "revoke_session", "session", session.as_str()),
        (format!("PUT /api/v1/cluster_token/{token}/expire"), Value::Null, "expire_token", "cluster_token", token),
        (format!("DELETE /api/v1/cluster_token/{token}"), Value::Null, "delete_token", "cluster_token", token),
        ("PUT /api/v1/template/t".to_owned(), json!({"summary": "s"}), "change_template", "template", "t"),
        ("DELETE /api/v1/template/u".to_owned(), Value::Null, "delete_template", "template", "u"),
        (format!("POST {task_path}/pause"), Value::Null, "pause_service", "service", task.as_str()),
        (format!("POST {task_path}/resume"), Value::Null, "resume_service", "service", task.as_str()),
        (format!("POST {task_path}/cancel"), Value::Null, "cancel_service", "service", task.as_str()),
        (
            format!("PUT /api/v1/api_token/{person}"),
            json!({"role": "operator"}),
            "change_api_token",
            "api_token",
            person,
        ),
        (format!("DELETE /api/v1/api_token/{person}"), Value::Null, "delete_api_token", "api_token", person),
        (format!("DELETE /api/v1/cluster/{B}"), Value::Null, "delete_cluster", "cluster", B),
    ];
    for (index, (call, body, ..)) in changes.iter().enumerate() {
        let (method, path) = call.split_once(' ').unwrap();
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", stage.admin))
            .header("content-type", "application/json")
            .header("content-length", text.len())
            .header("x-request-id", format!("request-{index}"))
            .body(Body::from(text))
            .unwrap();
        let answer = stage.send(request).await;
        assert_eq!(answer.status, 200, "{call}: {}", answer.text);
    }
    let trail = stage.trail().await;
    let rows = &trail[before..];
    assert_eq!(rows.len(), changes.len(), "{rows:?}");
    for (index, (row, (call, _, operation, noun, uuid))) in rows.iter().zip(&changes).enumerate() {
        assert_eq!(row["operation"], *operation, "{call}: {row}");
        assert_eq!((&row["resource_type"], &row["resource_uuid"]), (&json!(noun), &json!(uuid)), "{call}: {row}");
        assert_eq!((&row["code"], &row["request_id"]), (&json!(200), &json!(format!("request-{index}"))), "{row}");
        assert!(row["caller"].as_str().unwrap().starts_with("token:root-"), "{row}");
        let is_digest = |name: &str| row[name].as_str().is_some_and(|text| text.len() == 64);
        let is_gone = call.starts_with("DELETE");
        assert_eq!((is_digest("digest_before"), is_digest("digest_after")), (true, !is_gone), "{call}: {row}");
        assert_ne!(row["digest_before"], row["digest_after"], "{call}: {row}");
    }
    let created: Vec<&Value> = trail.iter().filter(|row| row["operation"] == "create_service").collect();
    assert_eq!(created.len(), 1);
    assert_eq!((&created[0]["resource_uuid"], &created[0]["cluster_uuid"]), (&json!(task), &json!(A)));
    for operation in ["create_cluster", "create_template", "create_token", "create_api_token"] {
        let row = trail.iter().find(|row| row["operation"] == operation).unwrap_or_else(|| panic!("{operation}"));
        assert!(row["digest_before"].is_null() && row["digest_after"].is_string(), "{row}");
    }
    let text = serde_json::to_string(&trail).unwrap();
    for planted in [secret, "ANOTHER-SECRET", shown, stage.admin.as_str()] {
        assert!(!text.contains(planted), "{planted}");
    }
    // What changed nothing has no row, nor has what was only read.
    stage.call(&stage.admin, &format!("DELETE /api/v1/cluster/{}", "9".repeat(32)), Value::Null).await;
    stage.call(&stage.admin, &format!("PUT /api/v1/cluster/{}", "9".repeat(32)), json!({})).await;
    let flow = json!([{"$id": "s", "$command": "helloworld"}]);
    stage.make("/api/v1/template?dry_run", json!({"uuid": "dry", "name": "dry", "flow": flow})).await;
    assert_eq!(stage.trail().await.len(), trail.len());
}

async fn what_was_denied_has_a_row_too(world: World) {
    let stage = Stage::start(&world).await;
    stage.furnish().await;
    let viewer = stage.token("viewer", json!({"role": "viewer"})).await;
    let scoped = stage.token("scoped", json!({"role": "admin", "clusters": [A]})).await;
    let before = stage.trail().await.len();
    for (token, call, status) in [
        (&viewer, format!("DELETE /api/v1/cluster/{A}"), 403),
        (&viewer, "GET /api/v1/audit".to_owned(), 403),
        (&scoped, format!("DELETE /api/v1/cluster/{B}"), 404),
        (&viewer, "GET /api/v1/cluster".to_owned(), 200),
        (&String::new(), format!("DELETE /api/v1/cluster/{A}"), 401),
    ] {
        let answer = stage.call(token, &call, Value::Null).await;
        assert_eq!(answer.status, status, "{call}: {}", answer.text);
    }
    let rows = &stage.trail().await[before..];
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row["caller"].as_str().unwrap(), row["operation"].as_str().unwrap(), row["code"].as_i64().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("token:viewer", "delete_cluster", 403),
            ("token:viewer", "list_audit", 403),
            ("token:scoped", "delete_cluster", 404)
        ]
    );
    let words = rows[0]["detail"].as_str().unwrap();
    assert!(words.contains("needs the role `admin`") && words.contains("token:viewer"), "{words}");
}

async fn the_trail_is_listed_by_pages_and_exported_as_lines(world: World) {
    let stage = Stage::start(&world).await;
    for index in 0..7 {
        stage.make("/api/v1/cluster", json!({"name": format!("c{index}")})).await;
    }
    let mut path = "/api/v1/audit?operation=create_cluster&limit=3".to_owned();
    let mut pages = vec![];
    loop {
        let answer = stage.get(&stage.admin, &path).await;
        let rows = answer.json();
        pages.push(rows.as_array().unwrap().clone());
        let Some((link, _)) = answer.header("link").split_once('>') else { break };
        path = link.trim_start_matches('<').to_owned();
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    let ids: Vec<i64> = pages.concat().iter().map(|row| row["id"].as_i64().unwrap()).collect();
    assert!(ids.is_sorted_by(|one, next| one > next), "{ids:?}");
    let export = stage.get(&stage.admin, "/api/v1/audit/export").await;
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = export.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, stage.trail().await);
    let one = &pages[0][0];
    let uuid = one["resource_uuid"].as_str().unwrap();
    for (query, count) in [
        (format!("resource_uuid={uuid}"), 1),
        (format!("resource_uuid={}-{}", &uuid[..8], &uuid[8..]), 1),
        (format!("request_id={}", one["request_id"].as_str().unwrap()), 1),
        ("code=200&resource_type=cluster".to_owned(), 7),
        ("code=403".to_owned(), 0),
        ("caller=somebody".to_owned(), 0),
        ("operation=%C3%A9".to_owned(), 0),
        ("created_before=2020-01-01T00:00:00Z".to_owned(), 0),
        ("created_after=2020-01-01T00:00:00Z&resource_type=cluster".to_owned(), 7),
    ] {
        let answer = stage.get(&stage.admin, &format!("/api/v1/audit?{query}")).await;
        assert_eq!(answer.json().as_array().map(Vec::len), Some(count), "{query}: {}", answer.text);
    }
    for query in ["code=x", "code=99999999999", "created_after=x", "limit=0", "cursor=x", "nothing=1"] {
        assert_eq!(stage.get(&stage.admin, &format!("/api/v1/audit?{query}")).await.status, 400, "{query}");
    }
    assert_eq!(stage.get(&stage.admin, "/api/v1/audit/export?created_after=x").await.status, 400);
    let none = stage.get(&stage.admin, "/api/v1/audit/export?created_before=2020-01-01T00:00:00Z").await;
    assert_eq!((none.status, none.text.as_str()), (200, ""));
}
