//! The names that a request may use, asked from the types that read it, so that the two cannot drift.

use serde::{
    Deserializer,
    de::{Error as _, value::Error},
    forward_to_deserialize_any,
};

/// The keys that `T` reads, in the order of its declaration; none when `T` is no struct.
pub(super) fn fields<T: serde::de::DeserializeOwned>() -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    // The probe holds nothing, so that reading it fails; by then it was told the names.
    let _ = T::deserialize(Probe(&mut found));
    found
}

struct Probe<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("a probe holds nothing"))
    }

    fn deserialize_struct<V: serde::de::Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The known name that is spelled most like `name`.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A long name is like none; comparing it would only take time.
    let short = |name: &str| name.len() <= 64;
    known
        .into_iter()
        .filter(|_| short(name))
        .min_by_key(|known| strsim::levenshtein(&known.to_lowercase(), &name.to_lowercase()))
}

/// A caller's word as a message may hold it: printable, and not longer than a name is.
pub(super) fn quoted(word: &str) -> String {
    let end = if word.chars().nth(64).is_some() { "…" } else { "" };
    format!("`{}{end}`", word.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::{fields, nearest, quoted};

    #[derive(serde::Deserialize)]
    #[allow(dead_code)]
    struct Named {
        one: Option<String>,
        #[serde(rename = "Two")]
        two: Option<u8>,
    }

    #[test]
    fn a_type_is_asked_for_its_names() {
        assert_eq!(fields::<Named>(), ["one", "Two"]);
        assert!(fields::<Vec<String>>().is_empty());
    }

    #[test]
    fn the_nearest_name_is_found_whatever_the_case() {
        assert_eq!(nearest("NAM", ["uuid", "name"]), Some("name"));
        assert_eq!(nearest(&"x".repeat(1_000), ["uuid"]), None);
        assert_eq!(quoted("a\nb"), "`a?b`");
    }
}
