//! What goes wrong, and what the task's error says about it.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::scene::Scene;

/// The call fails, and its error has these parts.
fn fails(scene: &Scene<'_>, command: &str, inputs: &Value, parts: &[&str]) -> Result<()> {
    let outcome = scene.call(&format!("prometheus.{command}.v1"), inputs.clone())?;
    let Err(error) = &outcome else { anyhow::bail!("{command} {inputs} gave {outcome:?}") };
    for part in parts {
        ensure!(error.contains(part), "{command} {inputs}: the error lacks {part:?}: {error}");
    }
    eprintln!("       {command} {inputs}: {error}");
    Ok(())
}

/// Inputs that are wrong.
pub(super) fn inputs(scene: &Scene<'_>) -> Result<()> {
    let cases: [(&str, Value, &[&str]); 12] = [
        ("query", json!({"query": "up{"}), &["bad_data: invalid parameter \"query\"", "parse error"]),
        (
            "query",
            json!({"query": "up * on(nothing) group_left() {__name__=~\"claiflow.*\"}"}),
            &["Prometheus says execution: "],
        ),
        ("query", json!({"query": "up", "time": "yesterday"}), &["`time` is `yesterday`", "RFC 3339"]),
        ("query", json!({"query": "up", "time": "2026-13-01T00:00:00Z"}), &["bad_data", "time"]),
        ("query_range", json!({"query": "up", "start": 2, "end": 1, "step": "1s"}), &["bad_data", "end"]),
        (
            "query_range",
            json!({"query": "up", "start": 0, "end": 1e9, "step": "1s"}),
            &["bad_data", "exceeded maximum resolution"],
        ),
        ("query_range", json!({"query": "up", "start": 1, "end": 2, "step": "often"}), &["`step` is `often`", "`15s`"]),
        ("series", json!({"match": []}), &["`match` is empty"]),
        ("labels", json!({"match": ["{"]}), &["bad_data", "parse error"]),
        ("targets/metadata", json!({"match_target": "{"}), &["bad_data"]),
        ("alerts", json!({"url": "http://me:secret@127.0.0.1"}), &["`url` holds a user or a password"]),
        ("alerts", json!({"url": "http://127.0.0.1/graph?g0.expr=up"}), &["`url` goes on behind its path"]),
    ];
    for (command, inputs, parts) in cases {
        fails(scene, command, &inputs, parts)?;
    }
    Ok(())
}

/// Servers that are not what they should be.
pub(super) fn servers(scene: &Scene<'_>) -> Result<()> {
    let stub = |path: &str| json!({"url": format!("http://{}/{path}", scene.stub.address)});
    let cases: [(Value, &[&str]); 13] = [
        (stub("page"), &["not as Prometheus does (200, text/html)", "login"]),
        (stub("other"), &["not as Prometheus does (200, application/json)"]),
        (stub("login"), &["answers with 401, saying `who are you?`", "`credential`"]),
        (stub("missing"), &["answers with 404, saying `404 page not found`", "path prefix"]),
        (stub("busy"), &["answers with 503", "try again later"]),
        (stub("broken"), &["answers with 500, saying `boom`"]),
        (stub("flood"), &["too large", "fewer series"]),
        (stub("much"), &["than the 1048576 bytes of a result", "limits: {output: …}"]),
        (stub("slow"), &["did not answer in time", "limits: {wall: …}"]),
        (json!({"url": format!("http://{}", scene.nobody)}), &["does not answer; see that it runs", "refused"]),
        (
            json!({"url": "http://127.0.0.1:1"}),
            &["may not send GET to http://127.0.0.1:1", "http: [{url: \"http://127.0.0.1:1\""],
        ),
        (json!({"url": scene.pair.base()}), &["may not send GET", "methods: [GET]"]),
        // Without its prefix it is granted nothing, and would not be there.
        (json!({"url": scene.monitor.address.split('/').next()}), &["may not send GET", "has the path"]),
    ];
    for (inputs, parts) in cases {
        fails(scene, "alerts", &inputs, parts)?;
    }
    fails(
        scene,
        "query",
        &json!({"url": format!("http://{}/moved", scene.stub.address), "query": "up{"}),
        &["bad_data"],
    )
}
