//! The contract's reads, answered by what is played.

use std::{cell::RefCell, collections::VecDeque, time::Duration};

use serde_json::{Value, json};

use super::{
    Kind, begin,
    kind::{check_place, missing, of_resource},
    outside, pass_until,
    select::Options,
    store::Key,
    with,
};
pub(crate) use super::{
    programs::{Execution, exec},
    writes::{apply, create, patch, remove, replace},
};
use crate::{
    Error,
    kubernetes::{Object, Resource, Scope},
};

pub(crate) fn resources() -> Result<String, Error> {
    begin("resources", "")?;
    let kinds = with(|state| state.kinds.clone()).unwrap_or_default();
    let granted = kinds.iter().map(|kind| {
        json!({
            "group": kind.group, "version": kind.version, "plural": kind.plural, "kind": kind.kind,
            "namespaced": kind.namespaced, "verbs": ["get", "list", "watch"], "namespaces": ["*"], "names": [],
        })
    });
    Ok(Value::from_iter(granted).to_string())
}

pub(crate) fn get(target: &Object, options: &str) -> Result<String, Error> {
    let lost = begin("get", &target.to_string())?;
    let (kind, key) = locate(target)?;
    let options = Options::parse(options)?;
    let object = with(|state| state.store.get(&key).cloned()).flatten().ok_or_else(|| missing(&kind, &key.name))?;
    let object = if target.resource.subresource == "scale" { scale_of(&object) } else { object };
    lost.map_or_else(|| Ok(options.shown(&object).to_string()), Err)
}

pub(crate) fn list(target: &Resource, scope: &Scope, options: &str) -> Result<Listing, Error> {
    begin("list", &asked(target, scope))?;
    let (namespace, options) = (place(target, scope)?, Options::parse(options)?);
    let mut found: VecDeque<Value> = named(target, &namespace, &options)?.into();
    found.truncate(options.limit.unwrap_or(usize::MAX));
    Ok(Listing { items: RefCell::new(found) })
}

/// Pages of two, so that a test has several.
pub(crate) struct Listing {
    items: RefCell<VecDeque<Value>>,
}

impl Listing {
    pub(crate) fn next(&self) -> Result<Option<String>, Error> {
        let mut items = self.items.borrow_mut();
        let page: Vec<Value> = (0..2).filter_map(|_| items.pop_front()).collect();
        Ok((!page.is_empty()).then(|| Value::Array(page).to_string()))
    }
}

pub(crate) fn watch(target: &Resource, scope: &Scope, options: &str) -> Result<Watching, Error> {
    begin("watch", &asked(target, scope))?;
    let (namespace, options) = (place(target, scope)?, Options::parse(options)?);
    let now = with(|state| state.store.revision()).unwrap_or_default();
    let since = options.resource_version.as_deref().and_then(|version| version.parse().ok());
    let first = match since {
        Some(_) => Vec::new(),
        None => named(target, &namespace, &options)?
            .into_iter()
            .map(|object| json!({"type": "ADDED", "object": object}))
            .collect(),
    };
    let seen = RefCell::new((since.unwrap_or(now), first));
    Ok(Watching { plural: target.plural.to_string(), namespace, options, seen })
}

pub(crate) struct Watching {
    plural: String,
    namespace: String,
    options: Options,
    /// The last version that was told, and what is to be told at once.
    seen: RefCell<(u64, Vec<Value>)>,
}

impl Watching {
    pub(crate) fn next(&self, timeout_ms: u32) -> Result<String, Error> {
        if let Some(error) = begin("watch next", &self.plural)? {
            return Err(error);
        }
        let end = outside::slept() + Duration::from_millis(timeout_ms.into());
        loop {
            let events = self.events()?;
            if !events.is_empty() || outside::slept() >= end {
                return Ok(Value::Array(events).to_string());
            }
            // On to the next thing that happens, or to the end.
            let next = with(|state| state.later.first().map(|(when, _)| *when)).flatten();
            let next = next.unwrap_or(end).min(end);
            pass_until(next);
            outside::set_slept(next.max(outside::slept()));
        }
    }

