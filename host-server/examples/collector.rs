//! A collector of traces for tests: speaks OTLP over gRPC and writes each span as one JSON line on standard output.
//!
//! `collector PORT [AUTHORIZATION]`: listens on loopback; with a second word, exports without that header are refused.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value as Any},
    trace::v1::Span,
};
use serde_json::{Map, Value, json};
use tonic::{Request, Response, Status};

struct Collector {
    authorization: Option<String>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let said = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        if self.authorization.is_some() && said != self.authorization.as_deref() {
            return Err(Status::unauthenticated("who are you?"));
        }
        let mut out = std::io::stdout().lock();
        for of_resource in request.into_inner().resource_spans {
            let resource = attributes(&of_resource.resource.unwrap_or_default().attributes);
            for span in of_resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                writeln!(out, "{}", line(span, &resource)).map_err(|error| Status::internal(error.to_string()))?;
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn line(span: &Span, resource: &Value) -> Value {
    let links: Vec<String> = span.links.iter().map(|link| hex(&link.span_id)).collect();
    json!({
        "resource": resource,
        "trace": hex(&span.trace_id),
        "span": hex(&span.span_id),
        "parent": hex(&span.parent_span_id),
        "name": span.name,
        "kind": span.kind,
        "status": span.status.as_ref().map_or(0, |status| status.code),
        "start_ns": span.start_time_unix_nano,
        "end_ns": span.end_time_unix_nano,
        "attributes": attributes(&span.attributes),
        "events": span.events.len(),
        "links": links,
    })
}

fn attributes(pairs: &[KeyValue]) -> Value {
    let value = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::BoolValue(value)) => json!(value),
        _ => Value::Null,
    };
    Value::Object(pairs.iter().map(|pair| (pair.key.clone(), value(pair))).collect::<Map<_, _>>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let port = words.next().ok_or("a port is missing")?.parse()?;
    let collector = Collector { authorization: words.next() };
    tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(collector))
        .serve(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await?;
    Ok(())
}
