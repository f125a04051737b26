//! What an agent serves at one moment: its plugins and their commands. An agent may say anything, so all of it has limits.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ids::Id;

/// Plugins, and commands, of one agent that are kept.
const ENTRIES: usize = 4_096;
/// The plugins, and the commands, of one agent as they are kept, bytes.
const BYTES: usize = 2 << 20;
/// A name, characters: what an agent serves has shorter ones.
const NAME: usize = 255;
/// A version, characters.
const VERSION: usize = 64;
/// Words for a person, characters.
const WORDS: usize = 2_048;
/// Lines about what a plugin was granted, and imports that nobody granted.
const LINES: usize = 100;
/// A schema, or the rules of an effect, bytes.
const DOCUMENT: usize = 256 << 10;

/// Where a plugin stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    /// Its component is being compiled.
    Compiling,
    /// Serves.
    Ready,
    /// The last good version serves; a newer file was refused.
    Kept,
    /// Nothing of it serves.
    Refused,
    /// The agent's word is not one of these.
    #[default]
    Unknown,
}

impl PluginState {
    /// All that an agent may say.
    pub const SAID: [Self; 4] = [Self::Compiling, Self::Ready, Self::Kept, Self::Refused];

    /// The API's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Compiling => "compiling",
            Self::Ready => "ready",
            Self::Kept => "kept",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// A plugin of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plugin {
    /// The file's stem.
    pub name: String,
    /// As it says itself; empty when unknown.
    pub version: String,
    /// Of the component file, hexadecimal; empty when unknown.
    pub sha256: String,
    /// See [`PluginState`].
    pub state: PluginState,
    /// Why it is not ready, or why an earlier version was kept, for a person; empty when ready.
    pub reason: String,
    /// What the operator granted it, a line each, for a person.
    pub grants: Vec<String>,
    /// Imports of its file that nobody granted.
    pub missing: Vec<String>,
    /// The operator's names of the keys that signed it.
    pub signed_by: Vec<String>,
    /// What made its file, as the file itself says; empty when it does not.
    pub built_by: String,
}

/// A command of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Command {
    /// Exact, or a pattern such as `kubernetes.{resource}.{verb}.{version+}`.
    pub name: String,
    /// The plugin that serves it.
    pub plugin: String,
    /// Whether `name` is a pattern.
    pub pattern: bool,
    /// One line.
    pub summary: String,
    /// JSON Schema, an object as text; empty when not given.
    pub inputs: String,
    /// See `inputs`.
    pub outputs: String,
    /// A class, or ordered rules as JSON text.
    pub effect: String,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Sorted by name, once they are bounded.
    pub plugins: Vec<Plugin>,
    /// Sorted by name and plugin, once they are bounded.
    pub commands: Vec<Command>,
}

/// Something of an agent, as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Of<T> {
    /// Which agent: one journal is one agent.
    pub journal: Id,
    /// Its name for people; its journal's digits where it said none.
    pub agent: String,
    /// The agent's own version.
    pub version: String,
    /// Whether it has a stream, on whichever replica.
    pub connected: bool,
    /// Since when it serves this, microseconds since 1970.
    pub at: i64,
    /// What it serves.
    pub list: Vec<T>,
}

impl Inventory {
    /// What is kept of it, and how many entries are not: those with a name that no row holds, and those for which there is no
    /// room. Where all together is too large, schemas and grants go before entries do.
    #[must_use]
    pub fn bounded(self) -> (Self, usize) {
        let said = self.plugins.len() + self.commands.len();
        let mut plugins: Vec<_> =
            self.plugins.into_iter().filter(|it| is_name(&it.name)).map(Plugin::bounded).collect();
        plugins.sort_by(|a, b| a.name.cmp(&b.name));
        let mut commands: Vec<_> = self
            .commands
            .into_iter()
            .filter(|it| is_name(&it.name) && is_name(&it.plugin))
            .map(Command::bounded)
            .collect();
        commands.sort();
        let bare = |plugin: &mut Plugin| {
            plugin.grants.clear();
            plugin.missing.clear();
            plugin.signed_by.clear();
        };
        let (plugins, commands) = (
            fitting(plugins, bare),
            fitting(commands, |command| {
                command.inputs.clear();
                command.outputs.clear();
            }),
        );
        let left_out = said - plugins.len() - commands.len();
        (Self { plugins, commands }, left_out)
    }
}

impl Plugin {
    fn bounded(mut self) -> Self {
        cut(&mut self.version, VERSION);
        cut(&mut self.sha256, VERSION);
        cut(&mut self.reason, WORDS);
        lines(&mut self.grants);
        lines(&mut self.missing);
        lines(&mut self.signed_by);
        cut(&mut self.built_by, WORDS);
        self
    }
}

impl Command {
    fn bounded(mut self) -> Self {
        cut(&mut self.summary, WORDS);
        object(&mut self.inputs);
        object(&mut self.outputs);
        if self.effect.len() > DOCUMENT {
            self.effect.clear();
        }
        self
    }

    /// Whether it is a command of this name, or a pattern that covers it.
    #[must_use]
    pub fn serves(&self, command: &str) -> bool {
        self.name == command || covers(&self.name, command)
    }
}

/// Whether a name or a pattern such as `kubernetes.{resource}.{verb}.{version+}` covers a command.
#[must_use]
pub fn covers(pattern: &str, command: &str) -> bool {
    if !pattern.contains('{') {
        return pattern == command;
    }
    let (mut parts, mut words) = (pattern.split('.'), command.split('.'));
    loop {
        match (parts.next(), words.next()) {
            (None, None) => return true,
            (Some(part), Some(_)) if part.ends_with("+}") => return true,
            (Some(part), Some(word)) if part.starts_with('{') && !word.is_empty() => {}
            (Some(part), Some(word)) if part == word => {}
            _ => return false,
        }
    }
}

/// An agent's own words about itself, as a row holds them: name and version.
#[must_use]
pub fn named(mut name: String, mut version: String) -> (String, String) {
    cut(&mut name, NAME);
    cut(&mut version, VERSION);
    (name, version)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME
}

fn cut(words: &mut String, characters: usize) {
    if let Some((end, _)) = words.char_indices().nth(characters) {
        words.truncate(end);
    }
}

/// Leaves as many lines as a person reads.
fn lines(lines: &mut Vec<String>) {
    lines.truncate(LINES);
    lines.iter_mut().for_each(|line| cut(line, WORDS));
}

/// Leaves a JSON object that readers can read, or nothing.
fn object(text: &mut String) {
    if text.len() > DOCUMENT || serde_json::from_str::<Map<String, Value>>(text).is_err() {
        text.clear();
    }
}

/// As many entries as there is room for; without what `bare` takes away where they are too large with it.
fn fitting<T: Serialize>(mut entries: Vec<T>, bare: impl Fn(&mut T)) -> Vec<T> {
    entries.truncate(ENTRIES);
    if room(&entries) < entries.len() {
        entries.iter_mut().for_each(bare);
    }
    entries.truncate(room(&entries));
    entries
}

/// How many entries from the first on fit into [`BYTES`].
fn room<T: Serialize>(entries: &[T]) -> usize {
    let mut bytes = 2;
    let fits = |entry: &&T| {
        bytes += serde_json::to_string(entry).map_or(BYTES, |text| text.len() + 1);
        bytes <= BYTES
    };
    entries.iter().take_while(fits).count()
}

#[cfg(test)]
mod tests;
