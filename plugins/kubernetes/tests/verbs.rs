//! Every verb, every mistake, every failure of the API server and every verdict, as data: `cases/*.json`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of it is test")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use claiflow_plugin_kubernetes::PLUGIN;
use claiflow_sdk::{
    Context, Error,
    testing::{Cluster, Executed, Host},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// One promise: what there is, what is asked, and what comes of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    case: String,
    /// Names of `OBJECTS`, or whole objects.
    #[serde(default)]
    objects: Vec<Value>,
    /// Calls that fail, once and without effect unless said otherwise.
    #[serde(default)]
    failures: Vec<Failure>,
    /// What happens while the command waits.
    #[serde(default)]
    later: Vec<Later>,
    /// Without `kubernetes.`.
    command: String,
    inputs: Value,
    #[serde(default)]
    attempt: u32,
    #[serde(default)]
    notes: Vec<Value>,
    #[serde(default)]
    remaining_ms: Option<u64>,
    /// Ask `verify` in place of `run`.
    #[serde(default)]
    verify: bool,
    /// What the answer holds; null in an expectation means absent.
    result: Option<Value>,
    error: Option<Value>,
    /// Objects afterwards: `plural namespace/name` to what they hold, or null.
    #[serde(default)]
    after: Map<String, Value>,
    calls: Option<Vec<String>>,
    left_notes: Option<Value>,
    /// Part of a line of the log.
    logs: Option<String>,
    #[serde(default)]
    waits_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    call: String,
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Map<String, Value>,
    /// It took effect all the same.
    #[serde(default)]
    lost: bool,
    #[serde(default)]
    always: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Later {
    ms: u64,
    /// `plural namespace/name`.
    object: String,
    /// Laid over it; null takes it away.
    change: Value,
}

/// 32 digits, as the agent makes it.
const EFFECT_KEY: &str = "0123456789abcdef0123456789abcdef";

fn known(name: &str) -> Value {
    let namespaced = |kind: &str, name: &str, rest: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"namespace": "shop", "name": name}});
        lay(&mut object, &rest);
        object
    };
    match name {
        "web-1" | "web-2" => namespaced(
            "Pod",
            name,
            json!({
                "metadata": {"labels": {"app": "web", "tier": "2"}},
                "spec": {"containers": [{"name": "app", "image": "web:7"}]}, "status": {"phase": "Running"},
            }),
        ),
        "db-1" => {
            namespaced("Pod", name, json!({"metadata": {"labels": {"app": "db"}}, "status": {"phase": "Pending"}}))
        }
        "far-1" => namespaced("Pod", name, json!({"metadata": {"namespace": "far", "labels": {"app": "web"}}})),
        "web" => namespaced(
            "Deployment",
            name,
            json!({
                "apiVersion": "apps/v1", "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "app"}]}}},
            }),
        ),
        "settings" => namespaced("ConfigMap", name, json!({"data": {"a": "1"}})),
        "held" => namespaced("ConfigMap", name, json!({"metadata": {"finalizers": ["example.com/held"]}})),
        "node-1" => json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}),
        "tab" => namespaced("CronTab", name, json!({"apiVersion": "stable.example.com/v1", "spec": {"cron": "* *"}})),
        other => panic!("no object `{other}`"),
    }
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
            check(&case);
            count += 1;
        }
    }
    assert!(count > 60, "only {count} cases were found");
}

