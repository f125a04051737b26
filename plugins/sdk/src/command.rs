//! Commands and their dispatch; the same on a laptop's test as in a sandbox.

use schemars::{JsonSchema, schema_for};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::Error;

/// What may happen twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// The same call again has the same effect.
    Idempotent,
    /// Not again.
    Never,
}

type Run = Box<dyn Fn(&str) -> Result<String, Error>>;

/// One command of a plugin.
pub struct Command {
    name: &'static str,
    effect: Effect,
    summary: &'static str,
    inputs: Value,
    outputs: Value,
    run: Run,
}

impl Command {
    /// A command that a function serves; its schemas come from the function's types.
    pub fn new<I, O>(name: &'static str, effect: Effect, summary: &'static str, run: fn(I) -> Result<O, Error>) -> Self
    where
        I: DeserializeOwned + JsonSchema + 'static,
        O: Serialize + JsonSchema + 'static,
    {
        let run = Box::new(move |inputs: &str| {
            let inputs = serde_json::from_str(inputs)
                .map_err(|error| Error::invalid(format!("the inputs do not fit: {error}")))?;
            let output = run(inputs)?;
            serde_json::to_string(&output).map_err(|error| Error::failed(format!("the result is not JSON: {error}")))
        });
        Self { name, effect, summary, inputs: schema_for!(I).into(), outputs: schema_for!(O).into(), run }
    }
}

/// What `describe` answers.
pub fn describe(name: &str, version: &str, commands: &[Command]) -> String {
    let commands: Vec<Value> = commands
        .iter()
        .map(|command| {
            let effect = match command.effect {
                Effect::Read => "read",
                Effect::Idempotent => "idempotent",
                Effect::Never => "never",
            };
            json!({"name": command.name, "summary": command.summary, "inputs": command.inputs, "outputs": command.outputs, "effect": effect})
        })
        .collect();
    json!({"name": name, "version": version, "commands": commands}).to_string()
}

/// Runs the command of that name with JSON text.
///
/// # Errors
/// The command's own, `invalid` for inputs that do not fit, `not-found` for another name.
pub fn dispatch(commands: &[Command], name: &str, inputs: &str) -> Result<String, Error> {
    let command = commands.iter().find(|command| command.name == name);
    let command =
        command.ok_or_else(|| Error { code: "not-found", message: format!("this plugin has no command `{name}`") })?;
    (command.run)(inputs)
}
