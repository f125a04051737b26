//! Every command, with a Helm that says what a test wants.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of it is test")]

use claiflow_plugin_helm::PLUGIN;
use claiflow_sdk::{
    Context, Error,
    testing::{Host, Programs},
};
use serde_json::{Value, json};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn call(attempt: u32, notes: Vec<Value>) -> Context {
    let mut context = Context::default();
    context.effect_key = KEY.to_owned();
    context.attempt = attempt;
    context.notes = notes;
    context
}

fn released(revision: u32, status: &str) -> String {
    let info = json!({
        "first_deployed": "2026-01-01T00:00:00Z", "last_deployed": "2026-01-02T00:00:00Z", "status": status,
        "description": "Upgrade complete", "notes": "hello",
    });
    let config = json!({"replicas": 2});
    json!({"name": "web", "namespace": "shop", "version": revision, "info": info, "config": config, "manifest": "---"})
        .to_string()
}

fn revision(revision: u32, status: &str, description: &str) -> Value {
    json!({
        "revision": revision, "updated": "2026-01-02T00:00:00.5+01:00", "status": status, "chart": "my-chart-1.2.3-rc.1",
        "app_version": "7", "description": description,
    })
}

fn install() -> Value {
    json!({
        "name": "web", "namespace": "shop", "chart_name": "nginx", "repo_url": "https://charts.example.com", "chart_version": "",
        "values": {"replicas": 2}, "timeout": 1,
    })
}

