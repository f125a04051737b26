//! The committed OpenAPI document is the one that the server prints.

use claiflow_server::rest::openapi;

#[test]
fn the_committed_document_is_the_servers() {
    let committed = include_str!("../openapi.json");
    assert!(
        committed.trim_end() == openapi().unwrap().trim_end(),
        "host-server/openapi.json is not what the server prints; `cargo xtask openapi` rewrites it"
    );
}

#[test]
fn every_operation_describes_itself_and_each_answer() {
    let document: serde_json::Value = serde_json::from_str(&openapi().unwrap()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{what} has no summary");
            let writes = matches!(method.as_str(), "post" | "put");
            let takes_none = ["/refresh", "/expire", "/cancel", "/pause", "/resume", "/replay"]
                .iter()
                .any(|word| path.ends_with(word));
            assert_eq!(operation["requestBody"].is_object(), writes && !takes_none, "{what}: the body");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{what}: {} is not described", parameter["name"]);
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(response["description"] != "", "{what}: {status} is not described");
                let kinds: Vec<&String> =
                    response["content"].as_object().into_iter().flat_map(|map| map.keys()).collect();
                assert_eq!(kinds == ["application/problem+json"], status != "200", "{what}: {status} is {kinds:?}");
            }
        }
    }
}
