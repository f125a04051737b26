//! Which objects a call names, and how much of each it wants.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::store::Key;
use crate::Error;

/// Options of all calls together; one that nobody knows is refused, as the contract says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Options {
    labels: BTreeMap<String, String>,
    field_selector: Option<String>,
    fields: Vec<String>,
    pub(super) limit: Option<usize>,
    metadata_only: bool,
    pub(super) resource_version: Option<String>,
    pub(super) tail_lines: Option<usize>,
    container: Option<String>,
    previous: bool,
    follow: bool,
    since_seconds: Option<u32>,
    timestamps: bool,
    pub(super) dry_run: bool,
    force: bool,
    pub(super) uid: Option<String>,
    propagation: Option<String>,
    grace_seconds: Option<u32>,
    pub(super) stdin: bool,
    tty: bool,
}

impl Options {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text).map_err(|error| Error::invalid(format!("the options: {error}")))
    }

    /// # Errors
    /// `invalid` for a field that no kind can be asked by here.
    pub(super) fn name(&self, key: &Key, object: &Value) -> Result<bool, Error> {
        let labels = object.pointer("/metadata/labels");
        let labelled = |(name, value): (&String, &String)| labels.and_then(|it| it.get(name)?.as_str()) == Some(value);
        if !self.labels.iter().all(labelled) {
            return Ok(false);
        }
        for term in self.field_selector.iter().flat_map(|selector| selector.split(',')) {
            let holds = match term.split_once('=') {
                Some(("metadata.name", name)) => key.name == name,
                Some(("metadata.namespace", namespace)) => key.namespace == namespace,
                _ => return Err(Error::invalid(format!("field label not supported: {term}"))),
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is asked for of an object; its kind is always there.
    pub(super) fn shown(&self, object: &Value) -> Value {
        let wanted = match (self.metadata_only, self.fields.as_slice()) {
            (false, []) => return object.clone(),
            (true, []) => &["metadata".to_owned()],
            (_, fields) => fields,
        };
        let mut shown = Value::Object(Map::new());
        for field in ["apiVersion", "kind"].into_iter().chain(wanted.iter().map(String::as_str)) {
            let path: Vec<&str> = field.split('.').collect();
            if let Some(part) = part(object, &path) {
                lay(&mut shown, &part);
            }
        }
        shown
    }
}

/// The object with nothing but what the path leads to; lists are walked.
fn part(value: &Value, path: &[&str]) -> Option<Value> {
    let Some((first, rest)) = path.split_first() else { return Some(value.clone()) };
    match value {
        Value::Object(map) => {
            let inner = part(map.get(*first)?, rest)?;
            Some(Value::Object(Map::from_iter([((*first).to_owned(), inner)])))
        }
        Value::Array(items) => Some(items.iter().map(|item| part(item, path).unwrap_or(Value::Null)).collect()),
        _ => None,
    }
}

fn lay(target: &mut Value, part: &Value) {
    match (target, part) {
        (Value::Object(target), Value::Object(part)) => {
            for (key, value) in part {
                lay(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(target), Value::Array(part)) => {
            for (target, part) in target.iter_mut().zip(part) {
                lay(target, part);
            }
        }
        (target, part) => *target = part.clone(),
    }
}
