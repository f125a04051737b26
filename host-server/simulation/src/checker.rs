//! The promises, checked at each commit and at the end of a history.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Arguments,
};

use claiflow_agent::executor::commands::Effect;
use claiflow_server::model::{
    ids::{Id, hex},
    lifecycle::ATTEMPTS,
    state::State,
};
use serde_json::Value;

use crate::{
    effects::{Entry, Log},
    tables::Tables,
    templates::Template,
    trace::short,
    world::World,
};

/// Promises that were broken, in words; the first ones.
const MOST: usize = 8;

/// What was seen of the database so far.
#[derive(Default)]
pub(crate) struct Checker {
    pub(crate) broken: Vec<String>,
    /// Final states.
    finals: BTreeMap<Id, State>,
    /// The lease of each task, as the commit before left it.
    leases: BTreeMap<Id, Id>,
    /// The greatest epoch of each task.
    epochs: BTreeMap<Id, i64>,
    /// Tasks of which a fail-over lost something.
    bereft: BTreeSet<Id>,
    /// A fail-over lost commits: what the servers, the agents and the database believe of each other differs for a while.
    pub(crate) has_lost: bool,
}

impl Checker {
    pub(crate) fn broken(&mut self, words: Arguments<'_>) {
        if self.broken.len() < MOST {
            self.broken.push(words.to_string());
        }
    }

    /// An agent that runs began a step of a task of which it has no lease.
    pub(crate) fn began_unleased(&mut self, task: &Id, step: &str) {
        if !self.has_lost && !self.bereft.contains(task) {
            self.broken(format_args!("{} step {step} began without a lease", short(task)));
        }
    }

    /// A fail-over lost commits: what they said of these tasks is not known to anybody any more.
    pub(crate) fn failed_over(&mut self, tables: &Tables, changed: &BTreeSet<Id>) {
        self.bereft.extend(changed);
        self.has_lost = true;
        self.finals.retain(|task, _| tables.history.contains_key(task));
        self.leases = leases_by_task(tables).into_iter().map(|(task, (lease, _))| (task, lease)).collect();
        self.epochs.retain(|task, _| !changed.contains(task));
    }

    /// After a commit.
    pub(crate) fn observe(&mut self, tables: &mut Tables) {
        for (task, lease) in std::mem::take(&mut tables.accepted) {
            if self.leases.get(&task) != Some(&lease) {
                self.broken(format_args!(
                    "a report on {} was taken under the lease {}, which was not valid",
                    short(&task),
                    short(&lease)
                ));
            }
        }
        self.finals(tables);
        self.places(tables);
        self.limits(tables);
    }

    fn finals(&mut self, tables: &Tables) {
        for (task, past) in &tables.history {
            let before = *self.finals.entry(*task).or_insert(past.state);
            if before != past.state {
                self.broken(format_args!("{} was {} and is {}", short(task), before.word(), past.state.word()));
            }
            if tables.live.contains_key(task) {
                self.broken(format_args!("{} is {} and lives", short(task), past.state.word()));
            }
            if past.attempt > ATTEMPTS {
                self.broken(format_args!("{} had {} attempts", short(task), past.attempt));
            }
        }
        if self.finals.len() > tables.history.len() {
            self.broken(format_args!("a final task is gone"));
        }
    }

    /// A live task is in one place, and has one lease at most.
    fn places(&mut self, tables: &Tables) {
        let leases = leases_by_task(tables);
        if leases.len() < tables.leases.len() {
            self.broken(format_args!("a task has two leases"));
        }
        for (task, live) in &tables.live {
            let held = leases.contains_key(task);
            let ready = tables.ready.keys().filter(|(.., id)| id == task).count();
            let later = tables.later.keys().filter(|(_, id)| id == task).count();
            let paused = usize::from(live.state == State::Paused);
            if usize::from(held) + ready + later + paused != 1 {
                self.broken(format_args!(
                    "{} is {}: leased {held}, {ready} times ready, {later} times later",
                    short(task),
                    live.state.word()
                ));
            }
            if live.task.0.attempt > ATTEMPTS {
                self.broken(format_args!("{} is in its attempt {}", short(task), live.task.0.attempt));
            }
            let epoch = self.epochs.entry(*task).or_default();
            if live.task.0.epoch < *epoch {
                let before = *epoch;
                self.broken(format_args!("{} fell from epoch {before} to {}", short(task), live.task.0.epoch));
            } else {
                *epoch = live.task.0.epoch;
            }
        }
        for (task, _) in leases.iter().filter(|(task, _)| !tables.live.contains_key(*task)) {
            self.broken(format_args!("a lease is for {}, which does not live", short(task)));
        }
        self.leases = leases.into_iter().map(|(task, (lease, _))| (task, lease)).collect();
    }

    /// No more leases than a limit allows.
    fn limits(&mut self, tables: &Tables) {
        let mut taken: BTreeMap<String, (usize, u32)> = BTreeMap::new();
        for held in tables.leases.values() {
            let Some(live) = tables.live.get(&held.task) else { continue };
            for gate in live.task.0.gates() {
                taken.entry(gate.name).or_insert((0, gate.limit)).0 += 1;
            }
            if let Some(limit) = tables.rules.concurrency {
                taken.entry(format!("cluster {}", held.cluster)).or_insert((0, limit)).0 += 1;
            }
        }
        for (name, (count, limit)) in taken {
            if count > usize::try_from(limit).unwrap_or(usize::MAX) {
                self.broken(format_args!("{count} tasks run under `{name}`, which allows {limit}"));
            }
        }
    }
}

