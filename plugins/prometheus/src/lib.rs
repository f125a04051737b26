//! The plugin `prometheus`: its HTTP API as commands, `prometheus.<api>.v1`. A result is exactly the `data` of the answer;
//! what Prometheus warns of goes to the task's log, and what it calls an error fails the step in its own words.
//!
//! All of them read. Where Prometheus is says the input `url`, and whether it may be asked the operator's grant.

use claiflow_sdk::former;

mod answer;
mod ask;
mod credential;
mod data;
mod form;
mod labels;
mod limit;
mod metadata;
mod moment;
mod query;
mod server;
mod state;

claiflow_sdk::plugin! {
    name: "prometheus",
    commands: [
        query::query, query::query_range,
        state::alerts, state::rules, state::alertmanagers, state::targets,
        metadata::targets_metadata, metadata::metadata,
        labels::series, labels::labels, labels::label_values,
    ],
}
