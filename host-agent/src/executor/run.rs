//! One run of one task: drives the flow's machine from step to step.
//!
//! A cancel, a lost lease and the end of the run's time interrupt whatever is waited for. Only a call in flight is first
//! asked to stop, since its answer tells whether it had an effect.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use claiflow_flow::{Call, Event, Limits, Machine, Progress, StepError, read_json};
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    Executor,
    bounded::json_text,
    call::in_doubt,
    commands::{Applied, CallDone, CallFailed, Effect, Verified},
    sink::Sink,
    task::{Doubt, End, Fault, Report, Step, Task, Verdict},
};
use crate::telemetry;

impl Executor {
    /// Runs a task to its end.
    pub async fn run(&self, task: &Task, report: &Arc<dyn Report>) -> End {
        let started = Instant::now();
        let Some(flow) = self.flow(&task.snapshot) else {
            return invalid("the flow of the task is not known to the agent".into());
        };
        let inputs = match json(&task.inputs) {
            Ok(inputs) => inputs,
            Err(error) => return invalid(format!("the inputs are not JSON: {error}")),
        };
        let (limits, tops) = (Limits::default(), flow.step_max());
        let most = limits.task_output_bytes;
        let mut machine = Machine::new(flow, inputs, limits);
        for (path, output) in &task.finished {
            match json(output) {
                Ok(output) => machine.step(Event::Replayed { path: path.clone(), output }),
                // To run the step again might repeat its effect.
                Err(error) => return invalid(format!("the stored outputs of step {path} are not JSON: {error}")),
            };
        }
        let deadline = started + task.timeout;
        let doubts = task.doubtful.iter().map(|doubt| (doubt.path.as_str(), doubt)).collect();
        let (begun, last) = (started, None);
        Run { executor: self, task, report, machine, tops, most, deadline, doubts, begun, last }.drive().await
    }
}

fn json(bytes: &[u8]) -> Result<Value, String> {
    let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
    read_json(text).map_err(|error| error.to_string())
}

fn invalid(message: String) -> End {
    End::failed(Verdict::Failed, Fault::new("invalid", message), None)
}

pub(super) struct Run<'a> {
    pub(super) executor: &'a Executor,
    pub(super) task: &'a Task,
    report: &'a Arc<dyn Report>,
    machine: Machine,
    /// Top-level steps of the flow.
    tops: usize,
    /// Bytes of JSON text that a task may hold.
    most: usize,
    pub(super) deadline: Instant,
    /// Steps of earlier attempts that nobody has settled, by path.
    doubts: BTreeMap<&'a str, &'a Doubt>,
    /// When the step that runs, or ran last, began.
    begun: Instant,
    /// The newest end of a step: it goes out when another step follows, else with the outcome.
    last: Option<Step>,
}

