//! Patches, as the API server lays them over an object.

use serde_json::{Map, Value};

use super::failure::said;
use crate::Error;

/// RFC 7386.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    match patch {
        Value::Object(patch) => merge_fields(target, patch, merge),
        _ => *target = patch.clone(),
    }
}

/// What is no object becomes one.
fn merge_fields(target: &mut Value, patch: &Map<String, Value>, merge: fn(&mut Value, &Value)) {
    let mut fields = match std::mem::take(target) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
    *target = Value::Object(fields);
}

/// As [`merge`], and lists of objects with a `name` are merged by it.
pub(super) fn merge_named(target: &mut Value, patch: &Value) {
    match patch {
        Value::Object(patch) => merge_fields(target, patch, merge_named),
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| item.get("name").is_some()) => {
            let Value::Array(present) = target else {
                *target = patch.clone();
                return;
            };
            for item in items {
                match present.iter_mut().find(|it| it.get("name") == item.get("name")) {
                    Some(same) => merge_named(same, item),
                    None => present.push(item.clone()),
                }
            }
        }
        _ => *target = patch.clone(),
    }
}

/// RFC 6902: all operations or none.
pub(super) fn json(target: &Value, operations: &Value) -> Result<Value, Error> {
    let mut result = target.clone();
    for operation in operations.as_array().into_iter().flatten() {
        let word = |key: &str| operation.get(key).and_then(Value::as_str).unwrap_or_default();
        let value = || operation.get("value").cloned().unwrap_or(Value::Null);
        match word("op") {
            "test" if result.pointer(word("path")) == operation.get("value") => {}
            "test" => return Err(refused(format!("testing path {} failed", word("path")))),
            "add" => add(&mut result, word("path"), value())?,
            "remove" => drop(remove(&mut result, word("path"))?),
            "replace" => {
                let place = result.pointer_mut(word("path"));
                *place.ok_or_else(|| refused(format!("replace: there is no {}", word("path"))))? = value();
            }
            "move" => {
                let moved = remove(&mut result, word("from"))?;
                add(&mut result, word("path"), moved)?;
            }
            "copy" => {
                let copied = result.pointer(word("from")).cloned();
                let copied = copied.ok_or_else(|| refused(format!("copy: there is no {}", word("from"))))?;
                add(&mut result, word("path"), copied)?;
            }
            other => return Err(refused(format!("there is no operation {other}"))),
        }
    }
    Ok(result)
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), Error> {
    let missing = || refused(format!("add: there is no place {path}"));
    let (parent, last) = path.rsplit_once('/').ok_or_else(missing)?;
    match target.pointer_mut(parent).ok_or_else(missing)? {
        Value::Object(map) => {
            map.insert(unescaped(last), value);
        }
        Value::Array(list) if last == "-" => list.push(value),
        Value::Array(list) => {
            let index = last.parse().ok().filter(|index| *index <= list.len()).ok_or_else(missing)?;
            list.insert(index, value);
        }
        _ => return Err(missing()),
    }
    Ok(())
}

fn remove(target: &mut Value, path: &str) -> Result<Value, Error> {
    let missing = || refused(format!("remove: there is no {path}"));
    let (parent, last) = path.rsplit_once('/').ok_or_else(missing)?;
    match target.pointer_mut(parent).ok_or_else(missing)? {
        Value::Object(map) => map.remove(&unescaped(last)).ok_or_else(missing),
        Value::Array(list) => {
            let index = last.parse().ok().filter(|index| *index < list.len()).ok_or_else(missing)?;
            Ok(list.remove(index))
        }
        _ => Err(missing()),
    }
}

fn unescaped(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

fn refused(message: String) -> Error {
    said(
        "invalid",
        422,
        "Invalid",
        format!("the server rejected our request due to an error in our request: {message}"),
    )
}

#[cfg(test)]
mod tests {
    use super::{json, merge, merge_named};
    use serde_json::json as value;

    #[test]
    fn patches_are_those_of_their_rfcs() {
        let before = value!({"a": {"b": 1, "c/d": 2}, "l": [{"name": "x", "v": 1}, {"name": "y"}]});
        let mut merged = before.clone();
        merge(&mut merged, &value!({"a": {"b": null, "e": {"f": 3}}, "l": [1]}));
        assert_eq!(merged, value!({"a": {"c/d": 2, "e": {"f": 3}}, "l": [1]}));
        let mut merged = before.clone();
        merge_named(&mut merged, &value!({"l": [{"name": "x", "v": 2}, {"name": "z"}]}));
        assert_eq!(merged["l"], value!([{"name": "x", "v": 2}, {"name": "y"}, {"name": "z"}]));

        let operations = value!([
            {"op": "test", "path": "/a/b", "value": 1},
            {"op": "add", "path": "/l/1", "value": "new"},
            {"op": "add", "path": "/l/-", "value": "last"},
            {"op": "replace", "path": "/a/c~1d", "value": 7},
            {"op": "move", "from": "/a/b", "path": "/m"},
            {"op": "copy", "from": "/m", "path": "/n"},
            {"op": "remove", "path": "/l/0"},
        ]);
        let after = json(&before, &operations).unwrap();
        assert_eq!(after, value!({"a": {"c/d": 7}, "l": ["new", {"name": "y"}, "last"], "m": 1, "n": 1}));
        for operation in [
            value!({"op": "test", "path": "/a/b", "value": 2}),
            value!({"op": "remove", "path": "/x"}),
            value!({"op": "add", "path": "/l/9", "value": 1}),
            value!({"op": "replace", "path": "/x/y", "value": 1}),
            value!({"op": "copy", "from": "/x", "path": "/y"}),
        ] {
            let error = json(&before, &value!([operation])).unwrap_err();
            assert_eq!((error.code(), error.status()), ("invalid", Some(422)), "{operation}");
        }
    }
}
