//! The plugins of this repository, as `cargo xtask build-plugin` made them: a directory named by `CLAIFLOW_TEST_PLUGINS`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod plugin_parts;

use std::path::PathBuf;

use claiflow_agent::executor::commands::PluginState;
use plugin_parts::House;

/// The built file, or none where nobody built it: said loudly, and a failure where `CLAIFLOW_STRICT=1` asks for one.
fn built(file: &str) -> Option<Vec<u8>> {
    let directory = std::env::var_os("CLAIFLOW_TEST_PLUGINS").map(PathBuf::from);
    let Some(directory) = directory else {
        assert_ne!(std::env::var("CLAIFLOW_STRICT").as_deref(), Ok("1"), "CLAIFLOW_TEST_PLUGINS names no directory");
        eprintln!("SKIPPED: CLAIFLOW_TEST_PLUGINS names no directory of built plugins, so {file} was not run");
        return None;
    };
    let path = directory.join(file);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_answers_as_the_readme_shows() {
    let Some(bytes) = built("example.wasm") else { return };
    let mut house = House::new();
    house.put("example.wasm", &bytes);
    house.open().await;
    assert_eq!(house.plugin("example").state, PluginState::Ready, "{:?}", house.plugin("example"));
    for (command, inputs, output) in [
        ("helloworld", r#"{"name":"world"}"#, r#""hello world""#),
        ("math_pow", r#"{"x":3,"y":2}"#, "9"),
        ("swap_command", r#"{"param1":"bar","param2":"foo"}"#, r#"{"value1":"foo","value2":"bar"}"#),
    ] {
        let done = house.call(command, inputs).await.unwrap_or_else(|failed| panic!("{command}: {failed:?}"));
        assert_eq!(done.output, output, "{command}");
    }
    assert_eq!(house.call("math_pow", r#"{"x":"three"}"#).await.unwrap_err().code, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hostile_plugin_harms_nobody_but_its_own_calls() {
    let (Some(hostile), Some(example)) = (built("hostile.wasm"), built("example.wasm")) else { return };
    let mut house = House::new();
    house.config.limits.cpu = std::time::Duration::from_millis(500);
    house.put("hostile.wasm", &hostile);
    house.put("example.wasm", &example);
    house.open().await;
    for (command, code, part) in [
        ("hostile.trap", "failed", "trapped"),
        ("hostile.spin", "budget", "CPU"),
        ("hostile.eat", "budget", "memory"),
        // A Rust guest keeps its own stack in its memory and runs off its end.
        ("hostile.recurse", "failed", "trapped"),
        ("hostile.large", "too-large", "1048576"),
    ] {
        let failed = house.call(command, "{}").await.expect_err(command);
        assert!(failed.code == code && failed.message.contains(part), "{command}: {failed:?}");
        let done = house.call("helloworld", r#"{"name":"world"}"#).await.unwrap();
        assert_eq!(done.output, r#""hello world""#, "after {command}");
    }
}
