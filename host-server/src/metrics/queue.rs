//! Tasks that wait for an agent, by cluster. Clusters are operators' rows and may be many: the label set is capped.

use prometheus::{GaugeVec, IntGaugeVec, Opts, Registry};

/// Clusters with a series of their own: those whose tasks wait longest.
const CLUSTERS: usize = 500;
/// Stands for all the others.
const OTHER: &str = "other";

/// What is known of a cluster's line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The cluster's uuid.
    pub cluster: String,
    /// How long the task that is next has waited.
    pub age_seconds: f64,
    /// Agents of the cluster that are connected to any replica.
    pub agents: i64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Queue {
    age: GaugeVec,
    agents: IntGaugeVec,
}

impl Queue {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let age = GaugeVec::new(
            Opts::new(
                "claiflow_queue_age_seconds",
                "How long the task that is next in a cluster's line has waited for an agent, in seconds; the 500 longest, and the longest of the others",
            ),
            &["cluster"],
        )?;
        let agents = IntGaugeVec::new(
            Opts::new(
                "claiflow_queue_agents",
                "Connected agents of each cluster whose tasks wait; the 500 that wait longest",
            ),
            &["cluster"],
        )?;
        registry.register(Box::new(age.clone()))?;
        registry.register(Box::new(agents.clone()))?;
        Ok(Self { age, agents })
    }

    /// Shows these lines and no others.
    pub fn show(&self, mut lines: Vec<Line>) {
        lines.sort_by(|one, other| other.age_seconds.total_cmp(&one.age_seconds));
        self.age.reset();
        self.agents.reset();
        for line in lines.iter().take(CLUSTERS) {
            self.age.with_label_values(&[line.cluster.as_str()]).set(line.age_seconds);
            self.agents.with_label_values(&[line.cluster.as_str()]).set(line.agents);
        }
        if let Some(line) = lines.get(CLUSTERS) {
            self.age.with_label_values(&[OTHER]).set(line.age_seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder as _, Registry, TextEncoder};

    use super::{CLUSTERS, Line, Queue};

    #[test]
    fn a_thousand_clusters_are_five_hundred_series_and_one() {
        let registry = Registry::new();
        let queue = Queue::register(&registry).unwrap();
        let line = |index: usize| Line { cluster: format!("c{index}"), age_seconds: index as f64, agents: 0 };
        queue.show((0..1_000).map(line).collect());
        let text = |registry: &Registry| {
            let mut text = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        let shown = text(&registry);
        let ages = shown.lines().filter(|line| line.starts_with("claiflow_queue_age_seconds{")).count();
        assert_eq!(ages, CLUSTERS + 1);
        assert!(shown.contains("claiflow_queue_age_seconds{cluster=\"c999\"} 999\n"));
        assert!(shown.contains("claiflow_queue_age_seconds{cluster=\"other\"} 499\n"));
        queue.show(vec![]);
        assert!(!text(&registry).contains("cluster="));
    }
}
