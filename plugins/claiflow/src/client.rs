//! The agent's own life: `claiflow.client_pod.rebounce` and `claiflow.client.upgrade`.

mod attempt;
mod before;
mod change;
mod environment;
mod image;
mod objects;
mod place;
mod rollout;

use std::{collections::BTreeMap, time::Duration};

use claiflow_sdk::{Applied, Context, Error, Verdict, agent, command};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use attempt::Upgrade;
pub use place::Settings;

/// What runs beside a rebounce may take so long to end.
const GRACE: Duration = Duration::from_secs(30);
/// A new agent may take so long where the inputs say nothing.
const TIMEOUT_S: u64 = 300;
const VARIABLES_MAX: usize = 32;

/// Restarts the agent: it takes no more tasks, lets those that run end or hands them back, reports, and leaves.
#[command("claiflow.client_pod.rebounce", effect = "idempotent")]
pub fn rebounce() -> Result<String, Error> {
    agent::drain("rebounce", GRACE)?;
    agent::restart("rebounce")?;
    let pod = agent::identity()?.pod;
    let who = if pod.is_empty() { "the agent".to_owned() } else { format!("the agent {pod}") };
    Ok(format!("{who} takes no more tasks, and starts anew once this is reported"))
}

/// To what the agent is upgraded.
#[derive(Deserialize, JsonSchema)]
pub struct To {
    /// The tag of the agent's new image, a digest (`sha256:…`), or both (`TAG@sha256:…`); the repository stays.
    #[schemars(length(min = 1))]
    image_tag: String,
    /// How long the new agent is waited for, in seconds; absent or 0: 300.
    #[serde(default, deserialize_with = "or_default")]
    #[schemars(with = "Option<u64>")]
    timeout: u64,
    /// Environment variables to set, and their values. One that comes from a key of a ConfigMap or a Secret is set there.
    #[serde(default, deserialize_with = "or_default")]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    env_configs: BTreeMap<String, String>,
}

/// Null says as little as absence.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

/// Upgrades the agent to another image of its repository, and sets variables of its environment.
///
/// It waits until the new agent is available. Where that does not come up, image and environment become again what they were,
/// and the step fails with the reason.
#[command("claiflow.client.upgrade", effect = "verify", verify = upgraded)]
pub fn upgrade(inputs: To, context: &Context) -> Result<String, Error> {
    prepared(&inputs, context)?.run(inputs.timeout())
}

fn upgraded(inputs: To, context: &Context) -> Result<Verdict<String>, Error> {
    prepared(&inputs, context)?.verify()
}

fn prepared<'a>(inputs: &'a To, context: &'a Context) -> Result<Upgrade<'a>, Error> {
    let untouched = |error: Error| error.applied(Applied::No);
    let suffix = image::suffix(&inputs.image_tag).map_err(untouched)?;
    if inputs.env_configs.len() > VARIABLES_MAX {
        return Err(untouched(Error::invalid(format!(
            "env_configs: at most {VARIABLES_MAX} variables are set at once"
        ))));
    }
    let settings: Settings = context.config().map_err(untouched)?;
    for name in inputs.env_configs.keys() {
        environment::check(name, settings.variables.as_deref()).map_err(untouched)?;
    }
    Upgrade::new(suffix, &inputs.env_configs, context).map_err(untouched)
}

impl To {
    fn timeout(&self) -> Duration {
        Duration::from_secs(if self.timeout == 0 { TIMEOUT_S } else { self.timeout })
    }
}