    fn events(&self) -> Result<Vec<Value>, Error> {
        let mut seen = self.seen.borrow_mut();
        let mut events = std::mem::take(&mut seen.1);
        let changes = with(|state| state.store.changes_since(seen.0).cloned().collect::<Vec<_>>()).unwrap_or_default();
        for change in changes {
            seen.0 = change.revision;
            let here = change.key.plural == self.plural
                && (self.namespace.is_empty() || change.key.namespace == self.namespace);
            if here && self.options.name(&change.key, &change.object)? {
                events.push(json!({"type": change.what, "object": self.options.shown(&change.object)}));
            }
        }
        Ok(events)
    }
}

pub(crate) fn read_log(pod: &Object, options: &str) -> Result<ByteStream, Error> {
    begin("log", &pod.to_string())?;
    let (kind, key) = locate(pod)?;
    let options = Options::parse(options)?;
    with(|state| {
        state.store.get(&key).ok_or_else(|| missing(&kind, &key.name))?;
        let text = state.logs.get(&format!("{}/{}", key.namespace, key.name)).cloned().unwrap_or_default();
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let first = lines.len().saturating_sub(options.tail_lines.unwrap_or(usize::MAX));
        Ok(ByteStream { bytes: RefCell::new(lines.iter().skip(first).copied().flatten().copied().collect()) })
    })
    .unwrap_or_else(|| Err(missing_cluster()))
}

pub(crate) struct ByteStream {
    bytes: RefCell<VecDeque<u8>>,
}

impl ByteStream {
    pub(crate) fn read(&self, max_bytes: u32, _timeout_ms: u32) -> Result<Option<Vec<u8>>, Error> {
        let mut bytes = self.bytes.borrow_mut();
        let piece = bytes.len().min(usize::try_from(max_bytes).unwrap_or(usize::MAX));
        Ok((piece > 0).then(|| bytes.drain(..piece).collect()))
    }
}

pub(super) fn locate(target: &Object) -> Result<(Kind, Key), Error> {
    let kind = with(|state| of_resource(&state.kinds, &target.resource)).unwrap_or_else(|| Err(missing_cluster()))?;
    check_place(&kind, target.namespace.as_deref())?;
    let key = Key::of(&kind.plural, target.namespace.as_deref().unwrap_or_default(), &target.name);
    Ok((kind, key))
}

fn place(target: &Resource, scope: &Scope) -> Result<String, Error> {
    let kind = with(|state| of_resource(&state.kinds, target)).unwrap_or_else(|| Err(missing_cluster()))?;
    match scope {
        Scope::Cluster => check_place(&kind, None).map(|()| String::new()),
        Scope::Namespace(namespace) => check_place(&kind, Some(namespace)).map(|()| namespace.clone()),
        Scope::Granted if kind.namespaced => Ok(String::new()),
        Scope::Granted => Err(Error::invalid(format!("{} lie in no namespace: the scope is `cluster`", kind.plural))),
    }
}

fn named(target: &Resource, namespace: &str, options: &Options) -> Result<Vec<Value>, Error> {
    let all: Vec<(Key, Value)> = with(|state| {
        state.store.all(&target.plural, namespace).map(|(key, object)| (key.clone(), object.clone())).collect()
    })
    .unwrap_or_default();
    let mut found = Vec::new();
    for (key, object) in all {
        if options.name(&key, &object)? {
            found.push(options.shown(&object));
        }
    }
    Ok(found)
}

fn asked(target: &Resource, scope: &Scope) -> String {
    match scope {
        Scope::Cluster => target.to_string(),
        Scope::Namespace(namespace) => format!("{target} in {namespace}"),
        Scope::Granted => format!("{target} in every granted namespace"),
    }
}

/// The `scale` of a workload; only its number of replicas is played.
pub(super) fn scale_of(object: &Value) -> Value {
    let at = |pointer: &str| object.pointer(pointer).cloned().unwrap_or(Value::Null);
    let metadata = ["name", "namespace", "uid", "resourceVersion"];
    let metadata = metadata.map(|field| (field.to_owned(), at(&format!("/metadata/{field}"))));
    json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": Value::from_iter(metadata),
        "spec": {"replicas": at("/spec/replicas")}, "status": {"replicas": at("/status/replicas")},
    })
}

pub(super) fn missing_cluster() -> Error {
    Error::new("denied", "no `testing::Cluster` plays the cluster in this test")
}
