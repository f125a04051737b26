//! What people ask of a task that lives: to end, to pause, to go on.

use super::{Dispatch, Order, lanes};
use crate::{
    model::{
        ids::Id,
        replica::PeerEvent,
        state::State,
        statuses::timeline_text,
        task::{Task, Timeline, Wish},
    },
    storage::{self, Ending, Wished},
};

impl Dispatch {
    /// Cancels a task. The first commit wins: what an agent holds ends as cancelled whatever it reports later.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine; nothing has changed then.
    pub async fn cancel(&self, task: &Task, error: &str) -> Result<Wished, storage::Error> {
        let kept = self.steps(task).await?;
        let timeline = timeline_text(&Timeline::of(None, &kept));
        let now_us = self.0.source.now_us().max(task.created + 1);
        let ending = Ending { state: State::Cancelled, error, timeline: &timeline, now_us };
        let wished = lanes::retried(|| self.0.store.cancel(task.cluster, task.id, task.rank(), ending)).await?;
        match wished {
            Wished::Done => self.0.metrics.tasks_ended.with_label_values(&[State::Cancelled.word()]).inc(),
            Wished::Noted => self.remind(task.cluster, task.id).await?,
            Wished::Stands(_) | Wished::Gone => {}
        }
        Ok(wished)
    }

    /// Pauses a task before its next step.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine; nothing has changed then.
    pub async fn pause(&self, task: &Task) -> Result<Wished, storage::Error> {
        let wished = lanes::retried(|| self.0.store.pause(task.cluster, task.id, task.rank())).await?;
        if wished == Wished::Noted {
            self.remind(task.cluster, task.id).await?;
        }
        Ok(wished)
    }

    /// Lets a paused task go on.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine; nothing has changed then.
    pub async fn resume(&self, task: &Task) -> Result<Wished, storage::Error> {
        let wished = lanes::retried(|| self.0.store.resume(task)).await?;
        match wished {
            Wished::Done => self.look_at(task.cluster),
            Wished::Noted => self.remind(task.cluster, task.id).await?,
            Wished::Stands(_) | Wished::Gone => {}
        }
        Ok(wished)
    }

    /// Tells the agent that holds a task what somebody wishes, wherever it is connected.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine; the wish is written down all the same.
    pub async fn remind(&self, cluster: i64, task: Id) -> Result<(), storage::Error> {
        self.0.peers.tell(&PeerEvent::Wish(cluster, task));
        self.remind_here(cluster, task).await
    }

    /// Tells the agent that holds a task what somebody wishes, if it is connected here.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine; the wish is written down all the same.
    pub async fn remind_here(&self, cluster: i64, task: Id) -> Result<(), storage::Error> {
        if let Some(leased) = self.0.store.lease_of(cluster, task).await? {
            self.0.hub.lock().tell(leased.lease.id, wish_order(leased.lease.id, leased.wish));
        }
        Ok(())
    }
}

/// The order that tells an agent of a wish.
pub(super) fn wish_order(lease: Id, wish: Wish) -> Order {
    match wish {
        Wish::Cancel => Order::Cancel { lease },
        Wish::Pause => Order::Pause { lease, paused: true },
        Wish::None => Order::Pause { lease, paused: false },
    }
}
