//! `abuse`: every attack of a guest on its agent, as a table.

use anyhow::Result;

use crate::{process, root};

/// The tests whose attacks are held by budgets and at loading, with their table; then those that are held by grants.
const TESTS: [&[&str]; 2] = [&["--test", "abuse"], &["--test", "grants", "--test", "plugin_signatures"]];

/// Runs them. A neighbour's times mean something only on a machine that does nothing else.
///
/// # Errors
/// Where an attack was not contained; what happened stands above.
pub(crate) fn run() -> Result<()> {
    println!(
        "One attack after the other, each with a neighbour that makes one call after the other: p99 before and during it."
    );
    for tests in TESTS {
        let mut cargo = process::cargo();
        cargo.current_dir(root()).env("CLAIFLOW_ABUSE_TABLE", "1").args(["test", "--quiet", "--workspace"]).args(tests);
        process::shown(cargo.args(["--", "--nocapture", "--test-threads", "1"]))?;
    }
    Ok(())
}
