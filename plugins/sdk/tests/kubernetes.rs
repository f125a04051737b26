//! The module `kubernetes` as an author uses it, on a cluster that is played.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of it is test")]

use std::time::Duration;

use claiflow_sdk::{
    Applied, Error, command,
    kubernetes::{Api, ExecOptions, LogQuery, Patch, Query, RemoveOptions, Resource, Scope, WriteOptions, granted},
    testing::{Cluster, Executed, Host},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

claiflow_sdk::plugin! { name: "tool", commands: [touch] }

const PODS: Resource = Resource::new("", "v1", "pods");
const DEPLOYMENTS: Resource = Resource::new("apps", "v1", "deployments");

/// Touches a pod, also where it should not.
#[command("tool.touch", effect = "verify", verify = touched)]
fn touch(_: Value) -> Result<(), Error> {
    let patch = Patch::Merge(json!({"metadata": {"labels": {"touched": "yes"}}}));
    pods().patch("web-1", &patch, &WriteOptions::default()).map(drop)
}

fn touched(_: Value, _: &claiflow_sdk::Context) -> Result<claiflow_sdk::Verdict<()>, Error> {
    touch(Value::Null).map(claiflow_sdk::Verdict::Done)
}

fn pods() -> Api {
    Api::in_namespace(PODS, "shop")
}

fn shop() -> Cluster {
    let cluster = Cluster::new();
    for (name, app) in [("web-1", "web"), ("web-2", "web"), ("web-3", "web"), ("db-1", "db")] {
        cluster.put(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "shop", "name": name, "labels": {"app": app}},
            "spec": {"containers": [{"name": "app", "image": "app:1"}]}, "status": {"phase": "Running"},
        }));
    }
    cluster
}

#[test]
fn an_object_is_read_as_a_type_with_the_fields_that_matter() {
    #[derive(Deserialize, PartialEq, Debug)]
    struct Pod {
        status: Status,
    }
    #[derive(Deserialize, PartialEq, Debug)]
    struct Status {
        phase: String,
    }
    let _cluster = shop();
    let pods = Api::<Pod>::in_namespace(PODS, "shop");
    assert_eq!(pods.get("web-1").unwrap().status.phase, "Running");
    assert_eq!(pods.find("web-9", &Query::new()).unwrap(), None);
    let missing = pods.get("web-9").unwrap_err();
    assert_eq!((missing.code(), missing.status(), missing.reason()), ("not-found", Some(404), Some("NotFound")));
    let error = Api::<u8>::in_namespace(PODS, "shop").get("web-1").unwrap_err();
    assert!(error.message().starts_with("pods shop/web-1 does not fit"), "{error}");

    let unknown = Api::<Value>::in_namespace(Resource::new("", "v1", "pod"), "shop");
    assert_eq!(
        unknown.find("x", &Query::new()).unwrap_err().code(),
        "not-found",
        "a kind that is not there is no answer"
    );
    assert_eq!(Api::<Value>::granted(PODS).get("x").unwrap_err().code(), "invalid");
    assert_eq!(Api::<Value>::of_cluster(PODS).get("x").unwrap_err().code(), "invalid");
}

#[test]
fn a_list_comes_page_by_page_and_holds_what_was_asked_for() {
    let cluster = shop();
    let names = |api: &Api, query: &Query| -> Vec<Value> {
        api.list(query).unwrap().map(|pod| pod.unwrap()["metadata"]["name"].clone()).collect()
    };
    assert_eq!(names(&pods(), &Query::new()), ["db-1", "web-1", "web-2", "web-3"]);
    assert_eq!(names(&Api::granted(PODS), &Query::new().label("app", "web")), ["web-1", "web-2", "web-3"]);
    assert_eq!(names(&pods(), &Query::new().label("app", "web").limit(2)), ["web-1", "web-2"]);
    assert_eq!(names(&pods(), &Query::new().field_selector("metadata.name=db-1")), ["db-1"]);
    let query = Query::new().fields(["metadata.name", "spec.containers.image"]).limit(1);
    let only: Vec<Value> = pods().list(&query).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!((&only[0]["kind"], &only[0]["metadata"]), (&json!("Pod"), &json!({"name": "db-1"})));
    assert_eq!((&only[0]["spec"], only.len()), (&json!({"containers": [{"image": "app:1"}]}), 1));
    assert_eq!(cluster.calls().last().unwrap(), "list pods in shop");
    for query in [query, Query::new()] {
        let items: Vec<Value> = pods().list(&query).unwrap().collect::<Result<_, _>>().unwrap();
        let text = pods().list_text(&query).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Value>>(text.get()).unwrap(), items, "the same as one text");
    }
    assert_eq!(pods().list_text(&Query::new().label("app", "none")).unwrap().get(), "[]");

    let mut wrong = Api::<u8>::in_namespace(PODS, "shop").list(&Query::new()).unwrap();
    assert_eq!(wrong.next().unwrap().unwrap_err().code(), "failed");
    assert!(wrong.next().is_none(), "an error is the last item");
}

