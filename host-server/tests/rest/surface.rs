//! What surrounds the resources: prefix, Swagger UI, health, compression, a database that is away, sizes.

use std::io::Write as _;

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::server::Server;

const CLUSTER: &str = "00000000000000000000000000000000";

#[tokio::test]
async fn every_path_is_under_the_prefix_and_swagger_finds_its_document() {
    let server = Server::start_under("/a/b").await;
    for (path, status) in [
        ("/a/b/api/v1/cluster", 200),
        ("/a/b/healthz", 200),
        ("/a/b/metrics", 200),
        ("/a/b/swagger/index.html", 200),
        ("/api/v1/cluster", 404),
        ("/a/b/api/v1/clusters", 404),
        ("/healthz", 404),
    ] {
        assert_eq!(server.get(path).await.status, status, "{path}");
    }
    let script = server.get("/a/b/swagger/swagger-initializer.js").await;
    assert!(script.text.contains("/a/b/swagger/openapi.json"), "{}", script.text);
    let document = server.get("/a/b/swagger/openapi.json").await.json();
    assert_eq!(document["servers"], json!([{"url": "/a/b"}]));
    server.make("/a/b/api/v1/cluster", json!({"uuid": CLUSTER, "name": "one"})).await;
    server.make("/a/b/api/v1/cluster", json!({"name": "two"})).await;
    let answer = server.get("/a/b/api/v1/cluster?limit=1").await;
    assert!(answer.header("link").starts_with("</a/b/api/v1/cluster?limit=1&cursor="), "{}", answer.header("link"));
}

#[tokio::test]
async fn swaggers_examples_are_taken_as_they_stand() {
    let server = Server::start().await;
    let document = server.get("/swagger/openapi.json").await.json();
    for (path, schema) in [
        ("/api/v1/cluster", "ClusterBody"),
        ("/api/v1/cluster_token", "TokenBody"),
        ("/api/v1/template", "TemplateBody"),
        ("/api/v1/service", "ServiceBody"),
    ] {
        let properties = document["components"]["schemas"][schema]["properties"].as_object().unwrap();
        let example =
            |property: &Value| property.get("example").cloned().or_else(|| property["examples"].get(0).cloned());
        let body: Value = properties
            .iter()
            .filter_map(|(name, property)| Some((name.clone(), example(property)?)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let mut body = body;
        // The same cluster may be named in two ways, and one is enough.
        if schema == "ServiceBody" {
            body.as_object_mut().unwrap().remove("cluster_uuid");
        }
        server.make(path, body).await;
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_try_again_and_says_nothing_of_the_cause() {
    let server = Server::start().await;
    server.lose_database().await;
    for (method, path, body) in [
        ("GET", "/api/v1/cluster", ""),
        ("GET", "/api/v1/service?state=failed", ""),
        ("GET", "/readyz", ""),
        ("DELETE", "/api/v1/cluster/00000000000000000000000000000000", ""),
        ("POST", "/api/v1/cluster_token", r#"{"name":"t","cluster_uuid":"00000000000000000000000000000000"}"#),
    ] {
        let answer = server.write(method, path, body).await;
        assert_eq!(answer.status, 503, "{method} {path}: {}", answer.text);
        assert_eq!(answer.json()["type"], "unavailable");
        assert!(!answer.text.to_lowercase().contains("pool"), "{}", answer.text);
    }
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn bodies_are_compressed_both_ways_and_limited_after_decompression() {
    let server = Server::start().await;
    let packed = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let post = |body: Vec<u8>, encoding: &str| {
        Request::post("/api/v1/cluster")
            .header("content-type", "application/json")
            .header("content-length", body.len())
            .header("content-encoding", encoding)
            .header("accept-encoding", "gzip")
            .body(Body::from(body))
            .unwrap()
    };
    let fits = packed(br#"{"name":"packed"}"#);
    let answer = server.send(post(fits.clone(), "gzip")).await;
    assert_eq!((answer.status, answer.header("content-encoding")), (200, "gzip"));
    let bomb = packed(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    for (body, encoding, status) in [(bomb, "gzip", 413), (b"not gzip".to_vec(), "gzip", 400), (fits, "zstd", 415)] {
        let answer = server.send(post(body, encoding)).await;
        assert_eq!(answer.status, status, "{encoding}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert_eq!(server.write("POST", "/api/v1/cluster", vec![b' '; 5 << 20]).await.status, 413);
}

#[tokio::test]
async fn inputs_that_no_offer_could_carry_are_refused_with_their_size() {
    let server = Server::start().await;
    let flow = json!([{"$id": "a", "$command": "helloworld", "inputs": "$inputs"}]);
    server.make("/api/v1/cluster", json!({"uuid": CLUSTER, "name": "c"})).await;
    server.make("/api/v1/template", json!({"uuid": "t", "name": "t", "flow": flow})).await;
    let text = "x".repeat(2 << 20);
    let task = json!({"template_uuid": "t", "cluster_uuids": [CLUSTER], "inputs": {"text": text}});
    let answer = server.write("POST", "/api/v1/service", task.to_string()).await;
    assert_eq!(
        (answer.status, answer.json()["errors"][0]["pointer"].clone()),
        (422, json!("/inputs")),
        "{}",
        answer.text
    );
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let task = format!(r#"{{"template_uuid":"t","cluster_uuid":"{CLUSTER}","inputs":{{"deep":{deep}}}}}"#);
    let answer = server.write("POST", "/api/v1/service", task).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("nested deeper"), "{}", answer.text);
    let flow = format!(r#"[{{"$id":"a","$command":"{}"}}]"#, "c".repeat(2 << 20));
    let answer = server.write("POST", "/api/v1/template", format!(r#"{{"name":"t","flow":{flow}}}"#)).await;
    assert_eq!(answer.status, 422);
}

#[tokio::test]
async fn metrics_count_by_route_pattern_and_take_no_callers_words() {
    let server = Server::start().await;
    server.get("/api/v1/cluster/unheard-of").await;
    server.send(Request::builder().method("SHOUT").uri("/api/v1/cluster/loud").body(Body::empty()).unwrap()).await;
    let text = server.get("/metrics").await.text;
    for part in [
        r#"http_server_requests_total{code="404",method="GET",url="/api/v1/cluster/{uuid}"} 1"#,
        r#"http_server_request_duration_seconds_count{code="405",method="other",url="/api/v1/cluster/{uuid}"} 1"#,
        "http_server_request_size_bytes_bucket",
        "http_server_response_size_bytes_bucket",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("SHOUT") && !text.contains("unheard-of"));
}
