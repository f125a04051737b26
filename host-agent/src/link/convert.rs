//! Between the executor's words and the protocol's.

use std::{collections::BTreeMap, time::Duration};

use claiflow_proto::agent::v1::{self as proto, Failure, LogLine, Offer, Outcome, StepEvent, StepState};

use super::ledger::Run;
use crate::executor::{
    Doubt, End, Fault, Line, Step, Task, Verdict,
    commands::{Applied, Effect, Inventory, LogLevel, PluginState, Usage},
};

/// Stands between a step's path and the number of a note that its calls left.
const NOTE: &str = "#note/";

/// What an offer asks for.
pub(super) fn task(offer: Offer, run: Run) -> Task {
    let (mut finished, mut doubtful) = (Vec::new(), Vec::new());
    let mut notes: BTreeMap<String, BTreeMap<u32, String>> = BTreeMap::new();
    for step in offer.finished {
        let state = step.state();
        if let (StepState::Recorded, Some((path, index))) = (state, note_of(&step.path)) {
            // Text that is not UTF-8 is no JSON either, and the call that would read it is refused.
            let text = String::from_utf8_lossy(&step.output).into_owned();
            notes.entry(path.to_owned()).or_default().insert(index, text);
        } else if state == StepState::Started {
            let (effect, digest) = (started_as(step.effect()), step.plugin_digest.as_slice().try_into().ok());
            // A harmless one is simply run again.
            if effect > Effect::Idempotent {
                doubtful.push(Doubt { path: step.path, effect, digest });
            }
        } else if state == StepState::Succeeded {
            finished.push((step.path, step.output));
        }
    }
    Task {
        uuid: task_uuid(&offer.task),
        snapshot: offer.snapshot,
        inputs: offer.inputs,
        attempt: offer.attempt,
        timeout: Duration::from_millis(offer.run_timeout_ms.max(1)),
        finished,
        doubtful,
        notes: notes.into_iter().map(|(path, notes)| (path, notes.into_values().collect())).collect(),
        traceparent: offer.traceparent,
        stop: run.stop,
        gone: run.gone,
        pause: run.pause,
    }
}

/// As a run names its task.
pub(super) fn task_uuid(task: &[u8]) -> String {
    task.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn note_of(path: &str) -> Option<(&str, u32)> {
    let (path, index) = path.rsplit_once(NOTE)?;
    Some((path, index.parse().ok()?))
}

/// The class under which a step was started. One that nobody knows is the strictest.
fn started_as(effect: proto::Effect) -> Effect {
    match effect {
        proto::Effect::Read => Effect::Read,
        proto::Effect::Idempotent => Effect::Idempotent,
        proto::Effect::Verify => Effect::Verify,
        proto::Effect::Never | proto::Effect::Unspecified => Effect::Never,
    }
}

/// A note that a call of the step left.
pub(super) fn note(lease_id: &[u8], of: &Step, index: usize, text: String, wall_us: i64) -> StepEvent {
    let note = Step { path: format!("{}{NOTE}{index}", of.path), output: Some(text), ..of.clone() };
    StepEvent { state: StepState::Recorded.into(), ..step(lease_id, note, false, wall_us) }
}

/// What a plugin said.
pub(super) fn line(lease_id: &[u8], line: Line, wall_us: i64) -> LogLine {
    let level = match line.level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    LogLine {
        lease_id: lease_id.to_vec(),
        path: line.path,
        level: level.to_owned(),
        message: line.message,
        fields: line.fields.into_iter().collect(),
        wall_us,
    }
}

pub(super) fn step(lease_id: &[u8], step: Step, started: bool, wall_us: i64) -> StepEvent {
    let state = match (started, &step.error) {
        (true, _) => StepState::Started,
        (false, None) => StepState::Succeeded,
        (false, Some(_)) => StepState::Failed,
    };
    StepEvent {
        lease_id: lease_id.to_vec(),
        path: step.path,
        r#try: 1,
        state: state.into(),
        effect: effect(step.effect).into(),
        plugin_digest: step.digest.map(Vec::from).unwrap_or_default(),
        command: step.command,
        elapsed_us: micros(step.elapsed),
        wall_us,
        output: step.output.unwrap_or_default().into_bytes(),
        error: step.error.map(failure),
        usage: step.usage.map(usage),
        top: u32::try_from(step.top).unwrap_or(u32::MAX),
    }
}

/// None: the lease is gone, and somebody else goes on.
pub(super) fn outcome(lease_id: &[u8], task: &[u8], epoch: u64, end: End, wall_us: i64) -> Option<Outcome> {
    let verdict = match end.verdict {
        Verdict::Succeeded => proto::Verdict::Succeeded,
        Verdict::Failed => proto::Verdict::Failed,
        Verdict::TimedOut => proto::Verdict::TimedOut,
        Verdict::Cancelled => proto::Verdict::Cancelled,
        Verdict::Unknown => proto::Verdict::Unknown,
        Verdict::Fenced | Verdict::Paused => return None,
    };
    Some(Outcome {
        lease_id: lease_id.to_vec(),
        task: task.to_vec(),
        epoch,
        verdict: verdict.into(),
        result: end.result.unwrap_or_default().into_bytes(),
        error: end.error.map(failure),
        steps: end.last.map(|last| step(lease_id, Step { output: None, ..last }, false, wall_us)).into_iter().collect(),
    })
}

fn failure(fault: Fault) -> Failure {
    let applied = match fault.applied {
        None => proto::Applied::Unspecified,
        Some(Applied::No) => proto::Applied::No,
        Some(Applied::Maybe) => proto::Applied::Maybe,
    };
    Failure {
        code: fault.code,
        message: fault.message,
        details: fault.details.unwrap_or_default(),
        applied: applied.into(),
    }
}

fn usage(usage: Usage) -> proto::Usage {
    proto::Usage {
        cpu_us: micros(usage.cpu),
        wall_us: micros(usage.wall),
        memory_bytes: usage.memory_bytes,
        host_calls: usage.host_calls,
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn effect(effect: Effect) -> proto::Effect {
    match effect {
        Effect::Read => proto::Effect::Read,
        Effect::Idempotent => proto::Effect::Idempotent,
        Effect::Verify => proto::Effect::Verify,
        Effect::Never => proto::Effect::Never,
    }
}

pub(super) fn inventory(inventory: &Inventory) -> proto::Inventory {
    let state = |state| match state {
        PluginState::Compiling => proto::PluginState::Compiling,
        PluginState::Ready => proto::PluginState::Ready,
        PluginState::Kept => proto::PluginState::Kept,
        PluginState::Refused => proto::PluginState::Refused,
    };
    proto::Inventory {
        commands: inventory
            .commands
            .iter()
            .map(|command| proto::Command {
                name: command.name.clone(),
                pattern: command.pattern,
                plugin: command.plugin.clone(),
                summary: command.summary.clone(),
                inputs_schema: command.inputs_schema.clone(),
                outputs_schema: command.outputs_schema.clone(),
                effect: command.effect.clone(),
            })
            .collect(),
        plugins: inventory
            .plugins
            .iter()
            .map(|plugin| proto::Plugin {
                name: plugin.name.clone(),
                version: plugin.version.clone(),
                digest: plugin.digest.to_vec(),
                state: state(plugin.state).into(),
                reason: plugin.reason.clone(),
                grants: plugin.grants.clone(),
                missing: plugin.missing.clone(),
                signed_by: plugin.signed_by.clone(),
                built_by: plugin.built_by.clone(),
            })
            .collect(),
    }
}
