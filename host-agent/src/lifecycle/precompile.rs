//! `--precompile`: compiles what a later start would, and ends.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use crate::{
    config::Agent,
    executor::commands::{Commands as _, PluginState},
    metrics::state_name,
    plugin::{self, Runtime, SystemClock},
};

/// One line a plugin. One that is refused is no failure: the agent that starts afterwards says so again, and serves the others.
///
/// # Errors
/// When wasm cannot run here, or the code could not be kept.
pub(super) async fn run(agent: &Agent, program: PathBuf) -> Result<ExitCode, String> {
    let cache = agent.compiled();
    plugin::own_directory(&cache).map_err(|error| format!("--cache: {error}"))?;
    let mut config = plugin::Config::new(agent.plugins.clone(), program);
    config.grants.clone_from(&agent.grants);
    config.cache = Some(cache);
    let runtime = Runtime::open(config, Arc::new(SystemClock::new())).map_err(|error| error.to_string())?;
    runtime.settled().await;
    let inventory = runtime.inventory().borrow().clone();
    for plugin in &inventory.plugins {
        let reason = if plugin.state == PluginState::Ready { &plugin.version } else { &plugin.reason };
        writeln!(io::stdout(), "{} {}: {reason}", plugin.name, state_name(plugin.state))
            .map_err(|error| format!("nothing can be written: {error}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
