//! What counts as one JSON document: the contract's limits on what a guest may hand over.

use std::{collections::HashSet, fmt};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Levels of arrays and objects.
pub(super) const DEPTH_MAX: usize = 64;

/// How serde_json hands over a number whose digits it keeps: as an object with this one key.
const NUMBER_KEY: &str = "$serde_json::private::Number";

/// The text under this key would be parsed as JSON, with a fresh count of levels: nested in itself it ends the process.
const RAW_KEY: &str = "$serde_json::private::RawValue";

/// Whether `text` is one document of at most 64 levels and without duplicate keys.
///
/// # Errors
/// What is wrong, with line and column.
pub(super) fn check(text: &str) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    Level(DEPTH_MAX).deserialize(&mut reader)?;
    reader.end()
}

/// Levels that are left.
#[derive(Clone, Copy)]
struct Level(usize);

impl Level {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom(format_args!("more than {DEPTH_MAX} levels")))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<Key>()? {
            if seen.is_empty() && key.0 == NUMBER_KEY {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            if key.0 == RAW_KEY {
                return Err(A::Error::custom(format_args!("the key `{RAW_KEY}` is reserved")));
            }
            entries.next_value_seed(self.deeper()?)?;
            if let Some(Key(twice)) = seen.replace(key) {
                return Err(A::Error::custom(format_args!("the key {twice:?} stands twice")));
            }
        }
        Ok(())
    }
}

#[derive(PartialEq, Eq, Hash)]
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn one_document_within_the_limits_passes() {
        let deep = format!("{}1{}", "[".repeat(64), "]".repeat(64));
        for text in ["1", "-0.5e300", "18446744073709551616", "\"x\"", "null", "{}", r#"{"a":[{"a":1}],"b":{}}"#, &deep]
        {
            check(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_place() {
        let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
        for (text, part) in [
            ("", "EOF"),
            ("{", "EOF"),
            ("1 2", "trailing"),
            ("nan", "expected"),
            (r#"{"a":1,"a":2}"#, "twice"),
            (r#"{"a":1,"\u0061":2}"#, "twice"),
            (&deep, "levels"),
            (r#"[{"$serde_json::private::RawValue":"1"}]"#, "reserved"),
            (r#"{"a":1,"\u0024serde_json::private::RawValue":"1"}"#, "reserved"),
        ] {
            let error = check(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
