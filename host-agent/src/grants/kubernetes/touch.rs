//! Which fields a body or a patch sets, changes or removes. Everything that a write is judged by goes through here.

use std::ops::ControlFlow;

use serde_json::{Map, Value};

use super::{
    Invalid, Patch,
    body::is_identity,
    patch::{Op, Parts},
    path::{Path, Step, is},
    shape::shown,
};

/// A field that a write touches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch<'p> {
    /// With everything below it.
    pub(super) path: &'p Path<'p>,
    /// What it becomes is taken from elsewhere in the object, and not known here.
    pub(super) unseen: bool,
}

/// Ends with the first touch that is refused.
pub(super) type Judge<'j, B> = &'j mut dyn FnMut(Touch<'_>) -> ControlFlow<B>;

/// How a body is merged into what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing is there: a list is made of its elements.
    Create,
    /// Keys are merged, a list may take the place of the whole list that was there.
    Merge,
    /// As [`Mode::Merge`], with the directives of a strategic merge patch.
    Strategic,
}

/// Which call created or replaced an object.
const EFFECT_MARK: [&str; 3] = ["metadata", "annotations", "claiflow.io/effect-key"];
const EFFECT_KEY_BYTES: usize = 32;
const DIRECTIVES: [&str; 2] = ["$patch", "$retainKeys"];
const FIELD_DIRECTIVES: [&str; 2] = ["$setElementOrder/", "$deleteFromPrimitiveList/"];

/// Every field of a body.
pub(super) fn of_body<B>(body: &Value, mode: Mode, judge: Judge<'_, B>) -> ControlFlow<B> {
    let mut path = Vec::new();
    walk(body, mode, &mut path, judge)
}

/// Every field that a patch changes. A `test` changes none.
pub(super) fn of_patch<'a, B>(patch: &'a Patch, judge: Judge<'_, B>) -> ControlFlow<B> {
    let operations = match patch.parts() {
        Parts::Merge => return of_body(patch.value(), Mode::Merge, judge),
        Parts::Strategic => return of_body(patch.value(), Mode::Strategic, judge),
        Parts::Operations(operations) => operations,
    };
    for (index, operation) in operations.iter().enumerate() {
        let mut path: Vec<Step<'a>> = steps(&operation.path);
        match operation.op {
            Op::Test => {}
            Op::Remove => judge(Touch { path: &path, unseen: false })?,
            Op::Add | Op::Replace => {
                // Naming the version that is meant is no write, just as in a body.
                if !precondition(&path, patch.operand(index)) {
                    judge(Touch { path: &path, unseen: false })?;
                }
                if let Some(value) = patch.operand(index) {
                    walk_below(value, &mut path, judge)?;
                }
            }
            Op::Copy | Op::Move => {
                judge(Touch { path: &path, unseen: true })?;
                if let (Op::Move, Some(from)) = (operation.op, &operation.from) {
                    judge(Touch { path: &steps(from), unseen: false })?;
                }
            }
        }
    }
    ControlFlow::Continue(())
}

/// Every field of a patch that its sender learns something of: `from` is copied to where it can be seen, `test` says
/// whether a guess is right.
pub(super) fn looks_of<B>(patch: &Patch, look: &mut dyn FnMut(&Path<'_>) -> ControlFlow<B>) -> ControlFlow<B> {
    let Parts::Operations(operations) = patch.parts() else { return ControlFlow::Continue(()) };
    for operation in operations {
        if let Some(from) = &operation.from {
            look(&steps(from))?;
        }
        if operation.op == Op::Test {
            look(&steps(&operation.path))?;
        }
    }
    ControlFlow::Continue(())
}

/// Whether a strategic merge patch has only directives that are known here.
pub(super) fn check_directives(value: &Value) -> Result<(), Invalid> {
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            let known = DIRECTIVES.contains(&key.as_str()) || FIELD_DIRECTIVES.iter().any(|it| key.starts_with(it));
            if key.starts_with('$') && !known {
                let known = [DIRECTIVES, FIELD_DIRECTIVES].concat().join(", ");
                return Err(Invalid::new("patch", format!("the directive `{}` is none of {known}", shown(key))));
            }
            check_directives(value)
        }),
        Value::Array(items) => items.iter().try_for_each(check_directives),
        _ => Ok(()),
    }
}

pub(super) fn walk<'a, B>(
    value: &'a Value,
    mode: Mode,
    path: &mut Vec<Step<'a>>,
    judge: Judge<'_, B>,
) -> ControlFlow<B> {
    match value {
        Value::Object(map) => walk_map(map, mode, path, judge),
        Value::Array(items) => {
            if mode != Mode::Create || items.is_empty() {
                judge(Touch { path, unseen: false })?;
            }
            path.push(Step::Element);
            for item in items {
                walk(item, mode, path, judge)?;
            }
            path.pop();
            ControlFlow::Continue(())
        }
        _ => judge(Touch { path, unseen: false }),
    }
}

fn walk_map<'a, B>(
    map: &'a Map<String, Value>,
    mode: Mode,
    path: &mut Vec<Step<'a>>,
    judge: Judge<'_, B>,
) -> ControlFlow<B> {
    // An empty `metadata` says nothing; other empty maps do, such as a selector of everything.
    if map.is_empty() && !matches!(path.as_slice(), [] | [.., Step::Key("metadata")]) {
        judge(Touch { path, unseen: false })?;
    }
    for (key, value) in map {
        if mode == Mode::Strategic && key.starts_with('$') {
            let field = FIELD_DIRECTIVES.iter().find_map(|directive| key.strip_prefix(directive));
            path.extend(field.map(Step::Key));
            judge(Touch { path, unseen: false })?;
            path.truncate(path.len() - usize::from(field.is_some()));
            continue;
        }
        path.push(Step::Key(key));
        let free = mode == Mode::Create && (is(path, &["metadata", "generateName"]) || is_effect_mark(path, value));
        if !free && !is_identity(path) {
            walk(value, mode, path, judge)?;
        }
        path.pop();
    }
    ControlFlow::Continue(())
}

/// What a value that takes a field's place holds: the field is judged already, what has to be named inside it is not.
fn walk_below<'a, B>(value: &'a Value, path: &mut Vec<Step<'a>>, judge: Judge<'_, B>) -> ControlFlow<B> {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                path.push(Step::Key(key));
                if key != "metadata" {
                    judge(Touch { path, unseen: false })?;
                }
                walk_below(value, path, judge)?;
                path.pop();
            }
        }
        Value::Array(items) => {
            path.push(Step::Element);
            for item in items {
                walk_below(item, path, judge)?;
            }
            path.pop();
        }
        _ => {}
    }
    ControlFlow::Continue(())
}

/// Whether it is the one annotation that needs no naming: which call made the object, by which `verify` knows it again.
pub(super) fn is_effect_mark(path: &Path<'_>, value: &Value) -> bool {
    let is_key = |text: &str| text.len() == EFFECT_KEY_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is(path, &EFFECT_MARK) && value.as_str().is_some_and(is_key)
}

pub(super) fn precondition(path: &Path<'_>, value: Option<&Value>) -> bool {
    let version = is(path, &["metadata", "resourceVersion"]) || is(path, &["metadata", "uid"]);
    version && value.and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

pub(super) fn steps(keys: &[String]) -> Vec<Step<'_>> {
    keys.iter().map(|key| Step::Key(key)).collect()
}
