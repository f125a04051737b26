//! Names: what a document refers to is there, or the README shows how people make it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{containers, list, name, pod, read, text};

/// References that lead nowhere, among documents that are applied together.
pub(super) fn faults(documents: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for document in documents {
        let all = [selectors(document, documents), ports(document, documents), objects(document, documents)].concat();
        found.extend(all.into_iter().map(|fault| format!("{}: {fault}", name(document))));
    }
    found
}

fn namespace(document: &Value) -> &str {
    text(document, "/metadata/namespace")
}

/// Whether every label of `selector` is among `labels`; an empty selector selects nothing that we mean.
fn selects(selector: Option<&Value>, labels: Option<&Value>) -> bool {
    let (Some(selector), Some(labels)) = (selector.and_then(Value::as_object), labels.and_then(Value::as_object))
    else {
        return false;
    };
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The pods that a Service or a NetworkPolicy selects.
fn selected<'a>(document: &Value, selector: Option<&Value>, documents: &'a [Value]) -> Vec<&'a Value> {
    let near = documents.iter().filter(|other| namespace(other) == namespace(document));
    near.filter_map(pod).filter(|pod| selects(selector, pod.pointer("/metadata/labels"))).collect()
}

fn selectors(document: &Value, documents: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(pod) = pod(document)
        && !selects(document.pointer("/spec/selector/matchLabels"), pod.pointer("/metadata/labels"))
    {
        found.push("its selector does not select its own pods".to_owned());
    }
    let mut wanted = Vec::new();
    match text(document, "/kind") {
        "Service" => wanted.push(document.pointer("/spec/selector")),
        "NetworkPolicy" => {
            wanted.push(document.pointer("/spec/podSelector/matchLabels"));
            for peer in list(document, "/spec/ingress").iter().flat_map(|rule| list(rule, "/from")) {
                wanted.push(peer.pointer("/podSelector/matchLabels"));
            }
        }
        _ => {}
    }
    for selector in wanted {
        if selected(document, selector, documents).is_empty() {
            found.push(format!("no pod is selected by {selector:?}"));
        }
    }
    found
}

/// Named ports of a pod's containers.
fn port_names(pod: &Value) -> BTreeSet<&str> {
    containers(pod).flat_map(|container| list(container, "/ports")).map(|port| text(port, "/name")).collect()
}

fn ports(document: &Value, documents: &[Value]) -> Vec<String> {
    let mut used: Vec<(&Value, &Value)> = Vec::new();
    let rules = list(document, "/spec/ingress").iter().flat_map(|rule| list(rule, "/ports"));
    match text(document, "/kind") {
        "Service" => {
            for pod in selected(document, document.pointer("/spec/selector"), documents) {
                used.extend(list(document, "/spec/ports").iter().map(|port| (pod, &port["targetPort"])));
            }
        }
        "NetworkPolicy" => {
            for pod in selected(document, document.pointer("/spec/podSelector/matchLabels"), documents) {
                used.extend(rules.clone().map(|port| (pod, &port["port"])));
            }
        }
        _ => {}
    }
    if let Some(pod) = pod(document) {
        for container in containers(pod) {
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                for kind in ["httpGet", "tcpSocket"] {
                    used.extend(container.pointer(&format!("/{probe}/{kind}/port")).map(|port| (pod, port)));
                }
            }
        }
    }
    let unnamed =
        used.into_iter().filter(|(pod, port)| !port.as_str().is_some_and(|port| port_names(pod).contains(port)));
    unnamed
        .map(|(_, port)| format!("no container names the port `{}`", port.as_str().unwrap_or("(a number)")))
        .collect()
}

fn objects(document: &Value, documents: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let Some(pod) = pod(document) else { return found };
    let mut wanted: Vec<(&str, &str, Option<&str>)> = Vec::new();
    let volumes = list(pod, "/spec/volumes");
    for volume in volumes {
        let sources = list(volume, "/projected/sources").iter().chain([volume]);
        for source in sources.filter(|source| !optional(source)) {
            wanted.extend(
                source.pointer("/configMap/name").and_then(Value::as_str).map(|name| ("configmap", name, None)),
            );
            wanted.extend(source.pointer("/secret/name").and_then(Value::as_str).map(|name| ("secret", name, None)));
            wanted.extend(
                source.pointer("/secret/secretName").and_then(Value::as_str).map(|name| ("secret", name, None)),
            );
        }
    }
    for container in containers(pod) {
        for (kind, key) in [("configmap", "configMapKeyRef"), ("secret", "secretKeyRef")] {
            for reference in list(container, "/env").iter().filter_map(|env| env.pointer(&format!("/valueFrom/{key}")))
            {
                wanted.push((kind, text(reference, "/name"), Some(text(reference, "/key"))));
            }
        }
        let claims = list(document, "/spec/volumeClaimTemplates").iter().map(|claim| text(claim, "/metadata/name"));
        let here: BTreeSet<&str> = volumes.iter().map(|volume| text(volume, "/name")).chain(claims).collect();
        for mount in list(container, "/volumeMounts") {
            if !here.contains(text(mount, "/name")) {
                found.push(format!("there is no volume `{}`", text(mount, "/name")));
            }
        }
    }
    wanted.extend(
        Some(text(pod, "/spec/serviceAccountName")).filter(|it| !it.is_empty()).map(|it| ("serviceaccount", it, None)),
    );
    for (kind, object, key) in wanted {
        let there = documents.iter().any(|other| {
            text(other, "/kind").eq_ignore_ascii_case(kind)
                && text(other, "/metadata/name") == object
                && namespace(other) == namespace(document)
                && key.is_none_or(|key| other.pointer(&format!("/data/{key}")).is_some())
        });
        if !there && !made_by_people(namespace(document), kind, object, key) {
            found.push(format!("there is no {kind} `{object}` with {key:?}, and deploy/README.md does not make it"));
        }
    }
    found
}

fn optional(source: &Value) -> bool {
    ["/configMap/optional", "/secret/optional"].iter().any(|at| source.pointer(at) == Some(&Value::Bool(true)))
}

/// Whether the README shows the command that makes the object, with its key.
fn made_by_people(namespace: &str, kind: &str, name: &str, key: Option<&str>) -> bool {
    let kind = if kind == "secret" { "secret generic" } else { kind };
    let command = format!("kubectl -n {namespace} create {kind} {name} ");
    read("deploy/README.md").replace("\\\n", " ").lines().filter(|line| line.contains(&command)).any(|line| {
        key.is_none_or(|key| ["literal", "file"].iter().any(|from| line.contains(&format!("--from-{from}={key}="))))
    })
}
