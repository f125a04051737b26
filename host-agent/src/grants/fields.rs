//! Walks YAML by hand, so that an unknown key is refused with the nearest known one and every mistake is told at once.

use std::time::Duration;

use serde_yaml_ng::Value;

use super::{Mistake, quantity};

const MISTAKES_MAX: usize = 50;

/// Collects mistakes over a whole file.
#[derive(Default)]
pub(super) struct Report {
    mistakes: Vec<Mistake>,
}

impl Report {
    pub(super) fn add(&mut self, at: &str, message: impl Into<String>) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(Mistake { at: at.to_owned(), message: message.into() });
        }
    }

    pub(super) fn finish<T>(self, value: T) -> Result<T, Vec<Mistake>> {
        if self.mistakes.is_empty() { Ok(value) } else { Err(self.mistakes) }
    }

    /// The entries of a mapping; anything else is a mistake.
    pub(super) fn entries<'v>(&mut self, value: &'v Value, at: &str) -> Vec<(&'v str, &'v Value, String)> {
        let map = match value {
            Value::Mapping(map) => map,
            Value::Null => return Vec::new(),
            other => {
                self.add(at, format!("expected a mapping, got {}", kind(other)));
                return Vec::new();
            }
        };
        let mut entries = Vec::with_capacity(map.len());
        for (key, value) in map {
            match key.as_str() {
                Some(key) => entries.push((key, value, join(at, key))),
                None => self.add(at, format!("every key is text, got {}", kind(key))),
            }
        }
        entries
    }

    /// As [`Report::entries`], with a closed set of keys.
    pub(super) fn section<'v>(&mut self, value: &'v Value, at: &str, known: &[&str]) -> Section<'v> {
        let entries = self.entries(value, at);
        for (key, _, _) in &entries {
            if !known.contains(key) {
                self.add(at, unknown(key, known));
            }
        }
        Section { at: at.to_owned(), entries }
    }

    pub(super) fn text(&mut self, value: &Value, at: &str) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            other => {
                self.add(at, format!("expected text, got {}", kind(other)));
                None
            }
        }
    }

    pub(super) fn texts(&mut self, value: &Value, at: &str) -> Vec<String> {
        self.items(value, at).into_iter().filter_map(|(item, at)| self.text(item, &at)).collect()
    }

    pub(super) fn items<'v>(&mut self, value: &'v Value, at: &str) -> Vec<(&'v Value, String)> {
        match value {
            Value::Sequence(items) => {
                items.iter().enumerate().map(|(index, item)| (item, format!("{at}[{index}]"))).collect()
            }
            Value::Null => Vec::new(),
            other => {
                self.add(at, format!("expected a list, got {}", kind(other)));
                Vec::new()
            }
        }
    }

    pub(super) fn flag(&mut self, value: &Value, at: &str) -> bool {
        value.as_bool().unwrap_or_else(|| {
            self.add(at, format!("expected true or false, got {}", kind(value)));
            false
        })
    }

    pub(super) fn bytes(&mut self, value: &Value, at: &str) -> Option<u64> {
        let text = self.text(value, at)?;
        quantity::bytes(&text).map_err(|message| self.add(at, message)).ok()
    }

    pub(super) fn duration(&mut self, value: &Value, at: &str) -> Option<Duration> {
        let text = self.text(value, at)?;
        quantity::duration(&text).map_err(|message| self.add(at, message)).ok()
    }

    /// A whole number from 1 to `most`.
    pub(super) fn count(&mut self, value: &Value, at: &str, most: u64) -> Option<u64> {
        let count = value.as_u64().filter(|count| (1..=most).contains(count));
        if count.is_none() {
            self.add(at, format!("expected a whole number from 1 to {most}"));
        }
        count
    }

    /// One of a closed set of words.
    pub(super) fn word(&mut self, value: &Value, at: &str, known: &[&str]) -> Option<String> {
        let text = self.text(value, at)?;
        if known.contains(&text.as_str()) {
            return Some(text);
        }
        self.add(at, format!("`{text}` is none of {}", known.join(", ")));
        None
    }
}

/// The entries of one mapping.
pub(super) struct Section<'v> {
    at: String,
    entries: Vec<(&'v str, &'v Value, String)>,
}

impl<'v> Section<'v> {
    /// The value and its path.
    pub(super) fn get(&self, key: &str) -> Option<(&'v Value, &str)> {
        self.entries.iter().find(|(name, _, _)| *name == key).map(|(_, value, at)| (*value, at.as_str()))
    }

    pub(super) fn at(&self) -> &str {
        &self.at
    }
}

fn unknown(key: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|name| (strsim::damerau_levenshtein(name, key), *name)).min();
    match nearest {
        Some((distance, name)) if distance <= 1 + name.len() / 3 => {
            format!("unknown key `{key}`; did you mean `{name}`?")
        }
        _ => format!("unknown key `{key}`; known here: {}", known.join(", ")),
    }
}

fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Tagged(_) => "a tagged value",
    }
}
