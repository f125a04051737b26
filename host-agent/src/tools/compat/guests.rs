//! A file and the one that it replaces: what becomes of templates, tasks and grants that rely on the old.

use serde_json::Value;

use crate::plugin::{CommandPortrait, Portrait};

use super::{Finding, schema};

/// Everything that differs.
///
/// # Errors
/// When one of them cannot be compared at all.
pub(super) fn compare(old: &Portrait, new: &Portrait) -> Result<Vec<Finding>, String> {
    if old.name != new.name {
        return Err(format!("`{}` and `{}` are two plugins: a newer one has the same file name", old.name, new.name));
    }
    let mut findings = Vec::new();
    if let Some(reason) = &old.refused {
        findings.push(Finding::fits("load", &old.name, format!("the old one does not load either: {reason}")));
    }
    if old.contract != new.contract {
        let why = format!("it exported `handler@{}` and now `handler@{}`", old.contract, new.contract);
        let breaks = major(&old.contract) != major(&new.contract);
        findings.push(Finding { breaks, ..Finding::fits("contract", &new.name, why) });
    }
    imports(old, new, &mut findings);
    // One that cannot be asked has no commands to compare.
    if new.refused.is_none() {
        commands(old, new, &mut findings);
    }
    Ok(findings)
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or_default()
}

fn imports(old: &Portrait, new: &Portrait, findings: &mut Vec<Finding>) {
    // WASI's patch releases are one interface.
    let path = |name: &str| name.split('@').next().unwrap_or(name).to_owned();
    let had = |name: &str| old.imports.iter().any(|import| path(&import.name) == path(name));
    for import in new.imports.iter().filter(|import| !had(&import.name)) {
        findings.push(match &import.grant {
            Some(grant) => {
                let add = format!("plugins: {{{}: {{{grant}}}}}", new.name);
                Finding::breaks(
                    "import",
                    &import.name,
                    "it is new and needs a grant; the grants file gets such an entry",
                )
                .quoting(vec![add])
            }
            None => Finding::fits("import", &import.name, "it is new and needs no grant"),
        });
    }
    let has = |name: &str| new.imports.iter().any(|import| path(&import.name) == path(name));
    for import in old.imports.iter().filter(|import| import.grant.is_some() && !has(&import.name)) {
        let why = "it is not imported any more; what grants it can go";
        findings.push(Finding::fits("import", &import.name, why));
    }
}

fn commands(old: &Portrait, new: &Portrait, findings: &mut Vec<Finding>) {
    for before in &old.commands {
        match new.commands.iter().find(|after| after.name == before.name) {
            Some(after) => command(before, after, findings),
            None => findings.push(Finding::breaks("command", &before.name, "it is gone; templates that use it fail")),
        }
    }
    for after in new.commands.iter().filter(|after| !old.commands.iter().any(|it| it.name == after.name)) {
        findings.push(Finding::fits("command", &after.name, "it is new"));
    }
}

fn command(before: &CommandPortrait, after: &CommandPortrait, findings: &mut Vec<Finding>) {
    let name = &after.name;
    let inputs = schema::stricter(&parsed(&before.inputs_schema), &parsed(&after.inputs_schema));
    findings.extend(inputs.into_iter().map(|why| Finding::breaks("inputs", name, why)));
    // What a command answers is read by the steps behind it: there the new one must not be laxer.
    let outputs = schema::stricter(&parsed(&after.outputs_schema), &parsed(&before.outputs_schema));
    let outputs = outputs.into_iter().map(|why| {
        Finding::breaks("outputs", name, format!("what the old one promised is not promised any more: {why}"))
    });
    if !before.outputs_schema.is_empty() {
        findings.extend(outputs);
    }
    if before.effect != after.effect {
        let why = format!(
            "its effect was `{}` and is `{}`: a task that began under the one is repeated, or not, by the other",
            before.effect, after.effect
        );
        findings.push(Finding::breaks("effect", name, why));
    }
}

/// No schema allows everything.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::compare;
    use crate::plugin::{CommandPortrait, ImportPortrait, Portrait};

    fn portrait(commands: &[(&str, &str, &str)], imports: &[&str]) -> Portrait {
        let command = |(name, inputs, effect): &(&str, &str, &str)| CommandPortrait {
            name: (*name).to_owned(),
            inputs_schema: (*inputs).to_owned(),
            outputs_schema: String::new(),
            effect: (*effect).to_owned(),
        };
        let import = |name: &&str| ImportPortrait {
            name: (*name).to_owned(),
            functions: Vec::new(),
            served: true,
            grant: name.contains("kubernetes").then(|| "kubernetes: [{…}]".to_owned()),
        };
        Portrait {
            name: "tool".to_owned(),
            version: "1.0.0".to_owned(),
            sha256: "ab".repeat(32),
            contract: "1.0.0".to_owned(),
            imports: imports.iter().map(import).collect(),
            commands: commands.iter().map(command).collect(),
            refused: None,
        }
    }

    #[test]
    fn what_differs_is_told_and_what_breaks_stands_out() {
        let log = "claiflow:plugin/log@1.0.0";
        let old = portrait(&[("a", "{}", "read"), ("b", "{}", "read")], &[log, "wasi:io/poll@0.2.6"]);
        for (new, what, of, breaks) in [
            (portrait(&[("a", "{}", "read")], &[log]), "command", "b", true),
            (portrait(&[("a", "{}", "never"), ("b", "{}", "read")], &[log]), "effect", "a", true),
            (portrait(&[("a", r#"{"required":["x"]}"#, "read"), ("b", "{}", "read")], &[log]), "inputs", "a", true),
            (
                portrait(&[("a", "{}", "read"), ("b", "{}", "read")], &[log, "claiflow:plugin/kubernetes@1.0.0"]),
                "import",
                "claiflow:plugin/kubernetes@1.0.0",
                true,
            ),
            (portrait(&[("a", "{}", "read"), ("b", "{}", "read"), ("c", "{}", "read")], &[log]), "command", "c", false),
            (Portrait { contract: "1.1.0".into(), ..old.clone() }, "contract", "tool", false),
            (Portrait { contract: "2.0.0".into(), ..old.clone() }, "contract", "tool", true),
        ] {
            let findings = compare(&old, &new).unwrap();
            let found: Vec<_> = findings.iter().map(|it| (it.what, it.of.as_str(), it.breaks)).collect();
            assert_eq!(found, [(what, of, breaks)], "{findings:?}");
        }
        // WASI in another patch release is the same.
        let patched = portrait(&[("a", "{}", "read"), ("b", "{}", "read")], &[log, "wasi:io/poll@0.2.12"]);
        assert!(compare(&old, &patched).unwrap().is_empty());
        assert!(compare(&old, &Portrait { name: "other".into(), ..old.clone() }).is_err());
    }
}
