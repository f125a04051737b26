//! `helm.list`.

use claiflow_sdk::{Error, command};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{failure::About, helm};

/// Where to look.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Absent or empty: every namespace.
    namespace: Option<String>,
}

/// A release in its newest revision.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    app_version: String,
    chart: String,
    name: String,
    namespace: String,
    revision: String,
    status: String,
    updated: String,
}

/// The releases of a namespace, or of all.
#[command("helm.list", effect = "read")]
pub fn list(inputs: List) -> Result<Vec<Listed>, Error> {
    let namespace = inputs.namespace.filter(|namespace| !namespace.is_empty());
    let args: Map<String, Value> =
        namespace.map(|namespace| ("namespace".to_owned(), namespace.into())).into_iter().collect();
    let output = helm::run("helm.list", &args, b"", &About::default())?;
    serde_json::from_slice(&output).map_err(|error| Error::failed(format!("Helm's list cannot be read: {error}")))
}
