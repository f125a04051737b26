//! One command, many times, as `claiflow-agent bench` prints it.

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

/// What its last line says.
pub(super) struct Times {
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) cpu_us: f64,
    pub(super) host_cpu_us: f64,
    pub(super) calls_per_s: f64,
    pub(super) memory_mib: f64,
    pub(super) resident_mib: f64,
}

impl Times {
    /// Runs the command, which is `claiflow-agent bench` with all its words.
    ///
    /// # Errors
    /// What it says instead of times.
    pub(super) fn of(bench: &mut Command) -> Result<Self> {
        let output = bench.output().context("claiflow-agent could not be started")?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "claiflow-agent bench: {said}");
        let line = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
        let numbers: Vec<f64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [_, _, p50_us, p99_us, _, cpu_us, host_cpu_us, calls_per_s, memory_mib, _, resident_mib] =
            *numbers.as_slice()
        else {
            bail!("claiflow-agent bench printed no times: {said}")
        };
        Ok(Self { p50_us, p99_us, cpu_us, host_cpu_us, calls_per_s, memory_mib, resident_mib })
    }
}
