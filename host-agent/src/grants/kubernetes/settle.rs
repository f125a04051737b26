//! A replacement over the object as it is: what it changes is judged, and what it may not change stays.

use std::ops::ControlFlow;

use serde_json::{Map, Value};

use super::{
    Access, Allowed, Denial, Namespace, Object, Request, Rule,
    asked::Asked,
    authorise::{judge_field, refuse_own_field},
    body::is_identity,
    miss::Miss,
    path::{self, Step},
    suggest::Written,
    touch::{Mode, Touch, is_effect_mark, walk},
};

/// What the API server keeps by itself, or sets: leaving it out changes nothing.
const KEPT: [&str; 6] =
    ["creationTimestamp", "generation", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"];

/// See [`Allowed::settle`].
pub(super) fn over(allowed: &Allowed, current: &Value, body: &Value) -> Result<Value, Denial> {
    let nowhere = Object { namespace: None, name: None };
    let at = allowed.at.as_ref().unwrap_or(&nowhere);
    let access = Access { kind: &allowed.kind, request: Request::Replace { at, body } };
    let asked = Asked::of(&access)?;
    let same = |key: &str| {
        body.get("metadata")
            .and_then(|it| it.get(key))
            .is_none_or(|said| current.get("metadata").and_then(|it| it.get(key)) == Some(said))
    };
    if !same("resourceVersion") || !same("uid") {
        return Err(Denial::conflict(
            asked.refused(&allowed.plugin, "the object is not the version any more that is replaced"),
        ));
    }
    let own = allowed.own.as_deref();
    if own.is_some_and(|own| own.knows(&allowed.kind, current)) {
        let why = super::own::refusal("it is the agent's own");
        return Err(Denial::denied(asked.refused(&allowed.plugin, &why), None));
    }
    let (mut written, mut nearest) = (Written::default(), Miss::Rules);
    for rule in &allowed.rules {
        let mut overlay = Overlay { allowed, rule, path: Vec::new(), written: &mut written, refused: None, miss: None };
        let settled = overlay.merge(current, body);
        match (overlay.refused, overlay.miss) {
            (Some(why), _) => return Err(Denial::denied(asked.refused(&allowed.plugin, &why), None)),
            (None, None) => return Ok(settled),
            (None, Some(miss)) => nearest = nearest.or_nearer(miss),
        }
    }
    Err(asked.denied(&allowed.plugin, &nearest, written))
}

/// One rule's reading of a replacement. It goes on after a miss, so that a denial's suggestion has every field.
struct Overlay<'a, 'w> {
    allowed: &'a Allowed,
    rule: &'a Rule,
    path: Vec<Step<'a>>,
    written: &'w mut Written,
    /// Why no rule can allow it.
    refused: Option<String>,
    /// What the rule lacks.
    miss: Option<Miss>,
}

impl<'a> Overlay<'a, '_> {
    fn judge(&mut self, touch: Touch<'_>) {
        let allowed = self.allowed;
        if path::is_hidden(touch.path) && self.refused.is_none() {
            self.refused = Some(format!("`{}` is never written by a plugin", path::shown(touch.path)));
        }
        self.written.add(&allowed.kind, touch.path);
        if let (Some(own), None) = (&allowed.own, &self.refused) {
            let namespace = allowed.at.as_ref().and_then(|at| at.namespace.as_ref()).map(Namespace::as_str);
            self.refused = refuse_own_field(own, &allowed.kind, namespace, &touch);
        }
        if let ControlFlow::Break(miss) = judge_field(self.rule, &allowed.kind, &touch) {
            self.miss = Some(self.miss.take().unwrap_or(Miss::Rules).or_nearer(miss));
        }
    }

    fn touch(&mut self) {
        let path = std::mem::take(&mut self.path);
        self.judge(Touch { path: &path, unseen: false });
        self.path = path;
    }

    /// `body`, and what stays of `current`.
    fn merge(&mut self, current: &'a Value, body: &'a Value) -> Value {
        match (current, body) {
            (Value::Object(current), Value::Object(body)) => self.merge_maps(current, body),
            _ => {
                if current != body {
                    self.touch();
                    // Inside what was there and inside what comes may be what has to be named.
                    self.walk(current);
                    self.walk(body);
                }
                body.clone()
            }
        }
    }

    fn merge_maps(&mut self, current: &'a Map<String, Value>, body: &'a Map<String, Value>) -> Value {
        let mut merged = Map::new();
        for (key, said) in body {
            self.path.push(Step::Key(key));
            let value = match current.get(key) {
                // Which object it is was checked, and which call replaced it says nothing else.
                _ if is_identity(&self.path) || is_effect_mark(&self.path, said) => said.clone(),
                Some(current) => self.merge(current, said),
                None => {
                    self.walk(said);
                    said.clone()
                }
            };
            self.path.pop();
            merged.insert(key.clone(), value);
        }
        for (key, value) in current.iter().filter(|(key, _)| !body.contains_key(*key)) {
            self.path.push(Step::Key(key));
            let stays = self.remainder(value);
            self.path.pop();
            merged.extend(stays.map(|value| (key.clone(), value)));
        }
        if let [Step::Key("metadata")] = self.path.as_slice() {
            // The API server keeps these where nothing is said.
            merged.remove("managedFields");
        }
        Value::Object(merged)
    }

    /// What stays of a value that the body leaves out.
    fn remainder(&mut self, value: &'a Value) -> Option<Value> {
        let kept = matches!(self.path.as_slice(), [Step::Key("metadata"), Step::Key(key)] if KEPT.contains(key));
        if kept || is_identity(&self.path) {
            return Some(value.clone());
        }
        if let Value::Object(map) = value
            && !map.is_empty()
        {
            let mut stays = Map::new();
            for (key, value) in map {
                self.path.push(Step::Key(key));
                stays.extend(self.remainder(value).map(|value| (key.clone(), value)));
                self.path.pop();
            }
            return (!stays.is_empty()).then_some(Value::Object(stays));
        }
        if self.rule.write.writes(&self.path) && !self.names_more(value) {
            self.touch();
            return None;
        }
        Some(value.clone())
    }

    /// Whether a list holds what the rule would have to name.
    fn names_more(&mut self, value: &'a Value) -> bool {
        let (rule, depth) = (self.rule, self.path.len());
        let judged = walk(value, Mode::Create, &mut self.path, &mut |touch| {
            let named = path::named_at(touch.path).is_some() && !rule.write.writes(touch.path);
            if named { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.path.truncate(depth);
        judged.is_break()
    }

    /// Judges everything in a value.
    fn walk(&mut self, value: &'a Value) {
        let mut path = std::mem::take(&mut self.path);
        let _: ControlFlow<()> = walk(value, Mode::Create, &mut path, &mut |touch| {
            self.judge(touch);
            ControlFlow::Continue(())
        });
        self.path = path;
    }
}
