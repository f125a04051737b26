//! What the first version showed is shown again.

use serde_json::{Value, json};

use crate::world::{Server, World};

promises![
    what_was_declared_is_shown_as_it_was,
    every_task_is_shown_with_its_statuses_and_its_result,
    odd_rows_are_taken_over_and_named,
    what_had_not_ended_waits_again_or_has_failed,
    the_original_is_not_changed_and_a_second_run_changes_nothing,
    what_a_server_installed_before_gives_way,
];

const CLUSTER: &str = "00000000000000000000000000000000";

async fn taken_over(world: &World) -> Server {
    let summary = world.import(true).await.unwrap();
    assert!(summary.complete && summary.refused() == 0, "{summary}");
    world.serve().await
}

async fn what_was_declared_is_shown_as_it_was(world: World) {
    let server = taken_over(&world).await;
    for (path, row) in [
        (
            "/api/v1/cluster/00000000000000000000000000000000",
            json!({"uuid": CLUSTER, "name": "test cluster", "created": "2026-09-01T08:00:00.123456Z", "updated": "2026-09-02T08:00:00Z"}),
        ),
        (
            "/api/v1/cluster/00000000000000000000000000000001",
            json!({"uuid": "00000000000000000000000000000001", "name": "zweiter Cluster: ÄÖÜ 😀", "summary": "EU", "created": "2026-09-01T08:00:01Z", "updated": "2026-09-01T08:00:01Z"}),
        ),
        (
            "/api/v1/cluster_token/10000000000000000000000000000000",
            json!({"uuid": "10000000000000000000000000000000", "name": "test token", "cluster_uuid": CLUSTER, "token": "CLIENT_AUTHENTICATION_TOKEN",
                "issued_at_time": "2026-09-01T08:00:00Z", "expiration_time": "2099-09-01T00:00:00Z", "created": "2026-09-01T08:00:00Z", "updated": "2026-09-01T08:00:00Z"}),
        ),
        (
            "/api/v1/global_variables/af9a14a58b254d13ae69c065a27811b6",
            json!({"uuid": "af9a14a58b254d13ae69c065a27811b6", "name": "ClientSession/ExpirationTime", "summary": "session expiration", "value": "3m0s",
                "created": "2026-08-01T00:00:00Z", "updated": "2026-08-01T00:00:00Z"}),
        ),
        (
            "/api/v1/webhook/20000000000000000000000000000000",
            json!({"uuid": "20000000000000000000000000000000", "name": "hook", "url": "http:localhost", "method": "POST", "headers": {"X-A": ["1", "2"]},
                "timeout": "1m30s", "conditionValidator": "jq", "conditionFilter": ".foo", "created": "2026-09-01T08:00:00Z", "updated": "2026-09-01T08:00:00Z"}),
        ),
        (
            "/api/v1/template/two_steps",
            json!({"uuid": "two_steps", "name": "two steps", "summary": "greets twice", "origin": "userdefined",
                "flow": r#"[{"$id":"a","$command":"helloworld","inputs":"$inputs"},{"$id":"b","$command":"helloworld","inputs":{"name":"$a.outputs"}}]"#,
                "created": "2026-09-01T08:00:00Z", "updated": "2026-09-02T08:00:00Z"}),
        ),
    ] {
        assert_eq!(server.get(path).await, (200, row), "{path}");
    }
    // The secret is the first version's, and is shown to nobody.
    let (_, secret) = server.get("/api/v1/global_variables/77f7b2aeb0aa4254ad073ae7743291ab").await;
    assert_eq!(secret["value"], "********");
    let settings = server.app.read_variables().await.unwrap();
    assert_eq!(settings.secret, b"the secret of the first");
    // Agents authenticate with the tokens that they have; expired and deleted ones stay so.
    let authenticate =
        async |cluster: &str, token: &str| server.app.authenticate(cluster, token, "0.1.0").await.is_ok();
    assert!(authenticate(CLUSTER, "CLIENT_AUTHENTICATION_TOKEN").await);
    assert!(!authenticate("00000000000000000000000000000001", "an-expired-token").await);
    assert!(!authenticate("00000000000000000000000000000001", "a-deleted-token").await);
    // A template of ours that nobody changed is the server's, a changed one its user's.
    let (_, ours) = server.get("/api/v1/template/00000000000000000000000000000001").await;
    assert_eq!(ours["origin"], "predefined");
    let (_, theirs) = server.get("/api/v1/template/00000000000000000000000000000002").await;
    assert_eq!((&theirs["origin"], &theirs["summary"]), (&json!("userdefined"), &json!("changed by somebody")));
    for gone in [
        "template/gone",
        "cluster/0000000000000000000000000000000d",
        "cluster_token/10000000000000000000000000000002",
        "webhook/20000000000000000000000000000002",
    ] {
        assert_eq!(server.get(&format!("/api/v1/{gone}")).await.0, 404, "{gone}");
    }
    let (_, again) = server.get("/api/v1/cluster/0000000000000000000000000000000e").await;
    assert_eq!(again["name"], "declared again");
}

