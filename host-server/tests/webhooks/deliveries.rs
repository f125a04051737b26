//! What arrives, in which order, how often, and when.

use claiflow_server::{
    app::webhook::Declare,
    model::{state::State, webhook::DeliveryState},
};
use serde_json::json;

use crate::{
    receiver::{Receiver, Reply},
    world::{HOOK, World, step},
};

promises![
    statuses_arrive_in_order_with_all_that_is_promised,
    what_failed_is_sent_again_under_the_same_id_and_holds_back_the_later_ones,
    after_five_minutes_of_failures_a_later_one_overtakes,
    after_the_last_attempt_it_is_dead_until_a_replay,
    a_slow_receiver_delays_no_other_and_gets_no_more_than_sixteen,
    what_a_replica_that_died_held_is_sent_by_another,
    two_replicas_send_each_once,
    a_published_document_takes_the_same_way,
    a_filter_decides_what_is_sent,
    where_no_filter_can_be_asked_nothing_is_dropped,
    a_task_that_fails_stands_in_the_way_of_no_claim,
    signatures_are_made_with_both_secrets,
    a_server_that_stops_waits_for_what_is_under_way,
];

async fn statuses_arrive_in_order_with_all_that_is_promised(world: World) {
    let receiver = Receiver::content().await;
    world
        .hook(receiver.url(), |hook| hook.headers = Some([("X-A".to_owned(), vec!["1".into(), "2".into()])].into()))
        .await;
    let _replica = world.deliver().await;
    let mut ids = vec![];
    for _ in 0..3 {
        ids.push(world.whole_run(world.task()).await);
    }
    let got = receiver.gets(18).await;
    for id in ids {
        let uuid = claiflow_server::model::ids::hex(&id);
        let of_task: Vec<_> = got.iter().filter(|got| got.json()["service_uuid"] == uuid.as_str()).collect();
        let statuses: Vec<_> = of_task.iter().map(|got| got.status()).collect();
        assert_eq!(statuses, [(0, 0, 0), (1, 0, 1), (2, 0, 2), (2, 0, 4), (2, 1, 2), (4, 1, 4)]);
        for (sequence, got) in (1..).zip(&of_task) {
            assert_eq!(got.json()["sequence"], sequence);
            assert_eq!(got.id(), format!("{uuid}.{}.{sequence}", world.cluster));
        }
    }
    let last = &got[got.len() - 1];
    assert_eq!(last.line, "POST /hook HTTP/1.1");
    for (name, value) in [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("x-a", "1, 2"),
        ("host", &receiver.address.to_string()),
    ] {
        assert_eq!(last.headers[name], value);
    }
    let document = last.json();
    for (key, value) in [
        ("assigned_client_uuid", json!("07".repeat(16))),
        ("cluster_uuid", json!("0".repeat(32))),
        ("error", json!(null)),
        ("inputs", json!({"name": "world"})),
        ("result", json!("hello world")),
        ("service_name", json!("greet")),
        ("status_description", json!("succeeded")),
        ("step_count", json!(2)),
        ("template_uuid", json!("example_simple")),
        ("webhook", json!({"uuid": HOOK, "name": "hook"})),
    ] {
        assert_eq!(document[key], value, "{key}");
    }
    assert!(document["step_started"].is_string() && document["step_ended"].is_string(), "{document}");
    assert!(got.iter().filter(|got| got.status().0 != 4).all(|got| got.json()["result"].is_null()));
    world.until_all(DeliveryState::Delivered).await;
}