#[test]
fn a_watch_tells_what_happens_while_it_waits() {
    let (_host, cluster) = (Host::new(), shop());
    cluster.after(Duration::from_secs(3), |cluster| {
        cluster.change("pods", "shop", "web-1", |pod| pod["status"]["phase"] = "Failed".into());
        cluster.take("pods", "shop", "web-2");
    });
    let mut watching = Api::<Value>::in_namespace(PODS, "shop").watch(&Query::new().label("app", "web")).unwrap();
    let first = watching.next(Duration::from_secs(1)).unwrap();
    assert_eq!(first.iter().map(|event| event.what.as_str()).collect::<Vec<_>>(), ["ADDED", "ADDED", "ADDED"]);
    assert!(watching.next(Duration::from_secs(1)).unwrap().is_empty());
    let then = watching.next(Duration::from_secs(60)).unwrap();
    assert_eq!(then.iter().map(|event| event.what.as_str()).collect::<Vec<_>>(), ["MODIFIED", "DELETED"]);
    assert_eq!(then[0].object["status"]["phase"], "Failed");
    let version = then[0].object["metadata"]["resourceVersion"].as_str().unwrap();
    let mut later = Api::<Value>::in_namespace(PODS, "shop").watch(&Query::new().since(version)).unwrap();
    assert_eq!(later.next(Duration::from_secs(1)).unwrap(), then[1..], "what came behind that version");
}

#[test]
fn writes_have_the_semantics_of_an_api_server() {
    #[derive(Serialize)]
    struct Map {
        metadata: Metadata,
        data: Value,
    }
    #[derive(Serialize)]
    struct Metadata {
        name: &'static str,
    }
    let cluster = shop();
    let maps = Api::<Value>::in_namespace(Resource::new("", "v1", "configmaps"), "shop");
    let options = WriteOptions::default();
    let map = Map { metadata: Metadata { name: "web" }, data: json!({"a": "1"}) };
    let made = maps.create(&map, &options).unwrap();
    assert_eq!((&made["kind"], &made["metadata"]["namespace"]), (&json!("ConfigMap"), &json!("shop")));
    let error = maps.create(&map, &options).unwrap_err();
    assert_eq!((error.code(), error.had_effect()), ("exists", Some(Applied::No)));
    let named = maps.create(&json!({"metadata": {"generateName": "web-"}}), &options).unwrap();
    assert!(named["metadata"]["name"].as_str().unwrap().starts_with("web-0"));

    let applied = maps.apply("web", &json!({"data": {"b": "2"}}), &options).unwrap();
    assert_eq!(applied["data"], json!({"a": "1", "b": "2"}));
    assert_eq!(maps.replace("web", &json!({"data": {}}), &options).unwrap_err().code(), "invalid");
    assert_eq!(maps.replace("web", &made, &options).unwrap_err().code(), "conflict");
    let replaced = maps.replace("web", &applied, &options).unwrap();
    assert_ne!(replaced["metadata"]["resourceVersion"], applied["metadata"]["resourceVersion"]);
    let patch =
        Patch::Json(json!([{"op": "test", "path": "/data/a", "value": "1"}, {"op": "remove", "path": "/data/a"}]));
    let trial = WriteOptions { dry_run: true, fields: vec!["data".into()], ..WriteOptions::default() };
    let tried = maps.patch("web", &patch, &trial).unwrap();
    assert_eq!((&tried["data"], tried.get("metadata")), (&json!({"b": "2"}), None));
    assert_eq!(cluster.object("configmaps", "shop", "web").unwrap()["data"]["a"], "1", "nothing changed");
    maps.patch("web", &patch, &options).unwrap();
    assert_eq!(maps.patch("web", &patch, &options).unwrap_err().status(), Some(422));

    let uid = made["metadata"]["uid"].as_str().unwrap();
    let other = RemoveOptions { uid: Some("another".into()), ..RemoveOptions::default() };
    assert_eq!(maps.remove("web", &other).unwrap_err().code(), "conflict");
    let this = RemoveOptions { uid: Some(uid.into()), ..RemoveOptions::default() };
    assert_eq!(maps.remove("web", &this).unwrap()["status"], "Success");
    assert_eq!(maps.remove("web", &this).unwrap_err().code(), "not-found");
}

