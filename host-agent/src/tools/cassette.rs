//! Cassettes: what one call asked of the cluster and of servers, and what it got, as YAML that a person reads and keeps beside a test.

use std::{collections::BTreeSet, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use serde_yaml_ng::{Mapping, Value as Yaml};

use crate::{
    http::tape as http,
    kubernetes::tape::{Exchange, KindEntry},
    tape::scrubbed,
};

use super::call::read;

const VERSION: u32 = 1;
const HEAD: &str = "\
# What a plugin's command asked, and what it got: `claiflow-agent run FILE --replay THIS` answers the same with no cluster and no network.
# Values of Secrets, credentials and tokens were taken out; each stands as \"<redacted>\".
";
/// The order in which a person reads; what is not named comes behind, sorted.
const ORDER: [&str; 32] = [
    "cassette",
    "plugin",
    "sha256",
    "command",
    "pattern",
    "inputs",
    "unrecorded",
    "kinds",
    "calls",
    "http",
    "function",
    "verb",
    "group",
    "version",
    "resource",
    "kind",
    "api-version",
    "namespace",
    "name",
    "options",
    "method",
    "url",
    "query",
    "status",
    "headers",
    "credential",
    "body",
    "request",
    "fields",
    "asked-by-agent",
    "address",
    "gave",
];

/// One recorded call of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Cassette {
    /// The version of this format.
    pub cassette: u32,
    /// The plugin's name.
    pub plugin: String,
    /// SHA-256 of the file that was run.
    pub sha256: String,
    /// Which command was called.
    pub command: String,
    /// The pattern by which the plugin declares it; none: it declares the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// With what; a JSON object.
    pub inputs: Value,
    /// What else it was granted, in words: what it did with that is not here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unrecorded: Vec<String>,
    /// The kinds that were looked up.
    #[serde(default)]
    pub kinds: Vec<KindEntry>,
    /// What was asked of the cluster, in order.
    #[serde(default)]
    pub calls: Vec<Exchange>,
    /// What was asked over HTTP, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<http::Exchange>,
    /// What the command answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<CommandFailed>,
}

/// A command that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandFailed {
    /// As in `types.wit`.
    pub code: String,
    /// One sentence.
    pub message: String,
}

impl Cassette {
    /// One without calls.
    #[must_use]
    pub fn new(plugin: &str, sha256: String, command: String, inputs: Value) -> Self {
        let (kinds, calls, http) = (Vec::new(), Vec::new(), Vec::new());
        let plugin = plugin.to_owned();
        Self {
            cassette: VERSION,
            plugin,
            sha256,
            command,
            pattern: None,
            inputs,
            unrecorded: Vec::new(),
            kinds,
            calls,
            http,
            result: None,
            failed: None,
        }
    }

    /// Reads a cassette's file.
    ///
    /// # Errors
    /// The file's name, and what in it is wrong.
    pub fn read(path: &Path) -> Result<Self, String> {
        Self::parse(&read(path)?).map_err(|reason| format!("{}: {reason}", path.display()))
    }

    /// Reads a cassette.
    ///
    /// # Errors
    /// What is wrong in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("it is no cassette: {error}");
        let yaml: Yaml = serde_yaml_ng::from_str(text).map_err(|error| wrong(&error))?;
        // Through JSON text, so that numbers take the form that they have everywhere else.
        let json = serde_json::to_string(&yaml).map_err(|error| wrong(&error))?;
        let cassette: Self = serde_json::from_str(&json).map_err(|error| wrong(&error))?;
        if cassette.cassette != VERSION {
            return Err(format!("it is of version {}, and this agent reads version {VERSION}", cassette.cassette));
        }
        Ok(cassette)
    }

    /// Without what was taken out of some of it.
    pub(super) fn scrubbed(&self, secrets: &BTreeSet<String>) -> Result<Self, String> {
        let value = serde_json::to_value(self).map_err(|error| error.to_string())?;
        serde_json::from_value(scrubbed(value, secrets)).map_err(|error| error.to_string())
    }

    /// As YAML.
    ///
    /// # Errors
    /// When it cannot be said in YAML.
    pub fn text(&self) -> Result<String, String> {
        let value = serde_json::to_value(self).map_err(|error| error.to_string())?;
        let yaml = serde_yaml_ng::to_string(&ordered(&value)).map_err(|error| error.to_string())?;
        Ok(format!("{HEAD}{yaml}"))
    }
}

