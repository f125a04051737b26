//! What an error of the API tells: its message may quote any field of the object.

use serde_json::{Map, Value, json};

use super::{
    Mask,
    path::{self, of_text},
};

/// Members that say what happened, and nothing of the object.
const PLAIN: [&str; 5] = ["apiVersion", "kind", "status", "reason", "code"];
const PLAIN_DETAILS: [&str; 4] = ["name", "group", "kind", "retryAfterSeconds"];

/// A `Status` through the union of these masks.
pub(super) fn show(status: Value, masks: &[&Mask]) -> Value {
    let Value::Object(status) = status else { return Value::Null };
    if masks.iter().any(|mask| mask.is_everything()) {
        return Value::Object(status);
    }
    let mut shown = Map::new();
    let failed = status.get("status").and_then(Value::as_str) != Some("Success");
    for (key, value) in status {
        if PLAIN.contains(&key.as_str()) {
            shown.insert(key, value);
        } else if let ("details", Value::Object(details)) = (key.as_str(), value) {
            shown.insert(key, Value::Object(show_details(details, masks)));
        }
    }
    if failed {
        let message =
            "the API server refused it; its words are cut, since they may quote fields that `read` does not have";
        shown.insert("message".to_owned(), json!(message));
    }
    Value::Object(shown)
}

fn show_details(details: Map<String, Value>, masks: &[&Mask]) -> Map<String, Value> {
    let mut shown = Map::new();
    for (key, value) in details {
        if PLAIN_DETAILS.contains(&key.as_str()) {
            shown.insert(key, value);
        } else if let ("causes", Value::Array(causes)) = (key.as_str(), value) {
            shown.insert(key, causes.into_iter().map(|cause| show_cause(cause, masks)).collect());
        }
    }
    shown
}

/// A cause speaks of one field.
fn show_cause(cause: Value, masks: &[&Mask]) -> Value {
    let field = cause.get("field").and_then(Value::as_str).unwrap_or_default();
    let path = of_text(field);
    let readable = !path.is_empty() && !path::is_hidden(&path) && masks.iter().any(|mask| mask.reads(&path));
    if readable {
        return cause;
    }
    json!({"reason": cause.get("reason").and_then(Value::as_str).unwrap_or_default()})
}
