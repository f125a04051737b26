//! The cluster's API as the agent speaks it, on a real API server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod kubernetes_parts;

use std::time::Duration;

use bytes::Bytes;
use claiflow_agent::{
    grants::kubernetes::{Kind, Namespace, Patch},
    kubernetes::{
        Actor, Deletion, Effect, EventType, ExecOptions, Execution, Listing, LogOptions, Request, Search, Watch,
    },
};
use kubernetes_parts::{Hands, MOST, Plane, deadline, until, writing};
use serde_json::{Value, json};
use tokio::time::Instant;

async fn hands(plane: &Plane) -> Hands {
    Hands { cluster: plane.cluster().await, actor: Actor::Agent }
}

fn merge(body: Value) -> Patch {
    Patch::parse("merge", body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_does_what_it_says_and_conflicts_change_nothing() {
    let Some(plane) = Plane::open("verbs").await else { return };
    let hands = hands(&plane).await;
    let kind = &hands.kind("", "configmaps").await.kind;
    let (at, writing) = (plane.at("a"), writing());
    let body = json!({"metadata": {"name": "a", "labels": {"app": "web"}}, "data": {"k": "1"}});

    let made = hands.ask(Request::create(kind, &at, &body, &writing)).await.unwrap();
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "claiflow:test");
    let uid = made["metadata"]["uid"].as_str().unwrap().to_owned();
    let again = hands.ask(Request::create(kind, &at, &body, &writing)).await.unwrap_err();
    assert_eq!((again.code, again.status, again.effect), ("exists", Some(409), Effect::None));
    assert_eq!(again.reason.as_deref(), Some("AlreadyExists"));

    for (patch_type, change, value) in [
        ("merge", json!({"data": {"k": "2"}}), "2"),
        (
            "json",
            json!([{"op": "test", "path": "/data/k", "value": "2"}, {"op": "replace", "path": "/data/k", "value": "3"}]),
            "3",
        ),
        ("strategic", json!({"data": {"k": "4"}}), "4"),
    ] {
        let patch = Patch::parse(patch_type, change).unwrap();
        let changed = hands.ask(Request::patch(kind, &at, &patch, &writing)).await.unwrap();
        assert_eq!(changed["data"]["k"], value, "{patch_type}");
    }
    let test = Patch::parse("json", json!([{"op": "test", "path": "/data/k", "value": "no"}])).unwrap();
    let failed = hands.ask(Request::patch(kind, &at, &test, &writing)).await.unwrap_err();
    assert_eq!((failed.code, failed.effect), ("invalid", Effect::None));

    let dry = claiflow_agent::kubernetes::Writing { dry_run: true, ..writing.clone() };
    let played = hands.ask(Request::patch(kind, &at, &merge(json!({"data": {"k": "dry"}})), &dry)).await.unwrap();
    assert_eq!(played["data"]["k"], "dry");
    let mut current = hands.ask(Request::get(kind, &at)).await.unwrap();
    assert_eq!(current["data"]["k"], "4", "a dry run stores nothing");

    let stale = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {},
        "metadata": {"name": "a", "namespace": plane.namespace, "resourceVersion": made["metadata"]["resourceVersion"]}});
    let conflict = hands.ask(Request::replace(kind, &at, &stale, &writing)).await.unwrap_err();
    assert_eq!((conflict.code, conflict.reason.as_deref()), ("conflict", Some("Conflict")));
    current["data"]["k"] = "5".into();
    let replaced = hands.ask(Request::replace(kind, &at, &current, &writing)).await.unwrap();
    assert_eq!(replaced["data"]["k"], "5");

    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"k": "1"}});
    hands.ask(Request::apply(kind, &plane.at("b"), &applied, false, &writing)).await.unwrap();
    let other = claiflow_agent::kubernetes::Writing { manager: "somebody".into(), dry_run: false };
    let mut foreign = applied.clone();
    foreign["data"]["k"] = "2".into();
    let held = hands.ask(Request::apply(kind, &plane.at("b"), &foreign, false, &other)).await.unwrap_err();
    assert_eq!(held.code, "conflict", "{held}");
    hands.ask(Request::apply(kind, &plane.at("b"), &foreign, true, &other)).await.unwrap();

    let another = Deletion { uid: Some("00000000-0000-0000-0000-000000000000".into()), ..Deletion::default() };
    let spared = hands.ask(Request::delete(kind, &at, &another)).await.unwrap_err();
    assert_eq!(spared.code, "conflict", "{spared}");
    let deletion = Deletion { uid: Some(uid), ..Deletion::default() };
    hands.ask(Request::delete(kind, &at, &deletion)).await.unwrap();
    let gone = hands.ask(Request::get(kind, &at)).await.unwrap_err();
    assert_eq!((gone.code, gone.status), ("not-found", Some(404)));
    assert!(gone.message.contains("\"a\" not found"), "{gone}");
    plane.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subresources_are_named_apart() {
    let Some(plane) = Plane::open("parts").await else { return };
    let hands = hands(&plane).await;
    let labels = json!({"app": "web"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "none"}]}});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": template});
    plane.make("apps/v1", "Deployment", "deployments", json!({"metadata": {"name": "web"}, "spec": spec})).await;
    let at = plane.at("web");
    let scale = &hands.kind("apps", "deployments/scale").await.kind;
    assert_eq!((scale.api_version.as_str(), scale.kind.as_str()), ("autoscaling/v1", "Scale"));
    let scaled =
        hands.ask(Request::patch(scale, &at, &merge(json!({"spec": {"replicas": 2}})), &writing())).await.unwrap();
    assert_eq!((&scaled["kind"], &scaled["spec"]["replicas"]), (&json!("Scale"), &json!(2)));
    let status = hands.ask(Request::get(&hands.kind("apps", "deployments/status").await.kind, &at)).await.unwrap();
    assert_eq!(status["spec"]["replicas"], 2);

    plane.pod("victim", &["app"], json!({})).await;
    let eviction = &hands.kind("", "pods/eviction").await.kind;
    let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "victim"}});
    let evicted = hands.ask(Request::create(eviction, &plane.at("victim"), &body, &writing())).await.unwrap();
    assert_eq!(evicted["status"], "Success");
    plane.close().await;
}

