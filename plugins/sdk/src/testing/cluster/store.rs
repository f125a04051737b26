//! Objects, their versions, and what became of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::kind::Kind;

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) plural: String,
    /// Empty for none.
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn of(plural: &str, namespace: &str, name: &str) -> Self {
        let [plural, namespace, name] = [plural, namespace, name].map(str::to_owned);
        Self { plural, namespace, name }
    }
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) what: &'static str,
    pub(super) key: Key,
    pub(super) object: Value,
}

#[derive(Default)]
pub(super) struct Store {
    objects: BTreeMap<Key, Value>,
    changes: Vec<Change>,
    revision: u64,
    made: u64,
}

impl Store {
    pub(super) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// All of one resource; an empty namespace is every one.
    pub(super) fn all<'s>(&'s self, plural: &'s str, namespace: &'s str) -> impl Iterator<Item = (&'s Key, &'s Value)> {
        let within = move |key: &Key| key.plural == plural && (namespace.is_empty() || key.namespace == namespace);
        self.objects.iter().filter(move |(key, _)| within(key))
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn changes_since(&self, revision: u64) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.revision > revision)
    }

    /// Stores the object under the next version, and answers it as stored. A generation goes on with the spec, where the object
    /// has one.
    pub(super) fn put(&mut self, kind: &Kind, key: &Key, object: Value) -> Value {
        let mut object = object;
        let before = self.objects.get(key);
        let was_there = before.is_some();
        let generation = before.and_then(|before| {
            let was = before.pointer("/metadata/generation")?.as_u64()?;
            Some(was + u64::from(before.get("spec") != object.get("spec")))
        });
        let uid = before.and_then(|before| before.pointer("/metadata/uid").cloned());
        let uid = uid.unwrap_or_else(|| {
            self.made += 1;
            Value::from(format!("uid-{}", self.made))
        });
        self.revision += 1;
        if let Some(fields) = object.as_object_mut() {
            fields.insert("apiVersion".to_owned(), kind.api_version().into());
            fields.insert("kind".to_owned(), kind.kind.clone().into());
            let metadata = fields.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
            if let Some(metadata) = metadata.as_object_mut() {
                metadata.insert("name".to_owned(), key.name.clone().into());
                if kind.namespaced {
                    metadata.insert("namespace".to_owned(), key.namespace.clone().into());
                }
                metadata.insert("uid".to_owned(), uid);
                if let Some(generation) = generation {
                    metadata.insert("generation".to_owned(), generation.into());
                }
                metadata.insert("resourceVersion".to_owned(), self.revision.to_string().into());
                metadata.entry("creationTimestamp").or_insert_with(|| json!("2026-01-01T00:00:00Z"));
            }
        }
        let what = if was_there { "MODIFIED" } else { "ADDED" };
        self.changes.push(Change { revision: self.revision, what, key: key.clone(), object: object.clone() });
        self.objects.insert(key.clone(), object.clone());
        object
    }

    pub(super) fn take(&mut self, key: &Key) {
        if let Some(mut object) = self.objects.remove(key) {
            self.revision += 1;
            if let Some(version) = object.pointer_mut("/metadata/resourceVersion") {
                *version = self.revision.to_string().into();
            }
            self.changes.push(Change { revision: self.revision, what: "DELETED", key: key.clone(), object });
        }
    }

    /// A name as the API server makes one.
    pub(super) fn name_from(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}{:05}", self.made)
    }
}
