//! Plugins of the first contract go on loading, and those of later minor versions load as far as they ask for what is there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod plugin_parts;

use std::{fs, path::Path};

use claiflow_agent::executor::commands::PluginState;
use plugin_parts::{Guest, House};

/// The contract as a later minor version would be: everything there is, and one interface more.
fn later(wit: &Path) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    fs::create_dir_all(wit.join("deps")).unwrap();
    for entry in
        fs::read_dir(here).unwrap().map(Result::unwrap).filter(|it| it.path().extension().is_some_and(|it| it == "wit"))
    {
        let text = fs::read_to_string(entry.path()).unwrap();
        let text = text.replace("package claiflow:plugin@1.0.0;", "package claiflow:plugin@1.1.0;");
        fs::write(wit.join(entry.file_name()), text).unwrap();
    }
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/deps")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), wit.join("deps").join(entry.file_name())).unwrap();
    }
    let more = "package claiflow:plugin@1.1.0;\n@since(version = 1.1.0)\ninterface weather { rain: func() -> bool; }\n";
    fs::write(wit.join("weather.wit"), more).unwrap();
}

/// `example.wasm` was built when 1.0.0 was published, and is never built again.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_of_the_first_contract_serves() {
    let mut house = House::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/contract-1.0.0/example.wasm");
    house.put("example.wasm", &fs::read(fixture).unwrap());
    house.open().await;
    assert_eq!(house.plugin("example").state, PluginState::Ready, "{:?}", house.plugin("example"));
    assert_eq!(house.call("helloworld", r#"{"name":"world"}"#).await.unwrap().output, r#""hello world""#);
    assert_eq!(house.call("math_pow", r#"{"x":3,"y":2}"#).await.unwrap().output, "9");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_of_a_later_minor_version_serves_unless_it_asks_for_what_is_not_here() {
    let directory = tempfile::tempdir().unwrap();
    later(directory.path());
    let tool = || Guest::new("tool", r#"[{"name":"go"}]"#);
    let mut house = House::new();
    house.put("tool.wasm", &tool().build_against(directory.path(), "1.1.0"));
    house.open().await;
    assert_eq!(house.plugin("tool").state, PluginState::Ready, "{:?}", house.plugin("tool"));
    assert_eq!(house.call("go", r#"{"x":1}"#).await.unwrap().output, r#"{"x":1}"#);

    let asks = tool().imports(
        "import claiflow:plugin/weather@1.1.0;",
        r#"(import "claiflow:plugin/weather@1.1.0" "rain" (func $f (result i32)))"#,
    );
    let entry = House::verdict("tool.wasm", &asks.build_against(directory.path(), "1.1.0"), "").await;
    assert_eq!(entry.state, PluginState::Refused);
    assert!(entry.reason.contains("`claiflow:plugin/weather@1.1.0`"), "{}", entry.reason);
}
