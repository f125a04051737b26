//! Log lines as JSON: one request id in both hosts, and no secret in either.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    scene::{AUTHORIZATION, PLANTED, Scene},
    tree::REQUEST,
};
use crate::cluster_of_two::TOKEN;

pub(super) fn run(scene: &mut Scene<'_>) -> Result<()> {
    let (server, agent) = scene.said();
    for (host, said, words) in [("server", &server, "tasks were created"), ("agent", &agent, "a run ended")] {
        let lines = said
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).with_context(|| format!("{host}: not JSON: {line}")));
        let lines = lines.collect::<Result<Vec<Value>>>()?;
        let of_request: Vec<&Value> = lines.iter().filter(|line| line["span"]["request.id"] == REQUEST).collect();
        ensure!(of_request.iter().any(|line| line["message"] == words), "{host}: {of_request:#?}");
        let is_named = |line: &&Value| line["span"]["trace.id"].is_string() && line["level"].is_string();
        ensure!(of_request.iter().all(is_named), "{host}: {of_request:#?}");
    }
    let collected = scene.collector.said();
    let metrics = scene.pair.get("/metrics")?.to_string();
    let secrets = [PLANTED, TOKEN, AUTHORIZATION.trim_start_matches("Bearer ")];
    for (what, text) in [
        ("the server's lines", &server),
        ("the agent's lines", &agent),
        ("the spans", &collected),
        ("the metrics", &metrics),
    ] {
        for secret in secrets {
            ensure!(!text.contains(secret), "{what} hold {secret}");
        }
    }
    Ok(())
}
