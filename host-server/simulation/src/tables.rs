//! The rows of the database, and its transactions as plain functions on them: each does what the statement of the same name in
//! the server's `storage` does, at one moment.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use claiflow_server::{
    model::{
        ids::Id,
        lifecycle::{Doubt, settled},
        nouns::ClusterRules,
        state::State,
        step::{Change, STARTED, SUCCEEDED, StepRow},
        task::{Finish, Gate, Kind, Lease, Place, Snapshot, Task, Wish},
    },
    storage::{AgentRow, Claim, Ending, Error, Kept, Leased, Settlement, Wished},
};
use tokio::time::Instant;

use crate::setup::Bug;

/// Silence is not counted beyond this, microseconds.
const LONGEST_US: i64 = 7 * 24 * 3_600 * 1_000_000;

#[derive(Clone, Default)]
pub(crate) struct Tables {
    pub(crate) snapshots: BTreeMap<Id, Arc<Snapshot>>,
    pub(crate) live: BTreeMap<Id, Live>,
    /// By cluster, rank and task.
    pub(crate) ready: BTreeMap<(i64, i64, Id), Waiting>,
    /// By due time and task.
    pub(crate) later: BTreeMap<(i64, Id), (i64, i64, Waiting)>,
    pub(crate) leases: BTreeMap<Id, Held>,
    pub(crate) slots: BTreeSet<(String, Id)>,
    pub(crate) steps: BTreeMap<(Id, String, i32), (StepRow, Id)>,
    pub(crate) history: BTreeMap<Id, Past>,
    pub(crate) agents: BTreeMap<(i64, Id), AgentRow>,
    /// When each replica was seen.
    pub(crate) replicas: BTreeMap<Id, Instant>,
    /// Who leads, and until when.
    pub(crate) leader: Option<(Id, Instant)>,
    pub(crate) rules: ClusterRules,
    /// Leases under which this transaction took a report: task and lease.
    pub(crate) accepted: Vec<(Id, Id)>,
    pub(crate) bug: Option<Bug>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Live {
    pub(crate) task: TaskRow,
    pub(crate) state: State,
}

/// What of a task changes, and the rest.
#[derive(Clone, Debug)]
pub(crate) struct TaskRow(pub(crate) Task);

impl PartialEq for TaskRow {
    fn eq(&self, other: &Self) -> bool {
        let key = |row: &Self| (row.0.id, row.0.attempt, row.0.epoch, row.0.started);
        key(self) == key(other)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Waiting {
    need: Id,
    pub(crate) valid_until: Option<i64>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) task: Id,
    pub(crate) cluster: i64,
    pub(crate) epoch: i64,
    pub(crate) journal: Id,
    pub(crate) created: i64,
    kind: Kind,
    pub(crate) wish: Wish,
}

/// A task in the history.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Past {
    pub(crate) state: State,
    pub(crate) result: Option<String>,
    pub(crate) attempt: i32,
}

impl Tables {
    pub(crate) fn create(&mut self, tasks: &[(Arc<Task>, Place)]) -> Result<(), Error> {
        if tasks.iter().any(|(task, _)| self.live.contains_key(&task.id)) {
            return Err(Error::Duplicate);
        }
        for (task, place) in tasks {
            let (state, epoch) = match place {
                Place::Later(_) => (State::Scheduled, 0),
                Place::Ready => (State::Ready, 0),
                Place::Lease(_) => (State::Ready, 1),
            };
            self.live.insert(task.id, Live { task: TaskRow(Task { attempt: 1, epoch, ..Task::clone(task) }), state });
            match place {
                Place::Lease(lease) => self.hold(lease),
                Place::Ready => self.enter(task, task.valid_until, None),
                Place::Later(due) => self.enter(task, task.valid_until, Some(*due)),
            }
        }
        Ok(())
    }

    fn hold(&mut self, lease: &Lease) {
        let held = Held {
            task: lease.task.id,
            cluster: lease.task.cluster,
            epoch: lease.task.epoch,
            journal: lease.journal,
            created: lease.created,
            kind: lease.kind,
            wish: Wish::None,
        };
        self.leases.insert(lease.id, held);
    }

    fn enter(&mut self, task: &Task, valid_until: Option<i64>, due: Option<i64>) {
        let waiting = Waiting { need: task.snapshot.id, valid_until };
        match due {
            None => drop(self.ready.insert((task.cluster, task.rank(), task.id), waiting)),
            Some(due) => drop(self.later.insert((due, task.id), (task.cluster, task.rank(), waiting))),
        }
    }

