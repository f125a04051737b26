//! What a call knows of its task.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::Error;

/// Of which task, step and attempt a call is, and what the operator and earlier attempts left for it.
///
/// A test makes its own: `let mut context = Context::default(); context.attempt = 2;`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct Context {
    /// The name that the template used; for a pattern, the name that matched it.
    #[serde(skip)]
    pub command: String,
    /// The task's UUID, 32 hexadecimal digits.
    pub task: String,
    /// The step's path in the flow, such as `2/r[17]/p`.
    pub step: String,
    /// 1 for the first.
    pub attempt: u32,
    /// The same for all attempts of one call, and for no other call: the idempotency key for what has effects.
    pub effect_key: String,
    /// When the call ends at the latest: RFC 3339, UTC.
    pub deadline: String,
    /// What the places of a pattern took, by name.
    pub captures: BTreeMap<String, String>,
    /// W3C trace context, to be sent on; empty without one.
    pub traceparent: String,
    /// What earlier attempts left with [`crate::task::note`], in their order.
    pub notes: Vec<Value>,
    /// What the operator set for this plugin in the grants file; see [`Context::config`].
    #[serde(rename = "config")]
    pub settings: Value,
}

impl Context {
    /// The operator's settings for this plugin. Nothing set reads as an empty object.
    ///
    /// # Errors
    /// `invalid` where the settings do not fit `T`.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let settings = if self.settings.is_null() { Value::Object(Default::default()) } else { self.settings.clone() };
        serde_json::from_value(settings).map_err(|error| {
            Error::invalid(format!("`config` of this plugin in the grants file does not fit: {error}"))
        })
    }

    /// What the place `name` of the command's pattern took.
    ///
    /// # Errors
    /// `failed` where the pattern has no such place.
    pub fn capture(&self, name: &str) -> Result<&str, Error> {
        let capture = self.captures.get(name).map(String::as_str);
        capture.ok_or_else(|| Error::failed(format!("the pattern of `{}` has no place `{name}`", self.command)))
    }

    /// Keys that nobody knows here are left alone: the contract lets this object grow.
    #[cfg(any(test, target_family = "wasm"))]
    pub(crate) fn parse(command: &str, text: &str) -> Result<Self, Error> {
        let context: Self = serde_json::from_str(text)
            .map_err(|error| Error::failed(format!("the agent's context of this call cannot be read: {error}")))?;
        Ok(Self { command: command.to_owned(), ..context })
    }
}

#[cfg(test)]
mod tests {
    use super::Context;
    use serde::Deserialize;
    use serde_json::json;

    #[test]
    fn the_contracts_object_is_read_and_may_grow() {
        let text = json!({
            "task": "0123456789abcdef0123456789abcdef", "step": "2/r[17]/p", "attempt": 3, "effect-key": "key",
            "deadline": "2026-01-01T00:00:00.000Z", "captures": {"verb": "list"}, "config": {"grace": "30s"},
            "notes": [{"seen": 1}], "traceparent": "00-trace", "tomorrow": [],
        });
        let context = Context::parse("a.list", &text.to_string()).unwrap();
        assert_eq!((context.command.as_str(), context.step.as_str(), context.attempt), ("a.list", "2/r[17]/p", 3));
        assert_eq!((context.effect_key.as_str(), context.traceparent.as_str()), ("key", "00-trace"));
        assert_eq!(context.capture("verb").unwrap(), "list");
        assert!(context.capture("noun").unwrap_err().message().contains("no place `noun`"));
        assert_eq!(context.notes, [json!({"seen": 1})]);

        assert_eq!(Context::parse("a", "{}").unwrap().attempt, 0);
        assert_eq!(Context::parse("a", "[").unwrap_err().code(), "failed");
    }

    #[test]
    fn an_operators_settings_are_typed() {
        #[derive(Deserialize, Default, PartialEq, Debug)]
        #[serde(default)]
        struct Settings {
            grace: String,
        }
        let mut context = Context::default();
        assert_eq!(context.config::<Settings>().unwrap(), Settings::default());
        context.settings = json!({"grace": "30s"});
        assert_eq!(context.config::<Settings>().unwrap().grace, "30s");
        context.settings = json!({"grace": 30});
        assert_eq!(context.config::<Settings>().unwrap_err().code(), "invalid");
    }
}
