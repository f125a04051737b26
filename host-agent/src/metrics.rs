//! Every metric of the agent in one struct; a field's doc comment is its help text. No label holds what a user or a plugin
//! may make up at will.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus::{
    CounterVec, Encoder as _, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};
use tokio::sync::watch;

use crate::{
    executor::{
        Verdict,
        commands::{CallDone, CallFailed, CommandCall, Commands, Inventory, PluginState, Server, Usage, Verified},
    },
    telemetry::{Counts, Parent, host_call},
};

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $kind:ty = $name:literal [$($label:literal),*],)+) => {
        /// See the module.
        pub struct Metrics {
            registry: Registry,
            $($(#[doc = $help])+ pub $field: $kind,)+
        }

        impl Metrics {
            /// Registers everything.
            ///
            /// # Errors
            /// When a name is wrong or registered twice.
            pub fn register() -> Result<Self, prometheus::Error> {
                let registry = Registry::new();
                $(
                    let $field = <$kind as Kind>::make($name, concat!($($help),+).trim(), &[$($label),*])?;
                    registry.register(Box::new($field.clone()))?;
                )+
                Ok(Self { registry, $($field),+ })
            }
        }
    };
}

metrics! {
    /// Whether the server is there: 1, else 0.
    connected: IntGauge = "claiflow_agent_connected" [],
    /// Tasks that run.
    running: IntGauge = "claiflow_agent_tasks_running" [],
    /// Tasks that may run at once.
    slots: IntGauge = "claiflow_agent_slots" [],
    /// Whether the journal can be written: 1, else 0. While it cannot, nothing with an effect starts.
    journal_writable: IntGauge = "claiflow_agent_journal_writable" [],
    /// Runs that ended, by verdict.
    runs: IntCounterVec = "claiflow_agent_runs_total" ["verdict"],
    /// Calls of commands that ended, by plugin, command as its plugin declares it, and outcome: `ok`, a code, or `dropped`;
    /// where an earlier call was only asked about, `verified-done`, `verified-not-done` or `verified-unknown`.
    calls: IntCounterVec = "claiflow_agent_calls_total" ["plugin", "command", "outcome"],
    /// Time of a call from start to end, in seconds.
    call_seconds: HistogramVec = "claiflow_agent_call_seconds" ["plugin", "command"],
    /// Processor time that calls used, in seconds, what the host did for them included.
    call_cpu_seconds: CounterVec = "claiflow_agent_call_cpu_seconds_total" ["plugin", "command"],
    /// The most memory that one call had since the start, in bytes, what the host held for it included.
    call_memory_peak: IntGaugeVec = "claiflow_agent_call_memory_peak_bytes" ["plugin", "command"],
    /// Calls of plugins into the host that ended, by plugin, what was asked, the cluster's kind as its discovery names it (empty
    /// where none was reached), and outcome: `ok` or a code.
    host_calls: IntCounterVec = "claiflow_agent_host_calls_total" ["plugin", "verb", "resource", "outcome"],
    /// Time of such a call, in seconds; those that only wait for news are not in it.
    host_call_seconds: HistogramVec = "claiflow_agent_host_call_seconds" ["plugin", "verb", "resource"],
    /// Bytes of bodies that plugins sent over HTTP (`sent`) and got (`received`).
    http_bytes: IntCounterVec = "claiflow_agent_http_bytes_total" ["plugin", "direction"],
    /// Calls that a budget ended, by plugin and budget: `cpu`, `wall`, `memory`, `output`, or `other`.
    budget_exceeded: IntCounterVec = "claiflow_agent_budget_exceeded_total" ["plugin", "budget"],
    /// Spans that the collector of traces took.
    spans_exported: IntCounter = "claiflow_agent_spans_exported_total" [],
    /// Spans that nobody will see: too many waited, or the collector did not take them.
    spans_dropped: IntCounter = "claiflow_agent_spans_dropped_total" [],
    /// Plugins by state: 1 for the state in which a plugin is.
    plugins: IntGaugeVec = "claiflow_agent_plugin_state" ["plugin", "state"],
}

/// A metric as [`metrics!`] makes it.
trait Kind: Collector + Clone + Sized {
    fn make(name: &str, help: &str, labels: &[&str]) -> Result<Self, prometheus::Error>;
}

impl Kind for IntGauge {
    fn make(name: &str, help: &str, _labels: &[&str]) -> Result<Self, prometheus::Error> {
        Self::new(name, help)
    }
}

impl Kind for IntCounter {
    fn make(name: &str, help: &str, _labels: &[&str]) -> Result<Self, prometheus::Error> {
        Self::new(name, help)
    }
}

impl Kind for IntCounterVec {
    fn make(name: &str, help: &str, labels: &[&str]) -> Result<Self, prometheus::Error> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Kind for CounterVec {
    fn make(name: &str, help: &str, labels: &[&str]) -> Result<Self, prometheus::Error> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Kind for IntGaugeVec {
    fn make(name: &str, help: &str, labels: &[&str]) -> Result<Self, prometheus::Error> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Kind for HistogramVec {
    fn make(name: &str, help: &str, labels: &[&str]) -> Result<Self, prometheus::Error> {
        // From a call of a tenth of a millisecond to one of nearly two minutes.
        let buckets = prometheus::exponential_buckets(0.0001, 4.0, 11)?;
        Self::new(HistogramOpts::new(name, help).buckets(buckets), labels)
    }
}

impl Metrics {
    /// Where spans are counted.
    #[must_use]
    pub fn spans(&self) -> Counts {
        Counts { exported: self.spans_exported.clone(), dropped: self.spans_dropped.clone() }
    }

    /// A run ended; the verdict's word.
    pub fn run_ended(&self, verdict: Verdict) -> &'static str {
        let verdict = match verdict {
            Verdict::Succeeded => "succeeded",
            Verdict::Failed => "failed",
            Verdict::TimedOut => "timed_out",
            Verdict::Cancelled => "cancelled",
            Verdict::Unknown => "unknown",
            Verdict::Fenced => "fenced",
            Verdict::Paused => "paused",
        };
        self.runs.with_label_values(&[verdict]).inc();
        verdict
    }

    /// Where calls of plugins into the host are counted.
    #[must_use]
    pub fn host_calls(&self) -> HostCalls {
        HostCalls(Some(Counters {
            calls: self.host_calls.clone(),
            seconds: self.host_call_seconds.clone(),
            http_bytes: self.http_bytes.clone(),
        }))
    }

    /// The Prometheus text format.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn text(&self, inventory: &Inventory) -> Result<String, prometheus::Error> {
        self.plugins.reset();
        for plugin in &inventory.plugins {
            self.plugins.with_label_values(&[plugin.name.as_str(), state_name(plugin.state)]).set(1);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

/// Where calls of plugins into the host are counted; the default counts for nobody.
#[derive(Clone, Debug, Default)]
pub struct HostCalls(Option<Counters>);

#[derive(Clone, Debug)]
struct Counters {
    calls: IntCounterVec,
    seconds: HistogramVec,
    http_bytes: IntCounterVec,
}

/// One call of a plugin into the host, once it ended.
#[derive(Clone, Debug)]
pub struct HostCall<'a> {
    /// Who called.
    pub plugin: &'a str,
    /// What was asked, of a closed list.
    pub verb: &'static str,
    /// `plural/subresource.group` as discovery has it, never a guest's text; empty where none was reached.
    pub resource: &'a str,
    /// `ok` or a code.
    pub outcome: &'a str,
    /// How long it took; none where it only waited for news.
    pub took: Option<Duration>,
    /// The call of the plugin, for the trace.
    pub parent: Parent,
}

impl HostCalls {
    /// Counts the call.
    pub fn count(&self, call: HostCall<'_>) {
        let outcome = if call.outcome == "ok" { "ok" } else { known(call.outcome) };
        let call = HostCall { outcome, ..call };
        host_call(&call);
        let Some(Counters { calls, seconds, .. }) = &self.0 else { return };
        calls.with_label_values(&[call.plugin, call.verb, call.resource, outcome]).inc();
        if let Some(took) = call.took {
            seconds.with_label_values(&[call.plugin, call.verb, call.resource]).observe(took.as_secs_f64());
        }
    }

    /// Where the bytes of a plugin's bodies are counted, in `sent` or `received`; none where nobody counts.
    #[must_use]
    pub fn http_bytes(&self, plugin: &str, direction: &'static str) -> Option<IntCounter> {
        self.0.as_ref().map(|counters| counters.http_bytes.with_label_values(&[plugin, direction]))
    }
}

/// A plugin's state in one word.
pub(crate) fn state_name(state: PluginState) -> &'static str {
    match state {
        PluginState::Compiling => "compiling",
        PluginState::Ready => "ready",
        PluginState::Kept => "kept",
        PluginState::Refused => "refused",
    }
}

/// Commands whose calls are counted.
pub struct Counted {
    commands: Arc<dyn Commands>,
    metrics: Arc<Metrics>,
}

impl Counted {
    /// Counts the calls of `commands`.
    #[must_use]
    pub fn new(commands: Arc<dyn Commands>, metrics: Arc<Metrics>) -> Self {
        Self { commands, metrics }
    }

    fn count(&self, command: &str) -> Count<'_> {
        let server = self.commands.server_of(command);
        Count { metrics: &self.metrics, server, began: Instant::now(), outcome: "dropped", usage: Usage::default() }
    }
}

/// Counts when it goes, so that a call whose future is dropped counts too.
struct Count<'a> {
    metrics: &'a Metrics,
    server: Option<Server>,
    began: Instant,
    outcome: &'static str,
    usage: Usage,
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        let (plugin, command) =
            self.server.as_ref().map_or(("", ""), |server| (server.plugin.as_str(), server.declared_as.as_str()));
        self.metrics.calls.with_label_values(&[plugin, command, self.outcome]).inc();
        self.metrics.call_seconds.with_label_values(&[plugin, command]).observe(self.began.elapsed().as_secs_f64());
        let labels = [plugin, command];
        self.metrics.call_cpu_seconds.with_label_values(&labels).inc_by(self.usage.cpu.as_secs_f64());
        let (peak, had) = (
            self.metrics.call_memory_peak.with_label_values(&labels),
            i64::try_from(self.usage.memory_bytes).unwrap_or(i64::MAX),
        );
        if had > peak.get() {
            peak.set(had);
        }
    }
}

