//! The author's tools, as a shell sees them: `run`, `bench`, `compat` and `suggest-grants`, on built plugins, on a real API
//! server where there is one, and on a cassette that was recorded on one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod kubernetes_parts;
mod plugin_parts;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use kubernetes_parts::Plane;
use plugin_parts::{Guest, Said, agent, built};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The probe asks for HTTP too, and is refused without.
const HTTP: &str = "    http: [{url: \"https://example.com\", methods: [GET]}]\n";

/// A folder with a built plugin, or none where nobody built it: said loudly, and a failure where `CLAIFLOW_STRICT=1` asks.
fn folder(plugin: &str) -> Option<tempfile::TempDir> {
    let file = format!("{plugin}.wasm");
    let bytes = built(&file)?;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(file), bytes).unwrap();
    Some(folder)
}

/// The files beside these tests.
fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools").join(name)
}

#[test]
fn a_command_runs_with_no_server_and_the_exit_code_says_how_it_went() {
    let Some(folder) = folder("example") else { return };
    fs::write(folder.path().join("inputs.json"), r#"{"param1":"bar","param2":"foo"}"#).unwrap();
    fs::write(folder.path().join("wrong.yaml"), "plugins: {example: {kubernets: []}}").unwrap();
    let cases: [(&[&str], i32, &str, &str); 13] = [
        (&["helloworld", "--inputs", r#"{"name":"world"}"#], 0, "\"hello world\"\n", "used "),
        (
            &["swap_command", "--inputs", "@inputs.json"],
            0,
            "{\n  \"value1\": \"foo\",\n  \"value2\": \"bar\"\n}\n",
            " MiB, 0 host calls",
        ),
        (&["math_pow", "--inputs", r#"{"x":"three"}"#], 1, "", "invalid: the inputs of `math_pow` are refused"),
        (&["nothing"], 2, "", "`example` does not serve `nothing`; it serves\n"),
        (&[], 2, "", "COMMAND is missing"),
        (&["math_pow", "--inputs", "{x: 1}"], 2, "", "--inputs: it is not JSON"),
        (&["math_pow", "--inputs", "[1]"], 2, "", "--inputs: `[1]` is not a JSON object"),
        (&["math_pow", "--inputs", "@absent.json"], 2, "", "--inputs: absent.json: "),
        (&["math_pow", "--context", "{\"attemt\":1}"], 2, "", "--context: unknown field `attemt`"),
        (&["math_pow", "--grants", "absent.yaml"], 2, "", "--grants absent.yaml: "),
        (&["math_pow", "--unpinned"], 2, "", "--grants <FILE>"),
        (&["math_pow", "--replay", "a", "--record", "b"], 2, "", "cannot be used with"),
        (&["math_pow", "--replay", "absent.yaml"], 2, "", "absent.yaml: "),
    ];
    for (words, code, output, error) in cases {
        let all: Vec<&str> =
            ["run", "example.wasm", "--cache", "cache"].into_iter().chain(words.iter().copied()).collect();
        let said = agent(folder.path(), &all);
        assert!(said.code == code && said.output == output && said.error.contains(error), "{words:?}: {said:?}");
    }
    let said = agent(folder.path(), &["run", "absent.wasm", "x"]);
    assert!(said.code == 2 && said.error.contains("absent.wasm: "), "{said:?}");
}

#[test]
fn a_program_reads_the_same_as_one_document() {
    let Some(folder) = folder("example") else { return };
    let words = ["run", "example.wasm", "--cache", "cache", "--json", "math_pow", "--inputs"];
    let said = agent(folder.path(), &[&words[..], &[r#"{"x":3,"y":2}"#]].concat());
    let report: Value = serde_json::from_str(&said.output).unwrap();
    assert_eq!((said.code, said.error.as_str(), &report["result"]), (0, "", &json!(9)));
    assert!(report["used"]["cpu-us"].as_u64().unwrap() > 0 && report["used"]["host-calls"] == 0, "{report}");
    assert!(report["log"].is_array(), "{report}");
    let said = agent(folder.path(), &[&words[..], &[r#"{"x":"three"}"#]].concat());
    let report: Value = serde_json::from_str(&said.output).unwrap();
    assert_eq!((said.code, &report["failed"]["code"]), (1, &json!("invalid")));
    assert_eq!(report["failed"]["may-have-had-its-effect"], false);
}

#[test]
fn what_a_task_would_say_can_be_said_and_ctrl_c_asks_to_stop() {
    let Some(folder) = folder("effects") else { return };
    let context = r#"{"attempt":3,"effect-key":"0f","notes":["begin"]}"#;
    let words = [
        "run",
        "effects.wasm",
        "effect.verify",
        "--cache",
        "cache",
        "--inputs",
        r#"{"key":"k"}"#,
        "--context",
        context,
    ];
    let said = agent(folder.path(), &words);
    assert_eq!(
        (said.code, serde_json::from_str::<Value>(&said.output).unwrap()),
        (0, json!({"key": "k", "attempt": 3}))
    );
    assert!(said.error.contains("effect_key=0f") && said.error.contains("note \"done\""), "{said:?}");

    let mut running = Command::new(env!("CARGO_BIN_EXE_claiflow-agent"))
        .current_dir(folder.path())
        .args(["run", "effects.wasm", "effect.read", "--cache", "cache", "--inputs", r#"{"key":"k","wait_ms":25000}"#])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("effect begin")));
    let id = Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap();
    kill_process(id, Signal::INT).unwrap();
    let rest: Vec<String> = lines.collect();
    assert!(rest.iter().any(|line| line.starts_with("stopped: ")), "{rest:?}");
    assert_eq!(running.wait().unwrap().code(), Some(1), "{rest:?}");
}

#[test]
fn a_cassette_may_be_written_by_hand_to_play_what_no_cluster_would_do_at_will() {
    let Some(folder) = folder("probe") else { return };
    let at = json!({"version": "v1", "resource": "configmaps", "namespace": "shop"});
    let patch = json!({"patch": {"at": at, "name": "a", "kind": "merge", "body": {"data": {"k": "1"}}}});
    let request = |verb: &str| json!({"verb": verb, "group": "", "version": "v1", "resource": "configmaps", "namespace": "shop", "name": "a"});
    let mut patched = request("patch");
    patched["options"] = json!({"patch-type": "merge"});
    patched["body"] = json!({"data": {"k": "1"}});
    let status = json!({"kind": "Status", "code": 429, "reason": "TooManyRequests", "message": "slow down"});
    // JSON is YAML too.
    let cassette = json!({
        "cassette": 1, "plugin": "probe", "sha256": "", "command": "probe.run",
        "inputs": {"calls": [{"get": {"at": at, "name": "a"}}, patch, {"get": {"at": at, "name": "a"}}, {"http": {"url": "https://example.com/"}}, {"http": {"url": "https://example.com/x?a=1"}}]},
        "kinds": [{"group": "", "version": "v1", "resource": "configmaps", "kind": "ConfigMap", "api-version": "v1",
                   "namespaced": true, "verbs": "get patch"}],
        "calls": [
            {"function": "kubernetes.get", "request": request("get"), "gave": {"refused": {"status": status, "retry-after-ms": 1500}}},
            {"function": "kubernetes-write.patch", "request": patched,
             "gave": {"failed": {"code": "unavailable", "message": "the connection broke", "effect": "unknown"}}},
            {"function": "kubernetes.get", "request": request("get"), "gave": {"answer": {"kind": "ConfigMap", "data": {"k": "1"}}}},
        ],
        "http": [
            {"request": {"method": "GET", "url": "https://example.com/"}, "gave": {"failed": {"code": "timeout", "message": "late"}}},
            {"request": {"method": "GET", "url": "https://example.com/x", "query": {"a": ["1"]}},
             "gave": {"answer": {"status": 503, "headers": {"retry-after": "7"}, "body": {"text": "busy"}}}},
        ],
    });
    fs::write(folder.path().join("tape.yaml"), cassette.to_string()).unwrap();
    let rule = "{groups: [\"\"], resources: [configmaps], verbs: [get, patch], namespaces: [shop]}";
    let pin = "0".repeat(64);
    let grants = format!("plugins:\n  probe:\n    sha256: \"{pin}\"\n    kubernetes: [{rule}]\n{HTTP}");
    fs::write(folder.path().join("grants.yaml"), grants).unwrap();
    let said = replay(folder.path(), &["tape.yaml", "--grants", "grants.yaml"]);
    assert_eq!(said.code, 0, "{said:?}");
    let outcomes: Value = serde_json::from_str(&said.output).unwrap();
    assert_eq!(
        outcomes[0]["error"]["details"],
        json!({"status": 429, "reason": "TooManyRequests", "retry-after-ms": 1500, "effect": "none"})
    );
    assert_eq!(
        outcomes[1]["error"],
        json!({"code": "unavailable", "message": "the connection broke", "details": {"effect": "unknown"}})
    );
    assert_eq!(outcomes[2]["ok"]["data"]["k"], "1");
    assert_eq!(outcomes[3]["error"]["message"], "late");
    assert_eq!(outcomes[4]["ok"], json!({"status": 503, "headers": {"retry-after": "7"}, "bytes": 4, "body": "busy"}));
}

#[test]
fn a_measurement_says_under_which_conditions_it_was_made() {
    let Some(folder) = folder("example") else { return };
    let words =
        ["bench", "example.wasm", "math_pow", "--cache", "cache", "--calls", "40", "--concurrency", "2", "--inputs"];
    let said = agent(folder.path(), &[&words[..], &[r#"{"x":3,"y":2}"#]].concat());
    assert_eq!(said.code, 0, "{said:?}");
    for part in [
        "machine ",
        "a debug build",
        "plugin   example ",
        "calls    40 after a warm-up, 2 at once",
        "p99 µs",
        "memory MiB",
    ] {
        assert!(said.output.contains(part), "{part}: {}", said.output);
    }
    let values: Vec<f64> =
        said.output.lines().last().unwrap().split_whitespace().map(|value| value.parse().unwrap()).collect();
    assert_eq!((values.len(), values[0], values[1]), (11, 40.0, 2.0), "{}", said.output);
    let said = agent(folder.path(), &[&words[..], &[r#"{"x":"three"}"#]].concat());
    assert!(said.code == 1 && said.error.contains("invalid"), "{said:?}");
}

/// Writes `tool.wasm` of these commands into a folder.
fn tool(folder: &Path, commands: &str, imports: Option<(&str, &str)>) {
    let guest = Guest::new("tool", commands);
    let guest = match imports {
        Some((world, wat)) => guest.imports(world, wat),
        None => guest,
    };
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("tool.wasm"), guest.build()).unwrap();
}

#[test]
fn a_build_that_breaks_what_relies_on_the_old_one_is_told_by_what_it_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let old = r#"[{"name":"a","effect":"read","inputs":{"type":"object","properties":{"x":{"type":"number"}}}},{"name":"b","effect":"read"}]"#;
    tool(&folder.path().join("old"), old, None);
    let compat = |new: &str| {
        let files = ["old/tool.wasm".to_owned(), format!("{new}/tool.wasm")];
        let said = agent(folder.path(), &["compat", &files[0], &files[1], "--json", "--cache", "cache"]);
        let report: Value = serde_json::from_str(&said.output).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        (said.code, report)
    };
    assert_eq!(compat("old"), (0, json!({"fits": true, "findings": []})));

    let kubernetes = (
        "import claiflow:plugin/kubernetes@1.0.0;",
        r#"(import "claiflow:plugin/kubernetes@1.0.0" "resources" (func $f (param i32)))"#,
    );
    for (name, commands, imports, what, of) in [
        ("gone", r#"[{"name":"b","effect":"read"}]"#, None, "command", "a"),
        ("effect", &old.replace(r#""b","effect":"read""#, r#""b","effect":"never""#), None, "effect", "b"),
        ("inputs", &old.replace(r#""type":"object","#, r#""type":"object","required":["x"],"#), None, "inputs", "a"),
        ("import", old, Some(kubernetes), "import", "claiflow:plugin/kubernetes@1.0.0"),
    ] {
        tool(&folder.path().join(name), commands, imports);
        let (code, report) = compat(name);
        let breaks: Vec<_> = report["findings"].as_array().unwrap().iter().filter(|it| it["breaks"] == true).collect();
        assert_eq!((code, breaks.len(), &report["fits"]), (1, 1, &json!(false)), "{name}: {report}");
        assert_eq!((&breaks[0]["what"], &breaks[0]["of"]), (&json!(what), &json!(of)), "{report}");
    }
    let said = agent(folder.path(), &["compat", "old/tool.wasm", "import/tool.wasm", "--cache", "cache"]);
    assert!(said.code == 1 && said.output.contains("plugins: {tool: {kubernetes: [{groups:"), "{said:?}");
}

#[test]
fn what_this_agent_does_not_serve_is_told_with_the_line_of_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let commands = r#"[{"name":"a","effect":"read"}]"#;
    tool(folder.path(), commands, None);
    let said = agent(folder.path(), &["compat", "tool.wasm", "--cache", "cache"]);
    assert_eq!(said.code, 0, "{said:?}");
    // Plugins export it, and none may import it.
    let component = r#"(component
        (import "claiflow:plugin/handler@1.0.0" (instance))
        (instance $handler)
        (export "claiflow:plugin/handler@1.0.0" (instance $handler)))"#;
    fs::write(folder.path().join("tool.wasm"), wat::parse_str(component).unwrap()).unwrap();
    let said = agent(folder.path(), &["compat", "tool.wasm", "--cache", "cache"]);
    assert_eq!(said.code, 1, "{said:?}");
    for part in ["BREAKS import `claiflow:plugin/handler@1.0.0`", "wit/handler.wit:", ": interface handler {"] {
        assert!(said.output.contains(part), "{part}: {}", said.output);
    }
}

#[test]
fn a_function_that_this_agent_does_not_have_is_told_with_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    let component = r#"(component
        (import "claiflow:plugin/kubernetes@1.0.0" (instance (export "read-logs" (func))))
        (instance $handler)
        (export "claiflow:plugin/handler@1.0.0" (instance $handler)))"#;
    fs::write(folder.path().join("tool.wasm"), wat::parse_str(component).unwrap()).unwrap();
    let said = agent(folder.path(), &["compat", "tool.wasm", "--cache", "cache"]);
    assert_eq!(said.code, 1, "{said:?}");
    for part in
        ["has no function `read-logs` here", ": interface kubernetes {", ": read-log: func(pod: object, options: json)"]
    {
        assert!(said.output.contains(part), "{part}: {}", said.output);
    }
    let grants = format!(
        "plugins: {{tool: {{sha256: \"{}\", kubernetes: [{{groups: [\"\"], resources: [pods], verbs: [get], namespaces: [a]}}]}}}}",
        "0".repeat(64)
    );
    fs::write(folder.path().join("grants.yaml"), grants).unwrap();
    let said = agent(folder.path(), &["run", "tool.wasm", "a", "--grants", "grants.yaml", "--unpinned"]);
    assert!(said.code == 2 && said.error.contains("does not fit the contract"), "{said:?}");
    assert!(said.error.contains("\n  wit/kubernetes.wit:"), "{said:?}");
}

/// The committed cassette and the probe that replays it.
fn replay(folder: &Path, words: &[&str]) -> Said {
    let all = ["run", "probe.wasm", "--cache", "cache", "--unpinned", "--replay"];
    agent(folder, &[&all[..], words].concat())
}

#[test]
fn a_cassette_replays_with_no_cluster_under_the_grants_that_are_suggested_for_it_and_under_no_fewer() {
    let Some(folder) = folder("probe") else { return };
    let cassette = beside("probe.yaml").display().to_string();
    let said = agent(folder.path(), &["suggest-grants", &cassette]);
    assert_eq!((said.code, said.error.as_str()), (0, ""), "{said:?}");
    assert_eq!(said.output, fs::read_to_string(beside("probe.grants.yaml")).unwrap(), "{}", said.output);
    let all = folder.path().join("grants.yaml");
    fs::write(&all, said.output.clone() + HTTP).unwrap();
    let replayed = replay(folder.path(), &[&cassette, "--grants", "grants.yaml"]);
    assert_eq!(replayed.code, 0, "{replayed:?}");

    let rules: Vec<&str> = said.output.lines().filter(|line| line.starts_with("      - ")).collect();
    assert!(rules.len() >= 5, "{}", said.output);
    for rule in rules {
        fs::write(&all, said.output.replace(&format!("{rule}\n"), "") + HTTP).unwrap();
        let replayed = replay(folder.path(), &[&cassette, "--grants", "grants.yaml"]);
        assert_eq!(replayed.code, 1, "without {rule}: {replayed:?}");
        assert!(replayed.error.contains("the result is not the recorded one"), "without {rule}: {replayed:?}");
    }
}

#[test]
fn a_request_that_is_not_in_the_cassette_is_told_with_the_nearest_one() {
    let Some(folder) = folder("probe") else { return };
    let text = fs::read_to_string(beside("probe.yaml")).unwrap();
    fs::write(folder.path().join("grants.yaml"), fs::read_to_string(beside("probe.grants.yaml")).unwrap() + HTTP)
        .unwrap();
    let words = ["changed.yaml", "--grants", "grants.yaml"];
    for (from, to, error) in [
        ("    k: '2'\n", "    k: '7'\n", "`body.data.k` (recorded \"2\", asked \"7\")"),
        ("result:\n", "result:\n- one more\n", "the result is not the recorded one"),
        ("cassette: 1\n", "cassette: 9\n", "of version 9"),
    ] {
        assert!(text.contains(from), "{from}: {text}");
        fs::write(folder.path().join("changed.yaml"), text.replacen(from, to, 1)).unwrap();
        let said = replay(folder.path(), &words);
        assert!(said.code != 0 && said.error.contains(error), "{from}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_on_a_cluster_holds_no_secret_and_replays() {
    let Some(folder) = folder("probe") else { return };
    let Some(plane) = Plane::open("tape").await else { return };
    let secret = "cGFzc3dvcmQtb2YtdGhlLWRhdGFiYXNl";
    plane.make("v1", "Secret", "secrets", json!({"metadata": {"name": "db"}, "data": {"password": secret}})).await;
    plane.pod("web-1", &["app"], json!({})).await;
    plane.config_map("r", json!({"k": "1"})).await;
    let version = plane.api("v1", "ConfigMap", "configmaps").get("r").await.unwrap().metadata.resource_version.unwrap();
    let namespace = plane.namespace.clone();
    let at = |resource: &str| json!({"version": "v1", "resource": resource, "namespace": namespace});
    let calls = json!([
        {"create": {"at": at("configmaps"), "body": {"metadata": {"name": "a"}, "data": {"k": "1"}}}},
        {"patch": {"at": at("configmaps"), "name": "a", "kind": "merge", "body": {"data": {"k": "2"}}}},
        {"get": {"at": at("configmaps"), "name": "a", "query": {"fields": ["data"]}}},
        {"get": {"at": at("configmaps"), "name": "b"}},
        {"list": {"at": at("configmaps"), "query": {"field_selector": "metadata.name=a"}}},
        {"watch": {"at": at("configmaps"), "query": {"field_selector": "metadata.name=a"}, "events": 1, "patience_ms": 60000}},
        {"log": {"at": at("pods"), "pod": "web-1"}},
        {"exec": {"at": at("pods"), "pod": "web-1", "command": ["echo", "it ran"]}},
        {"get": {"at": at("secrets"), "name": "db", "query": {"fields": ["data"]}}},
        {"replace": {"at": at("configmaps"), "name": "r", "body": {"metadata": {"resourceVersion": version}, "data": {"k": "2"}}}},
        {"apply": {"at": at("configmaps"), "name": "c", "body": {"data": {"k": "1"}}}},
        {"remove": {"at": at("configmaps"), "name": "a"}},
    ]);
    let grants = format!(
        "plugins:\n  probe:\n    sha256: \"{}\"\n    identity: agent\n    kubernetes:\n      - {{groups: [\"\"], resources: \
         [configmaps, pods, pods/log, pods/exec, secrets], verbs: [get, list, watch, create, apply, update, patch, delete], namespaces: \
         [{namespace}], dangerous: true}}\n{HTTP}",
        "0".repeat(64)
    );
    fs::write(folder.path().join("grants.yaml"), grants).unwrap();
    fs::write(folder.path().join("inputs.json"), json!({"calls": calls}).to_string()).unwrap();
    let kubeconfig = plane.kubeconfig.display().to_string();
    let words = [
        "run",
        "probe.wasm",
        "probe.run",
        "--cache",
        "cache",
        "--inputs",
        "@inputs.json",
        "--grants",
        "grants.yaml",
        "--unpinned",
        "--kubeconfig",
        &kubeconfig,
        "--namespace",
        &namespace,
        "--record",
        "tape.yaml",
    ];
    let said = agent(folder.path(), &words);
    assert_eq!(said.code, 0, "{said:?}");
    let text = fs::read_to_string(folder.path().join("tape.yaml")).unwrap();
    assert!(!text.contains(secret) && text.contains("password: <redacted>"), "{text}");
    for part in [
        "function: kubernetes.get\n",
        "function: kubernetes.list-objects",
        "function: kubernetes.watch",
        "function: kubernetes.read-log",
        "function: kubernetes-exec.exec",
        "function: kubernetes-write.create",
        "function: kubernetes-write.replace",
        "function: kubernetes-write.patch",
        "function: kubernetes-write.apply",
        "function: kubernetes-write.remove",
        "asked-by-agent: true",
        "reason: NotFound",
        "it ran",
        "hello from this pod",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    plane.close().await;

    // Its cluster is gone, and it goes on.
    let said = replay(folder.path(), &["tape.yaml", "--grants", "grants.yaml"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!said.error.contains("not asked for"), "{said:?}");
    let suggested = agent(folder.path(), &["suggest-grants", "tape.yaml"]);
    assert_eq!(suggested.code, 0, "{suggested:?}");
    assert!(!suggested.output.contains("http:"), "it sent nothing: {suggested:?}");
    fs::write(folder.path().join("grants.yaml"), suggested.output.clone() + HTTP).unwrap();
    let said = replay(folder.path(), &["tape.yaml", "--grants", "grants.yaml"]);
    assert_eq!(said.code, 0, "{}\n{said:?}", suggested.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_a_pattern_serves_is_granted_by_its_pattern() {
    let Some(folder) = folder("kubernetes") else { return };
    let Some(plane) = Plane::open("pattern").await else { return };
    let wide = format!(
        "plugins:\n  kubernetes:\n    sha256: \"{}\"\n    identity: agent\n    commands: [\"kubernetes.*\"]\n    kubernetes:\n      - \
         {{groups: [\"*\"], resources: [\"*\"], verbs: [list], namespaces: [\"*\"]}}\n",
        "0".repeat(64)
    );
    fs::write(folder.path().join("wide.yaml"), wide).unwrap();
    let kubeconfig = plane.kubeconfig.display().to_string();
    let inputs = json!({"namespace": plane.namespace}).to_string();
    let run = ["run", "kubernetes.wasm", "kubernetes.services.list.v1", "--cache", "cache", "--inputs", &inputs];
    let on = ["--grants", "wide.yaml", "--unpinned", "--kubeconfig", &kubeconfig, "--record", "tape.yaml"];
    let said = agent(folder.path(), &[&run[..], &on[..]].concat());
    assert_eq!(said.code, 0, "{said:?}");
    plane.close().await;
    let said = agent(folder.path(), &["suggest-grants", "tape.yaml"]);
    assert!(said.output.contains(r#"commands: ["kubernetes.{resource}.list.{version+}"]"#), "{said:?}");
    fs::write(folder.path().join("grants.yaml"), said.output).unwrap();
    let replay = ["run", "kubernetes.wasm", "--cache", "cache", "--grants", "grants.yaml", "--replay", "tape.yaml"];
    let said = agent(folder.path(), &replay);
    assert_eq!(said.code, 0, "{said:?}");
    let said = agent(folder.path(), &[&run[..], &["--grants", "grants.yaml"]].concat());
    assert!(said.code == 1 && said.error.contains("pass --kubeconfig FILE"), "{said:?}");
}

#[test]
fn every_tool_shows_examples() {
    for tool in ["run", "bench", "compat", "suggest-grants", "inspect"] {
        let said = agent(Path::new("."), &[tool, "--help"]);
        assert!(said.code == 0 && said.output.contains(&format!("claiflow-agent {tool} ")), "{tool}: {said:?}");
        assert!(said.output.contains("Examples:"), "{tool}: {said:?}");
    }
}
