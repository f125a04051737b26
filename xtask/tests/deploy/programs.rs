//! What the manifests tell the programs: flags, variables, configuration files, ports and paths.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use super::{containers, documents, list, name, pod, read, root, text};

/// What a program would not understand, and addresses that do not meet.
pub(super) fn faults(documents: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for document in documents {
        let Some(pod) = pod(document) else { continue };
        for container in containers(pod) {
            let all = match text(container, "/name") {
                "server" => server(container, documents),
                "agent" => agent(container, documents),
                "mariadb" => database(document),
                other => vec![format!("no rule tells what `{other}` understands")],
            };
            found.extend(
                all.into_iter().chain(scraped(pod, container)).map(|fault| format!("{}: {fault}", name(document))),
            );
        }
    }
    found
}

/// The text of a host's `config`, one file or a folder of them: every flag, variable and key stands in it by name.
fn config_of(host: &str) -> String {
    let room = root().join(host).join("src/config");
    let mut files = vec![room.with_extension("rs")];
    files.extend(fs::read_dir(&room).into_iter().flatten().map(|entry| entry.unwrap().path()));
    files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect()
}

fn port(container: &Value, name: &str) -> Option<u64> {
    list(container, "/ports").iter().find(|port| text(port, "/name") == name)?.get("containerPort")?.as_u64()
}

/// Prometheus is sent to the port that answers it.
fn scraped(pod: &Value, container: &Value) -> Option<String> {
    let told = pod.pointer("/metadata/annotations/prometheus.io~1port")?.as_str()?;
    let ops = port(container, "ops").map(|port| port.to_string()).unwrap_or_default();
    (told != ops).then(|| format!("prometheus.io/port is {told}, the port `ops` {ops}"))
}

/// A configuration file as dotted keys and their texts.
fn flat(value: &Value, at: &str, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                flat(value, &if at.is_empty() { key.clone() } else { format!("{at}.{key}") }, into);
            }
        }
        Value::String(text) => drop(into.insert(at.to_owned(), text.clone())),
        other => drop(into.insert(at.to_owned(), other.to_string())),
    }
}

fn server(container: &Value, documents: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let source = config_of("host-server");
    let mut keys = BTreeMap::new();
    let mut files: BTreeMap<&str, &str> = BTreeMap::new();
    let database = read("deploy/database.yaml");
    files.insert("database.yaml", &database);
    for map in documents.iter().filter(|it| text(it, "/kind") == "ConfigMap") {
        let data = map["data"].as_object().into_iter().flatten();
        files.extend(data.filter_map(|(file, body)| Some((file.as_str(), body.as_str()?))));
    }
    let given: Vec<&str> = list(container, "/args").iter().filter_map(Value::as_str).collect();
    for argument in &given {
        let Some(body) = argument.strip_prefix("/app/conf/").and_then(|file| files.get(file)) else {
            found.push(format!("nothing mounts {argument}"));
            continue;
        };
        for document in super::documents(body) {
            flat(&document, "", &mut keys);
        }
    }
    for file in files.keys().filter(|file| !given.iter().any(|argument| argument.ends_with(*file))) {
        found.push(format!("{file} is mounted and not read"));
    }
    for key in keys.keys() {
        let known = key.match_indices('.').map(|(at, _)| &key[..at]).chain([key.as_str()]);
        if !known.into_iter().any(|known| source.contains(&format!("\"{known}\""))) {
            found.push(format!("the server does not know the key `{key}`"));
        }
    }
    let key = |key: &str| keys.get(key).map(String::as_str).unwrap_or_default();
    for (name, host) in [("http", "127.0.0.1"), ("grpc", "0.0.0.0"), ("ops", "0.0.0.0")] {
        if key(&format!("{name}.host")) != host {
            found.push(format!("{name} does not listen on {host}"));
        }
        if port(container, name).map(|port| port.to_string()).as_deref() != Some(key(&format!("{name}.port"))) {
            found.push(format!("the container's port `{name}` is not {}", key(&format!("{name}.port"))));
        }
    }
    let there = documents.iter().any(|service| {
        text(service, "/kind") == "Service"
            && text(service, "/metadata/name") == key("database.host")
            && service.pointer("/spec/ports/0/port").map(Value::to_string).as_deref() == Some(key("database.port"))
    });
    if !there {
        found.push(format!("no Service is {}:{}", key("database.host"), key("database.port")));
    }
    found
}

fn database(document: &Value) -> Vec<String> {
    let mut keys = BTreeMap::new();
    documents(&read("deploy/database.yaml")).iter().for_each(|file| flat(file, "", &mut keys));
    let environment = list(document, "/spec/template/spec/containers/0/env");
    let value = |name: &str| environment.iter().find(|it| text(it, "/name") == name).map(|it| text(it, "/value"));
    [("MARIADB_DATABASE", "database.dbname"), ("MARIADB_USER", "database.username")]
        .into_iter()
        .filter(|(variable, key)| value(variable) != keys.get(*key).map(String::as_str))
        .map(|(variable, key)| format!("{variable} is not `{key}` of deploy/database.yaml"))
        .collect()
}

fn agent(container: &Value, documents: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let source = config_of("host-agent");
    let mounts: Vec<&str> = list(container, "/volumeMounts").iter().map(|mount| text(mount, "/mountPath")).collect();
    for argument in list(container, "/args").iter().filter_map(Value::as_str) {
        let (flag, value) = argument.split_once('=').unwrap_or((argument, ""));
        if !source.contains(&format!("pub {}:", flag.trim_start_matches('-').replace('-', "_"))) {
            found.push(format!("the agent has no flag {flag}"));
        }
        let inside =
            |mount: &&str| value.strip_prefix(*mount).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if value.starts_with('/') && !mounts.iter().any(inside) {
            found.push(format!("{argument} is outside of every mount"));
        }
        if flag == "--health" && port(container, "ops").map(|port| format!("0.0.0.0:{port}")).as_deref() != Some(value)
        {
            found.push(format!("{argument} is not the port `ops`"));
        }
    }
    for variable in list(container, "/env").iter().map(|variable| text(variable, "/name")) {
        if !source.contains(&format!("\"{variable}\"")) {
            found.push(format!("the agent does not read {variable}"));
        }
    }
    // Where the server runs in the same cluster, its Service is the default.
    let service: Vec<Value> = documents_of_server();
    let service = service.iter().find(|it| text(it, "/kind") == "Service").cloned().unwrap_or_default();
    let grpc = list(&service, "/spec/ports").iter().find(|port| text(port, "/name") == "grpc");
    let address = format!(
        "{}.claiflow.svc:{}",
        text(&service, "/metadata/name"),
        grpc.and_then(|port| port["port"].as_u64()).unwrap_or_default()
    );
    for map in documents.iter().filter(|it| text(it, "/metadata/name") == "claiflowclient-configmap") {
        if text(map, "/data/server") != address {
            found.push(format!("`server` is not {address}"));
        }
    }
    found
}

fn documents_of_server() -> Vec<Value> {
    documents(&read("deploy/kubernetes/server/service.yaml"))
}
