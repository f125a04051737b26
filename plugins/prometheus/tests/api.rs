//! Every command, every mistake and everything that may come in place of an answer, as data: `cases/*.json`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of it is test")]

use std::{fs, path::Path};

use claiflow_plugin_prometheus::PLUGIN;
use claiflow_sdk::{
    Error,
    log::Level,
    testing::{Host, Sent, Web},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// One promise: what is asked, what servers say to it, and what comes of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    case: String,
    /// Without `prometheus.` and `.v1`.
    command: String,
    /// Without `url`, it is `http://prometheus:9090`.
    inputs: Value,
    #[serde(default)]
    answers: Vec<Answer>,
    /// The requests, in their order; those that are not expected are none.
    sent: Option<Vec<Expected>>,
    /// Where there is no `error`; absent, it is null.
    #[serde(default)]
    result: Value,
    /// `code`, `details`, and `says`: parts of the message.
    error: Option<Failed>,
    /// Level and part of each line.
    #[serde(default)]
    logs: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default = "fine")]
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    /// A document, or a text as it is.
    #[serde(default)]
    body: Value,
    /// A code in place of an answer.
    fails: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    headers: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failed {
    code: String,
    #[serde(default)]
    says: Vec<String>,
    #[serde(default)]
    details: Value,
}

fn get() -> String {
    "GET".to_owned()
}

fn fine() -> u16 {
    200
}

#[test]
fn every_case_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let cases: Vec<Case> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in cases {
            check(case);
            count += 1;
        }
    }
    assert!(count > 40, "only {count} cases were found");
}

fn check(case: Case) {
    let Case { case: name, command, mut inputs, answers, sent, result, error, logs } = case;
    let (host, web) = (Host::new(), Web::new());
    for Answer { method, url, status, headers, body, fails } in answers {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        match fails {
            None => web.answers_with(&method, &url, status, &headers, body),
            Some(code) => web.fails(&method, &url, Error::new(code, body)),
        }
    }
    if let Value::Object(inputs) = &mut inputs {
        inputs.entry("url").or_insert_with(|| json!("http://prometheus:9090"));
    }
    let answer = PLUGIN.run(&format!("prometheus.{command}.v1"), inputs);
    match (&answer, &result, &error) {
        (Ok(answer), expected, None) => assert_eq!(answer, expected, "{name}"),
        (Err(error), Value::Null, Some(Failed { code, says, details })) => {
            assert_eq!(error.code(), code, "{name}: {error}");
            says.iter()
                .for_each(|part| assert!(error.message().contains(part.as_str()), "{name}: {error} lacks {part}"));
            assert_eq!(&error.details().unwrap_or_default(), details, "{name}: {error}");
        }
        _ => panic!("{name}: {answer:?}"),
    }
    if let Some(expected) = sent {
        let all = web.sent();
        assert_eq!(all.len(), expected.len(), "{name}: {all:?}");
        all.iter().zip(&expected).for_each(|(sent, expected)| same(&name, sent, expected));
    }
    let lines = host.lines();
    assert_eq!(lines.len(), logs.len(), "{name}: {lines:?}");
    for (line, (level, part)) in lines.iter().zip(&logs) {
        let level = if level == "warn" { Level::Warn } else { Level::Info };
        assert!(line.level == level && line.message.contains(part.as_str()), "{name}: {line:?}");
    }
}

fn same(name: &str, sent: &Sent, expected: &Expected) {
    let body = String::from_utf8_lossy(&sent.body);
    assert_eq!((&sent.method, &sent.url, &*body), (&expected.method, &expected.url, expected.body.as_str()), "{name}");
    for (header, value) in &expected.headers {
        assert_eq!(sent.header(header), value.as_str(), "{name}: {header}");
    }
    assert!(sent.timeout.is_some_and(|timeout| timeout.as_secs() < 60), "{name}: the call has time left to say why");
}

#[test]
fn an_answer_is_handed_on_as_it_came() {
    let web = Web::new();
    let data = r#"{"b": 1.50, "a": 18446744073709551616, "nan": "NaN"}"#;
    let body = format!(r#"{{"status": "success", "data": {data}}}"#);
    web.answers("GET", "http://prometheus:9090/api/v1/alerts", 200, body);
    let answer = PLUGIN.run("prometheus.alerts.v1", json!({"url": "prometheus:9090"})).unwrap();
    assert_eq!(answer["b"].to_string(), "1.50");
    assert_eq!(answer["a"].to_string(), "18446744073709551616");
}

#[test]
fn every_command_only_reads_and_shows_its_inputs() {
    let described = PLUGIN.describe();
    let commands = described["commands"].as_array().unwrap();
    assert_eq!(commands.len(), 11);
    for command in commands {
        let name = command["name"].as_str().unwrap();
        assert!(name.starts_with("prometheus.") && name.ends_with(".v1"), "{name}");
        assert_eq!(command["effect"], "read", "{name}");
        assert!(command["inputs"]["properties"]["url"]["type"] == "string", "{name}: {}", command["inputs"]);
        assert!(command["inputs"]["properties"]["credential"].is_object(), "{name}: {}", command["inputs"]);
    }
}
