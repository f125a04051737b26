//! The agent's own life, on a cluster that is played: each controller does what a test says, when it says.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of it is test")]

use std::time::Duration;

use claiflow_plugin_claiflow::PLUGIN;
use claiflow_sdk::{
    Applied, Context, Error,
    testing::{Agent, Cluster, Host},
};
use serde_json::{Value, json};

const NAMESPACE: &str = "claiflowclient";
const DEPLOYMENT: &str = "claiflow-client";
const POD: &str = "claiflow-client-5d4f8c7b9-x2x4z";
const KEY: &str = "0123456789abcdef0123456789abcdef";
const UPGRADE: &str = "claiflow.client.upgrade";
const BEFORE: &str = "claiflow-before-upgrade";

/// What happens in a case.
type Happens = Box<dyn Fn(&Stage)>;
/// The same, where it needs nothing of its own.
type Befalls = fn(&Stage);

struct Stage {
    cluster: Cluster,
    agent: Agent,
    host: Host,
}

fn template() -> Value {
    json!({
        "metadata": {"labels": {"claiflow": "client"}, "annotations": {"prometheus.io/port": "18098"}},
        "spec": {
            "initContainers": [{"name": "precompile", "image": "registry:5000/claiflow/agent:0.1.0"}, {"name": "other", "image": "busybox"}],
            "containers": [
                {"name": "sidecar", "image": "proxy:3"},
                {"name": "agent", "image": "registry:5000/claiflow/agent:0.1.0", "env": [
                    {"name": "LOG", "value": "info"},
                    {"name": "SERVER", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "server"}}},
                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}},
                ]},
            ],
        },
    })
}

fn status(generation: u64, updated: u64, available: u64, replicas: u64) -> Value {
    json!({
        "observedGeneration": generation, "updatedReplicas": updated, "availableReplicas": available, "replicas": replicas,
    })
}

impl Stage {
    fn new() -> Self {
        let (cluster, agent, host) = (Cluster::new(), Agent::new(NAMESPACE, POD), Host::new());
        host.remaining_ms(600_000);
        let revision = json!({"deployment.kubernetes.io/revision": "3", "kubectl.kubernetes.io/x": "y"});
        let owned = |name: &str, kind: &str, owner: &str| {
            json!({"namespace": NAMESPACE, "name": name, "annotations": revision,
                "ownerReferences": [{"kind": kind, "name": owner}]})
        };
        cluster.put(json!({"apiVersion": "v1", "kind": "Pod", "metadata": owned(POD, "ReplicaSet", "claiflow-client-5d4f8c7b9")}));
        cluster.put(json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": owned("claiflow-client-5d4f8c7b9", "Deployment", DEPLOYMENT), "spec": {"template": template()},
        }));
        let mut template = template();
        template["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] = json!("agent");
        cluster.put(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"namespace": NAMESPACE, "name": DEPLOYMENT, "generation": 5, "annotations": revision},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"claiflow": "client"}}, "template": template},
            "status": status(5, 1, 1, 1),
        }));
        cluster.put(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": NAMESPACE, "name": "map"}, "data": {"server": "old:1", "x": "y"},
        }));
        cluster.put(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": NAMESPACE, "name": "token"}, "data": {"token": "b2xkIHNlY3JldA=="},
        }));
        Self { cluster, agent, host }
    }

    fn context(&self, attempt: u32) -> Context {
        let mut context = Context::default();
        context.effect_key = KEY.into();
        context.attempt = attempt;
        context.notes = self.host.notes();
        context
    }

    fn upgrade(&self, attempt: u32, inputs: Value) -> Result<Value, Error> {
        PLUGIN.run_in(&self.context(attempt), UPGRADE, inputs)
    }

    fn verify(&self, attempt: u32, inputs: Value) -> Value {
        PLUGIN.verify_in(&self.context(attempt), UPGRADE, inputs).unwrap()
    }

    /// What the Deployment's controller says in so long.
    fn says(&self, seconds: u64, status: Value) {
        self.cluster.after(Duration::from_secs(seconds), move |cluster| {
            cluster.change("deployments", NAMESPACE, DEPLOYMENT, |object| object["status"] = status);
        });
    }

    fn object(&self, plural: &str, name: &str) -> Value {
        self.cluster.object(plural, NAMESPACE, name).unwrap()
    }

    fn container(&self) -> Value {
        self.object("deployments", DEPLOYMENT)["spec"]["template"]["spec"]["containers"][1].clone()
    }

    fn mark(&self) -> Value {
        self.object("deployments", DEPLOYMENT)["spec"]["template"]["metadata"]["annotations"]["claiflow.io/upgrade"]
            .clone()
    }

    /// Nothing that the agent is made of is changed.
    fn is_as_before(&self) {
        assert_eq!(self.container(), template()["spec"]["containers"][1]);
        assert_eq!(self.mark(), Value::Null);
        assert_eq!(self.object("configmaps", "map")["data"], json!({"server": "old:1", "x": "y"}));
        assert_eq!(self.object("secrets", "token")["data"], json!({"token": "b2xkIHNlY3JldA=="}));
    }
}

