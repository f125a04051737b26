//! Agents of the first version. They poll with a free worker, are silent while a task runs, and report each step once.
//!
//! A call that waits is woken by the pokes that wake the claimer, also by its scan, so waiting costs no query. A task is
//! given with a lease that ends with the run's time: then it is in doubt, and never run a second time by itself.

mod polls;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

pub(super) use polls::Polls;

use super::{Dispatch, lanes, report::refuse_large, sqlx_closed};
use crate::{
    model::{
        duration::micros,
        ids::Id,
        lifecycle::{Doubt, Event, Loss, Write, next},
        state::State,
        statuses::timeline_text,
        step::{NEVER, STARTED, StepRow},
        task::{Finish, Holder, Kind, Lease, Snapshot, Timeline, Wish},
    },
    storage::{self, Claim},
};

/// The language that these agents speak.
const LEVEL: u32 = 0;
/// How many waiting tasks are looked at for what they need, before all of them are.
const FIRST: i64 = 1_000;
/// Commands that end or replace the agent itself; it drops whatever comes with one of them.
const ALONE: [&str; 2] = ["claiflow.client_pod.rebounce", "claiflow.client.upgrade"];

/// A call that waits for tasks.
#[derive(Clone, Debug)]
pub struct Poll {
    /// The cluster's row.
    pub cluster: i64,
    /// The session's uuid.
    pub session: String,
    /// Whose leases they become.
    pub journal: Id,
    /// Tasks at most.
    pub limit: usize,
    /// How long the session lives without a sign of life.
    pub life: Duration,
}

/// How a task ended, as its agent says.
#[derive(Clone, Debug)]
pub struct End {
    /// Final.
    pub state: State,
    /// JSON text.
    pub result: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Tasks on their way to an agent. Where they are dropped before that, nobody has seen them and they are ready again.
pub struct Taken {
    dispatch: Dispatch,
    session: String,
    leases: Vec<Arc<Lease>>,
}

impl Taken {
    /// What to send. From here on the agent may run them.
    #[must_use]
    pub fn sent(mut self) -> Vec<Arc<Lease>> {
        std::mem::take(&mut self.leases)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let leases = std::mem::take(&mut self.leases);
        // Without a runtime the process ends: their time will pass.
        let Some(runtime) = tokio::runtime::Handle::try_current().ok().filter(|_| !leases.is_empty()) else { return };
        let (dispatch, session) = (self.dispatch.clone(), std::mem::take(&mut self.session));
        runtime.spawn(async move {
            for lease in leases {
                dispatch.0.polls.lock().take(&session, &lease.task.id);
                dispatch.take_back(&lease, State::Offered, Event::Returned).await;
            }
        });
    }
}

impl Dispatch {
    /// Waits for tasks; none when the session was ended or the server stops.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine; nothing is taken then.
    pub async fn poll(&self, poll: Poll) -> Result<Option<Taken>, storage::Error> {
        let Some(mut woken) = self.0.polls.lock().open(&poll, Instant::now()) else { return Ok(None) };
        loop {
            let (dispatch, asked) = (self.clone(), poll.clone());
            // The call may be cancelled at any time, a commit may not.
            let taking = tokio::spawn(async move { dispatch.take(asked).await });
            let taken = taking.await.map_err(|_| storage::Error::Engine(sqlx_closed()))??;
            if !taken.leases.is_empty() {
                return Ok(Some(taken));
            }
            if woken.recv().await.is_none() {
                return Ok(None);
            }
        }
    }

    async fn take(&self, poll: Poll) -> Result<Taken, storage::Error> {
        let mut leases = vec![];
        for first in [Some(FIRST), None] {
            let runnable = self.runnable(poll.cluster, first).await?;
            leases = self.claim_of(&poll, runnable).await?;
            if !leases.is_empty() {
                break;
            }
        }
        self.0.polls.lock().give(&poll.session, leases.iter().map(|lease| lease.task.id), Instant::now());
        Ok(Taken { dispatch: self.clone(), session: poll.session, leases })
    }

    /// What waits in a cluster and is written in the language of these agents.
    async fn runnable(&self, cluster: i64, first: Option<i64>) -> Result<HashMap<Id, Arc<Snapshot>>, storage::Error> {
        let mut runnable = HashMap::new();
        for need in self.0.store.needs(cluster, first).await? {
            let snapshot = self.0.store.snapshot(&need).await?;
            runnable.extend(
                snapshot.filter(|snapshot| snapshot.language_level == LEVEL).map(|snapshot| (snapshot.id, snapshot)),
            );
        }
        Ok(runnable)
    }

    /// Claims the first tasks of their order: those before the first that goes alone, or that one.
    async fn claim_of(
        &self,
        poll: &Poll,
        mut runnable: HashMap<Id, Arc<Snapshot>>,
    ) -> Result<Vec<Arc<Lease>>, storage::Error> {
        let inner = &self.0;
        let rules = inner.store.cluster_rules(poll.cluster).await?;
        if runnable.is_empty() || rules.paused {
            return Ok(vec![]);
        }
        let except = inner.polls.lock().held(&poll.session);
        let open: Vec<Id> = runnable.keys().copied().collect();
        let needs = inner.store.next_for_former(poll.cluster, &open, &except, poll.limit).await?;
        if needs.is_empty() {
            return Ok(vec![]);
        }
        let alone = |need: &Id| runnable.get(need).is_some_and(|snapshot| goes_alone(snapshot));
        let together = needs.iter().take_while(|need| !alone(need)).count();
        runnable.retain(|_, snapshot| goes_alone(snapshot) == (together == 0));
        let holder = Holder::Former { journal: poll.journal, except };
        let claim = Claim {
            cluster: poll.cluster,
            snapshots: &runnable,
            limit: together.max(1),
            holder: &holder,
            now_us: inner.source.now_us(),
            cluster_limit: rules.concurrency,
        };
        let lease_id = || inner.source.random();
        lanes::retried(|| inner.store.claim(&claim, &lease_id)).await
    }

