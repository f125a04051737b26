//! Inputs of the commands that the first version had.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use crate::log;

/// Inputs with keys that mean nothing: its callers send some, so they are named in the task's log and left alone. Commands
/// that are new refuse them.
pub struct Former<T> {
    inputs: T,
    others: Vec<String>,
}

impl<T> Former<T> {
    /// The inputs; the log says what else was given.
    pub fn known(self) -> T {
        if !self.others.is_empty() {
            let others = self.others.join("`, `");
            log::warn(format_args!("these inputs mean nothing here, and nothing was done by them: `{others}`"), &[]);
        }
        self.inputs
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Former<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut others = Vec::new();
        let inputs = serde_ignored::deserialize(deserializer, |path| others.push(path.to_string()))?;
        Ok(Self { inputs, others })
    }
}

impl<T: JsonSchema> JsonSchema for Former<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
