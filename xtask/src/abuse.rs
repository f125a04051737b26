//! `abuse`: every attack of a guest on its agent, as tables.

use anyhow::{Context as _, Result};

use crate::{
    cluster::{ControlPlane, Programs},
    cluster_of_two::Built,
    process, root,
};

/// Attacks that budgets and loading hold, with what each used and what became of a neighbour.
const BUDGETS: [&str; 2] = ["--test", "abuse"];
/// Attacks that grants and signatures hold: each request that is refused, and the tests that send them to real servers.
const GRANTS: [&str; 10] = [
    "--test",
    "grants",
    "--test",
    "grants_http",
    "--test",
    "plugin_signatures",
    "--test",
    "plugin_http",
    "--test",
    "plugin_kubernetes",
];

/// Runs them. A neighbour's times mean something only on a machine that does nothing else.
///
/// # Errors
/// Where an attack was not contained; what happened stands above. What of the control plane is missing.
pub(crate) fn run() -> Result<()> {
    let built = Built::for_tests()?;
    println!(
        "One attack after the other, each with a neighbour that makes one call after the other: p99 before and during it."
    );
    attack(&BUDGETS, &[])?;
    let directory = tempfile::tempdir()?;
    let plane = Programs::ready().and_then(|programs| ControlPlane::start(programs, directory.path(), 1));
    let plane = plane.context("the attacks on a cluster need a control plane")?;
    println!("What grants and signatures refuse: requests by name, then attacks on servers of this machine.");
    let (plugins, kubeconfig) = (built.plugins.display().to_string(), plane.kubeconfig().display().to_string());
    let places = [("CLAIFLOW_TEST_PLUGINS", plugins.as_str()), ("CLAIFLOW_TEST_KUBECONFIG", kubeconfig.as_str())];
    attack(&GRANTS, &places)
}

fn attack(tests: &[&str], places: &[(&str, &str)]) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.current_dir(root()).env("CLAIFLOW_ABUSE_TABLE", "1").env("CLAIFLOW_STRICT", "1");
    cargo.envs(places.iter().copied()).args(["test", "--workspace"]).args(tests);
    process::shown(cargo.args(["--", "--nocapture", "--test-threads", "1"]))
}
