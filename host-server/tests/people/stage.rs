//! A server that asks who calls, and callers.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request},
};
use claiflow_flow_worker::Pool;
use claiflow_server::{
    app::{
        App,
        api_token::{Declare, make},
    },
    dispatch::{Dispatch, Timing},
    metrics::Metrics,
    model::people::Caller,
    rest,
    storage::Store,
};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

use crate::world::World;

pub(crate) const A: &str = "0000000000000000000000000000000a";
pub(crate) const B: &str = "0000000000000000000000000000000b";

pub(crate) struct Stage {
    pub(crate) app: App,
    pub(crate) store: Store,
    /// An admin's token.
    pub(crate) admin: String,
    router: Router,
    _stop: DropGuard,
}

/// What a call was answered; the body of a refusal and of what was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Stage {
    pub(crate) async fn start(world: &World) -> Self {
        let (stop, metrics, store) = (CancellationToken::new(), Metrics::register().unwrap(), world.reopened().await);
        let dispatch = Dispatch::start(store.clone(), world.source.clone(), metrics.clone(), Timing::default(), &stop);
        let jq = Pool::new(env!("CARGO_BIN_EXE_claiflow-server").into(), 1);
        let app = App::open(store.clone(), world.source.clone(), dispatch, jq, metrics).await.unwrap();
        let router = rest::router(app.clone(), "", false);
        let name = format!("root-{}", app.request_id());
        let root = Declare { name: Some(name), role: Some("admin".into()), ..Declare::default() };
        let (_, admin) = make(&store, &world.source, &Caller::anonymous(), root).await.unwrap();
        Self { app, store, admin, router, _stop: stop.drop_guard() }
    }

    /// Any request. A stream that does not end by itself is not read.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let endless = parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let bytes = if endless { vec![] } else { to_bytes(body, 64 << 20).await.unwrap().to_vec() };
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// A stream that goes on: the status, and what is yet to be read.
    pub(crate) async fn stream(&self, token: &str, path: &str) -> (u16, Body) {
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        (response.status().as_u16(), response.into_body())
    }

    /// A request with a token, or without.
    pub(crate) async fn call(&self, token: &str, call: &str, body: Value) -> Answer {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).header("host", "claiflow.example");
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        if !body.is_empty() {
            request = request.header("content-type", "application/json").header("content-length", body.len());
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.call(token, &format!("GET {path}"), Value::Null).await
    }

    /// A write of the admin's that must succeed.
    pub(crate) async fn make(&self, path: &str, body: Value) -> Value {
        let answer = self.call(&self.admin, &format!("POST {path}"), body.clone()).await;
        assert_eq!(answer.status, 200, "POST {path} {body}: {}", answer.text);
        answer.json()
    }

    /// A token with these fields beside its name; what it shows.
    pub(crate) async fn token(&self, name: &str, fields: Value) -> String {
        let mut body = json!({"name": name, "role": "operator"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.make("/api/v1/api_token", body).await["token"].as_str().unwrap().to_owned()
    }

    /// Two clusters and two templates, `t` and `u`.
    pub(crate) async fn furnish(&self) {
        for uuid in [A, B] {
            self.make("/api/v1/cluster", json!({"uuid": uuid, "name": format!("cluster {uuid}")})).await;
        }
        for uuid in ["t", "u"] {
            self.template(uuid).await;
        }
    }

    pub(crate) async fn template(&self, uuid: &str) {
        let flow = json!([{"$id": "s", "$command": "helloworld"}]);
        self.make("/api/v1/template", json!({"uuid": uuid, "name": uuid, "flow": flow})).await;
    }

    /// A task of a template on a cluster; its uuid.
    pub(crate) async fn task(&self, cluster: &str, template: &str) -> String {
        let path = format!("/api/v1/cluster/{cluster}/service");
        self.make(&path, json!({"template_uuid": template})).await["uuid"].as_str().unwrap().to_owned()
    }

    /// The audit trail, the oldest row first.
    pub(crate) async fn trail(&self) -> Vec<Value> {
        let answer = self.get(&self.admin, "/api/v1/audit?order=asc&limit=1000").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json().as_array().unwrap().clone()
    }
}
