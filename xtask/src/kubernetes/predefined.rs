//! The predefined templates of Kubernetes, run by REST on objects of a real control plane.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::house::House;
use crate::cluster_of_two::{CLUSTER, Pair};

/// One object of every kind that these templates know.
const KINDS: &str = include_str!("kinds.json");
/// Where the namespaced ones are.
const NAMESPACE: &str = "predefined-kinds";
/// What a patch sets.
const LABEL: &str = "claiflow-predefined";
/// In this order each finds what the one before left.
const VERBS: [&str; 5] = ["get", "list", "patch", "exec", "delete"];

/// A predefined template that calls the Kubernetes plugin.
struct Template {
    uuid: String,
    name: String,
    command: String,
    resource: String,
    verb: String,
}

/// The manifests that must be there first, and those of the objects.
fn manifests() -> Result<(Value, Value)> {
    let kinds: Value = serde_json::from_str(KINDS)?;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    let definitions = kinds.get("definitions").and_then(Value::as_array).context("kinds.json has no definitions")?;
    let first: Vec<&Value> = std::iter::once(&namespace).chain(definitions).collect();
    let objects = entries(&kinds)?.iter().map(|kind| {
        let mut object = kind["object"].clone();
        if kind["namespaced"] == true {
            object["metadata"]["namespace"] = json!(NAMESPACE);
        }
        object
    });
    let list = |items: Vec<Value>| json!({"apiVersion": "v1", "kind": "List", "items": items});
    Ok((list(first.into_iter().cloned().collect()), list(objects.collect())))
}

fn entries(kinds: &Value) -> Result<&Vec<Value>> {
    kinds.get("kinds").and_then(Value::as_array).context("kinds.json has no kinds")
}

/// Runs every one, and prints a table of template, command and result.
pub(super) fn run(house: &House<'_>) -> Result<()> {
    let secrets = json!({"namespace": "default"});
    house.grant(&house.everything()?, || {
        ensure!(house.call("kubernetes.secrets.list.v1", &secrets)?.is_ok(), "not everything is granted yet");
        Ok(())
    })?;
    let (definitions, objects) = manifests()?;
    house.plane.apply(&definitions)?;
    house.plane.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"])?;
    house.plane.apply(&objects)?;
    let pod = ["wait", "--namespace", NAMESPACE, "--for=condition=Ready", "--timeout=60s", "pod/predefined"];
    house.plane.kubectl(&pod)?;
    let table = all(&house.pair)?;
    eprint!("{table}");
    Ok(())
}

fn all(pair: &Pair<'_>) -> Result<String> {
    let kinds: Value = serde_json::from_str(KINDS)?;
    let kinds: BTreeMap<&str, &Value> =
        entries(&kinds)?.iter().filter_map(|kind| Some((kind["resource"].as_str()?, kind))).collect();
    let templates = templates(pair)?;
    let known: std::collections::BTreeSet<&str> = templates.iter().map(|it| it.resource.as_str()).collect();
    ensure!(known == kinds.keys().copied().collect(), "the templates know {known:?}");

    let mut table = String::new();
    for verb in VERBS {
        // All at once: each of them is a task of its own.
        let mut running = Vec::new();
        for template in templates.iter().filter(|template| template.verb == verb) {
            let kind = kinds.get(template.resource.as_str()).context("an unknown kind")?;
            running.push((template, kind, pair.create(&template.uuid, &inputs(verb, kind))?));
        }
        for (template, kind, uuid) in running {
            let outcome = ended(pair, &uuid).and_then(|result| shape(verb, kind, &result));
            let said = outcome.unwrap_or_else(|error| format!("FAILED: {error:#}"));
            writeln!(table, "{:<56} {:<72} {said}", template.name, template.command)?;
        }
    }
    let wrong: Vec<&str> = table.lines().filter(|line| line.contains("FAILED")).collect();
    ensure!(wrong.is_empty(), "{} templates failed:\n{}", wrong.len(), wrong.join("\n"));
    Ok(table)
}

/// Those whose command is the Kubernetes plugin's.
fn templates(pair: &Pair<'_>) -> Result<Vec<Template>> {
    let listed = pair.get("/api/v1/template?origin=predefined")?;
    let mut templates = Vec::new();
    for item in listed.as_array().context("no list of templates")? {
        let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let flow: Value = match &item["flow"] {
            Value::String(text) => serde_json::from_str(text)?,
            flow => flow.clone(),
        };
        let command = flow.pointer("/0/$command").and_then(Value::as_str).context("a step without command")?;
        let mut parts = command.splitn(4, '.');
        if parts.next() != Some("kubernetes") {
            continue;
        }
        let (resource, verb) = parts.next().zip(parts.next()).context("a command without a verb")?;
        templates.push(Template {
            uuid: text("uuid"),
            name: text("name"),
            resource: resource.to_owned(),
            verb: verb.to_owned(),
            command: command.to_owned(),
        });
    }
    Ok(templates)
}

fn inputs(verb: &str, kind: &Value) -> Value {
    let mut inputs = match verb {
        "list" => json!({"labels": {}}),
        "patch" => json!({"patch_type": "merge", "patch_data": {"metadata": {"labels": {LABEL: "yes"}}}}),
        "exec" => json!({"command": ["echo", "hello"]}),
        _ => json!({}),
    };
    if verb != "list" {
        inputs["name"] = kind["object"]["metadata"]["name"].clone();
    }
    if kind["namespaced"] == true {
        inputs["namespace"] = json!(NAMESPACE);
    }
    inputs
}

fn ended(pair: &Pair<'_>, uuid: &str) -> Result<Value> {
    let task = pair.ended(uuid)?;
    ensure!(task["state"] == "succeeded", "{}: {}", task["state"], task["error"]);
    let answer = pair.get(&format!("/api/v1/cluster/{CLUSTER}/service/{uuid}/result"))?;
    Ok(serde_json::from_str(answer["result"].as_str().unwrap_or_default())?)
}

/// What a result must look like; one line about it.
fn shape(verb: &str, kind: &Value, result: &Value) -> Result<String> {
    let object = &kind["object"];
    let (name, kind) = (&object["metadata"]["name"], &object["kind"]);
    match verb {
        "get" | "patch" => {
            ensure!(result["metadata"]["name"] == *name && result["kind"] == *kind, "the object is {result}");
            ensure!(verb == "get" || result["metadata"]["labels"][LABEL] == "yes", "the label is missing: {result}");
            Ok(format!("{} {}", result["kind"], result["metadata"]["name"]))
        }
        "list" => {
            let items = result["items"].as_array().with_context(|| format!("no items: {result}"))?;
            ensure!(items.iter().any(|item| item["metadata"]["name"] == *name), "{name} is not listed");
            Ok(format!("{} with {} items", result["kind"], items.len()))
        }
        "exec" => {
            ensure!(*result == json!({"stdout": "hello\n"}), "{result}");
            Ok(format!("stdout {}", result["stdout"]))
        }
        "delete" => {
            ensure!(result["kind"] == "Status" || result["metadata"]["name"] == *name, "{result}");
            Ok(format!("{} {}", result["kind"], result["status"].as_str().unwrap_or("being deleted")))
        }
        other => bail!("no shape is known for {other}"),
    }
}
