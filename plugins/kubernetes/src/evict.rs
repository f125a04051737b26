//! `evict`.

use claiflow_sdk::{
    Context, Error, Verdict, command,
    kubernetes::{Api, WriteOptions},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{
    delete::went,
    json::Json,
    mark::{self, Mark},
    target,
};

/// Which pod.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evict {
    #[schemars(length(min = 1))]
    name: String,
    #[schemars(length(min = 1))]
    namespace: String,
    /// How long the pod has to end.
    grace_seconds: Option<u32>,
}

/// Removes a pod where its disruption budget allows it.
///
/// `unavailable` where the budget does not allow it now.
#[command(pattern = "kubernetes.{resource}.evict.{version+}", effect = "verify", verify = evicted)]
pub fn evict(inputs: Evict, context: &Context) -> Result<Json, Error> {
    let Evict { name, namespace, grace_seconds } = inputs;
    let pods = pods(context, &namespace)?;
    let mut options = serde_json::Map::new();
    if let Mark::Seen(seen) = mark::before(&pods, &name, context)? {
        options.insert("preconditions".to_owned(), json!({"uid": seen.uid}));
    }
    if let Some(seconds) = grace_seconds {
        options.insert("gracePeriodSeconds".to_owned(), seconds.into());
    }
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace}, "deleteOptions": options,
    });
    pods.sub("eviction").create(&eviction, &WriteOptions::default())
}

fn evicted(inputs: Evict, context: &Context) -> Result<Verdict<Json>, Error> {
    went(&pods(context, &inputs.namespace)?, &inputs.name, context)
}

fn pods(context: &Context, namespace: &str) -> Result<Api<Json>, Error> {
    let api = target::place(context, Some(namespace))?;
    if api.resource().plural != "pods" {
        return Err(Error::invalid(format!(
            "{} cannot be evicted, only pods: `kubernetes.pods.evict.v1`",
            api.resource()
        )));
    }
    Ok(api)
}
