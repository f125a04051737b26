//! Patches that are none, told with the place of the mistake before anything is sent.

use claiflow_sdk::{Applied, Error};
use serde_json::Value;

use super::PatchType;

const OPERATIONS: [&str; 6] = ["add", "remove", "replace", "move", "copy", "test"];

/// # Errors
/// `invalid`, with the pointer of what is wrong.
pub(super) fn check(patch_type: PatchType, data: &Value) -> Result<(), Error> {
    let mistake = match (patch_type, data) {
        (PatchType::Json, Value::Array(operations)) => {
            operations.iter().enumerate().find_map(|(index, it)| Some(format!("`patch_data/{index}{}", fault(it)?)))
        }
        (PatchType::Json, _) => {
            let right = r#"[{"op": "replace", "path": "/spec/replicas", "value": 3}]"#;
            Some(format!("`patch_data` of a `json` patch is an array of operations, such as `{right}`"))
        }
        (_, Value::Object(_)) => None,
        _ => {
            let right = r#"{"spec": {"replicas": 3}}"#;
            Some(format!("`patch_data` is an object, such as `{right}`; an array goes with `patch_type: json`"))
        }
    };
    mistake.map_or(Ok(()), |mistake| Err(Error::invalid(mistake).applied(Applied::No)))
}

/// What is wrong with an operation, behind the pointer to it.
fn fault(operation: &Value) -> Option<String> {
    let Value::Object(operation) = operation else { return Some("` is no object".to_owned()) };
    let word = |key: &str| operation.get(key).and_then(Value::as_str);
    let Some(op) = word("op").filter(|op| OPERATIONS.contains(op)) else {
        return Some(format!("/op` is one of {}", OPERATIONS.join(", ")));
    };
    for key in ["path", "from"] {
        let needed = key == "path" || op == "move" || op == "copy";
        if needed && !word(key).is_some_and(is_pointer) {
            let right = r"such as `/metadata/labels/app.kubernetes.io~1name`, where `~1` is a slash and `~0` a tilde";
            return Some(format!("/{key}` is no JSON pointer, {right}"));
        }
    }
    let needs_value = matches!(op, "add" | "replace" | "test");
    (needs_value && !operation.contains_key("value"))
        .then(|| format!("/value` is missing: `{op}` needs one, which may be null"))
}

/// RFC 6901; the empty one is the whole object.
fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/'))
        && text.split('~').skip(1).all(|behind| behind.starts_with('0') || behind.starts_with('1'))
}

#[cfg(test)]
mod tests {
    use super::{PatchType, check};
    use serde_json::json;

    #[test]
    fn a_patch_passes() {
        for (patch_type, data) in [
            (PatchType::Json, json!([])),
            (
                PatchType::Json,
                json!([{"op": "test", "path": "/a~1b", "value": null}, {"op": "remove", "path": "/a/0"}]),
            ),
            (
                PatchType::Json,
                json!([{"op": "move", "from": "/a", "path": "/b"}, {"op": "add", "path": "", "value": {}}]),
            ),
            (PatchType::Merge, json!({})),
            (PatchType::Strategic, json!({"a": null})),
            (PatchType::Apply, json!({"a": 1})),
        ] {
            assert!(check(patch_type, &data).is_ok(), "{patch_type:?} {data}");
        }
    }

    #[test]
    fn what_is_none_is_told_with_its_place() {
        for (patch_type, data, part) in [
            (PatchType::Json, json!({"spec": 1}), "array of operations"),
            (PatchType::Merge, json!([{"op": "remove", "path": "/a"}]), "`patch_type: json`"),
            (PatchType::Strategic, json!("x"), "is an object"),
            (PatchType::Json, json!(["remove"]), "`patch_data/0` is no object"),
            (
                PatchType::Json,
                json!([{"op": "remove", "path": "/a"}, {"op": "ad", "path": "/a"}]),
                "`patch_data/1/op` is one of add",
            ),
            (PatchType::Json, json!([{"path": "/a"}]), "`patch_data/0/op`"),
            (PatchType::Json, json!([{"op": "remove"}]), "`patch_data/0/path`"),
            (PatchType::Json, json!([{"op": "remove", "path": "a.b"}]), "no JSON pointer"),
            (PatchType::Json, json!([{"op": "remove", "path": "/a~b"}]), "no JSON pointer"),
            (PatchType::Json, json!([{"op": "copy", "path": "/a"}]), "`patch_data/0/from`"),
            (PatchType::Json, json!([{"op": "add", "path": "/a"}]), "`patch_data/0/value` is missing"),
        ] {
            let error = check(patch_type, &data).unwrap_err();
            assert!(error.code() == "invalid" && error.message().contains(part), "{data}: {error}");
        }
    }
}
