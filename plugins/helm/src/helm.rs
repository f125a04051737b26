//! One run of Helm, to its end.

use claiflow_sdk::{Error, process};
use serde::Serialize;
use serde_json::json;

use crate::failure::{About, explained};

/// What it wrote.
///
/// # Errors
/// What it complained about, as a person can act on it; what the agent answers instead of starting it.
pub(crate) fn run(profile: &str, args: &impl Serialize, stdin: &[u8], about: &About<'_>) -> Result<Vec<u8>, Error> {
    let ended = process::run(profile, args, stdin)?;
    if ended.is_success() { Ok(ended.stdout) } else { Err(explained(&ended, about)) }
}

/// The same about one release, with nothing else to say.
///
/// # Errors
/// As [`run`].
pub(crate) fn of_release(profile: &str, name: &str, namespace: &str) -> Result<Vec<u8>, Error> {
    run(profile, &json!({"name": name, "namespace": namespace}), b"", &About::release(name, namespace))
}

/// What it wrote, for people.
pub(crate) fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}
