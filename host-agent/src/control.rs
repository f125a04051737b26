//! What the agent's own commands ask of the agent that runs them: that nothing runs beside their task, and to leave. Whoever
//! asks and whoever does it know nothing of each other.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Orders that may wait to be read.
const ORDERS_MAX: usize = 8;

/// For whoever asks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    rests: mpsc::Sender<Rest>,
    leave: CancellationToken,
}

/// For whoever does it.
#[derive(Debug)]
pub struct Orders(mpsc::Receiver<Rest>);

/// An order: as long as the task runs, no other begins, and those that run end or go back.
#[derive(Debug)]
pub struct Rest {
    /// The task that asks, 32 hexadecimal digits. It is not waited for.
    pub task: String,
    /// How long the others have for their end.
    pub grace: Duration,
    /// Resolves once they have ended or went back.
    pub done: oneshot::Sender<Rested>,
}

/// What became of the other tasks that did not end in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rested {
    /// The server gives them to another agent, or to this one later.
    pub handed_back: usize,
    /// They have an effect under way, or something to report, and go on.
    pub leased: usize,
}

/// Nobody serves tasks here, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody serves tasks here")]
pub struct Nobody;

impl Control {
    /// Both ends. `leave` is cancelled where somebody asks the agent to leave.
    #[must_use]
    pub fn new(leave: CancellationToken) -> (Self, Orders) {
        let (rests, orders) = mpsc::channel(ORDERS_MAX);
        (Self { rests, leave }, Orders(orders))
    }

    /// Waits until nothing runs beside the task, at most a little longer than `grace`.
    ///
    /// # Errors
    /// [`Nobody`]; also where the agent ends meanwhile.
    pub async fn rest(&self, task: &str, grace: Duration) -> Result<Rested, Nobody> {
        let (done, rested) = oneshot::channel();
        let rest = Rest { task: task.to_owned(), grace, done };
        self.rests.send(rest).await.map_err(|_| Nobody)?;
        rested.await.map_err(|_| Nobody)
    }

    /// Asks the agent to end as a signal would: what is left to report leaves first. Whoever started it starts it anew.
    pub fn leave(&self) {
        self.leave.cancel();
    }
}

impl Orders {
    /// Orders that nobody gives.
    #[must_use]
    pub fn none() -> Self {
        Self(mpsc::channel(1).1)
    }

    /// The next order; none: nobody can give one any more.
    pub async fn next(&mut self) -> Option<Rest> {
        self.0.recv().await
    }
}
