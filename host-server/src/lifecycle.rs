//! Start, serve, drain, stop: every question about the process's life is answered here.

use std::{error::Error, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use claiflow_flow_worker::Pool;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    config::{Config, Database, Edge, Edges, ImportArguments, Mode},
    dispatch::Dispatch,
    enigma::Enigma,
    grpc,
    identity::Oidc,
    import::{Clear, Import, Summary},
    jobs,
    metrics::Metrics,
    model::{ids::Source, people::Role},
    ports::{Dialer, Limits, Port, allow_files},
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
pub async fn run(config: Config, metrics: Metrics) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
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
    let (stop, source) = (CancellationToken::new(), Source);
    let dispatch = Dispatch::start(store.clone(), source.clone(), metrics.clone(), config.timing, &stop);
    let jq = Pool::new(std::env::current_exe()?, 1);
    let app = App::open(store.clone(), source.clone(), dispatch.clone(), jq, metrics.clone()).await?;
    app.bring_templates().await?;
    app.limit_callers(config.rate);
    let mut issuer_has_admins = false;
    if let Some(settings) = config.oidc {
        tracing::info!(oidc.issuer = settings.issuer, "tokens of an OpenID Connect issuer are believed");
        issuer_has_admins = settings.grants.iter().any(|grant| grant.role == Role::Admin);
        app.believe(Oidc::open(settings).await?);
    }
    app.bring_bootstrap_token(config.auth.bootstrap.as_ref().map(|secret| secret.0.as_str())).await?;

    // From here on who is served is not cut off.
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let opening = Opening { source: &source, metrics: &metrics, stop: &stop };
    let Edges { cors, drain_delay, .. } = config.edges.clone();
    let Edges { http: people, grpc: peers, ops: probes, .. } = &config.edges;
    let probed = if config.ops.is_some() { probes.connections } else { 0 };
    if let Some(warning) = allow_files(people.connections.saturating_add(peers.connections).saturating_add(probed)) {
        tracing::warn!("{warning}");
    }
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
    let jobs = jobs::start(&app, config.retention, config.webhook.retention, &stop);
    let hooks = webhook::start(&app, &config.webhook, Arc::new(webhook::System::default()), &stop).await?;
    let is_open = config.auth.mode == Mode::None;
    if !is_open && !issuer_has_admins && !app.has_admin_token().await? {
        tracing::warn!(
            "no API token of an admin is stored, so nobody can administer: set `auth.bootstrapToken`, or run `claiflow-server token create --role admin`"
        );
    }
    let router = rest::open_to(rest::router(app.clone(), prefix, is_open), cors.as_ref());
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
            hooks.await?;
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

/// Takes over what a database of the first version holds, into the configured one.
///
/// # Errors
/// What kept it from being done; what was taken over before stays.
pub async fn import(config: Config, arguments: ImportArguments) -> Result<Summary, Box<dyn Error + Send + Sync>> {
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let from = arguments.from.or_else(|| config.import_from.clone()).ok_or(
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
