//! The cluster's own rights for a plugin's account: as little as its grants need.
//!
//! RBAC knows no globs of names, no fields, and no names where the API is asked for several objects or a new one; there it
//! allows more than the grants do, and the agent alone refuses the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::{IdentityBy, Kind, Namespaces, Rule, Verb, danger, manifest, scopes};
use crate::grants::Grant;

/// The agent, as whom RBAC knows it.
#[derive(Clone, Copy, Debug)]
pub struct AgentAccount<'a> {
    /// Where it runs, and where the accounts of its plugins are.
    pub namespace: &'a str,
    /// Its ServiceAccount.
    pub account: &'a str,
}

/// What RBAC allows in one place. Equal entries of several rules are one.
pub(super) type Entries = BTreeSet<Entry>;

/// One entry of a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) group: String,
    pub(super) resources: BTreeSet<String>,
    pub(super) verbs: BTreeSet<&'static str>,
    /// Empty: any.
    pub(super) names: BTreeSet<String>,
}

/// The manifests, as YAML to apply: the plugin's account, its roles and their bindings, and the agent's right to act as that
/// account. Of a plugin that has programs run, the roles for what they do are not known here: that is said in a comment. Empty when the
/// plugin has neither a rule over the cluster's API nor such a program.
#[must_use]
pub fn rbac(plugin: &str, grant: &Grant, agent: &AgentAccount<'_>) -> String {
    if grant.kubernetes.is_empty() && grant.process.is_empty() {
        return String::new();
    }
    let mut everywhere = Entries::new();
    let mut inside: BTreeMap<&str, Entries> = BTreeMap::new();
    let mut wider = BTreeSet::new();
    for rule in &grant.kubernetes {
        wider.extend(wider_than(rule));
        let cluster_wide = entries(rule, |group, resource| {
            let scope = scopes::of(group, resource);
            rule.cluster_scope && scope != Some(true) || rule.namespaces == Namespaces::All && scope != Some(false)
        });
        everywhere.extend(cluster_wide);
        if let Namespaces::These(namespaces) = &rule.namespaces {
            for namespace in namespaces {
                let here = entries(rule, |group, resource| scopes::of(group, resource) != Some(false));
                inside.entry(namespace).or_default().extend(here);
            }
        }
    }
    let account = match grant.identity.by {
        IdentityBy::Agent => agent.account.to_owned(),
        IdentityBy::Token | IdentityBy::Impersonate => grant.identity.account_of(plugin),
    };
    let role = format!("claiflow-plugin-{plugin}");
    let mut manifests = manifest::Manifests::new(plugin, agent, &account, &role);
    manifests.explain(grant.identity.by, &wider);
    if grant.process.iter().any(|profile| profile.starts_with("helm.")) {
        manifests.explain_releases();
    }
    if grant.identity.by != IdentityBy::Agent {
        manifests.account();
    }
    for (namespace, entries) in inside {
        manifests.role(Some(namespace), &entries);
    }
    manifests.role(None, &everywhere);
    match grant.identity.by {
        IdentityBy::Token => manifests.agent_may("serviceaccounts/token", "create"),
        IdentityBy::Impersonate => manifests.agent_may("serviceaccounts", "impersonate"),
        IdentityBy::Agent => {}
    }
    manifests.finish()
}

/// What a rule needs of RBAC for the resources that belong to a place.
fn entries(rule: &Rule, belongs: impl Fn(&str, &str) -> bool) -> Entries {
    // By group, verbs and whether names hold: so that resources that need the same stand in one entry.
    let mut resources: BTreeMap<(&str, BTreeSet<&'static str>, bool), BTreeSet<String>> = BTreeMap::new();
    let exact = exact_names(rule);
    for (group, resource) in rule.groups.iter().flat_map(|group| rule.resources.iter().map(move |it| (group, it))) {
        if !belongs(group, resource) {
            continue;
        }
        let kind = kind(group, resource);
        let allowed = rule.verbs.iter().filter(|verb| rule.has_verb(**verb));
        let allowed = allowed.filter(|verb| rule.dangerous || danger::of_kind(&kind, **verb).is_none());
        let verbs: BTreeSet<_> = allowed.flat_map(|verb| needed(&kind, *verb)).copied().collect();
        let (named, unnamed): (BTreeSet<_>, BTreeSet<_>) =
            verbs.into_iter().partition(|verb| exact.is_some() && knows_name(&kind, verb));
        for (verbs, by_name) in [(named, true), (unnamed, false)] {
            if !verbs.is_empty() {
                resources.entry((group, verbs, by_name)).or_default().insert(resource.clone());
            }
        }
    }
    let entry = |((group, verbs, by_name), resources): ((&str, _, _), _)| {
        let names = if by_name { exact.clone().unwrap_or_default() } else { BTreeSet::new() };
        Entry { group: group.to_owned(), resources, verbs, names }
    };
    resources.into_iter().map(entry).collect()
}

/// The verbs of RBAC behind one of the grants file.
fn needed(kind: &Kind, verb: Verb) -> &'static [&'static str] {
    match verb {
        Verb::Get => &["get"],
        Verb::List => &["list"],
        Verb::Watch => &["watch"],
        // A websocket is opened by GET; the API server asks for `create` as well.
        Verb::Create if kind.streams() => &["get", "create"],
        Verb::Create => &["create"],
        Verb::Apply | Verb::ForceApply => &["patch", "create"],
        // A replacement is settled over the object as it is.
        Verb::Update => &["get", "update"],
        Verb::Patch => &["patch"],
        Verb::Delete => &["delete"],
    }
}

/// Whether RBAC sees the name: not of what is new, nor of several objects.
fn knows_name(kind: &Kind, verb: &str) -> bool {
    match verb {
        "list" | "watch" => false,
        "create" => !kind.subresource.is_empty(),
        _ => true,
    }
}

fn exact_names(rule: &Rule) -> Option<BTreeSet<String>> {
    let exact = !rule.names.is_empty() && rule.names.iter().all(|name| !name.as_str().contains('*'));
    exact.then(|| rule.names.iter().map(ToString::to_string).collect())
}

/// Where RBAC allows more than the rule does.
fn wider_than(rule: &Rule) -> Vec<String> {
    let mut wider = Vec::new();
    if rule.names.iter().any(|name| name.as_str().contains('*')) {
        let globs: Vec<_> = rule.names.iter().map(|name| format!("`{name}`")).collect();
        wider.push(format!("the names {}", globs.join(", ")));
    } else if !rule.names.is_empty()
        && rule.verbs.iter().any(|verb| matches!(verb, Verb::List | Verb::Watch | Verb::Create))
    {
        wider.push("the names of what is listed, watched or created".to_owned());
    }
    if !(rule.read.is_everything() && rule.write.is_everything()) {
        wider.push("the fields of `read` and `write`".to_owned());
    }
    if rule.resources.iter().any(|resource| resource == "*") {
        let dangerous = if rule.dangerous { "" } else { ", nor what is dangerous, such as Secrets" };
        wider.push(format!("that `*` takes no subresource along{dangerous}"));
    }
    wider
}

/// A stand-in for what discovery would say; enough to judge danger by.
fn kind(group: &str, resource: &str) -> Kind {
    let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Kind {
        group: group.to_owned(),
        version: String::new(),
        plural: plural.to_owned(),
        subresource: subresource.to_owned(),
        kind: String::new(),
        api_version: String::new(),
        namespaced: true,
    }
}
