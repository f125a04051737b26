//! `logs`.

use std::{collections::VecDeque, time::Duration};

use claiflow_sdk::{
    Context, Error, command,
    kubernetes::{Api, LogQuery},
    task,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{exec::fitting, json::Json, target};

const PIECE: Duration = Duration::from_secs(2);
/// What is kept while it is read, and of that as much as fits into a result.
const HELD_BYTES: usize = 1 << 20;
const KEPT_BYTES: usize = 768 << 10;
const LINES: u32 = 1_000;

/// Of which container, and how much.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    #[schemars(length(min = 1))]
    name: String,
    #[schemars(length(min = 1))]
    namespace: String,
    /// Absent: the annotated default, else the first.
    container_name: Option<String>,
    /// Of the container that ran before this one.
    #[serde(default)]
    previous: bool,
    /// The last lines. Absent, and without `since_seconds`: 1,000.
    tail_lines: Option<u32>,
    /// What was written in the last seconds.
    #[schemars(range(min = 1))]
    since_seconds: Option<u32>,
    /// Each line begins with its time.
    #[serde(default)]
    timestamps: bool,
}

/// What a container wrote.
#[derive(Serialize, JsonSchema)]
pub struct Logged {
    log: String,
    /// There is more, of which the beginning is missing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// Reads what a container wrote so far; the last lines where it is much.
#[command(pattern = "kubernetes.{resource}.logs.{version+}", effect = "read")]
pub fn logs(inputs: Logs, context: &Context) -> Result<Logged, Error> {
    let pods: Api<Json> = target::place(context, Some(&inputs.namespace))?;
    if pods.resource().plural != "pods" {
        return Err(Error::invalid(format!("{} write no log, only pods: `kubernetes.pods.logs.v1`", pods.resource())));
    }
    let query = LogQuery {
        container: inputs.container_name.filter(|name| !name.is_empty()),
        previous: inputs.previous,
        tail_lines: inputs.tail_lines.or_else(|| inputs.since_seconds.is_none().then_some(LINES)),
        since_seconds: inputs.since_seconds,
        timestamps: inputs.timestamps,
        follow: false,
    };
    let mut log = pods.log(&inputs.name, &query)?;
    let (mut held, mut truncated) = (VecDeque::new(), false);
    while let Some(piece) = log.read(PIECE)? {
        held.extend(piece);
        if held.len() > HELD_BYTES {
            held.drain(..held.len() - HELD_BYTES);
            truncated = true;
        }
        task::keep_going()?;
    }
    let held: Vec<u8> = held.into();
    let kept = end_of(&held);
    truncated |= kept.len() < held.len();
    // Half a line says nothing.
    let whole = match kept.iter().position(|byte| *byte == b'\n') {
        Some(end) if truncated => kept.get(end + 1..).unwrap_or_default(),
        _ => kept,
    };
    Ok(Logged { log: String::from_utf8_lossy(whole).into_owned(), truncated })
}

/// The last bytes, as many as fit into a result.
fn end_of(bytes: &[u8]) -> &[u8] {
    let backwards: Vec<u8> = bytes.iter().rev().copied().collect();
    let kept = fitting(&backwards, &mut KEPT_BYTES.clone());
    bytes.get(bytes.len() - kept..).unwrap_or_default()
}
