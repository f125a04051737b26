//! What the server brings, read from the files of `host-server/predefined` that it was built with.

use std::collections::{HashMap, hash_map::Entry};

use chrono::NaiveDateTime;
use serde_json::{Value, json};

use crate::model::nouns::Template;

/// Raised with each change of `host-server/predefined`: a server replaces what lower editions wrote, and nothing of higher ones,
/// so that an older replica beside a newer one takes nothing back.
pub const EDITION: i32 = 1;

const TEMPLATES: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/predefined/templates.tsv"));

/// The files of `predefined/inputs` by their stems.
macro_rules! inputs {
    ($($stem:literal),* $(,)?) => {
        &[$(($stem, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/predefined/inputs/", $stem, ".json")))),*]
    };
}
pub(super) const INPUTS: &[(&str, &str)] = inputs![
    "claiflow.client.upgrade",
    "claiflow.credential.remove",
    "claiflow.credential.store",
    "helm.get_values",
    "helm.install",
    "helm.release",
    "helm.repo_add",
    "helm.repo_update",
    "helm.rollback",
    "helm.upgrade",
    "kubernetes.delete",
    "kubernetes.exec",
    "kubernetes.get",
    "kubernetes.list",
    "kubernetes.patch",
    "none",
    "prometheus.query",
    "prometheus.query_range",
    "prometheus.targets_metadata",
    "prometheus.url",
];

/// A line or a schema of `host-server/predefined` that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("this server was built with a wrong predefined template: {0}")]
pub struct Broken(String);

/// A line of `templates.tsv`.
pub(super) struct Line<'a> {
    pub(super) uuid: &'a str,
    pub(super) name: &'a str,
    pub(super) command: &'a str,
    pub(super) origin: &'a str,
    /// `cluster` where the command's kind is in no namespace.
    pub(super) scope: &'a str,
    /// The stem of the schema's file.
    pub(super) inputs: &'a str,
    pub(super) summary: &'a str,
}

pub(super) fn lines() -> impl Iterator<Item = Result<Line<'static>, Broken>> {
    TEMPLATES.lines().skip(1).map(|line| {
        let parts: Vec<&str> = line.split('\t').collect();
        let [uuid, name, command, origin, scope, inputs, summary] = parts[..] else {
            return Err(Broken(format!("`{line}` has {} columns, not 7", parts.len())));
        };
        Ok(Line { uuid, name, command, origin, scope, inputs, summary })
    })
}

/// All of them, as they are stored at `now`.
///
/// # Errors
/// [`Broken`].
pub fn shipped(now: NaiveDateTime) -> Result<Vec<Template>, Broken> {
    // Of all these lines there are few schemas.
    let mut schemas: HashMap<(&str, &str), String> = HashMap::new();
    lines()
        .map(|line| {
            let line = line?;
            let inputs = match schemas.entry((line.inputs, line.scope)) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(place) => place.insert(schema(&line)?.to_string()).clone(),
            };
            Ok(Template {
                uuid: line.uuid.into(),
                name: line.name.into(),
                summary: Some(line.summary.into()),
                flow: format!(r#"[{{"$id":"step1","$command":{},"inputs":"$inputs"}}]"#, Value::from(line.command)),
                inputs: Some(inputs),
                origin: line.origin.into(),
                created: Some(now),
                updated: None,
                options: None,
            })
        })
        .collect()
}

fn schema(line: &Line<'_>) -> Result<Value, Broken> {
    let text = INPUTS.iter().find(|(stem, _)| *stem == line.inputs).map(|(_, text)| *text);
    let text = text.ok_or_else(|| Broken(format!("{}: there is no schema `{}`", line.uuid, line.inputs)))?;
    let mut schema = serde_json::from_str(text).map_err(|error| Broken(format!("{}.json: {error}", line.inputs)))?;
    if line.scope == "cluster" {
        without_namespace(&mut schema);
    }
    Ok(schema)
}

/// Of a kind that is in no namespace: there is none to name. An empty one was never more than none.
fn without_namespace(schema: &mut Value) {
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name != "namespace");
    }
    if let Some(namespace) = schema.pointer_mut("/properties/namespace") {
        *namespace = json!({"enum": ["", null], "description": "This kind is in no namespace."});
    }
}