fn check(case: &Case) {
    let name = &case.case;
    let (host, cluster) = (Host::new(), Cluster::new());
    cluster.kind("stable.example.com/v1", "CronTab", "crontabs", true);
    for object in &case.objects {
        cluster.put(object.as_str().map_or_else(|| object.clone(), known));
    }
    cluster.log("shop", "web-1", "one\ntwo\nthree\n");
    cluster.program(|command, _| match command.first().map(String::as_str) {
        Some("echo") => Executed { stdout: command[1..].join(" ").into_bytes(), ..Executed::default() },
        Some("flood") => Executed { stdout: vec![b'x'; 2 << 20], ..Executed::default() },
        _ => Executed { stderr: b"no such program".to_vec(), exit: 127, ..Executed::default() },
    });
    for Failure { call, code, message, details, lost, always } in &case.failures {
        let error = Error::new(code.clone(), message.clone());
        let error = details.iter().fold(error, |error, (key, value)| error.detail(key, value.clone()));
        match (lost, always) {
            (true, _) => cluster.lose(call, error),
            (false, true) => cluster.refuse(call, error),
            (false, false) => cluster.fail(call, error),
        }
    }
    for Later { ms, object, change } in &case.later {
        let (plural, namespace, name) = address(object);
        let change = change.clone();
        cluster.after(Duration::from_millis(*ms), move |cluster| match change {
            Value::Null => cluster.take(&plural, &namespace, &name),
            change => match cluster.object(&plural, &namespace, &name) {
                Some(_) => cluster.change(&plural, &namespace, &name, |object| lay(object, &change)),
                None => cluster.put(change),
            },
        });
    }
    if let Some(left) = case.remaining_ms {
        host.remaining_ms(left);
    }
    let mut context = Context::default();
    context.effect_key = EFFECT_KEY.to_owned();
    context.attempt = case.attempt.max(1);
    context.notes = case.notes.clone();
    let command = format!("kubernetes.{}", case.command);
    let began = Instant::now();
    let answer = match case.verify {
        true => PLUGIN.verify_in(&context, &command, case.inputs.clone()),
        false => PLUGIN.run_in(&context, &command, case.inputs.clone()),
    };
    match (&answer, &case.result, &case.error) {
        (Ok(answer), Some(expected), None) => assert!(holds(answer, expected), "{name}: {answer}"),
        (Err(error), None, Some(expected)) => {
            let shown = json!({"code": error.code(), "message": error.message(), "details": error.details()});
            let message = expected["message"].as_str().unwrap_or_default();
            let mut rest = expected.clone();
            rest.as_object_mut().unwrap().remove("message");
            assert!(error.message().contains(message) && holds(&shown, &rest), "{name}: {shown}");
        }
        _ => panic!("{name}: {answer:?}"),
    }
    for (object, expected) in &case.after {
        let (plural, namespace, name_of) = address(object);
        let now = cluster.object(&plural, &namespace, &name_of);
        assert!(holds(&now.clone().unwrap_or_default(), expected), "{name}: {object} is {now:?}");
    }
    if let Some(calls) = &case.calls {
        assert_eq!(&cluster.calls(), calls, "{name}");
    }
    if let Some(notes) = &case.left_notes {
        assert_eq!(&Value::Array(host.notes()), notes, "{name}");
    }
    if let Some(part) = &case.logs {
        assert!(host.lines().iter().any(|line| line.message.contains(part.as_str())), "{name}: {:?}", host.lines());
    }
    if let Some(time) = case.waits_ms {
        // The clock of a test goes on by itself, too.
        let (slept, time) = (host.slept(), Duration::from_millis(time));
        assert!(slept <= time && slept + began.elapsed() + Duration::from_millis(5) >= time, "{name}: {slept:?}");
    }
}

fn address(object: &str) -> (String, String, String) {
    let (plural, rest) = object.split_once(' ').unwrap();
    let (namespace, name) = rest.split_once('/').unwrap_or(("", rest));
    (plural.to_owned(), namespace.to_owned(), name.to_owned())
}

fn lay(target: &mut Value, change: &Value) {
    match (target, change) {
        (Value::Object(target), Value::Object(change)) => {
            for (key, value) in change {
                lay(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, change) => *target = change.clone(),
    }
}

/// Whether all that is expected is there. Lists are whole.
fn holds(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (_, Value::Object(expected)) => {
            expected.iter().all(|(key, value)| holds(actual.get(key).unwrap_or(&Value::Null), value))
        }
        (Value::Array(actual), Value::Array(expected)) => {
            actual.len() == expected.len()
                && actual.iter().zip(expected).all(|(actual, expected)| holds(actual, expected))
        }
        (actual, expected) => actual == expected,
    }
}
