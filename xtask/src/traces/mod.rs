//! Promises about what operators see: one trace and one request id through both hosts, and no secret in either. Real processes, and
//! a collector that speaks OTLP.

#![allow(clippy::indexing_slicing, reason = "what a JSON value does not have reads as null")]

mod lines;
mod loss;
mod scene;
mod spans;
mod takeover;
mod tree;

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cluster_of_two::Built;
use scene::Scene;

/// One promise.
type Promise = fn(&mut Scene<'_>) -> Result<()>;

/// All of them; how many held.
pub(crate) fn run(built: &Built, directory: &Path) -> Vec<(&'static str, Result<()>)> {
    eprintln!("→ traces and log lines of both hosts");
    let promises: [(&'static str, Promise); 5] = [
        ("a REST call is one trace, down to what a plugin asked of its host", tree::run),
        ("a caller that does not trace is not traced", tree::not_sampled),
        ("after a takeover the second attempt is in the same trace and is linked with the first", takeover::run),
        ("one request id finds the lines of both hosts, and no secret is in a line or in a span", lines::run),
        ("a collector that is away costs spans, which are counted, and no task", loss::run),
    ];
    match std::fs::create_dir_all(directory).context("a directory").and_then(|()| Scene::open(built, directory)) {
        Ok(mut scene) => promises
            .into_iter()
            .map(|(name, promise)| {
                let outcome = promise(&mut scene).with_context(|| scene.tail());
                told(name, outcome)
            })
            .collect(),
        Err(error) => vec![told("server, agent and collector start", Err(error))],
    }
}

fn told(name: &'static str, outcome: Result<()>) -> (&'static str, Result<()>) {
    eprintln!("  {} traces: {name}", if outcome.is_ok() { "ok  " } else { "FAIL" });
    (name, outcome)
}
