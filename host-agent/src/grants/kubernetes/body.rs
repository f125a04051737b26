//! What a body says of which object it is: it must be the one that the request names.

use serde_json::{Map, Value, json};

use super::{
    Invalid, Kind, Object,
    path::{Path, Step},
    shape::shown,
};

/// Says in a body what it leaves out of `apiVersion`, `kind`, `metadata.namespace` and `metadata.name`. What it says is left
/// as it is, and judged.
pub fn identify(kind: &Kind, at: &Object, body: &mut Value) {
    let Value::Object(map) = body else { return };
    map.entry("apiVersion").or_insert_with(|| json!(kind.api_version));
    map.entry("kind").or_insert_with(|| json!(kind.kind));
    let Value::Object(metadata) = map.entry("metadata").or_insert_with(|| json!({})) else { return };
    if let Some(namespace) = &at.namespace {
        metadata.entry("namespace").or_insert_with(|| json!(namespace.as_str()));
    }
    if let Some(name) = &at.name {
        metadata.entry("name").or_insert_with(|| json!(name.as_str()));
    }
}

/// Who a new object will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Naming<'a> {
    /// This name.
    Name(&'a str),
    /// This, and five characters that the API server chooses.
    Generated(&'a str),
    /// The kind has no names, as reviews have none.
    Nameless,
}

/// Fields that say which object is meant, or which version of it: they are judged here, and by no write mask.
pub(super) fn is_identity(path: &Path<'_>) -> bool {
    match path {
        [Step::Key("apiVersion" | "kind")] => true,
        [Step::Key("metadata"), Step::Key(key)] => {
            matches!(*key, "name" | "namespace" | "uid" | "resourceVersion")
        }
        _ => false,
    }
}

/// Whether a body or a merge patch names nothing but the object of the request; what it leaves out is no mistake.
pub(super) fn check(kind: &Kind, at: &Object, body: &Value) -> Result<(), Invalid> {
    let Value::Object(map) = body else { return Err(Invalid::new("body", "it is no JSON object")) };
    same(map, "apiVersion", "body.apiVersion", Some(&kind.api_version))?;
    same(map, "kind", "body.kind", Some(&kind.kind))?;
    let metadata = match map.get("metadata") {
        None => return Ok(()),
        Some(Value::Object(metadata)) => metadata,
        Some(_) => return Err(Invalid::new("body.metadata", "it is no JSON object")),
    };
    same(metadata, "namespace", "body.metadata.namespace", at.namespace.as_ref().map(super::Namespace::as_str))?;
    if let Some(name) = &at.name {
        same(metadata, "name", "body.metadata.name", Some(name.as_str()))?;
    }
    for (key, field) in [("uid", "body.metadata.uid"), ("resourceVersion", "body.metadata.resourceVersion")] {
        if metadata.get(key).is_some_and(|value| value.as_str().is_none_or(str::is_empty)) {
            return Err(Invalid::new(field, "it is text, or left out"));
        }
    }
    Ok(())
}

/// The name of what is created.
pub(super) fn naming<'a>(at: &'a Object, body: &'a Value) -> Result<Naming<'a>, Invalid> {
    let said = |key: &str| match body.get("metadata").and_then(|metadata| metadata.get(key)) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
        Some(_) => Err(Invalid::new(format!("body.metadata.{key}"), "it is text, or left out")),
    };
    match (at.name.as_ref().map(super::Name::as_str), said("name")?, said("generateName")?) {
        (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            Err(Invalid::new("body.metadata.generateName", "give a name or `generateName`, not both"))
        }
        (Some(name), ..) => Ok(Naming::Name(name)),
        (None, Some(name), None) => {
            super::Name::new(name).map_err(|error| Invalid::new("body.metadata.name", error.reason))?;
            Ok(Naming::Name(name))
        }
        (None, None, Some(prefix)) => {
            super::shape::generate_name(prefix)?;
            Ok(Naming::Generated(prefix))
        }
        (None, None, None) => Ok(Naming::Nameless),
    }
}

fn same(map: &Map<String, Value>, key: &str, field: &str, wanted: Option<&str>) -> Result<(), Invalid> {
    match (map.get(key), wanted) {
        (None, _) => Ok(()),
        (Some(Value::String(text)), Some(wanted)) if text == wanted => Ok(()),
        (Some(_), None) => Err(Invalid::new(field, "the kind is cluster-scoped: leave it out")),
        (Some(Value::String(text)), Some(wanted)) => {
            Err(Invalid::new(field, format!("it is `{}`, and the request is for `{wanted}`", shown(text))))
        }
        (Some(_), Some(wanted)) => Err(Invalid::new(field, format!("it must be `{wanted}`, or left out"))),
    }
}