    pub(crate) fn clusters_with_ready(&self) -> Vec<i64> {
        let clusters: BTreeSet<i64> = self.ready.keys().map(|(cluster, ..)| *cluster).collect();
        clusters.into_iter().collect()
    }

    pub(crate) fn needs(&self, cluster: i64, limit: Option<i64>) -> Vec<Vec<u8>> {
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let waiting = self.ready.iter().filter(|((of, ..), _)| *of == cluster).take(limit);
        let needs: BTreeSet<Id> = waiting.map(|(_, waiting)| waiting.need).collect();
        needs.into_iter().map(Vec::from).collect()
    }

    pub(crate) fn claim(&mut self, claim: &Claim<'_>, lease_id: &dyn Fn() -> Id) -> Vec<Arc<Lease>> {
        let own = claim.cluster_limit.map(|limit| Gate { name: format!("cluster {}", claim.cluster), limit });
        let candidates: Vec<_> = self
            .ready
            .iter()
            .filter(|((cluster, ..), waiting)| {
                let is_valid = waiting.valid_until.is_none_or(|until| until > claim.now_us);
                *cluster == claim.cluster && is_valid && claim.snapshots.contains_key(&waiting.need)
            })
            .map(|(key, waiting)| (*key, waiting.need))
            .collect();
        let mut leases = Vec::new();
        for (key, need) in candidates {
            let Some(snapshot) = claim.snapshots.get(&need).filter(|_| leases.len() < claim.limit) else { continue };
            let gates: Vec<Gate> = own.iter().cloned().chain(snapshot.gates(claim.cluster)).collect();
            let taken = |gate: &Gate| self.slots.iter().filter(|(name, _)| *name == gate.name).count();
            let is_open = gates.iter().all(|gate| taken(gate) < usize::try_from(gate.limit).unwrap_or(usize::MAX));
            let Some(live) = self.live.get_mut(&key.2).filter(|_| is_open) else { continue };
            self.ready.remove(&key);
            live.task.0.epoch += 1;
            live.task.0.started = live.task.0.started.or(Some(claim.now_us));
            let task = Arc::new(live.task.0.clone());
            let (journal, kind) = (claim.holder.journal(), claim.holder.kind());
            let lease = Arc::new(Lease { id: lease_id(), journal, created: claim.now_us, kind, task });
            self.hold(&lease);
            self.slots.extend(gates.into_iter().map(|gate| (gate.name, lease.id)));
            leases.push(lease);
        }
        leases
    }

    fn release(&mut self, lease: Id) {
        self.leases.remove(&lease);
        self.slots.retain(|(_, of)| *of != lease);
    }

    pub(crate) fn finish(&mut self, ends: &[Finish]) -> HashMap<Id, State> {
        let mut accepted = HashMap::new();
        for end in ends {
            let (lease, task) = (end.lease.id, end.lease.task.id);
            let cancelled = match self.leases.get(&lease) {
                Some(held) => held.wish == Wish::Cancel,
                None if self.bug == Some(Bug::FinishUnderAnyLease) && self.live.contains_key(&task) => false,
                None => continue,
            };
            self.accepted.push((task, lease));
            let state = settled(State::of(end.state), cancelled);
            let result = end.result.clone().filter(|_| state == State::Succeeded);
            self.forget(task);
            self.release(lease);
            self.history.insert(task, Past { state, result, attempt: end.lease.task.attempt });
            accepted.insert(lease, state);
        }
        accepted
    }

    fn forget(&mut self, task: Id) {
        self.live.remove(&task);
        self.steps.retain(|(of, ..), _| *of != task);
    }

    fn archive(&mut self, task: Id, state: State) {
        let attempt = self.live.get(&task).map_or(0, |live| live.task.0.attempt);
        self.forget(task);
        self.history.insert(task, Past { state, result: None, attempt });
    }

    pub(crate) fn requeue(&mut self, lease: &Lease, spent: bool, due: Option<i64>) -> bool {
        let Some(wish) = self.leases.get(&lease.id).map(|held| held.wish).filter(|wish| *wish != Wish::Cancel) else {
            return false;
        };
        if self.steps_of(&lease.task.id).iter().any(|step| step.doubt() == Doubt::Never) {
            return false;
        }
        self.accepted.push((lease.task.id, lease.id));
        self.release(lease.id);
        let has_steps = self.steps.keys().any(|(of, ..)| *of == lease.task.id);
        let valid_until = lease.task.valid_until.filter(|_| !spent && !has_steps);
        let Some(live) = self.live.get_mut(&lease.task.id) else { return true };
        live.task.0.attempt += i32::from(spent);
        live.task.0.valid_until = valid_until;
        live.state = if wish == Wish::Pause { State::Paused } else { State::Ready };
        if live.state == State::Ready {
            self.enter(&lease.task, valid_until, due);
        }
        true
    }

