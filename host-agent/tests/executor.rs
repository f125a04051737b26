//! Runs as data: every file of `runs/` through one `check`, against scripted commands and a scripted server. What must be
//! seen while it happens stands below as tests of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod executor_parts;

use std::{fs, path::Path, sync::Arc, time::Duration};

use claiflow_agent::executor::{
    End, Step, Task, Verdict,
    commands::{Applied, Effect},
};
use executor_parts::{DIGEST, Heard, PATIENCE, Script, Signals, USAGE, executor, task};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_run_ends_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs");
    let mut runs = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let cases: Vec<Value> = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        runs.extend(cases.into_iter().map(|case| tokio::spawn(check(case))));
    }
    assert!(runs.len() > 20, "only {} cases were found", runs.len());
    for run in runs {
        run.await.unwrap();
    }
}

async fn check(case: Value) {
    let name = case["name"].as_str().unwrap();
    let signals = Signals::default();
    let script = Arc::new(Script::new(&case["commands"], signals.clone()));
    let heard = Heard::new(case["accepts"] != false);
    let timeout = case["timeout_ms"].as_u64().map_or(PATIENCE, Duration::from_millis);
    let finished = case["finished"].as_object().into_iter().flatten();
    let finished = finished.map(|(path, output)| (path.clone(), output.to_string().into_bytes())).collect();
    let task = Task { finished, ..task(&case["inputs"], timeout, &signals) };
    let end = executor(script.clone(), &case["flow"]).run(&task, &heard).await;

    let verdict = format!("{:?}", end.verdict).to_lowercase();
    assert_eq!(case["verdict"], verdict, "{name}: {end:?}");
    let result: Value = end.result.as_deref().map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
    assert_eq!(case["result"], result, "{name}");
    if let Some(code) = case["code"].as_str() {
        let error = end.error.as_ref().unwrap_or_else(|| panic!("{name}: there is no error"));
        assert_eq!(error.code, code, "{name}: {error:?}");
        let part = case["message"].as_str().unwrap_or_default();
        assert!(error.message.contains(part), "{name}: {error:?} lacks {part:?}");
    }
    assert_eq!(case["calls"], json!(script.paths()), "{name}: calls");
    let starts: Vec<_> = heard.started.lock().unwrap().iter().map(|step| json!([step.path, word(step)])).collect();
    assert_eq!(case.get("started").unwrap_or(&json!([])), &json!(starts), "{name}: starts");
    let ended: Vec<_> = heard.ended.lock().unwrap().iter().map(shown).collect();
    if let Some(expected) = case.get("ended") {
        assert_eq!(expected, &json!(ended), "{name}: ends");
    }
    if let Some(expected) = case.get("last") {
        assert_eq!(expected, &end.last.as_ref().map_or(Value::Null, shown), "{name}: the last step");
    }
}

fn word(step: &Step) -> String {
    format!("{:?}", step.effect).to_lowercase()
}

fn shown(step: &Step) -> Value {
    let output = step.output.as_deref().map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
    json!([step.path, step.error.as_ref().map_or(output, |fault| json!({ "error": fault.code }))])
}

fn two_steps() -> Value {
    json!([{"$id": "a", "$command": "c"}, {"$id": "b", "$command": "c"}])
}

async fn run(flow: &Value, commands: &Value, heard: &Heard) -> (End, Arc<Script>) {
    let script = Arc::new(Script::new(commands, Signals::default()));
    let task = task(&json!({}), PATIENCE, &Signals::default());
    (executor(script.clone(), flow).run(&task, heard).await, script)
}

#[tokio::test]
async fn a_step_tells_its_command_its_component_and_what_it_used() {
    let heard = Heard::new(true);
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": 1}, {"fails": "conflict", "applied": "no"}]}});
    let (end, _) = run(&two_steps(), &commands, &heard).await;
    let started = heard.started.lock().unwrap()[0].clone();
    assert_eq!((started.command.as_str(), started.digest, started.usage), ("c", Some(DIGEST), None));
    let ended = heard.ended.lock().unwrap()[0].clone();
    assert_eq!((ended.command.as_str(), ended.digest, ended.usage), ("c", Some(DIGEST), Some(USAGE)));
    let last = end.last.unwrap();
    assert_eq!((last.usage, last.error.unwrap().applied), (Some(USAGE), Some(Applied::No)));
    assert_eq!(end.error.unwrap().applied, Some(Applied::No));
}

#[tokio::test]
async fn no_step_starts_while_the_lease_may_be_somebody_elses_and_the_run_goes_on_when_it_is_not() {
    let signals = Signals::default();
    let commands = json!({"c": {"effect": "read", "answers": [{"ok": 1}, {"ok": 2}]}});
    let script = Arc::new(Script::new(&commands, signals.clone()));
    let heard = Arc::new(Heard::new(true));
    heard.holds.send_replace(false);
    let running = tokio::spawn({
        let (script, heard) = (script.clone(), heard.clone());
        async move { executor(script, &two_steps()).run(&task(&json!({}), PATIENCE, &signals), &*heard).await }
    });
    heard.asked.subscribe().wait_for(|asked| *asked == 1).await.unwrap();
    assert_eq!(script.paths(), [""; 0], "nothing has started");
    heard.holds.send_replace(true);
    assert_eq!(running.await.unwrap().verdict, Verdict::Succeeded);
    assert_eq!(script.paths(), ["0", "1"]);
}

#[tokio::test]
async fn a_print_larger_than_a_step_may_give_fails_the_task_and_says_so() {
    let flow = json!([
        {"$id": "r", "$range": "$inputs.list", "$steps": [{"$id": "p", "$command": "c", "inputs": {"x": "$inputs.big"}}]},
        {"$id": "all", "$print": {"hide": []}}
    ]);
    let answers: Vec<_> = (0..12).map(|_| json!({"ok": "y".repeat(1_000_000)})).collect();
    let signals = Signals::default();
    let script = Arc::new(Script::new(&json!({"c": {"answers": answers}}), signals.clone()));
    let heard = Heard::new(true);
    let inputs = json!({"list": (0..12).collect::<Vec<_>>(), "big": "x".repeat(1_000_000)});
    let end = executor(script, &flow).run(&task(&inputs, PATIENCE, &signals), &heard).await;
    let error = end.error.unwrap();
    assert_eq!((end.verdict, error.code.as_str()), (Verdict::Failed, "too-large"));
    assert!(error.message.contains("a step may give 1048576"), "{error:?}");
    assert_eq!(end.result, None);
}

#[tokio::test]
async fn an_output_larger_than_a_step_may_give_fails_the_step_and_keeps_its_effect_on_record() {
    let heard = Heard::new(true);
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": "x".repeat(1 << 20)}]}});
    let (end, _) = run(&two_steps(), &commands, &heard).await;
    assert_eq!((end.verdict, end.error.unwrap().code.as_str()), (Verdict::Failed, "too-large"));
    let last = end.last.unwrap();
    assert_eq!((last.effect, last.output, last.error.unwrap().code.as_str()), (Effect::Never, None, "too-large"));
}
