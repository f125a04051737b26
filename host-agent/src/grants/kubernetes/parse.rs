//! Rules over the cluster's API, from YAML. What could only be a misunderstanding is a mistake: a rule that nobody reads
//! as it is meant is worse than none.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

use super::{
    Identity, IdentityBy, Mask, Namespaces, Rule, Verb,
    kind::streams,
    shape::{self, is_label},
};
use crate::grants::{
    Glob, Grant,
    fields::{Report, Section},
};

const KEYS: [&str; 9] = ["groups", "resources", "verbs", "namespaces", "names", "scope", "dangerous", "read", "write"];
const ACCOUNT_MAX_BYTES: usize = 253;

/// One rule.
pub(in crate::grants) fn rule(report: &mut Report, value: &Value, at: &str) -> Rule {
    let section = report.section(value, at, &KEYS);
    let mut list = |key: &str, needed: &str| match section.get(key) {
        Some((value, at)) => report.texts(value, at),
        None if needed.is_empty() => Vec::new(),
        None => {
            report.add(at, format!("needs `{key}`, {needed}"));
            Vec::new()
        }
    };
    let groups = list("groups", "such as [apps], or [\"\"] for the core group");
    let resources = list("resources", "such as [deployments] or [pods/log]");
    let verbs = list("verbs", "such as [get, list]");
    let (namespaces, names) = (list("namespaces", ""), list("names", ""));
    let rule = Rule {
        verbs: self::verbs(report, at, &verbs),
        namespaces: self::namespaces(report, at, &namespaces),
        cluster_scope: section
            .get("scope")
            .and_then(|(value, at)| report.word(value, at, &["cluster", "namespaced"]))
            .is_some_and(|word| word == "cluster"),
        dangerous: section.get("dangerous").is_some_and(|(value, at)| report.flag(value, at)),
        read: mask(report, &section, "read"),
        write: mask(report, &section, "write"),
        names: names.into_iter().map(Glob::new).collect(),
        groups,
        resources,
    };
    check(report, at, &rule);
    rule
}

/// As whom the plugin acts.
pub(in crate::grants) fn identity(report: &mut Report, name: &str, section: &Section<'_>, grant: &Grant) -> Identity {
    let account = section.get("account").and_then(|(value, at)| {
        let account = report.text(value, at)?;
        if is_account(&account) {
            return Some(account);
        }
        report.add(
            at,
            "expected the name of a ServiceAccount in the agent's namespace: lower-case letters, digits, `-`, `.`",
        );
        None
    });
    let word =
        section.get("identity").and_then(|(value, at)| report.word(value, at, &["token", "impersonate", "agent"]));
    let by = match word.as_deref() {
        Some("impersonate") => IdentityBy::Impersonate,
        Some("agent") => IdentityBy::Agent,
        _ => IdentityBy::Token,
    };
    let identity = Identity { account, by };
    if by == IdentityBy::Agent && identity.account.is_some() {
        report.add(
            section.at(),
            "`identity: agent` acts as the agent's own account, so `account` says nothing; drop one",
        );
    }
    let acts = !(grant.kubernetes.is_empty() && grant.process.is_empty());
    if acts && by != IdentityBy::Agent && !is_account(&identity.account_of(name)) {
        report.add(
            section.at(),
            format!(
                "`{}` is no name of a ServiceAccount; say in `account` which one the plugin acts as",
                identity.account_of(name)
            ),
        );
    }
    identity
}

fn verbs(report: &mut Report, at: &str, texts: &[String]) -> BTreeSet<Verb> {
    let mut verbs = BTreeSet::new();
    for text in texts {
        match Verb::parse(text) {
            Ok(verb) => drop(verbs.insert(verb)),
            Err(message) => report.add(at, message),
        }
    }
    verbs
}

fn namespaces(report: &mut Report, at: &str, texts: &[String]) -> Namespaces {
    for text in texts.iter().filter(|text| *text != "*" && !is_label(text)) {
        report.add(
            at,
            format!("`{}` is no namespace: name one in whole, or write \"*\" for every namespace", shape::shown(text)),
        );
    }
    if texts.iter().any(|text| text == "*") {
        Namespaces::All
    } else {
        Namespaces::These(texts.iter().cloned().collect())
    }
}

fn mask(report: &mut Report, section: &Section<'_>, key: &str) -> Mask {
    let Some((value, at)) = section.get(key) else { return Mask::everything() };
    Mask::parse(&report.texts(value, at)).unwrap_or_else(|invalid| {
        report.add(at, invalid.reason);
        Mask::everything()
    })
}

fn check(report: &mut Report, at: &str, rule: &Rule) {
    if !rule.cluster_scope && rule.namespaces == Namespaces::These(BTreeSet::new()) {
        report.add(
            at,
            "holds nowhere, so it allows nothing: name `namespaces`, such as [shop] or [\"*\"], or write `scope: cluster` for kinds that \
             live in none",
        );
    }
    for group in &rule.groups {
        if !(group.is_empty() || group == "*" || group.split('.').all(is_label)) {
            report
                .add(at, format!("`{}` is no API group; write it as apps, \"\" (core) or \"*\"", shape::shown(group)));
        }
    }
    for resource in &rule.resources {
        let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        if !(plural == "*" || is_label(plural)) || resource.contains('/') && !is_label(subresource) {
            report.add(
                at,
                format!(
                    "`{}` is no resource: they match exactly, as deployments, pods/log, \"*\" (without subresources) or \
                     \"*/scale\"",
                    shape::shown(resource)
                ),
            );
        }
        if streams(plural, subresource) && !(rule.read.is_everything() && rule.write.is_everything()) {
            report.add(
                at,
                format!("`{resource}` gives bytes, which `read` and `write` cannot cut: give it a rule of its own"),
            );
        }
    }
    for name in &rule.names {
        if name.as_str().is_empty() || name.as_str().contains('/') {
            report
                .add(at, format!("`{}` matches no name; write it as web-1 or \"web-*\"", shape::shown(name.as_str())));
        }
    }
    let applies = rule.verbs.contains(&Verb::Apply) || rule.verbs.contains(&Verb::ForceApply);
    if applies && !rule.verbs.contains(&Verb::Create) {
        report.add(at, "`apply` needs `create` in the same rule, since it creates what is not there");
    }
}

fn is_account(name: &str) -> bool {
    name.len() <= ACCOUNT_MAX_BYTES && name.split('.').all(is_label)
}
