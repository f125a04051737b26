//! A directory that changes while it is served: swaps, replacements, removals, bad files, grants.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod plugin_parts;

use std::os::unix::fs::symlink;

use claiflow_agent::executor::commands::{Inventory, PluginState};
use plugin_parts::{Guest, House, answer, eventually};

/// Answers a digit, so that versions can be told apart.
fn version(digit: u8) -> Vec<u8> {
    Guest::new("tool", r#"[{"name":"go"}]"#)
        .run(&answer("(i32.const 300)", "(i32.const 1)"))
        .items(&format!(r#"(data (i32.const 300) "{digit}")"#))
        .build()
}

fn state(inventory: &Inventory, name: &str) -> Option<PluginState> {
    inventory.plugins.iter().find(|plugin| plugin.name == name).map(|plugin| plugin.state)
}

async fn answers(house: &House, expected: &str) {
    eventually(expected, async || house.call("go", "{}").await.is_ok_and(|done| done.output == expected)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_dropped_in_serves_a_replaced_one_changes_and_a_removed_one_goes() {
    let mut house = House::new();
    house.open().await;
    assert_eq!(house.call("go", "{}").await.unwrap_err().code, "not-found");
    house.put("tool.wasm", &version(1));
    answers(&house, "1").await;
    house.put("tool.wasm", &version(2));
    answers(&house, "2").await;
    std::fs::remove_file(house.mount.join("tool.wasm")).unwrap();
    let inventory = house.until("the removal", |inventory| inventory.plugins.is_empty()).await;
    assert!(inventory.commands.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configmap_swap_is_seen() {
    let mut house = House::new();
    let data = |name: &str, digit: u8| {
        let directory = house.mount.join(name);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("tool.wasm"), version(digit)).unwrap();
    };
    data("..2026_01", 1);
    data("..2026_02", 2);
    symlink("..2026_01", house.mount.join("..data")).unwrap();
    symlink("..data/tool.wasm", house.mount.join("tool.wasm")).unwrap();
    house.open().await;
    assert_eq!(house.call("go", "{}").await.unwrap().output, "1");
    // As the kubelet does it.
    symlink("..2026_02", house.mount.join("..data_tmp")).unwrap();
    std::fs::rename(house.mount.join("..data_tmp"), house.mount.join("..data")).unwrap();
    std::fs::remove_dir_all(house.mount.join("..2026_01")).unwrap();
    answers(&house, "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_keeps_the_last_good_version_and_says_why() {
    let mut house = House::new();
    house.put("tool.wasm", &version(1));
    house.put("neighbour.wasm", &Guest::new("neighbour", r#"[{"name":"neighbour"}]"#).build());
    house.open().await;
    let good = house.plugin("tool").digest;
    let bad = version(2);
    for (what, bytes) in [
        ("truncated", bad[..bad.len() / 2].to_vec()),
        ("another name", Guest::new("other", "[]").build()),
        ("a describe that traps", Guest::new("tool", "[]").describe("unreachable").build()),
        ("empty", Vec::new()),
    ] {
        house.put("tool.wasm", &bytes);
        house.until(what, |inventory| state(inventory, "tool") == Some(PluginState::Kept)).await;
        let entry = house.plugin("tool");
        assert!(entry.digest == good && !entry.reason.is_empty(), "{what}: {entry:?}");
        assert_eq!(house.call("go", "{}").await.unwrap().output, "1", "{what}");
        assert_eq!(house.plugin("neighbour").state, PluginState::Ready);
        house.put("tool.wasm", &version(1));
        house.until("good again", |inventory| state(inventory, "tool") == Some(PluginState::Ready)).await;
    }
    house.put("tool.wasm", &bad);
    answers(&house, "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_vanishes_keeps_everything() {
    let mut house = House::new();
    house.put("tool.wasm", &version(1));
    house.open().await;
    let away = house.root.path().join("away");
    std::fs::rename(&house.mount, &away).unwrap();
    for _ in 0..20 {
        assert_eq!(house.call("go", "{}").await.unwrap().output, "1");
        tokio::time::sleep(house.config.poll_interval / 5).await;
    }
    std::fs::write(away.join("tool.wasm"), version(2)).unwrap();
    std::fs::rename(&away, &house.mount).unwrap();
    answers(&house, "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_grant_ends_a_plugin_and_a_bad_grants_file_changes_nothing() {
    let mut house = House::new();
    house.put("tool.wasm", &version(1));
    house.grant("plugins: {tool: {}}");
    house.open().await;
    assert_eq!(house.call("go", "{}").await.unwrap().output, "1");
    house.grant("plugins: {tool: {comands: []}}");
    // The refused file is passed by; what is asked next is answered under the last good one.
    house.put("marker.wasm", &Guest::new("marker", r#"[{"name":"marker"}]"#).build());
    house.until("the marker", |inventory| state(inventory, "marker") == Some(PluginState::Ready)).await;
    assert_eq!(house.call("go", "{}").await.unwrap().output, "1");
    house.grant("unlisted: deny");
    house.until("the withdrawal", |inventory| state(inventory, "tool") == Some(PluginState::Refused)).await;
    assert_eq!(house.call("go", "{}").await.unwrap_err().code, "not-found");
    house.grant("plugins: {tool: {limits: {wall: 5s}}}");
    answers(&house, "1").await;
    std::fs::remove_file(house.root.path().join("grants.yaml")).unwrap();
    house.until("no grants at all", |inventory| state(inventory, "marker") == Some(PluginState::Ready)).await;
    assert_eq!(house.call("go", "{}").await.unwrap().output, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_stops_fitting_sets_its_plugin_aside_until_it_fits() {
    let schema = r#"{"name":"tool","commands":[{"name":"go"}],"config":{"properties":{"grace":{"type":"string"}}}}"#;
    let mut house = House::new();
    house.put("tool.wasm", &Guest::new("tool", "[]").says(schema).build());
    house.open().await;
    assert_eq!(house.plugin("tool").state, PluginState::Ready);
    house.grant("plugins: {tool: {config: {grace: 30}}}");
    house.until("the refusal", |inventory| state(inventory, "tool") == Some(PluginState::Refused)).await;
    eventually("the reason", async || house.plugin("tool").reason.contains("/grace")).await;
    house.grant("plugins: {tool: {config: {grace: 30s}}}");
    house.until("its return", |inventory| state(inventory, "tool") == Some(PluginState::Ready)).await;
}
