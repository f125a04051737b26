//! The contract's writes, as an API server takes them.

use serde_json::{Value, json};

use super::{
    Kind, State,
    answers::{locate, missing_cluster, scale_of},
    begin_write,
    failure::said,
    kind::missing,
    patch as patches,
    select::Options,
    store::Key,
    with,
};
use crate::{Error, kubernetes::Object};

pub(crate) fn create(target: &Object, body: &str, options: &str) -> Result<String, Error> {
    let lost = begin_write("create", target)?;
    let (kind, mut key) = locate(target)?;
    let (mut body, options) = (parsed(body)?, Options::parse(options)?);
    let made = with(|state| {
        if target.resource.subresource == "eviction" {
            return evict(state, &kind, &key, &body);
        }
        if key.name.is_empty() {
            let prefix = body.pointer("/metadata/generateName").and_then(Value::as_str).map(str::to_owned);
            let prefix = prefix.ok_or_else(|| said("invalid", 422, "Invalid", "name or generateName is required"))?;
            key.name = state.store.name_from(&prefix);
        }
        if state.store.get(&key).is_some() {
            return Err(said(
                "exists",
                409,
                "AlreadyExists",
                format!("{} \"{}\" already exists", kind.plural, key.name),
            ));
        }
        if let Some(metadata) = body.pointer_mut("/metadata").and_then(Value::as_object_mut) {
            metadata.remove("resourceVersion");
        }
        Ok(store(state, &kind, &key, body, &options))
    });
    settle(made, lost, &options)
}

pub(crate) fn apply(target: &Object, body: &str, options: &str) -> Result<String, Error> {
    let lost = begin_write("apply", target)?;
    let (kind, key) = locate(target)?;
    let (body, options) = (parsed(body)?, Options::parse(options)?);
    let made = with(|state| {
        let mut object = state.store.get(&key).cloned().unwrap_or_else(|| json!({}));
        patches::merge_named(&mut object, &body);
        Ok(store(state, &kind, &key, object, &options))
    });
    settle(made, lost, &options)
}

pub(crate) fn replace(target: &Object, body: &str, options: &str) -> Result<String, Error> {
    let lost = begin_write("replace", target)?;
    let (kind, key) = locate(target)?;
    let (body, options) = (parsed(body)?, Options::parse(options)?);
    let made = with(|state| {
        let before = state.store.get(&key).ok_or_else(|| missing(&kind, &key.name))?;
        let version = body.pointer("/metadata/resourceVersion");
        let version = version.ok_or_else(|| Error::invalid("`metadata.resourceVersion` is missing in the body"))?;
        if Some(version) != before.pointer("/metadata/resourceVersion") {
            return Err(modified(&kind, &key));
        }
        Ok(store(state, &kind, &key, body.clone(), &options))
    });
    settle(made, lost, &options)
}

pub(crate) fn patch(target: &Object, patch_type: &str, body: &str, options: &str) -> Result<String, Error> {
    let lost = begin_write("patch", target)?;
    let (kind, key) = locate(target)?;
    let (body, options) = (parsed(body)?, Options::parse(options)?);
    let made = with(|state| {
        let before = state.store.get(&key).ok_or_else(|| missing(&kind, &key.name))?;
        let after = match patch_type {
            "json" => patches::json(before, &body)?,
            "strategic" => {
                let mut after = before.clone();
                patches::merge_named(&mut after, &body);
                after
            }
            _ => {
                let mut after = before.clone();
                patches::merge(&mut after, &body);
                after
            }
        };
        let version = |object: &Value| object.pointer("/metadata/resourceVersion").cloned();
        if version(&after) != version(before) {
            return Err(modified(&kind, &key));
        }
        let stored = store(state, &kind, &key, after, &options);
        Ok(if target.resource.subresource == "scale" { scale_of(&stored) } else { stored })
    });
    settle(made, lost, &options)
}

pub(crate) fn remove(target: &Object, options: &str) -> Result<String, Error> {
    let lost = begin_write("delete", target)?;
    let (kind, key) = locate(target)?;
    let options = Options::parse(options)?;
    let removed = with(|state| {
        let uid = options.uid.as_deref();
        let version = options.resource_version.as_deref();
        take(state, &kind, &key, uid, version, options.dry_run)
    });
    settle(removed, lost, &Options::default())
}

fn store(state: &mut State, kind: &Kind, key: &Key, object: Value, options: &Options) -> Value {
    if options.dry_run { object } else { state.store.put(kind, key, object) }
}

fn take(
    state: &mut State,
    kind: &Kind,
    key: &Key,
    uid: Option<&str>,
    version: Option<&str>,
    dry_run: bool,
) -> Result<Value, Error> {
    let before = state.store.get(key).ok_or_else(|| missing(kind, &key.name))?;
    let of = |pointer| before.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let another = |wanted: Option<&str>, pointer| wanted.is_some_and(|wanted| wanted != of(pointer));
    if another(uid, "/metadata/uid") || another(version, "/metadata/resourceVersion") {
        return Err(modified(kind, key));
    }
    let held = before.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(|held| !held.is_empty());
    let uid = of("/metadata/uid");
    if held && !dry_run {
        let mut object = before.clone();
        if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
            metadata.insert("deletionTimestamp".to_owned(), json!("2026-01-01T00:00:01Z"));
        }
        return Ok(state.store.put(kind, key, object));
    }
    if !dry_run {
        state.store.take(key);
    }
    let details = json!({"name": key.name, "kind": kind.plural, "uid": uid});
    Ok(json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "details": details}))
}

fn evict(state: &mut State, kind: &Kind, key: &Key, body: &Value) -> Result<Value, Error> {
    let uid = body.pointer("/deleteOptions/preconditions/uid").and_then(Value::as_str);
    take(state, kind, key, uid, None, false)?;
    Ok(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
}

fn settle(made: Option<Result<Value, Error>>, lost: Option<Error>, options: &Options) -> Result<String, Error> {
    let object = made.unwrap_or_else(|| Err(missing_cluster()))?;
    lost.map_or_else(|| Ok(options.shown(&object).to_string()), Err)
}

fn parsed(body: &str) -> Result<Value, Error> {
    serde_json::from_str(body).map_err(|error| Error::invalid(format!("the body is not JSON: {error}")))
}

fn modified(kind: &Kind, key: &Key) -> Error {
    let message =
        format!("Operation cannot be fulfilled on {} \"{}\": the object has been modified", kind.plural, key.name);
    said("conflict", 409, "Conflict", message)
}
