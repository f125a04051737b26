//! A span around each call of a command, which the plugin gets as its trace context.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{Instrument as _, Span, field::Empty, info_span};

use super::{TRACE, run::step_ended, traceparent};
use crate::{
    executor::commands::{CallDone, CallFailed, CommandCall, Commands, Inventory, Server, Usage, Verified},
    metrics::known,
};

/// Commands whose calls are traced.
pub struct Traced(Arc<dyn Commands>);

impl Traced {
    /// Traces the calls of `commands`.
    #[must_use]
    pub fn new(commands: Arc<dyn Commands>) -> Self {
        Self(commands)
    }

    fn span(&self, call: &CommandCall, what: &'static str) -> Span {
        info_span!(
            target: TRACE,
            "call",
            otel.name = format!("{what} {}", call.command),
            otel.kind = "internal",
            otel.status_code = Empty,
            plugin.name = self.0.server_of(&call.command).map(|server| server.plugin),
            plugin.command = call.command,
            call.attempt = i64::from(call.attempt),
            call.cpu_us = Empty,
            call.memory_bytes = Empty,
            call.host_calls = Empty,
            "error.type" = Empty,
        )
    }
}

fn used(span: &Span, usage: &Usage) {
    // What is unsigned would arrive as text.
    span.record("call.cpu_us", i64::try_from(usage.cpu.as_micros()).unwrap_or(i64::MAX))
        .record("call.memory_bytes", i64::try_from(usage.memory_bytes).unwrap_or(i64::MAX))
        .record("call.host_calls", i64::from(usage.host_calls));
}

#[async_trait::async_trait]
impl Commands for Traced {
    fn server_of(&self, command: &str) -> Option<Server> {
        self.0.server_of(command)
    }

    async fn call(&self, mut call: CommandCall) -> Result<CallDone, CallFailed> {
        let span = self.span(&call, "call");
        if span.is_disabled() {
            return self.0.call(call).await;
        }
        call.traceparent = traceparent(&span).unwrap_or(call.traceparent);
        let answer = self.0.call(call).instrument(span.clone()).await;
        match &answer {
            Ok(done) => used(&span, &done.usage),
            Err(failed) => {
                used(&span, &failed.usage);
                step_ended(&span, Some(known(&failed.code)));
            }
        }
        answer
    }

    async fn verify(&self, mut call: CommandCall) -> Verified {
        let span = self.span(&call, "verify");
        if span.is_disabled() {
            return self.0.verify(call).await;
        }
        call.traceparent = traceparent(&span).unwrap_or(call.traceparent);
        self.0.verify(call).instrument(span).await
    }

    fn inventory(&self) -> watch::Receiver<Arc<Inventory>> {
        self.0.inventory()
    }
}
