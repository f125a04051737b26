//! One run of one task.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use claiflow_flow::{Event, Limits, Machine, Progress, StepError};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    Executor,
    commands::{Applied, CallDone, CallFailed, CallSink, CommandCall, Effect, LogLevel},
};

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
    /// Of the REST call, or empty.
    pub traceparent: String,
    /// Somebody cancelled, or the lease is gone.
    pub stop: CancellationToken,
}

/// One step, for the server.
#[derive(Clone, Debug)]
pub struct Step {
    /// See the flow crate.
    pub path: String,
    /// Top-level index.
    pub top: usize,
    /// Class of the call.
    pub effect: Effect,
    /// Since its start.
    pub elapsed: Duration,
    /// JSON text.
    pub output: Option<String>,
    /// Why it failed.
    pub error: Option<(String, String)>,
}

/// Where a run reports.
#[async_trait::async_trait]
pub trait Report: Send + Sync {
    /// A step with an effect is about to start; false: the lease is gone, do not.
    async fn started(&self, step: Step) -> bool;
    /// A step before the last ended.
    fn ended(&self, step: Step);
    /// Whether the lease still holds.
    fn holds(&self) -> bool;
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Verdict {
    Succeeded,
    Failed,
    TimedOut,
    Cancelled,
    Unknown,
    /// The lease lapsed between two steps: nothing is reported, somebody else goes on.
    Fenced,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub struct End {
    /// How.
    pub verdict: Verdict,
    /// JSON text, when it succeeded.
    pub result: Option<String>,
    /// Code and sentence, when it did not.
    pub error: Option<(String, String)>,
    /// The last top-level step, whose end travels with the outcome.
    pub last: Option<Step>,
}

impl End {
    fn failed(verdict: Verdict, code: &str, message: impl Into<String>, last: Option<Step>) -> Self {
        Self { verdict, result: None, error: Some((code.to_owned(), message.into())), last }
    }
}

struct Log {
    task: String,
}

impl CallSink for Log {
    fn log(&self, level: LogLevel, message: &str, fields: &[(String, String)]) {
        match level {
            LogLevel::Trace | LogLevel::Debug => tracing::debug!(task = self.task, ?fields, "{message}"),
            LogLevel::Info => tracing::info!(task = self.task, ?fields, "{message}"),
            LogLevel::Warn | LogLevel::Error => tracing::warn!(task = self.task, ?fields, "{message}"),
        }
    }

    fn progress(&self, done: u64, total: u64, message: &str) {
        tracing::debug!(task = self.task, done, total, "{message}");
    }
}

impl Executor {
    /// Runs a task to its end.
    pub async fn run(&self, task: &Task, report: &dyn Report) -> End {
        let started = Instant::now();
        match tokio::time::timeout(task.timeout, self.drive(task, report, started)).await {
            Ok(end) => end,
            Err(_) => End::failed(
                Verdict::TimedOut,
                "timeout",
                format!("the run took longer than {} s", task.timeout.as_secs()),
                None,
            ),
        }
    }

    async fn drive(&self, task: &Task, report: &dyn Report, started: Instant) -> End {
        let Some(flow) = self.flow(&task.snapshot) else {
            return End::failed(Verdict::Failed, "invalid", "the flow of the task is not known to the agent", None);
        };
        let inputs = match serde_json::from_slice(&task.inputs) {
            Ok(inputs) => inputs,
            Err(error) => {
                return End::failed(Verdict::Failed, "invalid", format!("the inputs are not JSON: {error}"), None);
            }
        };
        let tops = flow.step_max();
        let mut machine = Machine::new(flow, inputs, Limits::default());
        for (path, output) in &task.finished {
            if let Ok(output) = serde_json::from_slice(output) {
                machine.step(Event::Replayed { path: path.clone(), output });
            }
        }
        let mut progress = machine.step(Event::Start);
        let mut last: Option<Step> = None;
        let mut begun = Instant::now();
        loop {
            for ended in std::mem::take(&mut progress.ended) {
                let step = Step {
                    path: ended.path,
                    top: ended.top,
                    effect: Effect::Read,
                    elapsed: begun.elapsed(),
                    output: Some(ended.output.to_string()),
                    error: None,
                };
                flush(&mut last, report);
                last = Some(step);
            }
            if let Some(done) = progress.done {
                return finish(done, last);
            }
            if task.stop.is_cancelled() {
                return End::failed(Verdict::Cancelled, "stopped", "the task was cancelled", last);
            }
            if !report.holds() {
                return End::failed(Verdict::Fenced, "stopped", "the lease lapsed", last);
            }
            if !progress.expressions.is_empty() {
                progress = self.evaluate(&mut machine, progress).await;
                continue;
            }
            let Some(call) = progress.calls.pop() else {
                return End::failed(Verdict::Failed, "failed", "the flow stands still", last);
            };
            begun = Instant::now();
            let inputs = Value::Object(call.inputs).to_string();
            let effect = self.commands.server_of(&call.command, &inputs).map_or(Effect::Never, |server| server.effect);
            let mut step = Step {
                path: call.path.clone(),
                top: call.top,
                effect,
                elapsed: Duration::ZERO,
                output: None,
                error: None,
            };
            flush(&mut last, report);
            if effect > Effect::Idempotent && !report.started(step.clone()).await {
                return End::failed(Verdict::Fenced, "stopped", "the lease is gone", None);
            }
            let outcome = self.call(task, &call.path, call.command, inputs, started).await;
            step.elapsed = begun.elapsed();
            progress = match outcome {
                Ok(done) => {
                    let bytes = done.output.len();
                    let output = serde_json::from_str(&done.output).unwrap_or(Value::Null);
                    // A one-step flow's output is its result: it is not sent twice.
                    step.output = (tops > 1 || call.path.contains('/')).then_some(done.output);
                    last = Some(step);
                    machine.step(Event::Finished { path: call.path, output, bytes })
                }
                Err(failed) => {
                    let in_doubt = failed.applied == Applied::Maybe && effect == Effect::Never;
                    step.error = Some((failed.code.clone(), failed.message.clone()));
                    last = Some(step);
                    if in_doubt {
                        return End::failed(Verdict::Unknown, &failed.code, failed.message, last);
                    }
                    if task.stop.is_cancelled() {
                        return End::failed(Verdict::Cancelled, "stopped", "the task was cancelled", last);
                    }
                    machine.step(Event::Failed { path: call.path, code: failed.code, message: failed.message })
                }
            };
        }
    }

    async fn evaluate(&self, machine: &mut Machine, mut progress: Progress) -> Progress {
        let expressions = std::mem::take(&mut progress.expressions);
        let ids: Vec<u64> = expressions.iter().map(|expression| expression.id).collect();
        for (id, outcome) in ids.into_iter().zip(self.jq.evaluate(expressions).await) {
            progress = machine.step(Event::Evaluated { id, outcome });
            if progress.done.is_some() {
                break;
            }
        }
        progress
    }

    async fn call(
        &self,
        task: &Task,
        path: &str,
        command: String,
        inputs: String,
        started: Instant,
    ) -> Result<CallDone, CallFailed> {
        let key = Sha256::digest(format!("{}\0{path}\01", task.uuid));
        let effect_key = key.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.commands
            .call(CommandCall {
                command,
                inputs,
                task: task.uuid.clone(),
                step: path.to_owned(),
                attempt: task.attempt,
                effect_key,
                remaining: task.timeout.saturating_sub(started.elapsed()),
                traceparent: task.traceparent.clone(),
                sink: Arc::new(Log { task: task.uuid.clone() }),
                stop: task.stop.clone(),
            })
            .await
    }
}

/// The step before goes out when another follows.
fn flush(last: &mut Option<Step>, report: &dyn Report) {
    if let Some(step) = last.take() {
        report.ended(step);
    }
}

fn finish(done: Result<Value, StepError>, last: Option<Step>) -> End {
    match done {
        Ok(result) => End { verdict: Verdict::Succeeded, result: Some(result.to_string()), error: None, last },
        Err(error) => {
            let message = format!("step at {}: {}", error.pointer, error.message);
            End::failed(Verdict::Failed, &error.code, message, last)
        }
    }
}
