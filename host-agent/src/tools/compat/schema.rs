//! In what a JSON Schema allows less than another. It knows what the SDKs write; of the rest it says that it differs.

use std::{
    collections::{BTreeSet, HashSet},
    ptr,
    sync::LazyLock,
};

use serde_json::{Map, Value};

use crate::plugin::clean;

const SHOWN_MAX_BYTES: usize = 512;
/// Deeper schemas are compared as texts.
const DEPTH_MAX: usize = 32;
/// Keywords where a smaller number allows less.
const UPPER: [&str; 5] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];
/// Keywords where a greater number allows less.
const LOWER: [&str; 5] = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
/// Keywords that allow less wherever they are new or different.
const OTHER: [&str; 9] = ["pattern", "format", "const", "anyOf", "oneOf", "allOf", "not", "multipleOf", "uniqueItems"];

/// Where nothing is said, everything is allowed.
static ANYTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// Each way in which `new` refuses what `old` allows, as one sentence without a full stop that begins with the field.
pub(super) fn stricter(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Comparison { old_root: old, new_root: new, seen: HashSet::new(), found: &mut found }.at("", old, new, 0);
    found
}

struct Comparison<'a> {
    old_root: &'a Value,
    new_root: &'a Value,
    /// A schema may refer to itself.
    seen: HashSet<(*const Value, *const Value)>,
    found: &'a mut Vec<String>,
}

impl<'a> Comparison<'a> {
    fn at(&mut self, field: &str, old: &'a Value, new: &'a Value, depth: usize) {
        let (old, new) = (resolved(self.old_root, old), resolved(self.new_root, new));
        if !self.seen.insert((ptr::from_ref(old), ptr::from_ref(new))) {
            return;
        }
        let (old, new) = match (old, new) {
            (_, Value::Bool(true)) | (Value::Bool(false), _) => return,
            (_, Value::Bool(false)) => return self.say(field, "is allowed no value any more"),
            (Value::Object(old), Value::Object(new)) => (old, new),
            (_, Value::Object(new)) => (&*ANYTHING, new),
            _ => return,
        };
        if depth >= DEPTH_MAX {
            return;
        }
        self.types(field, old, new);
        self.values(field, old, new);
        self.bounds(field, old, new);
        self.members(field, old, new);
        for keyword in ["items", "additionalProperties"] {
            if let Some(after @ Value::Object(_)) = new.get(keyword) {
                self.at(&format!("{field}[]"), old.get(keyword).unwrap_or(&Value::Bool(true)), after, depth + 1);
            }
        }
        let (before, after) = (old.get("properties"), new.get("properties"));
        for (name, schema) in after.and_then(Value::as_object).into_iter().flatten() {
            let inside = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
            // What the old one did not know, nobody who relied on it gave.
            if let Some(before) = before.and_then(|properties| properties.get(name)) {
                self.at(&inside, before, schema, depth + 1);
            }
        }
    }

    fn types(&mut self, field: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let Some(after) = types(new) else { return };
        match types(old) {
            None => self.say(field, &format!("was any type and is {}", listed(&after))),
            Some(before) => {
                let gone: BTreeSet<_> =
                    before.iter().filter(|it| !after.contains(*it) && !widened(it, &after)).cloned().collect();
                if !gone.is_empty() {
                    self.say(field, &format!("may not be {} any more, only {}", listed(&gone), listed(&after)));
                }
            }
        }
    }

    fn values(&mut self, field: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let Some(Value::Array(after)) = new.get("enum") else { return };
        match old.get("enum") {
            Some(Value::Array(before)) => {
                let gone: Vec<_> = before.iter().filter(|it| !after.contains(it)).map(Value::to_string).collect();
                if !gone.is_empty() {
                    self.say(field, &format!("may not be {} any more", gone.join(", ")));
                }
            }
            _ => self.say(field, "was free and is now one of a list"),
        }
    }

    fn bounds(&mut self, field: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        for (keywords, tighter) in [(UPPER, (|a, b| b < a) as fn(f64, f64) -> bool), (LOWER, |a, b| b > a)] {
            for keyword in keywords {
                let number = |map: &Map<String, Value>| map.get(keyword).and_then(Value::as_f64);
                match (number(old), number(new)) {
                    (None, Some(after)) => self.say(field, &format!("has a new `{keyword}` of {after}")),
                    (Some(before), Some(after)) if tighter(before, after) => {
                        self.say(field, &format!("had a `{keyword}` of {before}, now {after}"));
                    }
                    _ => {}
                }
            }
        }
        for keyword in OTHER {
            match (old.get(keyword), new.get(keyword)) {
                (before, Some(after)) if before != Some(after) => {
                    self.say(field, &format!("has another `{keyword}`, which may refuse what was allowed"));
                }
                _ => {}
            }
        }
    }

