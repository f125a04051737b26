//! Calls of agents, under the names that dashboards of the first version ask for.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

const METHOD: [&str; 3] = ["grpc_type", "grpc_service", "grpc_method"];

/// See the module.
#[derive(Clone, Debug)]
pub struct Grpc {
    started: IntCounterVec,
    handled: IntCounterVec,
    received: IntCounterVec,
    sent: IntCounterVec,
}

/// The counters of one method. Its names come from the server's own description, never from a caller.
#[derive(Clone, Debug)]
pub struct Method {
    labels: [String; 3],
    /// Calls that began.
    pub started: IntCounter,
    /// Messages from callers.
    pub received: IntCounter,
    /// Messages to callers.
    pub sent: IntCounter,
    handled: IntCounterVec,
}

impl Grpc {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let made = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let [kind, service, method] = METHOD;
        Ok(Self {
            started: made("grpc_server_started_total", "Calls over gRPC that began", &METHOD)?,
            handled: made(
                "grpc_server_handled_total",
                "Calls over gRPC that ended, by code",
                &[kind, service, method, "grpc_code"],
            )?,
            received: made("grpc_server_msg_received_total", "Messages over gRPC that callers sent", &METHOD)?,
            sent: made("grpc_server_msg_sent_total", "Messages over gRPC that the server sent", &METHOD)?,
        })
    }

    /// Where one method counts. `kind`: `unary`, `client_stream`, `server_stream` or `bidi_stream`.
    #[must_use]
    pub fn method(&self, kind: &str, service: &str, method: &str) -> Method {
        let labels = [kind, service, method];
        Method {
            started: self.started.with_label_values(&labels),
            received: self.received.with_label_values(&labels),
            sent: self.sent.with_label_values(&labels),
            handled: self.handled.clone(),
            labels: labels.map(str::to_owned),
        }
    }
}

impl Method {
    /// A call ended with a code's word, such as `OK` or `Unauthenticated`.
    pub fn handled(&self, code: &'static str) {
        let [kind, service, method] = &self.labels;
        self.handled.with_label_values(&[kind.as_str(), service.as_str(), method.as_str(), code]).inc();
    }
}
