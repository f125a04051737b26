//! What the commands did to the world outside, which outlives every process and every database.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use claiflow_agent::executor::commands::{CommandCall, Effect};

/// Clones are one world.
#[derive(Clone, Default)]
pub(crate) struct Effects(Arc<Mutex<Log>>);

/// In the order in which things happened.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) entries: Vec<Entry>,
    pub(crate) answers: Vec<Answer>,
    /// Task and path of steps that a person wants to run again: how many calls had begun by then.
    pub(crate) reruns: Vec<(String, String, usize)>,
    /// Tasks of which a person settled a step.
    pub(crate) settled: BTreeSet<String>,
}

/// A call that began.
pub(crate) struct Entry {
    pub(crate) class: Effect,
    pub(crate) key: String,
    pub(crate) task: String,
    pub(crate) step: String,
    /// The entry that the call before gave, as its inputs say.
    pub(crate) after: Option<usize>,
    /// It took effect.
    pub(crate) applied: bool,
}

/// What `verify` said, and how many calls had begun by then.
pub(crate) struct Answer {
    pub(crate) key: String,
    pub(crate) begun: usize,
    pub(crate) not_done: bool,
}

impl Effects {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// A call begins; its number.
    pub(crate) fn begin(&mut self, class: Effect, call: &CommandCall) -> usize {
        let inputs: serde_json::Value = serde_json::from_str(&call.inputs).unwrap_or_default();
        let after = inputs.get("after").and_then(serde_json::Value::as_u64).and_then(|it| usize::try_from(it).ok());
        self.entries.push(Entry {
            class,
            key: call.effect_key.clone(),
            task: call.task.clone(),
            step: call.step.clone(),
            after,
            applied: false,
        });
        self.entries.len() - 1
    }

    pub(crate) fn apply(&mut self, entry: usize) {
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.applied = true;
        }
    }

    /// The first call under a key that took effect.
    pub(crate) fn applied(&self, key: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.key == key && entry.applied)
    }

    /// The first call of a step that took effect.
    pub(crate) fn applied_step(&self, task: &str, step: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.task == task && entry.step == step && entry.applied)
    }
}

/// What a call that took effect answers.
pub(crate) fn output(entry: usize) -> String {
    format!(r#"{{"entry":{entry}}}"#)
}