#[async_trait::async_trait]
impl Commands for Counted {
    fn server_of(&self, command: &str) -> Option<Server> {
        self.commands.server_of(command)
    }

    async fn call(&self, call: CommandCall) -> Result<CallDone, CallFailed> {
        let mut count = self.count(&call.command);
        let answer = self.commands.call(call).await;
        (count.outcome, count.usage) = match &answer {
            Ok(done) => ("ok", done.usage),
            Err(failed) => (known(&failed.code), failed.usage),
        };
        if let Err(failed) = &answer
            && let Some(budget) = budget_of(failed)
        {
            let plugin = count.server.as_ref().map_or("", |server| server.plugin.as_str());
            self.metrics.budget_exceeded.with_label_values(&[plugin, budget]).inc();
        }
        answer
    }

    async fn verify(&self, call: CommandCall) -> Verified {
        let mut count = self.count(&call.command);
        let verified = self.commands.verify(call).await;
        count.outcome = match &verified {
            Verified::Done(done) => {
                count.usage = done.usage;
                "verified-done"
            }
            Verified::NotDone => "verified-not-done",
            Verified::Unknown(_) => "verified-unknown",
        };
        verified
    }

    fn inventory(&self) -> watch::Receiver<Arc<Inventory>> {
        self.commands.inventory()
    }
}

/// The budget that ended a call, if one did.
fn budget_of(failed: &CallFailed) -> Option<&'static str> {
    #[derive(serde::Deserialize)]
    struct Details {
        budget: String,
    }
    if failed.code != "budget" && failed.code != "too-large" {
        return None;
    }
    let said = failed.details.as_deref().and_then(|text| serde_json::from_str::<Details>(text).ok());
    let budgets = ["cpu", "wall", "memory", "output"];
    Some(budgets.into_iter().find(|known| said.as_ref().is_some_and(|said| said.budget == *known)).unwrap_or("other"))
}

/// A code of `types.wit`; a plugin may answer any text.
pub(crate) fn known(code: &str) -> &'static str {
    let codes = [
        "denied",
        "invalid",
        "not-found",
        "conflict",
        "exists",
        "gone",
        "unavailable",
        "timeout",
        "stopped",
        "budget",
        "too-large",
    ];
    codes.into_iter().find(|known| *known == code).unwrap_or("failed")
}