impl Run<'_> {
    async fn drive(mut self) -> End {
        let mut progress = self.machine.step(Event::Start);
        loop {
            self.note_ends(&mut progress);
            if let Some(done) = progress.done {
                return self.finish(done);
            }
            if let Err(verdict) = self.unless_interrupted(self.report.holds()).await {
                return self.interrupted(verdict);
            }
            if self.task.pause.load(Ordering::Relaxed) {
                return self.interrupted(Verdict::Paused);
            }
            let next = if progress.expressions.is_empty() {
                match progress.calls.pop() {
                    Some(call) => {
                        let span = telemetry::step(&call.path, &call.command);
                        let next = self.step(call).instrument(span.clone()).await;
                        let error = self.last.as_ref().and_then(|step| step.error.as_ref());
                        telemetry::step_ended(&span, error.map(|fault| fault.code.as_str()));
                        next
                    }
                    None => Err((Verdict::Failed, Fault::new("failed", "the flow stands still"))),
                }
            } else {
                self.evaluate(progress).await
            };
            progress = match next {
                Ok(next) => next,
                Err((verdict, fault)) => return self.end(verdict, fault),
            };
        }
    }

    /// What work gives, or what ended the run meanwhile; the work is dropped then.
    pub(super) async fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, Verdict> {
        tokio::select! {
            biased;
            () = self.task.gone.cancelled() => Err(Verdict::Fenced),
            () = self.task.stop.cancelled() => Err(Verdict::Cancelled),
            () = tokio::time::sleep_until(self.deadline) => Err(Verdict::TimedOut),
            output = work => Ok(output),
        }
    }

    /// Print and range steps that ended. What they give is made of outputs that are reported already, and whoever takes the
    /// run over makes it again.
    fn note_ends(&mut self, progress: &mut Progress) {
        for ended in std::mem::take(&mut progress.ended) {
            self.flush();
            self.last = Some(Step {
                path: ended.path,
                top: ended.top,
                command: String::new(),
                digest: None,
                effect: Effect::Read,
                elapsed: self.begun.elapsed(),
                output: None,
                error: None,
                usage: None,
            });
        }
    }

    async fn evaluate(&mut self, mut progress: Progress) -> Result<Progress, (Verdict, Fault)> {
        let expressions = std::mem::take(&mut progress.expressions);
        let ids: Vec<u64> = expressions.iter().map(|expression| expression.id).collect();
        let evaluated = self.unless_interrupted(self.executor.jq.evaluate(expressions)).await;
        let outcomes = evaluated.map_err(|verdict| (verdict, self.why(verdict)))?;
        for (id, outcome) in ids.into_iter().zip(outcomes) {
            let outcome = outcome.map_err(|fault| fault.to_string());
            progress = self.machine.step(Event::Evaluated { id, outcome });
            if progress.done.is_some() {
                break;
            }
        }
        Ok(progress)
    }

    async fn step(&mut self, call: Call) -> Result<Progress, (Verdict, Fault)> {
        self.begun = Instant::now();
        self.flush();
        let Call { path, top, command, inputs } = call;
        let inputs = Value::Object(inputs);
        let server = self.executor.commands.server_of(&command);
        let effect = match &server {
            None => Effect::Never,
            Some(server) => self
                .unless_interrupted(self.executor.effect_of(server, &inputs))
                .await
                .map_err(|verdict| (verdict, self.why(verdict)))?,
        };
        let mut step = Step {
            path,
            top,
            command,
            digest: server.map(|server| server.digest),
            effect,
            elapsed: Default::default(),
            output: None,
            error: None,
            usage: None,
        };
        let notes = self.task.notes.get(&step.path).map(Vec::as_slice).unwrap_or_default();
        let sink = Arc::new(Sink::new(&self.task.uuid, &step, notes, self.report));
        if let Some(doubt) = self.doubts.remove(step.path.as_str())
            && let Some(done) = self.resolve(doubt, &step, &inputs, &sink).await?
        {
            step.elapsed = self.begun.elapsed();
            return Ok(self.succeeded(step, done));
        }
        if effect > Effect::Read {
            match self.unless_interrupted(self.report.started(step.clone())).await {
                Ok(true) => {}
                Ok(false) => return Err((Verdict::Fenced, self.why(Verdict::Fenced))),
                Err(verdict) => return Err((verdict, self.why(verdict))),
            }
        }
        let answer = match self.call(&step, &inputs, &sink).await {
            Err(failed) if failed.applied == Applied::Maybe && effect == Effect::Verify => {
                self.verified(failed, &step, &inputs, &sink).await
            }
            answer => answer,
        };
        step.elapsed = self.begun.elapsed();
        match answer {
            Ok(done) => Ok(self.succeeded(step, done)),
            Err(failed) => self.failed(step, failed),
        }
    }

    /// What a call of class `verify` did that failed and may have taken effect all the same.
    async fn verified(
        &self,
        failed: CallFailed,
        step: &Step,
        inputs: &Value,
        sink: &Arc<Sink>,
    ) -> Result<CallDone, CallFailed> {
        match self.verify(step, inputs, sink).await {
            Some(Verified::Done(done)) => Ok(CallDone { usage: failed.usage, ..done }),
            Some(Verified::NotDone) => Err(CallFailed { applied: Applied::No, ..failed }),
            Some(Verified::Unknown(why)) => {
                let message = format!("{}; it may have taken effect, and nobody can tell: {why}", failed.message);
                Err(CallFailed { message, ..failed })
            }
            None => Err(failed),
        }
    }

    fn succeeded(&mut self, mut step: Step, done: CallDone) -> Progress {
        step.usage = Some(done.usage);
        let path = step.path.clone();
        let bytes = done.output.len();
        let progress = match read_json(&done.output) {
            Ok(output) => self.machine.step(Event::Finished { path: path.clone(), output, bytes }),
            Err(error) => {
                let message = format!("the result is not JSON: {error}");
                self.machine.step(Event::Failed { path: path.clone(), code: "failed".into(), message })
            }
        };
        match &progress.done {
            // The call had its effect, and its result is of no use.
            Some(Err(error)) if error.path == path => step.error = Some(Fault::new(&error.code, &error.message)),
            // A one-step flow's output is its result: it is not sent twice.
            _ => step.output = (self.tops > 1 || path.contains('/')).then_some(done.output),
        }
        let had_effect = step.effect > Effect::Read;
        self.last = Some(step);
        // What comes next may take its time, and an effect that nobody heard of is in doubt.
        if had_effect && progress.done.is_none() {
            self.flush();
        }
        progress
    }

    fn failed(&mut self, mut step: Step, failed: CallFailed) -> Result<Progress, (Verdict, Fault)> {
        let in_doubt = failed.applied == Applied::Maybe && step.effect >= Effect::Verify;
        let (path, code, message) = (step.path.clone(), failed.code.clone(), failed.message.clone());
        step.usage = Some(failed.usage);
        let fault = Fault::from(failed);
        step.error = Some(fault.clone());
        self.last = Some(step);
        match self.over() {
            Some(Verdict::Fenced) => Err((Verdict::Fenced, self.why(Verdict::Fenced))),
            _ if in_doubt => Err((Verdict::Unknown, fault)),
            Some(verdict) => Err((verdict, Fault { applied: fault.applied, ..self.why(verdict) })),
            None => Ok(self.machine.step(Event::Failed { path, code, message })),
        }
    }

    /// Whether the run is over whatever its call answered.
    fn over(&self) -> Option<Verdict> {
        if self.task.gone.is_cancelled() {
            Some(Verdict::Fenced)
        } else if self.task.stop.is_cancelled() {
            Some(Verdict::Cancelled)
        } else {
            (Instant::now() >= self.deadline).then_some(Verdict::TimedOut)
        }
    }

    pub(super) fn why(&self, verdict: Verdict) -> Fault {
        match verdict {
            Verdict::Fenced => Fault::new("stopped", "the lease is gone"),
            Verdict::TimedOut => Fault::new("timeout", format!("the run took longer than {:?}", self.task.timeout)),
            _ => Fault::new("stopped", "the task was cancelled"),
        }
    }

    fn too_large(&self) -> Fault {
        Fault::new("too-large", format!("the result has more than the {} bytes that a task may hold", self.most))
    }

    /// The step before goes out when another follows.
    fn flush(&mut self) {
        if let Some(step) = self.last.take() {
            self.report.ended(step);
        }
    }

    fn interrupted(self, verdict: Verdict) -> End {
        let fault = self.why(verdict);
        self.end(verdict, fault)
    }

    /// The end before the flow's end. A step that finished is reported with its output.
    fn end(mut self, verdict: Verdict, fault: Fault) -> End {
        if self.last.as_ref().is_some_and(|step| step.error.is_none()) {
            self.flush();
        }
        match self.doubts.keys().next() {
            // Whatever ended the run, nobody has settled what an earlier attempt did. Who goes on, asks.
            Some(path) if !matches!(verdict, Verdict::Fenced | Verdict::Paused) => {
                let fault = in_doubt(path, &format!("this attempt ended before it could ask ({})", fault.message));
                End::failed(Verdict::Unknown, fault, self.last)
            }
            _ => End::failed(verdict, fault, self.last),
        }
    }

    fn finish(self, done: Result<Value, StepError>) -> End {
        if let Some(path) = self.doubts.keys().next() {
            let fault = in_doubt(path, "the flow has not come to this step again");
            return End::failed(Verdict::Unknown, fault, self.last);
        }
        match done.map(|result| json_text(&result, self.most)) {
            Ok(Some(result)) => End { verdict: Verdict::Succeeded, result: Some(result), error: None, last: self.last },
            Ok(None) => End::failed(Verdict::Failed, self.too_large(), self.last),
            Err(error) => {
                let call =
                    self.last.as_ref().filter(|step| step.path == error.path).and_then(|step| step.error.clone());
                let said = call.as_ref().map_or_else(|| error.message.clone(), Fault::explained);
                let message = format!("step at {}: {said}", error.pointer);
                let fault = Fault { message, code: error.code, ..call.unwrap_or_else(|| Fault::new("", "")) };
                End::failed(Verdict::Failed, fault, self.last)
            }
        }
    }
}
