//! The judge: from what was seen to what was broken. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{
    effects::Class,
    history::{Cancel, History, MISSING, Sight, Task},
};

/// What a case allows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowed<'a> {
    /// Tasks with a step of such a class may stay unknown.
    pub(super) unknown: &'a [Class],
}

/// What was found. Everything but `tasks` and `unknown` breaks a promise where it is not zero.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Findings {
    /// Tasks that a server accepted.
    pub(super) tasks: usize,
    /// Tasks that have no end, are not known any more, or succeeded without their effect.
    pub(super) lost: usize,
    /// Effects that happened more often than they may.
    pub(super) doubled: usize,
    /// Ends that were not the first one, or not of the lease that held.
    pub(super) stale_accepted: usize,
    /// Tasks that are unknown at the end.
    pub(super) unknown: usize,
    /// Those of them that may not be.
    pub(super) unknown_not_allowed: usize,
    /// Ends that nothing in the case explains, and answers that no promise allows.
    pub(super) unexplained: usize,
    /// Each fault in a sentence.
    pub(super) faults: Vec<String>,
}

impl Findings {
    pub(super) fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    fn lost(&mut self, task: &Task, why: &str) {
        self.lost += 1;
        self.faults.push(format!("lost: task {} {why}", task.uuid));
    }

    fn stale(&mut self, task: &Task, why: &str) {
        self.stale_accepted += 1;
        self.faults.push(format!("stale report accepted: task {} {why}", task.uuid));
    }

    fn doubled(&mut self, key: &str, why: &str) {
        self.doubled += 1;
        self.faults.push(format!("doubled: effect {key} {why}"));
    }

    fn unexplained(&mut self, what: String) {
        self.unexplained += 1;
        self.faults.push(format!("unexplained: {what}"));
    }
}

/// What happened to one effect.
#[derive(Default)]
struct Happened<'a> {
    begun: usize,
    done: usize,
    effect_keys: BTreeSet<&'a str>,
}

/// Judges a history that is complete: nothing more will happen to its tasks.
pub(super) fn check(history: &History, allowed: Allowed<'_>) -> Findings {
    let mut findings = Findings { tasks: history.tasks.len(), ..Findings::default() };
    let mut effects: BTreeMap<&str, Happened<'_>> = BTreeMap::new();
    for mark in &history.marks {
        let happened = effects.entry(&mark.key).or_default();
        *if mark.done { &mut happened.done } else { &mut happened.begun } += 1;
        happened.effect_keys.insert(&mark.effect_key);
    }
    for task in &history.tasks {
        let sights = history.sights.get(&task.uuid).map(Vec::as_slice).unwrap_or_default();
        ends(task, sights, allowed, &mut findings);
        for (step, class) in task.steps.iter().enumerate() {
            let key = task.key(step);
            let happened = effects.remove(key.as_str()).unwrap_or_default();
            if sights.last().is_some_and(|last| last.state == "succeeded") && happened.done == 0 {
                findings.lost(task, &format!("succeeded, but the effect of step {step} never happened"));
            }
            twice(&key, *class, &happened, &mut findings);
        }
    }
    for refusal in &history.refusals {
        findings.unexplained(refusal.clone());
    }
    findings
}

/// One end, the first stays, and it is one that the case explains.
fn ends(task: &Task, sights: &[Sight], allowed: Allowed<'_>, findings: &mut Findings) {
    let Some(last) = sights.last() else { return findings.lost(task, "was never seen") };
    if sights.iter().any(|sight| sight.state == MISSING) {
        return findings.lost(task, "was accepted, and a server did not know it");
    }
    match sights.iter().find(|sight| sight.is_final()) {
        Some(first) => {
            // An answer that was asked for before the end was told may still show the time before.
            let later = |sight: &&Sight| sight.is_final() || sight.asked_ms > first.answered_ms;
            if let Some(other) = sights.iter().filter(later).find(|sight| !sight.shows_as(first)) {
                return findings.stale(task, &format!("was {}, then {}", told(first), told(other)));
            }
            right_end(task, first, findings);
        }
        None if last.is_unknown() => {
            findings.unknown += 1;
            if !task.has_one_of(allowed.unknown) {
                findings.unknown_not_allowed += 1;
                let why = last.error.as_deref().unwrap_or("without a reason");
                findings.faults.push(format!("unknown where it may not be: task {} ({why})", task.uuid));
            }
        }
        None => findings.lost(task, &format!("has no end: it is {}", last.state)),
    }
}

