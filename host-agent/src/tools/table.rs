//! Times of many calls, as lines that people and scripts read.

use std::{fmt::Write as _, time::Duration};

use crate::executor::commands::Usage;

/// One call: how long its caller waited, and what it used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) wall: Duration,
    pub(super) usage: Usage,
}

/// What all of them come to.
#[derive(Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) calls: usize,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) max_us: f64,
    pub(super) cpu_us: f64,
    pub(super) host_cpu_us: f64,
    pub(super) calls_per_s: f64,
    pub(super) memory_mib: f64,
    pub(super) host_calls: f64,
}

impl Figures {
    /// `total`: from the first call's beginning to the last one's end.
    pub(super) fn of(samples: &[Sample], total: Duration) -> Self {
        let mut walls: Vec<Duration> = samples.iter().map(|sample| sample.wall).collect();
        walls.sort_unstable();
        let last = walls.len().saturating_sub(1);
        let at = |permille: usize| walls.get((walls.len() * permille / 1000).min(last)).copied().unwrap_or_default();
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let calls = u32::try_from(samples.len()).unwrap_or(u32::MAX).max(1);
        let cpu: Duration = samples.iter().map(|sample| sample.usage.cpu).sum();
        let host_cpu: Duration = samples.iter().map(|sample| sample.usage.host_cpu).sum();
        let host_calls: f64 = samples.iter().map(|sample| f64::from(sample.usage.host_calls)).sum();
        Self {
            calls: samples.len(),
            p50_us: us(at(500)),
            p99_us: us(at(990)),
            max_us: us(at(1000)),
            cpu_us: us(cpu / calls),
            host_cpu_us: us(host_cpu / calls),
            calls_per_s: f64::from(calls) / total.as_secs_f64().max(f64::MIN_POSITIVE),
            memory_mib: mib(samples.iter().map(|sample| sample.usage.memory_bytes).max().unwrap_or_default()),
            host_calls: host_calls / f64::from(calls),
        }
    }

    /// A line of names and a line of values.
    pub(super) fn text(&self, concurrency: usize, resident_mib: f64) -> String {
        let columns = [
            ("calls", self.calls.to_string()),
            ("concurrency", concurrency.to_string()),
            ("p50 µs", format!("{:.1}", self.p50_us)),
            ("p99 µs", format!("{:.1}", self.p99_us)),
            ("max µs", format!("{:.1}", self.max_us)),
            ("cpu µs", format!("{:.1}", self.cpu_us)),
            ("of it host", format!("{:.1}", self.host_cpu_us)),
            ("calls/s", format!("{:.0}", self.calls_per_s)),
            ("memory MiB", format!("{:.2}", self.memory_mib)),
            ("host calls", format!("{:.1}", self.host_calls)),
            ("RSS MiB", format!("{resident_mib:.1}")),
        ];
        let (mut names, mut values) = (String::new(), String::new());
        for (name, value) in columns {
            // Writing to text cannot fail.
            let _ = write!(names, "{name:>12}");
            let _ = write!(values, "{value:>12}");
        }
        format!("{names}\n{values}")
    }
}

/// Bytes in MiB, as far as a person reads.
pub(super) fn mib(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1024.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Figures, Sample};
    use crate::executor::commands::Usage;

    #[test]
    fn figures_are_of_the_calls_as_they_were() {
        let sample = |ms| Sample {
            wall: Duration::from_millis(ms),
            usage: Usage {
                cpu: Duration::from_millis(2),
                host_cpu: Duration::from_micros(500),
                memory_bytes: 1 << 20,
                host_calls: 3,
                ..Usage::default()
            },
        };
        let samples: Vec<_> = (1..=100).map(sample).collect();
        let figures = Figures::of(&samples, Duration::from_secs(2));
        assert_eq!(figures.calls, 100);
        assert!((figures.p50_us - 51_000.0).abs() < 1.0 && (figures.p99_us - 100_000.0).abs() < 1.0, "{figures:?}");
        assert!((figures.cpu_us - 2_000.0).abs() < 1.0 && (figures.calls_per_s - 50.0).abs() < 0.1, "{figures:?}");
        assert_eq!((figures.memory_mib, figures.host_calls), (1.0, 3.0));
        let text = figures.text(4, 12.34);
        let values: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(
            values,
            ["100", "4", "51000.0", "100000.0", "100000.0", "2000.0", "500.0", "50", "1.00", "3.0", "12.3"]
        );
    }
}