    fn members(&mut self, field: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let required = |map: &Map<String, Value>| -> BTreeSet<String> {
            let names = map.get("required").and_then(Value::as_array).into_iter().flatten();
            names.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let before = required(old);
        for name in required(new).difference(&before) {
            let inside = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
            self.say(&inside, "is required now");
        }
        if !closed(new) {
            return;
        }
        if !closed(old) {
            self.say(field, "takes no unknown members any more");
        }
        let has = |name: &String| new.get("properties").is_some_and(|properties| properties.get(name).is_some());
        let known = old.get("properties").and_then(Value::as_object).into_iter().flatten();
        for name in known.map(|(name, _)| name).filter(|name| !has(name)) {
            let inside = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
            self.say(&inside, "is not known any more, and unknown members are refused");
        }
    }

    fn say(&mut self, field: &str, what: &str) {
        // A guest's words.
        let (field, what) = (clean(field, SHOWN_MAX_BYTES), clean(what, SHOWN_MAX_BYTES));
        self.found.push(if field.is_empty() { format!("the whole {what}") } else { format!("`{field}` {what}") });
    }
}

/// Follows references inside of the document.
fn resolved<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..DEPTH_MAX {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|text| root.pointer(text.strip_prefix('#')?));
        match target {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

fn types(schema: &Map<String, Value>) -> Option<BTreeSet<String>> {
    match schema.get("type")? {
        Value::String(one) => Some([one.clone()].into()),
        Value::Array(several) => Some(several.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => None,
    }
}

/// Every integer is a number.
fn widened(of: &str, into: &BTreeSet<String>) -> bool {
    of == "integer" && into.contains("number")
}

fn closed(schema: &Map<String, Value>) -> bool {
    schema.get("additionalProperties") == Some(&Value::Bool(false))
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::stricter;

    #[test]
    fn what_is_refused_now_is_named() {
        let of = |property| json!({"type": "object", "properties": {"a": property}});
        for (old, new, said) in [
            (json!({}), json!({}), vec![]),
            (json!(true), json!({"type": "object"}), vec!["the whole was any type and is `object`"]),
            (json!({}), json!({"required": ["a"]}), vec!["`a` is required now"]),
            (json!({"required": ["a", "b"]}), json!({"required": ["a"]}), vec![]),
            (of(json!({"type": "integer"})), of(json!({"type": "number"})), vec![]),
            (
                of(json!({"type": ["string", "null"]})),
                of(json!({"type": "string"})),
                vec!["`a` may not be `null` any more, only `string`"],
            ),
            (of(json!({"enum": ["x", "y"]})), of(json!({"enum": ["y", "z"]})), vec!["`a` may not be \"x\" any more"]),
            (
                of(json!({"type": "string"})),
                of(json!({"type": "string", "enum": ["y"]})),
                vec!["`a` was free and is now one of a list"],
            ),
            (of(json!({"maximum": 5})), of(json!({"maximum": 4})), vec!["`a` had a `maximum` of 5, now 4"]),
            (of(json!({"minimum": 5})), of(json!({"minimum": 4})), vec![]),
            (of(json!({})), of(json!({"minLength": 1})), vec!["`a` has a new `minLength` of 1"]),
            (
                of(json!({})),
                of(json!({"pattern": "^x"})),
                vec!["`a` has another `pattern`, which may refuse what was allowed"],
            ),
            (
                of(json!({})),
                json!({"type": "object", "properties": {"b": {}}, "additionalProperties": false}),
                vec![
                    "the whole takes no unknown members any more",
                    "`a` is not known any more, and unknown members are refused",
                ],
            ),
            (
                of(json!({"items": {"type": "string"}})),
                of(json!({"items": {"type": "integer"}})),
                vec!["`a[]` may not be `string` any more, only `integer`"],
            ),
            (
                json!({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}),
                json!({"properties": {"a": {"$ref": "#/$defs/B"}}, "$defs": {"B": {"type": "string", "maxLength": 3}}}),
                vec!["`a` has a new `maxLength` of 3"],
            ),
        ] {
            assert_eq!(stricter(&old, &new), said, "{old} {new}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_compared_to_an_end() {
        let of = |kind| json!({"properties": {"a": {"$ref": "#"}, "b": {"type": kind}}});
        assert!(!stricter(&of("string"), &of("integer")).is_empty());
        let endless = json!({"$ref": "#"});
        assert!(stricter(&endless, &endless).is_empty());
    }
}
