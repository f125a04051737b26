//! Fields by path: what a rule lets a plugin read or write.
//!
//! A path is keys with dots between them, and stands for everything below it. `*` is any key, or any element of a list;
//! a list that an object really holds may also be passed over. The rest of a path may be one key that has dots itself,
//! as in `metadata.annotations.example.com/owner`.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::{
    Invalid,
    path::{self, Path, Step},
};

const PATHS_MAX: usize = 128;
const PATH_MAX_BYTES: usize = 512;
const KEYS_MAX: usize = 32;

/// A set of fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// As written; none: everything.
    texts: Option<Vec<String>>,
    root: Arc<Node>,
}

/// A key that some path passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// A path ends here: everything below belongs to the mask.
    whole: bool,
    keys: BTreeMap<String, Node>,
    any: Option<Box<Node>>,
}

impl Mask {
    /// The set of every field.
    #[must_use]
    pub fn everything() -> Self {
        Self { texts: None, root: Arc::new(Node { whole: true, ..Node::default() }) }
    }

    /// The fields of these paths and everything below them.
    ///
    /// # Errors
    /// Which path is none, and why.
    pub fn parse(texts: &[String]) -> Result<Self, Invalid> {
        if texts.len() > PATHS_MAX {
            return Err(Invalid::new("fields", format!("there are {} paths; at most {PATHS_MAX}", texts.len())));
        }
        let mut root = Node::default();
        for (index, text) in texts.iter().enumerate() {
            let keys = keys(text).map_err(|reason| Invalid::new(format!("fields[{index}]"), reason))?;
            root.insert(&keys, 0);
        }
        Ok(Self { texts: Some(texts.to_vec()), root: Arc::new(root) })
    }

    /// Whether it is [`Mask::everything`].
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.texts.is_none()
    }

    /// The paths as they were written; empty for everything.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        self.texts.as_deref().unwrap_or_default()
    }

    /// Whether a guest may learn the whole of a field.
    pub(super) fn reads(&self, path: &Path<'_>) -> bool {
        !path::is_hidden(path) && !path::holds_metadata(path) && self.reaches(path, None)
    }

    /// Whether a guest may set or remove the whole of a field.
    pub(super) fn writes(&self, path: &Path<'_>) -> bool {
        let named = match path {
            // The object and its `metadata` hold more than any rule can name.
            [] | [Step::Key("metadata")] => return false,
            // The whole `metadata` of a template holds its annotations.
            [above @ .., Step::Key("metadata")] => path::named_at(path).or(Some(above.len())),
            _ => path::named_at(path),
        };
        !path::is_hidden(path) && self.reaches(path, named)
    }

    /// Whether a path of the mask leads to the field or above it. `named`: it has to pass that step by its own name.
    fn reaches(&self, path: &Path<'_>, named: Option<usize>) -> bool {
        let mut at = vec![&*self.root];
        for (index, step) in path.iter().enumerate() {
            if named.is_none_or(|named| index > named) && at.iter().any(|node| node.whole) {
                return true;
            }
            at = advance(&at, *step, named == Some(index));
        }
        at.iter().any(|node| node.whole)
    }
}

impl Node {
    fn insert(&mut self, keys: &[&str], depth: usize) {
        let Some((key, rest)) = keys.split_first() else {
            self.whole = true;
            return;
        };
        // Below the top, what is left may be one key with dots of its own.
        if depth > 0 && !rest.is_empty() && !keys.contains(&"*") {
            self.keys.entry(keys.join(".")).or_default().whole = true;
        }
        let next = if *key == "*" {
            self.any.get_or_insert_default()
        } else {
            self.keys.entry((*key).to_owned()).or_default()
        };
        next.insert(rest, depth + 1);
    }
}

fn advance<'m>(at: &[&'m Node], step: Step<'_>, by_name: bool) -> Vec<&'m Node> {
    let mut next = Vec::with_capacity(at.len());
    for node in at {
        match step {
            Step::Key(key) => next.extend(node.keys.get(key)),
            Step::Element => next.push(*node),
        }
        if !by_name {
            next.extend(node.any.as_deref());
        }
    }
    next
}

/// What an object shows through the union of these masks. `apiVersion` and `kind` stay: whoever asked named them.
pub(super) fn show<'m>(object: Value, masks: impl Iterator<Item = &'m Mask>) -> Value {
    let at: Vec<_> = masks.map(|mask| &*mask.root).collect();
    let mut shown = if at.iter().any(|node| node.whole) {
        object
    } else {
        let Value::Object(map) = object else { return Value::Null };
        let mut kept = Map::new();
        for (key, value) in map {
            if matches!(key.as_str(), "apiVersion" | "kind") {
                kept.insert(key, value);
            } else if let Some(value) = cut(value, &advance(&at, Step::Key(&key), false)) {
                kept.insert(key, value);
            }
        }
        Value::Object(kept)
    };
    hide(&mut shown);
    shown
}

/// What is left of a value; none: nothing of it.
fn cut(value: Value, at: &[&Node]) -> Option<Value> {
    if at.iter().any(|node| node.whole) {
        return Some(value);
    }
    if at.is_empty() {
        return None;
    }
    match value {
        Value::Object(map) => {
            let mut kept = Map::new();
            for (key, value) in map {
                if let Some(value) = cut(value, &advance(at, Step::Key(&key), false)) {
                    kept.insert(key, value);
                }
            }
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let at = advance(at, Step::Element, false);
            let kept: Vec<_> = items.into_iter().filter_map(|item| cut(item, &at)).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

/// Takes out what nobody sees, of templates inside too: who manages which field, and the last applied copy of the whole.
fn hide(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
                metadata.remove("managedFields");
                if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
                    annotations.remove(path::LAST_APPLIED);
                }
            }
            map.values_mut().for_each(hide);
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

/// Whether a path can stand in a mask.
pub(super) fn is_path(text: &str) -> bool {
    keys(text).is_ok()
}

/// The keys of a path as an operator or a guest writes it.
fn keys(text: &str) -> Result<Vec<&str>, String> {
    let shown = super::shape::shown(text);
    if text.is_empty() || text.len() > PATH_MAX_BYTES {
        return Err(format!("a path has 1 to {PATH_MAX_BYTES} bytes"));
    }
    if text.starts_with('/') {
        return Err(format!("`{shown}` is a JSON pointer; write it as spec.replicas"));
    }
    if text.contains(['[', ']']) {
        return Err(format!(
            "`{shown}` has an index; write `*` for the elements of a list, as in spec.containers.*.image"
        ));
    }
    let keys: Vec<_> = text.split('.').collect();
    if keys.len() > KEYS_MAX {
        return Err(format!("`{shown}` has {} keys; at most {KEYS_MAX}", keys.len()));
    }
    if keys.iter().any(|key| key.is_empty()) {
        return Err(format!("`{shown}` has an empty key; write it as spec.replicas"));
    }
    if keys.iter().any(|key| key.len() > 1 && key.contains('*')) {
        return Err(format!("`{shown}`: `*` stands for a whole key, not for a part of one"));
    }
    Ok(keys)
}
