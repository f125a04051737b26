//! Objects that are handed on as they came.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

/// JSON text that is checked and not read: what nobody looks into costs no time and no memory beyond its bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    pub(crate) fn get(&self) -> &str {
        self.0.get()
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        // A value is always text: its numbers and its keys are.
        Self(serde_json::value::to_raw_value(&value).unwrap_or_default())
    }
}

impl JsonSchema for Json {
    fn schema_name() -> Cow<'static, str> {
        "Object".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"type": ["object", "null"], "description": "As the API server answers it"})
    }
}
