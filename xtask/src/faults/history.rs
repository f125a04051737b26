//! What was seen of a case from outside: the only thing that the checker judges by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::effects::{Class, Mark};

/// Everything that people and the agents' logs saw.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct History {
    /// Tasks whose creation was answered.
    pub(super) tasks: Vec<Task>,
    /// What was seen of each task, by its uuid, in the order of the answers. Only what differs from the sight before by the
    /// same server is kept.
    pub(super) sights: BTreeMap<String, Vec<Sight>>,
    /// The plugins' effect log.
    pub(super) marks: Vec<Mark>,
    /// Answers that no promise allows, for people.
    #[serde(default)]
    pub(super) refusals: Vec<String>,
}

/// A task that a server accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) uuid: String,
    /// Where it runs.
    #[serde(default)]
    pub(super) cluster: String,
    /// The effects of its steps, in their order; each has the key `<uuid>/<index>`.
    pub(super) steps: Vec<Class>,
    /// How a server answered that was asked to cancel it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cancel: Option<Cancel>,
}

/// The answer to a cancel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Cancel {
    /// It was asked for, and nobody knows whether the server heard of it.
    Unanswered,
    /// The cancel was first.
    Accepted,
    /// The task was final before, and in this state.
    Late(String),
}

/// A task as one server showed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sight {
    pub(super) server: usize,
    /// Milliseconds since the case began, when it was asked and when it was answered.
    pub(super) asked_ms: u64,
    pub(super) answered_ms: u64,
    /// The API's word, or `missing` where the server knew no such task.
    pub(super) state: String,
    pub(super) attempt: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// The state of a task that a server does not know.
pub(super) const MISSING: &str = "missing";

/// Whether the API's word means that a task has ended.
pub(super) fn is_final(state: &str) -> bool {
    matches!(state, "succeeded" | "failed" | "cancelled" | "expired" | "timed_out")
}

impl Task {
    /// Whether one of its steps is of one of these classes.
    pub(super) fn has_one_of(&self, classes: &[Class]) -> bool {
        self.steps.iter().any(|class| classes.contains(class))
    }

    pub(super) fn key(&self, step: usize) -> String {
        format!("{}/{step}", self.uuid)
    }
}

impl Sight {
    pub(super) fn is_final(&self) -> bool {
        is_final(&self.state)
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.state == "unknown"
    }

    /// Whether both show the task alike, whoever was asked and when.
    pub(super) fn shows_as(&self, other: &Self) -> bool {
        (&self.state, self.attempt, &self.result, &self.error)
            == (&other.state, other.attempt, &other.result, &other.error)
    }
}
