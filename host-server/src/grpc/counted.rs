//! Counts calls and messages, around all services: each method that the server describes, and all else as one.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use claiflow_proto::DESCRIPTORS;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::{body::Body, codegen::Service};

use crate::metrics::{Grpc, Method};

/// By number, as callers in Go print them, whose words dashboards know.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];
const CANCELED: &str = "Canceled";
/// Of a message: whether it is compressed, and its length.
const HEAD_BYTES: usize = 5;

/// The counters of all methods, by path.
#[derive(Clone)]
pub(super) struct Methods(Arc<(HashMap<String, Method>, Method)>);

impl Methods {
    /// # Errors
    /// The server's own description cannot be read.
    pub(super) fn of(metrics: &Grpc) -> Result<Self, prost::DecodeError> {
        let mut methods = HashMap::new();
        for file in FileDescriptorSet::decode(DESCRIPTORS)?.file {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                for method in &service.method {
                    let kind = match (method.client_streaming(), method.server_streaming()) {
                        (false, false) => "unary",
                        (true, false) => "client_stream",
                        (false, true) => "server_stream",
                        (true, true) => "bidi_stream",
                    };
                    methods.insert(format!("/{name}/{}", method.name()), metrics.method(kind, &name, method.name()));
                }
            }
        }
        Ok(Self(Arc::new((methods, metrics.method("other", "other", "other")))))
    }

    fn find(&self, path: &str) -> Method {
        self.0.0.get(path).unwrap_or(&self.0.1).clone()
    }

    /// Counts the calls of a service.
    pub(super) fn around<S>(&self, inner: S) -> Counted<S> {
        Counted { inner, methods: self.clone() }
    }
}

/// See [`Methods::around`].
#[derive(Clone)]
pub(super) struct Counted<S> {
    inner: S,
    methods: Methods,
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = self.methods.find(request.uri().path());
        method.started.inc();
        let (received, sent) = (method.received.clone(), method.sent.clone());
        let mut ending = Ending { method, is_counted: false };
        let mut messages = Messages::default();
        let request = request.map(|body| {
            Body::new(body.map_frame(move |frame| {
                received.inc_by(frame.data_ref().map_or(0, |bytes| messages.begin_in(bytes)));
                frame
            }))
        });
        let answering = self.inner.call(request);
        Box::pin(async move {
            let response = answering.await?;
            // A refusal has its code at once, and no body.
            ending.read(response.headers());
            let mut messages = Messages::default();
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    sent.inc_by(frame.data_ref().map_or(0, |bytes| messages.begin_in(bytes)));
                    if let Some(trailers) = frame.trailers_ref() {
                        ending.read(trailers);
                    }
                    frame
                }))
            }))
        })
    }
}

/// Counts one end of a call; a call that goes without one was cancelled.
struct Ending {
    method: Method,
    is_counted: bool,
}

impl Ending {
    fn read(&mut self, headers: &HeaderMap) {
        let Some(status) = headers.get("grpc-status").filter(|_| !self.is_counted) else { return };
        let number = status.to_str().ok().and_then(|text| text.parse::<usize>().ok());
        self.method.handled(number.and_then(|number| CODES.get(number)).copied().unwrap_or("Unknown"));
        self.is_counted = true;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.is_counted {
            self.method.handled(CANCELED);
        }
    }
}

/// Finds messages in a body that comes in pieces.
#[derive(Default)]
struct Messages {
    head: Vec<u8>,
    /// What is left of the message that was begun.
    rest: usize,
}

impl Messages {
    /// How many messages' heads end in these bytes.
    fn begin_in(&mut self, mut bytes: &[u8]) -> u64 {
        let mut count = 0;
        while !bytes.is_empty() {
            let passed = bytes.len().min(self.rest);
            self.rest -= passed;
            bytes = bytes.get(passed..).unwrap_or_default();
            let wanted = bytes.len().min(HEAD_BYTES - self.head.len());
            let (head, others) = bytes.split_at(wanted);
            self.head.extend_from_slice(head);
            bytes = others;
            if let [_, length @ ..] = self.head.as_slice()
                && let Ok(length) = <[u8; 4]>::try_from(length)
            {
                self.rest = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                self.head.clear();
                count += 1;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::{Messages, Methods};
    use crate::metrics::Metrics;

    #[test]
    fn messages_are_found_however_their_bytes_come() {
        let body: Vec<u8> = [&[0, 0, 0, 0, 3, 1, 2, 3][..], &[0, 0, 0, 0, 0], &[1, 0, 0, 0, 1, 9]].concat();
        for piece in 1..=body.len() {
            let mut messages = Messages::default();
            assert_eq!(body.chunks(piece).map(|bytes| messages.begin_in(bytes)).sum::<u64>(), 3, "by {piece}");
        }
    }

    #[test]
    fn only_methods_that_the_server_describes_have_names() {
        let metrics = Metrics::register().unwrap();
        let methods = Methods::of(&metrics.grpc).unwrap();
        methods.find("/claiflow.agent.v1.AgentService/Attach").started.inc();
        methods.find("/pkg.server.api.client.ClientService/Auth_v1").handled("Unauthenticated");
        methods.find("/a/b").started.inc();
        let text = metrics.text();
        for line in [
            r#"grpc_server_started_total{grpc_method="Attach",grpc_service="claiflow.agent.v1.AgentService",grpc_type="bidi_stream"} 1"#,
            r#"grpc_server_handled_total{grpc_code="Unauthenticated",grpc_method="Auth_v1",grpc_service="pkg.server.api.client.ClientService",grpc_type="unary"} 1"#,
            r#"grpc_server_started_total{grpc_method="other",grpc_service="other",grpc_type="other"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
