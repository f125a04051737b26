//! What counts as one JSON document: the contract's limits on what a guest may hand over.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Levels of arrays and objects.
pub(super) const DEPTH_MAX: usize = 64;

/// Keys of an object that are compared one by one.
const COMPARED_MAX: usize = 8;

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
        let mut seen = Seen::default();
        while let Some(Key(key)) = entries.next_key()? {
            if seen.is_empty() && key == NUMBER_KEY {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            if key == RAW_KEY {
                return Err(A::Error::custom(format_args!("the key `{RAW_KEY}` is reserved")));
            }
            entries.next_value_seed(self.deeper()?)?;
            if seen.has(&key) {
                return Err(A::Error::custom(format_args!("the key {key:?} stands twice")));
            }
            seen.add(key);
        }
        Ok(())
    }
}

/// A key as it stands in the text, where it has no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(key)))
    }

    fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(key.to_owned())))
    }
}

/// The keys of one object so far. The first ones are compared one by one, which costs an object of a usual size less than
/// hashes; the others are hashed, since a guest may hand over very many.
#[derive(Default)]
struct Seen<'de> {
    first: [Option<Cow<'de, str>>; COMPARED_MAX],
    others: HashSet<Cow<'de, str>>,
    count: usize,
}

impl<'de> Seen<'de> {
    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn has(&self, key: &str) -> bool {
        self.first.iter().take(self.count).flatten().any(|seen| seen == key) || self.others.contains(key)
    }

    fn add(&mut self, key: Cow<'de, str>) {
        match self.first.get_mut(self.count) {
            Some(place) => *place = Some(key),
            None => drop(self.others.insert(key)),
        }
        self.count += 1;
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
        let keys: Vec<String> = (0..40).map(|key| format!(r#""k{key}":0"#)).collect();
        let (near, far) = (format!("{{{},\"k3\":1}}", keys.join(",")), format!("{{{},\"k39\":1}}", keys.join(",")));
        for (text, part) in [
            ("", "EOF"),
            ("{", "EOF"),
            ("1 2", "trailing"),
            ("nan", "expected"),
            (r#"{"a":1,"a":2}"#, "twice"),
            (r#"{"a":1,"\u0061":2}"#, "twice"),
            (&near, "twice"),
            (&far, "twice"),
            (&deep, "levels"),
            (r#"[{"$serde_json::private::RawValue":"1"}]"#, "reserved"),
            (r#"{"a":1,"\u0024serde_json::private::RawValue":"1"}"#, "reserved"),
        ] {
            let error = check(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
