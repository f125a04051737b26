//! What the way through plugin, sandbox, grants and host costs, on a real control plane.

#![allow(clippy::indexing_slicing, reason = "what a JSON value does not have reads as null")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{calls::Times, conditions, measure::Table};
use crate::{
    cluster::{ControlPlane, Programs},
    cluster_of_two::Built,
    process::shown,
    root, target,
};

const NAMESPACE: &str = "bench";

/// See [`super::Bench::Kubernetes`].
#[derive(clap::Args)]
pub(crate) struct Kubernetes {
    /// Gets of one object.
    #[arg(long, default_value_t = 2_000)]
    gets: usize,
    /// Pods of the list.
    #[arg(long, default_value_t = 3_000)]
    pods: usize,
}

impl Kubernetes {
    pub(super) fn run(&self) -> Result<()> {
        let built = Built::for_kubernetes_benchmarks()?;
        let mut example = crate::process::cargo();
        // Among the same packages as all else, or half of the dependencies are built anew.
        example.current_dir(root()).args(["build", "--release", "--workspace", "--bins", "--example", "direct"]);
        shown(&mut example)?;
        let directory = tempfile::tempdir()?;
        conditions::print(directory.path())?;
        let plane = ControlPlane::start(Programs::ready()?, &directory.path().join("plane"), 1)?;
        println!("  cluster    a control plane of this machine (etcd without fsync), kwok in the place of kubelets");
        let place = Place { plane: &plane, built: &built, grants: directory.path().join("grants.yaml") };
        place.prepare(directory.path())?;

        let mut table = Table::default();
        place.pods(1)?;
        let (direct_p50, direct_p99, discovery_ms, groups) = place.direct(self.gets)?;
        let get =
            place.times("kubernetes.pods.get.v1", &json!({"namespace": NAMESPACE, "name": "pod-0"}), self.gets)?;
        table.row("get of one pod by kube directly", format!("p50 {direct_p50:.0} µs, p99 {direct_p99:.0} µs"));
        table.row(
            "the same through plugin and host",
            format!("p50 {:.0} µs, p99 {:.0} µs, guest and host {:.0} µs of CPU", get.p50_us, get.p99_us, get.cpu_us),
        );
        table.row("added at p50", format!("{:.0} µs", get.p50_us - direct_p50));
        table.row(format!("discovery of {groups} groups"), format!("{discovery_ms:.0} ms"));

        eprintln!("→ {} pods", self.pods);
        place.pods(self.pods)?;
        let whole = place.times("kubernetes.pods.list.v1", &json!({"namespace": NAMESPACE}), 5)?;
        let fields = json!({"namespace": NAMESPACE, "fields": ["metadata.name", "status.phase"]});
        let projected = place.times("kubernetes.pods.list.v1", &fields, 5)?;
        for (what, times) in [("whole", &whole), ("projected to name and phase", &projected)] {
            table.row(
                format!("list of {} pods, {what}", self.pods),
                format!(
                    "p50 {:.0} ms, {:.0} ms of CPU, agent {:.0} MiB resident",
                    times.p50_us / 1e3,
                    times.cpu_us / 1e3,
                    times.resident_mib
                ),
            );
        }
        table.row(
            "CPU of the projected list against the whole",
            format!("{:.0} %", 100.0 * projected.cpu_us / whole.cpu_us),
        );
        table.print();
        Ok(())
    }
}

/// Where it is measured.
struct Place<'a> {
    plane: &'a ControlPlane,
    built: &'a Built,
    grants: PathBuf,
}

impl Place<'_> {
    /// The namespace, the grants, and the account by which the plugin acts.
    fn prepare(&self, directory: &Path) -> Result<()> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        self.plane.apply(&namespace)?;
        let component = fs::read(self.built.plugins.join("kubernetes.wasm"))?;
        let rule = json!({"groups": [""], "resources": ["pods"], "verbs": ["get", "list"], "namespaces": [NAMESPACE]});
        let limits = json!({"memory": "512Mi", "cpu": "60s", "wall": "5m", "output": "16Mi", "host_calls": 10_000});
        let grant = json!({
            "sha256": crate::plugin::sha256(&component), "commands": ["kubernetes.*"], "kubernetes": [rule], "limits": limits,
        });
        fs::write(&self.grants, json!({"plugins": {"kubernetes": grant}}).to_string())?;
        let mut inspect = self.agent();
        inspect.arg("inspect").arg(self.built.plugins.join("kubernetes.wasm")).arg("--grants").arg(&self.grants);
        let output = inspect.args(["--rbac", "--namespace", NAMESPACE]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let roles = directory.join("roles.yaml");
        fs::write(&roles, output.stdout)?;
        self.plane.kubectl(&["apply", "--server-side", "-f", &roles.display().to_string()]).map(drop)
    }

    fn agent(&self) -> Command {
        Command::new(self.built.program("claiflow-agent"))
    }

    /// Makes pods from `pod-0` on that are not there yet.
    fn pods(&self, count: usize) -> Result<()> {
        let items: Vec<Value> = (0..count)
            .map(|index| {
                json!({
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": format!("pod-{index}"), "namespace": NAMESPACE, "labels": {"app": "bench"}},
                    "spec": {"containers": [{"name": "main", "image": "example.com/main", "env": [{"name": "A", "value": "1"}]}]},
                })
            })
            .collect();
        self.plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items})).map(drop)
    }

    /// Median and 99th percentile in µs, one discovery in ms, and its groups.
    fn direct(&self, gets: usize) -> Result<(f64, f64, f64, f64)> {
        let mut direct = Command::new(target().join("release/examples/direct"));
        direct.arg("--kubeconfig").arg(self.plane.kubeconfig()).args(["--namespace", NAMESPACE, "--pod", "pod-0"]);
        let output = direct.args(["--repeat", &gets.to_string()]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let numbers: Vec<f64> = said.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [p50, p99, discovery, groups] = *numbers.as_slice() else { anyhow::bail!("it printed {said}") };
        Ok((p50, p99, discovery, groups))
    }

    fn times(&self, command: &str, inputs: &Value, repeat: usize) -> Result<Times> {
        let mut run = self.agent();
        run.arg("bench").arg(self.built.plugins.join("kubernetes.wasm")).args([
            command,
            "--inputs",
            &inputs.to_string(),
        ]);
        run.arg("--grants").arg(&self.grants).arg("--kubeconfig").arg(self.plane.kubeconfig());
        Times::of(run.args(["--namespace", NAMESPACE, "--calls", &repeat.to_string()]))
    }
}