async fn what_failed_is_sent_again_under_the_same_id_and_holds_back_the_later_ones(world: World) {
    let receiver = Receiver::start(|index| Reply::Status(if index == 0 { 503 } else { 204 })).await;
    world.hook(receiver.url(), |_| {}).await;
    world.whole_run(world.task()).await;
    let _replica = world.deliver().await;
    let all = world.until(|all| all[0].attempts == 1).await;
    assert_eq!((all[0].code, all[0].error.as_deref()), (Some(503), Some("the receiver answered 503")));
    assert!(all[0].due >= all[0].tried.unwrap() + 5_000_000, "the second attempt comes after 5 s");
    assert!(all[1..].iter().all(|later| later.attempts == 0), "the later ones wait");
    world.hurry().await;
    let got = receiver.gets(7).await;
    assert_eq!(got[0].id(), got[1].id());
    assert_eq!(got[0].text, got[1].text);
    let statuses: Vec<_> = got.iter().skip(1).map(|got| got.json()["sequence"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [1, 2, 3, 4, 5, 6]);
}

async fn after_five_minutes_of_failures_a_later_one_overtakes(world: World) {
    let receiver = Receiver::start(|index| Reply::Status(if index == 0 { 410 } else { 200 })).await;
    world.hook(receiver.url(), |_| {}).await;
    world.whole_run(world.task()).await;
    let _replica = world.deliver().await;
    world.until(|all| all[0].attempts == 1).await;
    world
        .engine
        .type_sql("UPDATE webhook_delivery SET first_failed = first_failed - 300000001, due = due + 3600000000 WHERE attempts = 1")
        .await;
    world.engine.type_sql("UPDATE webhook_delivery SET due = due - 300000001 WHERE attempts = 0").await;
    let got = receiver.gets(6).await;
    assert_eq!(got[1].json()["sequence"], 2);
    let all = world.until(|all| all[1..].iter().all(|later| later.state == 1)).await;
    assert_eq!(all[0].state, DeliveryState::Waiting as i16);
}

async fn after_the_last_attempt_it_is_dead_until_a_replay(world: World) {
    let receiver = Receiver::start(|index| Reply::Status(if index < 8 { 404 } else { 200 })).await;
    world.hook(receiver.url(), |_| {}).await;
    world.app.publish(HOOK, r#"{"a":1}"#).await.unwrap();
    let _replica = world.deliver().await;
    for attempts in 1..8 {
        world.until(|all| all[0].attempts >= attempts).await;
        world.hurry().await;
    }
    let dead = world.until_all(DeliveryState::Dead).await.pop().unwrap();
    assert_eq!((dead.attempts, dead.code), (8, Some(404)));
    let path = format!("/api/v1/webhook/{HOOK}/delivery");
    let (status, listed) = world.call("GET", &format!("{path}?state=dead"), json!(null)).await;
    assert_eq!((status, &listed[0]["state"], &listed[0]["status_code"]), (200, &json!("dead"), &json!(404)));
    let (status, _) = world.call("POST", &format!("{path}/{}/replay", dead.id), json!(null)).await;
    assert_eq!(status, 200);
    let delivered = world.until_all(DeliveryState::Delivered).await.pop().unwrap();
    assert_eq!((delivered.attempts, delivered.code, delivered.error), (1, Some(200), None));
    let got = receiver.so_far();
    assert!(got.iter().all(|one| one.id() == got[0].id()));
}

async fn a_slow_receiver_delays_no_other_and_gets_no_more_than_sixteen(world: World) {
    let (slow, fast) = (Receiver::start(|_| Reply::Silence).await, Receiver::content().await);
    world.hook(slow.url(), |hook| hook.timeout = Some("5m".into())).await;
    let other = "00000000000000000000000000000003";
    world.hook_of(other, fast.url(), |_| {}).await;
    for _ in 0..40 {
        world.waits(world.task()).await;
    }
    let _replica = world.deliver().await;
    slow.gets(16).await;
    let lease = world.runs(world.task_of(Some(other))).await;
    world.ends(&lease, State::Succeeded, &[step("0", 2), step("1", 2)]).await;
    fast.gets(6).await;
    assert_eq!(slow.so_far().len(), 16, "the others wait for an answer");
}

async fn what_a_replica_that_died_held_is_sent_by_another(world: World) {
    let receiver = Receiver::content().await;
    world.hook(receiver.url(), |_| {}).await;
    world.whole_run(world.task()).await;
    let (_, held) = world.store.hold_deliveries(HOOK, [9; 16], 16, |_| 3_600_000_000).await.unwrap().unwrap();
    assert_eq!(held.len(), 1, "one of a task at a time");
    let (_, more) = world.store.hold_deliveries(HOOK, [8; 16], 16, |_| 1_000_000).await.unwrap().unwrap();
    assert!(more.is_empty(), "it is held, and the later ones wait for it");
    world.engine.type_sql("UPDATE webhook_delivery SET held_until = 1 WHERE held_until IS NOT NULL").await;
    let _replica = world.deliver().await;
    assert_eq!(receiver.gets(6).await[0].id(), held[0].message_id());
}

async fn two_replicas_send_each_once(world: World) {
    let receiver = Receiver::content().await;
    world.hook(receiver.url(), |_| {}).await;
    for _ in 0..8 {
        world.whole_run(world.task()).await;
    }
    let other = World::beside(&world).await;
    let (_one, _two) = (world.deliver().await, other.deliver().await);
    world.until_all(DeliveryState::Delivered).await;
    let mut ids: Vec<String> = receiver.so_far().iter().map(|got| got.id().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), receiver.so_far().len()), (48, 48));
}

