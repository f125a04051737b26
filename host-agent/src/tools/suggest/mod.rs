//! `claiflow-agent suggest-grants`: the smallest entry of a grants file that allows what was recorded.
//!
//! Each recorded request is judged as the agent judges it, under no grant at all: the denial says which rule would allow it.

mod http;
mod rule;

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf, sync::Arc};

use clap::Args;
use serde_json::Value;

use crate::{
    grants::{
        Grant, Grants,
        kubernetes::{
            Access, Caller, Kind, Mask, Name, Namespace, Object, Own, Patch, Request, Scope, Selectors, authorise,
        },
    },
    kubernetes::tape::{Exchange, Told},
};

use super::{Cassette, shown};
use rule::Rule;

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
    let commands: BTreeSet<&str> = cassettes.iter().map(|it| it.pattern.as_deref().unwrap_or(&it.command)).collect();
    let commands: Vec<_> = commands.iter().map(|command| format!("\"{command}\"")).collect();
    // Writing to text cannot fail.
    let _ = writeln!(text, "    commands: [{}]", commands.join(", "));
    if !rules.is_empty() {
        text.push_str("    kubernetes:\n");
    }
    for rule in rule::joined(rules) {
        let _ = writeln!(text, "      - {rule}");
    }
    text.push_str(&http::sections(cassettes)?);
    let unrecorded: BTreeSet<&String> = cassettes.iter().flat_map(|cassette| &cassette.unrecorded).collect();
    if !unrecorded.is_empty() {
        text.push_str("    # It was granted this too, and what it did with that is not recorded:\n");
    }
    for line in unrecorded {
        let _ = writeln!(text, "    #   {line}");
    }
    // It is pasted into a file that is refused as a whole where one of its lines is.
    match Grants::parse(&text) {
        Ok(_) => Ok(text),
        Err(mistakes) => {
            let mistakes: Vec<_> = mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect();
            Err(format!("what was recorded cannot be granted:{}", mistakes.concat()))
        }
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
    let mut rule = Rule::of(rule);
    // A list over all namespaces was allowed by `*`.
    rule.rename("namespaces", ANY_NAMESPACE, "*");
    Ok(rule)
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
