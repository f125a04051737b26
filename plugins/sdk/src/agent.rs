//! The agent that runs this plugin. Needs `capabilities = ["agent", "agent-control"]`, and `system: [agent]` in the grants file,
//! which only the plugin `claiflow` may have.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::{Error, outside};

/// What the agent says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct Identity {
    /// The cluster's uuid, 32 hexadecimal digits.
    pub cluster: String,
    /// Such as `0.1.0`.
    pub agent_version: String,
    /// Its namespace; empty outside a cluster.
    pub namespace: String,
    /// Its pod's name; empty where it is none.
    pub pod: String,
    /// The version of the contract that it has.
    pub contract: String,
    /// The contract's interfaces that it has.
    pub interfaces: Vec<String>,
}

/// Who the agent is. Everything is empty where the grant was withdrawn.
///
/// # Errors
/// `failed` where the answer is none.
pub fn identity() -> Result<Identity, Error> {
    Ok(serde_json::from_str(&outside::agent::identity())?)
}

/// No other task begins for as long as this one runs. Waits until those that run have ended; when the grace is over, those
/// without an effect go back to the server.
///
/// # Errors
/// `denied`, `stopped`; `unavailable` where no agent serves tasks.
pub fn drain(reason: &str, grace: Duration) -> Result<(), Error> {
    outside::agent::drain(reason, u32::try_from(grace.as_millis()).unwrap_or(u32::MAX))
}

/// The agent leaves once what is left to report has been reported, the outcome of this call included. What started it starts
/// it anew.
///
/// # Errors
/// As [`drain`].
pub fn restart(reason: &str) -> Result<(), Error> {
    outside::agent::restart(reason)
}

/// The agent's plugins, as `agent.wit` says.
///
/// # Errors
/// `denied`; `unavailable` where no agent loads plugins.
pub fn plugins() -> Result<Value, Error> {
    Ok(serde_json::from_str(&outside::agent::plugins()?)?)
}

/// Lets the agent look at its sources of plugins now; what changed, and its plugins, as `agent.wit` says.
///
/// # Errors
/// As [`plugins`]; `timeout` where some still compile.
pub fn reload() -> Result<Value, Error> {
    Ok(serde_json::from_str(&outside::agent::reload()?)?)
}
