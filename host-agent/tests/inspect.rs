//! `claiflow-agent inspect`, as a shell sees it: what a file asks for, what it is granted, what is missing, and that what
//! it says to add is right.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod plugin_parts;

use std::path::Path;

use plugin_parts::{Guest, Said, agent};
use serde_json::{Value, json};

fn inspect(folder: &Path, arguments: &[&str]) -> Said {
    agent(folder, &[&["inspect", "tool.wasm", "--cache", "cache"], arguments].concat())
}

/// A folder with a plugin that imports what has to be granted and serves what has to be granted.
fn folder(imports: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let commands = r#"[{"name":"mine","summary":"Does it","effect":"idempotent"},{"name":"kubernetes.x","effect":[{"effect":"read"}]}]"#;
    let guest = Guest::new("tool", commands);
    let guest = if imports {
        guest.imports(
            "import claiflow:plugin/kubernetes@1.0.0;",
            r#"(import "claiflow:plugin/kubernetes@1.0.0" "resources" (func $f (param i32)))"#,
        )
    } else {
        guest
    };
    std::fs::write(folder.path().join("tool.wasm"), guest.build()).unwrap();
    folder
}

#[test]
fn what_is_missing_is_said_and_what_is_said_to_add_is_enough() {
    let folder = folder(false);
    let said = inspect(folder.path(), &["--json"]);
    assert_eq!(said.code, 1, "{}", said.error);
    let report: Value = serde_json::from_str(&said.output).unwrap();
    assert_eq!(report["version"], "1.0.0");
    assert_eq!(report["pin"], "none");
    let commands = report["commands"].as_array().unwrap();
    assert_eq!(commands[0], json!({"name": "mine", "effect": "idempotent", "summary": "Does it", "granted": true}));
    assert_eq!(commands[1]["granted"], false);
    assert_eq!(report["missing"].as_array().unwrap().len(), 1);

    // Who names commands names all of them: what is missing stands beside what is served already.
    let add = report["add"].as_str().unwrap();
    assert_eq!(add, "plugins:\n  tool:\n    commands: [\"mine\", \"kubernetes.x\"]\n");
    std::fs::write(folder.path().join("grants.yaml"), add).unwrap();
    let said = inspect(folder.path(), &["--grants", "grants.yaml"]);
    assert_eq!((said.code, said.error.as_str()), (0, ""), "{}", said.output);
    assert!(said.output.contains("nothing is missing"), "{}", said.output);
    assert!(said.output.contains("know its task and write its log, nothing else"), "{}", said.output);
}

#[test]
fn an_import_that_nobody_granted_is_missing_and_its_rule_is_shown() {
    let folder = folder(true);
    let said = inspect(folder.path(), &[]);
    assert_eq!(said.code, 1, "{}", said.error);
    for part in [
        "claiflow:plugin/kubernetes@1.0.0             missing",
        "import: `claiflow:plugin/kubernetes@1.0.0` is not granted",
        "    kubernetes:\n      - {groups: [\"\"], resources: [pods], verbs: [get, list], namespaces: [NAMESPACE]}\n",
        "    sha256: \"",
    ] {
        assert!(said.output.contains(part), "{part} in {}", said.output);
    }
    let report: Value = serde_json::from_str(&inspect(folder.path(), &["--json"]).output).unwrap();
    let add = report["add"].as_str().unwrap().replace("NAMESPACE", "shop");
    std::fs::write(folder.path().join("grants.yaml"), add).unwrap();
    let report: Value =
        serde_json::from_str(&inspect(folder.path(), &["--json", "--grants", "grants.yaml"]).output).unwrap();
    assert_eq!(report["pin"], "matches");
    assert_eq!(
        report["granted"],
        json!([
            "kubernetes: get, list of pods in shop",
            "kubernetes: as the ServiceAccount claiflow-plugin-tool, by its token",
        ])
    );
    let imports = report["imports"].as_array().unwrap();
    let import = imports.iter().find(|import| import["name"] == "claiflow:plugin/kubernetes@1.0.0").unwrap();
    assert_ne!(import["state"], "missing");

    let said = inspect(folder.path(), &["--grants", "grants.yaml", "--rbac", "--namespace", "agents"]);
    assert_eq!(said.code, 0, "{}", said.error);
    assert!(said.output.contains("metadata: {name: claiflow-plugin-tool, namespace: agents}"), "{}", said.output);
    assert!(said.output.contains("name: claiflowclient-controller, namespace: agents"), "{}", said.output);
}

