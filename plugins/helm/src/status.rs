//! `helm.status`.

use claiflow_sdk::{Error, command};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::release::{self, Release};

/// Which release.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The release's name.
    #[schemars(length(min = 1))]
    name: String,
    /// The namespace that it is in.
    #[schemars(length(min = 1))]
    namespace: String,
    /// Absent or 0: the newest.
    revision: Option<u32>,
}

/// A release in its newest revision, or in another.
#[command("helm.status", effect = "read")]
pub fn status(inputs: Status) -> Result<Release, Error> {
    let Status { name, namespace, revision } = inputs;
    match revision.filter(|revision| *revision > 0) {
        Some(revision) => release::at(&name, &namespace, revision.into()),
        None => Ok(release::newest(&name, &namespace)?.release),
    }
}
