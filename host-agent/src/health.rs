//! What the agent says of itself over HTTP, where `--health` asks for it: `/healthz`, `/readyz`, `/metrics` and `/plugins`.
//! It only answers GET, changes nothing and shows no secret.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    executor::commands::Inventory,
    metrics::{Metrics, state_name},
};

/// What is shown. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    metrics: Arc<Metrics>,
    inventory: watch::Receiver<Arc<Inventory>>,
    settled: Arc<AtomicBool>,
}

/// `/readyz`: whether tasks can run here.
#[derive(Serialize)]
struct Readiness {
    /// The server is there.
    connected: bool,
    /// Every plugin that was there at the start is loaded or refused.
    plugins_settled: bool,
    /// The disk takes the journal.
    journal_writable: bool,
}

/// `/plugins`: what is served, and why something is not.
#[derive(Serialize)]
struct Plugins {
    plugins: Vec<Plugin>,
    commands: Vec<Command>,
}

#[derive(Serialize)]
struct Plugin {
    name: String,
    version: String,
    /// Of the component file, hexadecimal.
    sha256: String,
    /// `compiling`, `ready`, `kept` or `refused`.
    state: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// What it may do, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    grants: Vec<String>,
    /// Imports that nobody granted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
    /// The operator's names of the keys that signed it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signed_by: Vec<String>,
    /// What made its file, as the file itself says.
    #[serde(skip_serializing_if = "String::is_empty")]
    built_by: String,
}

#[derive(Serialize)]
struct Command {
    /// Name or pattern.
    name: String,
    plugin: String,
    summary: String,
    /// A class, or rules as JSON text.
    effect: String,
}

impl Health {
    /// Shows these. The plugins do not count as settled yet.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, inventory: watch::Receiver<Arc<Inventory>>) -> Self {
        Self { metrics, inventory, settled: Arc::default() }
    }

    /// From now on the plugins count as settled.
    pub fn settled(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }

    /// Listens, then answers for as long as the process lives.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn listen(self, address: SocketAddr) -> Result<SocketAddr, std::io::Error> {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, self.router()).await {
                tracing::error!(%error, "nobody can ask for the agent's health any more");
            }
        });
        Ok(bound)
    }

    fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .route("/plugins", get(plugins))
            .with_state(self)
    }
}

async fn readyz(State(health): State<Health>) -> (StatusCode, Json<Readiness>) {
    let readiness = Readiness {
        connected: health.metrics.connected.get() == 1,
        plugins_settled: health.settled.load(Ordering::Relaxed),
        journal_writable: health.metrics.journal_writable.get() == 1,
    };
    let ready = readiness.connected && readiness.plugins_settled && readiness.journal_writable;
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(readiness))
}

async fn metrics(State(health): State<Health>) -> Response {
    let inventory = health.inventory.borrow().clone();
    match health.metrics.text(&inventory) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be shown");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn plugins(State(health): State<Health>) -> Json<Plugins> {
    let inventory = health.inventory.borrow().clone();
    let plugins = inventory.plugins.iter().map(|plugin| Plugin {
        name: plugin.name.clone(),
        version: plugin.version.clone(),
        sha256: plugin.digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        state: state_name(plugin.state),
        reason: plugin.reason.clone(),
        grants: plugin.grants.clone(),
        missing: plugin.missing.clone(),
        signed_by: plugin.signed_by.clone(),
        built_by: plugin.built_by.clone(),
    });
    let commands = inventory.commands.iter().map(|command| Command {
        name: command.name.clone(),
        plugin: command.plugin.clone(),
        summary: command.summary.clone(),
        effect: command.effect.clone(),
    });
    Json(Plugins { plugins: plugins.collect(), commands: commands.collect() })
}