    pub(crate) fn mark_unknown(&mut self, lease: &Lease) -> bool {
        match self.live.get_mut(&lease.task.id).filter(|_| self.leases.contains_key(&lease.id)) {
            Some(live) => {
                live.state = State::Unknown;
                self.accepted.push((lease.task.id, lease.id));
                true
            }
            None => false,
        }
    }

    pub(crate) fn keep_step(&mut self, lease: &Lease, step: &StepRow) -> Kept {
        if !self.leases.contains_key(&lease.id) {
            return Kept::Stale;
        }
        self.accepted.push((lease.task.id, lease.id));
        if self.bug == Some(Bug::ForgetStarts) && step.state == STARTED {
            return Kept::Stored;
        }
        let key = (lease.task.id, step.path.clone(), step.attempt);
        let change = match self.steps.get(&key) {
            None => Change::Put,
            Some((row, of)) => row.change(step, *of == lease.id),
        };
        match change {
            Change::Put => drop(self.steps.insert(key, (step.clone(), lease.id))),
            Change::End => {
                if let Some((row, of)) = self.steps.get_mut(&key) {
                    (row.state, row.ended, row.output, *of) = (step.state, step.ended, step.output.clone(), lease.id);
                }
            }
            Change::Nothing => return Kept::Repeated,
            Change::Conflict => return Kept::Conflict,
        }
        Kept::Stored
    }

    pub(crate) fn steps_of(&self, task: &[u8]) -> Vec<StepRow> {
        let mut steps: Vec<_> =
            self.steps.iter().filter(|((of, ..), _)| of == task).map(|(_, (row, _))| row.clone()).collect();
        steps.sort_by(|a, b| (a.started, &a.path, a.attempt).cmp(&(b.started, &b.path, b.attempt)));
        steps
    }

    /// The leases that a condition meets.
    pub(crate) fn leased(&self, which: impl Fn(&Id, &Held) -> bool) -> Vec<Leased> {
        let leases = self.leases.iter().filter(|(id, held)| which(id, held));
        leases
            .filter_map(|(id, held)| {
                let live = self.live.get(&held.task)?;
                let task = Arc::new(live.task.0.clone());
                let lease = Lease { id: *id, journal: held.journal, created: held.created, kind: held.kind, task };
                let state = if live.state == State::Unknown { State::Unknown } else { State::Running };
                Some(Leased { lease: Arc::new(lease), state, wish: held.wish })
            })
            .collect()
    }

    pub(crate) fn leases_at(&self, replica: Id) -> Vec<(i64, Id)> {
        let is_here = |held: &Held| {
            let agent = self.agents.get(&(held.cluster, held.journal));
            agent.is_some_and(|agent| agent.replica == replica && agent.detached.is_none())
        };
        let runs = |held: &Held| self.live.get(&held.task).is_some_and(|live| live.state != State::Unknown);
        let leases = self.leases.iter().filter(|(_, held)| is_here(held) && runs(held));
        leases.map(|(id, held)| (held.cluster, *id)).collect()
    }

    pub(crate) fn wish(&mut self, cluster: i64, task: Id, rank: i64, wish: Wish) -> Option<Wished> {
        let Some(state) = self.live.get(&task).map(|live| live.state) else { return Some(Wished::Gone) };
        if state == State::Unknown {
            return Some(Wished::Stands(State::Unknown));
        }
        if let Some(held) = self.leases.values_mut().find(|held| held.task == task) {
            if (held.wish as i16) < wish as i16 {
                held.wish = wish;
            }
            return Some(Wished::Noted);
        }
        let later = self.later.len();
        self.later.retain(|(_, id), _| *id != task);
        let waits = self.ready.remove(&(cluster, rank, task)).is_some() || self.later.len() < later;
        match wish {
            Wish::Cancel if waits || state == State::Paused => self.archive(task, State::Cancelled),
            Wish::Pause if waits => {
                if let Some(live) = self.live.get_mut(&task) {
                    live.state = State::Paused;
                }
            }
            _ if state == State::Paused => {}
            _ => return None,
        }
        Some(Wished::Done)
    }

