//! What a guest says in words and JSON, as what it means.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    grants::kubernetes::{Kind, Mask, Name, Namespace, Object, Scope, Selectors},
    kubernetes::Failure,
    plugin::{bindings::claiflow::plugin::kubernetes_types as wit, json},
};

use super::call::invalid;

const VERSION_MAX_BYTES: usize = 128;

/// Of `get`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(in crate::plugin::host) struct Get {
    pub(in crate::plugin::host) fields: Option<Vec<String>>,
}

/// Of `list-objects` and, with a version, of `watch`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Several {
    labels: Option<Labels>,
    field_selector: Option<String>,
    pub(super) fields: Option<Vec<String>>,
    pub(super) limit: Option<u64>,
    pub(super) metadata_only: bool,
    pub(super) resource_version: Option<String>,
}

/// A selector as Kubernetes writes it, or the labels that must be equal.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Labels {
    Selector(String),
    Equal(BTreeMap<String, Value>),
}

/// Of `read-log`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Log {
    pub(super) container: Option<String>,
    pub(super) previous: bool,
    pub(super) follow: bool,
    pub(super) tail_lines: Option<u32>,
    pub(super) since_seconds: Option<u32>,
    pub(super) timestamps: bool,
}

/// Of `create`, `replace` and `patch`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(in crate::plugin::host) struct Write {
    pub(in crate::plugin::host) dry_run: bool,
    pub(in crate::plugin::host) fields: Option<Vec<String>>,
}

/// Of `apply`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(in crate::plugin::host) struct Apply {
    pub(in crate::plugin::host) dry_run: bool,
    pub(in crate::plugin::host) fields: Option<Vec<String>>,
    pub(in crate::plugin::host) force: bool,
}

/// Of `remove`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(in crate::plugin::host) struct Remove {
    pub(in crate::plugin::host) dry_run: bool,
    pub(in crate::plugin::host) fields: Option<Vec<String>>,
    pub(in crate::plugin::host) uid: Option<String>,
    pub(in crate::plugin::host) resource_version: Option<String>,
    pub(in crate::plugin::host) propagation: Option<Propagation>,
    pub(in crate::plugin::host) grace_seconds: Option<u32>,
}

/// As Kubernetes writes it, in either case.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(in crate::plugin::host) enum Propagation {
    #[serde(alias = "orphan")]
    Orphan,
    #[serde(alias = "background")]
    Background,
    #[serde(alias = "foreground")]
    Foreground,
}

/// Of `exec`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(in crate::plugin::host) struct Exec {
    pub(in crate::plugin::host) stdin: bool,
    pub(in crate::plugin::host) tty: bool,
}

/// A JSON object or nothing; an unknown key is a mistake.
pub(in crate::plugin::host) fn options<T: DeserializeOwned + Default>(text: &str) -> Result<T, Failure> {
    if text.trim().is_empty() {
        return Ok(T::default());
    }
    let refused = |error: serde_json::Error| Failure::new("invalid", format!("options: {error}"));
    json::check(text).map_err(refused)?;
    if !text.trim_start().starts_with('{') {
        // serde would take an array for the fields in their order.
        return Err(Failure::new("invalid", "options: invalid type: expected a JSON object"));
    }
    serde_json::from_str(text).map_err(refused)
}

/// A body: one JSON document within the contract's limits.
pub(in crate::plugin::host) fn body(text: &str) -> Result<Value, Failure> {
    let refused = |error: serde_json::Error| Failure::new("invalid", format!("body: {error}"));
    json::check(text).map_err(refused)?;
    serde_json::from_str(text).map_err(refused)
}

/// The fields that the guest wants to see; none: all that it may.
pub(in crate::plugin::host) fn fields(texts: Option<Vec<String>>) -> Result<Option<Mask>, Failure> {
    let mask = texts.map(|texts| Mask::parse(&texts)).transpose();
    mask.map_err(|error| Failure::new("invalid", format!("options.fields: {error}")))
}

/// Where an object is.
pub(in crate::plugin::host) fn object(target: &wit::Object) -> Result<Object, Failure> {
    let namespace = target.namespace.as_deref().map(Namespace::new).transpose().map_err(invalid)?;
    let name = Some(target.name.as_str()).filter(|name| !name.is_empty());
    let name = name.map(Name::new).transpose().map_err(invalid)?;
    Ok(Object { namespace, name })
}

