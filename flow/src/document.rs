//! JSON as it is written: what a parsed value no longer shows, and what the parser should not follow.

use std::{
    collections::BTreeSet,
    fmt::{self, Formatter},
};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::number::write_integral;

/// The JSON library reads an object with this key as the text that it holds, without a limit on its depth.
const EMBEDDED: &str = "$serde_json::private::RawValue";

/// The pointers of keys that stand twice in their object: parsers keep one of them, and a reader may see the other.
///
/// # Errors
/// What is not JSON, or holds other JSON as text where the parser would follow it.
pub(crate) fn repeated_keys(text: &str) -> Result<Vec<String>, serde_json::Error> {
    let mut repeated = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    Keys { pointer: String::new(), repeated: &mut repeated }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(repeated)
}

/// Reads JSON that somebody else wrote: at most 127 levels deep, with integral floats as integers.
///
/// # Errors
/// What is not JSON, is nested deeper, or embeds other JSON as text where the parser would follow it past that depth.
pub fn read_json(text: &str) -> Result<Value, serde_json::Error> {
    refuse_embedded(text)?;
    let mut value = serde_json::from_str(text)?;
    write_integral(&mut value);
    Ok(value)
}

/// Refuses what [`read_json`] refuses; for text that goes to the parser on another way. Ordinary text costs a search.
///
/// # Errors
/// As [`read_json`].
pub fn refuse_embedded(text: &str) -> Result<(), serde_json::Error> {
    if text.contains(EMBEDDED) || text.contains("\\u") {
        repeated_keys(text)?;
    }
    Ok(())
}

/// One segment of an RFC 6901 pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

struct Keys<'a> {
    pointer: String,
    repeated: &'a mut Vec<String>,
}

impl Keys<'_> {
    fn below(&mut self, segment: &str) -> Keys<'_> {
        Keys { pointer: format!("{}/{segment}", self.pointer), repeated: self.repeated }
    }
}

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
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

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0_usize;
        while list.next_element_seed(self.below(&index.to_string()))?.is_some() {
            index += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == EMBEDDED {
                return Err(A::Error::custom(format!("the key `{EMBEDDED}` is reserved")));
            }
            let value = self.below(&escape(&key));
            if seen.contains(&key) {
                value.repeated.push(value.pointer.clone());
            }
            seen.insert(key);
            map.next_value_seed(value)?;
        }
        Ok(())
    }
}
