//! Promises of the plugin `prometheus`: on Debian's Prometheus, which scrapes claiflow's own server, so that its answers are known.

#![allow(clippy::indexing_slicing, reason = "what a JSON value does not have reads as null")]

mod families;
mod mistakes;
mod monitor;
mod scene;
mod stub;
mod templates;
mod watched;

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cluster_of_two::Built;
pub(crate) use monitor::{Monitor, missing};
use scene::Scene;
use watched::Watched;

/// One promise of claiflow beside Prometheus.
type Promise = fn(&Scene<'_>) -> Result<()>;

/// All of them; how many held.
pub(crate) fn run(built: &Built, directory: &Path) -> Vec<(&'static str, Result<()>)> {
    eprintln!("→ on a Prometheus");
    let promises: [(&'static str, Promise); 4] = [
        ("every template and every command gives Prometheus's data", templates::run),
        (
            "an address is the same however it is written, and a form arrives by GET where POST is not granted",
            templates::ways,
        ),
        ("bad input is told in Prometheus's words, or names the input", mistakes::inputs),
        ("what is no Prometheus, away, slow or not granted is told with what to do", mistakes::servers),
    ];
    let mut outcomes: Vec<_> =
        match std::fs::create_dir_all(directory).context("a directory").and_then(|()| Scene::open(built, directory)) {
            Ok(scene) => {
                promises.map(|(name, promise)| told(name, promise(&scene).with_context(|| tail(&scene.said())))).into()
            }
            Err(error) => vec![told("server, agent and Prometheus start", Err(error))],
        };
    outcomes.extend(watching(built, &directory.join("watched")));
    outcomes
}

/// What operators watch claiflow with.
fn watching(built: &Built, directory: &Path) -> Vec<(&'static str, Result<()>)> {
    type Watching = fn(&Watched<'_>) -> Result<()>;
    let promises: [(&'static str, Watching); 3] = [
        ("every metric of both hosts stands in docs/observability.md, and nothing else does", watched::page),
        ("every alert fires where it should, and leads to its paragraph", watched::alerts),
        ("every query of the dashboard is answered, and every metric in it exists", watched::dashboard),
    ];
    match Watched::open(built, directory) {
        Ok(watched) => promises.map(|(name, promise)| told(name, promise(&watched))).into(),
        Err(error) => vec![told("both hosts and a Prometheus that scrapes them start", Err(error))],
    }
}

/// The last lines.
fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n")
}

fn told(name: &'static str, outcome: Result<()>) -> (&'static str, Result<()>) {
    eprintln!("  {} Prometheus: {name}", if outcome.is_ok() { "ok  " } else { "FAIL" });
    (name, outcome)
}
