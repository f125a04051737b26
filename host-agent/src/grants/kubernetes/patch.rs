//! Patches: what is one, and what its parts say.

use serde_json::{Map, Value};

use super::{Invalid, shape::shown};

const OPERATIONS_MAX: usize = 1_000;
const POINTER_MAX_BYTES: usize = 1 << 10;
const MEMBERS: [&str; 4] = ["op", "path", "from", "value"];

/// A patch that is one of its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    value: Value,
    parts: Parts,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Parts {
    /// Of a JSON patch.
    Operations(Vec<Operation>),
    /// A JSON merge patch.
    Merge,
    /// A strategic merge patch: it merges lists and has directives.
    Strategic,
}

/// One operation of a JSON patch (RFC 6902); its value stays in the patch, at the same index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) op: Op,
    pub(super) path: Vec<String>,
    /// Of `copy` and `move`.
    pub(super) from: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Remove,
    Replace,
    Move,
    Copy,
    Test,
}

impl Patch {
    /// Checks a patch; `patch_type` is `json`, `merge` or `strategic`.
    ///
    /// # Errors
    /// Which part is wrong, and why.
    pub fn parse(patch_type: &str, value: Value) -> Result<Self, Invalid> {
        let parts = match (patch_type, &value) {
            ("json", Value::Array(items)) => {
                if items.len() > OPERATIONS_MAX {
                    let reason = format!("a JSON patch of {} operations; at most {OPERATIONS_MAX}", items.len());
                    return Err(Invalid::new("patch", reason));
                }
                let operations: Result<_, _> =
                    items.iter().enumerate().map(|(index, item)| operation(item, index)).collect();
                Parts::Operations(operations?)
            }
            ("json", _) => {
                return Err(Invalid::new(
                    "patch",
                    "a JSON patch is an array of operations such as {\"op\":\"replace\",…}",
                ));
            }
            ("merge", Value::Object(_)) => Parts::Merge,
            ("strategic", Value::Object(_)) => Parts::Strategic,
            ("merge" | "strategic", _) => {
                return Err(Invalid::new("patch", format!("a {patch_type} patch is a JSON object")));
            }
            _ => {
                let reason = format!("`{}` is none of json, merge, strategic", shown(patch_type));
                return Err(Invalid::new("patch-type", reason));
            }
        };
        Ok(Self { value, parts })
    }

    /// What is sent: this, serialised. The guest's text may be read in another way elsewhere.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The media type of the request.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self.parts {
            Parts::Operations(_) => "application/json-patch+json",
            Parts::Merge => "application/merge-patch+json",
            Parts::Strategic => "application/strategic-merge-patch+json",
        }
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The value of an operation.
    pub(super) fn operand(&self, index: usize) -> Option<&Value> {
        self.value.get(index)?.get("value")
    }
}

fn operation(item: &Value, index: usize) -> Result<Operation, Invalid> {
    let refuse = |member: &str, reason: String| Err(Invalid::new(format!("patch[{index}]{member}"), reason));
    let Value::Object(members) = item else {
        return refuse("", "an operation is an object with `op` and `path`".to_owned());
    };
    // What nobody knows here may be known to whoever applies it.
    if let Some(unknown) = members.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        return refuse("", format!("`{}` is none of {}", shown(unknown), MEMBERS.join(", ")));
    }
    let op = match members.get("op").and_then(Value::as_str).unwrap_or_default() {
        "add" => Op::Add,
        "remove" => Op::Remove,
        "replace" => Op::Replace,
        "move" => Op::Move,
        "copy" => Op::Copy,
        "test" => Op::Test,
        other => {
            return refuse(".op", format!("`{}` is none of add, remove, replace, move, copy, test", shown(other)));
        }
    };
    let at = |member: &str| match pointer(members, member) {
        Ok(keys) => Ok(keys),
        Err(reason) => Err(Invalid::new(format!("patch[{index}].{member}"), reason)),
    };
    let takes_value = matches!(op, Op::Add | Op::Replace | Op::Test);
    let takes_from = matches!(op, Op::Move | Op::Copy);
    if takes_value != members.contains_key("value") {
        return refuse(".value", (if takes_value { "it is missing" } else { "this operation takes none" }).to_owned());
    }
    if !takes_from && members.contains_key("from") {
        return refuse(".from", "only `move` and `copy` take it".to_owned());
    }
    Ok(Operation { op, path: at("path")?, from: takes_from.then(|| at("from")).transpose()? })
}

/// The keys of a JSON pointer (RFC 6901).
fn pointer(members: &Map<String, Value>, member: &str) -> Result<Vec<String>, String> {
    let Some(text) = members.get(member).and_then(Value::as_str) else {
        return Err("it is missing; a JSON pointer such as /spec/replicas".to_owned());
    };
    let Some(keys) = text.strip_prefix('/').filter(|_| text.len() <= POINTER_MAX_BYTES) else {
        return Err(format!("`{}` is no JSON pointer below the object; write it as /spec/replicas", shown(text)));
    };
    if keys.split('/').any(str::is_empty) {
        return Err(format!("`{}` has an empty key", shown(text)));
    }
    keys.split('/')
        .map(|key| unescape(key).ok_or_else(|| format!("`{}`: after `~` comes 0 or 1", shown(key))))
        .collect()
}

fn unescape(key: &str) -> Option<String> {
    let mut parts = key.split('~');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (escaped, rest) = part.split_at_checked(1)?;
        plain.push(match escaped {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        plain.push_str(rest);
    }
    Some(plain)
}
