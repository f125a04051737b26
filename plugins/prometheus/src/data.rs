//! What Prometheus says, handed on as it came.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::value::RawValue;

/// JSON text that is checked and not read: no number is rounded, no key is moved, and nothing is built of it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Data(Box<RawValue>);

impl Data {
    /// The text as it is; none of it: `null`.
    pub(crate) fn of(data: Option<&RawValue>) -> Self {
        Self(data.map(ToOwned::to_owned).unwrap_or_default())
    }
}

impl JsonSchema for Data {
    fn schema_name() -> Cow<'static, str> {
        "Data".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"description": "The member `data` of Prometheus's answer, as it came"})
    }
}
