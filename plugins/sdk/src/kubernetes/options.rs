//! What a call may say beside its target. Each becomes the JSON object that the contract describes.

use std::{collections::BTreeMap, fmt::Display};

use serde::Serialize;

use crate::Error;

/// Which objects, and how much of each. The host cuts them before they reach the plugin, so that a long list of large
/// objects costs no memory and no time here.
///
/// ```
/// use claiflow_sdk::kubernetes::Query;
///
/// let query = Query::new().label("app", "web").fields(["metadata.name", "status.phase"]).limit(100);
/// ```
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Query {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field_selector: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    metadata_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_version: Option<String>,
}

impl Query {
    /// Everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only objects with this label; all labels of a query must be there.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Display) -> Self {
        self.labels.insert(name.into(), value.to_string());
        self
    }

    /// Only objects of which this holds, such as `metadata.name=web` or `spec.nodeName=node-1`. The API server knows few
    /// fields of each kind.
    #[must_use]
    pub fn field_selector(mut self, selector: impl Into<String>) -> Self {
        self.field_selector = Some(selector.into());
        self
    }

    /// Only these fields of each object: paths with dots, such as `metadata.name`.
    #[must_use]
    pub fn fields<P: Into<String>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.fields.extend(paths.into_iter().map(Into::into));
        self
    }

    /// At most so many objects.
    #[must_use]
    pub fn limit(mut self, most: u32) -> Self {
        self.limit = Some(most);
        self
    }

    /// Only `metadata` of each object, which the API server itself cuts.
    #[must_use]
    pub fn metadata_only(mut self) -> Self {
        self.metadata_only = true;
        self
    }

    /// A watch begins behind this `metadata.resourceVersion`.
    #[must_use]
    pub fn since(mut self, resource_version: impl Into<String>) -> Self {
        self.resource_version = Some(resource_version.into());
        self
    }

    pub(crate) fn most(&self) -> Option<u32> {
        self.limit
    }
}

/// What of a container's log. Nothing said: all of it so far.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogQuery {
    /// None: the annotated default, else the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Of the container that ran before this one.
    #[serde(skip_serializing_if = "is_false")]
    pub previous: bool,
    /// Go on with what is written from now on.
    #[serde(skip_serializing_if = "is_false")]
    pub follow: bool,
    /// The last lines only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_lines: Option<u32>,
    /// What was written in the last seconds only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_seconds: Option<u32>,
    /// Each line begins with its time.
    #[serde(skip_serializing_if = "is_false")]
    pub timestamps: bool,
}

/// How to write.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WriteOptions {
    /// Check everything, change nothing.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// Take fields over from other managers: `apply` alone, and a verb of its own in the grant, `force-apply`.
    #[serde(skip_serializing_if = "is_false")]
    pub force: bool,
    /// Only these fields of the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

/// How to remove. With `uid` or `resource_version` only that very object goes, else `conflict`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RemoveOptions {
    /// `metadata.uid` of what to remove: nothing that took its name since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// `metadata.resourceVersion`: nothing that was changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// `Background`, `Foreground` or `Orphan`: what becomes of what it owns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagation: Option<String>,
    /// How long a pod has to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u32>,
    /// Check everything, change nothing.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
}

/// How to run a program in a container.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExecOptions {
    /// It gets an input, which [`Execution::write`](super::Execution::write) fills.
    #[serde(skip_serializing_if = "is_false")]
    pub stdin: bool,
    /// It believes to be on a terminal; its error output is then in its output.
    #[serde(skip_serializing_if = "is_false")]
    pub tty: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The options as the contract has them.
pub(crate) fn text(options: &impl Serialize) -> Result<String, Error> {
    Ok(serde_json::to_string(options)?)
}

#[cfg(test)]
mod tests {
    use super::{ExecOptions, LogQuery, Query, RemoveOptions, WriteOptions, text};

    #[test]
    fn options_are_the_contracts_words_and_what_is_not_said_is_not_sent() {
        let query = Query::new().label("app", "web").label("tier", 2).field_selector("metadata.name=web");
        let query = query.fields(["metadata.name"]).limit(3).metadata_only().since("17");
        let log =
            LogQuery { container: Some("app".into()), tail_lines: Some(5), timestamps: true, ..LogQuery::default() };
        let remove = RemoveOptions { uid: Some("u".into()), grace_seconds: Some(0), ..RemoveOptions::default() };
        for (text, expected) in [
            (
                text(&query),
                r#"{"labels":{"app":"web","tier":"2"},"field-selector":"metadata.name=web","fields":["metadata.name"],"limit":3,"metadata-only":true,"resource-version":"17"}"#,
            ),
            (text(&Query::new()), "{}"),
            (text(&log), r#"{"container":"app","tail-lines":5,"timestamps":true}"#),
            (text(&WriteOptions { dry_run: true, ..WriteOptions::default() }), r#"{"dry-run":true}"#),
            (text(&remove), r#"{"uid":"u","grace-seconds":0}"#),
            (text(&ExecOptions { stdin: true, tty: false }), r#"{"stdin":true}"#),
        ] {
            assert_eq!(text.unwrap(), expected);
        }
    }
}