/// Our own levels in the order in which a person reads them; what a cluster said below stays sorted.
fn ordered(value: &Value) -> Yaml {
    let Value::Object(map) = value else { return plain(value) };
    let place = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_by_key(|key| place(key));
    let mut mapping = Mapping::new();
    for key in keys {
        let Some(value) = map.get(key) else { continue };
        let value = match (key.as_str(), value) {
            ("kinds" | "calls" | "http", Value::Array(items)) => Yaml::Sequence(items.iter().map(ordered).collect()),
            ("request", value) => ordered(value),
            (_, value) => plain(value),
        };
        mapping.insert(Yaml::from(key.as_str()), value);
    }
    Yaml::Mapping(mapping)
}

fn plain(value: &Value) -> Yaml {
    match value {
        Value::Null => Yaml::Null,
        Value::Bool(value) => Yaml::Bool(*value),
        Value::Number(number) => numeric(number),
        Value::String(text) => Yaml::from(text.as_str()),
        Value::Array(items) => Yaml::Sequence(items.iter().map(plain).collect()),
        Value::Object(map) => {
            Yaml::Mapping(map.iter().map(|(key, value)| (Yaml::from(key.as_str()), plain(value))).collect())
        }
    }
}

fn numeric(number: &Number) -> Yaml {
    match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(number), _, _) => Yaml::from(number),
        (_, Some(number), _) => Yaml::from(number),
        (_, _, Some(number)) => Yaml::from(number),
        _ => Yaml::from(number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Cassette;

    fn some() -> Cassette {
        serde_json::from_value(json!({
            "cassette": 1, "plugin": "tool", "sha256": "ab", "command": "tool.run", "inputs": {"a": 1.5, "b": -2, "c": "0x1"},
            "kinds": [{"group": "", "version": "v1", "resource": "pods", "kind": "Pod", "api-version": "v1",
                       "namespaced": true, "verbs": "get list"}],
            "calls": [
                {"function": "kubernetes.get", "fields": ["spec"],
                 "request": {"verb": "get", "group": "", "version": "v1", "resource": "pods", "namespace": "a", "name": "b"},
                 "gave": {"answer": {"kind": "Pod", "spec": {"n": 9007199254740993_u64, "yes": "no"}}}},
                {"function": "kubernetes.watch", "request": {"verb": "watch", "group": "", "version": "v1", "resource": "pods"},
                 "gave": {"events": {"lines": [{"type": "ADDED", "object": {}}], "ended": false}}},
                {"function": "kubernetes.get", "asked-by-agent": true,
                 "request": {"verb": "get", "group": "", "version": "v1", "resource": "pods"},
                 "gave": {"refused": {"status": {"code": 404}, "retry-after-ms": 5}}},
            ],
            "http": [
                {"request": {"method": "POST", "url": "https://example.com/x", "query": {"a": ["1"]}, "headers": {"accept": "text/plain"},
                             "credential": "shop", "body": {"form": {"b": ["c"]}}}, "address": "192.0.2.7", "reads": true,
                 "gave": {"answer": {"status": 200, "body": {"json": {"n": 1.50}}, "broke": {"code": "unavailable", "message": "x"}}}},
                {"request": {"method": "GET", "url": "https://example.com/"}, "gave": {"failed": {"code": "timeout", "message": "late"}}},
            ],
            "result": [1, null],
        }))
        .unwrap()
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let text = some().text().unwrap();
        assert_eq!(Cassette::parse(&text).unwrap(), some());
        let order: Vec<_> = [
            "cassette: 1",
            "plugin:",
            "command:",
            "inputs:",
            "kinds:",
            "calls:",
            "function:",
            "verb:",
            "gave:",
            "http:",
            "method:",
            "result:",
        ]
        .map(|part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}")))
        .into();
        assert!(order.is_sorted(), "{text}");
    }

    #[test]
    fn what_is_no_cassette_is_refused_with_the_reason() {
        let text = some().text().unwrap();
        for (text, part) in [
            ("[]".to_owned(), "no cassette"),
            (text.replace("cassette: 1", "cassette: 2"), "version 2"),
            (text.replace("function:", "functoin:"), "functoin"),
        ] {
            let error = Cassette::parse(&text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