/// Lease and epoch of each task that has one.
fn leases_by_task(tables: &Tables) -> BTreeMap<Id, (Id, i64)> {
    tables.leases.iter().map(|(id, held)| (held.task, (*id, held.epoch))).collect()
}

/// At the end of a history: what became of each task, and what its calls did.
pub(crate) fn judge(world: &World) -> Vec<String> {
    let mut state = world.database.lock();
    let crate::database::State { tables, checker, .. } = &mut *state;
    let log = world.effects.lock();
    for (id, made) in world.made().iter() {
        if checker.bereft.contains(id) {
            continue;
        }
        let task = short(id);
        let end = tables.history.get(id);
        match (end, tables.live.get(id)) {
            (None, Some(live)) => {
                checker.broken(format_args!("{task} has not ended: it is {}", live.state.word()));
            }
            (None, None) if made.accepted => checker.broken(format_args!("{task} was accepted and is gone")),
            _ => {}
        }
        let (uuid, template) = (hex(id), world.templates.get(made.template));
        let is_settled = log.settled.contains(&uuid);
        if let (Some(end), Some(template)) = (end, template) {
            if made.cancel_noted && !is_settled && end.state != State::Cancelled {
                checker.broken(format_args!("{task} was being cancelled and is {}", end.state.word()));
            }
            if end.state == State::Succeeded
                && let Err(words) = succeeded(&log, &uuid, template, end.result.as_deref())
            {
                checker.broken(format_args!("{task} has succeeded, but {words}"));
            }
        }
        let entries: Vec<(usize, &Entry)> =
            log.entries.iter().enumerate().filter(|(_, entry)| entry.task == uuid).collect();
        for (at, (number, entry)) in entries.iter().enumerate() {
            let before = entries.iter().take(at).rfind(|(_, other)| other.key == entry.key);
            if let Some((first, _)) = before
                && !may_begin_again(&log, entry, *first, *number)
            {
                let (class, step) = (entry.class, &entry.step);
                checker.broken(format_args!("{task} began the {class} step {step} again: #{first} and #{number}"));
            }
        }
    }
    std::mem::take(&mut checker.broken)
}

/// Whether a call may begin as `number` that had begun as `first` before.
fn may_begin_again(log: &Log, entry: &Entry, first: usize, number: usize) -> bool {
    let between = |begun: usize| first < begun && begun <= number;
    let person =
        log.reruns.iter().any(|(task, step, begun)| *task == entry.task && *step == entry.step && between(*begun));
    match entry.class {
        Effect::Read | Effect::Idempotent => true,
        Effect::Verify => {
            person || log.answers.iter().any(|it| it.key == entry.key && it.not_done && between(it.begun))
        }
        Effect::Never => person,
    }
}

/// Whether a task's calls and its result are what its success says.
fn succeeded(log: &Log, uuid: &str, template: &Template, result: Option<&str>) -> Result<(), String> {
    for (path, class) in &template.calls {
        if log.applied_step(uuid, path).is_none() {
            return Err(format!("its {class} step {path} has not taken effect"));
        }
    }
    let mut steps = log.entries.iter().filter(|entry| entry.task == uuid).map(|entry| &entry.step);
    if let Some(step) = steps.find(|step| !template.calls.iter().any(|(path, _)| path == *step)) {
        return Err(format!("it called a step {step}"));
    }
    let result: Value = serde_json::from_str(result.unwrap_or_default()).map_err(|error| error.to_string())?;
    let given = match &result {
        Value::Array(given) => given.clone(),
        one => vec![one.clone()],
    };
    let last: Vec<&String> = template.calls.iter().map(|(path, _)| path).rev().take(given.len()).collect();
    for (given, path) in given.iter().zip(last.into_iter().rev()) {
        let entry = given.get("entry").and_then(Value::as_u64).and_then(|it| usize::try_from(it).ok());
        is_own(log, uuid, template, entry, path)?;
    }
    Ok(())
}

/// Whether an output is that of the task's own step, and so on back to its first.
fn is_own(log: &Log, uuid: &str, template: &Template, number: Option<usize>, path: &str) -> Result<(), String> {
    let entry = number.and_then(|number| log.entries.get(number));
    let Some(entry) = entry.filter(|entry| entry.task == uuid && entry.step == path && entry.applied) else {
        return Err(format!("what it has of step {path} is {number:?}"));
    };
    let top = |path: &str| path.split('/').next().and_then(|top| top.parse::<usize>().ok()).unwrap_or_default();
    let before = top(path).checked_sub(1);
    let before = template.calls.iter().find(|(path, _)| Some(top(path)) == before);
    match (before, entry.after) {
        (Some((before, _)), after) => is_own(log, uuid, template, after, before),
        (None, None) => Ok(()),
        (None, Some(after)) => Err(format!("its first step was given #{after}")),
    }
}
