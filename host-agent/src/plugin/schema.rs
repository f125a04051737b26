//! JSON Schemas of commands: compiled once when a plugin is loaded, asked at each call.
//!
//! A schema comes from a guest: it refers to nothing outside itself, its expressions are linear-time, its size is limited.

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;

use super::unfold;

pub(super) const SCHEMA_MAX_BYTES: usize = 64 << 10;
const PATTERN_MAX_BYTES: usize = 1 << 20;
const MISTAKES_MAX: usize = 5;
/// Of an `enum` that is told whole.
const OPTIONS_MAX: usize = 20;

/// A schema that can be asked.
pub(super) struct InputSchema(Validator);

impl InputSchema {
    /// # Errors
    /// What is wrong with the schema.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > SCHEMA_MAX_BYTES {
            return Err(format!("the schema has {} bytes; at most {SCHEMA_MAX_BYTES} are allowed", text.len()));
        }
        let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        stays_inside(&schema)?;
        unfold::check(&schema)?;
        jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_MAX_BYTES))
            .build(&schema)
            .map(Self)
            .map_err(|error| format!("at {}: {error}", pointer(error.instance_path().as_str())))
    }

    /// # Errors
    /// The first mistakes, each with the pointer to what is wrong; never the values, which may be secret.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let mut mistakes = Vec::new();
        for error in self.0.iter_errors(value).take(MISTAKES_MAX) {
            mistakes.push(format!("{}: {}", pointer(error.instance_path().as_str()), said(&error)));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("; ")) }
    }
}

/// Without the value, which may be secret; where the schema lists what would be right, with all of that.
fn said(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Enum { options }
            if options.as_array().is_some_and(|options| options.len() <= OPTIONS_MAX) =>
        {
            let options: Vec<_> = options.as_array().into_iter().flatten().map(Value::to_string).collect();
            format!("value is not one of {}", options.join(", "))
        }
        _ => error.masked().to_string(),
    }
}

fn pointer(path: &str) -> String {
    if path.is_empty() { "the whole".to_owned() } else { path.to_owned() }
}

fn stays_inside(schema: &Value) -> Result<(), String> {
    match schema {
        Value::Object(map) => map.iter().try_for_each(|(key, value)| match (key.as_str(), value) {
            ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) if !target.starts_with('#') => {
                Err(format!("`{key}` leads to `{target}`; it may only point inside the document, as `#/$defs/…`"))
            }
            (_, value) => stays_inside(value),
        }),
        Value::Array(items) => items.iter().try_for_each(stays_inside),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::InputSchema;
    use serde_json::json;

    #[test]
    fn a_mistake_is_told_with_its_pointer_and_without_its_value() {
        let schema =
            r#"{"type":"object","properties":{"x":{"type":"number"}},"required":["x"],"additionalProperties":false}"#;
        let schema = InputSchema::compile(schema).unwrap();
        assert_eq!(schema.check(&json!({"x": 2})), Ok(()));
        assert_eq!(schema.check(&serde_json::from_str(r#"{"x":1e400}"#).unwrap()), Ok(()));
        let message = schema.check(&json!({"x": "hunter2"})).unwrap_err();
        assert!(message.contains("/x") && message.contains("number") && !message.contains("hunter2"), "{message}");
        assert!(schema.check(&json!({})).unwrap_err().contains("required"));
    }

    #[test]
    fn what_would_be_right_is_told_with_a_wrong_word() {
        let words = |count: usize| (0..count).map(|number| format!("word {number}")).collect::<Vec<_>>();
        let schema =
            |count| InputSchema::compile(&json!({"properties": {"x": {"enum": words(count)}}}).to_string()).unwrap();
        let message = schema(5).check(&json!({"x": "hunter2"})).unwrap_err();
        assert!(message.contains("word 0") && message.contains("word 4") && !message.contains("hunter2"), "{message}");
        let message = schema(500).check(&json!({"x": "hunter2"})).unwrap_err();
        assert!(message.len() < 200 && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn references_stay_inside_the_document() {
        for target in ["https://example.com/s.json", "file:///etc/passwd", "other.json"] {
            let schema = json!({"properties": {"x": {"$ref": target}}}).to_string();
            assert!(InputSchema::compile(&schema).is_err_and(|message| message.contains("inside")), "{target}");
        }
        assert!(InputSchema::compile(r##"{"$defs":{"a":{"type":"string"}},"$ref":"#/$defs/a"}"##).is_ok());
    }

    #[test]
    fn a_schema_that_would_take_for_ever_is_refused_before_it_is_compiled() {
        let next = |index: usize| json!({"$ref": format!("#/$defs/{index}")});
        let mut defs: serde_json::Map<_, _> =
            (0..30).map(|index| (index.to_string(), json!({"allOf": [next(index + 1), next(index + 1)]}))).collect();
        defs.insert("30".into(), json!({"type": "object"}));
        let schema = json!({"$defs": defs, "$ref": "#/$defs/0", "unevaluatedProperties": false}).to_string();
        assert!(InputSchema::compile(&schema).is_err_and(|message| message.contains("written out")));
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let large = format!("{{\"title\":\"{}\"}}", "x".repeat(70_000));
        for text in ["{", r#"{"type":"nonsense"}"#, r#"{"pattern":"(?=x)"}"#, r#"{"pattern":"x{1000000}"}"#, &large] {
            assert!(InputSchema::compile(text).is_err(), "{}", &text[..text.len().min(40)]);
        }
    }
}
