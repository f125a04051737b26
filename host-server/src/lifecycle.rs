//! Start, serve, drain, stop: every question about the process's life is answered here.

use std::{error::Error, net::SocketAddr, process::ExitCode, time::Duration};

use claiflow_flow_worker::Pool;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    config::{Config, Database},
    dispatch::Dispatch,
    grpc, jobs,
    metrics::Metrics,
    model::ids::Source,
    rest,
    storage::Store,
};

/// Open requests may take this long after the signal.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs until SIGTERM or SIGINT; a second signal ends at once.
///
/// # Errors
/// What kept the server from starting.
pub async fn run(config: Config, metrics: Metrics) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
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
    let (stop, source) = (CancellationToken::new(), Source);
    let dispatch = Dispatch::start(store.clone(), source.clone(), metrics.clone(), config.timing, &stop);
    let jq = Pool::new(std::env::current_exe()?, 1);
    let app = App::open(store.clone(), source, dispatch.clone(), jq, metrics).await?;
    app.bring_templates().await?;

    let http = TcpListener::bind(&config.http)
        .await
        .map_err(|error| format!("http.port: cannot listen on {}: {error}", config.http))?;
    let agents = TcpListener::bind(&config.grpc)
        .await
        .map_err(|error| format!("grpc.port: cannot listen on {}: {error}", config.grpc))?;
    let prefix = &config.url_prefix;
    tracing::info!(http.address = %http.local_addr()?, grpc.address = %agents.local_addr()?, "serving; Swagger UI is at {prefix}/swagger/index.html");
    let ops = match &config.ops {
        Some(address) => {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|error| format!("ops.port: cannot listen on {address}: {error}"))?;
            tracing::info!(ops.address = %listener.local_addr()?, "serving /healthz, /readyz, /metrics and agents of the first version");
            Some(tokio::spawn(rest::serve(listener, rest::operations(app.clone(), prefix), stop.clone())))
        }
        None => None,
    };
    match reached_at(config.replica_address, agents.local_addr()?) {
        Some(address) => {
            tracing::info!(replica.address = address, "other replicas on the same database reach this one");
            app.reached_at(address);
        }
        None => tracing::info!(
            "`replica.address` is not set and `grpc.host` is not one address, so other replicas do not reach this one: what they create for agents here waits for the next scan"
        ),
    }
    let jobs = jobs::start(&app, config.retention, &stop);
    let router = rest::router(app.clone(), prefix, loopback);
    let web = tokio::spawn(rest::serve(http, router, stop.clone()));
    let grpc = tokio::spawn(grpc::serve(app, agents, config.grpc_message_bytes, stop.clone()));

    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    tracing::info!(drain_s = DRAIN.as_secs(), "stopping; a second signal ends at once");
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
    tokio::select! {
        outcome = tokio::time::timeout(DRAIN, drained) => match outcome {
            Ok(outcome) => outcome?,
            Err(_) => tracing::warn!("open requests did not end in time"),
        },
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Where other replicas reach the agents' port: as configured, or where it listens, when that is one address.
fn reached_at(configured: Option<String>, listens: SocketAddr) -> Option<String> {
    configured.or_else(|| (!listens.ip().is_unspecified()).then(|| listens.to_string()))
}
