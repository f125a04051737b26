//! `list`.

use std::collections::BTreeMap;

use claiflow_sdk::{
    Context, Error, command,
    kubernetes::{Api, Query, Resource},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{former::Former, json::Json, target};

/// Which objects.
#[derive(Deserialize, JsonSchema)]
pub struct List {
    /// Absent or empty: every namespace that the grant names.
    namespace: Option<String>,
    /// What the objects' labels must be, all of them.
    #[serde(default)]
    #[schemars(schema_with = "labels_schema")]
    labels: Option<BTreeMap<String, Value>>,
    /// Such as `spec.nodeName=node-1`; the API server knows few fields of each kind.
    field_selector: Option<String>,
    /// Only these fields of each object, such as `metadata.name`.
    #[serde(default)]
    fields: Vec<String>,
    /// At most so many objects.
    #[schemars(range(min = 1))]
    limit: Option<u32>,
}

/// A list as the API server gives it, such as a `PodList`; its pages are put together.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    api_version: String,
    kind: String,
    metadata: BTreeMap<(), ()>,
    #[schemars(with = "Vec<Json>")]
    items: Box<RawValue>,
}

/// Lists objects.
#[command(pattern = "kubernetes.{resource}.list.{version+}", effect = "read")]
pub fn list(inputs: Former<List>, context: &Context) -> Result<Listed, Error> {
    let List { namespace, labels, field_selector, fields, limit } = inputs.known();
    let api: Api<Json> = target::places(context, namespace.as_deref())?;
    let mut query = query(labels, field_selector, fields)?;
    if let Some(limit) = limit {
        query = query.limit(limit);
    }
    let items = api.list_text(&query)?;
    let kind = kind(api.resource(), items.get());
    Ok(Listed { api_version: api.resource().api_version(), kind: kind + "List", metadata: BTreeMap::new(), items })
}

/// The kind of the items: as the first says or, where there is none or its fields are cut, as the host knows it.
fn kind(resource: &Resource, items: &str) -> String {
    #[derive(Deserialize)]
    struct Typed {
        kind: String,
    }
    let behind = items.strip_prefix('[').unwrap_or_default();
    // Reads one value and leaves what follows it.
    match serde_json::Deserializer::from_str(behind).into_iter().next() {
        Some(Ok(Typed { kind })) => kind,
        // A list is not lost for want of its name.
        _ => target::known(resource).ok().flatten().map(|known| known.kind).unwrap_or_default(),
    }
}

/// # Errors
/// `invalid` for a label that cannot be one.
pub(crate) fn query(
    labels: Option<BTreeMap<String, Value>>,
    field_selector: Option<String>,
    fields: Vec<String>,
) -> Result<Query, Error> {
    let mut query = Query::new().fields(fields);
    for (name, value) in labels.unwrap_or_default() {
        query = match value {
            Value::String(text) => query.label(name, text),
            Value::Number(_) | Value::Bool(_) => query.label(name, value),
            _ => return Err(Error::invalid(format!("`labels/{name}` is no text; a label equals a text or a number"))),
        };
    }
    Ok(match field_selector.filter(|selector| !selector.is_empty()) {
        Some(selector) => query.field_selector(selector),
        None => query,
    })
}

/// What is not a text is made one.
pub(crate) fn labels_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": ["object", "null"],
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    })
}
