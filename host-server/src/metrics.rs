//! Every metric of the server in one struct; a field's doc comment is its help text.

use prometheus::{
    DEFAULT_BUCKETS, Encoder as _, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder, exponential_buckets, register_int_counter_with_registry as counter,
    register_int_gauge_with_registry as gauge,
};

/// See the module.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Tasks that the API accepted.
    pub tasks_created: IntCounter,
    /// Tasks that ended, by state.
    pub tasks_ended: IntCounterVec,
    /// Reports under a lease that was not valid any more.
    pub stale_reports: IntCounter,
    /// Tasks taken back from agents that were lost or did not take their offer.
    pub tasks_requeued: IntCounter,
    /// Agents that are connected to this replica.
    pub agents_connected: IntGauge,
    /// Lines of commands that were not kept.
    pub lines_dropped: IntCounter,
    /// Write transactions of the lanes.
    pub commits: IntCounter,
    /// HTTP requests by method, route and status.
    pub http_requests: IntCounterVec,
    /// Time to answer an HTTP request, in seconds.
    pub http_seconds: HistogramVec,
    /// Size of an HTTP request's body, in bytes.
    pub http_request_bytes: HistogramVec,
    /// Size of an HTTP answer's body before compression, in bytes.
    pub http_response_bytes: HistogramVec,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is registered twice.
    pub fn register() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let tasks_ended =
            IntCounterVec::new(Opts::new("claiflow_tasks_ended_total", "Tasks that ended, by state"), &["state"])?;
        let http_requests = IntCounterVec::new(
            Opts::new("http_server_requests_total", "HTTP requests by method, route and status"),
            &["method", "url", "code"],
        )?;
        let http = |name: &str, help: &str, buckets: Vec<f64>| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), &["method", "url", "code"])
        };
        let sizes = exponential_buckets(256.0, 8.0, 6)?;
        let http_seconds = http(
            "http_server_request_duration_seconds",
            "Time to answer an HTTP request, in seconds",
            DEFAULT_BUCKETS.to_vec(),
        )?;
        let http_request_bytes =
            http("http_server_request_size_bytes", "Size of an HTTP request's body, in bytes", sizes.clone())?;
        let http_response_bytes = http(
            "http_server_response_size_bytes",
            "Size of an HTTP answer's body before compression, in bytes",
            sizes,
        )?;
        registry.register(Box::new(tasks_ended.clone()))?;
        registry.register(Box::new(http_requests.clone()))?;
        for histogram in [&http_seconds, &http_request_bytes, &http_response_bytes] {
            registry.register(Box::new(histogram.clone()))?;
        }
        Ok(Self {
            tasks_created: counter!("claiflow_tasks_created_total", "Tasks that the API accepted", registry)?,
            stale_reports: counter!(
                "claiflow_stale_reports_total",
                "Reports under a lease that was not valid any more",
                registry
            )?,
            tasks_requeued: counter!(
                "claiflow_tasks_requeued_total",
                "Tasks taken back from agents that were lost or did not take their offer",
                registry
            )?,
            agents_connected: gauge!(
                "claiflow_agents_connected",
                "Agents that are connected to this replica",
                registry
            )?,
            lines_dropped: counter!(
                "claiflow_log_lines_dropped_total",
                "Lines of commands that were not kept, since too many came or the database did not take them",
                registry
            )?,
            commits: counter!("claiflow_commits_total", "Write transactions of the lanes", registry)?,
            tasks_ended,
            http_requests,
            http_seconds,
            http_request_bytes,
            http_response_bytes,
            registry,
        })
    }

    /// The Prometheus text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics could not be encoded");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}
