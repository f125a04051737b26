//! `/api/v1/webhook` as callers see it.

use serde_json::{Value, json};

use crate::world::{HOOK, World};

promises![
    a_webhook_is_declared_changed_and_deleted,
    what_cannot_be_is_refused_where_it_stands,
    deliveries_are_paged_and_filtered,
];

async fn a_webhook_is_declared_changed_and_deleted(world: World) {
    let path = format!("/api/v1/webhook/{HOOK}");
    let (status, made) = world.call("POST", "/api/v1/webhook", World::body("http:localhost")).await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(
        (&made["method"], &made["timeout"], &made["url"]),
        (&json!("POST"), &json!("0s"), &json!("http:localhost"))
    );
    for absent in ["secrets", "headers", "conditionValidator", "conditionFilter", "summary"] {
        assert!(made.get(absent).is_none(), "{absent}: {made}");
    }
    assert_eq!(world.call("POST", "/api/v1/webhook", World::body("http:localhost")).await, (200, made.clone()));
    assert_eq!(world.call("POST", "/api/v1/webhook", World::body("http://other")).await.0, 409);
    let change = json!({
        "headers": {"X-A": ["1", "2"], "X-B": "3"}, "timeout": "90s", "conditionValidator": "JQ", "conditionFilter": ".status == 8",
        "summary": "s", "method": "put", "secrets": ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"]
    });
    let (status, changed) = world.call("PUT", &path, change).await;
    assert_eq!(status, 200, "{changed}");
    for (key, value) in [
        ("headers", json!({"X-A": ["1", "2"], "X-B": ["3"]})),
        ("timeout", json!("1m30s")),
        ("conditionValidator", json!("jq")),
        ("conditionFilter", json!(".status == 8")),
        ("method", json!("PUT")),
        ("url", json!("http:localhost")),
    ] {
        assert_eq!(changed[key], value, "{key}");
    }
    assert!(!changed.to_string().contains("whsec"), "{changed}");
    let nothing = json!({"name": null, "url": null, "method": null, "headers": null, "timeout": null, "conditionValidator": null, "conditionFilter": null, "secrets": null});
    let (_, same) = world.call("PUT", &path, nothing).await;
    let timeless = |mut value: Value| {
        value.as_object_mut().unwrap().remove("updated");
        value
    };
    assert_eq!(timeless(same.clone()), timeless(changed));
    assert_eq!(world.call("GET", &path, json!(null)).await, (200, same.clone()));
    assert_eq!(world.call("GET", "/api/v1/webhook?name=HOOK", json!(null)).await, (200, json!([same])));
    assert!(world.store.webhook(HOOK).await.unwrap().unwrap().secrets.unwrap().contains("whsec"));
    for _ in 0..2 {
        assert_eq!(world.call("DELETE", &path, json!(null)).await, (200, json!("OK")));
    }
    for (method, tail) in
        [("GET", ""), ("PUT", ""), ("POST", "/publish"), ("GET", "/delivery"), ("POST", "/delivery/1/replay")]
    {
        let body = if method == "PUT" { json!({}) } else { json!(null) };
        assert_eq!(world.call(method, &format!("{path}{tail}"), body).await.0, 404, "{method} {tail}");
    }
}

async fn what_cannot_be_is_refused_where_it_stands(world: World) {
    for (change, status, words) in [
        (json!({"name": null}), 400, "`name`"),
        (json!({"url": null}), 400, "`url`"),
        (json!({"url": "x".repeat(9_000)}), 400, "`url`"),
        (json!({"method": ""}), 400, "`method`"),
        (json!({"method": "GET /"}), 400, "`method`"),
        (json!({"timeout": "-1s"}), 400, "`timeout`"),
        (json!({"timeout": 5}), 400, "`timeout`"),
        (json!({"headers": {"Host": "x"}}), 422, "/headers/Host"),
        (json!({"headers": {"X": [1]}}), 400, "headers"),
        (json!({"headers": {"a/b": "\u{0}"}}), 422, "/headers/a~1b"),
        (json!({"secrets": ["plain"]}), 422, "/secrets/0"),
        (json!({"conditionValidator": "jq", "conditionFilter": ".a |"}), 422, "/conditionFilter"),
        (json!({"conditionValidator": "jq", "conditionFilter": "env.HOME"}), 422, "/conditionFilter"),
        (json!({"conditionValidator": "jq", "conditionFilter": "1] | [2"}), 422, "/conditionFilter"),
        (json!({"flow": []}), 400, "`flow`"),
        (json!({"conditionValidator": "xpath", "conditionFilter": ".a |"}), 200, "none"),
        (json!({"name": "\u{0}\u{ffff}", "summary": "\u{0}"}), 200, "uuid"),
    ] {
        let mut body = World::body("http://receiver.test/");
        body.as_object_mut().unwrap().remove("uuid");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (answered, said) = world.call("POST", "/api/v1/webhook", body).await;
        assert!(answered == status && said.to_string().contains(words), "{change}: {answered} {said}");
        assert!(!said.to_string().contains("plain"), "{said}");
    }
    world.hook("http://receiver.test/".into(), |hook| hook.filter = Some("not jq |".into())).await;
    let (status, said) =
        world.call("PUT", &format!("/api/v1/webhook/{HOOK}"), json!({"conditionValidator": "jq"})).await;
    assert_eq!((status, &said["errors"][0]["pointer"]), (422, &json!("/conditionFilter")));
    for body in ["{", "\u{0}", r#""\ud800""#] {
        assert_eq!(
            world.call_text("POST", &format!("/api/v1/webhook/{HOOK}/publish"), body.into()).await.0,
            400,
            "{body}"
        );
    }
    for tail in ["?state=odd", "?cursor=x", "?limit=0", "?task=1"] {
        assert_eq!(
            world.call("GET", &format!("/api/v1/webhook/{HOOK}/delivery{tail}"), json!(null)).await.0,
            400,
            "{tail}"
        );
    }
    assert_eq!(
        world
            .call("POST", &format!("/api/v1/webhook/{HOOK}/delivery/999999999999999999999/replay"), json!(null))
            .await
            .0,
        400
    );
}

async fn deliveries_are_paged_and_filtered(world: World) {
    world.hook("http://receiver.test/".into(), |_| {}).await;
    let id = world.whole_run(world.task()).await;
    world.whole_run(world.task()).await;
    let list =
        async |query: &str| world.call("GET", &format!("/api/v1/webhook/{HOOK}/delivery{query}"), json!(null)).await;
    let uuid = claiflow_server::model::ids::hex(&id);
    for (query, count) in [
        (String::new(), 12),
        ("?limit=5".into(), 5),
        ("?state=waiting".into(), 12),
        ("?state=dead".into(), 0),
        (format!("?service_uuid={uuid}"), 6),
        (format!("?service_uuid={}", "f".repeat(32)), 0),
    ] {
        let (status, rows) = list(&query).await;
        assert_eq!((status, rows.as_array().unwrap().len()), (200, count), "{query}");
    }
    let (_, rows) = list("?order=asc&limit=2").await;
    assert_eq!(
        (&rows[0]["sequence"], &rows[0]["service_uuid"], &rows[0]["attempts"]),
        (&json!(1), &json!(uuid), &json!(0))
    );
    let after = rows[1]["id"].as_i64().unwrap();
    let (_, rows) = list(&format!("?order=asc&limit=1&cursor={after}")).await;
    assert_eq!(rows[0]["sequence"], 3);
}
