//! `get`.

use claiflow_sdk::{Context, Error, command, kubernetes::Query};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{former::Former, json::Json, target};

/// Which object.
#[derive(Deserialize, JsonSchema)]
pub struct Get {
    #[schemars(length(min = 1))]
    name: String,
    /// For kinds that lie in namespaces, and only for them.
    namespace: Option<String>,
    /// Only these fields, such as `status.phase`.
    #[serde(default)]
    fields: Vec<String>,
}

/// Reads one object.
#[command(pattern = "kubernetes.{resource}.get.{version+}", effect = "read")]
pub fn get(inputs: Former<Get>, context: &Context) -> Result<Json, Error> {
    let Get { name, namespace, fields } = inputs.known();
    target::place(context, namespace.as_deref())?.get_with(&name, &Query::new().fields(fields))
}
