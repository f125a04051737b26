//! In what two requests of the cluster's API differ.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Told;
use crate::tape::differ::{Difference, compared, flatten};

/// Every field in which they differ. Two times are equal, whatever they say: a plugin writes down when it ran.
pub(super) fn between(recorded: &Told, asked: &Told) -> Vec<Difference> {
    compared(fields(recorded), fields(asked))
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Told, between, sentence};
    use crate::tape::differ::listed;

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
