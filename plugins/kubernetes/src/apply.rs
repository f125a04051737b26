//! `apply`.

use claiflow_sdk::{Context, Error, command, kubernetes::WriteOptions};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{json::Json, object::Body};

/// What should be there.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// For kinds that lie in namespaces; it may stand in the object in its place.
    namespace: Option<String>,
    /// The fields that should be so, and `metadata.name`.
    object: Map<String, Value>,
    /// Take fields over from other managers: the verb `force-apply` in the grant.
    #[serde(default)]
    force: bool,
    /// Only these fields of the answer.
    #[serde(default)]
    fields: Vec<String>,
}

/// Makes an object what it should be, or makes it, by server-side apply.
#[command(pattern = "kubernetes.{resource}.apply.{version+}", effect = "idempotent")]
pub fn apply(inputs: Apply, context: &Context) -> Result<Json, Error> {
    let Apply { namespace, object, force, fields } = inputs;
    let body = Body::read(context, namespace, object, |_| None)?;
    body.api.apply(&body.name, &body.plain(), &WriteOptions { force, fields, ..WriteOptions::default() })
}
