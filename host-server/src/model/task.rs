//! Rows of tasks, leases and their ends.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::{audit::Audit, ids::Id, options::Options, state::State, statuses::StatusRow, step::Used};

/// What a task runs; shared by the tasks of one template version.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Hash of what follows.
    pub id: Id,
    /// Whose version it is.
    pub template_uuid: String,
    /// The template's text as it was stored.
    pub flow: String,
    /// Top-level steps.
    pub step_max: usize,
    /// Of the flow crate.
    pub language_level: u32,
    /// What an agent must serve.
    pub commands: Vec<String>,
    /// As the template said them.
    pub options: Options,
    /// Their JSON text, as it was stored; none is the defaults.
    pub options_text: Option<String>,
}

/// A limit on how many tasks run at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Names the row that is locked while the limit is looked at.
    pub name: String,
    /// Tasks at once.
    pub limit: u32,
}

impl Snapshot {
    /// The id of what a version of a template runs.
    #[must_use]
    pub fn id_of(template_uuid: &str, flow: &str, options: Option<&str>) -> Id {
        let digest = Sha256::digest(format!("{template_uuid}\0{flow}\0{}", options.unwrap_or_default()));
        digest.get(..16).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
    }

    /// The limits of a template's tasks on a cluster.
    #[must_use]
    pub fn gates(&self, cluster: i64) -> Vec<Gate> {
        let limits = self.options.concurrency;
        let template = self.template_uuid.to_ascii_lowercase();
        let on_cluster = limits.cluster.map(|limit| Gate { name: format!("template {template} on {cluster}"), limit });
        let everywhere = limits.total.map(|limit| Gate { name: format!("template {template}"), limit });
        on_cluster.into_iter().chain(everywhere).collect()
    }
}

/// Where a task goes when it is stored.
#[derive(Clone, Debug)]
pub enum Place {
    /// To an agent that has a free slot.
    Lease(Arc<Lease>),
    /// Into `ready`.
    Ready,
    /// Into `later`, until this time, microseconds since 1970.
    Later(i64),
}

/// A request's key (`Idempotency-Key`), kept for a day with what it created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Who asked.
    pub caller: String,
    /// Of the key.
    pub digest: [u8; 32],
    /// Of the request.
    pub request: [u8; 32],
    /// The tasks' id.
    pub id: Id,
    /// Microseconds since 1970.
    pub created: i64,
}

/// A live task; also what an offer is made from.
#[derive(Clone, Debug)]
pub struct Task {
    /// The server's id; a fan-out shares one.
    pub id: Id,
    /// The cluster's row.
    pub cluster: i64,
    /// As callers name it: the hexadecimal id, or what they chose.
    pub uuid: String,
    /// What it runs.
    pub snapshot: Arc<Snapshot>,
    /// The caller's name for it.
    pub name: String,
    /// The caller's words.
    pub summary: Option<String>,
    /// A JSON object.
    pub inputs: String,
    /// A webhook's uuid.
    pub channel: Option<String>,
    /// Higher runs first.
    pub priority: i32,
    /// Counted from 1.
    pub attempt: i32,
    /// Grows with each lease.
    pub epoch: i64,
    /// Microseconds since 1970.
    pub created: i64,
    /// Digest of the request, where the caller chose the uuid.
    pub request: Option<[u8; 32]>,
    /// The first start happens before this time or never, microseconds since 1970.
    pub valid_until: Option<i64>,
    /// A run ends after this time, over all attempts, milliseconds.
    pub run_timeout_ms: i64,
    /// The first start, microseconds since 1970.
    pub started: Option<i64>,
    /// A JSON object of texts.
    pub labels: Option<String>,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
    /// Who asked for it.
    pub created_by: Option<String>,
    /// The row of the audit trail that is written with it; the tasks of one request share one.
    pub audit: Option<Arc<Audit>>,
    /// Of the request that created it.
    pub request_id: Option<String>,
}

impl Task {
    /// The order in `ready`: older first, a priority point is worth ten minutes of age, so that nothing starves.
    #[must_use]
    pub fn rank(&self) -> i64 {
        self.created - i64::from(self.priority) * 600_000_000
    }

    /// When the run's time is over, microseconds since 1970; none before its first start.
    #[must_use]
    pub fn deadline(&self) -> Option<i64> {
        Some(self.started?.saturating_add(self.run_timeout_ms.saturating_mul(1_000)))
    }

    /// The limits that the task counts under, by the names of their rows: of its template on its cluster, and everywhere.
    #[must_use]
    pub fn gates(&self) -> Vec<Gate> {
        self.snapshot.gates(self.cluster)
    }
}

/// What kind of agent holds a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Kind {
    /// It holds a stream, and its lease ends by silence.
    Stream = 0,
    /// One of the first version: silent while it runs, so its lease ends by the run's time.
    Former = 1,
}

