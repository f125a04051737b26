//! Whatever is sent, the server does not fail: no 5xx, and every refusal is a problem.

use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::server::Server;

const CLUSTER: &str = "00000000000000000000000000000000";
const WRITES: [(&str, &str); 9] = [
    ("POST", "/api/v1/cluster"),
    ("PUT", "/api/v1/cluster/00000000000000000000000000000000"),
    ("POST", "/api/v1/cluster_token"),
    ("PUT", "/api/v1/cluster_token/00000000000000000000000000000001"),
    ("POST", "/api/v1/template"),
    ("PUT", "/api/v1/template/t"),
    ("POST", "/api/v1/service"),
    ("POST", "/api/v1/cluster/00000000000000000000000000000000/service"),
    ("PUT", "/api/v1/cluster_token/00000000000000000000000000000001/refresh"),
];
const KEYS: [&str; 10] = [
    "uuid",
    "name",
    "summary",
    "flow",
    "inputs",
    "cluster_uuid",
    "cluster_uuids",
    "template_uuid",
    "token",
    "priority",
];

/// One server for all cases: what earlier ones stored is part of what later ones meet.
fn server() -> &'static (Runtime, Server) {
    static SERVER: OnceLock<(Runtime, Server)> = OnceLock::new();
    SERVER.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(async {
            let server = Server::start().await;
            server.make("/api/v1/cluster", json!({"uuid": CLUSTER, "name": "c"})).await;
            let token = json!({"uuid": "00000000000000000000000000000001", "name": "t", "cluster_uuid": CLUSTER});
            server.make("/api/v1/cluster_token", token).await;
            let flow = json!([{"$id": "a", "$command": "c", "inputs": "$inputs"}]);
            server.make("/api/v1/template", json!({"uuid": "t", "name": "t", "flow": flow})).await;
            server
        });
        (runtime, server)
    })
}

fn survives(method: &str, path: &str, body: Vec<u8>) {
    let (runtime, server) = server();
    let shown = String::from_utf8_lossy(&body).into_owned();
    let answer = runtime.block_on(server.write(method, path, body));
    assert!(answer.status < 500, "{method} {path} {shown}: {} {}", answer.status, answer.text);
    if answer.status >= 400 {
        assert_eq!(answer.json()["status"], answer.status, "{method} {path} {shown}");
    }
}

/// JSON that is likely to look like what is expected.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        prop::sample::select(vec![CLUSTER, "t", "$inputs", "$a.outputs", "$inputs | env", "[]", "{}"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let keys = prop::sample::select([&KEYS[..], &["$id", "$command", "$range", "$steps", "type", "$ref"]].concat());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((keys.prop_map(str::to_owned), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn any_body() -> impl Strategy<Value = Value> {
    prop::collection::vec((prop::sample::select(KEYS.to_vec()), any_json()), 0..8)
        .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_make_the_server_fail(
        write in prop::sample::select(WRITES.to_vec()),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        survives(write.0, write.1, body);
    }

    #[test]
    fn random_json_never_makes_the_server_fail(
        write in prop::sample::select(WRITES.to_vec()),
        body in prop_oneof![any_json(), any_body()],
    ) {
        survives(write.0, write.1, body.to_string().into_bytes());
    }

    #[test]
    fn random_paths_and_queries_never_make_the_server_fail(
        resource in prop::sample::select(vec!["cluster", "cluster_token", "session", "template", "service"]),
        tail in "(/[a-z0-9%./-]{0,20}){0,2}(\\?(limit|cursor|order|name|state|created_after|origin|x)=[a-zA-Z0-9%+.:-]{0,20}){0,1}",
    ) {
        let path = format!("/api/v1/{resource}{tail}");
        prop_assume!(path.parse::<axum::http::Uri>().is_ok());
        let (runtime, server) = server();
        let answer = runtime.block_on(server.get(&path));
        prop_assert!(answer.status < 500, "{path}: {} {}", answer.status, answer.text);
    }
}

#[test]
fn sql_in_any_text_comes_back_as_text() {
    let (runtime, server) = server();
    for text in [
        "'; DROP TABLE cluster; --",
        "\" OR \"1\"=\"1",
        "x' UNION SELECT token FROM cluster_token --",
        "%_\\%",
        "?1 $1 :name @x",
        "a\u{0}b",
        "😀 \u{202e} é",
    ] {
        runtime.block_on(async {
            let cluster = server.make("/api/v1/cluster", json!({"name": text, "summary": text})).await;
            let uuid = cluster["uuid"].as_str().unwrap().to_owned();
            let token = server
                .make(
                    "/api/v1/cluster_token",
                    json!({"name": text, "summary": text, "cluster_uuid": uuid, "token": text}),
                )
                .await;
            let flow = json!([{"$id": "a", "$command": text, "inputs": {"sql": text}}]);
            let template = server.make("/api/v1/template", json!({"name": text, "summary": text, "flow": flow})).await;
            let task =
                json!({"name": text, "summary": text, "template_uuid": template["uuid"], "inputs": {text: text}});
            let task = server.make(&format!("/api/v1/cluster/{uuid}/service"), task).await;
            for (row, field) in [
                (&cluster, "name"),
                (&cluster, "summary"),
                (&token, "name"),
                (&token, "summary"),
                (&token, "token"),
                (&template, "name"),
                (&template, "summary"),
                (&task, "name"),
                (&task, "summary"),
            ] {
                assert_eq!(row[field], text, "{field}");
            }
            assert_eq!(task["inputs"], json!({text: text}));
            let filter: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
            let found = server.get(&format!("/api/v1/cluster?name={filter}")).await.json();
            assert_eq!(found[0]["uuid"], cluster["uuid"], "{text}");
            for path in ["cluster", "cluster_token", "template", "session", "service", "global_variables"] {
                let answer = server.get(&format!("/api/v1/{path}?uuid={filter}")).await;
                assert_eq!((answer.status, answer.text.as_str()), (200, "[]"), "{path}?uuid={text}");
            }
        });
    }
    assert_eq!(runtime.block_on(server.get(&format!("/api/v1/cluster/{CLUSTER}"))).status, 200);
}
