//! A run's words: what it is given, what it reports, and how it ends.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::commands::{Applied, CallFailed, Effect, LogLevel, Usage};

/// What an offer asks for.
pub struct Task {
    /// 32 hexadecimal digits.
    pub uuid: String,
    /// Names the flow.
    pub snapshot: Vec<u8>,
    /// A JSON object, as text.
    pub inputs: Vec<u8>,
    /// Counted from 1.
    pub attempt: u32,
    /// What is left of the run.
    pub timeout: Duration,
    /// Path and JSON text of steps that earlier attempts finished.
    pub finished: Vec<(String, Vec<u8>)>,
    /// Steps that an earlier attempt started and did not end.
    pub doubtful: Vec<Doubt>,
    /// What earlier attempts left with `task.note`, in order, by the step's path; each is JSON text.
    pub notes: BTreeMap<String, Vec<String>>,
    /// Of the REST call, or empty.
    pub traceparent: String,
    /// Somebody cancelled.
    pub stop: CancellationToken,
    /// The lease is not the agent's any more: nothing may start, and nobody listens.
    pub gone: CancellationToken,
    /// Somebody wants it to stop before its next step.
    pub pause: Arc<AtomicBool>,
}

/// A step that was started and of whose end nobody heard: it may have taken effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// See the flow crate.
    pub path: String,
    /// Class of the call that was started.
    pub effect: Effect,
    /// SHA-256 of the component that served it, where that is known.
    pub digest: Option<[u8; 32]>,
}

/// One step, for the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// See the flow crate.
    pub path: String,
    /// Top-level index.
    pub top: usize,
    /// As the flow names it; empty for a step that calls none.
    pub command: String,
    /// SHA-256 of the component that serves it.
    pub digest: Option<[u8; 32]>,
    /// Class of the call.
    pub effect: Effect,
    /// Since its start.
    pub elapsed: Duration,
    /// JSON text.
    pub output: Option<String>,
    /// Why it failed.
    pub error: Option<Fault>,
    /// What the call used, once it ended.
    pub usage: Option<Usage>,
}

/// Why a step or a run failed; for the person who reads the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// As in `types.wit`.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// A JSON object as text.
    pub details: Option<String>,
    /// What a failed call may have done; none where no call failed.
    pub applied: Option<Applied>,
}

impl Fault {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), details: None, applied: None }
    }

    /// The message, and in brackets the code, what a remote side answered, what was done, and whether the same call can do
    /// better, such as `… (unavailable, HTTP 503 ServiceUnavailable; nothing was changed; a retry can help, after 2 s)`.
    pub(super) fn explained(&self) -> String {
        let details: Map<String, Value> =
            self.details.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let text = |key: &str| details.get(key).and_then(Value::as_str);
        let number = |key: &str| details.get(key).and_then(Value::as_u64);
        let reason = text("reason").map(|reason| format!(" {reason}")).unwrap_or_default();
        let answer = number("status").map(|status| format!(", HTTP {status}{reason}")).unwrap_or_default();
        let mut said = vec![format!("{}{answer}", self.code)];
        let effect = match (text("effect"), self.applied) {
            (Some(effect), _) => Some(effect),
            (None, Some(Applied::No)) => Some("none"),
            (None, Some(Applied::Maybe)) => Some("unknown"),
            (None, None) => None,
        };
        match effect {
            Some("none") => said.push("nothing was changed".into()),
            Some("done") => said.push("it took effect".into()),
            Some("unknown") => said.push("whether it took effect is unknown: look before it is repeated".into()),
            _ => {}
        }
        match self.code.as_str() {
            "unavailable" | "timeout" | "conflict" | "gone" => {
                let after =
                    number("retry-after-ms").map(|ms| format!(", after {} s", ms.div_ceil(1000))).unwrap_or_default();
                said.push(format!("a retry can help{after}"));
            }
            "denied" | "invalid" | "not-found" | "exists" | "too-large" | "budget" => {
                said.push("a retry alone does not help".into());
            }
            _ => {}
        }
        format!("{} ({})", self.message, said.join("; "))
    }
}

