//! How much is answered at most.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// A whole number, or its digits as text. Empty text and null are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit(Option<u64>);

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let said = Value::deserialize(deserializer)?;
        let limit = match &said {
            Value::Null => return Ok(Self(None)),
            Value::String(text) if text.trim().is_empty() => return Ok(Self(None)),
            Value::String(text) => text.trim().parse().ok(),
            Value::Number(number) => number.as_u64(),
            _ => None,
        };
        let limit =
            limit.ok_or_else(|| D::Error::custom("a limit is a whole number such as 10, or its digits as text"))?;
        Ok(Self(Some(limit)))
    }
}

impl fmt::Display for Limit {
    /// Nothing where there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |limit| write!(f, "{limit}"))
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"type": ["string", "integer", "null"], "pattern": "^\\s*[0-9]*\\s*$", "minimum": 0})
    }
}

#[cfg(test)]
mod tests {
    use super::Limit;
    use serde_json::json;

    #[test]
    fn a_limit_is_a_whole_number_however_it_is_written() {
        for (said, shown) in [(json!(10), "10"), (json!("7"), "7"), (json!(0), "0"), (json!(""), ""), (json!(null), "")]
        {
            assert_eq!(serde_json::from_value::<Limit>(said.clone()).unwrap().to_string(), shown, "{said}");
        }
        for said in [json!(-1), json!("many"), json!(1.5), json!([]), json!(true)] {
            let error = serde_json::from_value::<Limit>(said.clone()).unwrap_err();
            assert!(error.to_string().contains("a whole number"), "{said}");
        }
    }
}
