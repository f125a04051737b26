//! The shapes of the grants file, typed. What a section means is written at its field.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

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
}

impl Grant {
    /// Whether it allows anything beyond the task and its log: such a plugin loads only with a pin or a signature.
    pub fn reaches_out(&self) -> bool {
        !(self.kubernetes.is_empty() && self.http.is_empty() && self.credentials.is_empty() && self.process.is_empty())
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
