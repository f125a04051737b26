//! Tests as data: every file of `cases/` through one `check`. A case either is refused when parsed (`mistakes`), or runs
//! with scripted commands and ends in `result` or `error`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

use std::{fs, path::Path, sync::Arc};

use claiflow_flow::{Event, Flow, Limits, Machine, Origin};
use serde_json::{Value, json};

#[test]
fn every_case_ends_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let cases: Vec<Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        for case in &cases {
            check(case);
            count += 1;
        }
    }
    assert!(count > 30, "only {count} cases were found");
}

fn check(case: &Value) {
    let name = case["name"].as_str().unwrap();
    let origin = if case["stored"] == true { Origin::Stored } else { Origin::Authored };
    let text = case["text"].as_str().map_or_else(|| case["flow"].to_string(), str::to_owned);
    let flow = match Flow::parse(&text, origin) {
        Ok(flow) => flow,
        Err(mistakes) => {
            let found: Vec<Value> =
                mistakes.iter().map(|m| json!({"pointer": m.pointer, "message": m.message})).collect();
            let expected = case["mistakes"].as_array().unwrap_or_else(|| panic!("{name}: refused with {found:?}"));
            assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert_eq!(found["pointer"], expected["pointer"], "{name}");
                let part = expected["message"].as_str().unwrap();
                assert!(found["message"].as_str().unwrap().contains(part), "{name}: {found} lacks {part:?}");
            }
            return;
        }
    };
    assert!(case["mistakes"].is_null(), "{name}: was not refused");
    if let Some(level) = case["level"].as_u64() {
        assert_eq!(u64::from(flow.language_level()), level, "{name}");
    }
    if let Some(warnings) = case["warnings"].as_u64() {
        assert_eq!(flow.warnings().len() as u64, warnings, "{name}: {:?}", flow.warnings());
    }
    if case["result"].is_null() && case["error"].is_null() && case["null_result"].is_null() {
        return;
    }
    let mut machine = Machine::new(Arc::new(flow), case["inputs"].clone(), Limits::default());
    for (path, output) in case["replayed"].as_object().into_iter().flatten() {
        machine.step(Event::Replayed { path: path.clone(), output: output.clone() });
    }
    let mut progress = machine.step(Event::Start);
    let mut calls = Vec::new();
    let done = loop {
        if let Some(done) = progress.done {
            break done;
        }
        let mut next = None;
        for expression in progress.expressions {
            let answer = &case["expressions"][&expression.program];
            assert!(!answer.is_null(), "{name}: nothing answers {:?}", expression.program);
            for (variable, value) in expression.variables {
                let Some(variables) = answer.get("variables") else { continue };
                let expected = &variables[&variable];
                // What has integer keys is no JSON: it stands as text.
                let text = expected.as_str().map_or_else(|| expected.to_string(), str::to_owned);
                assert_eq!(value, text, "{name}: {variable}");
            }
            let input = if answer["input"].is_null() { "null".to_owned() } else { answer["input"].to_string() };
            assert_eq!(expression.input, input, "{name}: the dot");
            let outcome = answer["error"].as_str().map_or_else(|| Ok(answer["value"].clone()), |e| Err(e.to_owned()));
            next = Some(machine.step(Event::Evaluated { id: expression.id, outcome }));
        }
        for call in progress.calls {
            calls.push(json!(call.path));
            let inputs = Value::Object(call.inputs);
            let script = case["commands"][&call.command].as_array();
            let script = script.unwrap_or_else(|| panic!("{name}: no command {}", call.command));
            let pair = script.iter().find(|pair| pair[0] == inputs || pair[0] == "*");
            let output = pair.unwrap_or_else(|| panic!("{name}: {} got {inputs}", call.command))[1].clone();
            next = Some(machine.step(match output.get("!error").and_then(Value::as_str) {
                Some(message) => Event::Failed { path: call.path, code: "failed".into(), message: message.into() },
                None => Event::Finished { path: call.path, bytes: output.to_string().len(), output },
            }));
        }
        progress = next.unwrap_or_else(|| panic!("{name}: the machine stands still"));
    };
    if let Some(paths) = case["calls"].as_array() {
        assert_eq!(&calls, paths, "{name}");
    }
    match done {
        Ok(result) => assert_eq!(result, case["result"], "{name}"),
        Err(error) => {
            if let Some(path) = case["error"]["at"].as_str() {
                assert_eq!(error.path, path, "{name}");
            }
            assert_eq!(error.pointer, case["error"]["path"].as_str().unwrap_or_default(), "{name}: {error}");
            let part = case["error"]["message"].as_str().unwrap();
            assert!(error.message.contains(part), "{name}: {error} lacks {part:?}");
        }
    }
}
