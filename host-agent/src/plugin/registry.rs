//! Which plugin serves which command: one immutable table, swapped as a whole.
//!
//! Made from what is loaded, what the operator says, and who served before; never from the order of files.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde_json::value::RawValue;

use crate::{
    executor::commands::{CommandEntry, Effect, Inventory, PluginEntry, PluginState},
    grants::{Grant, Grants},
};

use super::{
    config::Limits,
    description::Command,
    gate::{Gate, Gates, Share},
    loader::Loaded,
};

const RESERVED: [&str; 5] = ["kubernetes.", "helm.", "prometheus.", "claiflow.", "credstor."];
const REASON_MAX_BYTES: usize = 2 << 10;

/// Where one file stands, whatever it serves.
pub(super) struct Standing {
    pub(super) name: String,
    pub(super) loaded: Option<Arc<Loaded>>,
    pub(super) state: PluginState,
    pub(super) reason: String,
    /// Of the refused file, where none serves.
    pub(super) digest: [u8; 32],
    /// Imports of the refused file that nobody granted.
    pub(super) missing: Vec<String>,
}

/// A command that is served.
pub(super) struct Served {
    pub(super) plugin: Arc<Loaded>,
    command: usize,
    /// The operator's word: no call counts as less strict.
    pub(super) floor: Effect,
    pub(super) limits: Limits,
    /// A JSON object as text.
    pub(super) config: Arc<RawValue>,
    pub(super) gate: Arc<Gate>,
}

impl Served {
    pub(super) fn command(&self) -> Option<&Command> {
        self.plugin.description.commands.get(self.command)
    }
}

/// What the places of a pattern took: name and value.
pub(super) type Captures = Vec<(String, String)>;

/// Who held which command, by plugin name.
pub(super) type Holders = BTreeMap<String, String>;

/// The table.
#[derive(Default)]
pub(super) struct Registry {
    exact: HashMap<String, Arc<Served>>,
    patterns: Vec<Arc<Served>>,
    /// Why a command that somebody claims is not served.
    unserved: HashMap<String, String>,
    pub(super) holders: Holders,
    pub(super) inventory: Arc<Inventory>,
}

impl Registry {
    /// Who serves the command, and what a pattern's places took.
    pub(super) fn find(&self, command: &str) -> Option<(Arc<Served>, Captures)> {
        if let Some(served) = self.exact.get(command) {
            return Some((served.clone(), Vec::new()));
        }
        self.patterns.iter().find_map(|served| {
            let captures = served.command()?.pattern.as_ref()?.captures(command)?;
            let captures = captures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            Some((served.clone(), captures))
        })
    }

    /// Why nobody serves the command, where that is known.
    pub(super) fn why_not(&self, command: &str) -> Option<&str> {
        self.unserved.get(command).map(String::as_str)
    }

    /// Makes the table. `before` are the holders when the change began: they keep what they hold, a newcomer yields, and
    /// of two newcomers neither serves.
    pub(super) fn build(
        standings: &[Standing],
        grants: &Grants,
        defaults: &Limits,
        before: &Holders,
        gates: &mut Gates,
    ) -> Self {
        gates.forget_all_but(|plugin| standings.iter().any(|standing| standing.name == plugin));
        let mut claims: BTreeMap<&str, Vec<(&Arc<Loaded>, usize)>> = BTreeMap::new();
        let mut refusals: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut registry = Self::default();
        for standing in standings {
            let Some(loaded) = &standing.loaded else { continue };
            for (index, command) in loaded.description.commands.iter().enumerate() {
                match may_serve(&loaded.name, command, grants) {
                    Ok(()) => claims.entry(&command.name).or_default().push((loaded, index)),
                    Err(why) => {
                        let reason = format!("`{}` is not served by `{}`: {why}", command.name, loaded.name);
                        refusals.entry(&loaded.name).or_default().push(reason.clone());
                        registry.unserved.entry(command.name.clone()).or_insert(reason);
                    }
                }
            }
        }
        for (name, claimants) in claims {
            let holder = before.get(name);
            let winner = match claimants.as_slice() {
                [only] => Some(*only),
                many => many.iter().find(|(loaded, _)| Some(&loaded.name) == holder).copied(),
            };
            if claimants.len() > 1 {
                let names: Vec<_> = claimants.iter().map(|(loaded, _)| format!("`{}`", loaded.name)).collect();
                for (loaded, _) in &claimants {
                    if winner.is_none_or(|(winner, _)| winner.name != loaded.name) {
                        let who = winner.map_or("neither serves it".to_owned(), |(winner, _)| {
                            format!("`{}` served it first", winner.name)
                        });
                        let reason = format!("`{name}` is claimed by {}: {who}", names.join(" and "));
                        refusals.entry(&loaded.name).or_default().push(reason.clone());
                        if winner.is_none() {
                            registry.unserved.insert(name.to_owned(), reason);
                        }
                    }
                }
            }
            if let Some((loaded, index)) = winner {
                registry.add(loaded, index, grants, defaults, gates);
            }
        }
        registry.patterns.sort_by_key(|served| {
            let words =
                served.command().and_then(|command| command.pattern.as_ref()).map_or(0, |pattern| pattern.words());
            (std::cmp::Reverse(words), served.command().map(|command| command.name.clone()))
        });
        registry.inventory = Arc::new(registry.list(standings, &refusals, grants));
        registry
    }

