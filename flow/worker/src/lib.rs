//! Runs jq outside of the host's own memory: in a child process that may die, hang or eat its memory alone.
//!
//! A host starts its own binary again with the argument `jq-worker` and calls [`serve`] there; [`Pool`] is the parent's
//! side. Messages are JSON behind a 4-byte big-endian length.

mod evaluate;
mod pool;

use std::{
    io::{Read, Write},
    process::ExitCode,
};

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use pool::Pool;

/// The child's address space, bytes.
const MEMORY_BYTES: u64 = 256 << 20;
/// One message at most, bytes.
const MESSAGE_BYTES: usize = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Request {
    program: String,
    input: Value,
    variables: Vec<(String, Value)>,
    /// Only parse and compile.
    check: bool,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    value: Value,
    error: Option<String>,
}

/// The child: answers requests on standard input until it ends.
#[must_use]
pub fn serve() -> ExitCode {
    match guarded() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn guarded() -> std::io::Result<()> {
    let limit = |maximum| Rlimit { current: Some(maximum), maximum: Some(maximum) };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    setrlimit(Resource::As, limit(MEMORY_BYTES))?;
    setrlimit(Resource::Core, limit(0))?;
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    output.write_all(b"R")?;
    output.flush()?;
    let mut length = [0; 4];
    while input.read_exact(&mut length).is_ok() {
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX).min(MESSAGE_BYTES);
        let mut request = vec![0; length];
        input.read_exact(&mut request)?;
        let request: Request = serde_json::from_slice(&request)?;
        let outcome = evaluate::evaluate(&request);
        let (value, error) = outcome.map_or_else(|error| (Value::Null, Some(error)), |value| (value, None));
        let answer = serde_json::to_vec(&Answer { value, error })?;
        output.write_all(&u32::try_from(answer.len()).unwrap_or(u32::MAX).to_be_bytes())?;
        output.write_all(&answer)?;
        output.flush()?;
    }
    Ok(())
}
