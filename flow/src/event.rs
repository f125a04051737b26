//! What goes into the machine and what comes out of it.

use serde_json::{Map, Value};

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// An earlier attempt finished this call; told before [`Event::Start`].
    Replayed {
        /// The call's path.
        path: String,
        /// Its outputs as they were reported.
        output: Value,
    },
    /// Begin.
    Start,
    /// The call gave a result.
    Finished {
        /// The call's path.
        path: String,
        /// Its result.
        output: Value,
        /// The length of the result's JSON text.
        bytes: usize,
    },
    /// The call failed.
    Failed {
        /// The call's path.
        path: String,
        /// A code of the plugin contract.
        code: String,
        /// For a person.
        message: String,
    },
    /// An expression was evaluated; an error is a sentence.
    Evaluated {
        /// [`Expression::id`].
        id: u64,
        /// The first output that is not null, or null.
        outcome: Result<Value, String>,
    },
}

/// A call that may start now.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// `2/r[17]/p`: the index of the top-level step, and below it the iteration of each range and the inner steps' ids.
    pub path: String,
    /// Index of the top-level step.
    pub top: usize,
    /// The command's name.
    pub command: String,
    /// Its inputs; empty when the step has none.
    pub inputs: Map<String, Value>,
}

/// A jq program to evaluate. Values are given as text, as jaq reads it: JSON, in which the object of a range has its
/// iterations under integer keys, which JSON lacks and jq has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// Names the answer.
    pub id: u64,
    /// The program.
    pub program: String,
    /// Its `.`: the task's inputs, or `null` where the program cannot see it.
    pub input: String,
    /// Variables, named with their `$`. An object holds only those members that the program names.
    pub variables: Vec<(String, String)>,
}

/// A top-level step that ended without being a call: a print or a range. What it gives is made of outputs that calls gave.
#[derive(Debug, Clone, PartialEq)]
pub struct StepEnd {
    /// As [`Call::path`].
    pub path: String,
    /// Index of the top-level step.
    pub top: usize,
}

/// Why the flow failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StepError {
    /// As [`Call::path`].
    pub path: String,
    /// RFC 6901 pointer into the flow's text.
    pub pointer: String,
    /// As in the plugin contract: `invalid`, `too-large`, `failed`, …
    pub code: String,
    /// What was wrong and what would be right.
    pub message: String,
}

/// What may start now.
#[derive(Debug, Default, PartialEq)]
pub struct Progress {
    /// Calls to run.
    pub calls: Vec<Call>,
    /// Expressions to evaluate before anything else goes on.
    pub expressions: Vec<Expression>,
    /// Top-level steps that ended without a call.
    pub ended: Vec<StepEnd>,
    /// The end of the flow.
    pub done: Option<Result<Value, StepError>>,
}
