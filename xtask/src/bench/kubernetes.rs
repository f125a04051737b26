//! What the way through plugin, sandbox, grants and host costs, on a real control plane.

#![allow(clippy::indexing_slicing, reason = "what a JSON value does not have reads as null")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::{Sorted, calls::Times, conditions, measure::Table};
use crate::{
    cluster::{ControlPlane, Programs},
    cluster_of_two::Built,
    target,
};

const NAMESPACE: &str = "bench";
/// How often one way is measured after the other.
const ROUNDS: usize = 61;

/// See [`super::Bench::Kubernetes`].
#[derive(clap::Args)]
pub(crate) struct Kubernetes {
    /// Gets of one object.
    #[arg(long, default_value_t = 6_100)]
    gets: usize,
    /// Pods of the list.
    #[arg(long, default_value_t = 3_000)]
    pods: usize,
}

impl Kubernetes {
    pub(super) fn run(&self) -> Result<()> {
        let built = Built::for_kubernetes_benchmarks()?;
        let directory = tempfile::tempdir()?;
        conditions::print(directory.path())?;
        let plane = ControlPlane::start(Programs::ready()?, &directory.path().join("plane"), 1)?;
        println!("  cluster    a control plane of this machine (etcd without fsync), kwok in the place of kubelets");
        let cache = directory.path().join("compiled");
        let place = Place { plane: &plane, built: &built, grants: directory.path().join("grants.yaml"), cache };
        place.prepare(directory.path())?;

        let mut table = Table::default();
        place.pods(1)?;
        let one = json!({"namespace": NAMESPACE, "name": "pod-0"});
        let (mut directs, mut gets, mut added) = (Vec::new(), Vec::new(), Vec::new());
        // In turns: what an API server takes for one request changes more in a minute than what is compared here.
        for _ in 0..ROUNDS {
            let direct = place.direct(self.gets / ROUNDS)?;
            let get = place.times("kubernetes.pods.get.v1", &one, self.gets / ROUNDS)?;
            added.push(get.p50_us - direct.p50_us);
            directs.push(direct);
            gets.push(get);
        }
        let middle = |values: Vec<f64>| Sorted::new(values).percentile(50);
        let of = |value: fn(&Direct) -> f64| middle(directs.iter().map(value).collect());
        let through = |value: fn(&Times) -> f64| middle(gets.iter().map(value).collect());
        table.row(
            "get of one pod by kube directly, as the same account",
            format!(
                "p50 {:.0} µs, p99 {:.0} µs, {:.0} µs of CPU",
                of(|it| it.p50_us),
                of(|it| it.p99_us),
                of(|it| it.cpu_us)
            ),
        );
        table.row(
            "the same through plugin and host",
            format!(
                "p50 {:.0} µs, p99 {:.0} µs, CPU {:.0} µs in the host's call and {:.0} µs around it",
                through(|it| it.p50_us),
                through(|it| it.p99_us),
                through(|it| it.host_cpu_us),
                through(|it| it.cpu_us - it.host_cpu_us)
            ),
        );
        table.row(format!("added at p50, the middle of {ROUNDS} turns"), format!("{:.0} µs", middle(added)));
        let (discovery_ms, groups) = (of(|it| it.discovery_ms), of(|it| it.groups));
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
                    "p50 {:.0} ms, CPU {:.0} ms in the host's calls and {:.1} ms in the guest, agent {:.0} MiB resident",
                    times.p50_us / 1e3,
                    times.host_cpu_us / 1e3,
                    (times.cpu_us - times.host_cpu_us) / 1e3,
                    times.resident_mib
                ),
            );
        }
        table.row(
            "the guest's CPU for the projected list against the whole",
            format!("{:.0} %", 100.0 * (projected.cpu_us - projected.host_cpu_us) / (whole.cpu_us - whole.host_cpu_us)),
        );
        table.print();
        Ok(())
    }
}

/// Gets by kube directly: the process's CPU a get, and one discovery.
struct Direct {
    p50_us: f64,
    p99_us: f64,
    cpu_us: f64,
    discovery_ms: f64,
    groups: f64,
}

/// Where it is measured.
struct Place<'a> {
    plane: &'a ControlPlane,
    built: &'a Built,
    grants: PathBuf,
    /// Compiled code: a compiler beside the first requests would be measured with them.
    cache: PathBuf,
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

    fn direct(&self, gets: usize) -> Result<Direct> {
        let mut direct = Command::new(target().join("release/examples/direct"));
        direct.arg("--kubeconfig").arg(self.plane.kubeconfig()).args(["--namespace", NAMESPACE, "--pod", "pod-0"]);
        // The one that `--rbac` printed.
        direct.args(["--account", "claiflow-plugin-kubernetes"]);
        let output = direct.args(["--repeat", &gets.to_string()]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let numbers: Vec<f64> = said.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [p50_us, p99_us, cpu_us, discovery_ms, groups] = *numbers.as_slice() else { bail!("it printed {said}") };
        Ok(Direct { p50_us, p99_us, cpu_us, discovery_ms, groups })
    }

    fn times(&self, command: &str, inputs: &Value, repeat: usize) -> Result<Times> {
        let mut run = self.agent();
        run.arg("bench").arg(self.built.plugins.join("kubernetes.wasm")).args([
            command,
            "--inputs",
            &inputs.to_string(),
        ]);
        run.arg("--grants").arg(&self.grants).arg("--kubeconfig").arg(self.plane.kubeconfig());
        run.arg("--cache").arg(&self.cache);
        Times::of(run.args(["--namespace", NAMESPACE, "--calls", &repeat.to_string()]))
    }
}
