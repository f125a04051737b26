//! What an operator writes for one agent: its Deployment, and what its own plugin may do.

use serde_json::{Value, json};

pub(super) const NAMESPACE: &str = "claiflow-life";
pub(super) const ACCOUNT: &str = "claiflowclient-controller";
pub(super) const DEPLOYMENT: &str = "claiflow-client";
pub(super) const CONFIG_MAP: &str = "claiflowclient-configmap";
/// Nobody pulls it.
pub(super) const IMAGE: &str = "registry.example.com:5000/claiflow/agent";

/// As `deploy/` has it, as far as it matters here.
pub(super) fn deployment() -> Value {
    let labels = json!({"claiflow": "client"});
    let from_map =
        json!({"name": "FROM_MAP", "valueFrom": {"configMapKeyRef": {"name": CONFIG_MAP, "key": "from-map"}}});
    let environment = json!([from_map, {"name": "DIRECT", "value": "1"}]);
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": DEPLOYMENT, "namespace": NAMESPACE},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": labels, "annotations": {"prometheus.io/port": "18098"}},
                "spec": {
                    "serviceAccountName": ACCOUNT,
                    "containers": [{"name": "agent", "image": format!("{IMAGE}:0.1.0"), "env": environment}],
                },
            },
        },
    })
}

/// Those of docs/operations.md for this Deployment.
pub(super) fn grants(digest: &str) -> Value {
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({"groups": [group], "resources": [resource], "verbs": verbs, "namespaces": [NAMESPACE]});
    let mut deployment = rule("apps", "deployments", &["get", "patch"]);
    deployment["names"] = json!([DEPLOYMENT]);
    deployment["write"] = json!([
        "spec.template.spec.containers.*.image",
        "spec.template.spec.containers.*.env",
        "spec.template.spec.initContainers.*.image",
        "spec.template.metadata.annotations.claiflow.io/upgrade",
        "metadata.annotations.claiflow.io/rolled-back",
    ]);
    deployment["dangerous"] = json!(true);
    let mut map = rule("", "configmaps", &["get", "patch"]);
    map["names"] = json!([CONFIG_MAP]);
    map["write"] = json!(["data"]);
    json!({"plugins": {"claiflow": {
        "sha256": digest,
        "commands": ["claiflow.*"],
        "system": ["agent"],
        "kubernetes": [rule("", "pods", &["get", "list"]), rule("apps", "replicasets", &["get"]), deployment, map],
        "limits": {"wall": "15m", "cpu": "30s", "host_calls": 5000},
    }}})
}
