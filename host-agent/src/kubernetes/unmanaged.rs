//! Objects without `metadata.managedFields`: who manages which field is often more than half of an object, and no plugin is
//! shown it. What is not read costs neither time nor memory.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How serde_json hands over a number whose digits it keeps: as an object with this one key.
const NUMBER_KEY: &str = "$serde_json::private::Number";

/// An object, or whatever else came in its place, without its own `metadata.managedFields`. Those of objects inside it stay.
#[derive(Clone, Debug, PartialEq)]
pub struct Unmanaged(pub Value);

impl<'de> Deserialize<'de> for Unmanaged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Layer::Object.deserialize(deserializer).map(Self)
    }
}

/// How deep it is read.
#[derive(Clone, Copy)]
enum Layer {
    Object,
    Metadata,
}

impl<'de> DeserializeSeed<'de> for Layer {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Layer {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            match (self, key.as_str()) {
                (_, NUMBER_KEY) if map.is_empty() => {
                    let number: Number = entries.next_value::<String>()?.parse().map_err(A::Error::custom)?;
                    return Ok(Value::Number(number));
                }
                (Self::Metadata, "managedFields") => {
                    entries.next_value::<IgnoredAny>()?;
                }
                (Self::Object, "metadata") => {
                    let metadata = entries.next_value_seed(Self::Metadata)?;
                    map.insert(key, metadata);
                }
                _ => {
                    map.insert(key, entries.next_value()?);
                }
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::Unmanaged;
    use serde_json::Value;

    #[test]
    fn only_the_objects_own_managers_are_left_out() {
        for (text, read) in [
            (
                r#"{"kind":"Pod","metadata":{"name":"a","managedFields":[{"f:spec":{}}],"labels":{}},"spec":{"n":1.50}}"#,
                r#"{"kind":"Pod","metadata":{"name":"a","labels":{}},"spec":{"n":1.50}}"#,
            ),
            (r#"{"managedFields":1,"spec":{"metadata":{"managedFields":[]}}}"#, ""),
            (r#"{"metadata":{"labels":{"managedFields":"x"}},"items":[{"metadata":{"managedFields":[]}}]}"#, ""),
            (r#"{"metadata":null}"#, ""),
            (r#"{"metadata":[{"managedFields":[]}]}"#, ""),
            (r#"{"metadata":18446744073709551616}"#, ""),
            (r#"{"metadata":{"a":1},"metadata":{"b":-2e400,"managedFields":{}}}"#, r#"{"metadata":{"b":-2e400}}"#),
            (r#"[{"metadata":{"managedFields":[]}},true,"\u0061"]"#, ""),
            ("1.0", ""),
            ("\"x\"", ""),
            ("null", ""),
        ] {
            let read: Value = serde_json::from_str(if read.is_empty() { text } else { read }).unwrap();
            assert_eq!(serde_json::from_str::<Unmanaged>(text).unwrap().0, read, "{text}");
        }
    }

    #[test]
    fn what_is_left_out_must_be_json_too() {
        for text in [r#"{"metadata":{"managedFields":[}}"#, r#"{"metadata":{"managedFields":[]}"#, "{} 1", ""] {
            assert!(serde_json::from_str::<Unmanaged>(text).is_err(), "{text}");
        }
    }
}
