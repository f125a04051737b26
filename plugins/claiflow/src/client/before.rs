//! What an upgrade found and means to do, noted before it changes anything: so a later attempt goes on with the same, and
//! `verify` knows what to look for. No value of a variable is in it.

use std::collections::BTreeMap;

use claiflow_sdk::{Context, Error, task};
use serde::{Deserialize, Serialize};

use super::environment::Source;

/// The first note of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) namespace: String,
    pub(super) deployment: String,
    /// The agent's container.
    pub(super) container: String,
    /// It keeps the pod template as it was.
    pub(super) replica_set: String,
    /// `metadata.generation` of the Deployment.
    pub(super) generation: u64,
    pub(super) image: String,
    pub(super) wanted: String,
    /// Where each variable is set.
    pub(super) variables: BTreeMap<String, Source>,
}

/// The note of each attempt that begins to change something, or goes on with it.
#[derive(Serialize, Deserialize)]
struct Attempt {
    attempt: u32,
}

/// What an earlier attempt noted, if it came that far.
pub(super) fn noted(context: &Context) -> Option<Before> {
    context.notes.iter().find_map(|note| serde_json::from_value(note.clone()).ok())
}

/// Whether this very attempt began to change something: then its call has ended, and nobody goes on with it.
pub(super) fn is_of_this_attempt(context: &Context) -> bool {
    let attempts = context.notes.iter().filter_map(|note| serde_json::from_value(note.clone()).ok());
    attempts.map(|Attempt { attempt }| attempt).max() == Some(context.attempt)
}

/// Notes that this attempt begins.
///
/// # Errors
/// The note's own.
pub(super) fn begin(context: &Context) -> Result<(), Error> {
    task::note(&Attempt { attempt: context.attempt })
}
