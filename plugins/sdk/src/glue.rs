//! What the attribute and `plugin!` call. Not for authors: it changes with them.

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Command, Context, Error, Verdict, plugin::Call};

/// A function that the attribute made a command of.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no command",
    label = "put `#[claiflow_sdk::command(\"…\", effect = \"…\")]` on a function of this name"
)]
pub trait Served {
    /// The command.
    const COMMAND: Command;
}

/// The inputs of a command that takes none.
#[derive(Deserialize, JsonSchema)]
pub struct Nothing {}

/// A command; `entry` is a JSON object.
pub const fn command(
    name: &'static str,
    is_pattern: bool,
    entry: &'static str,
    inputs: fn() -> Value,
    outputs: fn() -> Value,
    run: Call,
    verify: Option<Call>,
) -> Command {
    Command { name, is_pattern, entry, inputs, outputs, run, verify }
}

/// The schema of what `call` takes.
pub fn inputs<I: DeserializeOwned + JsonSchema, T>(_call: fn(I, &Context) -> T) -> Value {
    schema::<I>()
}

/// The schema of what `call` gives.
pub fn outputs<I, O: Serialize + JsonSchema, E: Into<Error>>(_call: fn(I, &Context) -> Result<O, E>) -> Value {
    schema::<O>()
}

/// The schema of a type.
pub fn schema<T: JsonSchema>() -> Value {
    schema_for!(T).into()
}

/// `handler.run`.
///
/// # Errors
/// `invalid` for inputs that do not fit, and the command's own.
pub fn run<I: DeserializeOwned, O: Serialize, E: Into<Error>>(
    inputs: &str,
    context: &Context,
    call: fn(I, &Context) -> Result<O, E>,
) -> Result<String, Error> {
    let output = call(read(inputs)?, context).map_err(Into::into)?;
    written(&output)
}

/// `handler.verify`; `_call` only ties its types.
///
/// # Errors
/// As [`run`].
pub fn verify<I: DeserializeOwned, O: Serialize, E, F: Into<Error>>(
    inputs: &str,
    context: &Context,
    _call: fn(I, &Context) -> Result<O, E>,
    verify: fn(I, &Context) -> Result<Verdict<O>, F>,
) -> Result<String, Error> {
    let verdict = verify(read(inputs)?, context).map_err(Into::into)?;
    written(&verdict)
}

fn read<I: DeserializeOwned>(inputs: &str) -> Result<I, Error> {
    serde_json::from_str(inputs).map_err(|error| Error::invalid(format!("the inputs do not fit: {error}")))
}

fn written(output: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(output).map_err(|error| Error::failed(format!("the result is not JSON: {error}")))
}
