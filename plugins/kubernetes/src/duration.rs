//! How long, as people write it.

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// `500ms`, `30s`, `5m`, `1h`, or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Duration);

impl Time {
    fn parse(text: &str) -> Option<Duration> {
        let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => Some(Duration::from_secs(number)),
            "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
            "h" => Some(Duration::from_secs(number.checked_mul(3_600)?)),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let time = match Value::deserialize(deserializer)? {
            Value::String(text) => Self::parse(&text),
            Value::Number(seconds) => seconds.as_u64().map(Duration::from_secs),
            _ => None,
        };
        time.map(Self).ok_or_else(|| {
            D::Error::custom("a time is written `500ms`, `30s`, `5m` or `1h`, or as a number of seconds")
        })
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"type": ["string", "integer"], "pattern": "^[0-9]+(ms|s|m|h)$", "minimum": 0})
    }
}

#[cfg(test)]
mod tests {
    use super::Time;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn a_time_is_a_text_with_its_unit_or_seconds() {
        for (said, ms) in [
            (json!("500ms"), 500),
            (json!("30s"), 30_000),
            (json!("5m"), 300_000),
            (json!("1h"), 3_600_000),
            (json!(7), 7_000),
        ] {
            assert_eq!(
                serde_json::from_value::<Time>(said.clone()).unwrap(),
                Time(Duration::from_millis(ms)),
                "{said}"
            );
        }
        for said in [
            json!("5"),
            json!("s"),
            json!("-1s"),
            json!("1 s"),
            json!(-1),
            json!(1.5),
            json!([]),
            json!("9é"),
            json!(""),
        ] {
            let error = serde_json::from_value::<Time>(said.clone()).unwrap_err();
            assert!(error.to_string().contains("`5m`"), "{said}");
        }
    }
}
