//! One request and what it gave, as a cassette holds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{grants::kubernetes::Kind, kubernetes::Served};

/// One request of the cluster's API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Exchange {
    /// The function of the contract, without its package: `kubernetes-write.patch`.
    pub function: String,
    /// What was asked.
    pub request: Told,
    /// The fields that the plugin wanted to see; none: all that it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// The agent asked by itself to serve the plugin's call, and the plugin needs no grant for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked_by_agent: bool,
    /// What became of it.
    pub gave: Gave,
}

/// A request in the words of the grants file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Told {
    /// A verb of the grants file.
    pub verb: String,
    /// Empty for the core group.
    pub group: String,
    /// Such as `v1`.
    pub version: String,
    /// `plural` or `plural/subresource`.
    pub resource: String,
    /// None for what is cluster-scoped, and for a list over every namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// None for several objects, and for one whose name stands in its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Selectors, limits, `dry-run`, a container's command, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Value>,
    /// What was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Gave {
    /// An object, or a page of a list.
    Answer(Value),
    /// A watch's lines.
    Events {
        /// Each with `type` and `object`.
        lines: Vec<Value>,
        /// The API server closed the watch behind them.
        ended: bool,
    },
    /// A container's log, as far as it was read.
    Log {
        /// What is no UTF-8 stands as `�`.
        text: String,
        /// It was read to its end.
        ended: bool,
    },
    /// A command that ran in a container.
    Executed(Executed),
    /// The API server said no: its `Status`.
    Refused {
        /// An object of kind `Status`.
        status: Value,
        /// When it wanted to be asked again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// Something else came between.
    Failed {
        /// As in `types.wit`.
        code: String,
        /// One sentence.
        message: String,
        /// `none`, `done` or `unknown`.
        effect: String,
    },
}

/// What a command in a container said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Executed {
    /// Pieces in the order in which they came, each `stdout` or `stderr` and its text.
    pub output: Vec<BTreeMap<String, String>>,
    /// What was written to its standard input.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdin: String,
    /// `{"exit": 0}` or `{"error": "…"}`; none: it was not waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
}

/// A kind that discovery knew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KindEntry {
    /// Empty for the core group.
    pub group: String,
    /// Such as `v1`.
    pub version: String,
    /// `plural` or `plural/subresource`.
    pub resource: String,
    /// What bodies and answers call it.
    pub kind: String,
    /// What bodies and answers say as `apiVersion`.
    pub api_version: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// As the API server names them, with spaces between.
    pub verbs: String,
}

impl KindEntry {
    pub(super) fn of(served: &Served) -> Self {
        let Served { kind, verbs, .. } = served;
        Self {
            group: kind.group.clone(),
            version: kind.version.clone(),
            resource: kind.resource(),
            kind: kind.kind.clone(),
            api_version: kind.api_version.clone(),
            namespaced: kind.namespaced,
            verbs: verbs.join(" "),
        }
    }

    /// The kind that authority is decided over.
    #[must_use]
    pub fn kind(&self) -> Kind {
        let (plural, subresource) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        Kind {
            group: self.group.clone(),
            version: self.version.clone(),
            plural: plural.to_owned(),
            subresource: subresource.to_owned(),
            kind: self.kind.clone(),
            api_version: self.api_version.clone(),
            namespaced: self.namespaced,
        }
    }

    pub(super) fn served(&self) -> Served {
        Served {
            kind: self.kind(),
            verbs: self.verbs.split_whitespace().map(str::to_owned).collect(),
            aliases: Vec::new(),
        }
    }
}
