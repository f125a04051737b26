//! Whether a JSON patch may be made twice.
//!
//! It is the effect rule of the command, in Rust: `tests/effects.rs` holds both against the same table. Safe are the
//! operations that set or remove a member of an object, or an element that stays where it is: made again, they give the same
//! object, or fail as a whole and change nothing. Whatever shifts or lengthens a list, and whatever reads what an operation
//! may have changed (`move`, `copy`), is not, unless the patch names the version of the object that it is for.

use serde_json::Value;

/// Whether a second time does nothing that the first did not.
pub(super) fn is_harmless(operations: &Value) -> bool {
    let operations = operations.as_array().map(Vec::as_slice).unwrap_or_default();
    let word = |operation: &Value, key: &str| operation.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let pinned =
        |operation: &Value| word(operation, "op") == "test" && word(operation, "path") == "/metadata/resourceVersion";
    operations.iter().any(pinned)
        || operations.iter().all(|operation| match word(operation, "op").as_str() {
            "test" | "replace" => true,
            "add" | "remove" => !is_element(&word(operation, "path")),
            _ => false,
        })
}

/// Whether a pointer may lead to a place in a list. A member whose name is a number looks the same.
fn is_element(pointer: &str) -> bool {
    let last = pointer.rsplit('/').next().unwrap_or_default();
    last == "-" || last.bytes().all(|byte| byte.is_ascii_digit())
}