fn everything() -> Value {
    json!({"image_tag": "0.2.0", "timeout": 60, "env_configs": {"LOG": "debug", "SERVER": "new:2", "TOKEN": "new secret", "NEW": "1"}})
}

#[test]
fn an_upgrade_sets_image_and_environment_where_they_are_and_answers_once_it_is_up() {
    let stage = Stage::new();
    stage.says(3, status(6, 1, 1, 2));
    stage.says(9, status(6, 1, 1, 1));
    let answer = stage.upgrade(1, everything()).unwrap();
    assert_eq!(
        answer,
        "claiflow-client runs registry:5000/claiflow/agent:0.2.0; it was registry:5000/claiflow/agent:0.1.0"
    );
    assert!((9..12).contains(&stage.host.slept().as_secs()), "{:?}", stage.host.slept());
    let container = stage.container();
    assert_eq!(container["image"], "registry:5000/claiflow/agent:0.2.0");
    let environment = container["env"].as_array().unwrap();
    for (name, value) in [("LOG", "debug"), ("NEW", "1")] {
        assert!(environment.contains(&json!({"name": name, "value": value})), "{environment:?}");
    }
    assert_eq!(environment.len(), 4);
    let pod = &stage.object("deployments", DEPLOYMENT)["spec"]["template"]["spec"];
    let images: Vec<_> = pod["initContainers"].as_array().unwrap().iter().map(|it| it["image"].clone()).collect();
    assert_eq!(images, ["registry:5000/claiflow/agent:0.2.0", "busybox"]);
    assert_eq!(pod["containers"][0]["image"], "proxy:3");
    assert_eq!(stage.object("configmaps", "map")["data"], json!({"server": "new:2", "x": "y"}));
    assert_eq!(stage.object("secrets", "token")["data"], json!({"token": "bmV3IHNlY3JldA=="}));
    assert_eq!(stage.verify(1, everything())["verdict"], "done");
    let notes = Value::from(stage.host.notes()).to_string();
    assert!(!notes.contains("secret") && !notes.contains("old:1") && !notes.contains("new:2"), "{notes}");
}

