//! The database that all replicas share: it answers late, is away, loses its answer behind a commit, and fails over to a node that
//! lacks the last commits.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use claiflow_server::{
    model::ids::Id,
    storage::{Cause, Error},
};
use tokio::time::{Instant, sleep};

use crate::{chance::Chance, checker::Checker, power::Power, tables::Tables};

/// Commits that a fail-over may lose.
const LOST_MOST: usize = 5;

pub(crate) struct Database {
    state: Mutex<State>,
    chance: Chance,
    /// Fail-overs may happen, so earlier states are kept.
    fails_over: bool,
}

pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(crate) checker: Checker,
    /// After each of the last commits, the oldest first.
    past: VecDeque<Tables>,
    down_until: Option<Instant>,
    shaky_until: Option<Instant>,
}

impl Database {
    pub(crate) fn new(tables: Tables, checker: Checker, chance: &Chance, fails_over: bool) -> Self {
        let state = State { tables, checker, past: VecDeque::new(), down_until: None, shaky_until: None };
        Self { state: Mutex::new(state), chance: chance.clone(), fails_over }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One transaction, asked for by the process behind `power`.
    pub(crate) async fn work<T>(
        &self,
        power: &Power,
        writes: bool,
        work: impl FnOnce(&mut Tables) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.way(power).await;
        let (outcome, is_lost) = {
            let mut state = self.lock();
            let now = Instant::now();
            if state.down_until.is_some_and(|until| now < until) {
                (None, true)
            } else {
                let outcome = work(&mut state.tables);
                if writes {
                    state.committed(self.fails_over);
                }
                let is_shaky = state.shaky_until.is_some_and(|until| now < until);
                (Some(outcome), is_shaky && self.chance.one_in(3))
            }
        };
        if outcome.is_none() {
            sleep(self.chance.millis(1, 1_500)).await;
        }
        self.way(power).await;
        match outcome {
            Some(outcome) if !is_lost => outcome,
            _ => Err(Error::Engine(Cause::Io(io::ErrorKind::ConnectionReset.into()))),
        }
    }

    /// Mostly no time that is worth a word.
    async fn way(&self, power: &Power) {
        if self.chance.one_in(5) {
            sleep(self.chance.millis(1, 25)).await;
        }
        power.pass().await;
    }

    /// Answers nothing until then.
    pub(crate) fn down_until(&self, until: Instant) {
        self.lock().down_until = Some(until);
    }

    /// Loses answers until then, also of what it committed.
    pub(crate) fn shaky_until(&self, until: Instant) {
        self.lock().shaky_until = Some(until);
    }

    pub(crate) fn mend(&self) {
        let mut state = self.lock();
        (state.down_until, state.shaky_until) = (None, None);
    }

    /// Goes on as it was some commits ago; the tasks that are not what they were.
    pub(crate) fn fail_over(&self) -> BTreeSet<Id> {
        let mut state = self.lock();
        let back = self.chance.among(1, LOST_MOST);
        let Some(at) = state.past.len().checked_sub(back + 1) else { return BTreeSet::new() };
        state.past.truncate(at + 1);
        let Some(tables) = state.past.back().cloned() else { return BTreeSet::new() };
        let lost = std::mem::replace(&mut state.tables, tables);
        let changed = differing(&lost, &state.tables);
        let State { tables, checker, .. } = &mut *state;
        checker.failed_over(tables, &changed);
        changed
    }
}

impl State {
    fn committed(&mut self, is_kept: bool) {
        self.checker.observe(&mut self.tables);
        if is_kept {
            self.past.push_back(self.tables.clone());
            if self.past.len() > LOST_MOST + 1 {
                self.past.pop_front();
            }
        }
    }
}

fn differing(a: &Tables, b: &Tables) -> BTreeSet<Id> {
    let all = a.live.keys().chain(b.live.keys()).chain(a.history.keys()).chain(b.history.keys());
    let part = |tables: &Tables, task: &Id| {
        let leases: Vec<_> =
            tables.leases.iter().filter(|(_, held)| held.task == *task).map(|(id, held)| (*id, held.clone())).collect();
        let steps: Vec<_> = tables
            .steps
            .iter()
            .filter(|((of, ..), _)| of == task)
            .map(|(key, row)| (key.clone(), row.clone()))
            .collect();
        (tables.live.get(task).cloned(), tables.history.get(task).cloned(), leases, steps)
    };
    all.filter(|task| part(a, task) != part(b, task)).copied().collect()
}
