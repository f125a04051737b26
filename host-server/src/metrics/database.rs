//! How long the database takes, as whoever asks it feels it.

use prometheus::{Histogram, HistogramOpts, HistogramVec, Registry, exponential_buckets};
use tokio::time::Instant;

/// What is asked for. A statement here is a whole transaction, with its wait for a connection and with what is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement {
    /// The lane that stores tasks.
    Create,
    /// The lane that stores outcomes.
    Finish,
    /// Waiting tasks are leased to an agent.
    Claim,
    /// Tasks are read for people.
    Read,
}

impl Statement {
    const ALL: [Self; 4] = [Self::Create, Self::Finish, Self::Claim, Self::Read];

    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Finish => "finish",
            Self::Claim => "claim",
            Self::Read => "read",
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Database {
    /// How long the database took, by kind of statement.
    seconds: HistogramVec,
    /// How long a connection was waited for, looked at with each heartbeat.
    pub pool_wait: Histogram,
}

impl Database {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        // From half a millisecond to 16 seconds.
        let buckets = exponential_buckets(0.0005, 2.0, 16)?;
        let options = HistogramOpts::new(
            "claiflow_database_seconds",
            "Time of a transaction with its waits and repeats, in seconds: create and finish are the lanes, claim leases tasks, read shows them",
        );
        let seconds = HistogramVec::new(options.buckets(buckets.clone()), &["statement"])?;
        let options = HistogramOpts::new(
            "claiflow_database_pool_wait_seconds",
            "Time until a connection to the database was free, in seconds, looked at with each heartbeat",
        );
        let pool_wait = Histogram::with_opts(options.buckets(buckets))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(pool_wait.clone()))?;
        // Each is there from the start, so that a rate over it has a beginning.
        for statement in Statement::ALL {
            let _ = seconds.with_label_values(&[statement.word()]);
        }
        Ok(Self { seconds, pool_wait })
    }

    /// Does the work, and takes its time.
    pub async fn time<T>(&self, statement: Statement, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let outcome = work.await;
        self.seconds.with_label_values(&[statement.word()]).observe(began.elapsed().as_secs_f64());
        outcome
    }
}
