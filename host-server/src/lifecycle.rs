//! Start, serve, drain, stop: every question about the process's life is answered here.

use std::{error::Error, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use claiflow_flow_worker::Pool;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    config::{Config, Database, ImportArguments, Mode},
    dispatch::Dispatch,
    enigma::Enigma,
    grpc,
    identity::Oidc,
    import::{Clear, Import, Summary},
    jobs,
    metrics::Metrics,
    model::{ids::Source, people::Role},
    rest,
    storage::{OriginalPlace, Store},
    webhook,
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
    let store = open(&config).await?;
    if let Some(from) = store.unfinished_import().await? {
        return Err(format!(
            "an import from {from} into this database was begun and is not complete: run `claiflow-server import` again, which goes on where it is, or name another database"
        )
        .into());
    }
    let (stop, source, metrics) = (CancellationToken::new(), Source, Metrics::register()?);
    let dispatch = Dispatch::start(store.clone(), source.clone(), metrics.clone(), config.timing, &stop);
    let jq = Pool::new(std::env::current_exe()?, 1);
    let app = App::open(store.clone(), source, dispatch.clone(), jq, metrics).await?;
    app.bring_templates().await?;
    app.limit_callers(config.rate);
    let mut issuer_has_admins = false;
    if let Some(settings) = config.oidc {
        tracing::info!(oidc.issuer = settings.issuer, "tokens of an OpenID Connect issuer are believed");
        issuer_has_admins = settings.grants.iter().any(|grant| grant.role == Role::Admin);
        app.believe(Oidc::open(settings).await?);
    }
    app.bring_bootstrap_token(config.auth.bootstrap.as_ref().map(|secret| secret.0.as_str())).await?;

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
    let jobs = jobs::start(&app, config.retention, config.webhook.retention, &stop);
    let hooks = webhook::start(&app, &config.webhook, Arc::new(webhook::System::default()), &stop).await?;
    let is_open = config.auth.mode == Mode::None;
    if !is_open && !issuer_has_admins && !app.has_admin_token().await? {
        tracing::warn!(
            "no API token of an admin is stored, so nobody can administer: set `auth.bootstrapToken`, or run `claiflow-server token create --role admin`"
        );
    }
    let router = rest::router(app.clone(), prefix, is_open);
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
        hooks.await?;
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

/// The database of the configuration, up to date, with the keys of its values.
///
/// # Errors
/// What keeps it from being used.
pub(crate) async fn open(config: &Config) -> Result<Store, Box<dyn Error + Send + Sync>> {
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
    let encryption = config.encryption.keys.clone();
    let enigma = Enigma::new(encryption, Arc::new(Source))?;
    if let Some(key) = enigma.sealing_key() {
        tracing::info!(enigma.key = key, "inputs, results and secrets are encrypted before they are stored");
    }
    Ok(store.sealing(enigma).await?)
}

/// Where other replicas reach the agents' port: as configured, or where it listens, when that is one address.
fn reached_at(configured: Option<String>, listens: SocketAddr) -> Option<String> {
    configured.or_else(|| (!listens.ip().is_unspecified()).then(|| listens.to_string()))
}

/// Takes over what a database of the first version holds, into the configured one.
///
/// # Errors
/// What kept it from being done; what was taken over before stays.
pub async fn import(config: Config, arguments: ImportArguments) -> Result<Summary, Box<dyn Error + Send + Sync>> {
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let from = arguments.from.or(config.import_from).ok_or(
        "--from (or `import.from`) names the first version's database: mysql://USER:PASSWORD@HOST:PORT/DATABASE, or a database on the configured MariaDB",
    )?;
    let place = match &config.database {
        _ if from.contains("://") => OriginalPlace::at(&from).map_err(|message| format!("--from: {message}"))?,
        Database::Maria(maria) => OriginalPlace::beside(maria, &from),
        Database::Sqlite(_) => {
            return Err("--from: the target is SQLite, so the first version's database is named as mysql://USER:PASSWORD@HOST:PORT/DATABASE".into());
        }
    };
    let store = open(&config).await?;
    let most_bytes = matches!(config.database, Database::Maria(_)).then(|| store.task_bytes());
    let opener = config.encryption.former.map(|former| Clear::with(Arc::new(move |stored| former.open(stored))));
    let import = Import { stopped: arguments.stopped, most_bytes, clear: opener.unwrap_or_default() };
    let summary = import.run(&place, &store, &Source).await?;
    store.close().await;
    Ok(summary)
}
