//! `rollout_restart`.

use claiflow_sdk::{
    Applied, Context, Error, command,
    kubernetes::{Patch, Resource, WriteOptions},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{json::Json, target};

const ROLLED_OUT: [&str; 3] = ["deployments", "statefulsets", "daemonsets"];

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
    check(api.resource())?;
    let stamp = json!({"kubectl.kubernetes.io/restartedAt": context.effect_key});
    let patch = Patch::Merge(json!({"spec": {"template": {"metadata": {"annotations": stamp}}}}));
    api.patch(&inputs.name, &patch, &WriteOptions { fields: inputs.fields, ..WriteOptions::default() })
}

/// Of a kind without pod template, the API server drops the stamp and says nothing; of one whose pods live as long as it
/// does, it restarts nothing. What a custom resource does, only its own controller knows.
///
/// # Errors
/// `invalid` for Kubernetes's own kinds that are not rolled out.
fn check(resource: &Resource) -> Result<(), Error> {
    let is_own = !resource.group.contains('.') || resource.group.ends_with(".k8s.io");
    let is_rolled_out = resource.group == "apps" && ROLLED_OUT.contains(&&*resource.plural);
    if !is_own || is_rolled_out {
        return Ok(());
    }
    let message = format!("{resource} are not rolled out; of apps/v1, {} are", ROLLED_OUT.join(", "));
    Err(Error::invalid(message).applied(Applied::No))
}
