//! Tokens: what they show is stored nowhere, and what is wrong with one is told to nobody.

use std::time::{Duration, Instant};

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use claiflow_server::app::api_token::bring_bootstrap;
use serde_json::{Value, json};

use crate::{
    stage::{A, Stage},
    world::World,
};

promises![
    whoever_shows_nothing_that_is_known_hears_the_same_words,
    a_token_is_shown_once_and_stored_as_a_digest,
    a_revoked_token_is_refused_on_every_replica,
    a_stream_ends_with_its_token_and_one_caller_holds_so_many,
    a_wrong_token_is_told_which_field_is_wrong,
    a_name_means_one_token_for_ever,
    the_last_admin_is_not_locked_out_by_accident,
    the_use_of_a_token_is_written_down_once_a_minute,
    a_bootstrap_token_is_brought_and_one_that_was_revoked_stays_so,
];

const TOKENS: &str = "/api/v1/api_token";

async fn whoever_shows_nothing_that_is_known_hears_the_same_words(world: World) {
    let stage = Stage::start(&world).await;
    let expired = stage.token("expired", json!({"expires": "2999-01-01T00:00:00Z"})).await;
    world.type_sql("UPDATE api_token SET expires_at = 1 WHERE name = 'expired'").await;
    let strange = stage.token("strange", json!({})).await;
    world.type_sql("UPDATE api_token SET role = 'root' WHERE name = 'strange'").await;
    let known = stage.token("known", json!({})).await;
    let mut words = vec![];
    for header in [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        "Basic YTpi".into(),
        format!("Basic {known}"),
        known.clone(),
        format!("Bearer {expired}"),
        format!("Bearer {strange}"),
        format!("Bearer {known}0"),
        format!("Bearer {}", &known[..known.len() - 1]),
        format!("Bearer {}", known.to_uppercase()),
        format!("Bearer claiflow_{}", "0".repeat(64)),
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.".into(),
        format!("Bearer claiflow_{}", "x".repeat(30_000)),
        format!("Bearer {known}, Bearer {known}"),
    ] {
        let mut request = Request::get("/api/v1/cluster");
        if !header.is_empty() {
            request = request.header("authorization", &header);
        }
        let answer = stage.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"), "{header}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{header}");
        words.push(answer.json()["detail"].as_str().unwrap().to_owned());
    }
    words.dedup();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(!words[0].contains("claiflow_"));
    assert_eq!(stage.get(&known, "/api/v1/cluster").await.status, 200);
    for path in ["/healthz", "/readyz", "/metrics", "/swagger/index.html", "/swagger/openapi.json"] {
        assert_eq!(stage.get("", path).await.status, 200, "{path}");
    }
    assert_eq!(stage.get("", "/api/v1/nothing").await.status, 404);
    assert_eq!(stage.call("", "PATCH /api/v1/cluster", json!({})).await.status, 405);
}

