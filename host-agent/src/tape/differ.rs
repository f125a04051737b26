//! In what two documents differ, field by field.

use std::collections::BTreeMap;

use serde_json::Value;

/// A longer list of differences helps nobody.
const SHOWN_MAX: usize = 6;
const VALUE_MAX_CHARS: usize = 80;

/// One field, as recorded and as asked; none: it is not there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) field: String,
    recorded: Option<String>,
    asked: Option<String>,
}

/// Every field in which two documents of a name differ. Two times are equal, whatever they say: a plugin writes down when it ran.
pub(crate) fn of_values(name: &str, recorded: &Value, found: &Value) -> Vec<Difference> {
    let of = |value| {
        let mut all = BTreeMap::new();
        flatten(name, value, &mut all);
        all
    };
    compared(of(recorded), of(found))
}

/// The same for fields that are laid flat already.
pub(crate) fn compared(mut ours: BTreeMap<String, Value>, mut theirs: BTreeMap<String, Value>) -> Vec<Difference> {
    let mut names: Vec<String> = ours.keys().chain(theirs.keys()).cloned().collect();
    names.sort();
    names.dedup();
    let mut differences = Vec::new();
    for field in names {
        let (recorded, asked) = (ours.remove(&field), theirs.remove(&field));
        let same = match (&recorded, &asked) {
            (Some(Value::String(a)), Some(Value::String(b))) => a == b || is_time(a) && is_time(b),
            (a, b) => a == b,
        };
        if !same {
            let text = |value: Option<Value>| value.map(|value| short(&value.to_string()));
            differences.push(Difference { field, recorded: text(recorded), asked: text(asked) });
        }
    }
    differences
}

/// As a person reads them.
pub(crate) fn listed(differences: &[Difference]) -> String {
    let absent = || "nothing".to_owned();
    let shown = differences.iter().take(SHOWN_MAX).map(|difference| {
        let recorded = difference.recorded.clone().unwrap_or_else(absent);
        let asked = difference.asked.clone().unwrap_or_else(absent);
        format!("`{}` (recorded {recorded}, asked {asked})", difference.field)
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if differences.len() > SHOWN_MAX {
        text.push_str(&format!(" and {} more", differences.len() - SHOWN_MAX));
    }
    text
}

/// Lays a value's leaves beside those that are there, by their paths; `at` may be empty.
pub(crate) fn flatten(at: &str, value: &Value, all: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let dot = if at.is_empty() { "" } else { "." };
            map.iter().for_each(|(key, value)| flatten(&format!("{at}{dot}{key}"), value, all));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(index, value)| flatten(&format!("{at}[{index}]"), value, all));
        }
        value => drop(all.insert(at.to_owned(), value.clone())),
    }
}

fn is_time(text: &str) -> bool {
    chrono::DateTime::parse_from_rfc3339(text).is_ok()
}

fn short(text: &str) -> String {
    match text.char_indices().nth(VALUE_MAX_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
