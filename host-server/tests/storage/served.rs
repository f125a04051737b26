//! A server with its agents' port on loopback.

use std::net::SocketAddr;

use claiflow_flow_worker::Pool;
use claiflow_server::{
    app::{App, service::Create, template, token},
    dispatch::{Dispatch, Timing},
    grpc,
    metrics::Metrics,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;

use crate::world::World;

pub(crate) const CLUSTER: &str = "00000000000000000000000000000000";
pub(crate) const TOKEN: &str = "CLIENT_AUTHENTICATION_TOKEN";

pub(crate) struct Server {
    app: App,
    address: SocketAddr,
    _stop: DropGuard,
}

impl Server {
    /// It has one template, `one`, of one step that calls `a`.
    pub(crate) async fn start(world: &World) -> Self {
        let (stop, metrics, store) = (CancellationToken::new(), Metrics::register().unwrap(), world.reopened().await);
        let dispatch = Dispatch::start(store.clone(), world.source.clone(), metrics.clone(), Timing::default(), &stop);
        let jq = Pool::new(env!("CARGO_BIN_EXE_claiflow-server").into(), 1);
        let app = App::open(store, world.source.clone(), dispatch, jq, metrics).await.unwrap();
        let token = token::Declare {
            name: Some("t".into()),
            cluster_uuid: Some(CLUSTER.into()),
            token: Some(TOKEN.into()),
            ..token::Declare::default()
        };
        app.declare_token(token).await.unwrap();
        let template = template::Declare {
            uuid: Some("one".into()),
            name: Some("one".into()),
            flow: Some(r#"[{"$id":"s","$command":"a"}]"#.into()),
            ..template::Declare::default()
        };
        app.declare_template(template, false).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(grpc::serve(app.clone(), listener, None, stop.clone()));
        Self { app, address, _stop: stop.drop_guard() }
    }

    /// A task; its uuid.
    pub(crate) async fn create(&self) -> String {
        let create = Create { template_uuid: "one".into(), cluster_uuids: vec![CLUSTER.into()], ..Create::default() };
        self.app.create_tasks(create).await.unwrap().remove(0).view.uuid
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }
}