async fn what_a_server_installed_before_gives_way(world: World) {
    world.serve().await.close().await;
    let server = taken_over(&world).await;
    let (_, theirs) = server.get("/api/v1/template/00000000000000000000000000000002").await;
    assert_eq!((&theirs["origin"], &theirs["summary"]), (&json!("userdefined"), &json!("changed by somebody")));
    let (_, ours) = server.get("/api/v1/template/00000000000000000000000000000001").await;
    assert_eq!(ours["origin"], "predefined");
    let (_, variable) = server.get("/api/v1/global_variables/af9a14a58b254d13ae69c065a27811b6").await;
    assert_eq!(variable["value"], "3m0s");
    assert_eq!(server.app.read_variables().await.unwrap().secret, b"the secret of the first");
}

async fn every_task_is_shown_with_its_statuses_and_its_result(world: World) {
    let server = taken_over(&world).await;
    let path = format!("/api/v1/cluster/{CLUSTER}/service/F000000000000000000000000000000C");
    let (status, task) = server.get(&path).await;
    assert_eq!(status, 200, "{task}");
    let at = |second: u32| format!("2026-10-02T00:12:0{second}.434999Z");
    let expected = json!({
        "cluster_uuid": CLUSTER, "uuid": "f000000000000000000000000000000c", "name": "task 12", "template_uuid": "two_steps",
        "flow": r#"[{"$id":"a","$command":"helloworld","inputs":"$inputs"},{"$id":"b","$command":"helloworld","inputs":{"name":"$a.outputs"}}]"#,
        "inputs": {"name": "world", "n": 12}, "step_max": 2, "priority": 0, "state": "succeeded", "attempt": 1,
        "created": at(0), "started": at(1), "ended": at(5),
        "statuses": [
            {"step_seq": 0, "status": 0, "created": at(0)},
            {"step_seq": 0, "status": 1, "started": at(0), "ended": at(1), "created": at(1)},
            {"step_seq": 0, "status": 2, "started": at(2), "message": "", "created": at(2)},
            {"step_seq": 0, "status": 2, "started": at(2), "ended": at(3), "message": "", "created": at(3)},
            {"step_seq": 1, "status": 2, "started": at(4), "message": "", "created": at(4)},
            {"step_seq": 1, "status": 4, "started": at(2), "ended": at(5), "message": "", "created": at(5)},
        ],
        "results": [{"save_type": 1, "result": "\"hello world 12\"", "created": at(5)}],
    });
    assert_eq!(task, expected);
    assert_eq!(server.get(&format!("{path}/result")).await, (200, expected["results"][0].clone()));
    // One that failed says why, and has no result.
    let (_, failed) =
        server.get("/api/v1/cluster/00000000000000000000000000000001/service/f0000000000000000000000000000083").await;
    let (status, failed) = if failed["state"] == "failed" {
        (200, failed)
    } else {
        server.get(&format!("/api/v1/cluster/{CLUSTER}/service/f0000000000000000000000000000003")).await
    };
    assert_eq!((status, &failed["state"], &failed["error"]), (200, &json!("failed"), &json!("it went wrong")));
    assert_eq!(failed["statuses"].as_array().unwrap().last().unwrap()["status"], 8);
    // All are there, each with what belongs to it, and in the order of their creation.
    let (_, all) = server.get("/api/v1/service?limit=1000&order=asc").await;
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 307);
    let created: Vec<&str> = all.iter().map(|task| task["created"].as_str().unwrap()).collect();
    assert!(created.is_sorted());
    let statuses: usize = all.iter().map(|task| task["statuses"].as_array().unwrap().len()).sum();
    // One row more where a task that had not ended was given an end.
    assert_eq!(statuses, 1_363 + 3);
    assert_eq!(all.iter().filter(|task| task["state"] == "succeeded").count(), 260);
    let fan_out: Vec<&Value> = all.iter().filter(|task| task["uuid"] == "f0000000000000000000000000000006").collect();
    assert_eq!(fan_out.len(), 2);
    assert_ne!(fan_out[0]["cluster_uuid"], fan_out[1]["cluster_uuid"]);
    // A uuid of the first version is taken.
    let again =
        json!({"uuid": "f000000000000000000000000000000c", "template_uuid": "two_steps", "cluster_uuids": [CLUSTER]});
    assert_eq!(server.post("/api/v1/service", &again).await.0, 409);
}

