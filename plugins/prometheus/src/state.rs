//! What Prometheus knows of itself: `alerts`, `rules`, `alertmanagers` and `targets`.

use claiflow_sdk::{Error, command};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{ask::Prometheus, credential::Credential, data::Data, form::Form, former::Former};

/// Which Prometheus.
#[derive(Deserialize, JsonSchema)]
pub struct State {
    /// Where Prometheus answers, with its path prefix if it has one.
    #[schemars(length(min = 1))]
    url: String,
    #[serde(default)]
    credential: Credential,
}

impl State {
    fn of(&self, path: &str) -> Result<Data, Error> {
        Prometheus::at(&self.url, &self.credential)?.get(path, &Form::default())
    }
}

/// Lists the alerts that are pending or firing.
#[command("prometheus.alerts.v1", effect = "read")]
pub fn alerts(inputs: Former<State>) -> Result<Data, Error> {
    inputs.known().of("alerts")
}

/// Lists the groups of rules that are loaded, each with its health.
#[command("prometheus.rules.v1", effect = "read")]
pub fn rules(inputs: Former<State>) -> Result<Data, Error> {
    inputs.known().of("rules")
}

/// Lists the Alertmanagers that were found, and those that were dropped.
#[command("prometheus.alertmanagers.v1", effect = "read")]
pub fn alertmanagers(inputs: Former<State>) -> Result<Data, Error> {
    inputs.known().of("alertmanagers")
}

/// Lists the targets that are scraped, each with its health, and those that were dropped.
#[command("prometheus.targets.v1", effect = "read")]
pub fn targets(inputs: Former<State>) -> Result<Data, Error> {
    inputs.known().of("targets")
}