#[test]
fn what_does_not_come_up_is_rolled_back_and_the_reason_is_told() {
    let pod = |waiting: Value| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {
                "namespace": NAMESPACE, "name": "claiflow-client-new", "labels": {"claiflow": "client"}, "annotations": {"claiflow.io/upgrade": KEY},
            },
            "status": {"containerStatuses": [{"state": {"waiting": waiting}}]},
        })
    };
    let late = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "it has timed out progressing"}]);
    let cases: [(&str, Happens, &str); 4] = [
        (
            "an image that cannot be pulled",
            Box::new(move |stage| {
                let pod = pod(json!({"reason": "ImagePullBackOff", "message": "Back-off pulling image"}));
                stage.cluster.after(Duration::from_secs(3), move |cluster| cluster.put(pod));
            }),
            "the pod `claiflow-client-new` waits: ImagePullBackOff: Back-off pulling image",
        ),
        (
            "no progress",
            Box::new(move |stage| {
                let mut status = status(6, 1, 1, 2);
                status["conditions"] = late.clone();
                stage.says(5, status);
            }),
            "it has timed out progressing",
        ),
        (
            "nothing",
            Box::new(|stage| stage.says(1, status(6, 1, 1, 2))),
            "it was not available within 60 s; at last: 1 of 2 pods are new",
        ),
        (
            "a denial",
            Box::new(|stage| stage.cluster.refuse("list pods", Error::new("denied", "no rule"))),
            "it cannot be watched: no rule",
        ),
    ];
    for (name, happens, why) in cases {
        let stage = Stage::new();
        happens(&stage);
        let error = stage.upgrade(1, everything()).unwrap_err();
        assert!(error.message().contains(why), "{name}: {error}");
        assert!(
            error.message().contains("rolled back: it is registry:5000/claiflow/agent:0.1.0 again"),
            "{name}: {error}"
        );
        assert_eq!(error.had_effect(), Some(Applied::No), "{name}");
        stage.is_as_before();
        // Another attempt does not do the same again.
        assert_eq!(stage.verify(2, everything())["verdict"], "not-done", "{name}");
        let calls = stage.cluster.calls().len();
        let again = stage.upgrade(2, everything()).unwrap_err();
        assert!(again.message().contains("an earlier attempt rolled it back"), "{name}: {again}");
        assert!(!stage.cluster.calls()[calls..].iter().any(|call| call.starts_with("patch")), "{name}");
    }
}

#[test]
fn whoever_comes_after_a_dead_agent_answers_or_goes_on() {
    // It died while it watched: the stop stands for the death.
    let stage = Stage::new();
    stage.cluster.fail("list pods", Error::stopped("the process is gone"));
    assert!(stage.upgrade(1, everything()).is_err());
    assert_eq!(stage.mark(), KEY);
    assert!(!stage.object("configmaps", "map")["data"][BEFORE].is_null());
    let same = stage.verify(1, everything());
    assert_eq!(same["verdict"], "unknown", "{same}");
    // The next one goes on, whether it comes up then or not.
    assert_eq!(stage.verify(2, everything())["verdict"], "not-done");
    stage.says(4, status(6, 1, 1, 1));
    let patches =
        |stage: &Stage| stage.cluster.calls().iter().filter(|call| call.starts_with("patch deployments")).count();
    assert_eq!(patches(&stage), 1);
    stage.upgrade(2, everything()).unwrap();
    assert_eq!(patches(&stage), 1, "it is not patched twice");
    assert_eq!(stage.object("configmaps", "map")["data"], json!({"server": "new:2", "x": "y"}));
    assert_eq!(stage.verify(3, everything())["verdict"], "done");

    // It died before it changed anything, or after somebody else did.
    let stage = Stage::new();
    assert_eq!(stage.verify(2, everything())["verdict"], "not-done");
    stage.cluster.fail("get configmaps", Error::unavailable("gone"));
    assert!(stage.upgrade(1, everything()).is_err());
    assert_eq!(stage.verify(2, everything())["verdict"], "not-done");
    stage.cluster.change("deployments", NAMESPACE, DEPLOYMENT, |object| object["spec"]["replicas"] = json!(2));
    assert_eq!(stage.verify(2, everything())["verdict"], "unknown");
}

