//! Who makes host calls, and what is there to be called.

use std::{fmt, sync::Arc};

use crate::{credentials::Stores, http::Client, kubernetes::Cluster, metrics::HostCalls, process::Processes};

use super::{authority::Authority, loader::Loaded, own_agent::OwnAgent};

/// What all sandboxes reach, each as far as its plugin's grant goes.
pub(super) struct Surroundings {
    pub(super) authority: Authority,
    /// None: the agent is in no cluster.
    pub(super) cluster: Option<Arc<Cluster>>,
    /// What sends requests over HTTP.
    pub(super) http: Arc<Client>,
    /// Where credentials are.
    pub(super) credentials: Arc<Stores>,
    /// None: no program is run here.
    pub(super) processes: Option<Arc<Processes>>,
    pub(super) host_calls: HostCalls,
    /// The agent itself.
    pub(super) agent: OwnAgent,
}

/// What a call may do to the world, whatever is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    /// `describe` runs before anything is believed of the plugin.
    Nothing,
    /// Leave nothing behind, and why not.
    Read(NoWrites),
    /// What the grant allows.
    Write,
}

/// Why a call writes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoWrites {
    /// It asks whether an earlier one did.
    Verify,
    /// It would be made again after a crash, as often as needed.
    DeclaredRead,
}

impl fmt::Display for NoWrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verify => "`verify` leaves nothing behind",
            Self::DeclaredRead => {
                "the command's effect is `read` for these inputs, and such a call may be made again at any time; a command \
                 that writes declares `idempotent`, `verify` or `never`"
            }
        })
    }
}

/// The plugin of one call.
pub(super) struct Caller {
    pub(super) plugin: String,
    /// SHA-256 of its component file: a grant that pins another is not its own.
    pub(super) digest: [u8; 32],
    pub(super) power: Power,
    /// The task's uuid; empty in `describe`.
    pub(super) task: String,
    pub(super) surroundings: Arc<Surroundings>,
}

impl Caller {
    pub(super) fn of(loaded: &Loaded, power: Power, task: &str, surroundings: &Arc<Surroundings>) -> Self {
        let (plugin, task) = (loaded.name.clone(), task.to_owned());
        Self { plugin, digest: loaded.digest, power, task, surroundings: surroundings.clone() }
    }
}
