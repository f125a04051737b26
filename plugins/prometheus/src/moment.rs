//! Moments, and the time between two values, as Prometheus reads them.

use std::borrow::Cow;

use claiflow_sdk::Error;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// A text or a number, kept as its text. Empty text and null are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(String);

/// As a person would write the two ways of saying a moment.
const MOMENT: &str =
    "a moment is written as RFC 3339, such as `2026-11-28T12:00:00Z`, or as seconds since 1970, such as `1795867200`";
const STEP: &str =
    "a step is written as a duration such as `15s`, `5m` or `1h30m`, or as seconds, and is longer than nothing";
/// In the order in which they may follow each other, which is from long to short.
const UNITS: [&str; 7] = ["y", "w", "d", "h", "m", "s", "ms"];

impl Text {
    /// What is said; empty: nothing.
    pub(crate) fn said(&self) -> &str {
        self.0.trim()
    }

    /// A moment, in the text in which it came.
    ///
    /// # Errors
    /// `invalid`, with the name of the input.
    pub(crate) fn moment(&self, field: &str) -> Result<&str, Error> {
        let said = self.said();
        let is_moment = said.is_empty() || is_number(said) || is_rfc3339(said);
        if is_moment { Ok(said) } else { Err(Error::invalid(format!("`{field}` is `{said}`; {MOMENT}"))) }
    }

    /// A moment that has to be there.
    ///
    /// # Errors
    /// As [`Self::moment`].
    pub(crate) fn needed_moment(&self, field: &str) -> Result<&str, Error> {
        match self.moment(field)? {
            "" => Err(Error::invalid(format!("`{field}` is empty; {MOMENT}"))),
            said => Ok(said),
        }
    }

    /// The time between two values.
    ///
    /// # Errors
    /// As [`Self::moment`].
    pub(crate) fn step(&self, field: &str) -> Result<&str, Error> {
        let said = self.said();
        let is_step = is_duration(said) || is_number(said) && said.parse::<f64>().is_ok_and(|seconds| seconds > 0.0);
        if is_step { Ok(said) } else { Err(Error::invalid(format!("`{field}` is `{said}`; {STEP}"))) }
    }
}

fn is_number(text: &str) -> bool {
    // Rust would read `inf` and `nan` too.
    text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// By its shape; whether there is such a day says Prometheus.
fn is_rfc3339(text: &str) -> bool {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let fits = |shape: &[u8], bytes: &[u8]| {
        let same = |(shape, byte): (&u8, &u8)| match shape {
            b'd' => byte.is_ascii_digit(),
            shape => shape == byte,
        };
        shape.len() == bytes.len() && shape.iter().zip(bytes).all(same)
    };
    let Some((time, zone)) = text.as_bytes().split_at_checked(SHAPE.len()) else { return false };
    let zone = match zone.split_first() {
        Some((b'.', fraction)) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            fraction.get(digits..).unwrap_or_default()
        }
        _ => zone,
    };
    fits(SHAPE, time) && (zone == b"Z" || fits(b"+dd:dd", zone) || fits(b"-dd:dd", zone))
}

fn is_duration(text: &str) -> bool {
    let (mut rest, mut units, mut is_more_than_nothing) = (text, UNITS.iter(), false);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        // Each unit is taken from the list with all before it, so that none comes twice or too late.
        if number.is_empty() || !units.any(|known| *known == unit) {
            return false;
        }
        is_more_than_nothing |= number.bytes().any(|digit| digit != b'0');
        rest = after;
    }
    is_more_than_nothing
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self::default()),
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            other => Err(D::Error::custom(format!("`{other}` is neither a text nor a number"))),
        }
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"type": ["string", "number", "null"]})
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    fn text(said: &str) -> Text {
        Text(said.to_owned())
    }

    #[test]
    fn moments_are_numbers_or_rfc3339() {
        for said in [
            "1795867200",
            "1795867200.5",
            "-1.5e9",
            " 1795867200 ",
            "2026-11-28T12:00:00Z",
            "2026-11-28T12:00:00.123456789Z",
            "2026-11-28T12:00:00+02:00",
            "2026-11-28T12:00:00.5-11:30",
        ] {
            assert_eq!(text(said).needed_moment("start").unwrap(), said.trim());
        }
        for said in [
            "now",
            "2026-11-28",
            "2026-11-28 12:00:00Z",
            "2026-11-28T12:00:00",
            "2026-11-28T12:00:00.Z",
            "2026-11-28T12:00Z",
            "inf",
            "nan",
            "1e999",
            "2026-11-28T12:00:00Zé",
            "é026-11-28T12:00:00Z",
            "",
        ] {
            let error = text(said).needed_moment("start").unwrap_err();
            assert!(error.code() == "invalid" && error.message().starts_with("`start` is "), "{said}: {error}");
        }
        assert_eq!(text("").moment("time").unwrap(), "");
    }

    #[test]
    fn a_step_is_a_duration_or_seconds() {
        for said in ["15s", "1h30m", "500ms", "15", "0.5", "1d", "2w", "1y", "0s1ms"] {
            assert_eq!(text(said).step("step").unwrap(), said);
        }
        for said in ["", "0", "0s", "-15s", "-1", "15 s", "s", "1.5m", "30m1h", "1m1m", "15sec", "9é"] {
            let error = text(said).step("step").unwrap_err();
            assert!(error.message().contains("`5m`"), "{said}: {error}");
        }
    }
}
