//! What agents report under their leases: steps, and ends of runs.

use std::sync::Arc;

use super::{Dispatch, Ended, lanes};
use crate::{
    model::{
        ids::Id,
        lifecycle::{Event, Write, next},
        state::State,
        step::StepRow,
        task::{Finish, Lease, Task},
    },
    storage::{self, Kept},
};

impl Dispatch {
    /// A lease under which this session may report: one that it holds, or one of its cluster whose task is in doubt.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine: nothing is known of the lease then, and the agent must not be told that it is gone.
    pub async fn lease(&self, session: u64, lease: Id) -> Result<Option<Arc<Lease>>, storage::Error> {
        let cluster = {
            let mut hub = self.0.hub.lock();
            if let Some(held) = hub.held(session, lease) {
                return Ok(Some(Arc::clone(&held.lease)));
            }
            hub.cluster(session)
        };
        match cluster {
            Some(cluster) => {
                let leased = self.0.store.lease(cluster, lease).await?;
                Ok(leased.filter(|leased| leased.state == State::Unknown).map(|leased| leased.lease))
            }
            None => Ok(None),
        }
    }

    /// Keeps a step under a valid lease. False: it was not.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine: nothing is known of the lease then, and the agent must not be told that it is gone.
    pub async fn keep_step(&self, session: u64, lease: &Lease, step: &StepRow) -> Result<bool, storage::Error> {
        if let Some(held) = self.0.hub.lock().held(session, lease.id) {
            held.stepped = true;
        }
        self.store_step(lease, step).await
    }

    /// Stores a step under a lease, whoever holds it. False: the lease is gone.
    ///
    /// # Errors
    /// As [`Dispatch::keep_step`].
    pub(super) async fn store_step(&self, lease: &Lease, step: &StepRow) -> Result<bool, storage::Error> {
        let kept = lanes::retried(|| self.0.store.keep_step(lease, step)).await?;
        if kept == Kept::Conflict {
            tracing::warn!(
                task.uuid = lease.task.uuid,
                step.path,
                step.attempt,
                step.state,
                "a step was reported again with other content; what was stored first stays"
            );
        }
        Ok(kept != Kept::Stale)
    }

    /// The kept steps of a task.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine. A task must not go on without them: it would run again what has finished.
    pub async fn steps(&self, task: &Task) -> Result<Vec<StepRow>, storage::Error> {
        lanes::retried(|| self.0.store.steps(&task.id, task.cluster)).await
    }

    /// The kept steps of a task that this session holds, without a look at the database where none can be.
    ///
    /// # Errors
    /// As [`Dispatch::steps`].
    pub async fn steps_so_far(&self, session: u64, lease: &Lease) -> Result<Vec<StepRow>, storage::Error> {
        let stepped = self.0.hub.lock().held(session, lease.id).is_none_or(|held| held.stepped);
        if stepped { self.steps(&lease.task).await } else { Ok(vec![]) }
    }

    /// The end of a run; the agent hears of it when it is stored.
    pub async fn finish(&self, session: u64, mut finish: Finish) {
        let (state, stepped) = match self.0.hub.lock().held(session, finish.lease.id) {
            Some(held) => (held.state, held.stepped),
            // Reports under a lease that is not held come only for tasks in doubt.
            None => (State::Unknown, true),
        };
        finish.stepped = stepped;
        finish.counted = true;
        refuse_large(&mut finish, self.0.store.task_bytes());
        match next(state, Event::Reported(State::of(finish.state))) {
            Ok((_, Write::Archive)) => self.archive(session, finish).await,
            Ok((_, Write::Doubt)) => {
                let reason = finish.error.as_deref().unwrap_or_default();
                match lanes::retried(|| self.0.store.mark_unknown(&finish.lease, reason)).await {
                    Ok(accepted) => self.0.hub.lock().settle(session, finish.lease.id, accepted),
                    Err(error) => {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "a task in doubt could not be marked; its agent will repeat the report"
                        );
                        self.0.hub.lock().close(session);
                    }
                }
            }
            Ok(_) => self.0.hub.lock().settle(session, finish.lease.id, true),
            Err(refused) => {
                tracing::warn!(task.uuid = finish.lease.task.uuid, %refused, "a report was refused");
                self.0.hub.lock().settle(session, finish.lease.id, false);
            }
        }
    }

    pub(super) async fn archive(&self, session: u64, finish: Finish) {
        if self.0.finishes.send(Ended { session, finish }).await.is_err() {
            tracing::warn!("an outcome arrived while the server stops; the agent will repeat it");
        }
    }
}

/// A result that no row holds would keep the outcomes beside it from being stored: it fails its own task instead.
pub(super) fn refuse_large(finish: &mut Finish, limit: usize) {
    let bytes = finish.lease.task.inputs.len() + finish.result.as_ref().map_or(0, String::len);
    if bytes > limit {
        finish.state = State::Failed as i16;
        finish.result = None;
        finish.error = Some(format!("too_large: inputs and result have {bytes} bytes, at most {limit} are stored"));
    }
}
