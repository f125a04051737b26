//! Whether a document is sent: the webhook's jq program says so, in a process that may die.

use claiflow_flow::Expression;
use claiflow_flow_worker::{Fault, Pool};
use serde_json::Value;

/// Whether the filter says that the document is sent.
///
/// # Errors
/// [`Fault`]: the filter gives no answer for this document, or nobody could be asked.
pub(super) async fn passes(jq: &Pool, filter: &str, document: &str) -> Result<bool, Fault> {
    // All outputs are wanted. The filter was checked alone, so the brackets hold it together; a comment at its end ends with the line.
    let expression =
        Expression { id: 0, program: format!("[{filter}\n]"), input: document.to_owned(), variables: vec![] };
    let outcome = jq.evaluate(vec![expression]).await.pop();
    let outcome = outcome.unwrap_or_else(|| Err(Fault::Evaluator("the filter was not evaluated".into())));
    outcome.map(|outputs| all_true(outputs.as_array().map_or(&[][..], Vec::as_slice)))
}

/// At least one output reads as a boolean, and all of those are true; others say nothing.
fn all_true(outputs: &[Value]) -> bool {
    let mut said = outputs.iter().filter_map(boolean).peekable();
    said.peek().is_some() && said.all(|said| said)
}

/// A boolean, or a text that Go reads as one.
fn boolean(output: &Value) -> Option<bool> {
    match output {
        Value::Bool(said) => Some(*said),
        Value::String(text) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::all_true;
    use serde_json::{Value, json};

    #[test]
    fn it_is_sent_when_something_reads_as_a_boolean_and_all_of_that_is_true() {
        for (outputs, is_sent) in [
            (json!([true]), true),
            (json!([false]), false),
            (json!([true, true]), true),
            (json!([true, false]), false),
            (json!(["true"]), true),
            (json!(["t", "T", "1", "TRUE", "True"]), true),
            (json!(["true", "f"]), false),
            (json!(["0"]), false),
            (json!(["tRUE"]), false),
            (json!(["yes"]), false),
            (json!([true, "yes", 0, null, {}, []]), true),
            (json!([1]), false),
            (json!([null]), false),
            (json!([]), false),
        ] {
            assert_eq!(all_true(outputs.as_array().map_or(&[][..], Vec::<Value>::as_slice)), is_sent, "{outputs}");
        }
    }
}
