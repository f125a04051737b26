//! What a plugin gets of programs through the host: the built plugin `helm`, under a grant, with a script in the place of Helm that
//! answers with its arguments and what it reads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod plugin_parts;

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

use claiflow_agent::{
    credentials::Stores,
    executor::commands::{Applied, Commands as _, Effect, PluginState, Verified},
    http::{Client, System},
    process::{Processes, Settings},
};
use plugin_parts::{House, built, call};
use serde_json::json;
use sha2::{Digest as _, Sha256};

const TEMPLATE: &str =
    r#"{"name":"web","namespace":"shop","chart_name":"nginx","repo_url":"https://charts.example.com"}"#;

/// An agent that serves the plugin under a grant, beside its pin; none where nobody built it.
async fn stage(grant: &str, script: &str) -> Option<House> {
    let bytes = built("helm.wasm")?;
    let mut house = House::new();
    let root = house.root.path();
    let helm = root.join("helm");
    fs::write(&helm, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&helm, fs::Permissions::from_mode(0o755)).unwrap();
    let credentials = root.join("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::write(credentials.join("charts"), "ann:planted\n").unwrap();
    let settings = Settings {
        helm,
        search: "/nowhere".into(),
        worker: env!("CARGO_BIN_EXE_claiflow-agent").into(),
        state: root.join("repositories"),
        scratch: root.join("process"),
        uid: None,
        plain: Vec::new(),
    };
    house.config.processes = Some(Processes::open(settings).unwrap());
    house.config.http =
        Arc::new(Client::new(Arc::new(System::default()), Arc::new(Stores::new(Some(credentials), None, None))));
    // A debug build on a busy machine.
    house.config.limits.cpu = Duration::from_secs(60);
    house.config.limits.wall = Duration::from_secs(120);
    house.put("helm.wasm", &bytes);
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    house.grant(&format!("plugins:\n  helm:\n    sha256: \"{digest}\"\n    commands: [\"helm.*\"]\n{grant}"));
    house.open().await;
    Some(house)
}

#[tokio::test]
async fn without_a_grant_the_plugin_is_refused_and_told_what_would_allow_it() {
    let Some(house) = stage("", "true").await else { return };
    let plugin = house.plugin("helm");
    assert_ne!(plugin.state, PluginState::Ready);
    assert!(plugin.reason.contains("process: [PROFILE]"), "{plugin:?}");
}

#[tokio::test]
async fn a_granted_profile_runs_and_another_is_denied_with_what_would_allow_it() {
    let Some(house) = stage("    process: [helm.template, helm.repo_list]", "echo \"$*\"; cat").await else { return };
    let done = house.call("helm.template", TEMPLATE).await.unwrap();
    let said = "template --values=- --namespace=shop --repo=https://charts.example.com -- web nginx\n{}";
    assert_eq!(done.output, json!(said).to_string());
    assert_eq!(house.call("helm.repo_list", "{}").await.unwrap().output, "[]");
    for (command, inputs, allowed) in [
        (
            "helm.history",
            r#"{"name":"web","namespace":"shop"}"#,
            "process: [helm.template, helm.repo_list, helm.history]",
        ),
        ("helm.repo_update", r#"{"repo_name":"charts"}"#, "process: [helm.template, helm.repo_list, helm.repo_update]"),
    ] {
        let failed = house.call(command, inputs).await.unwrap_err();
        assert_eq!((failed.code.as_str(), failed.applied), ("denied", Applied::No), "{}", failed.message);
        assert!(failed.message.contains(allowed), "{allowed} is not in: {}", failed.message);
    }
    let flag = TEMPLATE.replace("nginx", "--post-renderer=/bin/sh");
    let failed = house.call("helm.template", &flag).await.unwrap_err();
    assert_eq!(failed.code, "invalid", "{}", failed.message);
}

#[tokio::test]
async fn a_call_that_leaves_nothing_behind_runs_nothing_that_does() {
    let grant = "    process: [helm.repo_add, helm.repo_list, helm.history]";
    let Some(house) = stage(grant, "echo fetched > $HELM_REPOSITORY_CACHE/charts-index.yaml").await else { return };
    let add = r#"{"repo_name":"charts","repo_url":"https://charts.example.com"}"#;
    let mut read = call("helm.repo_add", add);
    read.effect = Effect::Read;
    let failed = house.runtime().call(read).await.unwrap_err();
    assert_eq!((failed.code.as_str(), failed.applied), ("denied", Applied::No), "{}", failed.message);
    assert_eq!(house.call("helm.repo_list", "{}").await.unwrap().output, "[]");
    house.call("helm.repo_add", add).await.unwrap();
    assert!(house.call("helm.repo_list", "{}").await.unwrap().output.contains("charts.example.com"));
    // What reads is asked for in `verify` as well; here nobody has a cluster.
    let verified = house.runtime().verify(call("helm.install", TEMPLATE)).await;
    assert!(matches!(&verified, Verified::Unknown(why) if why.contains("no cluster")), "{verified:?}");
}

#[tokio::test]
async fn a_credential_goes_where_it_is_granted_and_is_seen_by_nobody() {
    let grant = "    process: [helm.template]\n    credentials: {\"charts\": {hosts: [\"https://charts.example.com\"], methods: [GET]}}";
    let Some(house) = stage(grant, "cat repositories.yaml; echo \"$*\"; env").await else { return };
    let with = |url: &str| {
        json!({"name": "web", "namespace": "shop", "chart_name": "nginx", "repo_url": url, "credential": "charts"})
            .to_string()
    };
    let done = house.call("helm.template", &with("https://charts.example.com")).await.unwrap();
    assert!(
        done.output.contains(r#"\"password\":\"***\""#) && done.output.contains("claiflow-source/nginx"),
        "{}",
        done.output
    );
    assert!(!done.output.contains("planted"), "{}", done.output);
    let failed = house.call("helm.template", &with("https://elsewhere.example.com")).await.unwrap_err();
    assert_eq!(failed.code, "denied");
    assert!(failed.message.contains("hosts: [\"https://elsewhere.example.com\"]"), "{}", failed.message);
}
