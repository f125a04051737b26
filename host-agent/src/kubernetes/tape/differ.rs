//! In what two requests differ.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Told;

/// A longer list of differences helps nobody.
const SHOWN_MAX: usize = 6;
const VALUE_MAX_CHARS: usize = 80;

/// One field, as recorded and as asked; none: it is not there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    field: String,
    recorded: Option<String>,
    asked: Option<String>,
}

/// Every field in which they differ. Two times are equal, whatever they say: a plugin writes down when it ran.
pub(super) fn between(recorded: &Told, asked: &Told) -> Vec<Difference> {
    compared(fields(recorded), fields(asked))
}

/// As [`between`], for two documents of a name.
pub(super) fn of_values(name: &str, recorded: &Value, found: &Value) -> Vec<Difference> {
    let of = |value| {
        let mut all = BTreeMap::new();
        flatten(name, value, &mut all);
        all
    };
    compared(of(recorded), of(found))
}

fn compared(mut ours: BTreeMap<String, Value>, mut theirs: BTreeMap<String, Value>) -> Vec<Difference> {
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

/// What is asked for weighs more than how.
pub(super) fn weight(differences: &[Difference]) -> usize {
    let of = |difference: &Difference| match difference.field.as_str() {
        "verb" | "resource" | "group" => 100,
        "name" | "namespace" | "version" => 10,
        _ => 1,
    };
    differences.iter().map(of).sum()
}

/// As a person reads them.
pub(super) fn listed(differences: &[Difference]) -> String {
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

/// `patch deployments.apps shop/web`.
pub(super) fn sentence(told: &Told) -> String {
    let group = if told.group.is_empty() { String::new() } else { format!(".{}", told.group) };
    let place = match (&told.namespace, &told.name) {
        (Some(namespace), Some(name)) => format!(" {namespace}/{name}"),
        (Some(namespace), None) => format!(" in {namespace}"),
        (None, Some(name)) => format!(" {name}"),
        (None, None) => String::new(),
    };
    format!("{} {}{group}{place}", told.verb, told.resource)
}

fn fields(told: &Told) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for (name, value) in [
        ("verb", Some(&told.verb)),
        ("group", Some(&told.group)),
        ("version", Some(&told.version)),
        ("resource", Some(&told.resource)),
        ("namespace", told.namespace.as_ref()),
        ("name", told.name.as_ref()),
    ] {
        all.extend(value.map(|value| (name.to_owned(), Value::from(value.as_str()))));
    }
    for (key, value) in &told.options {
        flatten(&format!("options.{key}"), value, &mut all);
    }
    if let Some(body) = &told.body {
        flatten("body", body, &mut all);
    }
    all
}

fn flatten(at: &str, value: &Value, all: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, value)| flatten(&format!("{at}.{key}"), value, all));
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Told, between, listed, sentence};

    fn told(name: &str, body: Value) -> Told {
        serde_json::from_value(json!({"verb": "patch", "group": "apps", "version": "v1", "resource": "deployments",
            "namespace": "shop", "name": name, "body": body}))
        .unwrap()
    }

    #[test]
    fn a_difference_names_its_field_and_both_values() {
        let recorded = told("web", json!({"spec": {"replicas": 3}, "at": "2026-01-01T00:00:00Z"}));
        assert!(
            between(&recorded, &told("web", json!({"spec": {"replicas": 3}, "at": "2027-05-05T11:00:00+02:00"})))
                .is_empty()
        );
        let differences = between(&recorded, &told("api", json!({"spec": {"replicas": 4, "paused": true}})));
        assert_eq!(
            listed(&differences),
            "`body.at` (recorded \"2026-01-01T00:00:00Z\", asked nothing), `body.spec.paused` (recorded nothing, asked true), \
             `body.spec.replicas` (recorded 3, asked 4), `name` (recorded \"web\", asked \"api\")"
        );
        assert_eq!(sentence(&recorded), "patch deployments.apps shop/web");
    }
}
