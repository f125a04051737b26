//! ConfigMaps and Secrets that the environment comes from. What a key held before stays in the same object until the upgrade is
//! settled: so no value leaves the cluster, and another attempt can put it back.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use claiflow_sdk::{
    Applied, Error,
    kubernetes::{Api, Patch, Resource, WriteOptions},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::place::text;

/// The key that keeps what other keys held.
const BEFORE: &str = "claiflow-before-upgrade";
/// Somebody else may write at the same time.
const TRIES: usize = 4;

/// An object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Kept {
    kind: Kind,
    pub(super) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Kind {
    ConfigMap,
    Secret,
}

/// What is under [`BEFORE`].
#[derive(Serialize, Deserialize)]
struct Former {
    /// The effect key of the upgrade that changed it.
    by: String,
    /// As `data` has them; null where there was none.
    values: BTreeMap<String, Option<String>>,
}

pub(super) fn data(object: &Value) -> Option<&Map<String, Value>> {
    object.get("data")?.as_object()
}

impl Kept {
    pub(super) fn config_map(name: &str) -> Self {
        Self { kind: Kind::ConfigMap, name: name.to_owned() }
    }

    pub(super) fn secret(name: &str) -> Self {
        Self { kind: Kind::Secret, name: name.to_owned() }
    }

    pub(super) fn api(&self, namespace: &str) -> Api<Value> {
        let plural = match self.kind {
            Kind::ConfigMap => "configmaps",
            Kind::Secret => "secrets",
        };
        Api::in_namespace(Resource::new("", "v1", plural), namespace)
    }

    /// Sets keys, once for one upgrade.
    ///
    /// # Errors
    /// Where the object cannot be read or changed.
    pub(super) fn set(&self, namespace: &str, values: &BTreeMap<&str, &str>, by: &str) -> Result<(), Error> {
        self.change(namespace, |object| {
            if self.former(object).is_some_and(|former| former.by == by) {
                return None;
            }
            let now = |key: &&str| data(object).and_then(|data| data.get(*key)?.as_str()).map(ToOwned::to_owned);
            let former = values.keys().map(|key| ((*key).to_owned(), now(key))).collect();
            let former = json!(Former { by: by.to_owned(), values: former }).to_string();
            let mut data: Map<String, Value> =
                values.iter().map(|(key, value)| ((*key).to_owned(), self.encoded(value).into())).collect();
            data.insert(BEFORE.to_owned(), self.encoded(&former).into());
            Some(data)
        })
    }

    /// Puts back what the upgrade changed; nothing where it did not.
    ///
    /// # Errors
    /// As [`Kept::set`].
    pub(super) fn restore(&self, namespace: &str, by: &str) -> Result<(), Error> {
        self.change(namespace, |object| {
            let former = self.former(object).filter(|former| former.by == by)?;
            let mut data: Map<String, Value> =
                former.values.into_iter().map(|(key, value)| (key, value.map_or(Value::Null, Value::from))).collect();
            data.insert(BEFORE.to_owned(), Value::Null);
            Some(data)
        })
    }

    /// Forgets what was there before the upgrade.
    ///
    /// # Errors
    /// As [`Kept::set`].
    pub(super) fn forget(&self, namespace: &str, by: &str) -> Result<(), Error> {
        self.change(namespace, |object| {
            self.former(object).filter(|former| former.by == by)?;
            Some(Map::from_iter([(BEFORE.to_owned(), Value::Null)]))
        })
    }

    /// Whether it still keeps what was there before the upgrade.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn remembers(&self, namespace: &str, by: &str) -> Result<bool, Error> {
        let object = self.api(namespace).get(&self.name).map_err(|error| error.while_doing(self))?;
        Ok(self.former(&object).is_some_and(|former| former.by == by))
    }

    /// Changes `data`, of the very object that was looked at; none: nothing is to be changed.
    fn change(&self, namespace: &str, data: impl Fn(&Value) -> Option<Map<String, Value>>) -> Result<(), Error> {
        let api = self.api(namespace);
        let mut tries = TRIES;
        loop {
            let object = api.get(&self.name).map_err(|error| error.applied(Applied::No).while_doing(self))?;
            let Some(data) = data(&object) else { return Ok(()) };
            let version = text(&object, "/metadata/resourceVersion").unwrap_or_default();
            let patch = Patch::Merge(json!({"metadata": {"resourceVersion": version}, "data": data}));
            let options = WriteOptions { fields: vec!["metadata.name".to_owned()], ..WriteOptions::default() };
            tries -= 1;
            match api.patch(&self.name, &patch, &options) {
                Err(error) if error.status() == Some(409) && tries > 0 => {}
                changed => return changed.map(drop).map_err(|error| error.while_doing(self)),
            }
        }
    }

    fn former(&self, object: &Value) -> Option<Former> {
        let text = data(object)?.get(BEFORE)?.as_str()?;
        match self.kind {
            Kind::ConfigMap => serde_json::from_str(text).ok(),
            Kind::Secret => serde_json::from_slice(&STANDARD.decode(text).ok()?).ok(),
        }
    }

    fn encoded(&self, text: &str) -> String {
        match self.kind {
            Kind::ConfigMap => text.to_owned(),
            Kind::Secret => STANDARD.encode(text),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {:?} `{}`", self.kind, self.name)
    }
}
