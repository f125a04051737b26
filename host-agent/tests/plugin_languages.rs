//! One table of cases for the same plugin in Rust, JavaScript, Python and Go: whoever calls a command cannot tell its language.
//! `cargo xtask test` builds them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod plugin_parts;

use std::{path::PathBuf, sync::Arc, time::Duration};

use claiflow_agent::{
    executor::commands::{CallDone, CallFailed, CommandCall, Commands, LogLevel, PluginState},
    plugin::{Runtime, SystemClock},
};
use plugin_parts::{Heard, House, call, eventually};
use serde_json::{Value, json};

const CASES: &str = include_str!("languages/cases.json");
/// An interpreter takes a minute to compile where other tests want the processors too.
const PATIENCE: Duration = Duration::from_secs(600);

/// A component below `CLAIFLOW_TEST_PLUGINS`, or none where nobody built it: said loudly, and a failure under `CLAIFLOW_STRICT=1`.
fn built(file: &str) -> Option<Vec<u8>> {
    let directory = std::env::var_os("CLAIFLOW_TEST_PLUGINS").map(PathBuf::from).unwrap_or_default();
    match std::fs::read(directory.join(file)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            assert_ne!(std::env::var("CLAIFLOW_STRICT").as_deref(), Ok("1"), "{file}: {error}");
            eprintln!("SKIPPED: CLAIFLOW_TEST_PLUGINS has no {file}, so it was not run: {error}");
            None
        }
    }
}

async fn check(name: &str, file: &str) {
    let Some(bytes) = built(file) else { return };
    let mut house = House::new();
    // Compiled code outlives the test: that of an interpreter changes with its version and wasmtime's.
    house.config.cache = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("plugin-languages"));
    house.put(&format!("{name}.wasm"), &bytes);
    let runtime = Runtime::open(house.config.clone(), Arc::new(SystemClock::new())).unwrap();
    tokio::time::timeout(PATIENCE, runtime.settled()).await.expect("the first round ends");
    house.runtime = Some(runtime);
    assert_eq!(house.plugin(name).state, PluginState::Ready, "{:?}", house.plugin(name));
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    for case in cases {
        let heard = Arc::new(Heard::default());
        let made = call(case["command"].as_str().unwrap(), &case["inputs"].to_string());
        let (stop, runtime) = (made.stop.clone(), house.runtime());
        let made = CommandCall { sink: heard.clone(), ..made };
        let running = tokio::spawn(async move { runtime.call(made).await });
        if case["cancelled"] == true {
            eventually("progress", async || !heard.progress.lock().unwrap().is_empty()).await;
            stop.cancel();
        }
        let answer = running.await.unwrap();
        answered(&format!("{name}: {}", case["name"]), &case, answer);
        told(&format!("{name}: {}", case["name"]), &case, &heard);
    }
}

fn answered(what: &str, case: &Value, answer: Result<CallDone, CallFailed>) {
    match (case.get("code").and_then(Value::as_str), answer) {
        (None, Ok(done)) => {
            let output: Value = serde_json::from_str(&done.output).unwrap();
            assert_eq!(output, case["output"], "{what}");
            assert_eq!(done.output, case["output"].to_string(), "{what}: the text");
        }
        (Some(code), Err(failed)) => {
            let part = case["message"].as_str().unwrap();
            assert!(failed.code == code && failed.message.contains(part), "{what}: {failed:?}");
        }
        (_, answer) => panic!("{what}: {answer:?}"),
    }
}

fn told(what: &str, case: &Value, heard: &Heard) {
    let level = |level: &LogLevel| format!("{level:?}").to_lowercase();
    let lines = heard.lines.lock().unwrap();
    let lines: Vec<Value> = lines
        .iter()
        .map(|(at, message, fields)| {
            let fields: serde_json::Map<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            json!([level(at), message, fields])
        })
        .collect();
    assert_eq!(json!(lines), *case.get("lines").unwrap_or(&json!([])), "{what}: lines");
    assert_eq!(json!(*heard.notes.lock().unwrap()), *case.get("notes").unwrap_or(&json!([])), "{what}: notes");
    if let Some(progress) = case.get("progress") {
        assert_eq!(json!(heard.progress.lock().unwrap().first()), *progress, "{what}: progress");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_rust_answers_as_the_table_says() {
    check("example", "example.wasm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_javascript_answers_as_the_table_says() {
    check("example-js", "languages/example-js.wasm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_python_answers_as_the_table_says() {
    check("example-py", "languages/example-py.wasm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_go_answers_as_the_table_says() {
    check("example-go", "languages/example-go.wasm").await;
}
