//! A server on SQLite, whose ports a test opens as it needs them.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use claiflow_flow_worker::Pool;
use claiflow_server::{
    app::App,
    dispatch::{Dispatch, Timing},
    grpc,
    metrics::Metrics,
    model::ids::Source,
    ports::{Dialer, Files, Limits, Port},
    rest,
    storage::Store,
};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What is waited for longer does not come.
const LIMIT: Duration = Duration::from_secs(240);

pub(crate) struct Server {
    pub(crate) app: App,
    pub(crate) directory: Arc<TempDir>,
    pub(crate) stop: CancellationToken,
    _stop: DropGuard,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap())).await
    }

    /// Another one on the same database.
    pub(crate) async fn beside(&self) -> Self {
        Self::on(Arc::clone(&self.directory)).await
    }

    async fn on(directory: Arc<TempDir>) -> Self {
        let store = Store::sqlite(&directory.path().join("claiflow.db")).await.unwrap();
        let (stop, metrics) = (CancellationToken::new(), Metrics::register().unwrap());
        let dispatch = Dispatch::start(store.clone(), Source, metrics.clone(), Timing::default(), &stop);
        let jq = Pool::new(env!("CARGO_BIN_EXE_claiflow-server").into(), 1);
        let app = App::open(store, Source, dispatch, jq, metrics).await.unwrap();
        Self { app, directory, _stop: stop.clone().drop_guard(), stop }
    }

    pub(crate) fn router(&self, prefix: &str) -> Router {
        rest::router(self.app.clone(), prefix, true)
    }

    async fn port(&self, name: &'static str, files: Option<Files>, limits: Limits) -> Port {
        let counted = self.app.metrics().ports.of(name);
        let port = Port::bind(name, "127.0.0.1:0", limits, counted).await.unwrap();
        match files {
            None => port,
            Some(files) => port.speak_tls(files, &Source, &self.stop).await.unwrap(),
        }
    }

    /// REST, in TLS where there are files.
    pub(crate) async fn http(&self, files: Option<Files>, limits: Limits) -> SocketAddr {
        self.http_with(self.router(""), files, limits).await
    }

    pub(crate) async fn http_with(&self, router: Router, files: Option<Files>, limits: Limits) -> SocketAddr {
        let port = self.port("http", files, limits).await;
        let address = port.address().unwrap();
        tokio::spawn(rest::serve(port, router, self.stop.clone()));
        address
    }

    /// The agents' port.
    pub(crate) async fn grpc(&self, files: Option<Files>) -> SocketAddr {
        let port = self.port("grpc", files, Limits::default()).await;
        let address = port.address().unwrap();
        tokio::spawn(grpc::serve(self.app.clone(), port, None, self.stop.clone()));
        address
    }

    /// The same among replicas.
    pub(crate) async fn grpc_among(&self, files: Files, dialer: Dialer) -> SocketAddr {
        let port = self.port("grpc", Some(files), Limits::default()).await.with_siblings(dialer);
        let address = port.address().unwrap();
        tokio::spawn(grpc::serve(self.app.clone(), port, None, self.stop.clone()));
        address
    }

    /// Whether the metrics say so.
    pub(crate) fn counts(&self, line: &str) -> bool {
        self.app.metrics().text().lines().any(|it| it == line)
    }
}

/// Waits for what must come.
pub(crate) async fn until<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    let begin = Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < LIMIT, "what is waited for does not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
