//! Spans on their way to a collector: a queue that never makes anybody wait, and one task that sends what is in it in batches.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::{
    SpanExporter, WithExportConfig as _, WithTonicConfig as _,
    tonic_types::{metadata::MetadataMap, transport::ClientTlsConfig},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter as _, SpanProcessor},
};
use prometheus::IntCounter;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::Otlp;

/// Spans that wait at most; what comes beyond is dropped, and counted.
const QUEUE: usize = 8_192;
/// Spans of one export.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const LINGER: Duration = Duration::from_secs(1);
/// One export, with its repeats.
const EXPORT: Duration = Duration::from_secs(5);
/// What waits when the process ends goes out within this time.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What is counted of spans.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Those that the collector took.
    pub exported: IntCounter,
    /// Those that nobody will see: the queue was full, or the collector did not take them.
    pub dropped: IntCounter,
}

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    dropped: IntCounter,
}

impl Queue {
    pub(super) fn push(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The task that sends.
pub(super) struct Exporting {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Exporting {
    /// Sends what waits, and ends.
    pub(super) async fn close(self) {
        self.stop.cancel();
        if timeout(LAST_WORDS, self.task).await.is_err() {
            tracing::warn!("the last spans could not be sent in time");
        }
    }
}

/// Connects when the first batch is there, and again whenever that is needed.
///
/// # Errors
/// The endpoint cannot be used.
pub(super) fn start(
    otlp: &Otlp,
    resource: &Resource,
    counts: Counts,
) -> Result<(Queue, Exporting), opentelemetry_otlp::ExporterBuildError> {
    let mut building = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&otlp.endpoint)
        .with_timeout(EXPORT)
        .with_metadata(MetadataMap::from_headers(otlp.headers.clone()));
    if otlp.endpoint.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:")) {
        building = building.with_tls_config(ClientTlsConfig::new().with_native_roots());
    }
    let mut exporter = building.build()?;
    exporter.set_resource(resource);
    let (spans, waiting) = mpsc::channel(QUEUE);
    let (queue, stop) = (Queue { spans, dropped: counts.dropped.clone() }, CancellationToken::new());
    let task = tokio::spawn(run(exporter, waiting, counts, stop.clone()));
    Ok((queue, Exporting { stop, task }))
}

async fn run(exporter: SpanExporter, mut waiting: mpsc::Receiver<SpanData>, counts: Counts, stop: CancellationToken) {
    let (mut batch, mut is_heard) = (Vec::new(), true);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => waiting.close(),
            () = gather(&mut waiting, &mut batch) => {}
        }
        // Once it is closed, what is left comes at once, and then nothing.
        if stop.is_cancelled() {
            waiting.recv_many(&mut batch, BATCH).await;
            if batch.is_empty() {
                return;
            }
        }
        let count = batch.len() as u64;
        match exporter.export(std::mem::take(&mut batch)).await {
            Ok(()) => {
                counts.exported.inc_by(count);
                if !std::mem::replace(&mut is_heard, true) {
                    tracing::info!("the collector takes spans again");
                }
            }
            Err(error) => {
                counts.dropped.inc_by(count);
                // Once, until it answers again: a collector that is away for a night must not fill a disk.
                if std::mem::replace(&mut is_heard, false) {
                    tracing::warn!(%error, spans.dropped = count, "the collector did not take spans");
                }
            }
        }
    }
}

/// A batch: full, or what came within [`LINGER`] of the first. What was gathered stays gathered when the future is dropped.
async fn gather(waiting: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>) {
    waiting.recv_many(batch, BATCH).await;
    let end = Instant::now() + LINGER;
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        if !matches!(timeout_at(end, waiting.recv_many(batch, room)).await, Ok(count) if count > 0) {
            return;
        }
    }
}