#[test]
fn subresources_are_named() {
    let cluster = shop();
    cluster.put(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "shop", "name": "web"}, "spec": {"replicas": 1},
    }));
    let scale = Api::<Value>::in_namespace(DEPLOYMENTS, "shop").sub("scale");
    let patch = Patch::Merge(json!({"spec": {"replicas": 3}}));
    let scaled = scale.patch("web", &patch, &WriteOptions::default()).unwrap();
    assert_eq!((&scaled["kind"], &scaled["spec"]["replicas"]), (&json!("Scale"), &json!(3)));
    assert_eq!(cluster.object("deployments", "shop", "web").unwrap()["spec"]["replicas"], 3);
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web-1"}});
    pods().sub("eviction").create(&eviction, &WriteOptions::default()).unwrap();
    assert_eq!(cluster.object("pods", "shop", "web-1"), None);
    assert_eq!(cluster.calls(), ["patch deployments/scale.apps/v1 shop/web", "create pods/eviction shop/web-1"]);
}

#[test]
fn logs_and_programs_come_in_pieces() {
    let cluster = shop();
    cluster.log("shop", "web-1", "one\ntwo\nthree\n");
    let query = LogQuery { tail_lines: Some(2), ..LogQuery::default() };
    let mut log = pods().log("web-1", &query).unwrap();
    assert_eq!(log.read(Duration::ZERO).unwrap().unwrap(), b"two\nthree\n");
    assert_eq!(log.read(Duration::ZERO).unwrap(), None);

    cluster.program(|command, input| Executed {
        stdout: [command.join(" ").as_bytes(), b" ", input].concat(),
        stderr: b"careful".to_vec(),
        exit: 3,
    });
    let cat = ["cat".to_owned(), "-".to_owned()];
    let program = pods().exec("web-1", "", &cat, &ExecOptions { stdin: true, ..ExecOptions::default() }).unwrap();
    assert_eq!(program.read(Duration::ZERO).unwrap().unwrap().data, b"", "it waits for its input");
    program.write(b"text").unwrap();
    program.close_input();
    let out = program.read(Duration::ZERO).unwrap().unwrap();
    let err = program.read(Duration::ZERO).unwrap().unwrap();
    assert_eq!((out.is_error, out.data.as_slice()), (false, &b"cat - text"[..]));
    assert_eq!((err.is_error, err.data.as_slice()), (true, &b"careful"[..]));
    assert_eq!(program.read(Duration::ZERO).unwrap(), None);
    assert_eq!(program.failure().unwrap().unwrap(), "command terminated with exit code 3");
}

#[test]
fn a_test_says_what_fails_and_when() {
    let cluster = shop();
    let away = || Error::unavailable("away").detail("status", 503).applied(Applied::No);
    cluster.fail("get pods", away());
    assert_eq!(pods().get("web-1").unwrap_err().status(), Some(503));
    assert!(pods().get("web-1").is_ok());

    cluster.lose("patch pods", Error::timeout("no answer").applied(Applied::Unknown));
    let error = PLUGIN.run("tool.touch", json!({})).unwrap_err();
    assert_eq!((error.code(), error.had_effect()), ("timeout", Some(Applied::Unknown)));
    assert_eq!(cluster.object("pods", "shop", "web-1").unwrap()["metadata"]["labels"]["touched"], "yes");

    cluster.refuse("list", Error::new("denied", "not granted"));
    for _ in 0..2 {
        assert_eq!(pods().list(&Query::new()).err().unwrap().code(), "denied");
    }
}

#[test]
fn nothing_is_written_while_verify_runs_nor_after_a_stop() {
    let (host, _cluster) = (Host::new(), shop());
    let error = PLUGIN.verify_in(&claiflow_sdk::Context::default(), "tool.touch", json!({})).unwrap_err();
    assert_eq!(error.code(), "denied");
    host.stop("cancelled");
    assert_eq!(PLUGIN.run("tool.touch", json!({})).unwrap_err().code(), "stopped");
    assert!(pods().get("web-1").is_ok(), "reads go on");
}

#[test]
fn what_a_plugin_may_touch_is_told_and_without_a_cluster_it_is_nothing() {
    let cluster = shop();
    cluster.kind("stable.example.com/v1", "CronTab", "crontabs", true);
    let tabs = granted().unwrap().into_iter().find(|granted| granted.plural == "crontabs").unwrap();
    assert_eq!((tabs.group.as_str(), tabs.kind.as_str(), tabs.namespaced), ("stable.example.com", "CronTab", true));
    drop(cluster);
    let error = Api::<Value>::within(PODS, Scope::Granted).list(&Query::new()).err().unwrap();
    assert!(error.message().contains("testing::Cluster"), "{error}");
}