impl From<CallFailed> for Fault {
    fn from(failed: CallFailed) -> Self {
        let CallFailed { code, message, details, applied, .. } = failed;
        Self { code, message, details, applied: Some(applied) }
    }
}

/// What a step's call said while it ran: cleaned of control characters, and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Of the step.
    pub path: String,
    /// How much it matters.
    pub level: LogLevel,
    /// One line of text.
    pub message: String,
    /// Name and value.
    pub fields: Vec<(String, String)>,
}

/// Where a run reports.
#[async_trait::async_trait]
pub trait Report: Send + Sync {
    /// A step that is not `read` is about to start. Waits until that cannot be forgotten and, where its effect must not
    /// happen twice, for the server's word, over broken connections too; false: the lease is gone, do not.
    async fn started(&self, step: Step) -> bool;
    /// A step before the last ended.
    fn ended(&self, step: Step);
    /// A call left a note, JSON text, number `index` of its step, counted from 0 over all attempts. Waits for the server's
    /// word as [`Report::started`] does; true: it is stored.
    async fn note(&self, step: &Step, index: usize, text: String) -> bool;
    /// A call said something. Lines may be dropped where too many wait.
    fn log(&self, line: Line);
    /// Waits while the server is away for so long that the lease may be somebody else's.
    async fn holds(&self);
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Verdict {
    Succeeded,
    Failed,
    TimedOut,
    Cancelled,
    /// A call may have had an effect that must not happen twice, and nobody knows.
    Unknown,
    /// The lease is gone: nothing is reported, somebody else goes on.
    Fenced,
    /// It stopped before its next step, as somebody asked: it goes back, and goes on later.
    Paused,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How.
    pub verdict: Verdict,
    /// JSON text, when it succeeded.
    pub result: Option<String>,
    /// Why it did not succeed.
    pub error: Option<Fault>,
    /// The last step, whose end travels with the outcome.
    pub last: Option<Step>,
}

impl End {
    pub(super) fn failed(verdict: Verdict, fault: Fault, last: Option<Step>) -> Self {
        Self { verdict, result: None, error: Some(fault), last }
    }
}

#[cfg(test)]
mod tests {
    use super::{Applied, Fault};

    #[test]
    fn a_fault_says_what_was_done_and_whether_a_retry_helps() {
        let cases = [
            (
                "not-found",
                Some(r#"{"status":404,"reason":"NotFound","effect":"none"}"#),
                Some(Applied::Maybe),
                "gone (not-found, HTTP 404 NotFound; nothing was changed; a retry alone does not help)",
            ),
            (
                "unavailable",
                Some(r#"{"status":503,"retry-after-ms":1500,"effect":"none"}"#),
                None,
                "gone (unavailable, HTTP 503; nothing was changed; a retry can help, after 2 s)",
            ),
            (
                "timeout",
                Some(r#"{"effect":"unknown"}"#),
                Some(Applied::Maybe),
                "gone (timeout; whether it took effect is unknown: look before it is repeated; a retry can help)",
            ),
            ("conflict", None, Some(Applied::No), "gone (conflict; nothing was changed; a retry can help)"),
            (
                "failed",
                None,
                Some(Applied::Maybe),
                "gone (failed; whether it took effect is unknown: look before it is repeated)",
            ),
            ("failed", Some("no object"), Some(Applied::No), "gone (failed; nothing was changed)"),
            (
                "invalid",
                Some(r#"{"effect":"done"}"#),
                None,
                "gone (invalid; it took effect; a retry alone does not help)",
            ),
        ];
        for (code, details, applied, said) in cases {
            let fault = Fault { details: details.map(str::to_owned), applied, ..Fault::new(code, "gone") };
            assert_eq!(fault.explained(), said);
        }
    }
}
