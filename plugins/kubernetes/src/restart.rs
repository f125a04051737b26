//! `rollout_restart`.

use claiflow_sdk::{
    Applied, Context, Error, command,
    kubernetes::{Patch, WriteOptions},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{json::Json, target};

/// What to restart.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    #[schemars(length(min = 1))]
    name: String,
    namespace: Option<String>,
    /// Only these fields of the answer.
    #[serde(default)]
    fields: Vec<String>,
}

/// Restarts a workload's pods, a few at a time, as `kubectl rollout restart` does.
///
/// The stamp in the pod template is the effect key, so that a second attempt of a call restarts nothing.
#[command(pattern = "kubernetes.{resource}.rollout_restart.{version+}", effect = "idempotent")]
pub fn rollout_restart(inputs: Restart, context: &Context) -> Result<Json, Error> {
    let api = target::place::<Json>(context, inputs.namespace.as_deref())?;
    let stamp = json!({"kubectl.kubernetes.io/restartedAt": context.effect_key});
    let patch = Patch::Merge(json!({"spec": {"template": {"metadata": {"annotations": stamp}}}}));
    let options = WriteOptions { fields: inputs.fields, ..WriteOptions::default() };
    let answer = api.patch(&inputs.name, &patch, &options)?;
    if options.fields.is_empty() && has_no_template(&answer) {
        let message = format!("{} have no pod template, so nothing was restarted", api.resource());
        return Err(Error::invalid(message).applied(Applied::No));
    }
    Ok(answer)
}

/// Of a kind without one, the API server drops the stamp and says nothing.
fn has_no_template(object: &Json) -> bool {
    let object: Value = serde_json::from_str(object.get()).unwrap_or_default();
    object.get("spec").is_some_and(|spec| spec.get("template").is_none())
}
