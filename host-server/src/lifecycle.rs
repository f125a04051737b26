//! Start, serve, drain, stop: every question about the process's life is answered here.

use std::{error::Error, net::SocketAddr, process::ExitCode, time::Duration};

use claiflow_flow_worker::Pool;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    config::{Config, Database, Edge, Edges},
    dispatch::Dispatch,
    grpc, jobs,
    metrics::Metrics,
    model::ids::Source,
    ports::{Dialer, Limits, Port},
    rest,
    storage::Store,
};

/// Open requests may take this long after the signal.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs until SIGTERM or SIGINT; a second signal ends at once.
///
/// # Errors
/// What kept the server from starting.
pub async fn run(config: Config) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let loopback = config.http.parse::<std::net::SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
        || config.http.starts_with("localhost:");
    if !loopback {
        return Err(format!(
            "http.host: management routes without authentication listen on a loopback address only, not on {}; set `http.host: 127.0.0.1` and reach it through an SSH tunnel or `kubectl port-forward`",
            config.http
        )
        .into());
    }
    let store = match &config.database {
        Database::Sqlite(directory) => {
            std::fs::create_dir_all(directory)
                .map_err(|error| format!("{}: the data directory cannot be made: {error}", directory.display()))?;
            let file = directory.join("claiflow.db");
            tracing::info!(database.file = %file.display(), "tasks are kept in SQLite");
            Store::sqlite(&file).await?
        }
        Database::Maria(maria) => {
            tracing::info!(
                database.hosts = ?maria.hosts,
                database.name = maria.dbname,
                "tasks are kept in MariaDB"
            );
            Store::maria(maria).await?
        }
    };
    let (stop, source, metrics) = (CancellationToken::new(), Source, Metrics::register()?);
    let dispatch = Dispatch::start(store.clone(), source.clone(), metrics.clone(), config.timing, &stop);
    let jq = Pool::new(std::env::current_exe()?, 1);
    let app = App::open(store.clone(), source.clone(), dispatch.clone(), jq, metrics.clone()).await?;
    app.bring_templates().await?;

    // From here on who is served is not cut off.
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let opening = Opening { source: &source, metrics: &metrics, stop: &stop };
    let Edges { cors, drain_delay, .. } = config.edges.clone();
    let http = opening.open("http", &config.http, &config.edges.http).await?;
    let agents = opening.open("grpc", &config.grpc, &config.edges.grpc).await?.with_siblings(siblings(&config.edges)?);
    let prefix = &config.url_prefix;
    tracing::info!(
        http.address = %http.address()?,
        http.scheme = http.scheme(),
        grpc.address = %agents.address()?,
        grpc.scheme = agents.scheme(),
        "serving; Swagger UI is at {prefix}/swagger/index.html"
    );
    for (port, name) in [(&http, "http"), (&agents, "grpc")] {
        if port.scheme() == "http" && !port.address()?.ip().is_loopback() {
            tracing::warn!(
                "{name}: tokens go in the clear over the network; set `{name}.tls`, or let nothing but a proxy that ends TLS reach {}",
                port.address()?
            );
        }
    }
    let ops = match &config.ops {
        Some(address) => {
            let port = opening.open("ops", address, &config.edges.ops).await?;
            tracing::info!(ops.address = %port.address()?, "serving /healthz, /readyz, /metrics and agents of the first version");
            Some(tokio::spawn(rest::serve(port, rest::operations(app.clone(), prefix), stop.clone())))
        }
        None => None,
    };
    match reached_at(config.replica_address, agents.address()?) {
        Some(address) => {
            tracing::info!(replica.address = address, "other replicas on the same database reach this one");
            app.reached_at(address);
        }
        None => tracing::info!(
            "`replica.address` is not set and `grpc.host` is not one address, so other replicas do not reach this one: what they create for agents here waits for the next scan"
        ),
    }
    let jobs = jobs::start(&app, config.retention, &stop);
    let router = rest::open_to(rest::router(app.clone(), prefix, loopback), cors.as_ref());
    let web = tokio::spawn(rest::serve(http, router, stop.clone()));
    let grpc = tokio::spawn(grpc::serve(app.clone(), agents, config.grpc_message_bytes, stop.clone()));

    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    tracing::info!(
        delay_ms = drain_delay.as_millis(),
        drain_s = DRAIN.as_secs(),
        "stopping; a second signal ends at once"
    );
    // Whoever asks /readyz sends nobody here any more; who comes meanwhile is still served.
    app.drain();
    let ended = async {
        tokio::time::sleep(drain_delay).await;
        // Agents finish what runs and find another replica, or this one's successor.
        dispatch.drain(0);
        stop.cancel();
        dispatch.disconnect_all();
        let drained = async {
            web.await??;
            if let Some(ops) = ops {
                ops.await??;
            }
            grpc.await??;
            jobs.await?;
            store.close().await;
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        };
        tokio::time::timeout(DRAIN, drained).await
    };
    tokio::select! {
        outcome = ended => match outcome {
            Ok(outcome) => outcome?,
            Err(_) => tracing::warn!("open requests did not end in time"),
        },
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// What opens a port.
struct Opening<'a> {
    source: &'a Source,
    metrics: &'a Metrics,
    stop: &'a CancellationToken,
}

impl Opening<'_> {
    /// Listens, and reads the certificate where there is one.
    async fn open(&self, name: &'static str, address: &str, edge: &Edge) -> Result<Port, String> {
        let limits = Limits { connections: edge.connections, ..Limits::default() };
        let port = Port::bind(name, address, limits, self.metrics.ports.of(name)).await?;
        match edge.tls.clone() {
            None => Ok(port),
            Some(files) => {
                let port = port.speak_tls(files, self.source, self.stop).await;
                port.map_err(|error| format!("{name}.tls: {error}"))
            }
        }
    }
}

/// How other replicas are called: as this one is.
fn siblings(edges: &Edges) -> Result<Dialer, String> {
    let Some(files) = edges.grpc.tls.clone() else { return Ok(Dialer::default()) };
    let (ca, name) = (edges.replicas.ca.clone(), edges.replicas.name.clone());
    Dialer::tls(ca, name, files).map_err(|error| format!("replica.caFile: {error}"))
}

/// Where other replicas reach the agents' port: as configured, or where it listens, when that is one address.
fn reached_at(configured: Option<String>, listens: SocketAddr) -> Option<String> {
    configured.or_else(|| (!listens.ip().is_unspecified()).then(|| listens.to_string()))
}