/// Reads a whole list; answers the names, and the pages' objects and bytes.
async fn pages(hands: &Hands, kind: &Kind, namespace: &str, search: Search) -> (Vec<String>, Vec<(usize, usize)>) {
    let place = Some(Namespace::new(namespace).unwrap());
    let mut listing = Listing::new(kind.clone(), [place], search);
    let (mut names, mut pages) = (Vec::new(), Vec::new());
    while let Some(page) = listing.next(&hands.cluster, &hands.actor, u32::MAX, MOST, deadline()).await.unwrap() {
        pages.push((page.items.len(), page.bytes));
        for item in page.items {
            let item: Value = serde_json::from_str(item.get()).unwrap();
            names.push(item["metadata"]["name"].as_str().unwrap().to_owned());
        }
    }
    (names, pages)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_any_length_comes_in_pages_of_a_bounded_size() {
    let Some(plane) = Plane::open("pages").await else { return };
    let hands = hands(&plane).await;
    let kind = hands.kind("", "configmaps").await.kind.clone();
    let small: Vec<String> = (0..520).map(|index| format!("small-{index:03}")).collect();
    for batch in small.chunks(20) {
        futures_util::future::join_all(batch.iter().map(|name| plane.config_map(name, json!({"k": "v"})))).await;
    }
    let (names, counts) = pages(&hands, &kind, &plane.namespace, Search::default()).await;
    let own: Vec<_> = names.into_iter().filter(|name| name.starts_with("small")).collect();
    assert_eq!(own, small, "each once, in order");
    assert!(counts.len() > 1 && counts.iter().all(|(items, _)| *items <= 500), "{counts:?}");

    let large = "x".repeat(400 << 10);
    for index in 0..24 {
        plane.config_map(&format!("large-{index:02}"), json!({"k": large})).await;
    }
    let (names, sizes) = pages(&hands, &kind, &plane.namespace, Search::default()).await;
    assert_eq!(names.iter().filter(|name| name.starts_with("large")).count(), 24);
    assert!(
        sizes.iter().all(|(_, bytes)| *bytes <= 4 << 20),
        "9 MiB of objects, and no page of more than 4: {sizes:?}"
    );

    let search = Search { metadata_only: true, ..Search::default() };
    let (names, sizes) = pages(&hands, &kind, &plane.namespace, search).await;
    assert!(names.len() > 544 - 1 && sizes.iter().all(|(_, bytes)| *bytes < 1 << 20), "{sizes:?}");
    plane.close().await;
}

async fn watch(plane: &Plane, hands: &Hands, from: &str) -> Result<Watch, claiflow_agent::kubernetes::Failure> {
    let kind = hands.kind("", "configmaps").await.kind.clone();
    let place = Some(Namespace::new(&plane.namespace).unwrap());
    let search = Search { fields: Some("metadata.name=a".into()), ..Search::default() };
    let opened = Watch::open(&hands.cluster, &hands.actor, kind, [place], search, from, deadline()).await;
    opened.map_err(|error| error.failure(|status| status))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_what_becomes_of_objects_until_nobody_asks() {
    let Some(plane) = Plane::open("watch").await else { return };
    let hands = hands(&plane).await;
    plane.config_map("a", json!({"k": "1"})).await;
    let mut watching = watch(&plane, &hands, "").await.unwrap();
    let mut next = async |wait| {
        let until = Instant::now() + Duration::from_millis(wait);
        watching.next(&hands.cluster, &hands.actor, until).await.unwrap()
    };
    let added = next(60_000).await;
    assert_eq!((added.len(), added[0].event), (1, EventType::Added));
    assert!(next(1).await.is_empty(), "nothing came in time, and that is no mistake");
    plane.change("a", json!({"k": "2"})).await;
    let modified = next(60_000).await;
    assert_eq!((modified[0].event, &modified[0].object["data"]["k"]), (EventType::Modified, &json!("2")));
    plane.api("v1", "ConfigMap", "configmaps").delete("a", &Default::default()).await.unwrap();
    assert_eq!(next(60_000).await[0].event, EventType::Deleted);

    let version = modified[0].object["metadata"]["resourceVersion"].as_str().unwrap();
    let mut later = watch(&plane, &hands, version).await.unwrap();
    let seen = later.next(&hands.cluster, &hands.actor, deadline()).await.unwrap();
    assert_eq!(seen[0].event, EventType::Deleted, "what came since is not lost");
    drop(later);
    plane.close().await;
}

/// The output as it came, runs of one stream joined, and how the command ended.
async fn finish(mut execution: Execution) -> (Vec<(bool, String)>, Value) {
    let mut said: Vec<(bool, String)> = Vec::new();
    while let Some(piece) = execution.read(1 << 20, deadline()).await {
        let text = String::from_utf8_lossy(&piece.data).into_owned();
        match said.last_mut() {
            Some((is_error, all)) if *is_error == piece.is_error => all.push_str(&text),
            _ => said.push((piece.is_error, text)),
        }
    }
    (said, execution.status().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_in_containers_and_logs_are_read() {
    let Some(plane) = Plane::open("exec").await else { return };
    let hands = hands(&plane).await;
    plane.pod("web-1", &["app", "side"], json!({})).await;
    let (exec, log) = (hands.kind("", "pods/exec").await, hands.kind("", "pods/log").await);
    let at = plane.at("web-1");
    let run = async |command: &[&str], stdin: bool| {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let options = ExecOptions { stdin, tty: false };
        let started =
            hands.cluster.exec(&hands.actor, &exec.kind, &at, Some("app"), &command, options, deadline()).await;
        started.map_err(|error| error.failure(|status| status))
    };
    // kwok itself runs programs, but says of every failure that it is its own, and never ends their input.
    if finish(run(&["sh", "-c", "exit 3"], false).await.unwrap()).await.1 != json!({"exit": 3}) {
        eprintln!("SKIPPED: the kubelet of this API server does not say how programs end");
        return;
    }
    // The program waits until its first word was taken: nothing else says which of two streams came first.
    let script = "echo one; read x; echo two >&2; read x; echo three; exit 3";
    let mut execution = run(&["sh", "-c", script], true).await.unwrap();
    assert!(execution.status().is_err(), "it has not ended");
    let mut order = Vec::new();
    while let Some(piece) = execution.read(1 << 20, deadline()).await {
        order.push((piece.is_error, String::from_utf8_lossy(&piece.data).trim().to_owned()));
        if order.len() < 3 {
            execution.write(Bytes::from_static(b"go on\n"), deadline()).await.unwrap();
        }
    }
    let words: Vec<_> = order.iter().map(|(is_error, word)| (*is_error, word.as_str())).collect();
    assert_eq!(words, [(false, "one"), (true, "two"), (false, "three")]);
    assert_eq!(execution.status().unwrap(), json!({"exit": 3}));

    let mut execution = run(&["cat"], true).await.unwrap();
    execution.write(Bytes::from_static(b"in and "), deadline()).await.unwrap();
    execution.write(Bytes::from_static(b"out"), deadline()).await.unwrap();
    execution.close_stdin();
    assert!(execution.write(Bytes::from_static(b"late"), deadline()).await.is_err());
    assert_eq!(finish(execution).await, (vec![(false, "in and out".into())], json!({"exit": 0})));

    let much = run(&["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"], false).await.unwrap();
    let (said, status) = finish(much).await;
    assert_eq!((said[0].1.len(), status), (3_000_000, json!({"exit": 0})));

    let (nobody, word) = (plane.at("nobody"), ["true".to_owned()]);
    let absent = hands.cluster.exec(&hands.actor, &exec.kind, &nobody, None, &word, ExecOptions::default(), deadline());
    let absent = absent.await.err().unwrap().failure(|status| status);
    assert_eq!((absent.code, absent.effect), ("not-found", Effect::None), "{absent}");

    let options = LogOptions { container: Some("app".into()), ..LogOptions::default() };
    let mut stream = hands.cluster.log(&hands.actor, &log.kind, &at, &options, deadline()).await.unwrap();
    let mut text = Vec::new();
    while let Some(piece) = stream.read(7, deadline()).await.unwrap() {
        assert!(piece.len() <= 7);
        text.extend_from_slice(&piece);
    }
    assert_eq!(String::from_utf8(text).unwrap().trim(), "hello from this pod");
    let follow = LogOptions { follow: true, ..options };
    let mut stream = hands.cluster.log(&hands.actor, &log.kind, &at, &follow, deadline()).await.unwrap();
    let first = stream.read(1 << 20, deadline()).await.unwrap().unwrap();
    assert!(first.starts_with(b"hello"));
    let soon = Instant::now() + Duration::from_millis(50);
    assert_eq!(stream.read(1 << 20, soon).await.unwrap().unwrap(), Bytes::new(), "it goes on, and nothing came");
    plane.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_acts_through_its_own_account_and_nothing_else() {
    let Some(plane) = Plane::open("account").await else { return };
    let cluster = plane.cluster().await;
    plane.config_map("a", json!({})).await;
    plane.account("robot", json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}])).await;
    let user = format!("system:serviceaccount:{}:robot", plane.namespace);
    for actor in [Actor::Account("robot".into()), Actor::Impersonated("robot".into())] {
        let hands = Hands { cluster: cluster.clone(), actor: actor.clone() };
        let kind = &hands.kind("", "configmaps").await.kind;
        for _ in 0..3 {
            hands.ask(Request::get(kind, &plane.at("a"))).await.unwrap();
        }
        let denied = hands.ask(Request::delete(kind, &plane.at("a"), &Deletion::default())).await.unwrap_err();
        assert_eq!((denied.code, denied.status, denied.effect), ("denied", Some(403), Effect::None));
        assert!(denied.message.contains(&user) && denied.message.contains("--rbac"), "{actor:?}: {denied}");
    }
    let hands = Hands { cluster, actor: Actor::Account("nobody".into()) };
    let kind = &hands.kind("", "configmaps").await.kind;
    let absent = hands.ask(Request::get(kind, &plane.at("a"))).await.unwrap_err();
    assert_eq!(absent.code, "denied");
    assert!(absent.message.contains("`nobody`") && absent.message.contains("does not exist"), "{absent}");

    if let Some(audited) = plane.audited() {
        let of = |verb: &str, resource: &str, subresource: Value| {
            let matching = audited.iter().filter(|event| {
                event["verb"] == verb
                    && event["objectRef"]["resource"] == resource
                    && event["objectRef"]["subresource"] == subresource
            });
            matching.map(|event| event["user"]["username"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        let tokens = of("create", "serviceaccounts", json!("token"));
        let robots = audited.iter().filter(|event| event["objectRef"]["name"] == "robot");
        assert_eq!(robots.filter(|event| event["objectRef"]["subresource"] == "token").count(), 1, "{tokens:?}");
        let gets = of("get", "configmaps", Value::Null);
        assert_eq!(gets.iter().filter(|name| **name == user).count(), 3, "{gets:?}");
    }
    plane.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_comes_later_is_found_and_one_that_is_not_there_is_told_with_the_nearest() {
    let Some(plane) = Plane::open("kinds").await else { return };
    let hands = hands(&plane).await;
    let look = async |group: &str, version: &str, plural: &str, subresource: &str| {
        let found = hands.cluster.served(group, version, plural, subresource, deadline()).await;
        found.map(|served| served.kind.to_string()).map_err(|error| error.failure(|status| status))
    };
    let began = Instant::now();
    assert_eq!(look("apps", "v1", "deployments", "").await.unwrap(), "deployments.apps");
    eprintln!("discovery took {:?}", began.elapsed());
    for (asked, part) in [
        (("apps", "v1", "deploymnets", ""), "the nearest is `deployments.apps`"),
        (("", "v1", "deployments", ""), "there is `deployments.apps`"),
        (("apps", "v9", "deployments", ""), "in the version `v9`, but in `v1`"),
        (("", "", "pods", "logs"), "`log`"),
        (("", "", "svc", ""), "the nearest is `services`"),
    ] {
        let (group, version, plural, subresource) = asked;
        let unknown = look(group, version, plural, subresource).await.unwrap_err();
        assert!(unknown.code == "not-found" && unknown.message.contains(part), "{asked:?}: {unknown}");
    }

    let group = format!("{}.example.com", plane.namespace);
    assert_eq!(look(&group, "", "gadgets", "").await.unwrap_err().code, "not-found");
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let crd = json!({"metadata": {"name": format!("gadgets.{group}")}, "spec": {
        "group": group, "scope": "Namespaced", "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}});
    let crds = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions");
    plane.make(crds.0, crds.1, crds.2, crd).await;
    until("the new kind is found", async || look(&group, "", "gadgets", "").await.is_ok()).await;
    let kind = &hands.kind(&group, "gadgets").await.kind;
    let body = json!({"apiVersion": kind.api_version, "kind": "Gadget", "metadata": {"name": "g"}, "spec": {"x": 1}});
    until("it is served", async || hands.ask(Request::create(kind, &plane.at("g"), &body, &writing())).await.is_ok())
        .await;
    let got = hands.ask(Request::get(kind, &plane.at("g"))).await.unwrap();
    assert_eq!(got["spec"]["x"], 1);
    plane.api(crds.0, crds.1, crds.2).delete(&format!("gadgets.{group}"), &Default::default()).await.unwrap();
    plane.close().await;
}
