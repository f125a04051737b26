//! The agent's own program: what a plugin says is on its standard error at once, in one line, with task and step.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod link_parts;
mod plugin_parts;

use std::process::Stdio;

use link_parts::{PATIENCE, listen, welcomed};
use plugin_parts::Guest;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

/// Says one line, then sleeps for ever.
fn sleeper() -> Vec<u8> {
    let message = r"effect begin \1b[31mred\nnext";
    Guest::new("tool", r#"[{"name":"go","effect":"read"}]"#)
        .imports(
            "import wasi:clocks/monotonic-clock@0.2.12;",
            r#"(import "claiflow:plugin/log@1.0.0" "write" (func $write (param i32 i32 i32 i32 i32)))
               (import "wasi:clocks/monotonic-clock@0.2.12" "subscribe-duration" (func $sleep (param i64) (result i32)))
               (import "wasi:io/poll@0.2.12" "[method]pollable.block" (func $block (param i32)))"#,
        )
        .items(&format!(r#"(data (i32.const 300) "{message}")"#))
        .run(
            "(call $write (i32.const 2) (i32.const 300) (i32.const 26) (i32.const 0) (i32.const 0))
             (call $block (call $sleep (i64.const 3600000000000))) unreachable",
        )
        .build()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_says_is_on_standard_error_while_its_call_runs() {
    let directory = tempfile::tempdir().unwrap();
    let plugins = directory.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    std::fs::write(plugins.join("tool.wasm"), sleeper()).unwrap();
    let (address, mut streams) = listen().await;
    let mut agent = Command::new(env!("CARGO_BIN_EXE_claiflow-agent"))
        .args(["--server", &address.to_string(), "--clusteruuid", &"0".repeat(32), "--token", "token"])
        .arg("--plugins")
        .arg(&plugins)
        .arg("--state")
        .arg(directory.path().join("state"))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(agent.stderr.take().unwrap()).lines();
    let (mut stream, _) = welcomed(&mut streams, vec![]).await;
    stream.offer("lease", 1, &json!([{"$id": "a", "$command": "go"}])).await;
    let line = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the agent runs");
            if line.contains("effect begin") {
                return line;
            }
        }
    };
    let line = tokio::time::timeout(PATIENCE, line).await.expect("the line is there while the call runs");
    assert!(line.contains(r"effect begin \u{1b}[31mred\nnext"), "{line}");
    assert!(line.contains(r#"task.uuid="6c65617365" step.path="0""#) && line.contains(" INFO "), "{line}");
    assert!(!line.contains('\u{1b}'), "no escape reaches a file: {line}");
    agent.kill().await.unwrap();
}