/// Where several objects are.
pub(super) fn scope(scope: &wit::Scope) -> Result<Scope, Failure> {
    Ok(match scope {
        wit::Scope::Cluster => Scope::Cluster,
        wit::Scope::Namespace(namespace) => Scope::Namespace(Namespace::new(namespace).map_err(invalid)?),
        wit::Scope::Granted => Scope::Granted,
    })
}

impl Several {
    /// Which objects.
    pub(super) fn selectors(&self) -> Result<Selectors, Failure> {
        let selectors = match &self.labels {
            None => Ok(Selectors::default()),
            Some(Labels::Selector(text)) => Selectors::parse(text, ""),
            Some(Labels::Equal(labels)) => Selectors::equalities(&plain(labels)?),
        };
        let selectors = selectors.and_then(|selectors| match &self.field_selector {
            Some(text) => selectors.and_fields(text),
            None => Ok(selectors),
        });
        selectors.map_err(|error| Failure::new("invalid", format!("options.{error}")))
    }

    /// Where a watch begins; empty: with what is there.
    pub(super) fn from(&self) -> Result<&str, Failure> {
        let text = self.resource_version.as_deref().unwrap_or_default();
        if text.len() <= VERSION_MAX_BYTES && text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(text);
        }
        Err(Failure::new("invalid", "options.resource-version: it is none that an API server gave"))
    }
}

/// Numbers and booleans are meant as their text: a label holds nothing else.
fn plain(labels: &BTreeMap<String, Value>) -> Result<BTreeMap<String, String>, Failure> {
    let plain = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            _ => {
                let message =
                    format!("options.labels: the value of `{}` is no text", super::super::lines::clean(key, 64));
                return Err(Failure::new("invalid", message));
            }
        };
        Ok((key.clone(), value))
    };
    labels.iter().map(plain).collect()
}

/// Refuses what answers bytes, or takes them: objects are asked for here.
pub(in crate::plugin::host) fn objects_only(kind: &Kind) -> Result<(), Failure> {
    let instead = match (kind.streams(), kind.subresource.as_str()) {
        (false, _) => return Ok(()),
        (true, "log") => "`read-log` reads it",
        (true, "exec") => "`kubernetes-exec` runs commands",
        (true, _) => "no plugin does",
    };
    Err(Failure::new("invalid", format!("`{kind}` is no object to be read or written; {instead}")))
}

#[cfg(test)]
mod tests {
    use super::{Get, Propagation, Remove, Several, body, options};

    #[test]
    fn options_are_an_object_or_nothing_and_say_what_they_know() {
        assert!(options::<Get>("").unwrap().fields.is_none());
        assert_eq!(options::<Get>(r#"{"fields":["spec"]}"#).unwrap().fields.unwrap(), ["spec"]);
        let remove = options::<Remove>(r#"{"propagation":"foreground","grace-seconds":0}"#).unwrap();
        assert!(matches!(remove.propagation, Some(Propagation::Foreground)));
        for (text, part) in [
            ("[]", "invalid type"),
            ("{\"field\":[]}", "unknown field `field`, expected `fields`"),
            ("{\"fields\":1}", "invalid type"),
            ("{\"fields\":[],\"fields\":[]}", "twice"),
            ("{", "EOF"),
        ] {
            let failure = options::<Get>(text).unwrap_err();
            assert!(failure.code == "invalid" && failure.message.contains(part), "{text}: {failure}");
        }
        assert!(body("{\"a\":1,\"a\":2}").is_err());
    }

    #[test]
    fn labels_are_a_selector_or_equalities() {
        for (text, labels, fields) in [
            (r#"{"labels":"app in (a,b),!x"}"#, "app in (a,b),!x", ""),
            (r#"{"labels":{"app":"web","tier":1,"on":true}}"#, "app=web,on=true,tier=1", ""),
            (r#"{"labels":{"app":"web"},"field-selector":"metadata.name=a"}"#, "app=web", "metadata.name=a"),
            (r#"{"field-selector":"status.phase!=Running"}"#, "", "status.phase!=Running"),
            ("", "", ""),
        ] {
            let selectors = options::<Several>(text).unwrap().selectors().unwrap();
            assert_eq!(
                (selectors.labels_text().as_str(), selectors.fields_text().as_str()),
                (labels, fields),
                "{text}"
            );
        }
        for text in [r#"{"labels":{"app":["a"]}}"#, r#"{"labels":"a=b=c,"}"#, r#"{"field-selector":"a"}"#] {
            assert_eq!(options::<Several>(text).unwrap().selectors().unwrap_err().code, "invalid", "{text}");
        }
    }
}
