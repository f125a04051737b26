//! The host's interfaces `agent` and `agent-control`.

use super::{
    bindings::claiflow::plugin::{agent, agent_control},
    error,
};
use crate::Error;

pub(crate) fn identity() -> String {
    agent::identity()
}

pub(crate) fn drain(reason: &str, grace_ms: u32) -> Result<(), Error> {
    agent_control::drain(reason, grace_ms).map_err(error)
}

pub(crate) fn restart(reason: &str) -> Result<(), Error> {
    agent_control::restart(reason).map_err(error)
}

pub(crate) fn plugins() -> Result<String, Error> {
    agent_control::plugins().map_err(error)
}

pub(crate) fn reload() -> Result<String, Error> {
    agent_control::reload().map_err(error)
}
