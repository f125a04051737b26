//! Promises that need a cluster: a control plane of this machine, and claiflow beside it.

#![allow(clippy::indexing_slicing, reason = "what a JSON value does not have reads as null")]

mod charts;
mod config_map;
mod credentials;
mod examples;
mod grants;
mod helm;
mod house;
mod life;
mod manifests;
mod plane;
mod predefined;
mod tutorial;

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::{cluster::ControlPlane, cluster_of_two::Built};
use house::House;

/// One promise of the control plane alone.
type Ground = fn(&ControlPlane, &Path) -> Result<()>;
/// One promise of claiflow beside it.
type Promise = fn(&House<'_>) -> Result<()>;

/// All of them; how many held.
pub(crate) fn run(plane: &ControlPlane, built: &Built, directory: &Path) -> Vec<(&'static str, Result<()>)> {
    eprintln!("→ on a control plane of Kubernetes");
    let grounds: [(&'static str, Ground); 4] = [
        ("the control plane runs what it is given", plane::runs),
        ("the control plane refuses what no role allows", plane::refuses),
        ("the manifests of deploy/ are taken as they are", manifests::taken),
        ("docs/plugins.md makes a plugin and gives what it shows", tutorial::walked),
    ];
    let promises: [(&'static str, Promise); 9] = [
        ("a plugin acts through its own account", grants::identity),
        ("a withdrawn grant counts from the next call on", grants::withdrawal),
        ("bad input is told by name", grants::bad_input),
        ("a plugin in a ConfigMap is changed, broken and repaired", config_map::life),
        ("every story of examples/ on a cluster gives what it says", examples::told),
        ("every predefined template of Kubernetes runs", predefined::run),
        ("a credential is kept, used unseen, and its key changed", credentials::run),
        ("an agent leaves, comes back and upgrades itself, or stays as it was", life::lived),
        ("Helm installs, upgrades, takes back, and is taken up again", helm::stories),
    ];
    let mut outcomes = Vec::new();
    for (name, ground) in grounds {
        outcomes.push(told(name, ground(plane, directory)));
    }
    let house =
        std::fs::create_dir_all(directory).context("a directory").and_then(|()| House::open(plane, built, directory));
    match house {
        Ok(house) => {
            for (name, promise) in promises {
                outcomes.push(told(name, promise(&house).with_context(|| tail(&house.said()))));
            }
        }
        Err(error) => outcomes.push(told("server and agent start beside the control plane", Err(error))),
    }
    outcomes
}

fn told(name: &'static str, outcome: Result<()>) -> (&'static str, Result<()>) {
    eprintln!("  {} Kubernetes: {name}", if outcome.is_ok() { "ok  " } else { "FAIL" });
    (name, outcome)
}

/// The last lines.
fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
}