#[test]
fn an_install_names_arguments_and_never_flags() {
    let (host, programs) = (Host::new(), Programs::new());
    host.remaining_ms(600_000);
    programs.answers("helm.history", 1, "", "Error: release: not found");
    programs.answers("helm.install", 0, released(1, "deployed"), "");
    let answer = PLUGIN.run_in(&call(1, vec![]), "helm.install", install()).unwrap();
    assert_eq!(
        answer,
        json!({
            "last_deployed": "2026-01-02T00:00:00Z", "name": "web", "namespace": "shop", "notes": "hello", "revision": 1,
            "status": "deployed", "user_supplied_values": {"replicas": 2},
        })
    );
    let started = programs.started();
    let last = started.last().unwrap();
    assert_eq!(
        last.args,
        json!({
            "name": "web", "namespace": "shop", "chart": "nginx", "repo_url": "https://charts.example.com", "timeout_s": 60,
            "effect_key": KEY, "description": format!("Install complete [claiflow {KEY}]"),
        })
    );
    assert_eq!(last.stdin, br#"{"replicas":2}"#);
}

#[test]
fn a_wait_never_takes_the_time_that_is_needed_to_take_it_back() {
    let (host, programs) = (Host::new(), Programs::new());
    host.remaining_ms(90_000);
    programs.answers("helm.history", 0, "[]", "");
    programs.answers("helm.upgrade", 0, released(2, "deployed"), "");
    PLUGIN.run_in(&call(1, vec![]), "helm.upgrade", install()).unwrap();
    assert_eq!(programs.started()[1].args["timeout_s"], 60);
    host.remaining_ms(30_000);
    PLUGIN.run_in(&call(1, vec![]), "helm.upgrade", install()).unwrap();
    assert_eq!(programs.started()[3].args["timeout_s"], 20);
    assert!(host.lines()[0].message.contains("limits: {wall"), "{:?}", host.lines());
}

/// Whose the pending revision is, what was deployed, and what is done before the work.
#[test]
fn what_a_dead_attempt_left_is_repaired_first() {
    let deployed = revision(1, "deployed", "Install complete");
    let pending = revision(2, "pending-upgrade", "Preparing upgrade");
    let first = revision(1, "pending-install", "Initial install underway");
    let rolling = revision(2, "pending-rollback", &format!("Rollback to 1 [claiflow {KEY}]"));
    let failed = revision(1, "failed", "Release \"web\" failed: killed");
    let labelled = r#"[{"name":"web"}]"#;
    for (command, history, list, attempt, repair) in [
        ("helm.upgrade", json!([deployed, pending]), labelled, 2, Some(("helm.rollback", json!(1)))),
        ("helm.upgrade", json!([deployed, pending]), "[]", 1, Some(("helm.rollback", json!(1)))),
        ("helm.upgrade", json!([deployed, rolling]), "[]", 1, Some(("helm.rollback", json!(1)))),
        ("helm.install", json!([first]), labelled, 2, Some(("helm.uninstall", Value::Null))),
        ("helm.install", json!([failed]), labelled, 2, Some(("helm.uninstall", Value::Null))),
        ("helm.install", json!([failed]), "[]", 2, None),
        ("helm.upgrade", json!([deployed]), labelled, 2, None),
    ] {
        let (host, programs) = (Host::new(), Programs::new());
        host.remaining_ms(600_000);
        programs.answers("helm.history", 0, history.to_string(), "");
        programs.answers("helm.list", 0, list, "");
        programs.answers("helm.rollback", 0, "Rollback was a success! Happy Helming!\n", "");
        programs.answers("helm.uninstall", 0, "", "");
        programs.answers(command, 0, released(3, "deployed"), "");
        PLUGIN.run_in(&call(attempt, vec![]), command, install()).unwrap();
        let started = programs.started();
        let repaired = started.iter().find(|it| matches!(it.profile.as_str(), "helm.rollback" | "helm.uninstall"));
        let repaired = repaired.map(|it| (it.profile.as_str(), it.args["revision"].clone()));
        assert_eq!(repaired, repair, "{command} {history} {list}");
        assert_eq!(started.last().unwrap().profile, command);
    }
}

#[test]
fn what_somebody_may_be_at_work_on_is_left_alone() {
    let (_host, programs) = (Host::new(), Programs::new());
    let mut young = revision(2, "pending-upgrade", "Preparing upgrade");
    young["updated"] = json!("2999-01-01T00:00:00Z");
    programs.answers("helm.history", 0, json!([young]).to_string(), "");
    programs.answers("helm.list", 0, "[]", "");
    let error = PLUGIN.run_in(&call(1, vec![]), "helm.upgrade", install()).unwrap_err();
    assert_eq!(error.code(), "conflict");
    assert_eq!(error.details().unwrap()["effect"], "none");
    assert!(error.message().contains("revision 2 is `pending-upgrade`"), "{error}");
}

#[test]
fn verify_tells_what_a_call_did() {
    let ours = format!("Upgrade complete [claiflow {KEY}]");
    for (history, verdict) in [
        (json!([revision(2, "deployed", &ours)]), "done"),
        (json!([revision(2, "superseded", &ours), revision(3, "deployed", "Upgrade complete")]), "done"),
        (json!([revision(2, "deployed", "Upgrade complete")]), "not-done"),
        (json!([revision(2, "pending-upgrade", "Preparing upgrade")]), "not-done"),
        (json!([revision(2, "failed", "Upgrade \"web\" failed")]), "not-done"),
    ] {
        let (_host, programs) = (Host::new(), Programs::new());
        programs.answers("helm.history", 0, history.to_string(), "");
        programs.answers("helm.status", 0, released(2, "deployed"), "");
        for command in ["helm.install", "helm.upgrade"] {
            let answer = PLUGIN.verify_in(&call(2, vec![]), command, install()).unwrap();
            assert_eq!(answer["verdict"], verdict, "{command} {history}");
        }
        let inputs = json!({"name": "web", "namespace": "shop"});
        let answer = PLUGIN.verify_in(&call(2, vec![]), "helm.rollback", inputs).unwrap();
        assert_eq!(answer["verdict"], verdict, "rollback {history}");
    }
}

#[test]
fn an_uninstall_remembers_what_it_takes_away() {
    let inputs = json!({"name": "web", "namespace": "shop"});
    let (host, programs) = (Host::new(), Programs::new());
    programs.answers("helm.status", 0, released(3, "deployed"), "");
    programs.answers("helm.uninstall", 0, "release \"web\" uninstalled\n", "");
    let answer = PLUGIN.run_in(&call(1, vec![]), "helm.uninstall", inputs.clone()).unwrap();
    assert_eq!((answer["status"].as_str(), answer["revision"].as_u64()), (Some("uninstalled"), Some(3)));
    let notes = host.notes();
    let verdict =
        |notes: &[Value]| PLUGIN.verify_in(&call(2, notes.to_vec()), "helm.uninstall", inputs.clone()).unwrap();
    assert_eq!(verdict(&[])["verdict"], "not-done", "nothing was begun");
    assert_eq!(verdict(&notes)["verdict"], "not-done", "it is there");

    let programs = Programs::new();
    programs.answers("helm.status", 1, "", "Error: release: not found\n");
    assert_eq!(verdict(&notes)["verdict"], "done");
    assert_eq!(verdict(&notes)["output"], answer);
    programs.answers("helm.uninstall", 1, "", "Error: uninstall: Release not loaded: web: release: not found\n");
    assert_eq!(PLUGIN.run_in(&call(2, notes), "helm.uninstall", inputs.clone()).unwrap(), answer);
    let error = PLUGIN.run_in(&call(1, vec![]), "helm.uninstall", inputs).unwrap_err();
    assert_eq!((error.code(), error.details().unwrap()["effect"].as_str()), ("not-found", Some("none")));
}

#[test]
fn a_rollback_without_a_revision_goes_to_the_one_before_in_every_attempt() {
    let (host, programs) = (Host::new(), Programs::new());
    let history = json!([revision(4, "deployed", ""), revision(3, "superseded", ""), revision(2, "failed", "")]);
    programs.answers("helm.history", 0, history.to_string(), "");
    programs.answers("helm.rollback", 0, "Rollback was a success! Happy Helming!\n", "");
    let inputs = json!({"name": "web", "namespace": "shop", "revision": 0});
    let answer = PLUGIN.run_in(&call(1, vec![]), "helm.rollback", inputs.clone()).unwrap();
    assert_eq!(answer, "Rollback was a success! Happy Helming!");
    PLUGIN.run_in(&call(2, host.notes()), "helm.rollback", inputs).unwrap();
    let started = programs.started();
    let targets: Vec<_> =
        started.iter().filter(|it| it.profile == "helm.rollback").map(|it| &it.args["revision"]).collect();
    assert_eq!(targets, [3, 3]);
    let missing = json!({"name": "web", "namespace": "shop", "revision": 9});
    let error = PLUGIN.run_in(&call(1, vec![]), "helm.rollback", missing).unwrap_err();
    assert!(error.message().contains("it has 4, 3, 2"), "{error}");
}

#[test]
fn reads_answer_as_they_always_did() {
    let (_host, programs) = (Host::new(), Programs::new());
    let inputs = json!({"name": "web", "namespace": "shop"});
    programs.answers(
        "helm.history",
        0,
        json!([revision(1, "superseded", "a"), revision(2, "deployed", "b")]).to_string(),
        "",
    );
    let answer = PLUGIN.run("helm.history", inputs.clone()).unwrap();
    assert_eq!(
        answer[0],
        json!({
            "app_version": "7", "chart_name": "my-chart", "chart_version": "1.2.3-rc.1", "description": "b", "namespace": "shop",
            "release_name": "web", "revision": 2, "status": "deployed", "updated": "2026-01-02T00:00:00.5+01:00",
        })
    );
    programs.answers("helm.get_values", 0, "null\n", "");
    assert_eq!(PLUGIN.run("helm.get_values", inputs.clone()).unwrap(), json!({}));
    programs.answers("helm.repo_list", 0, "[]", "");
    assert_eq!(PLUGIN.run("helm.repo_list", json!({})).unwrap(), json!([]));
    programs.answers("helm.list", 0, "[]", "");
    assert_eq!(PLUGIN.run("helm.list", json!({"namespace": ""})).unwrap(), json!([]));
    programs.answers("helm.status", 0, released(2, "deployed"), "");
    assert_eq!(PLUGIN.run("helm.status", inputs).unwrap()["revision"], 2);
    programs.answers("helm.template", 0, "---\nkind: Service\n", "");
    assert_eq!(PLUGIN.run("helm.template", install()).unwrap(), "---\nkind: Service\n");
    programs.answers("helm.repo_add", 0, "", "");
    let added = PLUGIN.run("helm.repo_add", json!({"repo_name": "a", "repo_url": "https://a.example"})).unwrap();
    assert_eq!(added, "\"a\" has been added to your repositories");
}

#[test]
fn what_helm_complains_about_says_what_to_do() {
    for (said, code, part) in [
        ("Error: INSTALLATION FAILED: cannot reuse a name that is still in use", "exists", "helm.upgrade"),
        ("Error: UPGRADE FAILED: \"web\" has no deployed releases", "not-found", "helm.install"),
        ("Error: repo charts not found", "failed", "repo charts not found"),
        (
            "Error: INSTALLATION FAILED: nginx chart not found in https://charts.example.com repository",
            "not-found",
            "chart_name",
        ),
        (
            "Error: looks like \"https://x\" is not a valid chart repository or cannot be reached: tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "failed",
            "not trusted",
        ),
        (
            "Error: UPGRADE FAILED: release web failed, and has been rolled back due to rollback-on-failure being set: context deadline exceeded",
            "timeout",
            "(it was 60 s)",
        ),
        (
            "Error: query: failed to query with labels: secrets is forbidden: User \"x\" cannot list resource",
            "denied",
            "--rbac",
        ),
        ("Error: INSTALLATION FAILED: values don't meet the specifications of the schema(s)", "invalid", "values.yaml"),
        ("level=WARN msg=\"upgrade failed\"\nError: something new", "failed", "Helm says: something new"),
    ] {
        let (host, programs) = (Host::new(), Programs::new());
        host.remaining_ms(600_000);
        programs.answers("helm.history", 0, "[]", "");
        programs.answers("helm.upgrade", 1, "", said);
        let error = PLUGIN.run_in(&call(1, vec![]), "helm.upgrade", install()).unwrap_err();
        assert_eq!(error.code(), code, "{said}: {error}");
        assert!(error.message().contains(part), "{said}: {part} is not in: {error}");
        assert_eq!(error.had_effect(), None, "the agent asks `verify`");
    }
    let (_host, programs) = (Host::new(), Programs::new());
    programs.fails("helm.history", Error::new("denied", "the plugin `helm` may not have `helm.history` run"));
    let error = PLUGIN.run_in(&call(1, vec![]), "helm.upgrade", install()).unwrap_err();
    assert_eq!((error.code(), error.details().unwrap()["effect"].as_str()), ("denied", Some("none")));
}
