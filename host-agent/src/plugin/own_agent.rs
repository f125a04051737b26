//! The agent as its own plugin sees it: who it is, which plugins it has, and the way to whoever serves its tasks.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, Weak, mpsc},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use crate::{
    control::Control,
    executor::commands::{Inventory, PluginEntry},
    metrics::state_name,
};

use super::{cache::hex, config::Identity, reload::Wake, surface};

/// How long is waited for a place in the queue of those who want to be looked for.
const FULL: Duration = Duration::from_millis(20);

/// What host functions reach of it.
#[derive(Default)]
pub(super) struct OwnAgent {
    identity: Identity,
    pub(super) control: Option<Control>,
    plugins: OnceLock<Plugins>,
}

/// Where plugins come from.
struct Plugins {
    inventory: watch::Receiver<Arc<Inventory>>,
    /// Held by whoever stops that thread.
    wake: Weak<mpsc::SyncSender<Wake>>,
}

/// Nobody loads plugins here, or no longer.
#[derive(Debug)]
pub(super) struct NoPlugins;

impl OwnAgent {
    pub(super) fn new(identity: Identity, control: Option<Control>) -> Self {
        Self { identity, control, plugins: OnceLock::new() }
    }

    /// From now on plugins are loaded there.
    pub(super) fn serves(&self, inventory: watch::Receiver<Arc<Inventory>>, wake: &Arc<mpsc::SyncSender<Wake>>) {
        // It is said once, by the one runtime that is over these surroundings.
        let _ = self.plugins.set(Plugins { inventory, wake: Arc::downgrade(wake) });
    }

    /// As `agent.wit` says.
    pub(super) fn identity(&self) -> Value {
        let Identity { cluster, namespace, pod } = &self.identity;
        json!({
            "cluster": cluster,
            "agent-version": env!("CARGO_PKG_VERSION"),
            "namespace": namespace,
            "pod": pod,
            "contract": surface::CONTRACT,
            "interfaces": surface::interfaces().collect::<Vec<_>>(),
        })
    }

    /// What is there, as JSON.
    ///
    /// # Errors
    /// Where no plugins are loaded, as while one describes itself to a tool.
    pub(super) fn plugins(&self) -> Result<Value, NoPlugins> {
        let plugins = self.plugins.get().ok_or(NoPlugins)?;
        Ok(shown(&plugins.inventory.borrow()))
    }

    /// Looks at every source now, and answers what that changed and what is there afterwards.
    ///
    /// # Errors
    /// As [`OwnAgent::plugins`], and where the agent ends meanwhile.
    pub(super) async fn reload(&self) -> Result<Value, NoPlugins> {
        let plugins = self.plugins.get().ok_or(NoPlugins)?;
        let before = plugins.inventory.borrow().clone();
        let (done, looked) = oneshot::channel();
        let mut wake = Wake::Look(done);
        loop {
            let sender = plugins.wake.upgrade().ok_or(NoPlugins)?;
            match sender.try_send(wake) {
                Ok(()) => break,
                Err(mpsc::TrySendError::Disconnected(_)) => return Err(NoPlugins),
                Err(mpsc::TrySendError::Full(back)) => wake = back,
            }
            drop(sender);
            tokio::time::sleep(FULL).await;
        }
        looked.await.map_err(|_| NoPlugins)?;
        let after = plugins.inventory.borrow().clone();
        let mut answer = shown(&after);
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("changes".to_owned(), Value::from(changes(&before, &after)));
        }
        Ok(answer)
    }
}

fn shown(inventory: &Inventory) -> Value {
    let plugins = inventory.plugins.iter().map(|plugin| {
        let commands = inventory.commands.iter().filter(|command| command.plugin == plugin.name);
        let mut entry = one(plugin);
        if let Some(entry) = entry.as_object_mut() {
            entry.insert("name".to_owned(), plugin.name.clone().into());
            entry.insert("commands".to_owned(), commands.map(|command| command.name.clone()).collect());
            entry.insert("missing".to_owned(), plugin.missing.clone().into());
        }
        entry
    });
    json!({"plugins": plugins.collect::<Vec<_>>()})
}

/// Where it stands.
fn one(plugin: &PluginEntry) -> Value {
    json!({
        "version": plugin.version,
        "sha256": hex(&plugin.digest),
        "state": state_name(plugin.state),
        "reason": plugin.reason,
    })
}

/// Each plugin that stands otherwise than before; null where there was or is none.
fn changes(before: &Inventory, after: &Inventory) -> Vec<Value> {
    let by_name = |inventory: &Inventory| -> BTreeMap<String, Value> {
        inventory.plugins.iter().map(|plugin| (plugin.name.clone(), one(plugin))).collect()
    };
    let (before, after) = (by_name(before), by_name(after));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let changed = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    changed.map(|name| json!({"name": name, "before": before.get(name), "after": after.get(name)})).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{changes, shown};
    use crate::executor::commands::{CommandEntry, Inventory, PluginEntry, PluginState};

    fn plugin(name: &str, version: &str, state: PluginState) -> PluginEntry {
        PluginEntry {
            name: name.into(),
            version: version.into(),
            digest: [0xab; 32],
            state,
            reason: String::new(),
            grants: Vec::new(),
            missing: Vec::new(),
            signed_by: Vec::new(),
            built_by: String::new(),
        }
    }

    #[test]
    fn what_changed_is_told_with_what_it_was() {
        let same = || plugin("same", "1.0.0", PluginState::Ready);
        let inventory = |plugins| Inventory { plugins, commands: Vec::new() };
        let before = inventory(vec![
            plugin("gone", "1.0.0", PluginState::Ready),
            plugin("newer", "1.0.0", PluginState::Ready),
            same(),
        ]);
        let after = inventory(vec![
            plugin("come", "1.0.0", PluginState::Refused),
            plugin("newer", "1.1.0", PluginState::Ready),
            same(),
        ]);
        let told: Vec<_> = changes(&before, &after)
            .iter()
            .map(|change| json!([change["name"], change["before"]["version"], change["after"]["version"]]))
            .collect();
        assert_eq!(
            told,
            [json!(["come", null, "1.0.0"]), json!(["gone", "1.0.0", null]), json!(["newer", "1.0.0", "1.1.0"])]
        );
        assert!(changes(&after, &after).is_empty());
    }

    #[test]
    fn a_plugin_is_shown_with_the_commands_that_it_serves() {
        let command = |name: &str, plugin: &str| CommandEntry {
            name: name.into(),
            pattern: false,
            plugin: plugin.into(),
            summary: String::new(),
            inputs_schema: String::new(),
            outputs_schema: String::new(),
            effect: String::new(),
        };
        let inventory = Inventory {
            plugins: vec![plugin("tool", "1.0.0", PluginState::Ready)],
            commands: vec![command("a", "tool"), command("b", "other")],
        };
        let expected = json!({"plugins": [{
            "name": "tool", "version": "1.0.0", "sha256": "ab".repeat(32), "state": "ready", "reason": "",
            "commands": ["a"], "missing": [],
        }]});
        assert_eq!(shown(&inventory), expected);
    }
}
