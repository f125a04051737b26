//! `claiflow-agent suggest-grants`: the smallest entry of a grants file that allows what was recorded.
//!
//! Each recorded request is judged as the agent judges it, under no grant at all: the denial says which rule would allow it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use serde_json::Value;

use crate::{
    grants::{
        Grant,
        kubernetes::{
            Access, Caller, Kind, Mask, Name, Namespace, Object, Own, Patch, Request, Scope, Selectors, authorise,
        },
    },
    kubernetes::tape::{Exchange, Told},
};

use super::{Cassette, shown};

/// What a rule's suggestion says where a list goes over every granted namespace.
const ANY_NAMESPACE: &str = "NAMESPACE";

/// See [`super::Tool::SuggestGrants`].
#[derive(Args, Debug)]
#[command(
    after_help = "The entry has the pin of the file that was recorded, and one rule for what cannot be said together. Look at it before \
                        you use it: it allows what the plugin did, not what it should do.\n\nExamples:\n  \
                        claiflow-agent suggest-grants restart.yaml > grants.yaml\n  \
                        claiflow-agent suggest-grants restart.yaml scale.yaml"
)]
pub struct SuggestGrants {
    /// What `run --record` wrote, of one plugin.
    #[arg(required = true, value_name = "CASSETTE")]
    pub cassettes: Vec<PathBuf>,
}

impl SuggestGrants {
    pub(super) fn start(self) -> Result<bool, String> {
        let cassettes = self.cassettes.iter().map(|path| Cassette::read(path)).collect::<Result<Vec<_>, _>>()?;
        shown(suggested(&cassettes)?.trim_end())?;
        Ok(true)
    }
}

/// The entry, as a whole grants file.
///
/// # Errors
/// Where the cassettes are of several plugins, or hold what no grant can allow.
pub fn suggested(cassettes: &[Cassette]) -> Result<String, String> {
    let Some(first) = cassettes.first() else { return Err("there is no cassette".to_owned()) };
    if let Some(other) = cassettes.iter().find(|cassette| cassette.plugin != first.plugin) {
        return Err(format!(
            "the cassettes are of `{}` and of `{}`; one entry is of one plugin",
            first.plugin, other.plugin
        ));
    }
    if let Some(other) = cassettes.iter().find(|cassette| cassette.sha256 != first.sha256) {
        return Err(format!(
            "the cassettes are of two builds of `{}`, {} and {}; record them anew with one",
            first.plugin, first.sha256, other.sha256
        ));
    }
    let mut rules: Vec<Rule> = Vec::new();
    for cassette in cassettes {
        for (number, exchange) in cassette.calls.iter().enumerate().filter(|(_, call)| !call.asked_by_agent) {
            let rule = rule_of(cassette, exchange).map_err(|why| format!("call {}: {why}", number + 1))?;
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
    }
    let mut text = format!("plugins:\n  {}:\n    sha256: \"{}\"\n", first.plugin, first.sha256);
    let commands: BTreeSet<&str> = cassettes.iter().map(|cassette| cassette.command.as_str()).collect();
    let commands: Vec<_> = commands.iter().map(|command| format!("\"{command}\"")).collect();
    // Writing to text cannot fail.
    let _ = writeln!(text, "    commands: [{}]", commands.join(", "));
    if !rules.is_empty() {
        text.push_str("    kubernetes:\n");
    }
    for rule in joined(rules) {
        let _ = writeln!(text, "      - {rule}");
    }
    Ok(text)
}

/// A rule of the grants file by its keys; what is no list holds one element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rule(BTreeMap<String, BTreeSet<String>>);

/// In the order in which the documentation writes them.
const KEYS: [&str; 9] = ["groups", "resources", "verbs", "namespaces", "scope", "names", "dangerous", "read", "write"];
const SINGLE: [&str; 2] = ["scope", "dangerous"];

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |text: &String| {
            let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/'))
                && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
                    .contains(&text.to_lowercase().as_str());
            if plain { text.clone() } else { Value::from(text.as_str()).to_string() }
        };
        let keys = KEYS.into_iter().filter_map(|key| {
            let values = self.0.get(key)?;
            if SINGLE.contains(&key) {
                return values.first().map(|value| format!("{key}: {value}"));
            }
            Some(format!("{key}: [{}]", values.iter().map(word).collect::<Vec<_>>().join(", ")))
        });
        write!(f, "{{{}}}", keys.collect::<Vec<_>>().join(", "))
    }
}

/// Rules that differ in one list are one rule, and allow nothing more together. What another one allows too goes.
fn joined(mut rules: Vec<Rule>) -> Vec<Rule> {
    let mut at = 0;
    while let Some(rule) = rules.get(at).cloned() {
        let together =
            rules.iter().enumerate().skip(at + 1).find_map(|(index, other)| Some((index, rule.with(other)?)));
        match together {
            Some((index, both)) => {
                rules.remove(index);
                if let Some(place) = rules.get_mut(at) {
                    *place = both;
                }
                at = 0;
            }
            None => at += 1,
        }
    }
    rules
}

