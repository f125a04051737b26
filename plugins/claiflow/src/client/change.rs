//! What is changed of the Deployment, there and back. Each patch names the generation that it is meant for: the status, which
//! changes all the time in a rollout, makes no difference to it.

use std::collections::BTreeMap;

use claiflow_sdk::{
    Error,
    kubernetes::{Patch, WriteOptions},
};
use serde_json::{Value, json};

use super::{
    before::Before,
    environment,
    place::{deployments, named, number, replica_sets, text},
    rollout::{self, MARK},
};

/// On a Deployment that an upgrade was rolled back on: which, and why.
const ROLLED_BACK: &str = "claiflow.io/rolled-back";
const OWN: &str = "/metadata/annotations";
const OF_PODS: &str = "/spec/template/metadata/annotations";
/// Somebody else may write at the same time.
const TRIES: usize = 4;

/// The new image, the variables that are set in the container itself, and the mark.
///
/// # Errors
/// As [`claiflow_sdk::kubernetes::Api::patch`]; `invalid` where somebody else changed the Deployment since.
pub(super) fn forward(
    before: &Before,
    deployment: &Value,
    values: &BTreeMap<&str, &str>,
    key: &str,
) -> Result<(), Error> {
    let (index, container) = named(deployment, &before.container).ok_or_else(lost_container)?;
    let mut operations = vec![json!({"op": "test", "path": "/metadata/generation", "value": before.generation})];
    operations.extend(images(deployment, &before.image, &before.wanted));
    if let Some(list) = environment::list(container, values) {
        operations.push(json!({"op": "add", "path": environment_of(index), "value": list}));
    }
    operations.push(annotate(deployment, OF_PODS, MARK, key));
    patch(before, operations)
}

/// Makes the pod template what its ReplicaSet keeps. False: somebody else changed it meanwhile, and it stays.
///
/// # Errors
/// As [`claiflow_sdk::kubernetes::Api::patch`].
pub(super) fn back(before: &Before, key: &str, why: &str) -> Result<bool, Error> {
    let former = replica_sets(&before.namespace).get(&before.replica_set)?;
    let (_, was) = named(&former, &before.container).ok_or_else(lost_container)?;
    let said = json!({"by": key, "why": why}).to_string();
    let mut tries = TRIES;
    loop {
        let now = deployments(&before.namespace).get(&before.deployment)?;
        if rollout::mark(&now) != Some(key) {
            return Ok(false);
        }
        let (index, is) = named(&now, &before.container).ok_or_else(lost_container)?;
        let generation = number(&now, "/metadata/generation");
        let mut operations = vec![json!({"op": "test", "path": "/metadata/generation", "value": generation})];
        operations.extend(images(&now, &before.wanted, &before.image));
        match (was.get("env"), is.get("env")) {
            (was, is) if was == is => {}
            (Some(env), _) => operations.push(json!({"op": "add", "path": environment_of(index), "value": env})),
            (None, _) => operations.push(json!({"op": "remove", "path": environment_of(index)})),
        }
        operations.push(match rollout::mark(&former) {
            Some(mark) => annotate(&now, OF_PODS, MARK, mark),
            None => json!({"op": "remove", "path": format!("{OF_PODS}/{}", escaped(MARK))}),
        });
        operations.push(annotate(&now, OWN, ROLLED_BACK, &said));
        tries -= 1;
        match patch(before, operations) {
            Err(error) if matches!(error.status(), Some(409 | 422)) && tries > 0 => {}
            changed => return changed.map(|()| true),
        }
    }
}

/// Why an earlier attempt rolled this very upgrade back.
pub(super) fn rolled_back(deployment: &Value, key: &str) -> Option<String> {
    let said = deployment.pointer(OWN)?.get(ROLLED_BACK)?.as_str()?;
    let said: Value = serde_json::from_str(said).ok()?;
    let word = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
    (word("by") == key).then(|| word("why").to_owned())
}

pub(super) fn lost_container() -> Error {
    Error::failed("the agent's container cannot be seen in the Deployment any more")
}

fn patch(before: &Before, operations: Vec<Value>) -> Result<(), Error> {
    // Of the answer nothing is needed.
    let options = WriteOptions { fields: vec!["metadata.name".to_owned()], ..WriteOptions::default() };
    let patch = Patch::Json(Value::Array(operations));
    deployments(&before.namespace).patch(&before.deployment, &patch, &options).map(drop)
}

fn environment_of(index: usize) -> String {
    format!("/spec/template/spec/containers/{index}/env")
}

/// The agent's image in every container that has it: an init container may be the same program.
fn images(deployment: &Value, from: &str, to: &str) -> Vec<Value> {
    let mut operations = Vec::new();
    for list in ["initContainers", "containers"] {
        let at = format!("/spec/template/spec/{list}");
        let containers = deployment.pointer(&at).and_then(Value::as_array).into_iter().flatten();
        for (index, _) in containers.enumerate().filter(|(_, container)| text(container, "/image") == Some(from)) {
            operations.push(json!({"op": "replace", "path": format!("{at}/{index}/image"), "value": to}));
        }
    }
    operations
}

/// Sets one annotation; where there is none at all, the first.
fn annotate(deployment: &Value, at: &str, name: &str, value: &str) -> Value {
    if deployment.pointer(at).is_some_and(Value::is_object) {
        json!({"op": "add", "path": format!("{at}/{}", escaped(name)), "value": value})
    } else {
        json!({"op": "add", "path": at, "value": {name: value}})
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
