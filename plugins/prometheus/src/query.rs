//! `query` and `query_range`.

use claiflow_sdk::{Error, command};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{ask::Prometheus, credential::Credential, data::Data, form::Form, former::Former, moment::Text};

/// What to evaluate, and for when.
#[derive(Deserialize, JsonSchema)]
pub struct Query {
    /// Where Prometheus answers, with its path prefix if it has one.
    #[schemars(length(min = 1))]
    url: String,
    /// A PromQL expression.
    #[schemars(length(min = 1))]
    query: String,
    /// RFC 3339, or seconds since 1970. Absent or empty: now.
    #[serde(default)]
    time: Text,
    #[serde(default)]
    credential: Credential,
}

/// What to evaluate, and for which moments.
#[derive(Deserialize, JsonSchema)]
pub struct QueryRange {
    /// Where Prometheus answers, with its path prefix if it has one.
    #[schemars(length(min = 1))]
    url: String,
    /// A PromQL expression.
    #[schemars(length(min = 1))]
    query: String,
    /// The first moment: RFC 3339, or seconds since 1970.
    start: Text,
    /// The last moment.
    end: Text,
    /// From one moment to the next: `15s`, `5m`, or seconds.
    step: Text,
    #[serde(default)]
    credential: Credential,
}

/// Evaluates a PromQL expression at one moment.
#[command("prometheus.query.v1", effect = "read")]
pub fn query(inputs: Former<Query>) -> Result<Data, Error> {
    let Query { url, query, time, credential } = inputs.known();
    let form = Form::default().with("query", expression(&query)?).with("time", time.moment("time")?);
    Prometheus::at(&url, &credential)?.post("query", &form)
}

/// Evaluates a PromQL expression at each step of a span of time.
#[command("prometheus.query_range.v1", effect = "read")]
pub fn query_range(inputs: Former<QueryRange>) -> Result<Data, Error> {
    let QueryRange { url, query, start, end, step, credential } = inputs.known();
    let form = Form::default()
        .with("query", expression(&query)?)
        .with("start", start.needed_moment("start")?)
        .with("end", end.needed_moment("end")?)
        .with("step", step.step("step")?);
    Prometheus::at(&url, &credential)?.post("query_range", &form)
}

fn expression(query: &str) -> Result<&str, Error> {
    match query.trim() {
        "" => Err(Error::invalid("`query` is empty; it is a PromQL expression, such as `up`")),
        _ => Ok(query),
    }
}
