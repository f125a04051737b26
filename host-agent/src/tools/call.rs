//! Which command of which file, with what: the flags that `run` and `bench` share.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Kubernetes,
    executor::commands::{CallSink, CommandCall, Effect},
};

const FILE_MAX_BYTES: u64 = 16 << 20;

/// A command of a plugin file.
#[derive(Args, Debug)]
pub struct Call {
    /// A component file, NAME.wasm.
    pub file: PathBuf,
    /// The command's name; with --replay, that of the cassette when absent.
    pub command: Option<String>,
    /// A JSON object, or @FILE that holds one; {} when absent, with --replay that of the cassette.
    #[arg(long, value_name = "JSON|@FILE")]
    pub inputs: Option<String>,
    /// A grants file; without it the plugin may know its task and write its log, nothing else.
    #[arg(long, value_name = "FILE")]
    pub grants: Option<PathBuf>,
    /// Take the grants file's entry as if it pinned this file, whatever it pins: for a plugin that changes with each build.
    #[arg(long, requires = "grants")]
    pub unpinned: bool,
    /// What the task would say, as a JSON object: task, step, attempt, effect-key, notes, traceparent.
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    pub context: String,
    /// A directory with a file for each credential that the grants file gives to plugins: what stands in the header, such as
    /// `Bearer …`.
    #[arg(long, env = "CLAIFLOW_CREDENTIALS", value_name = "DIRECTORY")]
    pub credentials: Option<PathBuf>,
    /// Where compiled code is kept; compiled each time when absent.
    #[arg(long, value_name = "DIRECTORY")]
    pub cache: Option<PathBuf>,
    #[command(flatten)]
    /// On which cluster.
    pub kubernetes: Kubernetes,
}

/// What a task says of a call; `handler.wit` has the rest, which the host knows by itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Context {
    task: String,
    step: String,
    attempt: u32,
    effect_key: String,
    notes: Vec<Value>,
    traceparent: String,
}

impl Default for Context {
    fn default() -> Self {
        let (task, effect_key) = ("0".repeat(32), "0".repeat(32));
        Self { task, step: "0".to_owned(), attempt: 1, effect_key, notes: Vec::new(), traceparent: String::new() }
    }
}

impl Call {
    /// The call as a task would make it.
    ///
    /// # Errors
    /// Which flag holds what is not as it should be.
    pub(super) fn command_call(
        &self,
        command: String,
        inputs: String,
        effect: Effect,
        sink: Arc<dyn CallSink>,
    ) -> Result<CommandCall, String> {
        let text = text_of("--context", &self.context)?;
        let context: Context = serde_json::from_str(&text).map_err(|error| {
            format!("--context: {error}; it is a JSON object such as {{\"attempt\": 2, \"notes\": [{{\"pod\": \"web-1\"}}]}}")
        })?;
        Ok(CommandCall {
            command,
            inputs,
            task: context.task,
            step: context.step,
            attempt: context.attempt,
            effect,
            effect_key: context.effect_key,
            notes: context.notes.iter().map(Value::to_string).collect(),
            remaining: Duration::from_secs(3600),
            traceparent: context.traceparent,
            sink,
            stop: CancellationToken::new(),
        })
    }

    /// What `--inputs` holds; none where it was not given.
    pub(super) fn inputs(&self) -> Result<Option<String>, String> {
        let Some(said) = &self.inputs else { return Ok(None) };
        let text = text_of("--inputs", said)?;
        let value: Value = serde_json::from_str(&text).map_err(|error| {
            format!("--inputs: it is not JSON: {error}; write it as --inputs '{{\"name\": \"world\"}}', or as @FILE")
        })?;
        if !value.is_object() {
            return Err(format!("--inputs: `{value}` is not a JSON object; a command's inputs are one"));
        }
        Ok(Some(text))
    }
}

/// The text itself, or that of the file after an `@`.
fn text_of(flag: &str, said: &str) -> Result<String, String> {
    match said.strip_prefix('@') {
        None => Ok(said.to_owned()),
        Some(path) => read(path.as_ref()).map_err(|reason| format!("{flag}: {reason}")),
    }
}

/// A text file that a person wrote.
///
/// # Errors
/// Its name, and why it cannot be read.
pub(super) fn read(path: &std::path::Path) -> Result<String, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let size = std::fs::metadata(path).map_err(|error| wrong(&error))?.len();
    if size > 4 * FILE_MAX_BYTES {
        return Err(wrong(&format!("it has {size} bytes; at most {} are read", 4 * FILE_MAX_BYTES)));
    }
    std::fs::read_to_string(path).map_err(|error| wrong(&error))
}
