//! `claiflow.credential.*`, and the names under which the first version had it.

use claiflow_sdk::{Error, command, credentials::admin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// No inputs are needed; whatever is given is left alone.
#[derive(Deserialize, JsonSchema)]
pub struct Get {}

/// One credential, without its data.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Key {
    key: String,
    storage: String,
}

/// Lists every credential by key and storage; never what it holds.
#[command("claiflow.credential.get", effect = "read")]
pub fn get(_inputs: Get) -> Result<Vec<Key>, Error> {
    let stored = admin::entries()?;
    match stored.unavailable.first() {
        None => Ok(stored.entries.into_iter().map(|entry| Key { key: entry.key, storage: entry.storage }).collect()),
        // Part of a list would read as the whole.
        Some(silent) => {
            Err(Error::unavailable(format!("the storage `{}` does not answer: {}", silent.storage, silent.message)))
        }
    }
}
