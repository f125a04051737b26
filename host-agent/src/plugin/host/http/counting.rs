//! One request in the metrics: that it was made, and the bytes of its bodies.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Method;
use http_body::Body;
use http_body_util::BodyExt as _;

use crate::{
    grants::http::{Allowed, METHODS},
    http::Failure,
    metrics::HostCall,
    plugin::standing::Standing,
    telemetry::Parent,
};

/// Counts when it goes, so that a request that is given up counts too.
pub(super) struct Counting {
    standing: Arc<Standing>,
    method: &'static str,
    /// As the grants file names it, never a guest's text; empty where no entry covers the request.
    host: String,
    began: Duration,
    outcome: &'static str,
    /// It may end in another task.
    parent: Parent,
}

impl Counting {
    pub(super) fn begin(standing: &Arc<Standing>, method: &Method) -> Self {
        let method = METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("other");
        let began = standing.clock.monotonic();
        Self {
            standing: Arc::clone(standing),
            method,
            host: String::new(),
            began,
            outcome: "stopped",
            parent: Parent::here(),
        }
    }

    /// Now it is known where it goes.
    pub(super) fn of(&mut self, allowed: &Allowed) {
        self.host = allowed.entry.url.host().to_string();
    }

    pub(super) fn end<T>(mut self, answer: &Result<T, Failure>) {
        self.outcome = answer.as_ref().map_or_else(|failure| failure.code, |_| "ok");
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        let took = self.standing.clock.monotonic().saturating_sub(self.began);
        self.standing.caller.surroundings.host_calls.count(HostCall {
            plugin: &self.standing.caller.plugin,
            verb: self.method,
            resource: &self.host,
            outcome: self.outcome,
            took: Some(took),
            parent: std::mem::take(&mut self.parent),
        });
    }
}

/// The body, each of whose pieces counts when it passes.
pub(super) fn counted<B: Body<Data = Bytes>>(
    body: B,
    standing: &Standing,
    direction: &'static str,
) -> impl Body<Data = Bytes, Error = B::Error> + use<B> {
    let counter = standing.caller.surroundings.host_calls.http_bytes(&standing.caller.plugin, direction);
    body.map_frame(move |frame| {
        if let (Some(counter), Some(piece)) = (&counter, frame.data_ref()) {
            counter.inc_by(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        }
        frame
    })
}