    pub(crate) fn resume(&mut self, task: &Task) -> Wished {
        let held = self.leases.values_mut().find(|held| held.task == task.id && held.wish == Wish::Pause);
        let noted = held.map(|held| held.wish = Wish::None).is_some();
        match self.live.get_mut(&task.id) {
            None => Wished::Gone,
            Some(live) if live.state == State::Paused => {
                live.state = State::Ready;
                live.task.0.valid_until = None;
                self.enter(task, None, None);
                Wished::Done
            }
            Some(_) if noted => Wished::Noted,
            Some(live) => Wished::Stands(live.state),
        }
    }

    pub(crate) fn resolve(&mut self, lease: &Lease, path: Option<&str>, settlement: Settlement<'_>) -> bool {
        let task = &lease.task;
        let is_unknown = self.live.get(&task.id).is_some_and(|live| live.state == State::Unknown);
        let is_doubt = |of: Id, row: &StepRow| of == task.id && row.state == STARTED;
        let doubts: Vec<_> =
            self.steps.iter().filter(|((of, ..), (row, _))| is_doubt(*of, row)).map(|(key, _)| key.clone()).collect();
        let key = doubts.iter().find(|(_, at, _)| Some(at.as_str()) == path);
        let is_met = if path.is_none() { doubts.is_empty() } else { key.is_some() };
        if !is_met || !is_unknown || !self.leases.contains_key(&lease.id) {
            return false;
        }
        self.accepted.push((task.id, lease.id));
        if let Some(key) = key {
            match settlement {
                Settlement::Succeeded { output } => {
                    if let Some((row, _)) = self.steps.get_mut(key) {
                        (row.state, row.output) = (SUCCEEDED, Some(output.to_owned()));
                    }
                }
                Settlement::Rerun | Settlement::Failed(_) => drop(self.steps.remove(key)),
            }
        }
        self.release(lease.id);
        if let Settlement::Failed(Ending { state, .. }) = settlement {
            self.archive(task.id, state);
            return true;
        }
        if let Some(live) = self.live.get_mut(&task.id) {
            live.state = State::Ready;
            live.task.0.valid_until = None;
        }
        self.enter(task, None, None);
        true
    }

    pub(crate) fn due(&mut self, now_us: i64) -> BTreeSet<i64> {
        let still = self.later.split_off(&(now_us.saturating_add(1), Id::default()));
        let mut clusters = BTreeSet::new();
        for ((_, task), (cluster, rank, waiting)) in std::mem::replace(&mut self.later, still) {
            if let Some(live) = self.live.get_mut(&task) {
                live.state = State::Ready;
            }
            self.ready.insert((cluster, rank, task), waiting);
            clusters.insert(cluster);
        }
        clusters
    }

    pub(crate) fn expire(&mut self, now_us: i64) -> u64 {
        let is_over = |waiting: &Waiting| waiting.valid_until.is_some_and(|until| until <= now_us);
        let over: Vec<_> =
            self.ready.extract_if(.., |_, waiting| is_over(waiting)).map(|((.., task), _)| task).collect();
        over.iter().for_each(|task| self.archive(*task, State::Expired));
        over.len() as u64
    }

    pub(crate) fn agents_silent(&mut self, alive: &[Id], passed_us: i64) {
        for agent in self.agents.values_mut() {
            let here = agent.detached.is_none() && alive.iter().any(|replica| agent.replica == replica);
            if here {
                agent.silent_us = 0;
            } else if agent.silent_us < LONGEST_US {
                agent.silent_us += passed_us;
            }
        }
    }

    pub(crate) fn agents_unknown(&mut self, now_us: i64) -> u64 {
        let holders: BTreeSet<(i64, Id)> = self.leases.values().map(|held| (held.cluster, held.journal)).collect();
        let before = self.agents.len();
        for (cluster, journal) in holders {
            self.agents.entry((cluster, journal)).or_insert_with(|| AgentRow {
                cluster,
                journal: journal.to_vec(),
                session: String::new(),
                replica: journal.to_vec(),
                detached: Some(now_us),
                silent_us: 0,
            });
        }
        (self.agents.len() - before) as u64
    }

    pub(crate) fn holds(&self, agent: &AgentRow) -> bool {
        self.leases.values().any(|held| agent.journal == held.journal && held.cluster == agent.cluster)
    }
}
