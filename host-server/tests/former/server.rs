//! A server with its agents' port on loopback, and an agent of the first version as it is in the field.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request},
};
use claiflow_flow_worker::Pool;
use claiflow_proto::former::client::{
    AuthRequestV1, ServicePollingRequestV1, UpdateServiceStatusRequestV1, client_service_client::ClientServiceClient,
    service_polling_response_v1::Data,
};
use claiflow_server::{
    app::{App, cluster, service::Create, template, token},
    dispatch::{Dispatch, Round, Timing},
    grpc,
    metrics::Metrics,
    model::{ids::hex, statuses},
    rest,
};
use prost_types::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Status, codec::CompressionEncoding, transport::Channel};
use tower::ServiceExt as _;

use crate::world::World;

pub(crate) const CLUSTER: &str = "00000000000000000000000000000000";
pub(crate) const TOKEN: &str = "CLIENT_AUTHENTICATION_TOKEN";

pub(crate) struct Server {
    pub(crate) app: App,
    pub(crate) dispatch: Dispatch,
    pub(crate) address: SocketAddr,
    router: Router,
    _stop: DropGuard,
}

impl Server {
    pub(crate) async fn start(world: &World) -> Self {
        Self::start_with(world, None).await
    }

    pub(crate) async fn start_with(world: &World, message_bytes: Option<usize>) -> Self {
        let (stop, metrics) = (CancellationToken::new(), Metrics::register().unwrap());
        let timing = Timing { round: Duration::from_millis(20), ..Timing::default() };
        let store = world.reopened().await;
        let dispatch = Dispatch::start(store.clone(), world.source.clone(), metrics.clone(), timing, &stop);
        let jq = Pool::new(env!("CARGO_BIN_EXE_claiflow-server").into(), 1);
        let app = App::open(store, world.source.clone(), dispatch.clone(), jq, metrics).await.unwrap();
        let declare =
            cluster::Declare { uuid: Some(CLUSTER.into()), name: Some("c".into()), ..cluster::Declare::default() };
        app.declare_cluster(declare).await.unwrap();
        let token = token::Declare {
            name: Some("t".into()),
            cluster_uuid: Some(CLUSTER.into()),
            token: Some(TOKEN.into()),
            ..token::Declare::default()
        };
        app.declare_token(token).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(grpc::serve(app.clone(), listener, message_bytes, stop.clone()));
        let router = rest::operations(app.clone(), "");
        Self { app, dispatch, address, router, _stop: stop.drop_guard() }
    }

    /// A round of the sweeper, some time from now.
    pub(crate) async fn sweep(&self, world: &World, seconds: i64) {
        let now_us = world.source.now_us() + seconds * 1_000_000;
        self.dispatch.sweep(&mut Round::default(), &[self.dispatch.replica()], Instant::now(), now_us).await.unwrap();
    }

    /// The cluster's row.
    pub(crate) async fn cluster(&self) -> i64 {
        self.app.cluster(CLUSTER).await.unwrap().id
    }

    /// A template whose steps call these commands.
    pub(crate) async fn template(&self, uuid: &str, commands: &[&str], inputs: &str) {
        let steps = commands
            .iter()
            .enumerate()
            .map(|(index, command)| format!("{{\"$id\":\"s{index}\",\"$command\":\"{command}\",\"inputs\":{inputs}}}"));
        let declare = template::Declare {
            uuid: Some(uuid.into()),
            name: Some(uuid.into()),
            flow: Some(format!("[{}]", steps.collect::<Vec<_>>().join(","))),
            ..template::Declare::default()
        };
        self.app.declare_template(declare, false).await.unwrap();
    }

    /// A task of a template; its uuid.
    pub(crate) async fn create(&self, template: &str) -> String {
        self.create_with(template, 0).await
    }

    pub(crate) async fn create_with(&self, template: &str, priority: i32) -> String {
        let create = Create {
            template_uuid: template.into(),
            cluster_uuids: vec![CLUSTER.into()],
            priority,
            ..Create::default()
        };
        self.app.create_tasks(create).await.unwrap().remove(0).view.uuid
    }

    /// What GET shows of a task: its state, its status rows, its result and its error.
    pub(crate) async fn shows(&self, uuid: &str) -> (i16, Vec<(u32, i16)>, Option<String>, Option<String>) {
        let shown = self.app.task(CLUSTER, uuid).await.unwrap();
        let rows = statuses::rows(&shown.view, &shown.steps);
        assert!(rows.is_sorted_by_key(|row| row.created), "{rows:?}");
        let pairs = rows.iter().map(|row| (row.step_seq, row.status)).collect();
        (shown.view.state, pairs, shown.view.result, shown.view.error)
    }

    /// One call over HTTP, as it is served on any address.
    pub(crate) async fn http(&self, request: Request<Body>) -> (u16, HeaderMap, Value) {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        (parts.status.as_u16(), parts.headers, serde_json::from_slice(&bytes).unwrap())
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// An agent with a session.
    pub(crate) async fn agent(&self) -> Agent {
        let mut agent = self.stranger().await;
        agent.token = agent.authenticate(CLUSTER, TOKEN).await.unwrap();
        agent
    }

    /// An agent that has not authenticated.
    pub(crate) async fn stranger(&self) -> Agent {
        let client = ClientServiceClient::new(self.channel().await).send_compressed(CompressionEncoding::Gzip);
        Agent { client, token: String::new() }
    }
}

#[derive(Clone)]
pub(crate) struct Agent {
    client: ClientServiceClient<Channel>,
    pub(crate) token: String,
}

impl Agent {
    pub(crate) async fn authenticate(&mut self, cluster: &str, token: &str) -> Result<String, Status> {
        let request = AuthRequestV1 {
            cluster_uuid: cluster.into(),
            assertion: token.into(),
            client_version: "dev".into(),
            client_lib_version: "0.1.0".into(),
        };
        Ok(self.client.auth_v1(request).await?.into_inner().token)
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.token).parse().unwrap());
        request
    }

    pub(crate) async fn poll(&mut self, limit: i32) -> Result<Vec<Data>, Status> {
        let request = self.request(ServicePollingRequestV1 { limit });
        Ok(self.client.service_polling_v1(request).await?.into_inner().datas)
    }

    pub(crate) async fn report(&mut self, said: UpdateServiceStatusRequestV1) -> Result<(), Status> {
        let request = self.request(said);
        self.client.update_service_status_v1(request).await?;
        Ok(())
    }
}

/// A step's status as these agents send it: both times always, of which `ended` may be the first day of the year 1.
pub(crate) fn said(uuid: &str, sequence: i32, status: i32, ended: bool) -> UpdateServiceStatusRequestV1 {
    let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
    UpdateServiceStatusRequestV1 {
        uuid: uuid.into(),
        sequence,
        status,
        started: time(1_700_000_000),
        ended: time(if ended { 1_700_000_001 } else { -62_135_596_800 }),
        ..UpdateServiceStatusRequestV1::default()
    }
}

/// A uuid that no task has.
pub(crate) fn nobodys(world: &World) -> String {
    hex(&world.source.random())
}
