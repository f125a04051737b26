//! Which programs a plugin may have run, and as whom.

use serde_yaml_ng::Value;

use super::{Denial, Grant, fields::Report, kubernetes::IdentityBy};

/// Every profile that can be granted, in order.
pub const PROFILES: [&str; 12] = [
    "helm.get_values",
    "helm.history",
    "helm.install",
    "helm.list",
    "helm.repo_add",
    "helm.repo_list",
    "helm.repo_update",
    "helm.rollback",
    "helm.status",
    "helm.template",
    "helm.uninstall",
    "helm.upgrade",
];

/// The list of a grant. Each is named in whole: a glob would grant what a later agent adds.
pub(super) fn parse(report: &mut Report, value: &Value, at: &str) -> Vec<String> {
    let items = report.items(value, at);
    items.into_iter().filter_map(|(item, at)| report.word(item, &at, &PROFILES)).collect()
}

/// A program that works on the cluster has an account of its own: what the agent itself may do is given to none.
pub(super) fn check(report: &mut Report, at: &str, grant: &Grant) {
    if !grant.process.is_empty() && grant.identity.by == IdentityBy::Agent {
        report.add(
            at,
            "`process` with `identity: agent`: a program never acts as the agent itself; drop `identity`, or write \
             `identity: impersonate`",
        );
    }
}

/// Whether a plugin may have this run.
///
/// # Errors
/// `denied`, with what would allow it.
pub fn allows(grant: &Grant, plugin: &str, profile: &str) -> Result<(), Denial> {
    if grant.process.iter().any(|granted| granted == profile) {
        return Ok(());
    }
    let mut profiles = grant.process.clone();
    profiles.push(profile.to_owned());
    Err(Denial::denied(
        format!("the plugin `{plugin}` may not have `{profile}` run"),
        Some(format!("plugins: {{{plugin}: {{process: [{}]}}}}", profiles.join(", "))),
    ))
}

#[cfg(test)]
mod tests {
    use super::{PROFILES, allows};
    use crate::grants::Grants;

    fn parsed(entry: &str) -> Result<Grants, String> {
        let text = format!("plugins: {{helm: {{sha256: \"{}\", {entry}}}}}", "0".repeat(64));
        Grants::parse(&text).map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn profiles_are_named_in_whole_and_run_as_an_account() {
        let grants = parsed("process: [helm.history, helm.upgrade]").unwrap();
        let grant = &grants.plugins["helm"];
        assert!(allows(grant, "helm", "helm.upgrade").is_ok());
        let denial = allows(grant, "helm", "helm.install").unwrap_err().to_string();
        assert!(denial.contains("process: [helm.history, helm.upgrade, helm.install]"), "{denial}");

        for (entry, part) in [
            ("process: [\"helm.*\"]", "`helm.*` is none of helm.get_values"),
            ("process: [helm.upgarde]", "plugins.helm.process[0]"),
            ("process: helm.upgrade", "expected a list"),
            ("process: [helm.upgrade], identity: agent", "never acts as the agent itself"),
        ] {
            let said = parsed(entry).unwrap_err();
            assert!(said.contains(part), "{entry}: {part} is not in: {said}");
        }
        assert!(parsed("process: [helm.upgrade], identity: impersonate, account: releases").is_ok());
        assert!(PROFILES.is_sorted());
    }
}