async fn odd_rows_are_taken_over_and_named(world: World) {
    let summary = world.import(true).await.unwrap();
    let text = summary.to_string();
    for words in [
        "cluster `EDGE-01`",
        "found as `edge01`",
        "service `00001`",
        "its inputs are no JSON",
        "template `broken`",
        "`0000000000000000000000000000000c`: it is not there",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.contains("template_command") && text.contains("cluster_client_session"), "{text}");
    for secret in ["CLIENT_AUTHENTICATION_TOKEN", "dGhlIHNlY3JldCBvZiB0aGUgZmlyc3Q="] {
        assert!(!text.contains(secret), "{text}");
    }
    let server = world.serve().await;
    let (status, odd) = server.get(&format!("/api/v1/cluster/{CLUSTER}/service/00001")).await;
    assert_eq!((status, &odd["inputs"], &odd["results"][0]["result"]), (200, &json!("no json"), &json!("[1,4,9]")));
    for (cluster, uuid, name) in [
        ("0000000000000000000000000000000c", "e0000000000000000000000000000001", "of a lost cluster"),
        ("0000000000000000000000000000000d", "e0000000000000000000000000000002", "of a deleted cluster"),
    ] {
        let (status, task) = server.get(&format!("/api/v1/cluster/{cluster}/service/{uuid}")).await;
        assert_eq!((status, &task["name"]), (200, &json!(name)));
        assert_eq!(server.get(&format!("/api/v1/cluster/{cluster}")).await.0, 404);
    }
    let (_, edge) = server.get("/api/v1/cluster/EDGE-01").await;
    assert_eq!((&edge["uuid"], &edge["name"]), (&json!("edge01"), &json!("odd uuid")));
    let new = json!({"template_uuid": "example_simple", "inputs": {"name": "x"}});
    assert_eq!(server.post("/api/v1/cluster/EDGE-01/service", &new).await.0, 200);
    let (_, own) = server.get("/api/v1/global_variables/cccccccccccccccccccccccccccccccc").await;
    assert_eq!(own["value"], "as it is");
}

async fn what_had_not_ended_waits_again_or_has_failed(world: World) {
    // While the first version may run, nobody knows what becomes of them.
    let summary = world.import(false).await.unwrap();
    assert_eq!((summary.open(), summary.complete), (4, false));
    assert!(summary.to_string().contains("--stopped"), "{summary}");
    let store = world.store().await;
    assert!(store.unfinished_import().await.unwrap().is_some());
    store.close().await;
    let server = taken_over(&world).await;
    let task = async |last: u32| {
        server.get(&format!("/api/v1/cluster/{CLUSTER}/service/a000000000000000000000000000000{last}")).await.1
    };
    let waits = task(1).await;
    assert_eq!((&waits["state"], &waits["statuses"][0]["status"]), (&json!("ready"), &json!(0)));
    assert_eq!(waits["created"], "2026-10-25T11:59:00Z");
    let never = task(2).await;
    assert_eq!((&never["state"], &never["statuses"][1]["status"]), (&json!("expired"), &json!(32)));
    for (number, rows, words) in [(3, 3, "was sent to an agent"), (4, 4, "was being processed")] {
        let lost = task(number).await;
        let error = lost["error"].as_str().unwrap();
        assert!(error.starts_with("unknown:") && error.contains(words), "{error}");
        assert_eq!((&lost["state"], lost["statuses"].as_array().unwrap().len()), (&json!("failed"), rows));
        assert_eq!(lost["statuses"][rows - 1]["message"], error);
    }
}

async fn the_original_is_not_changed_and_a_second_run_changes_nothing(world: World) {
    let before = world.digests();
    let first = world.import(true).await.unwrap();
    assert_eq!(world.digests(), before);
    let server = world.serve().await;
    let shown = server.everything().await;
    server.close().await;
    let second = world.import(true).await.unwrap();
    assert!(second.complete);
    for (one, other) in first.counts.iter().zip(&second.counts) {
        assert_eq!((one.read, one.written + one.there, 0), (other.read, other.there, other.written), "{}", one.table);
    }
    let server = world.serve().await;
    assert_eq!(server.everything().await, shown);
}
