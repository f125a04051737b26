//! `bench`: measures release builds with real processes, and prints the conditions first. Nothing here asserts a speed.

mod calls;
mod conditions;
mod delivery;
mod e2e;
mod kubernetes;
mod load;
mod measure;
mod plugins;
mod raw;
mod rest;

use anyhow::Result;

/// What to measure.
#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// From a POST to a stored result: latency, tasks a second, cost, memory, and raw inserts of the same rows.
    E2e(e2e::E2e),
    /// What delivery costs: commits a task, two replicas, idle agents, fan-out to many agents, lists over millions of tasks.
    Delivery(delivery::Delivery),
    /// What the way through plugin, sandbox, grants and host costs on a real control plane.
    Kubernetes(kubernetes::Kubernetes),
    /// What plugins cost their agent in each language: to load, to call, and to keep.
    Plugins(plugins::Plugins),
    /// What reading costs over REST with a token: one task, a page of tasks, a list by the query language.
    Rest(rest::Rest),
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::E2e(e2e) => e2e.run(),
            Self::Delivery(delivery) => delivery.run(),
            Self::Kubernetes(kubernetes) => kubernetes.run(),
            Self::Plugins(plugins) => plugins.run(),
            Self::Rest(rest) => rest.run(),
        }
    }
}

/// Values in the order of their size, for percentiles.
struct Sorted(Vec<f64>);

impl Sorted {
    fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value that `percent` of all are at most; 0 when there is none.
    fn percentile(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get(last * percent / 100).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Sorted;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sorted = Sorted::new((1..=101).rev().map(f64::from).collect());
        for (percent, value) in [(0, 1.0), (50, 51.0), (99, 100.0), (100, 101.0)] {
            assert!((sorted.percentile(percent) - value).abs() < f64::EPSILON, "{percent}");
        }
        assert!(Sorted::new(vec![]).percentile(50).abs() < f64::EPSILON);
    }
}
