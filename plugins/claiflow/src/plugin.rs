//! `claiflow.plugin.list` and `claiflow.plugin.reload`: which plugins the agent has.

use claiflow_sdk::{Error, agent, command};
use serde_json::Value;

/// Lists the agent's plugins: name, version, SHA-256, state with its reason, and commands.
#[command("claiflow.plugin.list", effect = "read")]
pub fn list() -> Result<Value, Error> {
    agent::plugins()
}

/// Lets the agent look at its directories of plugins and at its grants now; answers what that changed, and its plugins.
///
/// A file that was refused is tried again. What fails to load changes nothing: the last good version goes on serving.
#[command("claiflow.plugin.reload", effect = "idempotent")]
pub fn reload() -> Result<Value, Error> {
    agent::reload()
}