fn right_end(task: &Task, end: &Sight, findings: &mut Findings) {
    match (&task.cancel, end.state.as_str()) {
        (Some(Cancel::Late(told)), state) if told != state => {
            findings.stale(task, &format!("was told to be {told} when it was cancelled, and ended {state}"));
        }
        (Some(Cancel::Accepted), state) if state != "cancelled" => {
            findings.stale(task, &format!("was told to be cancelled, and ended {state}"));
        }
        (_, "succeeded") => own_result(task, end, findings),
        (Some(_), "cancelled") => {}
        (_, state) => {
            let why = end.error.as_deref().unwrap_or("without a reason");
            findings.unexplained(format!("task {} ended {state} ({why})", task.uuid));
        }
    }
}

/// The result is of the attempt that the task ended with. Only a task of one step shows that: of several, the last may have
/// been done by an earlier attempt.
fn own_result(task: &Task, end: &Sight, findings: &mut Findings) {
    let result: Value = serde_json::from_str(end.result.as_deref().unwrap_or_default()).unwrap_or_default();
    let key = task.key(task.steps.len().saturating_sub(1));
    if result.get("key").and_then(Value::as_str) != Some(key.as_str()) {
        return findings.stale(task, &format!("has the result {result}, which is not that of {key}"));
    }
    let attempt = result.get("attempt").and_then(Value::as_u64);
    if task.steps.len() == 1 && attempt != Some(end.attempt) {
        findings.stale(task, &format!("ended in attempt {} with the result {result}", end.attempt));
    }
}

fn twice(key: &str, class: Class, happened: &Happened<'_>, findings: &mut Findings) {
    if happened.effect_keys.len() > 1 {
        findings.doubled(key, "has several effect keys: one request made several tasks");
    } else if class.is_guarded() && happened.done > 1 {
        findings.doubled(key, &format!("({}) was done {} times", class.word(), happened.done));
    } else if class == Class::Never && happened.begun > 1 {
        findings.doubled(key, &format!("(never) was begun {} times", happened.begun));
    }
}

fn told(sight: &Sight) -> String {
    let rest = sight.result.as_deref().or(sight.error.as_deref()).unwrap_or("nothing");
    format!("{} in attempt {} with {rest} on server {}", sight.state, sight.attempt, sight.server)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::{Allowed, Class, check};
    use crate::root;

    #[test]
    fn every_recorded_history_is_judged_as_it_says() {
        let folder = root().join("xtask/src/faults/histories");
        let mut judged = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let Value::Object(mut case) = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap() else {
                panic!("{} is no object", path.display());
            };
            let expected = case.remove("found").unwrap();
            let unknown = case.remove("unknown_allowed").unwrap_or_else(|| Value::Array(vec![]));
            let unknown: Vec<Class> = serde_json::from_value(unknown).unwrap();
            let history = serde_json::from_value(Value::Object(case)).unwrap();
            let Value::Object(mut found) =
                serde_json::to_value(check(&history, Allowed { unknown: &unknown })).unwrap()
            else {
                panic!("findings are an object");
            };
            found.retain(|_, value| *value != 0 && *value != Value::Array(vec![]));
            assert_eq!(Value::Object(found), expected, "{}", path.display());
            judged += 1;
        }
        assert!(judged >= 12, "only {judged} histories were found");
    }
}
