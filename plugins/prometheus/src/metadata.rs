//! What is said about metrics: by each target, or all in all.

use claiflow_sdk::{Error, command};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{ask::Prometheus, credential::Credential, data::Data, form::Form, former::Former, limit::Limit};

/// Of which targets and metrics.
#[derive(Deserialize, JsonSchema)]
pub struct TargetsMetadata {
    /// Where Prometheus answers, with its path prefix if it has one.
    #[schemars(length(min = 1))]
    url: String,
    /// A selector of targets by their labels, such as `{job="node"}`. Absent or empty: all.
    match_target: Option<String>,
    /// The name of one metric. Absent or empty: all.
    metric: Option<String>,
    /// Entries at most. Absent or empty: no limit.
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    credential: Credential,
}

/// Of which metrics.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Where Prometheus answers, with its path prefix if it has one.
    #[schemars(length(min = 1))]
    url: String,
    /// The name of one metric. Absent or empty: all.
    metric: Option<String>,
    /// Metrics at most. Absent or empty: no limit.
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    credential: Credential,
}

/// Lists what targets say about their metrics: type, help and unit.
#[command("prometheus.targets/metadata.v1", effect = "read")]
pub fn targets_metadata(inputs: Former<TargetsMetadata>) -> Result<Data, Error> {
    let TargetsMetadata { url, match_target, metric, limit, credential } = inputs.known();
    let form = Form::default()
        .with("match_target", &match_target.unwrap_or_default())
        .with("metric", &metric.unwrap_or_default())
        .with("limit", &limit.to_string());
    Prometheus::at(&url, &credential)?.get("targets/metadata", &form)
}

/// Gives type, help and unit of each metric, from whichever target says them.
#[command("prometheus.metadata.v1", effect = "read")]
pub fn metadata(inputs: Metadata) -> Result<Data, Error> {
    let Metadata { url, metric, limit, credential } = inputs;
    let form = Form::default().with("metric", &metric.unwrap_or_default()).with("limit", &limit.to_string());
    Prometheus::at(&url, &credential)?.get("metadata", &form)
}