    fn add(&mut self, loaded: &Arc<Loaded>, index: usize, grants: &Grants, defaults: &Limits, gates: &mut Gates) {
        let Some(command) = loaded.description.commands.get(index) else { return };
        let grant = grants.plugins.get(&loaded.name);
        let limits = limits(grant, defaults);
        let stricter = grant.into_iter().flat_map(|grant| &grant.effect);
        let floor = stricter
            .filter(|(glob, _)| glob.matches(&command.name))
            .map(|(_, effect)| *effect)
            .fold(Effect::Read, Effect::max);
        let served = Arc::new(Served {
            plugin: loaded.clone(),
            command: index,
            floor,
            limits,
            config: config(grant),
            gate: gates.of(&loaded.name, Share { concurrency: limits.concurrency, rate: limits.rate }),
        });
        self.unserved.remove(&command.name);
        self.holders.insert(command.name.clone(), loaded.name.clone());
        if command.pattern.is_some() {
            self.patterns.push(served);
        } else {
            self.exact.insert(command.name.clone(), served);
        }
    }

    fn list(&self, standings: &[Standing], refusals: &BTreeMap<&str, Vec<String>>, grants: &Grants) -> Inventory {
        let served = self.exact.values().chain(&self.patterns);
        let mut commands: Vec<_> = served
            .filter_map(|served| {
                let command = served.command()?;
                Some(CommandEntry {
                    name: command.name.clone(),
                    pattern: command.pattern.is_some(),
                    plugin: served.plugin.name.clone(),
                    summary: command.summary.clone(),
                    inputs_schema: command.inputs_schema.clone(),
                    outputs_schema: command.outputs_schema.clone(),
                    effect: command.effect_text.clone(),
                })
            })
            .collect();
        commands.sort_by(|a, b| a.name.cmp(&b.name));
        let plugins = standings.iter().map(|standing| {
            let mut reasons: Vec<&str> = Vec::new();
            reasons.extend(Some(standing.reason.as_str()).filter(|reason| !reason.is_empty()));
            reasons.extend(refusals.get(standing.name.as_str()).into_iter().flatten().map(String::as_str));
            let serves = self.holders.values().any(|plugin| *plugin == standing.name);
            let state = match standing.state {
                PluginState::Ready if !serves && !reasons.is_empty() => PluginState::Refused,
                state => state,
            };
            let loaded = standing.loaded.as_ref();
            PluginEntry {
                name: standing.name.clone(),
                version: loaded.map(|loaded| loaded.description.version.clone()).unwrap_or_default(),
                digest: loaded.map_or(standing.digest, |loaded| loaded.digest),
                state,
                reason: super::host::lines::clean(&reasons.join("; "), REASON_MAX_BYTES),
                grants: grants
                    .plugins
                    .get(&standing.name)
                    .map(|grant| grant.summary(&standing.name))
                    .unwrap_or_default(),
                missing: standing.missing.clone(),
                signed_by: loaded
                    .and_then(|it| it.surface.signatures().check(&it.name, grants).ok())
                    .unwrap_or_default(),
                built_by: loaded.map(|it| it.surface.built_by().to_owned()).unwrap_or_default(),
            }
        });
        Inventory { plugins: plugins.collect(), commands }
    }
}

/// Whether the operator lets the plugin serve the command, other plugins aside.
pub(super) fn may_serve(plugin: &str, command: &Command, grants: &Grants) -> Result<(), String> {
    let name = command.name.as_str();
    let entry = grants.plugins.get(plugin);
    let mut globs = entry.and_then(|grant| grant.commands.as_deref()).into_iter().flatten();
    let ask = || format!("`plugins: {{{plugin}: {{commands: [\"{name}\"]}}}}` in the grants file would allow it");
    if let Some(prefix) = RESERVED.into_iter().find(|prefix| name.starts_with(prefix)) {
        // A bare `*` was not written with the reserved names in mind.
        return if globs.any(|glob| glob.as_str().starts_with(prefix) && glob.matches(name)) {
            Ok(())
        } else {
            Err(format!("`{prefix}` is reserved for built-in plugins; {}", ask()))
        };
    }
    if let Some(grant) = entry
        && grant.commands.is_some()
    {
        return if globs.any(|glob| glob.matches(name)) {
            Ok(())
        } else {
            Err(format!("it is not granted; {}", ask()))
        };
    }
    if command.pattern.is_some() {
        return Err(format!("a pattern needs a grant; {}", ask()));
    }
    let other = grants
        .plugins
        .iter()
        .find(|(other, grant)| *other != plugin && grant.commands.iter().flatten().any(|glob| glob.matches(name)));
    match other {
        None => Ok(()),
        Some((other, _)) => Err(format!("the grants file gives it to `{other}`; {}", ask())),
    }
}

/// What a plugin may use after its grant.
pub(super) fn limits(grant: Option<&Grant>, defaults: &Limits) -> Limits {
    let granted = grant.map(|grant| grant.limits).unwrap_or_default();
    Limits {
        memory_bytes: granted.memory_bytes.unwrap_or(defaults.memory_bytes),
        cpu: granted.cpu.unwrap_or(defaults.cpu),
        wall: granted.wall.unwrap_or(defaults.wall),
        host_calls: granted.host_calls.unwrap_or(defaults.host_calls),
        output_bytes: granted.output_bytes.unwrap_or(defaults.output_bytes),
        concurrency: granted.concurrency.or(defaults.concurrency),
        rate: granted.rate.or(defaults.rate),
        ..*defaults
    }
}

fn config(grant: Option<&Grant>) -> Arc<RawValue> {
    let text = grant.and_then(|grant| serde_json::to_string(&grant.config).ok());
    let raw = text.and_then(|text| RawValue::from_string(text).ok());
    raw.or_else(|| RawValue::from_string("{}".to_owned()).ok())
        .map_or_else(|| RawValue::NULL.to_owned().into(), Arc::from)
}
