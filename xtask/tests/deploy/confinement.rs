//! What a pod may do on its node, and what an account may do in the cluster.

use serde_json::{Value, json};

use super::{containers, list, name, pod, text};

/// Where a document asks for more than it needs.
pub(super) fn faults(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if text(document, "/apiVersion").starts_with("rbac.") && list(document, "/rules").iter().any(has_star) {
        found.push("`*` in a rule".to_owned());
    }
    if let Some(pod) = pod(document) {
        found.extend(pod_faults(pod));
        found.extend(containers(pod).flat_map(|container| {
            let faults = container_faults(container);
            faults.into_iter().map(|fault| format!("container {}: {fault}", text(container, "/name")))
        }));
    }
    found.into_iter().map(|fault| format!("{}: {fault}", name(document))).collect()
}

fn has_star(rule: &Value) -> bool {
    match rule {
        Value::String(text) => text.contains('*'),
        Value::Array(list) => list.iter().any(has_star),
        Value::Object(map) => map.values().any(has_star),
        _ => false,
    }
}

fn pod_faults(pod: &Value) -> Vec<String> {
    let mut found = expected(
        pod,
        &[
            ("/spec/securityContext/runAsNonRoot", json!(true)),
            ("/spec/securityContext/seccompProfile/type", json!("RuntimeDefault")),
            // Neither program calls the Kubernetes API.
            ("/spec/automountServiceAccountToken", json!(false)),
        ],
    );
    if pod.pointer("/spec/securityContext/runAsUser").and_then(Value::as_u64).unwrap_or_default() == 0 {
        found.push("runAsUser is root, or left to the image".into());
    }
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if pod.pointer(&format!("/spec/{key}")).is_some() {
            found.push(format!("{key} is the node's"));
        }
    }
    if list(pod, "/spec/volumes").iter().any(|volume| volume.get("hostPath").is_some()) {
        found.push("hostPath is the node's".into());
    }
    found
}

fn container_faults(container: &Value) -> Vec<String> {
    let mut found = expected(
        container,
        &[
            ("/securityContext/allowPrivilegeEscalation", json!(false)),
            ("/securityContext/readOnlyRootFilesystem", json!(true)),
            ("/securityContext/capabilities", json!({"drop": ["ALL"]})),
        ],
    );
    if container.pointer("/securityContext/privileged").is_some() {
        found.push("privileged is everything".into());
    }
    for pointer in
        ["/resources/requests/cpu", "/resources/requests/memory", "/resources/limits/cpu", "/resources/limits/memory"]
    {
        if text(container, pointer).is_empty() {
            found.push(format!("{pointer} is not set"));
        }
    }
    for probe in ["livenessProbe", "readinessProbe"] {
        if container.get(probe).is_none() {
            found.push(format!("there is no {probe}"));
        }
    }
    found
}

fn expected(value: &Value, pairs: &[(&str, Value)]) -> Vec<String> {
    let wrong = pairs.iter().filter(|(pointer, wanted)| value.pointer(pointer) != Some(wanted));
    wrong.map(|(pointer, wanted)| format!("{pointer} is not {wanted}")).collect()
}
