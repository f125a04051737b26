//! What was allowed: where a request goes, and what of its answer the guest may see.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use super::{
    Denial, Kind, Mask, Namespaces, Object, Own, Request, Rule, Scope, Verb,
    asked::{Asked, Place},
    mask, settle, status,
};

/// A request that may be sent. It holds for this one request: grants are asked again at every host call.
#[derive(Clone, Debug)]
pub struct Allowed {
    pub(super) plugin: String,
    pub(super) kind: Kind,
    pub(super) verb: Verb,
    /// The one object that it is about; none: several.
    pub(super) at: Option<Object>,
    visits: Visits,
    /// Those that each cover the whole request.
    pub(super) rules: Vec<Arc<Rule>>,
    /// None: a built-in plugin asks, and sees these too.
    pub(super) own: Option<Arc<Own>>,
}

/// Where a list or a watch goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visits {
    /// A cluster-scoped kind.
    Cluster,
    /// Every namespace in one request: the grant says `*`.
    All,
    /// These, each with a request of its own.
    Namespaces(BTreeSet<String>),
}

impl Allowed {
    pub(super) fn new(asked: &Asked<'_>, plugin: &str, rules: Vec<Arc<Rule>>, own: Option<Arc<Own>>) -> Self {
        let visits = match &asked.place {
            Place::One { namespace: None, .. } | Place::Many(Scope::Cluster) => Visits::Cluster,
            Place::One { namespace: Some(namespace), .. } => Visits::Namespaces([(*namespace).to_owned()].into()),
            Place::Many(Scope::Namespace(namespace)) => Visits::Namespaces([namespace.to_string()].into()),
            Place::Many(Scope::Granted) => granted(&rules),
        };
        let at = match asked.request {
            Request::List { .. } | Request::Watch { .. } => None,
            Request::Get { at, .. }
            | Request::ReadStream { at }
            | Request::Connect { at }
            | Request::Create { at, .. }
            | Request::Apply { at, .. }
            | Request::Replace { at, .. }
            | Request::Patch { at, .. }
            | Request::Delete { at } => Some((*at).clone()),
        };
        Self { plugin: plugin.to_owned(), kind: asked.kind.clone(), verb: asked.verb, at, visits, rules, own }
    }

    /// The verb that was granted.
    #[must_use]
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// Where a list or a watch goes.
    #[must_use]
    pub fn visits(&self) -> &Visits {
        &self.visits
    }

    /// An object of the answer as the guest may see it; none: it is not granted, and is left out as if it were not there.
    /// Every item, every event's object and every answer to a write goes through here. A `Status` is cut by
    /// [`Allowed::show_status`].
    #[must_use]
    pub fn show(&self, object: Value) -> Option<Value> {
        if self.kind.kind != "Status" && object.get("kind").and_then(Value::as_str) == Some("Status") {
            return Some(self.show_status(object));
        }
        if self.own.as_ref().is_some_and(|own| own.knows(&self.kind, &object)) {
            return None;
        }
        let rules: Vec<&Rule> = match &self.at {
            Some(_) => self.rules.iter().map(|rule| &**rule).collect(),
            None => self.rules_of(&object)?,
        };
        Some(mask::show(object, rules.iter().map(|rule| &rule.read)))
    }

    /// An error's or an act's `Status` as the guest may see it. Its message may hold any field of the object, so that it is
    /// cut where not all of them may be read.
    #[must_use]
    pub fn show_status(&self, status: Value) -> Value {
        let masks: Vec<&Mask> = self.rules.iter().map(|rule| &rule.read).collect();
        status::show(status, &masks)
    }

    /// Narrows what [`Allowed::show`] gave to what the guest wants to see.
    #[must_use]
    pub fn project(&self, object: Value, fields: &Mask) -> Value {
        mask::show(object, std::iter::once(fields))
    }

    /// Whether it is a replacement, which must be settled over the object as it is.
    #[must_use]
    pub fn needs_current(&self) -> bool {
        self.verb == Verb::Update
    }

    /// What is sent for a replacement: `body`, with everything that the plugin may not change as it is in `current`.
    ///
    /// A replacement removes what it leaves out: an owner, a finalizer, a key that the plugin cannot even see. So it is
    /// judged by what it changes, and what it leaves out without the right to remove it stays.
    ///
    /// # Errors
    /// `denied` for a change that no rule covers, `conflict` where `current` is not the version that the body names.
    pub fn settle(&self, current: &Value, body: &Value) -> Result<Value, Denial> {
        settle::over(self, current, body)
    }

    /// The rules that hold for an item of a list; none: it is left out.
    fn rules_of(&self, object: &Value) -> Option<Vec<&Rule>> {
        let metadata = object.get("metadata")?;
        let name = metadata.get("name")?.as_str()?;
        let namespace = metadata.get("namespace").and_then(Value::as_str);
        if self.own.as_ref().is_some_and(|own| own.holds(self.verb, &self.kind, namespace, Some(name))) {
            return None;
        }
        let covers = |rule: &&Rule| rule.covers_namespace(namespace) && rule.covers_name(name);
        let rules: Vec<_> = self.rules.iter().map(|rule| &**rule).filter(covers).collect();
        (!rules.is_empty()).then_some(rules)
    }
}

/// The namespaces of all rules together.
fn granted(rules: &[Arc<Rule>]) -> Visits {
    let mut names = BTreeSet::new();
    for rule in rules {
        match &rule.namespaces {
            Namespaces::All => return Visits::All,
            Namespaces::These(these) => names.extend(these.iter().cloned()),
        }
    }
    Visits::Namespaces(names)
}