#[test]
fn a_change_by_somebody_else_is_never_overwritten() {
    // Between the look and the patch.
    let stage = Stage::new();
    stage.cluster.fail(
        "patch deployments",
        Error::invalid("testing path /metadata/generation failed")
            .detail("status", 422)
            .detail("reason", "Invalid")
            .applied(Applied::No),
    );
    let error = stage.upgrade(1, everything()).unwrap_err();
    assert_eq!(error.had_effect(), Some(Applied::No), "{error}");
    stage.is_as_before();

    // While the rollout is watched: it is theirs then.
    let stage = Stage::new();
    stage.cluster.after(Duration::from_secs(3), |cluster| {
        cluster.change("deployments", NAMESPACE, DEPLOYMENT, |object| {
            object["spec"]["template"]["metadata"]["annotations"]["claiflow.io/upgrade"] = json!("another");
        });
    });
    let error = stage.upgrade(1, everything()).unwrap_err();
    assert!(error.message().contains("somebody else changed the Deployment meanwhile"), "{error}");
    assert_eq!(stage.mark(), "another");

    // An answer that was lost is no failure that may be repeated.
    let stage = Stage::new();
    stage.cluster.lose("patch deployments", Error::timeout("no answer").applied(Applied::Unknown));
    let error = stage.upgrade(1, everything()).unwrap_err();
    assert_eq!(error.had_effect(), Some(Applied::Unknown), "{error}");
    assert_eq!(stage.verify(1, everything())["verdict"], "unknown");
}

#[test]
fn an_agent_that_cannot_upgrade_itself_says_why_and_changes_nothing() {
    const REVISION: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";
    let rolling = |stage: &Stage| {
        stage
            .cluster
            .change("deployments", NAMESPACE, DEPLOYMENT, |object| *object.pointer_mut(REVISION).unwrap() = json!("4"));
    };
    let alone = |stage: &Stage| {
        stage.cluster.change("pods", NAMESPACE, POD, |object| object["metadata"]["ownerReferences"] = json!([]))
    };
    let cases: [(&str, Befalls, Value, &str); 6] = [
        ("a rollout is under way", rolling, everything(), "is being rolled out already"),
        ("no Deployment", alone, everything(), "is of no ReplicaSet"),
        ("no pod", |stage| stage.cluster.take("pods", NAMESPACE, POD), everything(), "the agent's own pod"),
        ("another repository", |_| {}, json!({"image_tag": "evil/agent:1"}), "the repository stays"),
        ("no variable", |_| {}, json!({"image_tag": "1", "env_configs": {"A=B": "1"}}), "names no variable"),
        (
            "a denial",
            |stage| stage.cluster.refuse("get secrets", Error::new("denied", "no rule")),
            everything(),
            "the Secret `token`",
        ),
    ];
    for (name, happens, inputs, why) in cases {
        let stage = Stage::new();
        happens(&stage);
        let error = stage.upgrade(1, inputs).unwrap_err();
        assert!(error.to_string().contains(why), "{name}: {error}");
        assert_eq!(error.had_effect(), Some(Applied::No), "{name}: {error:?}");
        if let Some(data) = stage.cluster.object("configmaps", NAMESPACE, "map") {
            assert_eq!(data["data"], json!({"server": "old:1", "x": "y"}), "{name}");
        }
        assert_eq!(stage.mark(), Value::Null, "{name}");
    }
}

#[test]
fn a_rebounce_drains_before_it_leaves_and_plugins_are_told_as_they_are() {
    let stage = Stage::new();
    let answer = PLUGIN.run("claiflow.client_pod.rebounce", json!({})).unwrap();
    assert!(answer.as_str().unwrap().contains(POD), "{answer}");
    assert_eq!(stage.agent.calls(), ["drain rebounce 30000", "restart rebounce"]);
    let plugins = json!({"plugins": [{"name": "example", "state": "ready"}]});
    stage.agent.plugins(plugins.clone());
    assert_eq!(PLUGIN.run("claiflow.plugin.list", json!({})).unwrap(), plugins);
    assert_eq!(PLUGIN.run("claiflow.plugin.reload", json!({})).unwrap(), plugins);
    assert_eq!(stage.agent.calls().last().unwrap(), "reload");
}

#[test]
fn absent_and_null_inputs_are_the_same() {
    for inputs in [
        json!({"image_tag": "1"}),
        json!({"image_tag": "1", "timeout": null, "env_configs": null}),
        json!({"image_tag": "1", "timeout": 0}),
    ] {
        let stage = Stage::new();
        stage.says(250, status(6, 1, 1, 1));
        assert!(stage.upgrade(1, inputs.clone()).is_ok(), "{inputs}");
    }
}
