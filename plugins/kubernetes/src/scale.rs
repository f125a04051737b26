//! `scale`.

use claiflow_sdk::{
    Context, Error, command,
    kubernetes::{Patch, WriteOptions},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{json::Json, target};

/// How many.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    #[schemars(length(min = 1))]
    name: String,
    namespace: Option<String>,
    /// The number of replicas that there should be.
    #[schemars(range(max = 2_147_483_647))]
    replicas: u32,
}

/// Sets how many replicas there should be; answers the `Scale`.
#[command(pattern = "kubernetes.{resource}.scale.{version+}", effect = "idempotent")]
pub fn scale(inputs: Scale, context: &Context) -> Result<Json, Error> {
    let api = target::place::<Json>(context, inputs.namespace.as_deref())?.sub("scale");
    let patch = Patch::Merge(json!({"spec": {"replicas": inputs.replicas}}));
    api.patch(&inputs.name, &patch, &WriteOptions::default())
}
