//! The tree of one call: its parents, its names, its times and its attributes.

use anyhow::{Result, ensure};
use serde_json::json;

use super::{
    scene::{PLANTED, Scene},
    spans::{Span, child},
};
use crate::cluster_of_two::CLUSTER;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
pub(super) const REQUEST: &str = "release-42/of.the:platform+team";
const COMMAND: &str = "prometheus.query.v1";

pub(super) fn run(scene: &mut Scene<'_>) -> Result<()> {
    let flow = json!([
        {"$id": "greet", "$command": "helloworld", "inputs": {"name": "$inputs.name"}},
        {"$id": "ask", "$command": COMMAND, "inputs": {"url": "$inputs.url", "query": "up"}},
    ]);
    let inputs = json!({"name": PLANTED, "url": format!("http://{}", scene.asked)});
    let uuid = scene.create(&flow, &inputs, &format!("00-{TRACE}-{CALLER}-01"), REQUEST)?;
    let task = scene.pair.ended(&uuid)?;
    ensure!(task["state"] == "succeeded" && task["request_id"] == REQUEST, "{task}");

    // The hosts send their own, each when it has the time.
    let of_both = ["POST /api/v1/service", "queue", "run"];
    let is_whole = |spans: &[Span]| of_both.iter().all(|name| spans.iter().any(|span| span.name == *name));
    let spans = scene.trace(TRACE, is_whole)?;
    let call = child(&spans, CALLER, "POST /api/v1/service")?;
    let queue = child(&spans, &call.span, "queue")?;
    let ran = child(&spans, &queue.span, "run")?;
    let (greet, ask) = (child(&spans, &ran.span, "step 0")?, child(&spans, &ran.span, "step 1")?);
    let greeted = child(&spans, &greet.span, "call helloworld")?;
    let asked = child(&spans, &ask.span, &format!("call {COMMAND}"))?;
    let host: Vec<&Span> = spans.iter().filter(|span| span.parent == asked.span).collect();
    ensure!(!host.is_empty() && host.iter().all(|span| span.name.starts_with("host ")), "{spans:#?}");
    ensure!(host.iter().any(|span| span.attributes["host.resource"] == "127.0.0.1"), "{host:#?}");

    for (span, service, kind) in [
        (call, "claiflow-server", 2),
        (queue, "claiflow-server", 4),
        (ran, "claiflow-agent", 5),
        (greet, "claiflow-agent", 1),
        (greeted, "claiflow-agent", 1),
        (asked, "claiflow-agent", 1),
    ] {
        ensure!(span.resource["service.name"] == service && span.kind == kind, "{span:#?}");
        ensure!(span.status != 2 && span.events == 0 && span.end_ns >= span.start_ns, "{span:#?}");
    }
    for span in [call, queue, ran] {
        ensure!(span.attributes["request.id"] == REQUEST, "{span:#?}");
    }
    ensure!(call.attributes["http.response.status_code"] == 200, "{call:#?}");
    ensure!(queue.attributes["task.uuid"] == uuid.as_str() && queue.links.is_empty(), "{queue:#?}");
    ensure!(ran.attributes["task.uuid"] == uuid.as_str() && ran.attributes["task.verdict"] == "succeeded", "{ran:#?}");
    ensure!(ran.resource["claiflow.cluster.uuid"] == CLUSTER, "{ran:#?}");
    ensure!(asked.attributes["plugin.name"] == "prometheus", "{asked:#?}");
    // Every other span hangs below one of the trace.
    let hangs = |span: &&Span| span.parent == CALLER || spans.iter().any(|other| other.span == span.parent);
    ensure!(spans.iter().all(|span| hangs(&span)), "{spans:#?}");
    Ok(())
}

/// Whoever says that it does not sample has its word, in both hosts.
pub(super) fn not_sampled(scene: &mut Scene<'_>) -> Result<()> {
    let (silent, traced) = ("11111111111111111111111111111111", "22222222222222222222222222222222");
    let flow = json!([{"$id": "a", "$command": "helloworld", "inputs": "$inputs"}]);
    for (trace, flags) in [(silent, "00"), (traced, "01")] {
        let uuid = scene.create(&flow, &json!({"name": "x"}), &format!("00-{trace}-{CALLER}-{flags}"), trace)?;
        scene.pair.ended(&uuid)?;
    }
    // Spans of one process keep their order, so what came before has come.
    scene.trace(traced, |spans| spans.iter().any(|span| span.name == "run"))?;
    let spans = scene.trace(silent, |_| true)?;
    ensure!(spans.is_empty(), "{spans:#?}");
    Ok(())
}
