//! The predefined templates of Helm, by REST: one release from its install to its end.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    super::charts::{Repository, VERSIONS},
    stage::{RELEASES, Stage},
};

/// uuid, name, inputs beside the release's name and namespace, and one thing that must be so of the result.
type Call<'a> = (&'a str, &'a str, Value, fn(&Value) -> bool);

/// In this order each finds what the one before left. Prints a table.
pub(super) fn run(stage: &Stage<'_>, repository: &Repository) -> Result<()> {
    let release = json!({"name": "web", "namespace": RELEASES});
    let with = |more: Value| {
        let mut inputs = release.clone();
        if let (Some(inputs), Some(more)) = (inputs.as_object_mut(), more.as_object()) {
            inputs.extend(more.clone());
        }
        inputs
    };
    let calls: [Call<'_>; 14] = [
        ("20000000000000000000000000000006", "helm_repo_list", json!({}), |list| *list == json!([])),
        (
            "20000000000000000000000000000005",
            "helm_repo_add",
            json!({"repo_name": "stories", "repo_url": repository.url}),
            |text| text.as_str().is_some_and(|text| text.contains("\"stories\" has been added")),
        ),
        ("20000000000000000000000000000006", "helm_repo_list", json!({}), |list| list[0]["name"] == "stories"),
        ("20000000000000000000000000000007", "helm_repo_update", json!({"repo_name": "stories"}), |text| {
            text.as_str().is_some_and(|text| text.contains("Successfully got an update"))
        }),
        (
            "20000000000000000000000000000001",
            "helm_install",
            with(json!({
                "chart_name": "web", "repo_url": repository.url, "chart_version": VERSIONS[0],
                "values": {"greeting": "first"}, "timeout": 2,
            })),
            |release| {
                release["status"] == "deployed"
                    && release["revision"] == 1
                    && release["notes"] == "web says first\n"
                    && release["user_supplied_values"] == json!({"greeting": "first"})
            },
        ),
        (
            "20000000000000000000000000000003",
            "helm_upgrade",
            with(json!({"chart_name": "web", "repo_name": "stories", "values": {"replicas": 2}, "reuse_values": true})),
            |release| {
                release["revision"] == 2
                    && release["user_supplied_values"] == json!({"greeting": "first", "replicas": 2})
            },
        ),
        ("20000000000000000000000000000004", "helm_get_values", with(json!({})), |values| {
            *values == json!({"greeting": "first", "replicas": 2})
        }),
        ("20000000000000000000000000000004", "helm_get_values", with(json!({"all": true})), |values| {
            values["replicas"] == 2 && values["node"] == json!({})
        }),
        (
            "20000000000000000000000000000003",
            "helm_upgrade (fails)",
            // A Deployment's selector never changes.
            with(json!({"chart_name": "web", "repo_name": "stories", "values": {"app": "another", "greeting": "bad"}})),
            |error| error.as_str().is_some_and(|error| error.contains("rolled back") && error.contains("immutable")),
        ),
        ("20000000000000000000000000000008", "helm_history", with(json!({})), |revisions| {
            let states = ["deployed", "failed", "superseded", "superseded"];
            revisions.as_array().is_some_and(|all| all.iter().map(|it| &it["status"]).eq(states))
                && revisions[0]["chart_name"] == "web"
                && revisions[0]["chart_version"] == VERSIONS[1]
                && revisions[0]["release_name"] == "web"
        }),
        ("20000000000000000000000000000009", "helm_rollback", with(json!({"revision": 1})), |text| {
            *text == json!("Rollback was a success! Happy Helming!")
        }),
        ("20000000000000000000000000000004", "helm_get_values", with(json!({})), |values| {
            *values == json!({"greeting": "first"})
        }),
        ("20000000000000000000000000000002", "helm_uninstall", with(json!({})), |release| {
            release["status"] == "uninstalled" && release["revision"] == 5
        }),
        ("20000000000000000000000000000008", "helm_history (gone)", with(json!({})), |error| {
            error.as_str().is_some_and(|error| error.contains("there is no such release"))
        }),
    ];
    let mut table = String::new();
    let mut wrong = Vec::new();
    for (uuid, name, inputs, holds) in calls {
        let result = stage.ended(&stage.create(uuid, &inputs)?)?.unwrap_or_else(Value::String);
        let text = result.to_string();
        let short: String = text.chars().take(110).collect();
        let verdict = if holds(&result) { "ok" } else { "WRONG" };
        writeln!(table, "       {name:<22} {verdict:<6} {short}")?;
        if !holds(&result) {
            wrong.push(format!("{name} {inputs}: {text}"));
        }
    }
    eprint!("{table}");
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let left = stage.house.plane.kubectl(&["--namespace", RELEASES, "get", "deployment,configmap", "-o", "name"])?;
    ensure!(!left.contains("/web"), "it left {left}");
    Ok(())
}
