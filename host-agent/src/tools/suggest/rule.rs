//! Rules of a grants file as lists, joined where that allows nothing more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// A rule of the grants file by its keys; what is no list holds one element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rule(BTreeMap<String, BTreeSet<String>>);

/// In the order in which the documentation writes them.
const KEYS: [&str; 9] = ["groups", "resources", "verbs", "namespaces", "scope", "names", "dangerous", "read", "write"];
const SINGLE: [&str; 2] = ["scope", "dangerous"];

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |text: &String| {
            let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/'))
                && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
                    .contains(&text.to_lowercase().as_str());
            if plain { text.clone() } else { Value::from(text.as_str()).to_string() }
        };
        let keys = KEYS.into_iter().filter_map(|key| {
            let values = self.0.get(key)?;
            if SINGLE.contains(&key) {
                return values.first().map(|value| format!("{key}: {value}"));
            }
            Some(format!("{key}: [{}]", values.iter().map(word).collect::<Vec<_>>().join(", ")))
        });
        write!(f, "{{{}}}", keys.collect::<Vec<_>>().join(", "))
    }
}

/// Rules that differ in one list are one rule, and allow nothing more together. What another one allows too goes.
pub(super) fn joined(mut rules: Vec<Rule>) -> Vec<Rule> {
    let mut at = 0;
    while let Some(rule) = rules.get(at).cloned() {
        let together =
            rules.iter().enumerate().skip(at + 1).find_map(|(index, other)| Some((index, rule.with(other)?)));
        match together {
            Some((index, both)) => {
                rules.remove(index);
                if let Some(place) = rules.get_mut(at) {
                    *place = both;
                }
                at = 0;
            }
            None => at += 1,
        }
    }
    rules
}

impl Rule {
    pub(super) fn of(rule: &Map<String, Value>) -> Self {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let values = |value: &Value| match value {
            Value::Array(items) => items.iter().map(text).collect(),
            value => BTreeSet::from([text(value)]),
        };
        Self(rule.iter().map(|(key, value)| (key.clone(), values(value))).collect())
    }

    /// Puts one element of a list in the place of another, where that is there.
    pub(super) fn rename(&mut self, key: &str, from: &str, to: &str) {
        if let Some(values) = self.0.get_mut(key)
            && values.remove(from)
        {
            values.insert(to.to_owned());
        }
    }

    /// One rule that allows what both do and nothing else.
    fn with(&self, other: &Self) -> Option<Self> {
        if self.allows(other) {
            return Some(self.clone());
        }
        if other.allows(self) {
            return Some(other.clone());
        }
        let keys: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let mut differing = keys.into_iter().filter(|key| self.0.get(*key) != other.0.get(*key));
        let (Some(key), None) = (differing.next(), differing.next()) else { return None };
        // A list that is absent allows all, or nothing; and masks together show more than each.
        if SINGLE.contains(&key.as_str()) || ["read", "write"].contains(&key.as_str()) {
            return None;
        }
        let (ours, theirs) = (self.0.get(key)?, other.0.get(key)?);
        let mut both = self.clone();
        both.0.insert(key.clone(), ours.union(theirs).cloned().collect());
        Some(both)
    }

    /// Whether it allows everything that the other one does.
    fn allows(&self, other: &Self) -> bool {
        let holds = |key: &str| match (self.0.get(key), other.0.get(key)) {
            (Some(ours), Some(theirs)) => ours.is_superset(theirs),
            // Absent, these allow all.
            (None, _) if ["names", "read", "write"].contains(&key) => true,
            (Some(_), None) => key == "dangerous" || key == "scope" || key == "namespaces",
            (None, theirs) => theirs.is_none(),
        };
        KEYS.into_iter().all(holds)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Rule, joined};

    fn rules(rules: Value) -> Vec<Rule> {
        rules.as_array().unwrap().iter().map(|rule| Rule::of(rule.as_object().unwrap())).collect()
    }

    #[test]
    fn rules_are_one_where_that_allows_nothing_more() {
        let get = |names: &[&str]| json!({"groups": [""], "resources": ["pods"], "verbs": ["get"], "namespaces": ["a"], "names": names});
        let with = |mut rule: Value, key: &str, value: Value| {
            rule[key] = value;
            rule
        };
        let list = json!({"groups": [""], "resources": ["pods"], "verbs": ["list"], "namespaces": ["a"]});
        for (given, left) in [
            (json!([get(&["x"]), get(&["y"])]), json!([get(&["x", "y"])])),
            // Once joined, it is equal to a third but for its namespace.
            (
                json!([get(&["x"]), get(&["y"]), with(get(&["x", "y"]), "namespaces", json!(["b"]))]),
                json!([with(get(&["x", "y"]), "namespaces", json!(["a", "b"]))]),
            ),
            (json!([get(&["x"]), list]), json!([get(&["x"]), list])),
            // Together they would allow `y` in `a`.
            (
                json!([get(&["x"]), with(get(&["y"]), "namespaces", json!(["b"]))]),
                json!([get(&["x"]), with(get(&["y"]), "namespaces", json!(["b"]))]),
            ),
            // The wider one allows the narrower one's requests.
            (json!([with(get(&["x"]), "read", json!(["spec"])), get(&["x"])]), json!([get(&["x"])])),
            (
                json!([with(get(&["x"]), "read", json!(["spec"])), with(get(&["x"]), "read", json!(["status"]))]),
                json!([with(get(&["x"]), "read", json!(["spec"])), with(get(&["x"]), "read", json!(["status"]))]),
            ),
            (
                json!([with(list.clone(), "scope", json!("cluster")), list]),
                json!([with(list.clone(), "scope", json!("cluster"))]),
            ),
        ] {
            assert_eq!(joined(rules(given.clone())), rules(left), "{given}");
        }
    }

    #[test]
    fn a_rule_is_written_as_the_grants_file_has_it() {
        let rule = rules(json!([{"write": ["data.k"], "groups": [""], "resources": ["pods/exec"], "verbs": ["create"],
            "names": ["web-*", "no"], "dangerous": true}]));
        assert_eq!(
            rule[0].to_string(),
            "{groups: [\"\"], resources: [pods/exec], verbs: [create], names: [\"no\", \"web-*\"], dangerous: true, write: [data.k]}"
        );
    }
}
