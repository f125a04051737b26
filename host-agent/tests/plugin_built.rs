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
        ("helloworld", "{}", r#""hello world""#),
        ("math_pow", r#"{"x":3,"y":2}"#, "9"),
        ("swap_command", r#"{"value1":"bar","value2":"foo"}"#, r#"{"value1":"foo","value2":"bar"}"#),
    ] {
        let done = house.call(command, inputs).await.unwrap_or_else(|failed| panic!("{command}: {failed:?}"));
        let (done, output): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(&done.output).unwrap(), serde_json::from_str(output).unwrap());
        match (done.as_f64(), output.as_f64()) {
            (Some(done), Some(output)) => assert!((done - output).abs() < 1e-9, "{command}: {done}"),
            _ => assert_eq!(done, output, "{command}"),
        }
    }
    assert_eq!(house.call("math_pow", r#"{"x":"three"}"#).await.unwrap_err().code, "invalid");
}
