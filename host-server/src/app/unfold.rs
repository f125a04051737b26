//! How large a template's schema is once its references are written out.
//!
//! Schemas are compiled and asked in the server, where nothing ends them, and the work follows this size rather than the
//! text's: two references to the next definition, thirty times over, are a kilobyte of text and a thousand million parts.

use std::collections::HashMap;

use serde_json::{Map, Value};

const PARTS_MAX: usize = 20_000;
/// Objects and lists inside each other, references followed.
const DEPTH_MAX: usize = 256;
const ANCHORS: [&str; 2] = ["$anchor", "$dynamicAnchor"];

/// Whether the schema stays small. A part that refers to what it lies in is counted once: it takes another level of the
/// inputs to enter it again.
///
/// # Errors
/// What is too large, or which reference cannot be followed.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let mut anchors = HashMap::new();
    name(schema, true, &mut anchors)?;
    Unfolding { root: schema, anchors, path: Vec::new(), parts: 0 }.enter(schema)
}

/// Finds the named parts. A part with an identity of its own would change where references inside it lead.
fn name<'s>(value: &'s Value, root: bool, anchors: &mut HashMap<&'s str, Vec<&'s Value>>) -> Result<(), String> {
    match value {
        Value::Object(map) => {
            if !root && map.get("$id").is_some_and(Value::is_string) {
                return Err("only the whole schema may have an `$id`".into());
            }
            let draft = map.get("$schema").and_then(Value::as_str).unwrap_or_default();
            if ["draft-03", "draft-04"].iter().any(|old| draft.contains(old)) {
                return Err(format!("`$schema` is `{draft}`; write it for draft 6 or later"));
            }
            for anchor in ANCHORS.iter().filter_map(|key| map.get(*key)?.as_str()) {
                anchors.entry(anchor).or_default().push(value);
            }
            map.values().try_for_each(|inner| name(inner, false, anchors))
        }
        Value::Array(items) => items.iter().try_for_each(|inner| name(inner, false, anchors)),
        _ => Ok(()),
    }
}

struct Unfolding<'s> {
    root: &'s Value,
    anchors: HashMap<&'s str, Vec<&'s Value>>,
    /// What is being entered, outermost first.
    path: Vec<&'s Value>,
    parts: usize,
}

impl<'s> Unfolding<'s> {
    fn enter(&mut self, value: &'s Value) -> Result<(), String> {
        if !(value.is_object() || value.is_array()) || self.path.iter().any(|outer| std::ptr::eq(*outer, value)) {
            return Ok(());
        }
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(format!("with its references written out, the schema has more than {PARTS_MAX} parts"));
        }
        if self.path.len() >= DEPTH_MAX {
            return Err(format!("with its references written out, the schema has more than {DEPTH_MAX} levels"));
        }
        self.path.push(value);
        match value {
            Value::Object(map) => {
                for target in self.targets(map)? {
                    self.enter(target)?;
                }
                map.values().try_for_each(|inner| self.enter(inner))?;
            }
            Value::Array(items) => items.iter().try_for_each(|inner| self.enter(inner))?,
            _ => {}
        }
        self.path.pop();
        Ok(())
    }

    /// Where the references of this very part lead. A name that stands twice leads to each.
    fn targets(&self, map: &Map<String, Value>) -> Result<Vec<&'s Value>, String> {
        let mut targets = Vec::new();
        for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let Some(Value::String(reference)) = map.get(key) else { continue };
            let nowhere = || format!("`{key}` leads to `{reference}`, which is not in the document");
            let fragment = reference.strip_prefix('#').ok_or_else(nowhere)?;
            if fragment.is_empty() || fragment.starts_with('/') {
                if fragment.contains('%') {
                    return Err(format!("`{key}` is `{reference}`; write the pointer without `%`"));
                }
                targets.push(self.root.pointer(fragment).ok_or_else(nowhere)?);
            } else {
                targets.extend(self.anchors.get(fragment).ok_or_else(nowhere)?);
            }
        }
        Ok(targets)
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use serde_json::{Map, Value, json};

    /// Thirty definitions, each made from the next one by `link`.
    fn chain(link: impl Fn(Value) -> Value, root: Value) -> Value {
        let link = |index: usize| link(json!({"$ref": format!("#/$defs/d{}", index + 1)}));
        let mut defs: Map<_, _> = (0..30).map(|index| (format!("d{index}"), link(index))).collect();
        defs.insert("d30".into(), json!({"type": "object"}));
        let mut schema = root;
        schema["$defs"] = Value::Object(defs);
        schema["$ref"] = "#/$defs/d0".into();
        schema
    }

    #[test]
    fn a_small_text_that_unfolds_without_end_is_refused() {
        for (what, schema) in [
            ("twice in allOf", chain(|next| json!({"allOf": [next.clone(), next]}), json!({}))),
            (
                "at compile time",
                chain(|next| json!({"allOf": [next.clone(), next]}), json!({"unevaluatedProperties": false})),
            ),
            ("beside each other", chain(|next| json!({"not": next.clone(), "if": next}), json!({}))),
            ("in properties", chain(|next| json!({"properties": {"a": next.clone(), "b": next}}), json!({}))),
            (
                "under a keyword's name",
                chain(|next| json!({"properties": {"const": {"anyOf": [next.clone(), next]}}}), json!({})),
            ),
        ] {
            assert!(check(&schema).is_err_and(|message| message.contains("parts")), "{what}");
        }
        let names = json!({"allOf": [{"$dynamicRef": "#n"}, {"$dynamicRef": "#n"}]});
        let names: Vec<_> = (0..30)
            .map(|_| {
                let mut part = names.clone();
                part["$dynamicAnchor"] = "n".into();
                part
            })
            .collect();
        assert!(check(&json!({"anyOf": names})).is_err());
    }

    #[test]
    fn a_reference_that_cannot_be_followed_is_refused() {
        for (schema, part) in [
            (json!({"$ref": "#/$defs/none"}), "not in the document"),
            (json!({"$ref": "#none"}), "not in the document"),
            (json!({"$ref": "other.json"}), "not in the document"),
            (json!({"$ref": "#/$defs/a%25b", "$defs": {"a%b": {}}}), "without `%`"),
            (json!({"$defs": {"a": {"$id": "urn:a", "$ref": "#/x"}}}), "`$id`"),
            (json!({"$schema": "http://json-schema.org/draft-04/schema#"}), "draft 6"),
        ] {
            assert!(check(&schema).is_err_and(|message| message.contains(part)), "{schema}");
        }
        let deep = (0..300).fold(json!({}), |inner, _| json!({"not": inner}));
        assert!(check(&deep).is_err_and(|message| message.contains("levels")));
    }

    #[test]
    fn what_people_write_passes() {
        for schema in [
            json!(true),
            json!({"$id": "urn:x", "type": "object", "properties": {"$id": {"type": "string"}, "$ref": {"type": "string"}}}),
            json!({"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}),
            json!({"$defs": {"e": {"oneOf": [{"type": "number"}, {"items": {"$ref": "#/$defs/e"}}, {"not": {"$ref": "#/$defs/e"}}]}},
                   "$ref": "#/$defs/e"}),
            json!({"$defs": {"a": {"$anchor": "name", "type": "string"}}, "items": {"$ref": "#name"}}),
            json!({"oneOf": (0..200).map(|index| json!({"properties": {"kind": {"const": index}}})).collect::<Vec<_>>()}),
            chain(|next| json!({"allOf": [next]}), json!({})),
        ] {
            check(&schema).unwrap_or_else(|message| panic!("{schema}: {message}"));
        }
    }
}
