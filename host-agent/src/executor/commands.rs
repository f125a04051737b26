//! The seam between a flow and whatever serves its commands.
//!
//! The executor drives flows and knows neither wasm nor Kubernetes; the module `plugin` implements this trait.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What may happen twice (`delivery.md`, Effects). Ordered from harmless to strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// The same call again has the same effect.
    Idempotent,
    /// Ask `verify` before repeating.
    Verify,
    /// Not again.
    Never,
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Idempotent => "idempotent",
            Self::Verify => "verify",
            Self::Never => "never",
        })
    }
}

/// One call of a command.
#[derive(Clone)]
pub struct CommandCall {
    /// The exact name that the flow used.
    pub command: String,
    /// A JSON object, as text.
    pub inputs: String,
    /// The task's uuid, 32 hexadecimal digits.
    pub task: String,
    /// The step's path, such as `2/r[17]/p`.
    pub step: String,
    /// Counted from 1.
    pub attempt: u32,
    /// What was counted on when it was decided what may happen twice: a call of class `read` may not write.
    pub effect: Effect,
    /// Equal over attempts: hash of task, step path and try.
    pub effect_key: String,
    /// What earlier attempts left with `task.note`, in order; each is JSON text.
    pub notes: Vec<String>,
    /// What is left of the run.
    pub remaining: Duration,
    /// W3C trace context of the REST call, or empty.
    pub traceparent: String,
    /// Where log lines, progress and notes go.
    pub sink: Arc<dyn CallSink>,
    /// Fires when somebody cancelled, the deadline is near or the agent drains: cooperative first.
    pub stop: CancellationToken,
}

/// Receives what a call says while it runs. Must not block.
#[async_trait::async_trait]
pub trait CallSink: Send + Sync {
    /// A log line; `fields` are name and value.
    fn log(&self, level: LogLevel, message: &str, fields: &[(String, String)]);
    /// `total` 0 means unknown.
    fn progress(&self, done: u64, total: u64, message: &str);
    /// Keeps a note, as JSON text, for later attempts and for `verify`. True: it is durable. False: nobody keeps it.
    async fn note(&self, text: String) -> bool;
}

/// As in the plugin contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// What a call used; reported with its outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Thread CPU time summed over the polls of the call.
    pub cpu: Duration,
    /// Of it, what lists and gets of the cluster's objects took in the host: to ask, to read, to mask, to project.
    pub host_cpu: Duration,
    /// From start to end.
    pub wall: Duration,
    /// Peak of all memories and tables of the store plus host bytes held for the call.
    pub memory_bytes: u64,
    /// Counted host calls.
    pub host_calls: u32,
}

/// A call that gave a result.
#[derive(Clone, Debug)]
pub struct CallDone {
    /// JSON text, checked to be one document within the limits.
    pub output: String,
    /// What it used.
    pub usage: Usage,
}

/// Whether a failed call may have done something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Certainly nothing.
    No,
    /// It ended after a host call that writes.
    Maybe,
}

/// A call that failed. `Display` is for the person who reads the task; it never holds a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CallFailed {
    /// As in `types.wit`: `denied`, `invalid`, `budget`, `stopped`, `timeout`, `failed`, …; `not-found` where no plugin serves the command.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// A JSON object as text.
    pub details: Option<String>,
    /// What it may have done.
    pub applied: Applied,
    /// What it used.
    pub usage: Usage,
}

/// Whether a call took effect, as its plugin says.
#[derive(Clone, Debug)]
pub enum Verified {
    /// It did, and this is what the call would have answered.
    Done(CallDone),
    /// It did not: the call may be made again.
    NotDone,
    /// Nobody can tell, and why: one sentence without a full stop, for a person.
    Unknown(String),
}

/// What a plugin declares of a command's effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared {
    /// Every call has this class.
    Class(Effect),
    /// The first rule that matches a call's inputs says its class; none that matches means `never`.
    Rules(Arc<[EffectRule]>),
}

/// One of the rules of [`Declared::Rules`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectRule {
    /// A jq program over the inputs; it matches when it gives anything but false and null. None: always.
    pub when: Option<String>,
    /// The class of the calls that it matches.
    pub effect: Effect,
}

/// Who would serve a command now.
#[derive(Clone, Debug)]
pub struct Server {
    /// The plugin's name.
    pub plugin: String,
    /// The command's name or pattern, as the plugin declares it.
    pub declared_as: String,
    /// SHA-256 of its component file.
    pub digest: [u8; 32],
    /// What the plugin says of the effect.
    pub effect: Declared,
    /// The operator's word: no call counts as less strict.
    pub floor: Effect,
}

/// A command as the inventory shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandEntry {
    /// Name or pattern.
    pub name: String,
    /// Whether `name` is a pattern.
    pub pattern: bool,
    /// Who serves it.
    pub plugin: String,
    /// One line.
    pub summary: String,
    /// JSON Schemas as text, empty when not given.
    pub inputs_schema: String,
    /// See `inputs_schema`.
    pub outputs_schema: String,
    /// A class, or rules as JSON text.
    pub effect: String,
}

/// Where a plugin stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginState {
    /// Its component is being compiled.
    Compiling,
    /// Serves.
    Ready,
    /// The last good version serves; a newer file was refused.
    Kept,
    /// Nothing of it serves.
    Refused,
}

/// A plugin as the inventory shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginEntry {
    /// The file's stem.
    pub name: String,
    /// As `describe` said; empty when unknown.
    pub version: String,
    /// SHA-256 of the serving file (of the refused one where none serves).
    pub digest: [u8; 32],
    /// See [`PluginState`].
    pub state: PluginState,
    /// Why, for a person; empty when ready.
    pub reason: String,
    /// What the operator granted it, a line each, for a person.
    pub grants: Vec<String>,
    /// Imports of its file that nobody granted.
    pub missing: Vec<String>,
    /// The operator's names of the keys that signed it, where rules of the grants file ask for that.
    pub signed_by: Vec<String>,
    /// What made its file, as the file itself says; empty when it does not.
    pub built_by: String,
}

/// All that an agent serves at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Sorted by name.
    pub commands: Vec<CommandEntry>,
    /// Sorted by name.
    pub plugins: Vec<PluginEntry>,
}

/// Serves commands.
#[async_trait::async_trait]
pub trait Commands: Send + Sync + 'static {
    /// Who would serve this command, or none.
    fn server_of(&self, command: &str) -> Option<Server>;

    /// Runs one call in a fresh sandbox. Dropping the future ends the sandbox.
    ///
    /// # Errors
    /// [`CallFailed`] with what the call may have done.
    async fn call(&self, call: CommandCall) -> Result<CallDone, CallFailed>;

    /// Asks whether an earlier call with the same effect key took effect; it changes nothing. A plugin that fails to answer
    /// cannot tell.
    async fn verify(&self, call: CommandCall) -> Verified;

    /// What is served; the receiver changes with each reload.
    fn inventory(&self) -> watch::Receiver<Arc<Inventory>>;
}
