//! Every metric of the server in one struct; a field's doc comment is its help text.

mod database;
mod grpc;
pub mod ports;
mod queue;

use prometheus::{
    DEFAULT_BUCKETS, Encoder as _, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder, exponential_buckets, register_gauge_with_registry as float_gauge,
    register_int_counter_with_registry as counter, register_int_gauge_with_registry as gauge,
};

use crate::telemetry::Counts;
pub use database::{Database, Statement};
pub use grpc::{Grpc, Method};
pub use queue::{Line, Queue};

/// See the module.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// How long the database takes.
    pub database: Database,
    /// Calls of agents.
    pub grpc: Grpc,
    /// What waits for agents.
    pub queue: Queue,
    /// Spans of traces.
    pub spans: Counts,
    /// Leases that ended because their agent was lost.
    pub leases_lost: IntCounter,
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
    /// Whether this replica leads a kind of periodic work (1) or not (0).
    pub leads: IntGaugeVec,
    /// The epoch of the lead that this replica had last, by kind of work.
    pub leader_epoch: IntGaugeVec,
    /// Replicas whose heartbeat is fresh, this one included.
    pub replicas: IntGauge,
    /// How far this machine's clock is ahead of the database's, in seconds.
    pub clock_offset_seconds: Gauge,
    /// Other replicas that this one hears of.
    pub peers_connected: IntGauge,
    /// What this replica was told by others.
    pub peer_events: IntCounter,
    /// Days for which the history has partitions; less than two needs a look.
    pub history_days_ahead: IntGauge,
    /// Final tasks that went because their retention was over.
    pub history_purged: IntCounter,
    /// Write transactions of the lanes.
    pub commits: IntCounter,
    /// Deliveries that no webhook's receiver has got, by state.
    pub webhook_backlog: IntGaugeVec,
    /// Attempts to deliver to webhooks, by outcome.
    pub webhook_attempts: IntCounterVec,
    /// Time of an attempt to deliver to a webhook, in seconds.
    pub webhook_seconds: Histogram,
    /// What happens at the edge of the ports.
    pub ports: ports::Ports,
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
        let leads = IntGaugeVec::new(
            Opts::new("claiflow_leads", "Whether this replica leads a kind of periodic work (1) or not (0)"),
            &["work"],
        )?;
        let leader_epoch = IntGaugeVec::new(
            Opts::new("claiflow_leader_epoch", "The epoch of the lead that this replica had last, by kind of work"),
            &["work"],
        )?;
        registry.register(Box::new(tasks_ended.clone()))?;
        let webhook_backlog = IntGaugeVec::new(
            Opts::new("claiflow_webhook_backlog", "Deliveries that no webhook's receiver has got, by state"),
            &["state"],
        )?;
        let webhook_attempts = IntCounterVec::new(
            Opts::new("claiflow_webhook_attempts_total", "Attempts to deliver to webhooks, by outcome"),
            &["outcome"],
        )?;
        let webhook_seconds = Histogram::with_opts(HistogramOpts::new(
            "claiflow_webhook_delivery_seconds",
            "Time of an attempt to deliver to a webhook, in seconds",
        ))?;
        registry.register(Box::new(webhook_backlog.clone()))?;
        registry.register(Box::new(webhook_attempts.clone()))?;
        registry.register(Box::new(webhook_seconds.clone()))?;
        registry.register(Box::new(leads.clone()))?;
        registry.register(Box::new(leader_epoch.clone()))?;
        registry.register(Box::new(http_requests.clone()))?;
        for histogram in [&http_seconds, &http_request_bytes, &http_response_bytes] {
            registry.register(Box::new(histogram.clone()))?;
        }
        Ok(Self {
            database: Database::register(&registry)?,
            grpc: Grpc::register(&registry)?,
            queue: Queue::register(&registry)?,
            spans: Counts {
                exported: counter!(
                    "claiflow_spans_exported_total",
                    "Spans that the collector of traces took",
                    registry
                )?,
                dropped: counter!(
                    "claiflow_spans_dropped_total",
                    "Spans that nobody will see: too many waited, or the collector did not take them",
                    registry
                )?,
            },
            leases_lost: counter!(
                "claiflow_leases_lost_total",
                "Leases that ended because their agent was lost: silent for too long, or back without them",
                registry
            )?,
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
            replicas: gauge!("claiflow_replicas", "Replicas whose heartbeat is fresh, this one included", registry)?,
            clock_offset_seconds: float_gauge!(
                "claiflow_clock_offset_seconds",
                "How far this machine's clock is ahead of the database's, in seconds",
                registry
            )?,
            peers_connected: gauge!("claiflow_peers_connected", "Other replicas that this one hears of", registry)?,
            peer_events: counter!("claiflow_peer_events_total", "What this replica was told by others", registry)?,
            history_days_ahead: gauge!(
                "claiflow_history_days_ahead",
                "Days for which the history has partitions; less than two needs a look",
                registry
            )?,
            history_purged: counter!(
                "claiflow_history_purged_total",
                "Final tasks that went because their retention was over",
                registry
            )?,
            ports: ports::Ports::register(&registry)?,
            leads,
            leader_epoch,
            tasks_ended,
            webhook_backlog,
            webhook_attempts,
            webhook_seconds,
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
