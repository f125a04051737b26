//! The calls of one step: made once, asked to stop when the run is over, and asked about when nobody knows what they did.

use std::{pin::pin, sync::Arc, time::Duration};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    commands::{Applied, CallDone, CallFailed, CommandCall, Effect, Usage, Verified},
    run::Run,
    sink::Sink,
    task::{Doubt, Fault, Step, Verdict},
};

/// `verify` answers within this time, which is its own: the run's may be over.
const VERIFY_TIME: Duration = Duration::from_secs(30);

impl Run<'_> {
    /// Makes the call. An interruption asks it to stop and leaves it a grace; then it is dropped.
    pub(super) async fn call(&self, step: &Step, inputs: &Value, sink: &Arc<Sink>) -> Result<CallDone, CallFailed> {
        let stop = CancellationToken::new();
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        let mut call = pin!(self.executor.commands.call(self.order(step, inputs, sink, remaining, &stop)));
        match self.unless_interrupted(call.as_mut()).await {
            Ok(answer) => answer,
            Err(_) => {
                stop.cancel();
                let grace = self.executor.stop_grace;
                match tokio::time::timeout(grace, call).await {
                    Ok(answer) => answer,
                    Err(_) => Err(CallFailed {
                        code: "stopped".into(),
                        message: format!("the call was asked to stop and was ended after a grace of {grace:?}"),
                        details: None,
                        applied: Applied::Maybe,
                        usage: Usage::default(),
                    }),
                }
            }
        }
    }

    /// Asks whether the call took effect. A cancel and the end of the run's time do not interrupt it: they do not change what
    /// happened. None: the lease is gone.
    pub(super) async fn verify(&self, step: &Step, inputs: &Value, sink: &Arc<Sink>) -> Option<Verified> {
        let stop = CancellationToken::new();
        let verifying = self.executor.commands.verify(self.order(step, inputs, sink, VERIFY_TIME, &stop));
        tokio::select! {
            biased;
            () = self.task.gone.cancelled() => None,
            answer = tokio::time::timeout(VERIFY_TIME, verifying) => {
                Some(answer.unwrap_or_else(|_| Verified::Unknown(format!("`verify` took longer than {VERIFY_TIME:?}"))))
            }
        }
    }

    /// Whether a step that an earlier attempt started took effect. An error ends the run.
    pub(super) async fn resolve(
        &self,
        doubt: &Doubt,
        step: &Step,
        inputs: &Value,
        sink: &Arc<Sink>,
    ) -> Result<Option<CallDone>, (Verdict, Fault)> {
        let why = match (doubt.effect, step.effect) {
            (Effect::Verify, Effect::Verify) => match self.verify(step, inputs, sink).await {
                None => return Err((Verdict::Fenced, self.why(Verdict::Fenced))),
                Some(Verified::Done(done)) => return Ok(Some(done)),
                Some(Verified::NotDone) => return Ok(None),
                Some(Verified::Unknown(why)) => why,
            },
            (Effect::Verify, _) if step.digest.is_none() => format!("no plugin serves `{}` to verify it", step.command),
            (Effect::Verify, now) if doubt.digest.is_some() && doubt.digest != step.digest => {
                format!("its plugin has changed, and counts it as `{now}`, which is not verified")
            }
            (Effect::Verify, now) => format!("it counts as `{now}` now, which is not verified"),
            (was, _) => format!("a call of class `{was}` is not verified"),
        };
        Err((Verdict::Unknown, in_doubt(&doubt.path, &why)))
    }

    fn order(
        &self,
        step: &Step,
        inputs: &Value,
        sink: &Arc<Sink>,
        remaining: Duration,
        stop: &CancellationToken,
    ) -> CommandCall {
        // The number of the try is the last part; a step that is tried once has the first.
        let key = Sha256::digest(format!("{}\0{}\01", self.task.uuid, step.path));
        CommandCall {
            command: step.command.clone(),
            inputs: inputs.to_string(),
            task: self.task.uuid.clone(),
            step: step.path.clone(),
            attempt: self.task.attempt,
            effect: step.effect,
            effect_key: key.iter().take(16).map(|byte| format!("{byte:02x}")).collect(),
            notes: sink.notes(),
            remaining,
            traceparent: self.task.traceparent.clone(),
            sink: Arc::clone(sink) as _,
            stop: stop.clone(),
        }
    }
}

/// What is said of a step that an earlier attempt started and that nobody can settle but a person.
pub(super) fn in_doubt(path: &str, why: &str) -> Fault {
    let message = format!("step {path} was started by an earlier attempt and may have taken effect: {why}");
    Fault { applied: Some(Applied::Maybe), ..Fault::new("failed", message) }
}
