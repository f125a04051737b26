//! What the wiring decides about plugins. Every queue and guest has its limit here.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    control::Control, credentials::Stores, grants::kubernetes::Own, http::Client, kubernetes::Cluster,
    metrics::HostCalls, process::Processes,
};

/// Where plugins come from and what they may use.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directories of `*.wasm` files; only read. An earlier one wins where two have a plugin of the same name.
    pub plugins: Vec<PathBuf>,
    /// Why a plugin that should have been put into one of them was not, by name.
    pub missed: Option<watch::Receiver<Arc<BTreeMap<String, String>>>>,
    /// The grants file; none or an absent file grants nothing.
    pub grants: Option<PathBuf>,
    /// Compiled code: a directory that only the agent writes. None: compile at each start.
    pub cache: Option<PathBuf>,
    /// The program whose first argument `compile-worker` leads to [`super::compile_worker`]; usually the agent itself.
    pub worker: PathBuf,
    /// Sandboxes at once, all plugins together.
    pub slots: usize,
    /// What a call may use where its grant says nothing.
    pub limits: Limits,
    /// How long a call may go on after it was asked to stop.
    pub stop_grace: Duration,
    /// How often the directory and the grants file are looked at when nothing announced a change.
    pub poll_interval: Duration,
    /// The cluster's API; none where the agent is in no cluster.
    pub cluster: Option<Arc<Cluster>>,
    /// Which objects of the cluster are the agent's own, as far as that is known at the start.
    pub own: Own,
    /// What sends the requests that plugins make over HTTP.
    pub http: Arc<Client>,
    /// Where credentials are, for plugins that name, see or change them.
    pub credentials: Arc<Stores>,
    /// What runs programs; none where no program is run.
    pub processes: Option<Arc<Processes>>,
    /// Where host calls are counted.
    pub host_calls: HostCalls,
    /// What the agent says of itself.
    pub identity: Identity,
    /// The way to whoever serves tasks here; none where nobody does.
    pub control: Option<Control>,
}

/// What the agent says of itself to its own plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's uuid, 32 hexadecimal digits; empty where no server is asked.
    pub cluster: String,
    /// Its namespace; empty outside a cluster.
    pub namespace: String,
    /// Its pod's name; empty where it stands for none.
    pub pod: String,
}

impl Config {
    /// Defaults for directories and a program.
    pub fn new(plugins: Vec<PathBuf>, worker: impl Into<PathBuf>) -> Self {
        Self {
            plugins,
            missed: None,
            grants: None,
            cache: None,
            worker: worker.into(),
            slots: 64,
            limits: Limits::default(),
            stop_grace: Duration::from_secs(5),
            poll_interval: Duration::from_secs(2),
            cluster: None,
            own: Own::default(),
            http: Arc::default(),
            credentials: Arc::default(),
            processes: None,
            host_calls: HostCalls::default(),
            identity: Identity::default(),
            control: None,
        }
    }
}

/// Budgets of one call, and how many calls of one plugin at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All memories and tables of the sandbox.
    pub memory_bytes: u64,
    /// Thread CPU time summed over the polls of the call.
    pub cpu: Duration,
    /// From start to end, waits included.
    pub wall: Duration,
    /// Counted host calls.
    pub host_calls: u32,
    /// The result's JSON text.
    pub output_bytes: usize,
    /// Log lines that are kept; further ones are counted and dropped.
    pub log_lines: u32,
    /// Calls of one plugin at once; none: as many as there are slots.
    pub concurrency: Option<usize>,
    /// Calls of one plugin that begin in a second; none: as many as there are.
    pub rate: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            cpu: Duration::from_secs(2),
            wall: Duration::from_secs(30),
            host_calls: 200,
            output_bytes: 1 << 20,
            log_lines: 1_000,
            concurrency: None,
            rate: None,
        }
    }
}