async fn a_published_document_takes_the_same_way(world: World) {
    let receiver = Receiver::content().await;
    world.hook(receiver.url(), |_| {}).await;
    let _replica = world.deliver().await;
    let path = format!("/api/v1/webhook/{HOOK}/publish");
    let documents = [(r#"{"n": 1.50, "n2":[1]}"#, r#"{"n": 1.50, "n2":[1]}"#), ("", "{}"), ("7", "7")];
    for (published, (body, expected)) in (1..).zip(documents) {
        assert_eq!(world.call_text("POST", &path, body.into()).await, (200, r#""OK""#.into()), "{body}");
        let got = receiver.gets(published).await;
        assert_eq!(got.last().unwrap().text, expected, "as it was written");
        world.until_all(DeliveryState::Delivered).await;
    }
    let ids: std::collections::BTreeSet<_> = receiver.so_far().iter().map(|got| got.id().to_owned()).collect();
    assert_eq!(ids.len(), 3);
}

fn filtered(jq: &str) -> impl FnOnce(&mut Declare) {
    |hook| {
        hook.validator = Some("jq".into());
        hook.filter = Some(jq.into());
    }
}

async fn a_filter_decides_what_is_sent(world: World) {
    let receiver = Receiver::content().await;
    world.hook(receiver.url(), filtered(".sent[] # all of them")).await;
    let _replica = world.deliver().await;
    for (outputs, state) in [
        (json!([true, true]), DeliveryState::Delivered),
        (json!([true, false]), DeliveryState::Filtered),
        (json!(["T", 0, null]), DeliveryState::Delivered),
        (json!(["1", "f"]), DeliveryState::Filtered),
        (json!([1]), DeliveryState::Filtered),
        (json!([]), DeliveryState::Filtered),
        (json!(3), DeliveryState::Filtered),
    ] {
        let known = world.deliveries().await.len();
        world.app.publish(HOOK, &json!({"sent": outputs}).to_string()).await.unwrap();
        let all = world.until(|all| all.len() > known && all[known].state != 0).await;
        assert_eq!(all[known].state, state as i16, "{outputs}: {:?}", all[known].error);
        assert_eq!(all[known].error.is_some(), outputs == json!(3), "an error is shown");
    }
    assert_eq!(receiver.so_far().len(), 2);
}

async fn where_no_filter_can_be_asked_nothing_is_dropped(world: World) {
    let receiver = Receiver::content().await;
    world.hook(receiver.url(), filtered("true")).await;
    world.app.publish(HOOK, r#"{"a":1}"#).await.unwrap();
    let broken = World::without_jq(&world).await;
    let replica = broken.deliver().await;
    let all = world.until(|all| all[0].attempts == 1).await;
    assert_eq!(all[0].state, DeliveryState::Waiting as i16);
    let error = all[0].error.as_deref().unwrap();
    assert!(error.starts_with("the filter could not be asked: "), "{error}");
    replica.stop.cancel();
    replica.ended.await.unwrap();
    world.hurry().await;
    let _replica = world.deliver().await;
    world.until_all(DeliveryState::Delivered).await;
    receiver.gets(1).await;
}

async fn a_task_that_fails_stands_in_the_way_of_no_claim(world: World) {
    let receiver = Receiver::start(|index| Reply::Status(if index < 2 { 410 } else { 200 })).await;
    world.hook(receiver.url(), |_| {}).await;
    world.whole_run(world.task()).await;
    let _replica = world.deliver().await;
    let all = world.until(|all| all[0].attempts == 1).await;
    assert!(all[1..].iter().all(|later| later.due == all[0].due), "the later ones are due with the first");
    world.hurry().await;
    let all = world.until(|all| all[0].attempts == 2).await;
    let until = all[0].tried.unwrap() + 300_000_000;
    assert!(
        all[1..].iter().all(|later| later.due > all[0].tried.unwrap() && later.due <= until),
        "or when they may overtake it"
    );
    world.engine.type_sql("UPDATE webhook_delivery SET due = 1 WHERE attempts > 0").await;
    let got = receiver.gets(8).await;
    assert_eq!(got.last().unwrap().json()["sequence"], 6, "they follow at once when it has arrived");
}

async fn signatures_are_made_with_both_secrets(world: World) {
    let receiver = Receiver::content().await;
    let [old, new] = ["A", "B"].map(|letter| format!("whsec_{}", letter.repeat(32)));
    world.hook(receiver.url(), |hook| hook.secrets = Some(vec![old.clone()])).await;
    let _replica = world.deliver().await;
    let path = format!("/api/v1/webhook/{HOOK}");
    for (published, secrets) in (1..).zip([vec![&old], vec![&old, &new], vec![&new], vec![]]) {
        let (status, shown) = world.call("PUT", &path, json!({"secrets": secrets})).await;
        assert!(status == 200 && !shown.to_string().contains("whsec_"), "{shown}");
        world.app.publish(HOOK, "{}").await.unwrap();
        let got = receiver.gets(published).await.pop().unwrap();
        let expected: Vec<String> = secrets.iter().map(|secret| signed(secret, &got)).collect();
        let said = got.headers.get("webhook-signature").cloned().unwrap_or_default();
        assert_eq!(said, expected.join(" "));
    }
}

fn signed(secret: &str, got: &crate::receiver::Got) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use hmac::Mac as _;
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.{}", got.id(), got.headers["webhook-timestamp"], got.text).as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

async fn a_server_that_stops_waits_for_what_is_under_way(world: World) {
    let receiver = Receiver::start(|_| Reply::Silence).await;
    world.hook(receiver.url(), |hook| hook.timeout = Some("2s".into())).await;
    world.app.publish(HOOK, "{}").await.unwrap();
    let replica = world.deliver().await;
    receiver.gets(1).await;
    replica.stop.cancel();
    replica.ended.await.unwrap();
    let all = world.deliveries().await;
    assert_eq!((all[0].attempts, all[0].error.as_deref()), (1, Some("there was no whole answer within 2s")));
}
