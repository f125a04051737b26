//! Every other verb: one that is spelt otherwise, or none.

use claiflow_sdk::{Applied, Context, Error, command};
use serde_json::Value;

use crate::PLUGIN;

/// Serves verbs that are spelt with capitals, and says of others which there are.
///
/// Such a call is never made twice, whatever its verb: its effect is known by its exact name alone.
#[command(pattern = "kubernetes.{resource}.{verb}.{version+}", effect = "never")]
pub fn other(inputs: Value, context: &Context) -> Result<Value, Error> {
    let (resource, verb, version) =
        (context.capture("resource")?, context.capture("verb")?, context.capture("version")?);
    let lower = verb.to_ascii_lowercase();
    let known: Vec<&str> = verbs().collect();
    if lower != verb && known.contains(&lower.as_str()) {
        return PLUGIN.run_in(context, &format!("kubernetes.{resource}.{lower}.{version}"), inputs);
    }
    let message = format!("there is no verb `{verb}`; there are {}", known.join(", "));
    Err(Error::not_found(message).applied(Applied::No))
}

/// As the patterns of the other commands have them.
fn verbs() -> impl Iterator<Item = &'static str> {
    PLUGIN.commands.iter().filter_map(|command| {
        let verb = command.name.strip_prefix("kubernetes.{resource}.")?.strip_suffix(".{version+}")?;
        (!verb.starts_with('{')).then_some(verb)
    })
}
