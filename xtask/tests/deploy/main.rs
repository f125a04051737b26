//! `deploy/`, checked without a cluster and without a container engine: what kustomize renders is what Kubernetes reads, is
//! confined as we promise, and fits together with the programs, the images and the README.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod confinement;
mod images;
mod kustomize;
mod programs;
mod references;
mod shape;

use std::{fs, path::Path};

use serde::Deserialize as _;
use serde_json::{Value, json};

/// What people apply together: the bases of one cluster.
const TOGETHER: [&[&str]; 6] = [
    &["server", "mariadb"],
    &["server-with-tls", "mariadb"],
    &["agent"],
    &["agent-with-tls"],
    &["agent-token-in-configmap"],
    &["agent-with-cluster-access"],
];

/// What a base does though another would better not: the first of those that are applied together, and the fault.
const NEEDED: [(&str, &str); 1] = [(
    "agent-with-cluster-access",
    "Deployment claiflowclient/claiflow-client: /spec/automountServiceAccountToken is not false",
)];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a YAML text.
fn documents(yaml: &str) -> Vec<Value> {
    serde_yaml_ng::Deserializer::from_str(yaml).map(|document| Value::deserialize(document).unwrap()).collect()
}

/// Text at a JSON pointer; empty where there is none.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Elements at a JSON pointer; none where there is no array.
fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// `Deployment claiflow/claiflow-deployment`.
fn name(document: &Value) -> String {
    format!(
        "{} {}/{}",
        text(document, "/kind"),
        text(document, "/metadata/namespace"),
        text(document, "/metadata/name")
    )
}

/// The pods that a document makes, if any.
fn pod(document: &Value) -> Option<&Value> {
    document.pointer("/spec/template").filter(|template| template.pointer("/spec/containers").is_some())
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "/spec/initContainers").iter().chain(list(pod, "/spec/containers"))
}

/// Fails with every fault that `check` finds in what is applied together.
fn each(check: fn(&[Value]) -> Vec<String>) {
    let Some(kustomize) = kustomize::program() else { return };
    for bases in TOGETHER {
        let documents: Vec<Value> =
            bases.iter().flat_map(|base| documents(&kustomize::build(&kustomize, base))).collect();
        assert!(documents.iter().any(|document| pod(document).is_some()), "{bases:?} run nothing");
        let mut faults = check(&documents);
        faults.retain(|fault| !NEEDED.contains(&(bases[0], fault.as_str())));
        assert!(faults.is_empty(), "{bases:?}:\n{}", faults.join("\n"));
    }
}

#[test]
fn every_document_has_only_fields_that_kubernetes_knows() {
    each(|documents| documents.iter().flat_map(shape::faults).collect());
}

#[test]
fn every_pod_may_do_as_little_as_possible() {
    each(|documents| documents.iter().flat_map(confinement::faults).collect());
}

#[test]
fn every_name_that_is_referred_to_exists_or_is_made_as_the_readme_says() {
    each(references::faults);
}

#[test]
fn the_programs_know_every_flag_variable_and_key_that_they_are_given() {
    each(programs::faults);
}

#[test]
fn the_images_hold_the_programs_of_the_workspace() {
    let faults = [("server", "claiflow-server"), ("agent", "claiflow-agent")]
        .map(|(image, program)| images::faults(image, program));
    assert_eq!(faults.concat(), Vec::<String>::new());
}

#[test]
fn the_recording_rules_ask_for_metrics_that_the_server_has() {
    let rules = &documents(&read("deploy/prometheus/first-version.rules.yaml"))[0];
    let metrics = read("host-server/src/metrics.rs");
    for rule in list(rules, "/groups/0/rules") {
        let expression = text(rule, "/expr");
        let at = expression.find("http_server_").unwrap_or_else(|| panic!("{expression}"));
        let metric: String = expression[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(&metric);
        assert!(metrics.contains(&format!("\"{family}\"")), "there is no metric {family}");
    }
}

/// A pod that passes, and what is planted into it.
#[test]
fn the_checks_find_what_is_planted() {
    let good = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "n"},
        "spec": {
            "selector": {"matchLabels": {"x": "y"}},
            "template": {
                "metadata": {"labels": {"x": "y"}},
                "spec": {
                    "automountServiceAccountToken": false,
                    "securityContext": {"runAsNonRoot": true, "runAsUser": 1002, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [{
                        "name": "c", "image": "i",
                        "ports": [{"name": "ops", "containerPort": 1}],
                        "livenessProbe": {"httpGet": {"path": "/", "port": "ops"}},
                        "readinessProbe": {"httpGet": {"path": "/", "port": "ops"}},
                        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
                        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
                    }],
                },
            },
        },
    });
    let all = |document: &Value| -> Vec<String> {
        let documents = std::slice::from_ref(document);
        [shape::faults(document), confinement::faults(document), references::faults(documents)].concat()
    };
    assert_eq!(all(&good), Vec::<String>::new());
    let container = "/spec/template/spec/containers/0";
    for (at, key, planted, says) in [
        ("/spec", "replica", json!(2), "/spec/replica"),
        ("/spec/template/spec", "hostNetwork", json!(true), "hostNetwork"),
        ("/spec/template/spec", "automountServiceAccountToken", json!(true), "automountServiceAccountToken"),
        ("/spec/template/spec", "volumes", json!([{"name": "h", "hostPath": {"path": "/"}}]), "hostPath"),
        ("/spec/template/spec", "volumes", json!([{"name": "s", "secret": {"secretName": "nowhere"}}]), "nowhere"),
        ("/spec/template/spec", "serviceAccountName", json!("nobody"), "nobody"),
        ("/spec/template/spec/securityContext", "runAsNonRoot", json!(false), "runAsNonRoot"),
        ("/spec/template/spec/securityContext", "runAsUser", json!(0), "runAsUser"),
        ("/spec/template/metadata/labels", "x", json!("z"), "selector"),
        (container, "volumeMounts", json!([{"name": "none", "mountPath": "/x"}]), "`none`"),
        (container, "resources", json!({}), "resources"),
        (
            container,
            "env",
            json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "nowhere", "key": "k"}}}]),
            "nowhere",
        ),
        (container, "livenessProbe", json!({"httpGet": {"path": "/", "port": "other"}}), "`other`"),
        (&format!("{container}/securityContext"), "readOnlyRootFilesystem", json!(false), "readOnlyRootFilesystem"),
        (&format!("{container}/securityContext"), "privileged", json!(true), "privileged"),
        (&format!("{container}/securityContext/capabilities"), "add", json!(["NET_ADMIN"]), "capabilities"),
    ] {
        let mut bad = good.clone();
        bad.pointer_mut(at).unwrap()[key] = planted;
        let faults = all(&bad);
        assert!(faults.iter().any(|fault| fault.contains(says)), "{at}/{key}: {faults:?}");
    }
    let star = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}]});
    assert!(all(&star).iter().any(|fault| fault.contains('*')));
}
