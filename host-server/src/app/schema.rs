//! JSON Schemas of templates' inputs: compiled when a template is stored or first run, asked for each task.
//!
//! A schema refers to nothing outside itself, its expressions take linear time, and its size is limited, references
//! written out. The agent holds its plugins' schemas to the same rules.

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;

use super::{Error, unfold};

const SCHEMA_BYTES: usize = 64 << 10;
const PATTERN_BYTES: usize = 1 << 20;
const MISTAKES: usize = 20;
/// Of an `enum` that is told whole.
const OPTIONS_MAX: usize = 20;

/// A schema that can be asked.
pub(super) struct InputSchema(Validator);

impl InputSchema {
    /// Compiles JSON text; none for `{}`, which accepts any object.
    ///
    /// # Errors
    /// [`Error::Invalid`] with pointers below `/inputs`.
    pub(super) fn compile(text: &str) -> Result<Option<Self>, Error> {
        let invalid = |pointer: &str, message: String| Error::Invalid {
            detail: "the schema of the inputs is not valid".into(),
            errors: vec![(format!("/inputs{pointer}"), message)],
        };
        if text.len() > SCHEMA_BYTES {
            return Err(invalid(
                "",
                format!("the schema has {} bytes; at most {SCHEMA_BYTES} are allowed", text.len()),
            ));
        }
        let schema: Value =
            claiflow_flow::read_json(text).map_err(|error| invalid("", format!("not JSON: {error}")))?;
        match &schema {
            Value::Object(map) if map.is_empty() => return Ok(None),
            Value::Object(_) => {}
            _ => return Err(invalid("", "a schema is an object".into())),
        }
        unfold::check(&schema).map_err(|message| invalid("", message))?;
        jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES))
            .build(&schema)
            .map(|validator| Some(Self(validator)))
            .map_err(|error| invalid(error.instance_path().as_str(), error.to_string()))
    }

    /// The first mistakes of a task's inputs: pointer below `/inputs` and sentence, never a value, which may be secret.
    pub(super) fn mistakes(&self, inputs: &Value) -> Vec<(String, String)> {
        self.0
            .iter_errors(inputs)
            .take(MISTAKES)
            .map(|error| (format!("/inputs{}", error.instance_path()), said(&error)))
            .collect()
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

#[cfg(test)]
mod tests {
    use super::InputSchema;
    use crate::app::Error;
    use serde_json::json;

    fn refusal(text: &str) -> String {
        match InputSchema::compile(text) {
            Err(Error::Invalid { errors, .. }) => errors[0].1.clone(),
            _ => panic!("{text} was taken"),
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_pointer_and_without_its_value() {
        let schema = r#"{"type":"object","properties":{"x":{"type":"number"}},"required":["x"]}"#;
        let schema = InputSchema::compile(schema).unwrap().unwrap();
        assert!(schema.mistakes(&json!({"x": 2})).is_empty());
        let (pointer, message) = schema.mistakes(&json!({"x": "hunter2"})).remove(0);
        assert_eq!(pointer, "/inputs/x");
        assert!(message.contains("number") && !message.contains("hunter2"), "{message}");
        assert!(schema.mistakes(&json!({}))[0].1.contains("required"));
    }

    #[test]
    fn what_would_be_right_is_told_with_a_wrong_word() {
        let words = |count: usize| (0..count).map(|number| format!("word {number}")).collect::<Vec<_>>();
        let schema = |count| {
            InputSchema::compile(&json!({"properties": {"x": {"enum": words(count)}}}).to_string()).unwrap().unwrap()
        };
        let message = schema(5).mistakes(&json!({"x": "hunter2"})).remove(0).1;
        assert!(message.contains("word 0") && message.contains("word 4") && !message.contains("hunter2"), "{message}");
        let message = schema(500).mistakes(&json!({"x": "hunter2"})).remove(0).1;
        assert!(message.len() < 200 && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn an_empty_schema_accepts_any_object() {
        assert!(InputSchema::compile("{}").unwrap().is_none());
    }

    #[test]
    fn what_is_no_schema_or_would_take_for_ever_is_refused() {
        let large = format!("{{\"title\":\"{}\"}}", "x".repeat(70_000));
        let deep = format!("{}{{}}{}", r#"{"not":"#.repeat(200), "}".repeat(200));
        for (text, part) in [
            ("{", "not JSON"),
            ("[]", "object"),
            (r#"{"type":"nonsense"}"#, "nonsense"),
            (r#"{"pattern":"(?=x)"}"#, "(?=x)"),
            (r#"{"pattern":"x{1000000}"}"#, "x{1000000}"),
            (r#"{"$ref":"https://example.com/s.json"}"#, "not in the document"),
            (r#"{"$ref":"file:///etc/passwd"}"#, "not in the document"),
            (&large, "bytes"),
            (&deep, "recursion limit"),
        ] {
            let message = refusal(text);
            assert!(message.contains(part), "{message}");
        }
    }
}
