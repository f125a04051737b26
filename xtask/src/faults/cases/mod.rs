//! What is done to claiflow, one function a case. Each leaves everything running again.

mod agents;
mod databases;
mod hooks;
mod lines;
mod planted;
mod servers;

use std::fmt;

use anyhow::Result;

use super::{
    effects::{Class, Mark},
    load::{EVERY, Load},
    stage::Stage,
};
use crate::cluster_of_two::CLUSTER;

/// Where a case keeps its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Maria,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Maria => "MariaDB",
        }
    }
}

/// What a planted bug must be found as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planted {
    Lost,
    Doubled,
    StaleAccepted,
}

/// One case.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// In a sentence, for `--list`.
    pub(super) what: &'static str,
    pub(super) engines: &'static [Kind],
    /// Steps of which classes may leave their tasks unknown.
    pub(super) unknown: &'static [Class],
    /// Everything has ended this long after the case was put right, in seconds.
    pub(super) patience_s: u64,
    /// The database is on a disk that the case can fill.
    pub(super) small_disk: bool,
    /// Part of the short run, on this engine.
    pub(super) short: Option<Kind>,
    /// The bug that it plants from outside. Such a case runs only when it is named, and is good when the bug is found.
    pub(super) planted: Option<Planted>,
    pub(super) play: fn(&mut Stage<'_>) -> Result<()>,
}

/// What this machine cannot do.
#[derive(Debug)]
pub(super) struct Skipped(pub(super) String);

impl fmt::Display for Skipped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

const BOTH: &[Kind] = &[Kind::Sqlite, Kind::Maria];
const MARIA: &[Kind] = &[Kind::Maria];

/// A case with the usual patience, that allows nothing.
const fn case(
    name: &'static str,
    what: &'static str,
    engines: &'static [Kind],
    play: fn(&mut Stage<'_>) -> Result<()>,
) -> Case {
    Case { name, what, engines, unknown: &[], patience_s: 60, small_disk: false, short: None, planted: None, play }
}

impl Case {
    /// A call is ended in the middle, or its agent is gone for good: a step that must not happen twice leaves its task unknown.
    const fn unknown_allowed(self) -> Self {
        Self { unknown: &[Class::Verify, Class::Never], ..self }
    }

    /// `verify` may be asked by another agent while the first is still at it: nobody knows then, and the first one's word comes
    /// under a lease that has ended.
    const fn unknown_when_verified(self) -> Self {
        Self { unknown: &[Class::Verify], ..self }
    }

    const fn on_small_disk(self) -> Self {
        Self { small_disk: true, ..self }
    }

    const fn short_on(self, kind: Kind) -> Self {
        Self { short: Some(kind), ..self }
    }

    const fn planted_as(self, planted: Planted) -> Self {
        Self { planted: Some(planted), ..self }
    }

    const fn patient_for(self, patience_s: u64) -> Self {
        Self { patience_s, ..self }
    }
}

/// Every case.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    [agents::CASES, lines::CASES, servers::CASES, databases::CASES, hooks::CASES, planted::CASES].into_iter().flatten()
}

/// Tasks of every class, a few at once for each agent.
fn load(tasks: usize) -> Load {
    Load {
        tasks,
        wait_ms: (100, 500),
        pause_ms: 60,
        flows: EVERY,
        posters: 4,
        clusters: vec![CLUSTER.into()],
        cancel_ms: None,
        channel: None,
    }
}

/// Calls of an agent that have begun and are not done.
fn in_flight(marks: &[Mark], agent: &str) -> usize {
    let count = |done| marks.iter().filter(|mark| mark.agent == agent && mark.done == done).count();
    count(false).saturating_sub(count(true))
}
