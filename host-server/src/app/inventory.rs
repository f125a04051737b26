//! What a cluster's agents can do: their plugins, and the commands of those.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::{App, Error};
use crate::model::{
    ids::hex,
    inventory::{Command, Of, Plugin, PluginState},
    list::Listing,
};

/// A plugin of one agent.
#[derive(Clone, Debug)]
pub struct ServedPlugin {
    /// Its place in lists.
    pub key: String,
    /// The agent's name.
    pub agent: String,
    /// The agent's own version.
    pub agent_version: String,
    /// Whether the agent has a stream.
    pub connected: bool,
    /// Since when the agent says what it says, microseconds since 1970.
    pub at: i64,
    /// What it says.
    pub plugin: Plugin,
}

/// A command, whichever agents serve it in the same way.
#[derive(Clone, Debug)]
pub struct ServedCommand {
    /// Its place in lists.
    pub key: String,
    /// What they say of it.
    pub command: Command,
    /// The names of the connected agents that serve it.
    pub agents: Vec<String>,
}

/// Which plugins a list shows.
#[derive(Clone, Debug, Default)]
pub struct PluginFilter {
    /// Those of this name.
    pub name: Option<String>,
    /// Those of this agent.
    pub agent: Option<String>,
    /// Those that stand so.
    pub state: Option<PluginState>,
    /// Those of agents that are connected, or are not.
    pub connected: Option<bool>,
}

/// Which commands a list shows.
#[derive(Clone, Debug, Default)]
pub struct CommandFilter {
    /// Those that serve a call of this name: its own, and patterns that cover it.
    pub name: Option<String>,
    /// Those of this plugin.
    pub plugin: Option<String>,
}

impl PluginFilter {
    fn shows(&self, agent: &Of<Plugin>, plugin: &Plugin) -> bool {
        self.name.as_ref().is_none_or(|name| *name == plugin.name)
            && self.agent.as_ref().is_none_or(|name| *name == agent.agent)
            && self.state.is_none_or(|state| state == plugin.state)
            && self.connected.is_none_or(|connected| connected == agent.connected)
    }
}

impl CommandFilter {
    fn shows(&self, command: &Command) -> bool {
        self.name.as_ref().is_none_or(|name| command.serves(name))
            && self.plugin.as_ref().is_none_or(|plugin| *plugin == command.plugin)
    }
}

impl App {
    /// The plugins of a cluster's agents, by name and agent.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such cluster.
    pub async fn plugins(
        &self,
        cluster: &str,
        filter: &PluginFilter,
        listing: &Listing<String>,
    ) -> Result<Vec<ServedPlugin>, Error> {
        let mut rows = BTreeMap::new();
        for of in self.store.plugins(self.cluster(cluster).await?.id).await? {
            for plugin in of.list.iter().filter(|plugin| filter.shows(&of, plugin)) {
                let key = format!("{} {} {}", plugin.name, of.agent, hex(&of.journal));
                let (agent, agent_version) = (of.agent.clone(), of.version.clone());
                let (connected, at, plugin) = (of.connected, of.at, plugin.clone());
                rows.insert(key.clone(), ServedPlugin { key, agent, agent_version, connected, at, plugin });
            }
        }
        Ok(page(rows, listing))
    }

    /// The commands of a cluster's agents, by name and plugin. Agents that say something else of a command have a row of their
    /// own.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such cluster.
    pub async fn commands(
        &self,
        cluster: &str,
        filter: &CommandFilter,
        listing: &Listing<String>,
    ) -> Result<Vec<ServedCommand>, Error> {
        let mut served: BTreeMap<Command, Vec<String>> = BTreeMap::new();
        for of in self.store.commands(self.cluster(cluster).await?.id).await? {
            for command in of.list.into_iter().filter(|command| filter.shows(command)) {
                let agents = served.entry(command).or_default();
                if of.connected {
                    agents.push(of.agent.clone());
                }
            }
        }
        let rows = served.into_iter().map(|(command, mut agents)| {
            agents.sort();
            agents.dedup();
            let key = key(&command);
            (key.clone(), ServedCommand { key, command, agents })
        });
        Ok(page(rows.collect(), listing))
    }
}

/// Name and plugin, and what tells apart those that agents describe differently.
fn key(command: &Command) -> String {
    let Command { name, plugin, pattern, summary, inputs, outputs, effect } = command;
    let mut digest = Sha256::new_with_prefix([u8::from(*pattern)]);
    for part in [summary, inputs, outputs, effect] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    format!("{name} {plugin} {}", hex(&digest.finalize()))
}

/// The rows that a listing asks for, in its order.
fn page<T>(rows: BTreeMap<String, T>, listing: &Listing<String>) -> Vec<T> {
    let limit = listing.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let is_after = |key: &String| match &listing.after {
        None => true,
        Some(after) if listing.descending => key < after,
        Some(after) => key > after,
    };
    let shown = rows.into_iter().filter(|(key, _)| is_after(key)).map(|(_, row)| row);
    if listing.descending { shown.rev().take(limit).collect() } else { shown.take(limit).collect() }
}