impl Rule {
    /// One rule that allows what both do and nothing else.
    fn with(&self, other: &Self) -> Option<Self> {
        if self.allows(other) {
            return Some(self.clone());
        }
        if other.allows(self) {
            return Some(other.clone());
        }
        let keys: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let mut differing = keys.into_iter().filter(|key| self.0.get(*key) != other.0.get(*key));
        let (Some(key), None) = (differing.next(), differing.next()) else { return None };
        // A list that is absent allows all, or nothing; and masks together show more than each.
        if SINGLE.contains(&key.as_str()) || ["read", "write"].contains(&key.as_str()) {
            return None;
        }
        let (ours, theirs) = (self.0.get(key)?, other.0.get(key)?);
        let mut both = self.clone();
        both.0.insert(key.clone(), ours.union(theirs).cloned().collect());
        Some(both)
    }

    /// Whether it allows everything that the other one does.
    fn allows(&self, other: &Self) -> bool {
        let holds = |key: &str| match (self.0.get(key), other.0.get(key)) {
            (Some(ours), Some(theirs)) => ours.is_superset(theirs),
            // Absent, these allow all.
            (None, _) if ["names", "read", "write"].contains(&key) => true,
            (Some(_), None) => key == "dangerous" || key == "scope" || key == "namespaces",
            (None, theirs) => theirs.is_none(),
        };
        KEYS.into_iter().all(holds)
    }
}

fn rule_of(cassette: &Cassette, exchange: &Exchange) -> Result<Rule, String> {
    let told = &exchange.request;
    let known = |told: &Told| {
        cassette
            .kinds
            .iter()
            .find(|kind| kind.group == told.group && kind.resource == told.resource && kind.version == told.version)
    };
    let kind = known(told).ok_or_else(|| format!("the cassette's `kinds` do not have `{}`", told.resource))?.kind();
    let allow = denied(&cassette.plugin, &kind, told, exchange.fields.as_deref())?;
    let wrong = |error: serde_yaml_ng::Error| format!("the rule that would allow it cannot be read: {error}");
    let yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(&allow).map_err(wrong)?;
    let json: Value = serde_json::to_value(yaml).map_err(|error| error.to_string())?;
    let entry = json.get("plugins").and_then(|plugins| plugins.get(&cassette.plugin));
    let rule = entry.and_then(|entry| entry.pointer("/kubernetes/0")).and_then(Value::as_object);
    let rule = rule.ok_or_else(|| format!("`{allow}` holds no rule"))?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut keys = BTreeMap::new();
    for (key, value) in rule {
        let values = match value {
            Value::Array(items) => items.iter().map(text).collect(),
            value => BTreeSet::from([text(value)]),
        };
        keys.insert(key.clone(), values);
    }
    // A list over all namespaces was allowed by `*`.
    if let Some(names) = keys.get_mut("namespaces")
        && names.remove(ANY_NAMESPACE)
    {
        names.insert("*".to_owned());
    }
    Ok(Rule(keys))
}

/// What the denial under no grant says would allow the request.
fn denied(plugin: &str, kind: &Kind, told: &Told, fields: Option<&[String]>) -> Result<String, String> {
    let invalid = |error: crate::grants::kubernetes::Invalid| error.to_string();
    let namespace = told.namespace.as_deref().map(Namespace::new).transpose().map_err(invalid)?;
    let name = told.name.as_deref().map(Name::new).transpose().map_err(invalid)?;
    let scope = match (&namespace, kind.namespaced) {
        (Some(namespace), _) => Scope::Namespace(namespace.clone()),
        (None, true) => Scope::Granted,
        (None, false) => Scope::Cluster,
    };
    let at = Object { namespace, name };
    let fields = fields.map(Mask::parse).transpose().map_err(invalid)?;
    let fields = fields.as_ref();
    let option = |key: &str| told.options.get(key).and_then(Value::as_str).unwrap_or_default();
    let selectors = Selectors::parse(option("label-selector"), option("field-selector")).map_err(invalid)?;
    let nothing = Value::Object(serde_json::Map::new());
    let body = told.body.as_ref().unwrap_or(&nothing);
    let patch = match told.verb.as_str() {
        "patch" => Some(Patch::parse(option("patch-type"), body.clone()).map_err(invalid)?),
        _ => None,
    };
    let request = match (told.verb.as_str(), told.resource.as_str(), &patch) {
        ("get", "pods/log", _) => Request::ReadStream { at: &at },
        ("create", "pods/exec", _) => Request::Connect { at: &at },
        ("get", ..) => Request::Get { at: &at, fields },
        ("list", ..) => Request::List { scope: &scope, selectors: &selectors, fields },
        ("watch", ..) => Request::Watch { scope: &scope, selectors: &selectors, fields },
        ("create", ..) => Request::Create { at: &at, body },
        ("apply", ..) => Request::Apply { at: &at, body, force: false },
        ("force-apply", ..) => Request::Apply { at: &at, body, force: true },
        ("update", ..) => Request::Replace { at: &at, body },
        ("patch", _, Some(patch)) => Request::Patch { at: &at, patch },
        ("delete", ..) => Request::Delete { at: &at },
        (verb, ..) => return Err(format!("`{verb}` is no verb of the grants file")),
    };
    let (own, grant) = (Arc::new(Own::default()), Grant::default());
    let caller = Caller { plugin, built_in: false, own: &own };
    match authorise(&grant, &caller, &Access { kind, request }) {
        Ok(_) => Err("it needs no grant".to_owned()),
        Err(denial) => denial.allow.ok_or(denial.message),
    }
}