async fn a_token_is_shown_once_and_stored_as_a_digest(world: World) {
    let stage = Stage::start(&world).await;
    let fields = json!({"name": "ci", "role": "operator", "clusters": ["0000-0000-0000-0000-0000-0000-0000-000A"], "templates": ["Restart"],
        "summary": "s", "expires": "2999-01-01T00:00:00+02:00"});
    let made = stage.make(TOKENS, fields).await;
    let secret = made["token"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("claiflow_") && secret.len() == 73, "{secret}");
    for (field, value) in [
        ("name", json!("ci")),
        ("role", json!("operator")),
        ("clusters", json!([A])),
        ("templates", json!(["restart"])),
        ("summary", json!("s")),
        ("expires", json!("2998-12-31T22:00:00Z")),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let path = format!("{TOKENS}/{}", made["uuid"].as_str().unwrap());
    let mut answers = vec![stage.get(&stage.admin, TOKENS).await.text, stage.get(&stage.admin, &path).await.text];
    let changed = stage.call(&stage.admin, &format!("PUT {path}"), json!({"role": "viewer"})).await;
    assert_eq!(changed.json()["role"], "viewer");
    answers.push(changed.text);
    answers.push(stage.get(&stage.admin, "/api/v1/audit/export").await.text);
    let stored = world
        .rows("SELECT CONCAT_WS(' ', uuid, name, summary, role, clusters, templates, HEX(digest)) FROM api_token")
        .await;
    assert_eq!(stored.len(), 2);
    answers.extend(stored);
    for text in answers {
        assert!(!text.contains(&secret) && !text.contains(&secret[9..]), "{text}");
    }
}

async fn a_revoked_token_is_refused_on_every_replica(world: World) {
    let (stage, other) = (Stage::start(&world).await, Stage::start(&world).await);
    let made = stage.make(TOKENS, json!({"name": "ci", "role": "viewer"})).await;
    let secret = made["token"].as_str().unwrap();
    for stage in [&stage, &other] {
        assert_eq!(stage.get(secret, "/api/v1/cluster").await.status, 200);
    }
    let path = format!("DELETE {TOKENS}/{}", made["uuid"].as_str().unwrap());
    assert_eq!(stage.call(&stage.admin, &path, Value::Null).await.status, 200);
    assert_eq!(stage.get(secret, "/api/v1/cluster").await.status, 401);
    while other.get(secret, "/api/v1/cluster").await.status != 401 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(stage.call(&stage.admin, &path, Value::Null).await.status, 200, "an unknown one is no error");
}

async fn a_stream_ends_with_its_token_and_one_caller_holds_so_many(world: World) {
    let stage = Stage::start(&world).await;
    stage.furnish().await;
    let path = format!("/api/v1/cluster/{A}/service/{}/event", stage.task(A, "t").await);
    let made = stage.make(TOKENS, json!({"name": "eye", "role": "viewer"})).await;
    let (secret, uuid) = (made["token"].as_str().unwrap(), made["uuid"].as_str().unwrap());
    let mut held = vec![];
    loop {
        let (status, body) = stage.stream(secret, &path).await;
        if status != 200 {
            assert_eq!((status, held.len()), (429, 256));
            break;
        }
        held.push(body);
    }
    assert_eq!(stage.stream(&stage.admin, &path).await.0, 200, "others are not concerned");
    held.pop();
    let (status, last) = stage.stream(secret, &path).await;
    assert_eq!(status, 200, "one that ended makes room");
    drop(held);
    let reading = tokio::spawn(to_bytes(last, 1 << 20));
    let call = format!("DELETE {TOKENS}/{uuid}");
    assert_eq!(stage.call(&stage.admin, &call, Value::Null).await.status, 200);
    let text = reading.await.unwrap().unwrap();
    assert!(text.starts_with(b"id: "), "what had happened before was told");
    assert_eq!(stage.stream(secret, &path).await.0, 401);
}

async fn a_wrong_token_is_told_which_field_is_wrong(world: World) {
    let stage = Stage::start(&world).await;
    for (fields, status, pointer) in [
        (json!({"expires": ""}), 422, "/expires"),
        (json!({"expires": "2001-01-01T00:00:00Z"}), 422, "/expires"),
        (json!({"expires": "99999-01-01T00:00:00Z"}), 422, "/expires"),
        (json!({"expires": "9999-12-31T23:59:60Z"}), 422, "/expires"),
        (json!({"expires": "tomorrow"}), 422, "/expires"),
        (json!({"expires": 5}), 400, "/expires"),
        (json!({"role": "root"}), 422, "/role"),
        (json!({"role": null}), 422, "/role"),
        (json!({"name": null}), 422, "/name"),
        (json!({"name": ""}), 422, "/name"),
        (json!({"name": "a b"}), 422, "/name"),
        (json!({"name": "a\u{0}"}), 422, "/name"),
        (json!({"name": "é"}), 422, "/name"),
        (json!({"name": "Bootstrap"}), 422, "/name"),
        (json!({"name": "x".repeat(129)}), 422, "/name"),
        (json!({"clusters": []}), 422, "/clusters"),
        (json!({"clusters": [A, "x"]}), 422, "/clusters/1"),
        (json!({"clusters": "x"}), 400, "/clusters"),
        (json!({"templates": ["a b"]}), 422, "/templates/0"),
        (json!({"templates": vec!["t"; 1_001]}), 422, "/templates"),
        (json!({"expire": "2999-01-01T00:00:00Z"}), 400, "/expire"),
    ] {
        let mut body = json!({"name": "n", "role": "viewer"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = stage.call(&stage.admin, &format!("POST {TOKENS}"), body).await;
        assert_eq!(answer.status, status, "{fields}: {}", answer.text);
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{fields}: {}", answer.text);
    }
    let answer =
        stage.call(&stage.admin, &format!("POST {TOKENS}"), json!({"uuid": "x", "name": "n", "role": "viewer"})).await;
    assert_eq!(answer.status, 400);
}

async fn a_name_means_one_token_for_ever(world: World) {
    let stage = Stage::start(&world).await;
    let made = stage.make(TOKENS, json!({"name": "ci", "role": "viewer"})).await;
    let path = format!("{TOKENS}/{}", made["uuid"].as_str().unwrap());
    let renamed = stage.call(&stage.admin, &format!("PUT {path}"), json!({"name": "other"})).await;
    assert_eq!(renamed.status, 400, "{}", renamed.text);
    for name in ["ci", "CI"] {
        for is_deleted in [false, true] {
            if is_deleted {
                stage.call(&stage.admin, &format!("DELETE {path}"), Value::Null).await;
                assert_eq!(stage.get(&stage.admin, &path).await.status, 404);
            }
            let again =
                stage.call(&stage.admin, &format!("POST {TOKENS}"), json!({"name": name, "role": "admin"})).await;
            assert_eq!(again.status, 409, "{}", again.text);
        }
    }
}

async fn the_last_admin_is_not_locked_out_by_accident(world: World) {
    let stage = Stage::start(&world).await;
    let root = &stage.get(&stage.admin, TOKENS).await.json()[0];
    let path = format!("{TOKENS}/{}", root["uuid"].as_str().unwrap());
    stage.token("scoped", json!({"role": "admin", "clusters": [A]})).await;
    for (method, body) in [
        ("DELETE", Value::Null),
        ("PUT", json!({"role": "viewer"})),
        ("PUT", json!({"clusters": [A]})),
        ("PUT", json!({"expires": "2999-01-01T00:00:00Z"})),
    ] {
        for query in ["", "?last=false"] {
            let answer = stage.call(&stage.admin, &format!("{method} {path}{query}"), body.clone()).await;
            assert_eq!(answer.status, 409, "{method} {body}: {}", answer.text);
            assert!(answer.text.contains("last=true"), "{}", answer.text);
        }
    }
    assert_eq!(stage.call(&stage.admin, &format!("PUT {path}"), json!({"summary": "s"})).await.status, 200);
    assert_eq!(stage.call(&stage.admin, &format!("DELETE {path}?last=1"), Value::Null).await.status, 400);
    let second = stage.token("second", json!({"role": "admin"})).await;
    assert_eq!(stage.call(&second, &format!("DELETE {path}"), Value::Null).await.status, 200);
    assert_eq!(stage.get(&stage.admin, TOKENS).await.status, 401);
    let uuid = stage.get(&second, &format!("{TOKENS}?name=second")).await.json()[0]["uuid"].clone();
    let path = format!("DELETE {TOKENS}/{}?last=true", uuid.as_str().unwrap());
    assert_eq!(stage.call(&second, &path, Value::Null).await.status, 200);
    assert_eq!(stage.get(&second, TOKENS).await.status, 401);
}

async fn the_use_of_a_token_is_written_down_once_a_minute(world: World) {
    let stage = Stage::start(&world).await;
    let made = stage.make(TOKENS, json!({"name": "ci", "role": "viewer"})).await;
    assert!(made.get("last_used").is_none());
    let path = format!("{TOKENS}/{}", made["uuid"].as_str().unwrap());
    let secret = made["token"].as_str().unwrap();
    let begin = Instant::now();
    let first = loop {
        assert_eq!(stage.get(secret, "/api/v1/cluster").await.status, 200);
        let shown = stage.get(&stage.admin, &path).await.json();
        if let Some(used) = shown.get("last_used") {
            break used.clone();
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "the use of a token was not written down");
    };
    for _ in 0..3 {
        stage.get(secret, "/api/v1/cluster").await;
        assert_eq!(stage.get(&stage.admin, &path).await.json()["last_used"], first);
    }
}

async fn a_bootstrap_token_is_brought_and_one_that_was_revoked_stays_so(world: World) {
    let stage = Stage::start(&world).await;
    let (first, second) = (format!("claiflow_{}", "1".repeat(64)), format!("claiflow_{}", "2".repeat(64)));
    let status = async |secret: &str| Stage::start(&world).await.get(secret, TOKENS).await.status;
    let bring = async |secret: &str| bring_bootstrap(&stage.store, &world.source, secret).await.unwrap();
    bring(&first).await;
    bring(&first).await;
    assert_eq!(status(&first).await, 200);
    bring(&second).await;
    assert_eq!((status(&first).await, status(&second).await), (401, 200));
    let uuid = stage.get(&stage.admin, &format!("{TOKENS}?name=bootstrap")).await.json()[0]["uuid"].clone();
    let path = format!("DELETE {TOKENS}/{}", uuid.as_str().unwrap());
    assert_eq!(stage.call(&stage.admin, &path, Value::Null).await.status, 200);
    bring(&second).await;
    assert_eq!(status(&second).await, 401);
    bring(&first).await;
    assert_eq!(status(&first).await, 200);
}
