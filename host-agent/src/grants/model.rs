//! The shapes of the grants file, typed. What a section means is written at its field.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::executor::commands::Effect;

use super::{
    Glob, SigningRule,
    http::{CredentialGrant, HttpGrant},
    kubernetes::{Identity, Rule},
};

/// Everything an operator allows. The default allows nothing beyond the task and its log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grants {
    /// What becomes of plugins without an entry.
    pub unlisted: Unlisted,
    /// Who must have signed which plugins.
    pub signatures: Vec<SigningRule>,
    /// By plugin name, which is the file's stem.
    pub plugins: BTreeMap<String, Grant>,
}

/// Whether a plugin without an entry may load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unlisted {
    /// It gets the task and its log, and serves what no other plugin or entry claims.
    #[default]
    Allow,
    /// It is refused.
    Deny,
}

/// What one plugin may do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grant {
    /// The only file that may load under this name.
    pub sha256: Option<[u8; 32]>,
    /// The OCI artifact that holds its file, `registry/repository@sha256:…`, where no directory does.
    pub artifact: Option<String>,
    /// The commands it may serve. None: what no other plugin or entry claims, and no pattern.
    pub commands: Option<Vec<Glob>>,
    /// Classes that make a command stricter, never laxer; the strictest match counts.
    pub effect: Vec<(Glob, Effect)>,
    /// What the operator sets; a JSON object, given to each call.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Budgets of a call, and how many at once.
    pub limits: LimitsGrant,
    /// Kinds, verbs and names of the cluster's API.
    pub kubernetes: Vec<Arc<Rule>>,
    /// As whom it acts over the cluster's API.
    pub identity: Identity,
    /// Where requests may go.
    pub http: Vec<Arc<HttpGrant>>,
    /// Credentials by the glob of their names.
    pub credentials: Vec<(Glob, CredentialGrant)>,
    /// Host-owned profiles of [`super::PROFILES`], such as `helm.upgrade`.
    pub process: Vec<String>,
    /// Parts of the agent itself; of the plugin [`SYSTEM_PLUGIN`] alone.
    pub system: BTreeSet<System>,
}

/// The only plugin that can be granted parts of the agent itself.
pub const SYSTEM_PLUGIN: &str = "claiflow";

/// A part of the agent that a plugin may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    /// The stores of credentials: what there is, put and remove.
    Credentials,
    /// The agent's process and its plugins: who it is, drain, restart, reload.
    Agent,
}

impl System {
    /// Every part, in the order in which people read them.
    pub const ALL: [Self; 2] = [Self::Credentials, Self::Agent];

    /// As the grants file writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Agent => "agent",
        }
    }
}

impl Grant {
    /// Whether it allows anything beyond the task and its log: such a plugin loads only with a pin or a signature.
    pub fn reaches_out(&self) -> bool {
        !(self.kubernetes.is_empty()
            && self.http.is_empty()
            && self.credentials.is_empty()
            && self.process.is_empty()
            && self.system.is_empty())
    }
}

/// Limits that the operator sets; what is absent keeps the agent's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsGrant {
    /// All memories and tables of a call, in bytes.
    pub memory_bytes: Option<u64>,
    /// CPU time of a call.
    pub cpu: Option<Duration>,
    /// Wall-clock time of a call.
    pub wall: Option<Duration>,
    /// Counted host calls of a call.
    pub host_calls: Option<u32>,
    /// The result's JSON text, in bytes.
    pub output_bytes: Option<usize>,
    /// Calls at once.
    pub concurrency: Option<usize>,
    /// Calls that begin in a second.
    pub rate: Option<u32>,
}