    /// The lease under which an agent of the first version in this cluster runs a task, and where the task stands.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine.
    pub async fn former_lease(&self, cluster: i64, task: &Id) -> Result<Option<(Arc<Lease>, State)>, storage::Error> {
        let leased = lanes::retried(|| self.0.store.lease_of(cluster, *task)).await?;
        Ok(leased.filter(|leased| leased.lease.kind == Kind::Former).map(|leased| (leased.lease, leased.state)))
    }

    /// What an agent says of a step, and of the task's end. False: the lease had gone, and nothing has changed.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine.
    pub async fn tell(
        &self,
        session: &str,
        (lease, state): &(Arc<Lease>, State),
        mut step: StepRow,
        end: Option<End>,
    ) -> Result<bool, storage::Error> {
        let Some(end) = end else {
            return self.store_step(lease, &step).await;
        };
        let mut steps = self.steps(&lease.task).await?;
        if let Some(begun) = steps.iter().position(|kept| kept.path == step.path).map(|at| steps.swap_remove(at)) {
            step.started = begun.started;
        }
        steps.push(step);
        let mut finish = Finish {
            state: end.state as i16,
            result: end.result,
            error: end.error,
            timeline: timeline_text(&Timeline::of(Some(lease.created), &steps)),
            ended: self.now_us().max(lease.task.created + 1),
            stepped: true,
            counted: true,
            lease: Arc::clone(lease),
        };
        refuse_large(&mut finish, self.0.store.task_bytes());
        let accepted = match next(*state, Event::Reported(State::of(finish.state))) {
            Ok((_, Write::Archive)) => self.settle_former(finish).await?,
            Ok(_) => true,
            Err(refused) => {
                tracing::warn!(task.uuid = lease.task.uuid, %refused, "a report was refused");
                false
            }
        };
        self.0.polls.lock().take(session, &lease.task.id);
        Ok(accepted)
    }

    async fn settle_former(&self, finish: Finish) -> Result<bool, storage::Error> {
        let ends = [finish];
        let valid = lanes::retried(|| self.0.store.finish(&ends)).await?;
        for state in valid.values() {
            self.0.metrics.tasks_ended.with_label_values(&[state.word()]).inc();
        }
        Ok(!valid.is_empty())
    }

    /// Runs whose time is over without a report are in doubt.
    pub(super) async fn end_former(&self, now_us: i64) -> Result<(), storage::Error> {
        for leased in self.0.store.leases_past(now_us).await? {
            let loss = Loss {
                doubt: Doubt::Never,
                attempt: leased.lease.task.attempt,
                cancelling: leased.wish == Wish::Cancel,
                touched: true,
                timed_out: true,
            };
            if let Ok((_, Write::Doubt)) = next(leased.state, Event::Lost(loss)) {
                let reason = "agent_silent: an agent of the first version reported no end within the run's time";
                self.doubt_a_step(&leased.lease).await?;
                self.0.store.mark_unknown(&leased.lease, reason).await?;
            }
        }
        Ok(())
    }

    /// Of a task in doubt a person settles the step that may have happened. Where no step's start was reported, it is the first
    /// one without an end.
    async fn doubt_a_step(&self, lease: &Lease) -> Result<(), storage::Error> {
        let kept = self.steps(&lease.task).await?;
        let ended = |top: i32| kept.iter().any(|step| step.top == top && step.state != STARTED);
        let tops = 0..i32::try_from(lease.task.snapshot.step_max).unwrap_or(i32::MAX);
        let Some(top) = tops.into_iter().find(|top| !ended(*top)) else { return Ok(()) };
        let step = StepRow {
            path: top.to_string(),
            attempt: 1,
            top,
            state: STARTED,
            effect: NEVER,
            started: lease.created,
            ended: None,
            output: None,
            used: None,
        };
        // One whose start was reported stays as it is.
        lanes::retried(|| self.0.store.keep_step(lease, &step)).await.map(drop)
    }

    /// Sessions that wait here live on. What fails is done by a later round, in good time.
    pub async fn prolong_former(&self, now: Instant) {
        let (timing, now_us) = (&self.0.timing, self.now_us());
        let due = {
            let mut polls = self.0.polls.lock();
            polls.forget(timing.session, now);
            polls.due(now, timing.round)
        };
        for (life, sessions) in due {
            let until_us = now_us.saturating_add(micros(life));
            if let Err(error) = self.0.store.prolong_sessions(&sessions, until_us, now_us).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "sessions that wait could not be prolonged");
            }
        }
    }
}

fn goes_alone(snapshot: &Snapshot) -> bool {
    snapshot.commands.iter().any(|command| ALONE.contains(&command.as_str()))
}
