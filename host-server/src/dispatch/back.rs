//! Takes tasks back from agents: one event for one lease, written as [`next`] says.

use std::sync::Arc;

use super::{Dispatch, GIVEN_UP, lanes};
use crate::{
    model::{
        duration::micros,
        lifecycle::{ATTEMPTS, Event, Loss, Write, next},
        state::State,
        statuses::timeline_text,
        step,
        task::{Finish, Lease, Timeline, Wish},
    },
    storage,
};

/// The longest wait before a lost task is ready again, as a multiple of the first.
const BACKOFF_MOST: u32 = 64;

impl Dispatch {
    /// The lease is gone for good: run again only if that is safe. Where the database fails, whoever looks next tries again.
    pub(super) async fn lost(&self, lease: &Arc<Lease>, state: State) {
        let taken = async {
            let kept = self.steps(&lease.task).await?;
            let Some(leased) = self.0.store.lease(lease.task.cluster, lease.id).await? else { return Ok(()) };
            let loss = Loss {
                doubt: step::doubt(&kept),
                attempt: lease.task.attempt,
                cancelling: leased.wish == Wish::Cancel,
                touched: step::touched(&kept),
                timed_out: lease.task.deadline().is_some_and(|deadline| deadline <= self.0.source.now_us()),
            };
            self.0.metrics.leases_lost.inc();
            self.write(lease, state, Event::Lost(loss)).await
        };
        log(lease, taken.await);
    }

    /// An offer that nobody took, or a task that an agent gave back.
    pub(super) async fn take_back(&self, lease: &Arc<Lease>, state: State, event: Event) {
        let taken = self.write(lease, state, event).await;
        log(lease, taken);
    }

    async fn write(&self, lease: &Arc<Lease>, state: State, event: Event) -> Result<(), storage::Error> {
        match next(state, event) {
            Ok((_, Write::Requeue { spent })) => self.requeue(lease, spent).await,
            Ok((_, Write::Park)) => self.requeue(lease, false).await,
            Ok((_, Write::Doubt)) => {
                let reason = "agent_lost: the agent was lost while a step ran that must not run twice";
                lanes::retried(|| self.0.store.mark_unknown(lease, reason)).await.map(drop)
            }
            Ok((to, Write::Archive)) => self.give_up(lease, to).await,
            Ok((_, Write::Nothing | Write::Lease | Write::Flag)) => Ok(()),
            Err(refused) => {
                tracing::debug!(task.uuid = lease.task.uuid, %refused, "a lease stays as it is");
                Ok(())
            }
        }
    }

    async fn requeue(&self, lease: &Arc<Lease>, spent: bool) -> Result<(), storage::Error> {
        let due = spent.then(|| self.0.source.now_us() + self.backoff_us(lease.task.attempt));
        if lanes::retried(|| self.0.store.requeue(lease, spent, due)).await? {
            self.0.metrics.tasks_requeued.inc();
            if due.is_none() {
                self.look_at(lease.task.cluster);
            }
            return Ok(());
        }
        // Somebody cancelled it, the lease had ended, or a step came between: then whoever looks next sees that.
        match self.0.store.lease(lease.task.cluster, lease.id).await? {
            Some(leased) if leased.wish == Wish::Cancel => self.give_up(lease, State::Cancelled).await,
            _ => Ok(()),
        }
    }

    /// How long a lost task waits before its next attempt, in microseconds.
    fn backoff_us(&self, attempt: i32) -> i64 {
        let doubled = 1_u32.checked_shl(u32::try_from(attempt - 1).unwrap_or(0)).unwrap_or(BACKOFF_MOST);
        micros(self.0.timing.backoff * doubled.min(BACKOFF_MOST))
    }

    async fn give_up(&self, lease: &Arc<Lease>, to: State) -> Result<(), storage::Error> {
        let kept = self.steps(&lease.task).await?;
        let error = match to {
            State::Cancelled => "cancelled".to_owned(),
            State::TimedOut => format!("timeout: the run took longer than {} ms", lease.task.run_timeout_ms),
            _ => format!("agent_lost: {ATTEMPTS} attempts were lost with their agent"),
        };
        let finish = Finish {
            lease: Arc::clone(lease),
            state: to as i16,
            result: None,
            error: Some(error),
            timeline: timeline_text(&Timeline::of(Some(lease.created), &kept)),
            ended: self.0.source.now_us().max(lease.task.created + 1),
            stepped: true,
            counted: true,
        };
        self.archive(GIVEN_UP, finish).await;
        Ok(())
    }
}

fn log(lease: &Lease, taken: Result<(), storage::Error>) {
    if let Err(error) = taken {
        tracing::error!(
            task.uuid = lease.task.uuid,
            error = &error as &dyn std::error::Error,
            "a task could not be taken back; the next round tries again"
        );
    }
}
