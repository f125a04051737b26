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
    Doubt, End, Line, Report, Step, Task, Verdict,
    commands::{Applied, Effect, LogLevel},
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
    let heard = Arc::new(Heard::new(case["accepts"] != false));
    let report: Arc<dyn Report> = heard.clone();
    let timeout = case["timeout_ms"].as_u64().map_or(PATIENCE, Duration::from_millis);
    let finished = case["finished"].as_object().into_iter().flatten();
    let finished = finished.map(|(path, output)| (path.clone(), output.to_string().into_bytes())).collect();
    let doubtful = case["doubtful"].as_object().into_iter().flatten();
    let doubtful = doubtful.map(|(path, said)| doubt(path, said)).collect();
    let task = Task { finished, doubtful, ..task(&case["inputs"], timeout, &signals) };
    let end = executor(script.clone(), &case["flow"]).run(&task, &report).await;

    let verdict = format!("{:?}", end.verdict).to_lowercase();
    assert_eq!(case["verdict"], verdict, "{name}: {end:?}");
    let result: Value = end.result.as_deref().map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
    assert_eq!(case["result"], result, "{name}");
    if let Some(code) = case["code"].as_str() {
        let error = end.error.as_ref().unwrap_or_else(|| panic!("{name}: there is no error"));
        assert_eq!(error.code, code, "{name}: {error:?}");
        let part = case["message"].as_str().unwrap_or_default();
        assert!(error.message.contains(part), "{name}: {error:?} lacks {part:?}");
        if let Some(applied) = case["applied"].as_str() {
            assert_eq!(format!("{:?}", error.applied.unwrap()).to_lowercase(), applied, "{name}: {error:?}");
        }
    }
    assert_eq!(case.get("asked").unwrap_or(&json!([])), &json!(script.verified_paths()), "{name}: verified");
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

