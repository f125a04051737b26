//! A scope ends what is seen and touched.

use serde_json::{Value, json};

use crate::{
    stage::{A, B, Stage},
    world::World,
};

promises![
    lists_show_what_is_within_the_scope,
    a_task_out_of_the_scope_is_not_created_and_the_answer_says_why,
    a_key_of_one_caller_is_not_anothers,
];

/// What a list shows, by one field, sorted.
async fn shown(stage: &Stage, token: &str, path: &str, field: &str) -> Vec<String> {
    let answer = stage.get(token, path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    let json = answer.json();
    let mut all: Vec<String> =
        json.as_array().unwrap().iter().map(|row| row[field].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

async fn lists_show_what_is_within_the_scope(world: World) {
    let stage = Stage::start(&world).await;
    stage.furnish().await;
    let mut tasks = vec![];
    for (cluster, template) in [(A, "t"), (A, "u"), (B, "t"), (B, "u")] {
        tasks.push(stage.task(cluster, template).await);
        let token = json!({"name": cluster, "cluster_uuid": cluster});
        stage.make("/api/v1/cluster_token", token).await;
    }
    let both = json!({"role": "admin", "clusters": [A], "templates": ["T"]});
    let (all, of_cluster, of_template, of_both) = (
        stage.admin.clone(),
        stage.token("of-cluster", json!({"role": "admin", "clusters": [A]})).await,
        stage.token("of-template", json!({"templates": ["t"]})).await,
        stage.token("of-both", both).await,
    );
    let visible = |indices: &[usize]| {
        let mut uuids: Vec<String> = indices.iter().map(|index| tasks[*index].clone()).collect();
        uuids.sort();
        uuids
    };
    for (token, expected) in [
        (&all, visible(&[0, 1, 2, 3])),
        (&of_cluster, visible(&[0, 1])),
        (&of_template, visible(&[0, 2])),
        (&of_both, visible(&[0])),
    ] {
        assert_eq!(shown(&stage, token, "/api/v1/service", "uuid").await, expected);
        let old = "/api/v1/service?created_after=2020-01-01T00:00:00Z&limit=100";
        assert_eq!(shown(&stage, token, old, "uuid").await, expected);
    }
    // A page at a time, nothing else slips in between.
    assert_eq!(shown(&stage, &of_cluster, "/api/v1/service?limit=1", "cluster_uuid").await, [A]);
    for (token, clusters, templates) in [
        (&all, vec![A, B], vec!["t", "u"]),
        (&of_cluster, vec![A], vec!["t", "u"]),
        (&of_template, vec![A, B], vec!["t"]),
        (&of_both, vec![A], vec!["t"]),
    ] {
        assert_eq!(shown(&stage, token, "/api/v1/cluster", "uuid").await, clusters);
        assert_eq!(shown(&stage, token, "/api/v1/template", "uuid").await, templates);
    }
    assert_eq!(shown(&stage, &of_cluster, "/api/v1/cluster_token", "cluster_uuid").await, [A, A]);
    assert!(shown(&stage, &of_cluster, &format!("/api/v1/cluster?uuid={B}"), "uuid").await.is_empty());
    let path = format!("/api/v1/service?cluster_uuid={B}");
    assert_eq!(stage.get(&of_cluster, &path).await.status, 404);
    // What is out of the scope looks like what does not exist.
    let (outside, nothing) = (
        stage.get(&of_cluster, &format!("/api/v1/cluster/{B}")).await,
        stage.get(&of_cluster, &format!("/api/v1/cluster/{}", "9".repeat(32))).await,
    );
    assert_eq!(outside.json()["detail"].as_str().unwrap().replace(B, &"9".repeat(32)), nothing.json()["detail"]);
}

async fn a_task_out_of_the_scope_is_not_created_and_the_answer_says_why(world: World) {
    let stage = Stage::start(&world).await;
    stage.furnish().await;
    let token = stage.token("scoped", json!({"clusters": [A], "templates": ["t"]})).await;
    for (body, status, words) in [
        (json!({"template_uuid": "t", "cluster_uuids": [A]}), 200, "\"created_by\":\"token:scoped\""),
        (json!({"template_uuid": "t", "cluster_uuids": [A, B]}), 403, "out of the scope of token:scoped"),
        (json!({"template_uuid": "u", "cluster_uuids": [A]}), 403, "template `u` is out of the scope"),
        (json!({"template_uuid": "t", "cluster_uuid": B}), 403, B),
    ] {
        let answer = stage.call(&token, "POST /api/v1/service", body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        assert!(answer.text.contains(words), "{words}: {}", answer.text);
    }
    assert_eq!(stage.get(&stage.admin, "/api/v1/service").await.json().as_array().unwrap().len(), 1);
    let refused: Vec<Value> = stage.trail().await.into_iter().filter(|row| row["code"] == 403).collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(refused.iter().all(|row| row["caller"] == "token:scoped" && row["operation"] == "create_services"));
}

async fn a_key_of_one_caller_is_not_anothers(world: World) {
    let stage = Stage::start(&world).await;
    stage.furnish().await;
    let other = stage.token("other", json!({})).await;
    let mut uuids = vec![];
    for token in [&stage.admin, &stage.admin, &other, &other] {
        let body = json!({"template_uuid": "t", "cluster_uuids": [A]}).to_string();
        let request = axum::http::Request::post("/api/v1/service")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("idempotency-key", "k")
            .body(body.into())
            .unwrap();
        let answer = stage.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        uuids.push(answer.json()[0]["uuid"].as_str().unwrap().to_owned());
    }
    assert!(uuids[0] == uuids[1] && uuids[2] == uuids[3] && uuids[0] != uuids[2], "{uuids:?}");
}