impl Kind {
    /// The stored integer's meaning.
    #[must_use]
    pub fn of(value: i16) -> Self {
        if value == Self::Former as i16 { Self::Former } else { Self::Stream }
    }
}

/// What somebody asked of the holder of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Wish {
    /// Nothing.
    None = 0,
    /// To stop before the next step.
    Pause = 1,
    /// To stop.
    Cancel = 2,
}

impl Wish {
    /// The stored integer's meaning.
    #[must_use]
    pub fn of(value: i16) -> Self {
        match value {
            1 => Self::Pause,
            2 => Self::Cancel,
            _ => Self::None,
        }
    }
}

/// Who takes waiting tasks.
#[derive(Clone, Debug)]
pub enum Holder {
    /// An agent with a stream, by its journal: its leases end by silence.
    Streaming(Id),
    /// An agent of the first version, which is silent while a task runs: its leases end with the run's time.
    Former {
        /// Of its session.
        journal: Id,
        /// Tasks that it still holds, as far as anybody knows: it takes none of them again.
        except: Vec<Id>,
    },
}

impl Holder {
    /// Whose leases they become.
    #[must_use]
    pub fn journal(&self) -> Id {
        match self {
            Self::Streaming(journal) | Self::Former { journal, .. } => *journal,
        }
    }

    /// What kind of lease they get.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Streaming(_) => Kind::Stream,
            Self::Former { .. } => Kind::Former,
        }
    }
}

/// An agent's right to run a task.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The fence.
    pub id: Id,
    /// Of the agent that holds it.
    pub journal: Id,
    /// When it was made, microseconds since 1970.
    pub created: i64,
    /// Of its holder.
    pub kind: Kind,
    /// What it is for.
    pub task: Arc<Task>,
}

impl Lease {
    /// When the lease of an agent of the first version ends, microseconds since 1970; the others' end by silence.
    #[must_use]
    pub fn ends_by(&self) -> Option<i64> {
        let run_us = self.task.run_timeout_ms.saturating_mul(1_000);
        (self.kind == Kind::Former).then(|| self.created.saturating_add(run_us))
    }
}

/// The end of a task under a lease.
#[derive(Clone, Debug)]
pub struct Finish {
    /// Whose lease it was.
    pub lease: Arc<Lease>,
    /// A final state.
    pub state: i16,
    /// JSON text, when it succeeded.
    pub result: Option<String>,
    /// One sentence, when it did not.
    pub error: Option<String>,
    /// Started and ended steps, as JSON text of [`Timeline`].
    pub timeline: String,
    /// Microseconds since 1970.
    pub ended: i64,
    /// Steps of it may be kept, which end with it.
    pub stepped: bool,
    /// It may count under a limit.
    pub counted: bool,
}

impl Finish {
    /// What is said of the task where it ends as `state`.
    #[must_use]
    pub fn error_for(&self, state: State) -> Option<String> {
        match (state, State::of(self.state), &self.error) {
            (State::Cancelled, State::Succeeded, _) => {
                Some("cancelled: its last step had ended before it could be stopped".into())
            }
            (State::Cancelled, State::Cancelled, None) => Some("cancelled".into()),
            (State::Cancelled, reported, Some(error)) if reported != State::Cancelled => {
                Some(format!("cancelled: {error}"))
            }
            (_, _, error) => error.clone(),
        }
    }
}

/// When things happened, kept with a final task; the API's status rows are made from it.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Timeline {
    /// When the task was offered, microseconds since 1970.
    pub sent: Option<i64>,
    /// Top-level steps in order.
    pub steps: Vec<StepTime>,
    /// The status rows themselves, of a task that was taken over from the first version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<StatusRow>,
}

/// One top-level step.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "the names say it; microseconds since 1970")]
pub struct StepTime {
    pub top: u32,
    pub started: i64,
    pub ended: i64,
    pub ok: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
}

/// A task as reads see it, live or final.
#[derive(Clone, Debug, sqlx::FromRow)]
#[allow(missing_docs, reason = "columns")]
pub struct View {
    pub id: Vec<u8>,
    pub cluster: i64,
    pub cluster_uuid: String,
    pub uuid: String,
    pub snapshot: Vec<u8>,
    pub name: String,
    pub summary: Option<String>,
    pub inputs: String,
    pub channel: Option<String>,
    pub priority: i32,
    pub attempt: i32,
    pub state: i16,
    pub cancel_requested: bool,
    pub labels: Option<String>,
    pub created_by: Option<String>,
    pub created: i64,
    pub started: Option<i64>,
    pub leased: Option<i64>,
    pub ended: Option<i64>,
    pub timeline: Option<String>,
    pub result: Option<String>,
    pub error: Option<String>,
    pub request_id: Option<String>,
}
