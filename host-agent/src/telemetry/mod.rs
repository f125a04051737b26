//! Log lines, and traces as OpenTelemetry knows them, exported by OTLP. The only room that names `opentelemetry`.
//!
//! Spans for traces have the target [`TRACE`], which log lines never show; without a collector they are disabled where they would
//! be made. No input, output, message or credential is an attribute of one.

mod commands;
mod context;
mod export;
mod host_call;
mod run;

use std::{
    io::{self, IsTerminal as _},
    sync::OnceLock,
};

use opentelemetry::{InstrumentationScope, KeyValue, trace::TracerProvider as _};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider, SpanData},
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

pub use commands::Traced;
use context::traceparent;
pub use export::Counts;
use export::Queue;
pub use host_call::{Parent, host_call};
pub use run::{run, step, step_ended};

/// The target of spans that are made for traces alone.
pub const TRACE: &str = "claiflow::trace";
const SERVICE: &str = env!("CARGO_PKG_NAME");

/// How the process tells what it does.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A `tracing` filter for log lines.
    pub filter: String,
    /// See [`Format`].
    pub format: Format,
    /// None: nothing is traced.
    pub otlp: Option<Otlp>,
    /// The cluster's uuid, which every span names.
    pub cluster: Option<String>,
}

/// What a log line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One object a line, for collectors.
    Json,
}

/// Where spans go: a collector that speaks OTLP over gRPC.
#[derive(Clone)]
pub struct Otlp {
    /// `http://host:4317`, or `https://…`.
    pub endpoint: String,
    /// Sent with each export. The values are secret.
    pub headers: http::HeaderMap,
    /// The part of the requests that are traced, 0 to 1, where the caller does not say whether it traces.
    pub sample_ratio: f64,
}

impl std::fmt::Debug for Otlp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.keys().collect();
        f.debug_struct("Otlp").field("endpoint", &self.endpoint).field("headers", &names).finish_non_exhaustive()
    }
}

/// What spans that are made by hand need.
struct Active {
    queue: Queue,
    scope: InstrumentationScope,
}

static ACTIVE: OnceLock<Active> = OnceLock::new();

/// Exports until it is closed.
pub struct Telemetry(Option<export::Exporting>);

impl Telemetry {
    /// From here on lines are written and spans are sent. Call it once, inside the runtime.
    ///
    /// # Errors
    /// The endpoint cannot be used, or somebody else writes the process's lines.
    pub fn start(settings: &Settings, counts: Counts) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut layers = vec![lines(settings)];
        let mut exporting = None;
        if let Some(otlp) = &settings.otlp {
            let resource = resource(settings.cluster.clone());
            let (queue, handle) = export::start(otlp, &resource, counts)?;
            let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(otlp.sample_ratio)));
            let provider = SdkTracerProvider::builder()
                .with_span_processor(queue.clone())
                .with_sampler(sampler)
                .with_resource(resource)
                .build();
            let traces = tracing_opentelemetry::layer()
                .with_tracer(provider.tracer(SERVICE))
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                .with_tracked_inactivity(false);
            layers.push(traces.with_filter(filter_fn(|meta| meta.is_span() && meta.target() == TRACE)).boxed());
            let scope = InstrumentationScope::builder(SERVICE).build();
            // A second start fails below, and the first one's queue stays.
            let _ = ACTIVE.set(Active { queue, scope });
            exporting = Some(handle);
        }
        tracing_subscriber::registry().with(layers).try_init()?;
        if let Some(otlp) = &settings.otlp {
            tracing::info!(otlp.endpoint = otlp.endpoint, otlp.sample_ratio = otlp.sample_ratio, "spans are exported");
        }
        Ok(Self(exporting))
    }

    /// Sends what waits, within some seconds.
    pub async fn close(self) {
        if let Some(exporting) = self.0 {
            exporting.close().await;
        }
    }
}

/// Log lines on standard error.
fn lines(settings: &Settings) -> Box<dyn Layer<Registry> + Send + Sync> {
    let filter = EnvFilter::new(format!("{},{TRACE}=off", settings.filter));
    // Colours are for people: a file or a collector would keep their escapes.
    let layer = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    match settings.format {
        Format::Text => layer.with_filter(filter).boxed(),
        Format::Json => layer.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
    }
}

/// Who sends: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say more, or otherwise.
fn resource(cluster: Option<String>) -> Resource {
    let cluster = cluster.map(|uuid| KeyValue::new("claiflow.cluster.uuid", uuid));
    let builder = Resource::builder()
        .with_attributes(cluster)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let is_named = std::env::var_os("OTEL_SERVICE_NAME").is_some()
        || std::env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|text| text.contains("service.name="));
    if is_named { builder.build() } else { builder.with_service_name(SERVICE).build() }
}

/// Sends a span that was made by hand, where anybody traces.
fn send(make: impl FnOnce(&InstrumentationScope) -> Option<SpanData>) {
    if let Some(active) = ACTIVE.get()
        && let Some(span) = make(&active.scope)
    {
        active.queue.push(span);
    }
}

/// Whether spans are exported.
fn is_active() -> bool {
    ACTIVE.get().is_some()
}
