//! The use cases, one file per noun. They know no HTTP and no gRPC; both fronts call them.

pub mod access;
pub mod api_token;
pub mod audit;
pub mod cluster;
pub mod control;
pub mod former;
pub mod inventory;
pub mod predefined;
pub mod recognise;
pub mod replica;
mod request;
pub mod rights;
mod schema;
pub mod service;
pub mod story;
pub mod template;
pub(crate) mod text;
pub mod token;
mod unfold;
pub mod variable;
pub mod webhook;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use claiflow_flow_worker::Pool;
use parking_lot::Mutex;

use crate::{
    dispatch::Dispatch,
    metrics::Metrics,
    model::ids::Source,
    storage::{self, Store},
};

/// Why a use case refused. `Display` is for the caller; causes go to the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such resource.
    #[error("{0}")]
    NotFound(String),
    /// It exists with other content.
    #[error("{0}")]
    Conflict(String),
    /// A field is wrong.
    #[error("{0}")]
    Malformed(String),
    /// Fields that do not fit a schema or a language: pointer and sentence of each.
    #[error("{detail}")]
    Invalid {
        /// One sentence about the whole.
        detail: String,
        /// JSON pointer into the body, and what is wrong there.
        errors: Vec<(String, String)>,
    },
    /// The caller is not who they say, or may not do this.
    #[error("{0}")]
    Refused(String),
    /// Nobody was recognised.
    #[error("{0}")]
    Unauthenticated(String),
    /// Nothing is wrong with the request; somebody whom the server asks is away.
    #[error("{0}")]
    Away(String),
    /// Nothing is wrong with the request; the server should get none.
    #[error("{0}")]
    Unready(String),
    /// Too late, or too early: the task stands where this has no meaning. The state's word is given.
    #[error("{detail}")]
    Stands {
        /// One sentence that says what would be right.
        detail: String,
        /// The state's word.
        state: &'static str,
    },
    /// The database is away.
    #[error("the server cannot reach its database at the moment; try again")]
    Unavailable(#[source] storage::Error),
    /// A stored value does not open, since a key is missing or somebody changed it; or it is of another kind than its column is for.
    #[error("a stored value cannot be read; the server's log says which, and what is wrong with it")]
    Unreadable(#[source] storage::Error),
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        match error {
            storage::Error::Duplicate => {
                Self::Conflict("a resource with this uuid exists; choose another or leave `uuid` out".into())
            }
            storage::Error::TooSlow => Self::Invalid {
                detail: "the list met more rows than can be read in 2 seconds: ask for less of it by a filter such as `uuid`, `cluster_uuid` \
                         or `created_after`, or page it with `limit`"
                    .into(),
                errors: vec![],
            },
            storage::Error::Hidden(_) => Self::Malformed(error.to_string()),
            storage::Error::Sealed(_) | storage::Error::Row(_) => Self::Unreadable(error),
            other => Self::Unavailable(other),
        }
    }
}

impl Error {
    /// Expressions cannot be checked at the moment; the message says why.
    pub(crate) fn unchecked(message: &str) -> Self {
        Self::Away(format!("no expression can be checked at the moment, so nothing was stored: {message}"))
    }

    /// `instead` where there is no such resource; other errors stay what they are.
    pub(crate) fn or_if_missing(self, instead: impl FnOnce() -> Self) -> Self {
        if matches!(self, Self::NotFound(_)) { instead() } else { self }
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// All that the use cases share.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// See [`App`].
pub struct Inner {
    pub(crate) store: Store,
    pub(crate) source: Source,
    pub(crate) dispatch: Dispatch,
    pub(crate) jq: Pool,
    pub(crate) metrics: Metrics,
    pub(crate) prepared: Mutex<HashMap<String, Arc<service::Prepared>>>,
    pub(crate) clusters: Mutex<HashMap<String, service::KnownCluster>>,
    variables: variable::Variables,
    replicas: replica::Replicas,
    recognised: recognise::Recognised,
    believed: recognise::Believed,
    /// Whether this server is about to stop.
    draining: AtomicBool,
}

impl std::ops::Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    /// Reads (or makes) what must exist before the first request.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine.
    pub async fn open(
        store: Store,
        source: Source,
        dispatch: Dispatch,
        jq: Pool,
        metrics: Metrics,
    ) -> Result<Self, storage::Error> {
        let variables = variable::Variables::open(&store, &source).await?;
        let replicas = replica::Replicas::new(dispatch.replica());
        Ok(Self(Arc::new(Inner {
            store,
            source,
            dispatch,
            jq,
            metrics,
            prepared: Mutex::default(),
            clusters: Mutex::default(),
            variables,
            replicas,
            recognised: recognise::Recognised::default(),
            believed: recognise::Believed::default(),
            draining: AtomicBool::new(false),
        })))
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A name for a request that brought none.
    #[must_use]
    pub fn request_id(&self) -> String {
        crate::model::ids::hex(&self.source.random())
    }

    /// The dispatcher, for the agents' front.
    #[must_use]
    pub fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// Says that this server is about to stop: it is not ready from now on, though it still answers.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server goes on, the database answers, and our clock agrees with its.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Unready`].
    pub async fn ready(&self) -> Result<(), Error> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(Error::Unready("this server stops".into()));
        }
        self.store.ping().await?;
        self.clock_is_right()
    }
}
