//! Rows of tasks, leases and their ends.

use std::sync::Arc;

use super::ids::Id;

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
}

impl Task {
    /// The order in `ready`: older first, a priority point is worth ten minutes of age, so that nothing starves.
    #[must_use]
    pub fn rank(&self) -> i64 {
        self.created - i64::from(self.priority) * 600_000_000
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
}

impl From<Id> for Holder {
    fn from(journal: Id) -> Self {
        Self::Streaming(journal)
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
    /// What it is for.
    pub task: Arc<Task>,
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
}

/// When things happened, kept with a final task; the API's status rows are made from it.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Timeline {
    /// When the task was offered, microseconds since 1970.
    pub sent: Option<i64>,
    /// Top-level steps in order.
    pub steps: Vec<StepTime>,
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
    pub created: i64,
    pub leased: Option<i64>,
    pub ended: Option<i64>,
    pub timeline: Option<String>,
    pub result: Option<String>,
    pub error: Option<String>,
}