/// `"verify"`, or `["verify", "another"]` of a component that is not the one that serves now.
fn doubt(path: &str, said: &Value) -> Doubt {
    let (class, digest) = if said.is_array() { (&said[0], [8; 32]) } else { (said, DIGEST) };
    Doubt { path: path.into(), effect: serde_json::from_value(class.clone()).unwrap(), digest: Some(digest) }
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

async fn run(flow: &Value, commands: &Value) -> (End, Arc<Script>, Arc<Heard>) {
    run_task(task(&json!({}), PATIENCE, &Signals::default()), flow, commands).await
}

async fn run_task(task: Task, flow: &Value, commands: &Value) -> (End, Arc<Script>, Arc<Heard>) {
    let script = Arc::new(Script::new(commands, Signals::default()));
    let heard = Arc::new(Heard::new(true));
    let report: Arc<dyn Report> = heard.clone();
    let end = executor(script.clone(), flow).run(&task, &report).await;
    (end, script, heard)
}

#[tokio::test]
async fn a_step_tells_its_command_its_component_and_what_it_used() {
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": 1}, {"fails": "conflict", "applied": "no"}]}});
    let (end, _, heard) = run(&two_steps(), &commands).await;
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
        let (script, report): (_, Arc<dyn Report>) = (script.clone(), heard.clone());
        async move { executor(script, &two_steps()).run(&task(&json!({}), PATIENCE, &signals), &report).await }
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
    let report: Arc<dyn Report> = Arc::new(Heard::new(true));
    let inputs = json!({"list": (0..12).collect::<Vec<_>>(), "big": "x".repeat(1_000_000)});
    let end = executor(script, &flow).run(&task(&inputs, PATIENCE, &signals), &report).await;
    let error = end.error.unwrap();
    assert_eq!((end.verdict, error.code.as_str()), (Verdict::Failed, "too-large"));
    assert!(error.message.contains("a step may give 1048576"), "{error:?}");
    assert_eq!(end.result, None);
}

#[tokio::test]
async fn an_output_larger_than_a_step_may_give_fails_the_step_and_keeps_its_effect_on_record() {
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": "x".repeat(1 << 20)}]}});
    let (end, ..) = run(&two_steps(), &commands).await;
    assert_eq!((end.verdict, end.error.unwrap().code.as_str()), (Verdict::Failed, "too-large"));
    let last = end.last.unwrap();
    assert_eq!((last.effect, last.output, last.error.unwrap().code.as_str()), (Effect::Never, None, "too-large"));
}

#[tokio::test]
async fn the_effect_key_is_equal_over_attempts_and_over_questions_and_differs_between_steps_and_tasks() {
    let flow = json!([{"$id": "a", "$command": "i"}, {"$id": "b", "$command": "v"}]);
    let commands = json!({
        "i": {"effect": "idempotent", "answers": [{"ok": 1}]},
        "v": {"effect": "verify", "answers": [{"fails": "failed", "applied": "maybe"}], "verify": [{"unknown": "x"}]},
    });
    let keys = async |attempt: u32, uuid: &str| {
        let task = Task { attempt, uuid: uuid.into(), ..task(&json!({}), PATIENCE, &Signals::default()) };
        let (_, script, _) = run_task(task, &flow, &commands).await;
        script.contexts.lock().unwrap().iter().map(|(path, key, _)| (path.clone(), key.clone())).collect::<Vec<_>>()
    };
    let first = keys(1, "one").await;
    assert_eq!(first.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["0", "1", "1"]);
    assert_eq!(first[1], first[2], "the question is about the call");
    assert_ne!(first[0].1, first[1].1);
    assert!(first.iter().all(|(_, key)| key.len() == 32));
    assert_eq!(keys(2, "one").await, first);
    assert!(keys(1, "another").await.iter().zip(&first).all(|(another, key)| another.1 != key.1));
}

#[tokio::test]
async fn notes_reach_the_server_in_order_and_the_next_call_finds_those_of_its_step() {
    let commands = json!({"c": {
        "effect": "verify",
        "answers": [{"ok": 1}, {"notes": [3, {"x": 4}], "fails": "timeout", "applied": "maybe"}],
        "verify": [{"done": 2}],
    }});
    let notes = [("0", vec!["1".to_owned()]), ("1", vec!["1".to_owned(), "2".to_owned()])];
    let notes = notes.into_iter().map(|(path, notes)| (path.to_owned(), notes)).collect();
    let task = Task { notes, ..task(&json!({}), PATIENCE, &Signals::default()) };
    let (end, script, heard) = run_task(task, &two_steps(), &commands).await;
    assert_eq!((end.verdict, end.result.as_deref()), (Verdict::Succeeded, Some("2")));
    let sent = heard.notes.lock().unwrap().clone();
    assert_eq!(sent, [("1".to_owned(), 2, "3".to_owned()), ("1".to_owned(), 3, r#"{"x":4}"#.to_owned())]);
    let contexts = script.contexts.lock().unwrap();
    let found: Vec<_> = contexts.iter().map(|(path, _, notes)| (path.as_str(), notes.join(" "))).collect();
    let all = r#"1 2 3 {"x":4}"#;
    assert_eq!(found, [("0", "1".to_owned()), ("1", "1 2".to_owned()), ("1", all.to_owned())]);
}

#[tokio::test]
async fn what_a_call_says_is_told_with_its_step() {
    let answers = json!([
        {"ok": 1, "logs": ["first"], "progress": [1, 3, "a third"]},
        {"ok": 2, "logs": ["second", "third"], "progress": [2, 0, ""]},
    ]);
    let commands = json!({"c": {"answers": answers}});
    let (_, _, heard) = run(&two_steps(), &commands).await;
    let line = |path: &str, message: &str, fields: &[(&str, &str)]| Line {
        path: path.into(),
        level: LogLevel::Info,
        message: message.into(),
        fields: fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    };
    let named = [("name", "value")];
    let expected = [
        line("0", "first", &named),
        line("0", "a third", &[("done", "1"), ("total", "3")]),
        line("1", "second", &named),
        line("1", "third", &named),
        line("1", "progress", &[("done", "2"), ("total", "0")]),
    ];
    assert_eq!(*heard.lines.lock().unwrap(), expected);
}
