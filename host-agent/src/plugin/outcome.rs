//! How a call ended, in the words of the contract: a code, one sentence, and whether it may have done something.

use std::{fmt::Write as _, time::Duration};

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::executor::commands::{Applied, CallFailed, Usage};

use super::{
    bindings::claiflow::plugin::types::Failure, config::Limits, host::lines::clean, json, memory::MemorySpent,
};

const FRAMES_MAX: usize = 12;
const CODE_MAX_BYTES: usize = 64;
const MESSAGE_MAX_BYTES: usize = 4 << 10;
const DETAILS_MAX_BYTES: usize = 16 << 10;

/// What the guest answered.
pub(super) type Answer = Result<String, Failure>;

/// How the drive ended.
pub(super) enum Ending {
    Answered(Answer),
    Trapped(wasmtime::Error),
    /// A host function panicked; the fault costs this call alone.
    HostFault,
    Cpu,
    Wall,
    /// The run had less time left than the wall limit allows.
    RunOver,
    /// Asked to stop, and still there after the grace.
    Unheeded,
}

/// [`CallFailed`] before what it used is known.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) details: Option<String>,
    pub(super) applied: Applied,
}

impl Failed {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), details: None, applied: Applied::No }
    }

    /// A budget of the call was used up: which one stands in the details, for whoever counts.
    fn over(code: &str, budget: &str, message: String) -> Self {
        Self { details: Some(serde_json::json!({ "budget": budget }).to_string()), ..Self::new(code, message) }
    }

    pub(super) fn with(self, usage: Usage) -> CallFailed {
        CallFailed { code: self.code, message: self.message, details: self.details, applied: self.applied, usage }
    }
}

impl Ending {
    /// The result's text, or the failure that a person reads.
    pub(super) fn settle(self, limits: &Limits, grace: Duration, effect_begun: bool) -> Result<String, Failed> {
        let failed = match self {
            Self::Answered(Ok(output)) if output.len() > limits.output_bytes => Failed::over(
                "too-large",
                "output",
                format!(
                    "the result has {} bytes; at most {} are allowed: ask for less, or raise `limits: {{output: …}}` in the \
                     plugin's entry of the grants file",
                    output.len(),
                    limits.output_bytes
                ),
            ),
            Self::Answered(Ok(output)) => match json::check(&output) {
                Ok(()) => return Ok(output),
                Err(error) => Failed::new("failed", format!("the result is not one JSON document: {error}")),
            },
            Self::Answered(Err(failure)) => return Err(refused(failure, effect_begun)),
            Self::Trapped(error) => trapped(&error, limits),
            Self::HostFault => Failed::new("failed", "the agent had a fault in a host function of this call"),
            Self::Cpu => {
                Failed::over("budget", "cpu", format!("the call used its CPU budget of {}", human(limits.cpu)))
            }
            Self::Wall => Failed::over(
                "budget",
                "wall",
                format!("the call took longer than its wall-clock budget of {}", human(limits.wall)),
            ),
            Self::RunOver => Failed::new("timeout", "the run's time was over before the call ended"),
            Self::Unheeded => Failed::new(
                "stopped",
                format!("the call was asked to stop and was ended after a grace of {}", human(grace)),
            ),
        };
        let applied = if effect_begun { Applied::Maybe } else { Applied::No };
        Err(Failed { applied, ..failed })
    }
}

/// A failure that the guest itself answered; its text is a guest's, so it is cut and cleaned. What it says of its effect
/// counts, since it alone knows what its writes were for; where it says nothing, the host does.
fn refused(failure: Failure, effect_begun: bool) -> Failed {
    let code = clean(&failure.code, CODE_MAX_BYTES);
    let details = failure.details.filter(|details| {
        details.len() <= DETAILS_MAX_BYTES && details.trim_start().starts_with('{') && json::check(details).is_ok()
    });
    let said = details.as_deref().and_then(|details| serde_json::from_str::<Details>(details).ok()?.effect);
    let applied = match said.as_deref() {
        Some("none") => Applied::No,
        Some("done" | "unknown") => Applied::Maybe,
        _ if effect_begun => Applied::Maybe,
        _ => Applied::No,
    };
    Failed {
        code: if code.is_empty() { "failed".to_owned() } else { code },
        message: clean(&failure.message, MESSAGE_MAX_BYTES),
        details,
        applied,
    }
}

/// What the host reads of a failure's details.
#[derive(serde::Deserialize)]
struct Details {
    effect: Option<String>,
}

fn trapped(error: &wasmtime::Error, limits: &Limits) -> Failed {
    if error.downcast_ref::<MemorySpent>().is_some() {
        return Failed::over(
            "budget",
            "memory",
            format!("the call used its memory budget of {} bytes", limits.memory_bytes),
        );
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return Failed::new("unavailable", "no sandbox was free");
    }
    if let Some(I32Exit(status)) = error.downcast_ref() {
        return Failed::new("failed", format!("the plugin exited with status {status} instead of answering"));
    }
    // wasmtime keeps the type of this error to itself.
    if error.root_cause().to_string().contains("fuel allocated for hostcalls") {
        let allowed = limits.output_bytes;
        return Failed::over(
            "too-large",
            "output",
            format!(
                "the plugin handed over far more in one piece than the {allowed} bytes of a result: ask for less, or raise \
                 `limits: {{output: …}}` in the plugin's entry of the grants file"
            ),
        );
    }
    let reason = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => clean(&error.root_cause().to_string(), MESSAGE_MAX_BYTES),
    };
    let frames = frames(error);
    let mut message = format!("the plugin trapped: {reason}");
    if let Some(first) = frames.first() {
        let _ = write!(message, ", in {first}");
    }
    let details = serde_json::json!({ "trap": reason, "frames": frames }).to_string();
    Failed { details: Some(details), ..Failed::new("failed", message) }
}

/// Innermost first.
fn frames(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let name = |frame: &wasmtime::FrameInfo| match frame.func_name() {
        Some(name) => clean(name, 256),
        None => format!("function {}", frame.func_index()),
    };
    backtrace.frames().iter().take(FRAMES_MAX).map(name).collect()
}

fn human(time: Duration) -> String {
    if time.subsec_millis() == 0 && !time.is_zero() {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}
