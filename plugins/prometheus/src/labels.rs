//! What there is: `series`, `labels` and `label_values`.

use claiflow_sdk::{Error, command};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    ask::Prometheus,
    credential::Credential,
    data::Data,
    form::{Form, encoded},
    limit::Limit,
    moment::Text,
};

/// One selector, or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Selectors {
    /// Such as `up{job="node"}`.
    One(String),
    /// What any of them selects.
    Several(Vec<String>),
}

impl Default for Selectors {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Selectors {
    fn all(&self) -> impl Iterator<Item = &str> {
        let all = match self {
            Self::One(selector) => std::slice::from_ref(selector),
            Self::Several(selectors) => selectors,
        };
        all.iter().map(|selector| selector.trim()).filter(|selector| !selector.is_empty())
    }
}

/// Which series.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Where Prometheus answers, with its path prefix if it has one.
    #[schemars(length(min = 1))]
    url: String,
    /// Selectors, such as `up{job="node"}`: one, or a list of which each adds its series.
    r#match: Selectors,
    /// Only what had values from there on: RFC 3339, or seconds since 1970.
    #[serde(default)]
    start: Text,
    /// Only what had values up to there.
    #[serde(default)]
    end: Text,
    /// Series at most, where Prometheus is of version 3.
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    credential: Credential,
}

/// Of which series.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Where Prometheus answers, with its path prefix if it has one.
    #[schemars(length(min = 1))]
    url: String,
    /// Only of series that one of these selectors fits. Absent: of all.
    #[serde(default)]
    r#match: Selectors,
    /// Only of what had values from there on: RFC 3339, or seconds since 1970.
    #[serde(default)]
    start: Text,
    /// Only of what had values up to there.
    #[serde(default)]
    end: Text,
    /// Names at most, where Prometheus is of version 3.
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    credential: Credential,
}

/// Of which label, and of which series.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelValues {
    /// Where Prometheus answers, with its path prefix if it has one.
    #[schemars(length(min = 1))]
    url: String,
    /// The name of the label, such as `job`.
    #[schemars(length(min = 1))]
    label: String,
    /// Only of series that one of these selectors fits. Absent: of all.
    #[serde(default)]
    r#match: Selectors,
    /// Only of what had values from there on: RFC 3339, or seconds since 1970.
    #[serde(default)]
    start: Text,
    /// Only of what had values up to there.
    #[serde(default)]
    end: Text,
    /// Values at most, where Prometheus is of version 3.
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    credential: Credential,
}

/// Lists the series that selectors fit, each by its labels.
#[command("prometheus.series.v1", effect = "read")]
pub fn series(inputs: Series) -> Result<Data, Error> {
    let Series { url, r#match, start, end, limit, credential } = inputs;
    if r#match.all().next().is_none() {
        return Err(Error::invalid("`match` is empty; it holds at least one selector, such as `up{job=\"node\"}`"));
    }
    let form = selecting(&r#match, &start, &end, limit)?;
    Prometheus::at(&url, &credential)?.post("series", &form)
}

/// Lists the names of labels.
#[command("prometheus.labels.v1", effect = "read")]
pub fn labels(inputs: Labels) -> Result<Data, Error> {
    let Labels { url, r#match, start, end, limit, credential } = inputs;
    let form = selecting(&r#match, &start, &end, limit)?;
    Prometheus::at(&url, &credential)?.post("labels", &form)
}

/// Lists the values of a label.
#[command("prometheus.label_values.v1", effect = "read")]
pub fn label_values(inputs: LabelValues) -> Result<Data, Error> {
    let LabelValues { url, label, r#match, start, end, limit, credential } = inputs;
    let label = label.trim();
    // As segments of a path these are no names.
    if matches!(label, "" | "." | "..") {
        return Err(Error::invalid(format!("`label` is `{label}`; it is the name of a label, such as `job`")));
    }
    let form = selecting(&r#match, &start, &end, limit)?;
    Prometheus::at(&url, &credential)?.get(&format!("label/{}/values", encoded(label)), &form)
}

fn selecting(selectors: &Selectors, start: &Text, end: &Text, limit: Limit) -> Result<Form, Error> {
    let form = Form::default().with_each("match[]", selectors.all());
    Ok(form.with("start", start.moment("start")?).with("end", end.moment("end")?).with("limit", &limit.to_string()))
}
