//! A release, as Helm tells it and as commands answer it.

use claiflow_sdk::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    failure::About,
    helm::{self, of_release},
};

/// A release in one of its revisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Release {
    /// RFC 3339.
    pub(crate) last_deployed: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    /// What the chart has to say to people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) notes: String,
    pub(crate) revision: u64,
    /// Such as `deployed`.
    pub(crate) status: String,
    /// What differs from the chart's own values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user_supplied_values: Option<Map<String, Value>>,
}

/// What Helm writes of a release, as far as anybody looks.
#[derive(Deserialize)]
struct Told {
    name: String,
    namespace: String,
    version: u64,
    info: Info,
    config: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    first_deployed: String,
    #[serde(default)]
    last_deployed: String,
    #[serde(default)]
    notes: String,
    status: String,
}

/// A release, and when its first revision came: by that it is told from another of its name.
pub(crate) struct Dated {
    pub(crate) release: Release,
    pub(crate) first_deployed: String,
}

/// Reads what Helm wrote.
///
/// # Errors
/// `failed` where that is no release.
pub(crate) fn read(output: &[u8]) -> Result<Dated, Error> {
    let told: Told = serde_json::from_slice(output)
        .map_err(|error| Error::failed(format!("what Helm says of the release cannot be read: {error}")))?;
    let Told { name, namespace, version, info, config } = told;
    let release = Release {
        last_deployed: info.last_deployed,
        name,
        namespace,
        notes: info.notes,
        revision: version,
        status: info.status,
        user_supplied_values: config.filter(|config| !config.is_empty()),
    };
    Ok(Dated { release, first_deployed: info.first_deployed })
}

/// The newest revision of a release.
///
/// # Errors
/// `not-found`, and what else Helm says.
pub(crate) fn newest(name: &str, namespace: &str) -> Result<Dated, Error> {
    read(&of_release("helm.status", name, namespace)?)
}

/// One revision of a release.
///
/// # Errors
/// As [`newest`].
pub(crate) fn at(name: &str, namespace: &str, revision: u64) -> Result<Release, Error> {
    let args = json!({"name": name, "namespace": namespace, "revision": revision});
    Ok(read(&helm::run("helm.status", &args, b"", &About::release(name, namespace))?)?.release)
}
