//! `helm.get_values`.

use claiflow_sdk::{Error, command};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{failure::About, former::Former, helm};

/// Of which release.
#[derive(Deserialize, JsonSchema)]
pub struct GetValues {
    /// The release's name.
    #[schemars(length(min = 1))]
    name: String,
    /// The namespace that it is in.
    #[schemars(length(min = 1))]
    namespace: String,
    /// Also the values that the chart sets by itself.
    all: Option<bool>,
}

/// The values of a release.
#[command("helm.get_values", effect = "read")]
pub fn get_values(inputs: Former<GetValues>) -> Result<Map<String, Value>, Error> {
    let GetValues { name, namespace, all } = inputs.known();
    let args = json!({"name": name, "namespace": namespace, "all": all.unwrap_or_default()});
    let output = helm::run("helm.get_values", &args, b"", &About::release(&name, &namespace))?;
    // Where none differ from the chart's, Helm says `null`.
    let values: Option<Map<String, Value>> = serde_json::from_slice(&output)
        .map_err(|error| Error::failed(format!("the values cannot be read: {error}")))?;
    Ok(values.unwrap_or_default())
}