#[test]
fn requests_over_http_are_asked_for_granted_and_missing() {
    let folder = tempfile::tempdir().unwrap();
    let guest = Guest::new("tool", r#"[{"name":"mine","effect":"read"}]"#).imports(
        "import wasi:http/outgoing-handler@0.2.12;",
        r#"(import "wasi:http/outgoing-handler@0.2.12" "handle" (func $f (param i32 i32 i32 i32)))"#,
    );
    std::fs::write(folder.path().join("tool.wasm"), guest.build()).unwrap();
    let said = inspect(folder.path(), &["--json"]);
    assert_eq!(said.code, 1, "{}", said.error);
    let report: Value = serde_json::from_str(&said.output).unwrap();
    let add = report["add"].as_str().unwrap();
    assert!(add.contains("    http:\n      - {url: URL, methods: [GET], paths: [\"/*\"]}\n"), "{add}");
    let credentials = "    credentials: {shop: {hosts: [\"https://shop.example.com\"], methods: [GET]}}\n";
    let grants = add.replace("URL", "\"https://shop.example.com\"") + credentials;
    std::fs::write(folder.path().join("grants.yaml"), grants).unwrap();
    let said = inspect(folder.path(), &["--grants", "grants.yaml"]);
    assert_eq!(said.code, 0, "{}{}", said.output, said.error);
    for part in [
        "wasi:http/outgoing-handler@0.2.12            granted",
        "  http: GET https://shop.example.com /*; public addresses\n",
        "  credentials: shop for GET https://shop.example.com\n",
        "nothing is missing",
    ] {
        assert!(said.output.contains(part), "{part} in {}", said.output);
    }
}

#[test]
fn programs_are_asked_for_and_granted_with_an_account_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let guest = Guest::new("tool", r#"[{"name":"mine","effect":"read"}]"#).imports(
        "import claiflow:plugin/process@1.0.0;",
        r#"(import "claiflow:plugin/process@1.0.0" "start" (func $f (param i32 i32 i32 i32 i32 i32 i32)))"#,
    );
    std::fs::write(folder.path().join("tool.wasm"), guest.build()).unwrap();
    let said = inspect(folder.path(), &["--json"]);
    let report: Value = serde_json::from_str(&said.output).unwrap();
    let add = report["add"].as_str().unwrap();
    assert!(add.contains("    process:\n      - PROFILE\n"), "{add}");
    std::fs::write(folder.path().join("grants.yaml"), add.replace("PROFILE", "helm.history")).unwrap();
    let said = inspect(folder.path(), &["--grants", "grants.yaml"]);
    assert_eq!(said.code, 0, "{}{}", said.output, said.error);
    assert!(said.output.contains("  process: helm.history\n"), "{}", said.output);

    let said = inspect(folder.path(), &["--grants", "grants.yaml", "--rbac", "--namespace", "agents"]);
    assert_eq!(said.code, 0, "{}", said.error);
    for part in [
        "metadata: {name: claiflow-plugin-tool, namespace: agents}",
        "resources: [serviceaccounts/token]",
        "Helm acts as that account too",
        "--serviceaccount=agents:claiflow-plugin-tool",
    ] {
        assert!(said.output.contains(part), "{part} in {}", said.output);
    }
}

#[test]
fn what_cannot_be_inspected_says_why() {
    let folder = folder(true);
    let said = inspect(folder.path(), &["--rbac"]);
    assert_eq!(said.code, 1);
    assert!(said.error.contains("gives `tool` nothing over the cluster's API"), "{}", said.error);

    std::fs::write(folder.path().join("grants.yaml"), "plugins: {tool: {kubernetes: [{verbs: [exec]}]}}").unwrap();
    let said = inspect(folder.path(), &["--grants", "grants.yaml"]);
    assert_eq!(said.code, 1);
    assert!(said.error.contains("plugins.tool.kubernetes[0]: `exec` is written `create`"), "{}", said.error);

    let pinned = format!("plugins: {{tool: {{sha256: \"{}\"}}}}", "0".repeat(64));
    std::fs::write(folder.path().join("grants.yaml"), pinned).unwrap();
    let said = inspect(folder.path(), &["--grants", "grants.yaml"]);
    assert_eq!(said.code, 1);
    assert!(said.output.contains("pin: the grants file pins 0000"), "{}", said.output);

    std::fs::write(folder.path().join("tool.wasm"), b"\0asm\x01\0\0\0").unwrap();
    let said = inspect(folder.path(), &[]);
    assert_eq!(said.code, 1);
    assert!(said.error.contains("a core module, not a component"), "{}", said.error);

    std::fs::remove_file(folder.path().join("tool.wasm")).unwrap();
    let said = inspect(folder.path(), &[]);
    assert_eq!(said.code, 1);
    assert!(said.error.contains("tool.wasm: the file cannot be read"), "{}", said.error);
}
